/* SPDX-License-Identifier: MIT */
#include "base/bitmap.h"

/* Words are xored with @flip, so that one loop finds set bits (0) and clear ones (~0). */
static size_t next_bit(const uint64_t *map, size_t bits, size_t from, uint64_t flip)
{
	size_t word = from / 64;
	uint64_t v;

	if (from >= bits)
		return bits;
	v = (map[word] ^ flip) & (~0ull << (from % 64));
	while (!v) {
		word++;
		if (word * 64 >= bits)
			return bits;
		v = map[word] ^ flip;
	}
	return MIN(word * 64 + (size_t)__builtin_ctzll(v), bits);
}

size_t bitmap_next_set(const uint64_t *map, size_t bits, size_t from)
{
	return next_bit(map, bits, from, 0);
}

size_t bitmap_next_clear(const uint64_t *map, size_t bits, size_t from)
{
	return next_bit(map, bits, from, ~0ull);
}

size_t bitmap_find_clear_run(const uint64_t *map, size_t bits, size_t from, size_t count)
{
	size_t start = bitmap_next_clear(map, bits, from);

	while (start < bits && count <= bits - start) {
		size_t end = bitmap_next_set(map, start + count, start);

		if (end == start + count)
			return start;
		start = bitmap_next_clear(map, bits, end);
	}
	return bits;
}

/* The bits of word @word that lie in [first, first + count). */
static uint64_t word_mask(size_t word, size_t first, size_t count)
{
	size_t lo = MAX(first, word * 64) - word * 64;
	size_t hi = MIN(first + count, word * 64 + 64) - word * 64;

	return (hi == 64 ? ~0ull : BIT(hi) - 1) & (~0ull << lo);
}

void bitmap_set_range(uint64_t *map, size_t first, size_t count)
{
	if (!count)
		return;
	for (size_t w = first / 64; w <= (first + count - 1) / 64; w++)
		map[w] |= word_mask(w, first, count);
}

void bitmap_clear_range(uint64_t *map, size_t first, size_t count)
{
	if (!count)
		return;
	for (size_t w = first / 64; w <= (first + count - 1) / 64; w++)
		map[w] &= ~word_mask(w, first, count);
}

size_t bitmap_count(const uint64_t *map, size_t bits)
{
	size_t n = 0;

	for (size_t bit = 0; (bit = bitmap_next_set(map, bits, bit)) < bits; bit++)
		n++;
	return n;
}
