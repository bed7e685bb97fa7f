/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (Castagnoli), eight bytes at a time.
 *
 * A CRC is linear: the table entry of a byte is the sum of those of its bits, so
 * that eight constants spell a table of 256.  Row k is the effect of a byte that
 * k more bytes follow.
 */
#include "base/byteorder.h"
#include "base/hash.h"

#define BIT_OF(i, n, c)	((i) >> (n) & 1 ? (c) : 0u)
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                           \
	(BIT_OF(i, 0, a) ^ BIT_OF(i, 1, b) ^ BIT_OF(i, 2, c) ^ BIT_OF(i, 3, d) ^                   \
	 BIT_OF(i, 4, e) ^ BIT_OF(i, 5, f) ^ BIT_OF(i, 6, g) ^ BIT_OF(i, 7, h))
#define ROW4(i, ...)	ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), \
			ENTRY((i) + 2, __VA_ARGS__), ENTRY((i) + 3, __VA_ARGS__)
#define ROW16(i, ...)	ROW4(i, __VA_ARGS__), ROW4((i) + 4, __VA_ARGS__), \
			ROW4((i) + 8, __VA_ARGS__), ROW4((i) + 12, __VA_ARGS__)
#define ROW64(i, ...)	ROW16(i, __VA_ARGS__), ROW16((i) + 16, __VA_ARGS__), \
			ROW16((i) + 32, __VA_ARGS__), ROW16((i) + 48, __VA_ARGS__)
#define ROW(...)	{ ROW64(0, __VA_ARGS__), ROW64(64, __VA_ARGS__), \
			  ROW64(128, __VA_ARGS__), ROW64(192, __VA_ARGS__) }

static const uint32_t table[8][256] = {
	ROW(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
	ROW(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
	ROW(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
	ROW(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
	ROW(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
	ROW(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
	ROW(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
	ROW(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (; n >= 8; n -= 8, p += 8) {
		uint32_t lo = get_le32(p) ^ crc, hi = get_le32(p + 4);

		crc = table[7][lo & 255] ^ table[6][lo >> 8 & 255] ^
		      table[5][lo >> 16 & 255] ^ table[4][lo >> 24] ^
		      table[3][hi & 255] ^ table[2][hi >> 8 & 255] ^
		      table[1][hi >> 16 & 255] ^ table[0][hi >> 24];
	}
	while (n--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
	return crc;
}
