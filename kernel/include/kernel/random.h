/* SPDX-License-Identifier: MIT */
/*
 * Random bytes: a ChaCha20 generator with fast key erasure.  Theory: calls/random.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_start(void);

/* One block of the key stream (RFC 8439, nonce 0): for its test. */
void chacha20_block(const uint32_t key[8], uint32_t counter, uint32_t out[16]);

/* Any context but interrupts. */
void random_fill(void *dst, size_t n);
/* Stir @n bytes in; they need not be secret or random. */
void random_mix(const void *data, size_t n);
