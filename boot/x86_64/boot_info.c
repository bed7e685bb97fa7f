/* SPDX-License-Identifier: MIT */
/*
 * Turn what a loader handed over into struct boot_info.
 *
 * Loaders are trusted with the machine but not to be free of mistakes: ranges are
 * sorted, cut at overlaps and at the end of the address space, strings are
 * bounded, and everything that is read lies in the first GiB, which is mapped.  An
 * initrd or a command line that is not in memory is refused: going on without it
 * would be a different system.
 */
#include "boot.h"
#include "protocol.h"

#include "base/string.h"

#define MAPPED_BYTES (1ull << 30)
#define PHYSICAL_MAX (1ull << 52)
#define FIRST_MIB (1ull << 20)
#define PAGE 4096ull

/* The bytes at a physical address, or NULL if they are not mapped yet. */
static const void *physical(const struct boot_memory *m, uint64_t addr, uint64_t length)
{
	return addr && range_within(addr, length, MAPPED_BYTES) ? m->base + addr : NULL;
}

/* What the loader said, in its order; only during boot. */
static struct raw_ranges {
	struct boot_range range[BOOT_RANGES_MAX];
	uint32_t count;
	uint64_t line;			/* where the command line is; 0: none */
	uint64_t initrd, initrd_end;	/* pages that the initrd begins and ends in; 0: not known yet */
} raw;

static void add_range(uint64_t base, uint64_t length, uint32_t type)
{
	if (base >= PHYSICAL_MAX || raw.count == BOOT_RANGES_MAX)
		return;
	length = MIN(length, PHYSICAL_MAX - base);
	if (length)
		raw.range[raw.count++] = (struct boot_range){ .base = base, .length = length,
							      .type = type };
}

/* What memory at @addr is: anything wins over RAM; 0: no range has it.  *@until: up to where. */
static uint32_t type_at(uint64_t addr, uint64_t *until)
{
	uint32_t type = 0;

	*until = PHYSICAL_MAX;
	for (uint32_t i = 0; i < raw.count; i++) {
		const struct boot_range *r = &raw.range[i];
		uint64_t end = r->base + r->length;

		if (addr < r->base) {
			*until = MIN(*until, r->base);
		} else if (addr < end) {
			*until = MIN(*until, end);
			if (!type || type == BOOT_RAM)
				type = r->type;
		}
	}
	if (addr < raw.initrd) {
		*until = MIN(*until, raw.initrd);
	} else if (addr < raw.initrd_end) {
		*until = MIN(*until, raw.initrd_end);
		if (type == BOOT_RESERVED)
			type = BOOT_RAM;
	}
	return type;
}

/*
 * Firmware reserves memory for its drivers of disks; QEMU does not know that, and loads an initrd
 * so that its end can lie there.  What was loaded over is in use no more.
 */
static void claim_initrd(const struct boot_info *b)
{
	uint64_t until;

	if (!b->initrd_length || !range_within(b->initrd_base, b->initrd_length, PHYSICAL_MAX) ||
	    type_at(b->initrd_base, &until) != BOOT_RAM)
		return;
	raw.initrd = ALIGN_DOWN(b->initrd_base, PAGE);
	raw.initrd_end = ALIGN_UP(b->initrd_base + b->initrd_length, PAGE);
}

/* Sorted, without overlaps, neighbours of one type joined. */
static void set_ranges(struct boot_info *b)
{
	uint64_t addr = 0, until;

	for (; addr < PHYSICAL_MAX; addr = until) {
		uint32_t type = type_at(addr, &until);
		struct boot_range *last = b->range_count ? &b->ranges[b->range_count - 1] : NULL;

		if (!type)
			continue;
		if (last && last->type == type && last->base + last->length == addr) {
			last->length += until - addr;
		} else if (b->range_count < BOOT_RANGES_MAX) {
			b->ranges[b->range_count++] = (struct boot_range){
				.base = addr, .length = until - addr, .type = type };
		}
	}
}

/* Whether all of [base, base + length) is RAM. */
static bool is_ram(const struct boot_info *b, uint64_t base, uint64_t length)
{
	for (uint32_t i = 0; i < b->range_count; i++) {
		const struct boot_range *r = &b->ranges[i];

		if (r->type == BOOT_RAM && base >= r->base && base - r->base < r->length)
			return length <= r->length - (base - r->base);
	}
	return false;
}

