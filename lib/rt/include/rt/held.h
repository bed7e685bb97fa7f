/* SPDX-License-Identifier: MIT */
/*
 * What lib/rt/src/lock.c wants from a placement: who the calling thread is, and
 * the list of locks it holds (CONFIG_CHECKS).
 */
#pragma once

#include <stdint.h>

#define RT_HELD_MAX 40u

/* Sorted by rank, and among equal ones by age. */
struct rt_held {
	uint32_t count;
	uint32_t rank[RT_HELD_MAX];
	const void *lock[RT_HELD_MAX];
};

/* The calling thread's list, zeros to begin with; NULL: this thread is not checked.  Always the
 * same for a thread, and no other thread's token. */
struct rt_held *rt_held(void);
/* A pointer that differs from thread to thread, never NULL. */
void *rt_thread_token(void);
