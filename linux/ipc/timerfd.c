/* SPDX-License-Identifier: MIT */
/*
 * timerfd: timers that are read.
 *
 * The callback only counts and wakes: a periodic timer is set again when somebody
 * looks (read, gettime), which adds the periods that went by, so that a short
 * period that nobody reads costs nothing.  The callback takes no lock; so the
 * timer can be cancelled, which waits for the callback, with the lock held.
 */

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <linux/capability.h>
#include <linux/time.h>
#include <linux/timerfd.h>

#include "base/format.h"
#include "lx/file.h"
#include "lx/iter.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "rt/time.h"

struct timerfd {
	struct lx_waitq wait;
	struct lx_timer timer;
	int clock;			/* constant: CLOCK_* */

	/* Counted by the callback, taken with the lock. */
	_Atomic(uint64_t) ticks;
	_Atomic(bool) expired;		/* the timer ran, and is not set again yet */

	struct rt_mutex lock;		/* rank LX_LOCK_PIPE */
	bool realtime;			/* the deadline is one of the realtime clock */
	bool armed;
	uint64_t deadline, interval;
	unsigned int flags;		/* of the last settime */
	uint32_t clock_seen;		/* lx_clock_was_set at the last settime or ECANCELED */
	/* Watches settings of the clock, if flags say TFD_TIMER_CANCEL_ON_SET. */
	bool watching;
	struct lx_wait_entry clock_entry;
};

struct itimer_ns {
	uint64_t interval, value;
};

static const struct lx_file_ops timerfd_ops;

static void timerfd_fire(struct lx_timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);

	atomic_store(&t->expired, true);
	atomic_fetch_add(&t->ticks, 1);
	lx_wake(&t->wait, POLLIN, ~0u);
}

/* The clock was set: under the lock of lx_clock_set_wait. */
static bool clock_set(struct lx_wait_entry *entry, uint32_t events)
{
	struct timerfd *t = container_of(entry, struct timerfd, clock_entry);

	lx_wake_nested(&t->wait, POLLIN, ~0u);
	return false;
}

static uint64_t timerfd_now(const struct timerfd *t)
{
	return t->realtime ? rt_realtime_ns() : rt_now_ns();
}

static bool is_canceled(const struct timerfd *t)
{
	return t->watching && t->clock_seen != atomic_load(&lx_clock_was_set);
}

/* Count the periods since the timer ran, and set it for the next.  Locked. */
static void catch_up(struct timerfd *t)
{
	uint64_t now, periods;

	if (!t->armed || !t->interval || !atomic_load(&t->expired))
		return;
	now = timerfd_now(t);
	periods = now > t->deadline ? (now - t->deadline) / t->interval : 0;
	atomic_store(&t->expired, false);
	atomic_fetch_add(&t->ticks, periods);
	t->deadline += (periods + 1) * t->interval;
	lx_timer_set(&t->timer, MAX(t->deadline, 1ull));
}

