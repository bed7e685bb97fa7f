/* SPDX-License-Identifier: MIT */
/*
 * Sequence numbers: 32 bits that wrap (RFC 9293, 3.4).  Comparisons are right for numbers that
 * are less than 2^31 apart.  Of a range, the first number is in it and the end is not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_after(uint32_t a, uint32_t b)
{
	return seq_before(b, a);
}

/* Is @seq in [@from, @to)? */
static inline bool seq_within(uint32_t seq, uint32_t from, uint32_t to)
{
	return seq - from < to - from;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_before(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_before(a, b) ? a : b;
}

struct seq_range {
	uint32_t from, to;
};
