/* SPDX-License-Identifier: MIT */
/*
 * Random bytes.
 *
 * One 256-bit key.  Every request makes a ChaCha20 key stream; its first 32 bytes
 * replace the key at once, under the lock, and the rest is the answer.  So whoever
 * reads the kernel's memory later learns nothing about earlier answers.  Long
 * answers are generated outside of the lock from a key of their own.
 *
 * The key is seeded from the processor's instruction where there is one, and always
 * also from differences of the cycle counter around memory accesses, and stirred
 * with the cycle counter at every request.  There is no estimate of entropy: on a
 * machine without the instruction the first keys are as good as the jitter is.
 */

#include "kernel/random.h"

#include "arch/cpu.h"
#include "base/string.h"
#include "base/util.h"
#include "kernel/lock.h"
#include "kernel/log.h"

#define KEY_WORDS 8u

static struct spinlock lock = SPINLOCK_INIT(LOCK_OBJECT);
static uint32_t key[KEY_WORDS];		/* lock */

static uint32_t rotate(uint32_t v, unsigned int n)
{
	return v << n | v >> (32 - n);
}

static void quarter_round(uint32_t s[16], unsigned int a, unsigned int b, unsigned int c,
			  unsigned int d)
{
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

/* One block of RFC 8439's ChaCha20, nonce 0. */
void chacha20_block(const uint32_t k[8], uint32_t counter, uint32_t out[16])
{
	const uint32_t start[16] = {
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,	/* "expand 32-byte k" */
		k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], counter, 0, 0, 0,
	};
	uint32_t s[16];

	memcpy(s, start, sizeof(s));
	for (unsigned int i = 0; i < 10; i++) {
		quarter_round(s, 0, 4, 8, 12);
		quarter_round(s, 1, 5, 9, 13);
		quarter_round(s, 2, 6, 10, 14);
		quarter_round(s, 3, 7, 11, 15);
		quarter_round(s, 0, 5, 10, 15);
		quarter_round(s, 1, 6, 11, 12);
		quarter_round(s, 2, 7, 8, 13);
		quarter_round(s, 3, 4, 9, 14);
	}
	for (unsigned int i = 0; i < 16; i++)
		out[i] = s[i] + start[i];
}

/* memset that is not optimised away. */
static void erase(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* A fresh key for the caller; the old one is gone. */
static void take_key(uint32_t out[KEY_WORDS])
{
	uint64_t now = arch_cycles();
	uint32_t block[16];

	spin_lock(&lock);
	key[0] ^= (uint32_t)now;
	key[1] ^= (uint32_t)(now >> 32);
	chacha20_block(key, 0, block);
	memcpy(key, block, sizeof(key));
	spin_unlock(&lock);
	memcpy(out, block + KEY_WORDS, KEY_WORDS * sizeof(out[0]));
	erase(block, sizeof(block));
}

void random_fill(void *dst, size_t n)
{
	uint32_t k[KEY_WORDS], block[16];
	uint32_t counter = 0;

	take_key(k);
	for (size_t done = 0; done < n; done += sizeof(block)) {
		chacha20_block(k, counter++, block);
		memcpy((char *)dst + done, block, MIN(n - done, sizeof(block)));
	}
	erase(k, sizeof(k));
	erase(block, sizeof(block));
}

void random_mix(const void *data, size_t n)
{
	uint32_t block[16];

	spin_lock(&lock);
	for (size_t i = 0; i < n; i++) {
		((uint8_t *)key)[i % sizeof(key)] ^= ((const uint8_t *)data)[i];
		if ((i + 1) % sizeof(key) == 0 || i + 1 == n) {
			chacha20_block(key, 0, block);
			memcpy(key, block, sizeof(key));
		}
	}
	spin_unlock(&lock);
	erase(block, sizeof(block));
}

#define JITTER_SAMPLES 128u

void random_start(void)
{
	static volatile uint8_t touched[4096];
	uint64_t samples[JITTER_SAMPLES], word;
	bool from_cpu = true;

	for (unsigned int i = 0; i < JITTER_SAMPLES; i++) {
		samples[i] = arch_cycles();
		touched[samples[i] % sizeof(touched)]++;
	}
	random_mix(samples, sizeof(samples));
	for (unsigned int i = 0; i < 8; i++) {
		from_cpu = from_cpu && arch_random(&word);
		if (from_cpu)
			random_mix(&word, sizeof(word));
	}
	if (!from_cpu)
		log_line(LOG_WARNING, "random: no instruction for it, seeded from timing alone");
}
