/* SPDX-License-Identifier: MIT */
/*
 * Timers that signal a process: alarm, setitimer, POSIX timers, RLIMIT_CPU.
 *
 * Everything a process has of these hangs from one struct lx_itimers, made with
 * the first timer and freed with the process.  Its state is protected by
 * group->lock, under which timers are set too; but they are cancelled without it,
 * because cancelling waits for a callback, and callbacks take it.  A callback that
 * finds its timer not armed any more does nothing.
 *
 * A POSIX timer has at most one signal in the queue.  While it is there, expirations
 * only count as overruns.
 *
 * Nobody tells us when CPU time passes: while a timer of CPU time is armed, one
 * timer looks at the clock as soon as it could expire at the earliest.
 */

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/resource.h>
#include <linux/time.h>

#include "base/util.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/syscall.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "rt/time.h"
#include "task/task_impl.h"
#include "signal/signal_impl.h"
#include "time/time_impl.h"

#define MAX_TIMERS_PER_GROUP 4096
#define MIN_PERIOD_NS 50000ull

struct cpu_itimer { uint64_t value, interval; };	/* value: CPU time at which it expires; 0: off */

struct lx_itimers {
	struct lx_group *group;		/* constant; not counted: we end before it */

	/* group->lock */
	struct lx_timer real;
	bool real_armed;
	uint64_t real_deadline, real_interval;
	struct cpu_itimer virtual, prof;
	uint64_t xcpu_next;		/* next SIGXCPU, seconds of CPU time */
	struct lx_timer tick;		/* looks at CPU time */
	bool tick_armed;
	struct list posix;		/* of posix_timer.link */
	int next_id;
	unsigned int count;
};

struct posix_timer {
	struct lx_itimers *owner;	/* constant, and the next */
	int id, clock, notify, signo;
	uint64_t value;
	lx_pid_t tid;			/* SIGEV_THREAD_ID */

	/* group->lock */
	struct list link;
	struct lx_timer timer;
	bool armed, queued, dead;
	uint64_t deadline, interval;	/* of the clock */
	uint64_t overrun, last_overrun;
};

static void start_tick(struct lx_itimers *it, uint64_t cpu_ns);

/* -- ITIMER_REAL, alarm ------------------------------------------------------------- */

static uint64_t next_period(uint64_t deadline, uint64_t interval, uint64_t now)
{
	uint64_t missed = now > deadline ? (now - deadline) / interval : 0;

	return MAX(deadline + (missed + 1) * interval, now + MIN_PERIOD_NS);
}

static void real_expired(struct lx_timer *t)
{
	struct lx_itimers *it = container_of(t, struct lx_itimers, real);
	struct lx_siginfo info = lx_siginfo_kernel(SIGALRM);
	struct lx_group *g = it->group;

	rt_mutex_lock(&g->lock);
	if (it->real_armed && it->real_deadline <= rt_now_ns()) {
		(void)lx_signal_send_locked(g, NULL, &info);
		it->real_armed = it->real_interval != 0;
		if (it->real_armed) {
			it->real_deadline = next_period(it->real_deadline, it->real_interval,
							rt_now_ns());
			lx_timer_set(&it->real, it->real_deadline);
		}
	}
	rt_mutex_unlock(&g->lock);
}

/* -- CPU time -------------------------------------------------------------------------- */

/* The group's use, with group->lock held. */
static void usage_locked(struct lx_group *g, uint64_t *user, uint64_t *total)
{
	struct lx_rusage_sum sum = g->dead_threads, one;
	struct lx_task *t;

	list_for_each_entry(t, &g->tasks, group_link) {
		if (t->accounted)
			continue;
		lx_task_usage(t, &one);
		lx_usage_add(&sum, &one);
	}
	*user = sum.utime_ns;
	*total = sum.utime_ns + sum.stime_ns;
}

static void cpu_itimer_check(struct lx_group *g, struct cpu_itimer *c, uint64_t now, int sig,
			     uint64_t *rest)
{
	struct lx_siginfo info = lx_siginfo_kernel(sig);

	if (!c->value)
		return;
	if (now >= c->value) {
		(void)lx_signal_send_locked(g, NULL, &info);
		c->value = c->interval ? MAX(c->value + c->interval, now + 1) : 0;
		if (!c->value)
			return;
	}
	*rest = MIN(*rest, c->value - now);
}

