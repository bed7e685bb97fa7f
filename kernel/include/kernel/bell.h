/* SPDX-License-Identifier: MIT */
/*
 * Bells: 64 pending bits and the threads that wait for them.  Theory: ipc/bell.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "kernel/lock.h"
#include "kernel/object.h"

#define BELL_LEVELS	4u		/* longest chain, the bells at both ends counted */

/* One thread waiting for some bits of one bell.  Lives on that thread's stack. */
struct bell_waiter {
	struct thread *thread;		/* constant while queued */
	uint64_t mask;			/* constant while queued */
	struct list link;		/* bell->lock */
	uint64_t granted;		/* bell->lock */
};

struct bell {
	struct object object;

	struct spinlock lock;		/* rank LOCK_BELL, irqsave */
	uint64_t pending;		/* lock */
	struct list waiters;		/* lock; struct bell_waiter, oldest first */
	struct bell *parent;		/* chains' mutex and lock; referenced */
	uint64_t parent_bits;		/* lock */
	uint32_t height;		/* chains' mutex: longest chain that ever ended here */
};

k_status_t bell_create(struct group *group, struct bell **bell) MUST_CHECK;
void bell_destroy(struct object *object);

/* Any context, interrupts included; no lock of rank LOCK_BELL or above held. */
void bell_ring(struct bell *bell, uint64_t bits);

/*
 * Take the pending bits of @mask, or wait for some.  SHOULD_WAIT (deadline 0),
 * TIMED_OUT, KICKED (only if @interruptible; a thread that is being killed gets it
 * in any case).  *@bits is 0 unless OK.
 */
k_status_t bell_wait(struct bell *bell, uint64_t mask, uint64_t deadline_ns, bool interruptible,
		     uint64_t *bits) MUST_CHECK;

/*
 * From now on ringing @bell also rings @bits in @parent (at once if bits are
 * pending); NULL ends that.  BAD_ARGUMENT: a loop, or a chain of more than BELL_LEVELS.
 */
k_status_t bell_chain(struct bell *bell, struct bell *parent, uint64_t bits) MUST_CHECK;
