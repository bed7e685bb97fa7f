/* SPDX-License-Identifier: MIT */
#include "base/hash.h"
#include "base/byteorder.h"
#include "base/string.h"

uint64_t hash_bytes(const void *data, size_t n, uint64_t seed)
{
	const unsigned char *p = data;
	uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15ull);

	for (; n >= 8; n -= 8, p += 8) {
		h = (h ^ get_le64(p)) * 0xd6e8feb86659fd93ull;
		h ^= h >> 29;
	}
	if (n) {
		uint64_t tail = 0;

		for (size_t i = 0; i < n; i++)
			tail |= (uint64_t)p[i] << (8 * i);
		h = (h ^ tail) * 0xd6e8feb86659fd93ull;
	}
	return hash_u64(h, 0);
}

uint64_t hash_string(const char *s, uint64_t seed)
{
	return hash_bytes(s, strlen(s), seed);
}

/* Four bits at a time: the table is small, and what uses it is not hot. */
uint32_t crc32(uint32_t crc, const void *data, size_t n)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const unsigned char *p = data;

	crc = ~crc;
	while (n--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