static void rlimit_cpu_check(struct lx_itimers *it, uint64_t now, uint64_t *rest)
{
	struct lx_group *g = it->group;
	const struct lx_rlimit *limit = &g->rlimits[RLIMIT_CPU];
	struct lx_siginfo info = lx_siginfo_kernel(SIGXCPU);
	uint64_t second = MAX(it->xcpu_next, limit->cur);

	if (limit->cur == ~0ull)
		return;
	if (now >= limit->max * LX_NSEC_PER_SEC && limit->max < ~0ull / LX_NSEC_PER_SEC) {
		lx_group_kill_locked(g, SIGKILL);
		return;
	}
	if (now >= second * LX_NSEC_PER_SEC) {
		(void)lx_signal_send_locked(g, NULL, &info);
		second = it->xcpu_next = now / LX_NSEC_PER_SEC + 1;
	}
	*rest = MIN(*rest, second * LX_NSEC_PER_SEC - now);
}

static bool is_cpu_clock(int clock)
{
	return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

static void posix_expired_locked(struct posix_timer *p, uint64_t now);

static void look_at_cpu_time(struct lx_timer *t)
{
	struct lx_itimers *it = container_of(t, struct lx_itimers, tick);
	struct lx_group *g = it->group;
	uint64_t user, total, rest = ~0ull;
	struct posix_timer *p;

	rt_mutex_lock(&g->lock);
	it->tick_armed = false;
	if (!(g->flags & LX_GROUP_EXITING) && g->live) {
		usage_locked(g, &user, &total);
		cpu_itimer_check(g, &it->virtual, user, SIGVTALRM, &rest);
		cpu_itimer_check(g, &it->prof, total, SIGPROF, &rest);
		rlimit_cpu_check(it, total, &rest);
		list_for_each_entry(p, &it->posix, link) {
			if (!p->armed || !is_cpu_clock(p->clock))
				continue;
			if (total >= p->deadline)
				posix_expired_locked(p, total);
			if (p->armed)
				rest = p->deadline > total ? MIN(rest, p->deadline - total) : 0;
		}
		if (rest != ~0ull)
			start_tick(it, rest);
	}
	rt_mutex_unlock(&g->lock);
}

/* Look again when @cpu_ns more could have been used at the earliest. */
static void start_tick(struct lx_itimers *it, uint64_t cpu_ns)
{
	uint64_t wall = cpu_ns / MAX(lx_system.info.cpus, 1u);

	it->tick_armed = true;
	lx_timer_set(&it->tick, lx_deadline_after(MAX(wall, 1000000ull)));
}

/* -- life ---------------------------------------------------------------------------------- */

static struct lx_itimers *get(struct lx_group *g)
{
	struct lx_itimers *it, *mine;

	rt_mutex_lock(&g->lock);
	it = g->itimers;
	rt_mutex_unlock(&g->lock);
	if (it)
		return it;
	mine = rt_zalloc(sizeof(*mine));
	if (!mine)
		return NULL;
	mine->group = g;
	lx_timer_init(&mine->real, real_expired, LX_TIMER_MONOTONIC);
	lx_timer_init(&mine->tick, look_at_cpu_time, LX_TIMER_MONOTONIC);
	list_init(&mine->posix);
	rt_mutex_lock(&g->lock);
	if (!g->itimers) {
		g->itimers = mine;
		mine = NULL;
	}
	it = g->itimers;
	rt_mutex_unlock(&g->lock);
	rt_free(mine);
	return it;
}

static void delete_all_posix(struct lx_itimers *it)
{
	struct lx_group *g = it->group;
	struct posix_timer *p;

	for (;;) {
		rt_mutex_lock(&g->lock);
		p = list_pop_entry(&it->posix, struct posix_timer, link);
		if (p) {
			p->armed = false;
			p->dead = true;
			it->count--;
		}
		rt_mutex_unlock(&g->lock);
		if (!p)
			return;
		(void)lx_timer_cancel(&p->timer);
		rt_free(p);
	}
}

void lx_itimers_exec(struct lx_group *g)
{
	if (g->itimers)
		delete_all_posix(g->itimers);
}

/* The last thread of the process ends. */
void lx_itimers_exit(struct lx_group *g)
{
	struct lx_itimers *it = g->itimers;

	if (!it)
		return;
	delete_all_posix(it);
	rt_mutex_lock(&g->lock);
	it->real_armed = it->tick_armed = false;
	rt_mutex_unlock(&g->lock);
	(void)lx_timer_cancel(&it->real);
	(void)lx_timer_cancel(&it->tick);
}

void lx_itimers_free(struct lx_group *g)
{
	rt_free(g->itimers);
}

/* setrlimit(RLIMIT_CPU) */
void lx_itimers_rlimit_cpu(struct lx_group *g)
{
	struct lx_itimers *it = get(g);

	if (!it)
		return;
	rt_mutex_lock(&g->lock);
	it->xcpu_next = 0;
	start_tick(it, 0);
	rt_mutex_unlock(&g->lock);
}

/* -- setitimer ------------------------------------------------------------------------------ */

struct itimer_ns { uint64_t interval, value; };

static void read_real(const struct lx_itimers *it, struct itimer_ns *out)
{
	uint64_t now = rt_now_ns();

	*out = (struct itimer_ns){ .interval = it->real_interval };
	if (it->real_armed)
		out->value = it->real_deadline > now ? it->real_deadline - now : 1000;
}

static void read_cpu(const struct cpu_itimer *c, uint64_t now, struct itimer_ns *out)
{
	*out = (struct itimer_ns){ .interval = c->interval };
	if (c->value)
		out->value = c->value > now ? c->value - now : 1000;
}

/* @new NULL: only read. */
static int do_itimer(struct lx_task *self, int which, const struct itimer_ns *new,
		     struct itimer_ns *old)
{
	struct lx_group *g = self->group;
	struct lx_itimers *it;
	struct cpu_itimer *c;
	uint64_t user, total, now;

	if (which < ITIMER_REAL || which > ITIMER_PROF)
		return -EINVAL;
	it = get(g);
	if (!it)
		return -ENOMEM;
	rt_mutex_lock(&g->lock);
	if (which == ITIMER_REAL) {
		read_real(it, old);
		if (new) {
			it->real_interval = new->interval;
			it->real_armed = new->value != 0;
			it->real_deadline = lx_deadline_after(new->value);
			if (it->real_armed)
				lx_timer_set(&it->real, it->real_deadline);
		}
	} else {
		usage_locked(g, &user, &total);
		c = which == ITIMER_VIRTUAL ? &it->virtual : &it->prof;
		now = which == ITIMER_VIRTUAL ? user : total;
		read_cpu(c, now, old);
		if (new) {
			c->interval = new->interval;
			c->value = new->value ? now + new->value : 0;
			if (c->value)
				start_tick(it, 0);
		}
	}
	rt_mutex_unlock(&g->lock);
	return 0;
}

static int put_itimerval(uaddr_t to, const struct itimer_ns *t)
{
	int64_t v[4] = {
		(int64_t)(t->interval / LX_NSEC_PER_SEC),
		(int64_t)(t->interval % LX_NSEC_PER_SEC / 1000),
		(int64_t)(t->value / LX_NSEC_PER_SEC),
		(int64_t)(t->value % LX_NSEC_PER_SEC / 1000),
	};

	return lx_copy_to_user(to, v, sizeof(v));
}

long lx_sys_getitimer(struct lx_task *self, int which, uaddr_t uvalue)
{
	struct itimer_ns old;
	int err = do_itimer(self, which, NULL, &old);

	return err ? err : put_itimerval(uvalue, &old);
}

long lx_sys_setitimer(struct lx_task *self, int which, uaddr_t uvalue, uaddr_t uold)
{
	struct itimer_ns new = { 0 }, old;
	int err;

	if (uvalue.v) {
		err = lx_timeval_from_user(&new.interval, uvalue);
		if (!err)
			err = lx_timeval_from_user(&new.value, uaddr_add(uvalue, 16));
		if (err)
			return err;
	}
	err = do_itimer(self, which, &new, &old);
	if (!err && uold.v)
		err = put_itimerval(uold, &old);
	return err;
}

long lx_sys_alarm(struct lx_task *self, unsigned int seconds)
{
	struct itimer_ns new = { .value = seconds * LX_NSEC_PER_SEC }, old;
	int err = do_itimer(self, ITIMER_REAL, &new, &old);

	if (err)
		return 0;
	/* Rounded, but never to 0 while one is set. */
	if (old.value && old.value < LX_NSEC_PER_SEC)
		return 1;
	return (long)((old.value + LX_NSEC_PER_SEC / 2) / LX_NSEC_PER_SEC);
}

/* -- POSIX timers --------------------------------------------------------------------------------- */

static struct posix_timer *find_locked(struct lx_itimers *it, int id)
{
	struct posix_timer *p;

	list_for_each_entry(p, &it->posix, link)
		if (p->id == id)
			return p;
	return NULL;
}

static uint64_t clock_ns(const struct posix_timer *p)
{
	uint64_t user, total;

	if (is_cpu_clock(p->clock)) {
		usage_locked(p->owner->group, &user, &total);
		return total;
	}
	return p->timer.clock == LX_TIMER_REALTIME ? rt_realtime_ns() : rt_now_ns();
}

static void rearm(struct posix_timer *p)
{
	if (is_cpu_clock(p->clock))
		start_tick(p->owner, 0);
	else
		lx_timer_set(&p->timer, p->deadline);
}

static struct lx_task *timer_target(struct posix_timer *p)
{
	struct lx_task *t;

	list_for_each_entry(t, &p->owner->group->tasks, group_link)
		if (t->tid == p->tid)
			return t;
	return NULL;
}

static void signal_expiry(struct posix_timer *p)
{
	struct lx_group *g = p->owner->group;
	struct lx_siginfo info = { .signo = p->signo, .code = SI_TIMER };
	struct lx_task *t = NULL;

	if (p->notify == SIGEV_NONE)
		return;
	if (p->notify & SIGEV_THREAD_ID) {
		t = timer_target(p);
		if (!t)
			return;
	}
	info.timer.id = p->id;
	info.timer.value = p->value;
	p->queued = lx_signal_send_locked(g, t, &info) == 1;
}

/* With group->lock. */
static void posix_expired_locked(struct posix_timer *p, uint64_t now)
{
	if (p->queued)
		p->overrun++;
	else
		signal_expiry(p);
	if (!p->interval) {
		p->armed = false;
		return;
	}
	if (now > p->deadline)
		p->overrun += (now - p->deadline) / p->interval;
	p->deadline = next_period(p->deadline, p->interval, now);
	if (!is_cpu_clock(p->clock))
		lx_timer_set(&p->timer, p->deadline);
}

static void posix_expired(struct lx_timer *t)
{
	struct posix_timer *p = container_of(t, struct posix_timer, timer);
	struct lx_group *g = p->owner->group;
	uint64_t now;

	rt_mutex_lock(&g->lock);
	now = clock_ns(p);
	if (p->armed && !p->dead && p->deadline <= now)
		posix_expired_locked(p, now);
	rt_mutex_unlock(&g->lock);
}

void lx_itimer_taken_locked(struct lx_group *g, struct lx_siginfo *info)
{
	struct posix_timer *p = g->itimers ? find_locked(g->itimers, info->timer.id) : NULL;

	if (!p)
		return;
	p->queued = false;
	p->last_overrun = p->overrun;
	info->timer.overrun = (int)MIN(p->overrun, (uint64_t)INT32_MAX);
	p->overrun = 0;
}

static bool valid_clock(struct lx_task *self, int clock)
{
	uint64_t ns;

	return clock != CLOCK_MONOTONIC_RAW && clock != CLOCK_REALTIME_COARSE &&
	       clock != CLOCK_MONOTONIC_COARSE && lx_clock_now(self, clock, &ns) == 0;
}

static int check_event(struct lx_task *self, const struct sigevent *ev)
{
	struct lx_task *t;
	int err = 0;

	switch (ev->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL | SIGEV_THREAD_ID:
		t = lx_task_find(self, ev->sigev_notify_thread_id);
		if (!t || t->group != self->group)
			err = -EINVAL;
		if (t)
			lx_task_put(t);
		if (err)
			return err;
		FALLTHROUGH;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		return ev->sigev_signo < 1 || ev->sigev_signo > LX_NSIG ? -EINVAL : 0;
	}
	return -EINVAL;
}

long lx_sys_timer_create(struct lx_task *self, int clock, uaddr_t uevent, uaddr_t uid)
{
	struct lx_group *g = self->group;
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct lx_itimers *it;
	struct posix_timer *p;
	bool full;
	int err;

	if (!valid_clock(self, clock))
		return -EINVAL;
	if (uevent.v) {
		if (lx_copy_from_user(&ev, uevent, sizeof(ev)))
			return -EFAULT;
		err = check_event(self, &ev);
		if (err)
			return err;
	}
	it = get(g);
	p = it ? rt_zalloc(sizeof(*p)) : NULL;
	if (!p)
		return -EAGAIN;
	p->owner = it;
	p->clock = clock;
	p->notify = ev.sigev_notify;
	p->signo = ev.sigev_signo;
	p->tid = ev.sigev_notify & SIGEV_THREAD_ID ? ev.sigev_notify_thread_id : 0;
	lx_timer_init(&p->timer, posix_expired,
		      clock == CLOCK_REALTIME || clock == CLOCK_TAI || clock == CLOCK_REALTIME_ALARM ?
		      LX_TIMER_REALTIME : LX_TIMER_MONOTONIC);

	rt_mutex_lock(&g->lock);
	full = it->count >= MAX_TIMERS_PER_GROUP;
	if (!full) {
		p->id = it->next_id++;
		p->value = uevent.v ? (uint64_t)(uintptr_t)ev.sigev_value.sival_ptr : (uint64_t)p->id;
		it->count++;
		list_add_last(&it->posix, &p->link);
	}
	rt_mutex_unlock(&g->lock);
	if (full) {
		rt_free(p);
		return -EAGAIN;
	}
	if (lx_copy_to_user(uid, &p->id, sizeof(p->id))) {
		(void)lx_sys_timer_delete(self, p->id);
		return -EFAULT;
	}
	return 0;
}

static void read_posix(const struct posix_timer *p, struct itimer_ns *out)
{
	uint64_t now;

	*out = (struct itimer_ns){ .interval = p->interval };
	if (!p->armed)
		return;
	now = clock_ns(p);
	out->value = p->deadline > now ? p->deadline - now : 1;
}

static int put_itimerspec(uaddr_t to, const struct itimer_ns *t)
{
	int err = lx_timespec_to_user(to, t->interval);

	return err ? err : lx_timespec_to_user(uaddr_add(to, 16), t->value);
}

long lx_sys_timer_settime(struct lx_task *self, int id, unsigned int flags, uaddr_t uvalue,
			  uaddr_t uold)
{
	struct lx_group *g = self->group;
	struct lx_itimers *it = g->itimers;
	struct itimer_ns new, old;
	struct posix_timer *p;
	int err;

	if (!uvalue.v)
		return -EINVAL;
	err = lx_timespec_from_user(&new.interval, uvalue);
	if (!err)
		err = lx_timespec_from_user(&new.value, uaddr_add(uvalue, 16));
	if (err)
		return err;
	rt_mutex_lock(&g->lock);
	p = it ? find_locked(it, id) : NULL;
	if (p) {
		read_posix(p, &old);
		p->armed = new.value != 0;
		p->interval = p->armed ? new.interval : 0;
		p->overrun = p->last_overrun = 0;
		if (p->armed) {
			p->deadline = flags & TIMER_ABSTIME ? new.value : clock_ns(p) + new.value;
			if (p->deadline > LX_TIME_MAX)
				p->deadline = LX_TIME_MAX;
			rearm(p);
		}
	}
	rt_mutex_unlock(&g->lock);
	if (!p)
		return -EINVAL;
	return uold.v ? put_itimerspec(uold, &old) : 0;
}

long lx_sys_timer_gettime(struct lx_task *self, int id, uaddr_t uvalue)
{
	struct lx_group *g = self->group;
	struct itimer_ns now;
	struct posix_timer *p;

	rt_mutex_lock(&g->lock);
	p = g->itimers ? find_locked(g->itimers, id) : NULL;
	if (p)
		read_posix(p, &now);
	rt_mutex_unlock(&g->lock);
	return p ? put_itimerspec(uvalue, &now) : -EINVAL;
}

long lx_sys_timer_getoverrun(struct lx_task *self, int id)
{
	struct lx_group *g = self->group;
	struct posix_timer *p;
	long n = -EINVAL;

	rt_mutex_lock(&g->lock);
	p = g->itimers ? find_locked(g->itimers, id) : NULL;
	if (p)
		n = (long)MIN(p->last_overrun, (uint64_t)INT32_MAX);
	rt_mutex_unlock(&g->lock);
	return n;
}

long lx_sys_timer_delete(struct lx_task *self, int id)
{
	struct lx_group *g = self->group;
	struct posix_timer *p;

	rt_mutex_lock(&g->lock);
	p = g->itimers ? find_locked(g->itimers, id) : NULL;
	if (p) {
		list_remove(&p->link);
		p->armed = false;
		p->dead = true;
		g->itimers->count--;
	}
	rt_mutex_unlock(&g->lock);
	if (!p)
		return -EINVAL;
	(void)lx_timer_cancel(&p->timer);
	rt_free(p);
	return 0;
}
