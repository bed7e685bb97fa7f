/* SPDX-License-Identifier: MIT */
/*
 * Names of the kernel's functions, for backtraces.  The table is made from the
 * image itself and linked into it in a second pass (tools/gen-symbols.py).
 */
#include "kernel/panic.h"

/* Offsets from the start of the text, ascending; names in the same order, each with its NUL. */
extern const uint32_t kernel_symbol_count;
extern const uint32_t kernel_symbol_offsets[];
extern const uint32_t kernel_symbol_names[];	/* offsets in the text below */
extern const char kernel_symbol_text[];
extern const char kernel_text_start[], kernel_text_end[];

const char *symbol_lookup(uint64_t addr, uint64_t *offset)
{
	uint64_t start = (uint64_t)(uintptr_t)kernel_text_start;
	uint32_t lo = 0, hi = kernel_symbol_count;

	if (addr < start || addr >= (uint64_t)(uintptr_t)kernel_text_end || !hi)
		return NULL;
	addr -= start;
	/* Invariant: offsets[lo] <= addr < offsets[hi]. */
	if (addr < kernel_symbol_offsets[0])
		return NULL;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (kernel_symbol_offsets[mid] <= addr)
			lo = mid;
		else
			hi = mid;
	}
	*offset = addr - kernel_symbol_offsets[lo];
	return kernel_symbol_text + kernel_symbol_names[lo];
}
