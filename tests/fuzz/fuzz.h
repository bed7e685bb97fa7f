/* SPDX-License-Identifier: MIT */
/* For fuzzers: entry points of libFuzzer, and what they check with. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define fuzz_assert(cond) ((cond) ? (void)0 : __builtin_trap())

/* Read every byte, for the sanitizer to see. */
static inline void fuzz_touch(const void *p, size_t n)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)p)[i]);
}
