/* SPDX-License-Identifier: MIT */
/*
 * Does the kernel image lie in memory, and does nothing else lie on it?
 *
 * A loader that has little memory puts an initrd over the image (QEMU does), or loads
 * the image to where there is no memory at all.  So this is asked before anything
 * else, by code that does not rely on the answer (first.c).
 *
 * Addresses are physical and in the first GiB, which is mapped where it is.
 */
#include "boot.h"
#include "protocol.h"

#define MAPPED_BYTES	(1ull << 30)
#define RAM		1u		/* in both kinds of memory map */

/* Unaligned words, without the library's memcpy. */
typedef uint32_t any_word __attribute__((aligned(1), may_alias));

static uint32_t word(const uint8_t *p, unsigned offset)
{
	return *(const any_word *)(p + offset);
}

static uint64_t two_words(const uint8_t *p, unsigned low, unsigned high)
{
	return word(p, low) | (uint64_t)word(p, high) << 32;
}

static const void *at(const struct boot_memory *m, uint64_t addr, uint64_t length)
{
	return addr && range_within(addr, length, MAPPED_BYTES) ? m->base + addr : NULL;
}

/* What is of interest here, of both protocols. */
struct given {
	const uint8_t *map;		/* entries of a base, a length (u64) and a type (u32) */
	unsigned entries, entry_size;
	uint64_t initrd, initrd_length, line;
};

static bool given_by_pvh(const struct boot_memory *m, uint64_t addr, struct given *g)
{
	const struct hvm_start_info *info = at(m, addr, sizeof(*info));
	const struct hvm_modlist_entry *module;

	if (!info || info->magic != HVM_START_MAGIC || info->version < 1)
		return false;
	g->entries = info->memmap_entries;
	g->entry_size = sizeof(struct hvm_memmap_entry);
	g->map = at(m, info->memmap_paddr, (uint64_t)g->entries * g->entry_size);
	g->line = info->cmdline_paddr;
	module = info->nr_modules ? at(m, info->modlist_paddr, sizeof(*module)) : NULL;
	if (module) {
		g->initrd = module->paddr;
		g->initrd_length = module->size;
	}
	return true;
}

static bool given_by_linux(const struct boot_memory *m, uint64_t addr, struct given *g)
{
	const uint8_t *p = at(m, addr, 4096);

	if (!p || word(p, LINUX_MAGIC) != LINUX_HEADER_MAGIC)
		return false;
	g->entries = MIN((unsigned)p[LINUX_E820_ENTRIES], LINUX_E820_MAX);
	g->entry_size = sizeof(struct linux_e820_entry);
	g->map = p + LINUX_E820_TABLE;
	g->line = two_words(p, LINUX_CMDLINE, LINUX_EXT_CMDLINE);
	g->initrd = two_words(p, LINUX_RAMDISK_IMAGE, LINUX_EXT_RAMDISK_IMAGE);
	g->initrd_length = two_words(p, LINUX_RAMDISK_SIZE, LINUX_EXT_RAMDISK_SIZE);
	return true;
}

/* The end of the memory that @addr lies in; @addr itself if there is none. */
static uint64_t ram_end(const struct given *g, uint64_t addr)
{
	for (unsigned i = 0; i < g->entries; i++) {
		const uint8_t *e = g->map + i * g->entry_size;
		uint64_t base = two_words(e, 0, 4), length = two_words(e, 8, 12);

		if (word(e, 16) == RAM && addr >= base && addr - base < length)
			return base + MIN(length, UINT64_MAX - base);
	}
	return addr;
}

static bool is_ram(const struct given *g, uint64_t addr, uint64_t end)
{
	uint64_t next;

	for (; addr < end; addr = next) {
		next = ram_end(g, addr);
		if (next == addr)
			return false;
	}
	return true;
}

const char *boot_image_fits(const struct boot_memory *m, enum boot_protocol protocol,
			    uint64_t addr, uint64_t start, uint64_t end, uint64_t *line)
{
	struct given g = { .map = NULL };
	bool given = protocol == BOOT_PROTOCOL_PVH ? given_by_pvh(m, addr, &g) :
						     given_by_linux(m, addr, &g);

	*line = g.line;
	/* boot_info_read() says what is wrong with these. */
	if (!given || !g.map || !g.entries)
		return NULL;
	if (!is_ram(&g, start, end))
		return "not enough memory for the kernel image";
	if (g.initrd_length && g.initrd < end &&
	    (g.initrd >= start || start - g.initrd < g.initrd_length))
		return "not enough memory: the loader put the initrd over the kernel image";
	if (g.line >= start && g.line < end)
		return "not enough memory: the loader put the command line over the kernel image";
	return NULL;
}
