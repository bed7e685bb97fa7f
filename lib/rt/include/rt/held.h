/* SPDX-License-Identifier: MIT */
/*
 * What lib/rt/src wants from a placement: who the calling thread is, the list of locks
 * that it holds (CONFIG_CHECKS; lock.c), and whether it was refused memory (refused.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RT_HELD_MAX 40u

/* Sorted by rank, and among equal ones by age. */
struct rt_held {
	uint32_t count;
	uint32_t rank[RT_HELD_MAX];
	const void *lock[RT_HELD_MAX];
	bool refused;
};

/* The calling thread's, zeros to begin with; NULL: this thread has none.  Always the
 * same for a thread, and no other thread's token. */
struct rt_held *rt_held(void);
/* A pointer that differs from thread to thread, never NULL. */
void *rt_thread_token(void);
