/* SPDX-License-Identifier: MIT */
/*
 * Programs out of the boot bundle.
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

static uint32_t segment_prot(const struct elf_segment *s)
{
	return (s->flags & ELF_FLAG_R ? K_PROT_READ : 0) | (s->flags & ELF_FLAG_W ? K_PROT_WRITE : 0) |
	       (s->flags & ELF_FLAG_X ? K_PROT_EXEC : 0);
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

/* @file: where in the bundle the image begins, a multiple of the page size. */
static k_status_t load_segment(k_handle_t space, uint64_t file, const struct elf_segment *s)
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
		.max_prot = segment_prot(s),
		.flags = K_MAP_FIXED | K_MAP_NO_REPLACE,
		.memory = init.handle[K_BOOT_BUNDLE],
		.offset = file + ALIGN_DOWN(s->offset, page),
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

static k_status_t load_segments(k_handle_t space, const void *data, const struct elf_header *h)
{
	uint64_t file = (uint64_t)((const char *)data - (const char *)init.bundle);
	k_status_t st = K_OK;

	for (uint32_t i = 0; i < h->phnum && st == K_OK; i++) {
		struct elf_segment s;

		elf_image_segment(data, h, i, &s);
		if (s.type == ELF_SEGMENT_LOAD && s.memsz)
			st = load_segment(space, file, &s);
	}
	return st;
}

k_status_t image_load(const char *binary, k_handle_t space, uint64_t base, struct image *image)
{
	uint64_t block = base + RT_STACKS, low, high;
	struct elf_header h;
	const void *data;
	enum elf_result r;
	size_t length;
	k_status_t st;

	if (!bundle_find(binary, &data, &length)) {
		rt_log(RT_LOG_ERR, "init: %s is not in the boot bundle", binary);
		return K_ERR_NOT_FOUND;
	}
	r = elf_image_check(data, length, K_PAGE_SIZE, base + K_PAGE_SIZE, block, &h, &low, &high);
	if (r != ELF_OK || h.machine != ELF_MACHINE_X86_64 || h.type != ELF_EXEC ||
	    ((uint64_t)data & (K_PAGE_SIZE - 1))) {
		rt_log(RT_LOG_ERR, "init: %s is no program for this system (%s)", binary,
		       elf_result_text(r));
		return K_ERR_NOT_SUPPORTED;
	}
	st = load_segments(space, data, &h);
	if (st == K_OK)
		st = map_anonymous(space, block + RT_GUARD, RT_BLOCK - RT_GUARD,
				   K_PROT_READ | K_PROT_WRITE);
	if (st != K_OK) {
		rt_log(RT_LOG_ERR, "init: cannot load %s: status %d", binary, st);
		return st;
	}
	*image = (struct image){ .entry = h.entry, .stack_top = block + RT_FRAME - 8,
				 .frame = block + RT_FRAME };
	return K_OK;
}
