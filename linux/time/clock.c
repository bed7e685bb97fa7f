/* SPDX-License-Identifier: MIT */
/* Clocks, and sleeping by them. */

#include <linux/capability.h>
#include <linux/time.h>
#include <linux/timex.h>

#include "abi/calls.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "rt/time.h"
#include "time/time_impl.h"

/* -- struct timespec ------------------------------------------------------------------- */

struct timespec64 { int64_t sec, nsec; };

int lx_timespec_from_user(uint64_t *ns, uaddr_t uts)
{
	struct timespec64 ts;

	if (lx_copy_from_user(&ts, uts, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (int64_t)LX_NSEC_PER_SEC)
		return -EINVAL;
	*ns = (uint64_t)ts.sec >= LX_TIME_MAX / LX_NSEC_PER_SEC ?
	      LX_TIME_MAX : (uint64_t)ts.sec * LX_NSEC_PER_SEC + (uint64_t)ts.nsec;
	return 0;
}

int lx_timespec_to_user(uaddr_t uts, uint64_t ns)
{
	struct timespec64 ts = { (int64_t)(ns / LX_NSEC_PER_SEC), (int64_t)(ns % LX_NSEC_PER_SEC) };

	return lx_copy_to_user(uts, &ts, sizeof(ts));
}

int lx_timeval_from_user(uint64_t *ns, uaddr_t utv)
{
	struct timespec64 tv;

	if (lx_copy_from_user(&tv, utv, sizeof(tv)))
		return -EFAULT;
	if (tv.sec < 0 || tv.nsec < 0 || tv.nsec >= 1000000)
		return -EINVAL;
	*ns = (uint64_t)tv.sec >= LX_TIME_MAX / LX_NSEC_PER_SEC ?
	      LX_TIME_MAX : (uint64_t)tv.sec * LX_NSEC_PER_SEC + (uint64_t)tv.nsec * 1000;
	return 0;
}

uint64_t lx_deadline_after(uint64_t ns)
{
	uint64_t now = rt_now_ns();

	return ns >= LX_TIME_MAX - now ? K_DEADLINE_NEVER : now + ns;
}

/* -- reading ------------------------------------------------------------------------------ */

/* Clocks of processes and threads by number: ~pid << 3 | 4 if thread | what. */
static int cpu_clock(struct lx_task *self, int clock, uint64_t *ns)
{
	lx_pid_t pid = ~(clock >> 3);
	struct lx_rusage_sum sum;
	struct lx_task *t;

	if ((clock & 3) == 3)
		return -EINVAL;
	t = pid ? lx_task_find(self, pid) : lx_task_get(self);
	if (!t)
		return -EINVAL;
	if (clock & 4) {
		if (t->group != self->group) {
			lx_task_put(t);
			return -EINVAL;
		}
		lx_task_usage(t, &sum);
	} else {
		lx_group_usage(t->group, &sum);
	}
	lx_task_put(t);
	*ns = (clock & 3) == 1 ? sum.utime_ns : sum.utime_ns + sum.stime_ns;
	return 0;
}

int lx_clock_now(struct lx_task *self, int clock, uint64_t *ns)
{
	struct lx_rusage_sum sum;

	if (clock < 0)
		return cpu_clock(self, clock, ns);
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*ns = rt_realtime_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = rt_now_ns();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		lx_group_usage(self->group, &sum);
		*ns = sum.utime_ns + sum.stime_ns;
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		lx_task_usage(self, &sum);
		*ns = sum.utime_ns + sum.stime_ns;
		return 0;
	}
	return -EINVAL;
}

long lx_sys_clock_gettime(struct lx_task *self, int clock, uaddr_t uts)
{
	uint64_t ns;
	int err = lx_clock_now(self, clock, &ns);

	return err ? err : lx_timespec_to_user(uts, ns);
}

