/* SPDX-License-Identifier: MIT */
#include "elf/elf.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct elf_header h;
	struct elf_segment s;
	uint64_t low, high;

	if (elf_image_check(data, n, 4096, 0x10000, 1ull << 47, &h, &low, &high) != ELF_OK)
		return 0;
	fuzz_assert(low >= 0x10000 && low < high && high <= 1ull << 47);
	for (uint32_t i = 0; i < h.phnum; i++) {
		elf_image_segment(data, &h, i, &s);
		if (s.type != ELF_SEGMENT_LOAD || !s.memsz)
			continue;
		fuzz_assert(s.filesz <= s.memsz && s.offset + s.filesz <= n);
		fuzz_assert(s.vaddr >= low && s.vaddr + s.memsz <= high);
		fuzz_touch(data + s.offset, s.filesz);
	}
	return 0;
}
