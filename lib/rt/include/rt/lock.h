/* SPDX-License-Identifier: MIT */
/*
 * Sleeping locks and wait queues on the kernel's waiting words (k_wait).  No
 * spinlocks: a personality thread can be preempted anywhere.
 *
 * Debug builds (CONFIG_CHECKS) check ranks: a lock is taken only while every lock
 * that the thread holds has a smaller rank (equal ranks only through
 * rt_mutex_lock_nested).  Ranks are the owner's own (linux/include/lx/lock_rank.h).
 * Rank 0 is not checked.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"

/* 0 free, 1 held, 2 held and somebody waits.  Uncontended lock and unlock make no kernel call. */
struct rt_mutex {
	_Atomic(uint32_t) word;
	uint32_t rank;
	/* For the checks: says which thread holds it; NULL: free.  Written by the holder and read
	 * by others too: only "is it me?" has an answer that lasts, and needs no order. */
	_Atomic(void *) owner;
};

#define RT_MUTEX_INIT(r)	{ .word = 0, .rank = (r), .owner = (void *)0 }

void rt_mutex_init(struct rt_mutex *m, uint32_t rank);
void rt_mutex_lock(struct rt_mutex *m);
void rt_mutex_lock_nested(struct rt_mutex *m);	/* equal rank allowed: address or tree order */
bool rt_mutex_trylock(struct rt_mutex *m);
void rt_mutex_unlock(struct rt_mutex *m);
bool rt_mutex_held(const struct rt_mutex *m);	/* by the calling thread */

/* Many readers or one writer; writers are preferred. */
struct rt_rwlock {
	_Atomic(uint32_t) state;	/* bit 31 writer, bit 30 writer waits, rest readers */
	_Atomic(uint32_t) seq;		/* changes whenever a waiter should look again */
	uint32_t rank;
};

#define RT_RWLOCK_INIT(r)	{ .state = 0, .seq = 0, .rank = (r) }

void rt_rwlock_init(struct rt_rwlock *l, uint32_t rank);
void rt_read_lock(struct rt_rwlock *l);
void rt_read_unlock(struct rt_rwlock *l);
void rt_write_lock(struct rt_rwlock *l);
void rt_write_unlock(struct rt_rwlock *l);

/*
 * Wait while *@word == @expected.  OK when woken (or a spurious wake-up), CHANGED
 * when the word differed, KICKED only if @interruptible, TIMED_OUT.
 * @deadline_ns: monotonic, K_DEADLINE_NEVER.
 */
k_status_t rt_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns,
		   bool interruptible);
/* Wake at most @count waiters of the word. */
void rt_wake(_Atomic(uint32_t) *word, uint32_t count);
