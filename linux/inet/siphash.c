/* SPDX-License-Identifier: MIT */
#include "inet/siphash.h"

struct state {
	uint64_t v[4];
};

static inline uint64_t rotate(uint64_t v, unsigned int by)
{
	return v << by | v >> (64 - by);
}

static inline void rounds(struct state *s, unsigned int n)
{
	while (n--) {
		s->v[0] += s->v[1];
		s->v[2] += s->v[3];
		s->v[1] = rotate(s->v[1], 13) ^ s->v[0];
		s->v[3] = rotate(s->v[3], 16) ^ s->v[2];
		s->v[0] = rotate(s->v[0], 32) + s->v[3];
		s->v[2] += s->v[1];
		s->v[3] = rotate(s->v[3], 21) ^ s->v[0];
		s->v[1] = rotate(s->v[1], 17) ^ s->v[2];
		s->v[2] = rotate(s->v[2], 32);
	}
}

static inline void absorb(struct state *s, uint64_t word)
{
	s->v[3] ^= word;
	rounds(s, 2);
	s->v[0] ^= word;
}

uint64_t siphash(const struct siphash_key *key, const uint64_t *word, unsigned int n)
{
	/* "somepseudorandomlygeneratedbytes" */
	struct state s = { .v = { key->k[0] ^ 0x736f6d6570736575ull, key->k[1] ^ 0x646f72616e646f6dull,
				  key->k[0] ^ 0x6c7967656e657261ull, key->k[1] ^ 0x7465646279746573ull } };

	for (unsigned int i = 0; i < n; i++)
		absorb(&s, word[i]);
	absorb(&s, (uint64_t)n * 8 << 56);	/* the length in bytes, modulo 256, after no rest */
	s.v[2] ^= 0xff;
	rounds(&s, 4);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