long lx_sys_clock_getres(struct lx_task *self, int clock, uaddr_t uts)
{
	uint64_t ns;
	int err = lx_clock_now(self, clock, &ns);

	if (err || !uts.v)
		return err;
	return lx_timespec_to_user(uts, clock == CLOCK_REALTIME_COARSE ||
					clock == CLOCK_MONOTONIC_COARSE ? 4000000 : 1);
}

long lx_sys_gettimeofday(struct lx_task *self, uaddr_t utv, uaddr_t utz)
{
	uint64_t ns = rt_realtime_ns();
	struct timespec64 tv = { (int64_t)(ns / LX_NSEC_PER_SEC),
				 (int64_t)(ns % LX_NSEC_PER_SEC / 1000) };
	int32_t tz[2] = { 0, 0 };

	if (utv.v && lx_copy_to_user(utv, &tv, sizeof(tv)))
		return -EFAULT;
	if (utz.v && lx_copy_to_user(utz, tz, sizeof(tz)))
		return -EFAULT;
	return 0;
}

long lx_sys_time(struct lx_task *self, uaddr_t ut)
{
	int64_t sec = (int64_t)(rt_realtime_ns() / LX_NSEC_PER_SEC);

	if (ut.v && lx_copy_to_user(ut, &sec, sizeof(sec)))
		return -EFAULT;
	return sec;
}

/* -- setting --------------------------------------------------------------------------------- */

static long set_clock(struct lx_task *self, uint64_t ns)
{
	k_status_t st;

	if (!lx_capable(self, CAP_SYS_TIME) || !lx_system.power)
		return -EPERM;
	st = k_clock_adjust(lx_system.power, ns);
	if (st != K_OK)
		return lx_errno(st);
	lx_clock_changed();
	return 0;
}

long lx_sys_clock_settime(struct lx_task *self, int clock, uaddr_t uts)
{
	uint64_t ns;
	int err;

	if (clock != CLOCK_REALTIME)
		return clock >= 0 && clock <= CLOCK_TAI ? -EINVAL : clock < 0 ? -EPERM : -EINVAL;
	err = lx_timespec_from_user(&ns, uts);
	return err ? err : set_clock(self, ns);
}

long lx_sys_settimeofday(struct lx_task *self, uaddr_t utv, uaddr_t utz)
{
	uint64_t ns;
	int err;

	if (!lx_capable(self, CAP_SYS_TIME))
		return -EPERM;
	if (!utv.v)
		return 0;
	err = lx_timeval_from_user(&ns, utv);
	return err ? err : set_clock(self, ns);
}

static long do_adjtimex(struct lx_task *self, uaddr_t utx)
{
	struct __kernel_timex tx;
	uint64_t now = rt_realtime_ns();

	if (lx_copy_from_user(&tx, utx, sizeof(tx)))
		return -EFAULT;
	if (tx.modes)
		return lx_capable(self, CAP_SYS_TIME) ? -EINVAL : -EPERM;
	memset(&tx, 0, sizeof(tx));
	tx.status = STA_UNSYNC;
	tx.constant = 2;
	tx.precision = 1;
	tx.tolerance = 32768000;
	tx.tick = 10000;
	tx.maxerror = tx.esterror = 16000000;
	tx.time.tv_sec = (long long)(now / LX_NSEC_PER_SEC);
	tx.time.tv_usec = (long long)(now % LX_NSEC_PER_SEC / 1000);
	if (lx_copy_to_user(utx, &tx, sizeof(tx)))
		return -EFAULT;
	return TIME_ERROR;
}

long lx_sys_adjtimex(struct lx_task *self, uaddr_t utx)
{
	return do_adjtimex(self, utx);
}

long lx_sys_clock_adjtime(struct lx_task *self, int clock, uaddr_t utx)
{
	return clock == CLOCK_REALTIME ? do_adjtimex(self, utx) : -EOPNOTSUPP;
}

/* -- sleeping ------------------------------------------------------------------------------------ */

