/* SPDX-License-Identifier: MIT */
/*
 * Timers as objects: a deadline that rings a bell.
 */
#pragma once

#include "kernel/lock.h"
#include "kernel/object.h"
#include "kernel/timer.h"

struct bell;

struct timer_object {
	struct object object;
	struct bell *bell;		/* constant; referenced */
	uint64_t bits;			/* constant */
	struct ktimer timer;
	struct kmutex lock;		/* rank LOCK_TIMER_OBJECT: serialises set and cancel */
};

k_status_t timer_object_create(struct group *group, struct bell *bell, uint64_t bits,
			       struct timer_object **timer) MUST_CHECK;
/* Ring at @deadline_ns, at most @slack_ns later; K_DEADLINE_NEVER: do not. */
void timer_object_set(struct timer_object *timer, uint64_t deadline_ns, uint64_t slack_ns);
void timer_object_close(struct object *object);
void timer_object_destroy(struct object *object);
