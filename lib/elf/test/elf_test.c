/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "elf/elf.h"
#include "unit/unit.h"

enum { PAGE = 4096, MIN_ADDR = 0x10000, PHDR = 64, SIZE = 0x3000 };

static uint8_t image[SIZE];

static void phdr(int i, uint32_t type, uint64_t offset, uint64_t vaddr, uint64_t filesz,
		 uint64_t memsz)
{
	uint8_t *p = image + PHDR + i * 56;

	put_le32(p, type);
	put_le32(p + 4, 5);
	put_le64(p + 8, offset);
	put_le64(p + 16, vaddr);
	put_le64(p + 32, filesz);
	put_le64(p + 40, memsz);
	put_le64(p + 48, PAGE);
}

static void make(void)
{
	memset(image, 0, sizeof(image));
	memcpy(image, "\177ELF\2\1\1", 7);
	put_le16(image + 16, 2);
	put_le16(image + 18, 62);
	put_le64(image + 24, 0x400010);
	put_le64(image + 32, PHDR);
	put_le16(image + 54, 56);
	put_le16(image + 56, 3);
	phdr(0, ELF_SEGMENT_LOAD, 0, 0x400000, 0x1234, 0x1234);
	phdr(1, ELF_SEGMENT_LOAD, 0x1234, 0x402234, 0x100, 0x2000);
	phdr(2, ELF_SEGMENT_GNU_STACK, 0, 0, 0, 0);
}

static enum elf_result check(void)
{
	struct elf_header h;
	uint64_t low, high;

	return elf_image_check(image, sizeof(image), PAGE, MIN_ADDR, 1ull << 47, &h, &low, &high);
}

TEST(elf_accepts_a_valid_image)
{
	struct elf_header h;
	struct elf_segment s;
	uint64_t low = 0, high = 0;

	make();
	CHECK_EQ(elf_image_check(image, SIZE, PAGE, MIN_ADDR, 1ull << 47, &h, &low, &high), ELF_OK);
	CHECK_EQ(h.type, ELF_EXEC);
	CHECK_EQ(h.machine, ELF_MACHINE_X86_64);
	CHECK_EQ(h.entry, 0x400010);
	CHECK_EQ(low, 0x400000);
	CHECK_EQ(high, 0x405000);
	elf_image_segment(image, &h, 1, &s);
	CHECK_EQ(s.memsz, 0x2000);
}

TEST(elf_rejects_what_contradicts_itself)
{
	make();
	phdr(0, ELF_SEGMENT_LOAD, 0, 0x400000, 0x1235, 0x1234);
	CHECK_EQ(check(), ELF_INVALID);
	make();
	phdr(1, ELF_SEGMENT_LOAD, 0x1234, 0x401234, 0x100, 0x100);
	CHECK_EQ(check(), ELF_INVALID);		/* shares a page with the first */
	make();
	phdr(1, ELF_SEGMENT_LOAD, 0x1233, 0x402234, 0x100, 0x100);
	CHECK_EQ(check(), ELF_INVALID);		/* not congruent */
	make();
	phdr(1, ELF_SEGMENT_LOAD, 0x1234, 0x402234, 0x100, UINT64_MAX - 0x1000);
	CHECK_EQ(check(), ELF_INVALID);		/* wraps */
	make();
	phdr(1, ELF_SEGMENT_LOAD, 0x234, 0xfffffffffffff234, 0x100, 0x100);
	CHECK_EQ(check(), ELF_INVALID);
	make();
	phdr(1, ELF_SEGMENT_LOAD, UINT64_MAX - 0xdcb, 0x402234, 0x100, 0x200);
	CHECK_EQ(check(), ELF_TRUNCATED);
	make();
	phdr(0, ELF_SEGMENT_LOAD, 0, 0x1000, 0x100, 0x100);
	CHECK_EQ(check(), ELF_INVALID);		/* below the lowest address */
	make();
	phdr(0, ELF_SEGMENT_NOTE, 0, 0, 0, 0);
	phdr(1, ELF_SEGMENT_NOTE, 0, 0, 0, 0);
	CHECK_EQ(check(), ELF_INVALID);		/* nothing to load */
	make();
	put_le16(image + 56, 0);
	CHECK_EQ(check(), ELF_INVALID);
	make();
	put_le64(image + 32, UINT64_MAX - 8);
	CHECK_EQ(check(), ELF_TRUNCATED);
	make();
	image[4] = 1;
	CHECK_EQ(check(), ELF_UNSUPPORTED);
	make();
	image[1] = 'F';
	CHECK_EQ(check(), ELF_NOT_ELF);
}

/* Any truncation, and random damage, leave a verdict and no stray access. */
TEST(elf_survives_damage)
{
	struct elf_header h;
	uint64_t low, high;

	make();
	for (size_t n = 0; n < 400; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, image, n);
		CHECK(elf_image_check(copy, n, PAGE, MIN_ADDR, 1ull << 47, &h, &low, &high) != ELF_OK);
		free(copy);
	}
	for (int round = 0; round < 100000; round++) {
		make();
		for (uint64_t k = unit_random() % 6; k; k--)
			image[unit_random() % (PHDR + 3 * 56)] = (uint8_t)unit_random();
		if (check() == ELF_OK)
			continue;
	}
}
