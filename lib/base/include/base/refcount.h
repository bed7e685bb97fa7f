/* SPDX-License-Identifier: MIT */
/*
 * Reference counts that cannot wrap: one that overflows or goes below zero
 * sticks at REFCOUNT_STUCK, so that the object leaks instead of being used
 * after it was freed.  Debug builds look at refcount_is_stuck().
 */
#pragma once

#include <stdatomic.h>

#include "base/util.h"

struct refcount {
	_Atomic(uint32_t) value;
};

#define REFCOUNT_INIT(n) { .value = (n) }
#define REFCOUNT_STUCK	0xc0000000u
#define REFCOUNT_LIMIT	0x80000000u	/* from here on the count is stuck */

static inline void refcount_init(struct refcount *r, uint32_t n)
{
	atomic_store_explicit(&r->value, n, memory_order_relaxed);
}

static inline uint32_t refcount_read(const struct refcount *r)
{
	return atomic_load_explicit(&r->value, memory_order_relaxed);
}

static inline bool refcount_is_stuck(const struct refcount *r)
{
	return refcount_read(r) >= REFCOUNT_LIMIT;
}

/* Take a reference; the caller holds one already. */
static inline void refcount_get(struct refcount *r)
{
	uint32_t old = atomic_fetch_add_explicit(&r->value, 1, memory_order_relaxed);

	if (unlikely(old == 0 || old >= REFCOUNT_LIMIT - 1))
		atomic_store_explicit(&r->value, REFCOUNT_STUCK, memory_order_relaxed);
}

/* Take a reference unless the count is zero already (an object found in an index). */
static inline bool refcount_try_get(struct refcount *r)
{
	uint32_t old = atomic_load_explicit(&r->value, memory_order_relaxed);

	do {
		if (old == 0)
			return false;
		if (unlikely(old >= REFCOUNT_LIMIT - 1))
			return true;
	} while (!atomic_compare_exchange_weak_explicit(&r->value, &old, old + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

/* Drop a reference.  True: it was the last, the caller destroys the object. */
static inline bool refcount_put(struct refcount *r)
{
	/* release: what we did to the object is seen by whoever destroys it */
	uint32_t old = atomic_fetch_sub_explicit(&r->value, 1, memory_order_release);

	if (old == 1) {
		atomic_thread_fence(memory_order_acquire);
		return true;
	}
	if (unlikely(old == 0 || old >= REFCOUNT_LIMIT))
		atomic_store_explicit(&r->value, REFCOUNT_STUCK, memory_order_relaxed);
	return false;
}
