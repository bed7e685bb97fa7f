/* SPDX-License-Identifier: MIT */
/*
 * Decoding of ELF64 images, see elf/elf.h.  Offsets are those of the generic ABI
 * (gABI, chapter 4 and 5); fields are fetched byte-wise, so that neither
 * alignment nor the host's byte order matters.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "elf/elf.h"

enum { CLASS_64 = 2, DATA_LSB = 1, VERSION_CURRENT = 1 };

enum elf_result elf_header_parse(const void *data, size_t n, struct elf_header *h)
{
	const uint8_t *p = data;
	uint16_t type;
	uint16_t phnum;

	if (n < 4 || memcmp(p, "\177ELF", 4) != 0)
		return ELF_NOT_ELF;
	if (n < ELF_HEADER_SIZE)
		return ELF_TRUNCATED;
	type = get_le16(p + 16);
	if (p[4] != CLASS_64 || p[5] != DATA_LSB || p[6] != VERSION_CURRENT ||
	    (type != ELF_EXEC && type != ELF_DYN) || get_le16(p + 54) != ELF_PHDR_SIZE)
		return ELF_UNSUPPORTED;
	phnum = get_le16(p + 56);
	if (phnum < 1 || phnum > ELF_PHDRS_MAX)
		return ELF_INVALID;
	h->type = type;
	h->machine = get_le16(p + 18);
	h->entry = get_le64(p + 24);
	h->phoff = get_le64(p + 32);
	h->phnum = phnum;
	return ELF_OK;
}

void elf_segment_parse(const void *data, struct elf_segment *s)
{
	const uint8_t *p = data;

	s->type = get_le32(p);
	s->flags = get_le32(p + 4);
	s->offset = get_le64(p + 8);
	s->vaddr = get_le64(p + 16);
	s->paddr = get_le64(p + 24);
	s->filesz = get_le64(p + 32);
	s->memsz = get_le64(p + 40);
	s->align = get_le64(p + 48);
}

void elf_image_segment(const void *data, const struct elf_header *h, uint32_t i,
		       struct elf_segment *s)
{
	elf_segment_parse((const uint8_t *)data + h->phoff + (uint64_t)i * ELF_PHDR_SIZE, s);
}

/* One LOAD segment; all before it end at or below @floor (page aligned). */
static enum elf_result check_load(const struct elf_segment *s, size_t n, uint64_t page,
				  uint64_t floor, uint64_t max)
{
	if (s->filesz > s->memsz)
		return ELF_INVALID;
	if (!range_within(s->offset, s->filesz, n))
		return ELF_TRUNCATED;
	if (!range_within(s->vaddr, s->memsz, max) || ALIGN_DOWN(s->vaddr, page) < floor)
		return ELF_INVALID;
	if ((s->vaddr - s->offset) % page)
		return ELF_INVALID;
	return ELF_OK;
}

enum elf_result elf_image_check(const void *data, size_t n, uint64_t page, uint64_t min,
				uint64_t max, struct elf_header *out, uint64_t *low,
				uint64_t *high)
{
	struct elf_header h;
	struct elf_segment s;
	enum elf_result r = elf_header_parse(data, n, &h);
	uint64_t first = 0, floor = min;
	bool any = false;

	if (r != ELF_OK)
		return r;
	if (!range_within(h.phoff, (uint64_t)h.phnum * ELF_PHDR_SIZE, n))
		return ELF_TRUNCATED;
	max = ALIGN_DOWN(max, page);
	for (uint32_t i = 0; i < h.phnum; i++) {
		elf_image_segment(data, &h, i, &s);
		if (s.type != ELF_SEGMENT_LOAD || !s.memsz)
			continue;
		r = check_load(&s, n, page, floor, max);
		if (r != ELF_OK)
			return r;
		if (!any)
			first = ALIGN_DOWN(s.vaddr, page);
		floor = ALIGN_UP(s.vaddr + s.memsz, page);
		any = true;
	}
	if (!any)
		return ELF_INVALID;
	*out = h;
	*low = first;
	*high = floor;
	return ELF_OK;
}

const char *elf_result_text(enum elf_result r)
{
	static const char *const text[] = {
		[ELF_OK] = "valid",
		[ELF_TRUNCATED] = "truncated",
		[ELF_NOT_ELF] = "not an ELF file",
		[ELF_UNSUPPORTED] = "of an unsupported kind",
		[ELF_INVALID] = "malformed",
	};

	return r < ARRAY_SIZE(text) ? text[r] : "?";
}
