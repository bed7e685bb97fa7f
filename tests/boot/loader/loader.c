/* SPDX-License-Identifier: MIT */
/*
 * A loader that boots an ELF kernel by the 64-bit Linux boot protocol.
 *
 * QEMU itself starts ELF kernels by PVH only; hypervisors such as Firecracker start
 * them the Linux way: segments at their physical addresses, e_entry called in long
 * mode with the first memory mapped one to one, interrupts off, and the "zero page"
 * (struct boot_params) in rsi.  This program does the same under QEMU: it is started
 * by PVH, and its only module is a cpio archive (newc) with the files `kernel` and,
 * optionally, `initrd`.  Command line, memory map and RSDP are handed on.
 *
 * It lives at 128 MiB, away from where kernels are; the guest needs 512 MiB.
 */

#include <asm/bootparam.h>
#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#define INITRD_ADDRESS	0x10000000ul
#define HDRS		0x53726448
#define ARRAY_LENGTH(a)	(sizeof(a) / sizeof((a)[0]))

struct pvh_start {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, command_line, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct pvh_module {
	uint64_t address, size, command_line, reserved;
};

struct pvh_memory {
	uint64_t address, size;
	uint32_t type, reserved;
};

struct file {
	const unsigned char *data;
	uint64_t size;
};

void load(const struct pvh_start *start);
void __attribute__((noreturn)) enter(uint64_t entry, void *boot_params);

static struct boot_params zero_page __attribute__((aligned(4096)));

static void port_write(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void __attribute__((noreturn)) stop(const char *why)
{
	static const char prefix[] = "loader: ";

	for (const char *c = prefix; *c; c++)
		port_write(0x3f8, (uint8_t)*c);
	for (; *why; why++)
		port_write(0x3f8, (uint8_t)*why);
	port_write(0x3f8, '\n');
	port_write(0xf4, 0x20);		/* isa-debug-exit: QEMU's status is 65 */
	for (;;)
		__asm__ volatile("hlt");
}

/* The compiler may call these two by itself. */
void *memcpy(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);

void *memcpy(void *to, const void *from, size_t len)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
	return to;
}

static uint64_t hex8(const unsigned char *digits)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++) {
		unsigned int c = digits[i] | 0x20;

		value = value << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return value;
}

static int names_equal(const unsigned char *name, const char *wanted)
{
	while (*wanted && *name == (unsigned char)*wanted)
		name++, wanted++;
	return *name == 0 && *wanted == 0;
}

static struct file archive_find(const struct pvh_module *module, const char *wanted)
{
	const unsigned char *at = (const unsigned char *)module->address;
	const unsigned char *end = at + module->size;

	while (at + 110 < end) {
		uint64_t size = hex8(at + 54), name_size = hex8(at + 94);
		const unsigned char *name = at + 110;
		const unsigned char *data = at + ((110 + name_size + 3) & ~3ull);

		if (names_equal(name, wanted))
			return (struct file){ data, size };
		at = data + ((size + 3) & ~3ull);
	}
	return (struct file){ 0 };
}

static uint64_t place_kernel(struct file kernel)
{
	const Elf64_Ehdr *header = (const void *)kernel.data;
	const Elf64_Phdr *segments = (const void *)(kernel.data + header->e_phoff);

	if (kernel.size < sizeof(*header) || header->e_ident[EI_CLASS] != ELFCLASS64)
		stop("the kernel is not a 64-bit ELF file");
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		unsigned char *to = (unsigned char *)segments[i].p_paddr;

		if (segments[i].p_type != PT_LOAD)
			continue;
		memcpy(to, kernel.data + segments[i].p_offset, segments[i].p_filesz);
		memset(to + segments[i].p_filesz, 0, segments[i].p_memsz - segments[i].p_filesz);
	}
	return header->e_entry;
}

void load(const struct pvh_start *start)
{
	const struct pvh_memory *memory = (const void *)start->memory_map;
	const struct pvh_module *module = (const void *)start->module_list;
	struct file kernel, initrd;
	const char *words = (const char *)start->command_line;
	uint32_t length = 0;

	if (start->modules != 1)
		stop("expected one module");
	kernel = archive_find(module, "kernel");
	initrd = archive_find(module, "initrd");
	if (!kernel.data)
		stop("no file `kernel` in the module");

	zero_page.hdr.boot_flag = 0xaa55;
	zero_page.hdr.header = HDRS;
	zero_page.hdr.version = 0x020f;
	zero_page.hdr.type_of_loader = 0xff;
	zero_page.hdr.loadflags = LOADED_HIGH;
	zero_page.hdr.kernel_alignment = 0x1000000;
	while (words[length])
		length++;
	zero_page.hdr.cmd_line_ptr = (uint32_t)start->command_line;
	zero_page.hdr.cmdline_size = length;
	zero_page.acpi_rsdp_addr = start->rsdp;
	if (initrd.data) {
		memcpy((void *)INITRD_ADDRESS, initrd.data, initrd.size);
		zero_page.hdr.ramdisk_image = INITRD_ADDRESS;
		zero_page.hdr.ramdisk_size = (uint32_t)initrd.size;
	}
	if (start->memory_map_entries > ARRAY_LENGTH(zero_page.e820_table))
		stop("too many entries in the memory map");
	for (uint32_t i = 0; i < start->memory_map_entries; i++) {
		zero_page.e820_table[i].addr = memory[i].address;
		zero_page.e820_table[i].size = memory[i].size;
		zero_page.e820_table[i].type = memory[i].type;
	}
	zero_page.e820_entries = (uint8_t)start->memory_map_entries;
	enter(place_kernel(kernel), &zero_page);
}
