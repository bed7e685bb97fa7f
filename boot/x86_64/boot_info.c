/* SPDX-License-Identifier: MIT */
/*
 * Turn what a loader handed over into struct boot_info.
 *
 * Loaders are trusted with the machine but not to be free of mistakes: ranges are
 * sorted, cut at overlaps and at the end of the address space, strings are
 * bounded, and everything that is read lies in the first GiB, which is mapped.
 */
#include "boot.h"
#include "protocol.h"

#include "base/string.h"

#define MAPPED_BYTES (1ull << 30)

/* The bytes at a physical address, or NULL if they are not mapped yet. */
static const void *physical(const struct boot_memory *m, uint64_t addr, uint64_t length)
{
	return addr && range_within(addr, length, MAPPED_BYTES) ? m->base + addr : NULL;
}

/* Insert in ascending order; the part that overlaps a range already there is dropped,
 * unless the new one is not RAM: then the RAM gives way. */
static void add_range(struct boot_info *b, uint64_t base, uint64_t length, uint32_t type)
{
	uint32_t i = b->range_count;

	if (!length || b->range_count == BOOT_RANGES_MAX)
		return;
	if (base + length < base)
		length = -base;
	while (i > 0 && b->ranges[i - 1].base > base) {
		b->ranges[i] = b->ranges[i - 1];
		i--;
	}
	b->ranges[i] = (struct boot_range){ .base = base, .length = length, .type = type };
	b->range_count++;
}

static void drop_range(struct boot_info *b, uint32_t i)
{
	b->range_count--;
	memmove(&b->ranges[i], &b->ranges[i + 1], (b->range_count - i) * sizeof(b->ranges[0]));
}

/* Cut overlaps out of sorted ranges: what is not RAM wins. */
static void cut_overlaps(struct boot_info *b)
{
	for (uint32_t i = 0; i + 1 < b->range_count;) {
		struct boot_range *r = &b->ranges[i], *next = r + 1;
		uint64_t end = r->base + r->length, next_end = next->base + next->length;

		if (end <= next->base) {
			i++;
			continue;
		}
		if (r->type == BOOT_RAM && next->type != BOOT_RAM) {
			struct boot_range rest = { .base = next_end, .length = end - next_end,
						   .type = BOOT_RAM };
			bool has_rest = end > next_end;

			r->length = next->base - r->base;
			if (!r->length)
				drop_range(b, i);
			if (has_rest)
				add_range(b, rest.base, rest.length, rest.type);
			continue;
		}
		if (next_end <= end) {
			drop_range(b, i + 1);
			continue;
		}
		next->length = next_end - end;
		next->base = end;
	}
}

static void set_command_line(struct boot_info *b, const struct boot_memory *m, uint64_t addr)
{
	size_t n = 0;
	const char *s;

	while (n < BOOT_COMMAND_LINE_MAX - 1) {
		s = physical(m, addr + n, 1);
		if (!s || !*s)
			break;
		b->command_line[n++] = *s;
	}
	b->command_line[n] = '\0';
	s = physical(m, addr + n, 1);
	b->command_line_cut = n == BOOT_COMMAND_LINE_MAX - 1 && s && *s;
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
		add_range(b, map[i].addr, map[i].size, map[i].type);
	set_command_line(b, m, info->cmdline_paddr);
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
		add_range(b, e.addr, e.size, e.type);
	}
	set_command_line(b, m, word(p, LINUX_CMDLINE) |
				       (uint64_t)word(p, LINUX_EXT_CMDLINE) << 32);
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
	const char *problem = protocol == BOOT_PROTOCOL_PVH ? from_pvh(b, m, addr) :
							      from_linux(b, m, addr);

	if (problem)
		return problem;
	cut_overlaps(b);
	if (!b->range_count)
		return "no memory map";
	if (!b->initrd_length || b->initrd_base + b->initrd_length < b->initrd_base)
		b->initrd_base = b->initrd_length = 0;
	return NULL;
}
