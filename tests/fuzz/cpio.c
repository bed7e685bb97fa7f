/* SPDX-License-Identifier: MIT */
#include "cpio/cpio.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cpio_reader r;
	struct cpio_entry e;
	size_t before = 0;

	cpio_open(&r, data, n);
	while (cpio_next(&r, &e) == CPIO_ENTRY) {
		fuzz_assert(r.offset > before && r.offset <= n);
		before = r.offset;
		fuzz_touch(e.name, e.name_length + 1);
		fuzz_touch(e.data, e.size);
	}
	cpio_find(data, n, "init", &e);
	return 0;
}
