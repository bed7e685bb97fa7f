/* SPDX-License-Identifier: MIT */
/*
 * Timeouts as programs give them, as deadlines of the monotonic clock.
 */
#pragma once

#include "lx/mm.h"
#include "lx/task.h"
#include "rt/time.h"

#define NS_PER_SEC	1000000000ull

struct timeout_spec { int64_t sec, nsec; };	/* struct __kernel_timespec */

/* now + seconds and nanoseconds, saturating at "never"; 0: do not wait at all. */
static inline uint64_t timeout_deadline(uint64_t sec, uint64_t nsec)
{
	uint64_t now;

	if (!sec && !nsec)
		return 0;
	now = rt_now_ns();
	if (sec >= (UINT64_MAX - now) / NS_PER_SEC - 2)
		return K_DEADLINE_NEVER;
	return now + sec * NS_PER_SEC + nsec;
}

/* What is left until @deadline, as a timespec. */
static inline struct timeout_spec timeout_left(uint64_t deadline)
{
	uint64_t now = rt_now_ns(), left = deadline > now ? deadline - now : 0;

	return (struct timeout_spec){ (int64_t)(left / NS_PER_SEC), (int64_t)(left % NS_PER_SEC) };
}

/* From a struct __kernel_timespec in the program; null: never.  0, -EFAULT, -EINVAL. */
static inline int timeout_from_timespec(uaddr_t uts, uint64_t *deadline)
{
	struct timeout_spec ts;

	*deadline = K_DEADLINE_NEVER;
	if (!uts.v)
		return 0;
	if (lx_copy_from_user(&ts, uts, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (int64_t)NS_PER_SEC)
		return -EINVAL;
	*deadline = timeout_deadline((uint64_t)ts.sec, (uint64_t)ts.nsec);
	return 0;
}

/* Milliseconds; negative: never. */
static inline uint64_t timeout_from_ms(int ms)
{
	if (ms < 0)
		return K_DEADLINE_NEVER;
	return timeout_deadline((unsigned int)ms / 1000, (unsigned int)ms % 1000 * 1000000ull);
}
