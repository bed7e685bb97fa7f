/* SPDX-License-Identifier: MIT */
/*
 * Hashes for tables.  @seed should be random where an adversary chooses the
 * keys; these are not cryptographic.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Mixes all bits of @v into all bits of the result. */
static inline uint64_t hash_u64(uint64_t v, uint64_t seed)
{
	v ^= seed;
	v ^= v >> 32;
	v *= 0xd6e8feb86659fd93ull;
	v ^= v >> 32;
	v *= 0xd6e8feb86659fd93ull;
	v ^= v >> 32;
	return v;
}

static inline uint64_t hash_ptr(const void *p, uint64_t seed)
{
	return hash_u64((uint64_t)(uintptr_t)p, seed);
}

uint64_t hash_bytes(const void *data, size_t n, uint64_t seed);
uint64_t hash_string(const char *s, uint64_t seed);
/* CRC-32 (the one of gzip and cpio images); @crc is 0 to begin with. */
uint32_t crc32(uint32_t crc, const void *data, size_t n);
/*
 * CRC-32C as file systems and storage protocols use it: a running value, without the
 * complement at either end; many formats begin with ~0.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