static int sleep_until(struct lx_task *self, uint64_t deadline)
{
	int err = 0;

	while (!err) {
		lx_wait_prepare(self);
		err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
	}
	return err;
}

/* Absolute sleeps on the realtime clock follow when it is set. */
static int sleep_until_realtime(struct lx_task *self, uint64_t abs_ns)
{
	struct lx_wait_entry entry;
	int err;

	lx_wait_entry_init(&entry, self);
	lx_waitq_add(&lx_clock_set_wait, &entry);
	do {
		lx_wait_prepare(self);
		err = lx_wait_block(self, lx_deadline_from(abs_ns, true), LX_WAIT_INTERRUPTIBLE);
		if (err == -ETIMEDOUT && rt_realtime_ns() < abs_ns)
			err = 0;
	} while (!err);
	lx_waitq_remove(&lx_clock_set_wait, &entry);
	return err;
}

static int tell_rest(uaddr_t urem, uint64_t deadline)
{
	uint64_t now = rt_now_ns();

	return urem.v ? lx_timespec_to_user(urem, deadline > now ? deadline - now : 0) : 0;
}

static long sleep_relative(struct lx_task *self, uint64_t deadline, uaddr_t urem);

static long sleep_restart(struct lx_task *self)
{
	return sleep_relative(self, self->restart.args[0], uaddr(self->restart.args[1]));
}

static long sleep_relative(struct lx_task *self, uint64_t deadline, uaddr_t urem)
{
	if (sleep_until(self, deadline) == -ETIMEDOUT)
		return 0;
	if (tell_rest(urem, deadline))
		return -EFAULT;
	self->restart = (struct lx_restart_block){
		.fn = sleep_restart, .args = { deadline, urem.v },
	};
	return -LX_ERESTART_BLOCK;
}

long lx_sys_nanosleep(struct lx_task *self, uaddr_t ureq, uaddr_t urem)
{
	uint64_t ns;
	int err = lx_timespec_from_user(&ns, ureq);

	return err ? err : sleep_relative(self, lx_deadline_after(ns), urem);
}

/* Sleeping by CPU time: nothing tells us when it passes, so look now and then. */
static long sleep_cpu(struct lx_task *self, int clock, uint64_t until)
{
	uint64_t now;
	int err;

	for (;;) {
		err = lx_clock_now(self, clock, &now);
		if (err)
			return err;
		if (now >= until)
			return 0;
		err = sleep_until(self, lx_deadline_after(MAX(until - now, 1000000ull)));
		if (err != -ETIMEDOUT)
			return -EINTR;
	}
}

long lx_sys_clock_nanosleep(struct lx_task *self, int clock, unsigned int flags, uaddr_t ureq,
			    uaddr_t urem)
{
	uint64_t ns, now;
	int err;

	err = lx_clock_now(self, clock, &now);
	if (err)
		return err;
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return -EINVAL;
	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
	    clock == CLOCK_MONOTONIC_COARSE)
		return -EOPNOTSUPP;
	err = lx_timespec_from_user(&ns, ureq);
	if (err)
		return err;
	if (clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID)
		return sleep_cpu(self, clock, flags & TIMER_ABSTIME ? ns : now + ns);
	if (!(flags & TIMER_ABSTIME))
		return sleep_relative(self, lx_deadline_after(ns), urem);
	if (clock == CLOCK_REALTIME || clock == CLOCK_TAI || clock == CLOCK_REALTIME_ALARM)
		err = sleep_until_realtime(self, ns);
	else
		err = sleep_until(self, ns ? ns : 1);
	return err == -ETIMEDOUT ? 0 : -LX_ERESTARTNOHAND;
}

long lx_sys_restart_syscall(struct lx_task *self)
{
	long (*fn)(struct lx_task *t) = self->restart.fn;

	self->restart.fn = NULL;
	return fn ? fn(self) : -EINTR;
}
