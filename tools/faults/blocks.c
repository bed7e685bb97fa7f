/* SPDX-License-Identifier: MIT */
/* Header (number, version), words that follow from these, and a checksum: also for the host to see. */
#include <string.h>

#include "faults.h"

uint64_t checksum(uint64_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n--)
		sum = (sum ^ *p++) * 0x100000001b3ull;
	return sum;
}

void block_fill(void *to, uint32_t block, uint32_t version)
{
	uint64_t words[SECTOR / 8], x = ((uint64_t)block << 32 | version) + 0x9e3779b97f4a7c15ull;
	enum { LAST = SECTOR / 8 - 1 };

	words[0] = (uint64_t)block << 32 | version;
	words[LAST] = words[0];
	for (int i = 1; i < LAST; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
		words[LAST] = (words[LAST] ^ x) * 0x100000001b3ull;
	}
	memcpy(to, words, SECTOR);
}

bool block_is(const void *data, uint32_t block, uint32_t version)
{
	uint8_t wanted[SECTOR];

	block_fill(wanted, block, version);
	return memcmp(data, wanted, SECTOR) == 0;
}
