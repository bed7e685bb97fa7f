/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed function whose values nobody can tell or
 * foresee without the key.  For hash tables whose keys strangers choose, and for numbers that they
 * must not guess.
 */
#pragma once

#include <stdint.h>

struct siphash_key {
	uint64_t k[2];			/* random, secret */
};

/* Of the 8 * @n bytes of @word, little-endian. */
uint64_t siphash(const struct siphash_key *key, const uint64_t *word, unsigned int n);
