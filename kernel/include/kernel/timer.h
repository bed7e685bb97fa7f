/* SPDX-License-Identifier: MIT */
/*
 * One-shot timers in interrupt context.
 *
 * Each CPU has a heap; a timer is armed on the CPU that sets it and its function
 * runs there, with interrupts disabled and no lock held.  The function may set
 * its own timer again.
 *
 * A struct ktimer must not go away while it is armed or its function runs:
 * ktimer_cancel_sync() makes sure.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/heap.h"

struct ktimer {
	struct heap_node node;		/* protected by the lock of cpu's heap */
	uint64_t deadline_ns;		/* latest time to run; likewise */
	void (*fn)(struct ktimer *t);	/* constant */
	_Atomic(uint32_t) cpu;		/* where it is or was armed last */
	bool armed;			/* likewise under the heap's lock */
};

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *t));

/*
 * (Re)arm for @deadline_ns of the monotonic clock; it runs not before that and,
 * where that saves an interrupt, up to @slack_ns later.  In the past: at once, by
 * an interrupt.  Any context.  Callers serialise set and cancel of one timer.
 */
void ktimer_set(struct ktimer *t, uint64_t deadline_ns, uint64_t slack_ns);

/* True if it was armed and now is not.  Its function may be running on another CPU. */
bool ktimer_cancel(struct ktimer *t);

/* Afterwards it is neither armed nor running.  Not from its function, and not with a lock
 * held that the function takes. */
bool ktimer_cancel_sync(struct ktimer *t);
