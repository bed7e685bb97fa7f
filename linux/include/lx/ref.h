/* SPDX-License-Identifier: MIT */
/*
 * Counts of references to things that others find in a table: only the last reference has to
 * be dropped with the table's lock held, which keeps others from finding what goes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Drop a reference that is not the last.  False: it may be the last, and is still there; the
 * caller drops it with the lock of the table held.  Release: pairs with whoever drops the last.
 */
static inline bool lx_ref_drop_shared(_Atomic(uint32_t) *refs)
{
	uint32_t n = atomic_load_explicit(refs, memory_order_relaxed);

	while (n > 1)
		if (atomic_compare_exchange_weak_explicit(refs, &n, n - 1, memory_order_release,
							  memory_order_relaxed))
			return true;
	return false;
}

/*
 * One more, for who found the thing where it has no reference: a timer, a list of what is dirty, that is
 * undone before the memory goes.  False: nobody has one any more, and it is about to.
 */
static inline bool lx_ref_get_unless_zero(_Atomic(uint32_t) *refs)
{
	uint32_t n = atomic_load_explicit(refs, memory_order_relaxed);

	while (n)
		if (atomic_compare_exchange_weak_explicit(refs, &n, n + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}
