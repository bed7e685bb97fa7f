/* SPDX-License-Identifier: MIT */
/*
 * Random bytes: a ChaCha20 generator with fast key erasure.  Theory: calls/random.c.
 */
#pragma once

#include <stddef.h>

void random_start(void);
/* Any context but interrupts. */
void random_fill(void *dst, size_t n);
/* Stir @n bytes in; they need not be secret or random. */
void random_mix(const void *data, size_t n);
