/* SPDX-License-Identifier: MIT */
/*
 * eventfd: a 64-bit counter that can be waited for.
 *
 * A read takes the whole count (or 1, EFD_SEMAPHORE) and waits while it is 0; a
 * write adds and waits while the sum would reach the largest value.
 */

#include <asm/poll.h>
#include <linux/fcntl.h>

#include "base/format.h"
#include "lx/file.h"
#include "lx/iter.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"

/* sys/eventfd.h; the UAPI headers got them late. */
#define EFD_SEMAPHORE	1u
#define EFD_CLOEXEC	(unsigned int)O_CLOEXEC
#define EFD_NONBLOCK	(unsigned int)O_NONBLOCK

struct eventfd {
	struct lx_waitq wait;		/* readers and writers */
	struct rt_mutex lock;		/* rank LX_LOCK_PIPE */
	uint64_t count;			/* lock, also read without it; below UINT64_MAX */
	bool semaphore;			/* constant */
};

static bool would_block(const struct lx_file *f)
{
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

/* Take from the counter: what the read returns, or 0 if there is nothing. */
static uint64_t eventfd_take(struct eventfd *e)
{
	uint64_t value;

	rt_mutex_lock(&e->lock);
	value = e->semaphore && e->count ? 1 : e->count;
	WRITE_ONCE(e->count, e->count - value);
	rt_mutex_unlock(&e->lock);
	return value;
}

static bool eventfd_add(struct eventfd *e, uint64_t value)
{
	bool ok;

	rt_mutex_lock(&e->lock);
	ok = UINT64_MAX - e->count > value;
	if (ok)
		WRITE_ONCE(e->count, e->count + value);
	rt_mutex_unlock(&e->lock);
	return ok;
}

static int64_t eventfd_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct eventfd *e = f->private;
	uint64_t value;
	size_t put = 0;
	int err;

	if (to->count < sizeof(value))
		return -EINVAL;
	value = eventfd_take(e);
	if (!value) {
		if (would_block(f))
			return -EAGAIN;
		err = lx_wait_event(lx_self(), &e->wait, (value = eventfd_take(e)) != 0,
				    K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
		if (err)
			return err;
	}
	lx_wake(&e->wait, POLLOUT, ~0u);
	while (put < sizeof(value)) {
		put += lx_iter_put(to, (uint8_t *)&value + put, sizeof(value) - put);
		if (put < sizeof(value) && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	return sizeof(value);
}

static int64_t eventfd_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct eventfd *e = f->private;
	uint64_t value;
	size_t got = 0;
	int err;

	if (from->count < sizeof(value))
		return -EINVAL;
	while (got < sizeof(value)) {
		got += lx_iter_get(from, (uint8_t *)&value + got, sizeof(value) - got);
		if (got < sizeof(value) && lx_iter_fault_in(from, false))
			return -EFAULT;
	}
	if (value == UINT64_MAX)
		return -EINVAL;
	if (!eventfd_add(e, value)) {
		if (would_block(f))
			return -EAGAIN;
		err = lx_wait_event(lx_self(), &e->wait, eventfd_add(e, value), K_DEADLINE_NEVER,
				    LX_WAIT_INTERRUPTIBLE);
		if (err)
			return err;
	}
	lx_wake(&e->wait, POLLIN, ~0u);
	return sizeof(value);
}

static uint32_t eventfd_poll(struct lx_file *f, struct lx_poll *p)
{
	struct eventfd *e = f->private;
	uint32_t mask = 0;
	uint64_t count;

	lx_poll_wait(p, f, &e->wait);
	count = READ_ONCE(e->count);
	if (count)
		mask |= POLLIN;
	if (count == UINT64_MAX)
		mask |= POLLERR;
	if (count < UINT64_MAX - 1)
		mask |= POLLOUT;
	return mask;
}

static void eventfd_release(struct lx_file *f)
{
	rt_free(f->private);
}

static size_t eventfd_fdinfo(struct lx_file *f, char *buf, size_t size)
{
	struct eventfd *e = f->private;

	return (size_t)scnprintf(buf, size, "eventfd-count: %16llx\n",
				 (unsigned long long)READ_ONCE(e->count));
}

static const struct lx_file_ops eventfd_ops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.release = eventfd_release,
	.fdinfo = eventfd_fdinfo,
};

long lx_sys_eventfd2(struct lx_task *self, unsigned int count, unsigned int flags)
{
	struct eventfd *e;
	struct lx_file *f;
	int fd;

	if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	e = rt_zalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	lx_waitq_init(&e->wait);
	rt_mutex_init(&e->lock, LX_LOCK_PIPE);
	f = lx_file_anon("anon_inode:[eventfd]", &eventfd_ops, e, O_RDWR | (flags & EFD_NONBLOCK),
			 LX_FMODE_READ | LX_FMODE_WRITE);
	if (!f) {
		rt_free(e);
		return -ENOMEM;
	}
	fd = lx_fd_install(self, f, 0, flags & EFD_CLOEXEC);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

long lx_sys_eventfd(struct lx_task *self, unsigned int count)
{
	return lx_sys_eventfd2(self, count, 0);
}
