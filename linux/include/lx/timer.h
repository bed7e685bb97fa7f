/* SPDX-License-Identifier: MIT */
/*
 * One-shot timers and clocks.
 *
 * Timers call back in the context of the timer task: callbacks may take locks and
 * make kernel calls, but should not sleep for long.
 */
#pragma once

#include "base/rbtree.h"
#include "lx/types.h"
#include "lx/wait.h"

struct lx_timer {
	/* LX_LOCK_TIMERS */
	struct rb_node node;
	uint64_t deadline;		/* of its clock; 0: not set */
	uint32_t clock;			/* LX_TIMER_* */
	bool running;
	void (*fn)(struct lx_timer *t);	/* constant */
};

#define LX_TIMER_MONOTONIC	0u	/* (the same as boot time: there is no suspend) */
#define LX_TIMER_REALTIME	1u	/* follows changes of the clock */

void lx_timer_init(struct lx_timer *t, void (*fn)(struct lx_timer *t), uint32_t clock);
/* Call back at @abs_ns (now, if that is past); replaces an earlier setting. */
void lx_timer_set(struct lx_timer *t, uint64_t abs_ns);
/* True if it was set and will not run.  Waits for a callback that runs (unless called by it). */
bool lx_timer_cancel(struct lx_timer *t);

/* Counts settings of the realtime clock (TFD_TIMER_CANCEL_ON_SET), and who wants to know. */
extern _Atomic(uint32_t) lx_clock_was_set;
extern struct lx_waitq lx_clock_set_wait;

/* Start the timer task. */
int lx_timer_start(void);

/* -- struct timespec and timeval of the program */
#define LX_NSEC_PER_SEC	1000000000ull
#define LX_TIME_MAX	(INT64_MAX)
/* Nanoseconds (saturating), or -EINVAL, -EFAULT. */
int lx_timespec_from_user(uint64_t *ns, uaddr_t ts);
int lx_timespec_to_user(uaddr_t ts, uint64_t ns);
/* now + @ns on the monotonic clock, saturating to K_DEADLINE_NEVER. */
uint64_t lx_deadline_after(uint64_t ns);
/* The monotonic deadline of an absolute time of the realtime clock (or of the monotonic one). */
uint64_t lx_deadline_from(uint64_t ns, bool realtime);
/* Nanoseconds of a CLOCK_* for the caller; -EINVAL. */
int lx_clock_now(struct lx_task *self, int clock, uint64_t *ns);
