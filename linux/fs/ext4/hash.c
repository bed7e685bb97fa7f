/* SPDX-License-Identifier: MIT */
/*
 * Hashes of names, by which directories are indexed (kernel documentation,
 * filesystems/ext4, "Hash Tree Directories").  Each exists for signed and for
 * unsigned characters, as machines differ; the super block says which.
 */
#include "fs/ext4/ext4.h"

enum { LEGACY, HALF_MD4, TEA, LEGACY_UNSIGNED, HALF_MD4_UNSIGNED, TEA_UNSIGNED };

#define END_OF_DIR	0x7fffffffu	/* as a hash, shifted: never a name's */

static uint32_t rol(uint32_t v, unsigned int n)
{
	return v << n | v >> (32 - n);
}

/* The next @n words of the name, padded with its length. */
static void words(const char *name, uint32_t len, uint32_t *out, uint32_t n, bool is_signed)
{
	uint32_t pad = (len | len << 8) * 0x10001u, v = pad, at = 0;

	len = MIN(len, n * 4);
	for (uint32_t i = 0; i < len; i++) {
		uint32_t c = is_signed ? (uint32_t)(int32_t)(int8_t)name[i] : (uint8_t)name[i];

		v = c + (v << 8);
		if (i % 4 == 3) {
			out[at++] = v;
			v = pad;
		}
	}
	if (at < n)
		out[at++] = v;
	while (at < n)
		out[at++] = pad;
}

static uint32_t legacy(const char *name, uint32_t len, bool is_signed)
{
	uint32_t h, h0 = 0x12a3fe2d, h1 = 0x37abe8f9;

	while (len--) {
		uint32_t c = is_signed ? (uint32_t)(int32_t)(int8_t)*name : (uint8_t)*name;

		name++;
		h = h1 + (h0 ^ c * 7152373u);
		if (h & 0x80000000u)
			h -= 0x7fffffffu;
		h1 = h0;
		h0 = h;
	}
	return h0 << 1;
}

static void tea(uint32_t h[4], const uint32_t in[4])
{
	uint32_t sum = 0, a = h[0], b = h[1];

	for (int i = 0; i < 16; i++) {
		sum += 0x9e3779b9u;
		a += ((b << 4) + in[0]) ^ (b + sum) ^ ((b >> 5) + in[1]);
		b += ((a << 4) + in[2]) ^ (a + sum) ^ ((a >> 5) + in[3]);
	}
	h[0] += a;
	h[1] += b;
}

static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
	return z ^ (x & (y ^ z));
}

static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
	return (x & y) + ((x ^ y) & z);
}

static uint32_t parity(uint32_t x, uint32_t y, uint32_t z)
{
	return x ^ y ^ z;
}

/* Three rounds of eight steps, as MD4 but half as long. */
static void half_md4(uint32_t h[4], const uint32_t in[8])
{
	static const struct {
		uint32_t (*f)(uint32_t x, uint32_t y, uint32_t z);
		uint32_t constant;
		uint8_t order[8], shift[4];
	} rounds[3] = {
		{ choose, 0, { 0, 1, 2, 3, 4, 5, 6, 7 }, { 3, 7, 11, 19 } },
		{ majority, 0x5a827999u, { 1, 3, 5, 7, 0, 2, 4, 6 }, { 3, 5, 9, 13 } },
		{ parity, 0x6ed9eba1u, { 3, 7, 2, 6, 1, 5, 0, 4 }, { 3, 9, 11, 15 } },
	};
	uint32_t v[4] = { h[0], h[1], h[2], h[3] };

	for (int r = 0; r < 3; r++) {
		for (unsigned int i = 0; i < 8; i++) {
			/* a, d, c, b, a, ... takes its turn */
			uint32_t *a = &v[(8 - i) % 4];
			uint32_t b = v[(9 - i) % 4], c = v[(10 - i) % 4], d = v[(11 - i) % 4];

			*a = rol(*a + rounds[r].f(b, c, d) + in[rounds[r].order[i]] +
				 rounds[r].constant, rounds[r].shift[i % 4]);
		}
	}
	for (int i = 0; i < 4; i++)
		h[i] += v[i];
}

int e4_name_hash(const struct e4_super *s, unsigned int version, const char *name, uint32_t len,
		 struct e4_hash *hash)
{
	static const uint32_t initial[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	bool is_signed = version < LEGACY_UNSIGNED;
	uint32_t h[4], in[8], major;
	int64_t left = len;

	memcpy(h, initial, sizeof(h));
	if (s->hash_seed[0] | s->hash_seed[1] | s->hash_seed[2] | s->hash_seed[3])
		memcpy(h, s->hash_seed, sizeof(h));
	hash->minor = 0;
	switch (version) {
	case LEGACY:
	case LEGACY_UNSIGNED:
		major = legacy(name, len, is_signed);
		break;
	case HALF_MD4:
	case HALF_MD4_UNSIGNED:
		for (; left > 0; left -= 32, name += 32) {
			words(name, (uint32_t)left, in, 8, is_signed);
			half_md4(h, in);
		}
		major = h[1];
		hash->minor = h[2];
		break;
	case TEA:
	case TEA_UNSIGNED:
		for (; left > 0; left -= 16, name += 16) {
			words(name, (uint32_t)left, in, 4, is_signed);
			tea(h, in);
		}
		major = h[0];
		hash->minor = h[1];
		break;
	default:
		return -EINVAL;
	}
	major &= ~1u;
	if (major == END_OF_DIR << 1)
		major = (END_OF_DIR - 1) << 1;
	hash->major = major;
	return 0;
}
