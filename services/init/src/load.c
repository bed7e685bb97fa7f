/* SPDX-License-Identifier: MIT */
/*
 * Programs, out of the boot bundle or other memory.
 *
 * The bundle's files start on page boundaries (system/make-bundle.py), so that a
 * segment is a private mapping of the bundle itself: text is never copied, data
 * when it is written.  What follows the file's part of a writable segment in its
 * last page is cleared, pages beyond are anonymous.
 */
#include "base/string.h"
#include "cpio/cpio.h"
#include "elf/elf.h"
#include "init.h"
#include "rt/layout.h"
#include "rt/log.h"
#include "rt/process.h"

bool bundle_find(const char *name, const void **data, size_t *length)
{
	struct cpio_entry e;

	if (!cpio_find(init.bundle, init.boot.bundle_length, name, &e))
		return false;
	*data = e.data;
	*length = e.size;
	return true;
}

bool program_find(const char *name, struct program *p)
{
	const void *data;
	size_t length;

	if (!bundle_find(name, &data, &length)) {
		rt_log(RT_LOG_ERR, "init: %s is not in the boot bundle", name);
		return false;
	}
	*p = (struct program){ .name = name, .data = data, .length = length,
			       .memory = init.handle[K_BOOT_BUNDLE],
			       .offset = (uint64_t)((const char *)data - (const char *)init.bundle) };
	return true;
}

static uint32_t segment_prot(const struct elf_segment *s)
{
	return (s->flags & ELF_FLAG_R ? K_PROT_READ : 0) | (s->flags & ELF_FLAG_W ? K_PROT_WRITE : 0) |
	       (s->flags & ELF_FLAG_X ? K_PROT_EXEC : 0);
}

/* What it may become: text that CONTROL_POKE can write, in builds with checks. */
static uint32_t segment_max_prot(const struct elf_segment *s)
{
	uint32_t prot = segment_prot(s);

	return CONFIG_CHECKS && (prot & K_PROT_EXEC) ? prot | K_PROT_WRITE : prot;
}

static k_status_t map_anonymous(k_handle_t space, uint64_t addr, uint64_t length, uint32_t prot)
{
	struct k_map map = { .addr = addr, .length = length, .prot = prot, .max_prot = prot,
			     .flags = K_MAP_FIXED | K_MAP_NO_REPLACE };

	return k_space_map(space, &map);
}

/* Clear [@from, end of its page) in @space. */
static k_status_t clear_rest_of_page(k_handle_t space, uint64_t from)
{
	static const uint8_t zeros[K_PAGE_SIZE];
	uint64_t n = ALIGN_UP(from, (uint64_t)K_PAGE_SIZE) - from, done;

	return n ? k_space_write(space, from, zeros, n, &done) : K_OK;
}

static k_status_t load_segment(k_handle_t space, const struct program *p,
			       const struct elf_segment *s)
{
	uint64_t page = K_PAGE_SIZE;
	uint64_t start = ALIGN_DOWN(s->vaddr, page);
	uint64_t file_end = s->vaddr + s->filesz;
	uint64_t anon = s->filesz ? ALIGN_UP(file_end, page) : start;
	uint64_t end = ALIGN_UP(s->vaddr + s->memsz, page);
	struct k_map map = {
		.addr = start,
		.length = anon - start,
		.prot = segment_prot(s),
		.max_prot = segment_max_prot(s),
		.flags = K_MAP_FIXED | K_MAP_NO_REPLACE,
		.memory = p->memory,
		.offset = p->offset + ALIGN_DOWN(s->offset, page),
	};
	k_status_t st = K_OK;

	if (map.length)
		st = k_space_map(space, &map);
	if (st == K_OK && s->filesz && (s->flags & ELF_FLAG_W))
		st = clear_rest_of_page(space, file_end);
	if (st == K_OK && end > anon)
		st = map_anonymous(space, anon, end - anon, segment_prot(s));
	return st;
}

static k_status_t load_segments(k_handle_t space, const struct program *p,
				const struct elf_header *h)
{
	k_status_t st = K_OK;

	for (uint32_t i = 0; i < h->phnum && st == K_OK; i++) {
		struct elf_segment s;

		elf_image_segment(p->data, h, i, &s);
		if (s.type == ELF_SEGMENT_LOAD && s.memsz)
			st = load_segment(space, p, &s);
	}
	return st;
}

/* The header of a program that can be loaded at @base; else false, and *@why. */
static bool check(const struct program *p, uint64_t base, struct elf_header *h, const char **why)
{
	uint64_t low, high;
	enum elf_result r = elf_image_check(p->data, p->length, K_PAGE_SIZE, base + K_PAGE_SIZE,
					    base + RT_STACKS, h, &low, &high);

	*why = elf_result_text(r);
	if (r != ELF_OK)
		return false;
	*why = "of another machine, or not linked for this system";
	return h->machine == ELF_MACHINE_X86_64 && h->type == ELF_EXEC &&
	       !((uint64_t)p->data & (K_PAGE_SIZE - 1));
}

bool program_check(const struct program *p, const char **why)
{
	struct elf_header h;

	return check(p, 0, &h, why);
}

k_status_t image_load(const struct program *p, k_handle_t space, uint64_t base, struct image *image)
{
	uint64_t block = base + RT_STACKS;
	struct elf_header h;
	const char *why;
	k_status_t st;

	if (!check(p, base, &h, &why)) {
		rt_log(RT_LOG_ERR, "init: %s is no program for this system (%s)", p->name, why);
		return K_ERR_NOT_SUPPORTED;
	}
	st = load_segments(space, p, &h);
	if (st == K_OK)
		st = map_anonymous(space, block + RT_GUARD, RT_BLOCK - RT_GUARD,
				   K_PROT_READ | K_PROT_WRITE);
	if (st != K_OK) {
		rt_log(RT_LOG_ERR, "init: cannot load %s: status %d", p->name, st);
		return st;
	}
	*image = (struct image){ .entry = h.entry, .stack_top = block + RT_FRAME - 8,
				 .frame = block + RT_FRAME };
	return K_OK;
}