static bool would_block(const struct lx_file *f)
{
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

static int64_t take_ticks(struct timerfd *t, uint64_t *ticks)
{
	int64_t err = 0;

	rt_mutex_lock(&t->lock);
	if (is_canceled(t)) {
		t->clock_seen = atomic_load(&lx_clock_was_set);
		atomic_store(&t->ticks, 0);
		err = -ECANCELED;
	} else {
		catch_up(t);
		*ticks = atomic_exchange(&t->ticks, 0);
	}
	rt_mutex_unlock(&t->lock);
	return err;
}

static int64_t timerfd_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct timerfd *t = f->private;
	uint64_t ticks = 0;
	size_t put = 0;
	int64_t err;

	if (to->count < sizeof(ticks))
		return -EINVAL;
	while (!(err = take_ticks(t, &ticks)) && !ticks) {
		if (would_block(f))
			return -EAGAIN;
		err = lx_wait_event(lx_self(), &t->wait,
				    atomic_load(&t->ticks) || is_canceled(t), K_DEADLINE_NEVER,
				    LX_WAIT_INTERRUPTIBLE);
		if (err)
			return err;
	}
	if (err)
		return err;
	while (put < sizeof(ticks)) {
		put += lx_iter_put(to, (uint8_t *)&ticks + put, sizeof(ticks) - put);
		if (put < sizeof(ticks) && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	return sizeof(ticks);
}

static uint32_t timerfd_poll(struct lx_file *f, struct lx_poll *p)
{
	struct timerfd *t = f->private;

	lx_poll_wait(p, f, &t->wait);
	return atomic_load(&t->ticks) || is_canceled(t) ? POLLIN : 0;
}

static void stop_watching(struct timerfd *t)
{
	if (t->watching)
		lx_waitq_remove(&lx_clock_set_wait, &t->clock_entry);
	t->watching = false;
}

static void timerfd_release(struct lx_file *f)
{
	struct timerfd *t = f->private;

	lx_timer_cancel(&t->timer);
	stop_watching(t);
	rt_free(t);
}

/* What is left, and the interval.  Locked. */
static struct itimer_ns remaining(struct timerfd *t)
{
	struct itimer_ns left = { .interval = t->interval };
	uint64_t now;

	catch_up(t);
	if (!t->armed || atomic_load(&t->expired))
		return left;
	now = timerfd_now(t);
	left.value = t->deadline > now ? t->deadline - now : 1;
	return left;
}

static size_t timerfd_fdinfo(struct lx_file *f, char *buf, size_t size)
{
	struct timerfd *t = f->private;
	struct itimer_ns left;

	rt_mutex_lock(&t->lock);
	left = remaining(t);
	rt_mutex_unlock(&t->lock);
	return (size_t)scnprintf(buf, size,
			"clockid: %d\nticks: %llu\nsettime flags: 0%o\n"
			"it_value: (%llu, %llu)\nit_interval: (%llu, %llu)\n",
			t->clock, (unsigned long long)atomic_load(&t->ticks), t->flags,
			(unsigned long long)(left.value / LX_NSEC_PER_SEC),
			(unsigned long long)(left.value % LX_NSEC_PER_SEC),
			(unsigned long long)(left.interval / LX_NSEC_PER_SEC),
			(unsigned long long)(left.interval % LX_NSEC_PER_SEC));
}

static const struct lx_file_ops timerfd_ops = {
	.read = timerfd_read,
	.poll = timerfd_poll,
	.release = timerfd_release,
	.fdinfo = timerfd_fdinfo,
};

long lx_sys_timerfd_create(struct lx_task *self, int clock, unsigned int flags)
{
	struct timerfd *t;
	struct lx_file *f;
	int fd;

	if (flags & ~(unsigned int)(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME &&
	    clock != CLOCK_REALTIME_ALARM && clock != CLOCK_BOOTTIME_ALARM)
		return -EINVAL;
	if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) &&
	    !lx_capable(self, CAP_WAKE_ALARM))
		return -EPERM;
	t = rt_zalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->clock = clock;
	lx_waitq_init(&t->wait);
	rt_mutex_init(&t->lock, LX_LOCK_PIPE);
	lx_timer_init(&t->timer, timerfd_fire, LX_TIMER_MONOTONIC);
	f = lx_file_anon("anon_inode:[timerfd]", &timerfd_ops, t, O_RDWR | (flags & TFD_NONBLOCK),
			 LX_FMODE_READ | LX_FMODE_WRITE);
	if (!f) {
		rt_free(t);
		return -ENOMEM;
	}
	fd = lx_fd_install(self, f, 0, flags & TFD_CLOEXEC);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

/* -- settime, gettime ------------------------------------------------------------------------- */

static int load_itimer(struct itimer_ns *it, uaddr_t from)
{
	int err = lx_timespec_from_user(&it->interval, from);

	return err ? err : lx_timespec_from_user(&it->value,
						 uaddr_add(from, sizeof(struct __kernel_timespec)));
}

static int store_itimer(uaddr_t to, const struct itimer_ns *it)
{
	int err = lx_timespec_to_user(to, it->interval);

	return err ? err : lx_timespec_to_user(uaddr_add(to, sizeof(struct __kernel_timespec)),
					       it->value);
}

static void set_locked(struct timerfd *t, unsigned int flags, const struct itimer_ns *it)
{
	bool realtime_clock = t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM;
	bool absolute = flags & TFD_TIMER_ABSTIME;
	uint64_t now;

	lx_timer_cancel(&t->timer);
	stop_watching(t);
	atomic_store(&t->ticks, 0);
	atomic_store(&t->expired, false);
	t->flags = flags;
	t->interval = it->interval;
	t->armed = it->value != 0;
	/* Changes of the realtime clock move absolute times only. */
	t->realtime = realtime_clock && absolute;
	lx_timer_init(&t->timer, timerfd_fire,
		      t->realtime ? LX_TIMER_REALTIME : LX_TIMER_MONOTONIC);
	if (t->realtime && flags & TFD_TIMER_CANCEL_ON_SET) {
		t->clock_seen = atomic_load(&lx_clock_was_set);
		t->watching = true;
		lx_wait_entry_init(&t->clock_entry, NULL);
		t->clock_entry.wake = clock_set;
		lx_waitq_add(&lx_clock_set_wait, &t->clock_entry);
	}
	if (!t->armed)
		return;
	now = absolute ? 0 : timerfd_now(t);
	if (!add_u64(now, it->value, &t->deadline))
		t->deadline = UINT64_MAX;
	lx_timer_set(&t->timer, t->deadline);
}

static struct lx_file *timerfd_get(struct lx_task *self, int fd, int *err)
{
	struct lx_file *f = lx_fd_get(self, fd);

	*err = -EBADF;
	if (f && f->ops != &timerfd_ops) {
		lx_file_put(f);
		*err = -EINVAL;
		f = NULL;
	}
	return f;
}

long lx_sys_timerfd_settime(struct lx_task *self, int fd, unsigned int flags, uaddr_t value,
			    uaddr_t uold)
{
	struct itimer_ns it, old;
	struct timerfd *t;
	struct lx_file *f;
	int err;

	if (flags & ~(unsigned int)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	err = load_itimer(&it, value);
	if (err)
		return err;
	f = timerfd_get(self, fd, &err);
	if (!f)
		return err;
	t = f->private;
	rt_mutex_lock(&t->lock);
	old = remaining(t);
	set_locked(t, flags, &it);
	rt_mutex_unlock(&t->lock);
	lx_file_put(f);
	return uold.v ? store_itimer(uold, &old) : 0;
}

long lx_sys_timerfd_gettime(struct lx_task *self, int fd, uaddr_t value)
{
	struct itimer_ns left;
	struct timerfd *t;
	struct lx_file *f;
	int err;

	f = timerfd_get(self, fd, &err);
	if (!f)
		return err;
	t = f->private;
	rt_mutex_lock(&t->lock);
	left = remaining(t);
	rt_mutex_unlock(&t->lock);
	lx_file_put(f);
	return store_itimer(value, &left);
}