static const char *set_command_line(struct boot_info *b, const struct boot_memory *m)
{
	uint64_t addr = raw.line, until;
	size_t n = 0;
	const char *s;

	/* What PCs keep below 1 MiB is on few maps. */
	if (addr >= FIRST_MIB && !type_at(addr, &until))
		return "the command line lies outside memory";
	if (addr >= MAPPED_BYTES)
		return "the command line lies beyond the first GiB";
	while (n < BOOT_COMMAND_LINE_MAX - 1) {
		s = physical(m, addr + n, 1);
		if (!s || !*s)
			break;
		b->command_line[n++] = *s;
	}
	b->command_line[n] = '\0';
	s = physical(m, addr + n, 1);
	b->command_line_cut = n == BOOT_COMMAND_LINE_MAX - 1 && s && *s;
	return NULL;
}

static const char *from_pvh(struct boot_info *b, const struct boot_memory *m, uint64_t addr)
{
	const struct hvm_start_info *info = physical(m, addr, sizeof(*info));
	const struct hvm_memmap_entry *map;
	const struct hvm_modlist_entry *module;

	if (!info || info->magic != HVM_START_MAGIC)
		return "no PVH start information";
	if (info->version < 1)
		return "PVH start information without a memory map";
	map = physical(m, info->memmap_paddr, (uint64_t)info->memmap_entries * sizeof(*map));
	if (!map)
		return "PVH memory map out of reach";
	for (uint32_t i = 0; i < info->memmap_entries; i++)
		add_range(map[i].addr, map[i].size, map[i].type);
	raw.line = info->cmdline_paddr;
	module = info->nr_modules ? physical(m, info->modlist_paddr, sizeof(*module)) : NULL;
	if (module) {
		b->initrd_base = module->paddr;
		b->initrd_length = module->size;
	}
	b->rsdp = info->rsdp_paddr;
	b->protocol = "pvh";
	return NULL;
}

static uint32_t word(const uint8_t *p, size_t offset)
{
	uint32_t v;

	memcpy(&v, p + offset, sizeof(v));
	return v;
}

static const char *from_linux(struct boot_info *b, const struct boot_memory *m, uint64_t addr)
{
	const uint8_t *p = physical(m, addr, 4096);
	struct linux_e820_entry e;

	if (!p || word(p, LINUX_MAGIC) != LINUX_HEADER_MAGIC)
		return "no Linux boot parameters";
	if (p[LINUX_E820_ENTRIES] > LINUX_E820_MAX)
		return "Linux boot parameters with too many memory ranges";
	for (size_t i = 0; i < p[LINUX_E820_ENTRIES]; i++) {
		memcpy(&e, p + LINUX_E820_TABLE + i * sizeof(e), sizeof(e));
		add_range(e.addr, e.size, e.type);
	}
	raw.line = word(p, LINUX_CMDLINE) | (uint64_t)word(p, LINUX_EXT_CMDLINE) << 32;
	b->initrd_base = word(p, LINUX_RAMDISK_IMAGE) |
			 (uint64_t)word(p, LINUX_EXT_RAMDISK_IMAGE) << 32;
	b->initrd_length = word(p, LINUX_RAMDISK_SIZE) |
			   (uint64_t)word(p, LINUX_EXT_RAMDISK_SIZE) << 32;
	b->rsdp = word(p, LINUX_RSDP) | (uint64_t)word(p, LINUX_RSDP + 4) << 32;
	b->protocol = "linux64";
	return NULL;
}

const char *boot_info_read(struct boot_info *b, const struct boot_memory *m,
			   enum boot_protocol protocol, uint64_t addr)
{
	const char *problem;

	raw.count = 0;
	raw.line = 0;
	raw.initrd = raw.initrd_end = 0;
	problem = protocol == BOOT_PROTOCOL_PVH ? from_pvh(b, m, addr) : from_linux(b, m, addr);

	if (problem)
		return problem;
	claim_initrd(b);
	set_ranges(b);
	if (!b->range_count)
		return "no memory map";
	problem = set_command_line(b, m);
	if (problem)
		return problem;
	if (!b->initrd_length)
		b->initrd_base = 0;
	else if (!is_ram(b, b->initrd_base, b->initrd_length))
		return "the initrd lies outside memory";
	return NULL;
}
