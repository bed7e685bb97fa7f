/* SPDX-License-Identifier: MIT */
/*
 * Sets of small numbers in arrays of 64-bit words.  Not atomic: the caller
 * locks.  Sizes are in bits; bits of the last word beyond the size are ignored.
 */
#pragma once

#include "base/util.h"

#define BITMAP_WORDS(bits) DIV_ROUND_UP(bits, 64)
#define DECLARE_BITMAP(name, bits) uint64_t name[BITMAP_WORDS(bits)]

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
	map[bit / 64] |= BIT(bit % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
	map[bit / 64] &= ~BIT(bit % 64);
}

/* The first bit at or after @from that is set (clear), or @bits if there is none. */
size_t bitmap_next_set(const uint64_t *map, size_t bits, size_t from);
size_t bitmap_next_clear(const uint64_t *map, size_t bits, size_t from);
/* The first of @count clear bits in a row at or after @from, or @bits. */
size_t bitmap_find_clear_run(const uint64_t *map, size_t bits, size_t from, size_t count);
void bitmap_set_range(uint64_t *map, size_t first, size_t count);
void bitmap_clear_range(uint64_t *map, size_t first, size_t count);
/* Number of bits set. */
size_t bitmap_count(const uint64_t *map, size_t bits);
