/* SPDX-License-Identifier: MIT */
/*
 * Addresses and prefixes of IPv4 and IPv6.  Both have one form, 16 bytes in network order; IPv4
 * as IPv4-mapped (RFC 4291, 2.5.5.2), so that a prefix of IPv4 has 96 bits more than its name says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/byteorder.h"

#define INET_ADDR_BITS	128u
#define INET_V4_BITS	96u		/* of ::ffff:0.0.0.0/96 */

struct inet_addr {
	uint64_t q[2];			/* network byte order */
};

/* @be: as in a header. */
static inline struct inet_addr inet_addr_v4(uint32_t be)
{
	return (struct inet_addr){ .q = { 0, BE64(0xffffull << 32 | BE32(be)) } };
}

static inline bool inet_addr_is_v4(const struct inet_addr *a)
{
	return !a->q[0] && BE64(a->q[1]) >> 32 == 0xffffu;
}

/* The last four bytes, as in a header. */
static inline uint32_t inet_addr_to_v4(const struct inet_addr *a)
{
	return BE32((uint32_t)BE64(a->q[1]));
}

static inline bool inet_addr_equal(const struct inet_addr *a, const struct inet_addr *b)
{
	return !((a->q[0] ^ b->q[0]) | (a->q[1] ^ b->q[1]));
}

/* Leading bits that are the same: 0 to INET_ADDR_BITS. */
static inline unsigned int inet_addr_common(const struct inet_addr *a, const struct inet_addr *b)
{
	uint64_t hi = BE64(a->q[0] ^ b->q[0]), lo = BE64(a->q[1] ^ b->q[1]);

	if (hi)
		return (unsigned int)__builtin_clzll(hi);
	return lo ? 64 + (unsigned int)__builtin_clzll(lo) : INET_ADDR_BITS;
}

/* Bit @n from the front, n < INET_ADDR_BITS. */
static inline unsigned int inet_addr_bit(const struct inet_addr *a, unsigned int n)
{
	return (unsigned int)(BE64(a->q[n / 64]) >> (63 - n % 64)) & 1u;
}

/* The first @len bits, zeros behind them; len <= INET_ADDR_BITS. */
static inline struct inet_addr inet_addr_masked(const struct inet_addr *a, unsigned int len)
{
	uint64_t hi = len >= 64 ? ~0ull : len ? ~0ull << (64 - len) : 0;
	uint64_t lo = len >= 128 ? ~0ull : len > 64 ? ~0ull << (128 - len) : 0;

	return (struct inet_addr){ .q = { a->q[0] & BE64(hi), a->q[1] & BE64(lo) } };
}
