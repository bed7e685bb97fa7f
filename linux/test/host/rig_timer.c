/* SPDX-License-Identifier: MIT */
/* Timers of tests that wait for none: they can be set, and do not go off. */
#include "lx/timer.h"

void lx_timer_init(struct lx_timer *t, void (*fn)(struct lx_timer *t), uint32_t clock)
{
	*t = (struct lx_timer){ .fn = fn, .clock = clock };
}

void lx_timer_set(struct lx_timer *t, uint64_t abs_ns)
{
	t->deadline = abs_ns;
}

bool lx_timer_cancel(struct lx_timer *t)
{
	bool was_set = t->deadline;

	t->deadline = 0;
	return was_set;
}
