/* SPDX-License-Identifier: MIT */
/*
 * signalfd: pending signals of whoever reads.
 *
 * A file has a mask and no queue of its own: it reads and polls the signals of the
 * calling task.  Pollers are queued with the process that polls, so the file keeps
 * a reference to each process that ever polled it with a wait: the queue is there
 * as long as an epoll set may have an entry in it.
 */

#include <asm/poll.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/signalfd.h>

#include "base/format.h"
#include "lx/file.h"
#include "lx/iter.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"

struct poller {
	struct poller *next;
	struct lx_group *group;		/* a reference */
};

struct signalfd {
	_Atomic(uint64_t) mask;
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF */
	struct poller *pollers;		/* lock */
};

static const struct lx_file_ops signalfd_ops;

/* Which fields siginfo_t has depends on where the signal came from: signalfd(2). */
static void convert(struct signalfd_siginfo *out, const struct lx_siginfo *info)
{
	siginfo_t si;

	lx_siginfo_export(info, &si);
	memset(out, 0, sizeof(*out));
	out->ssi_signo = (uint32_t)si.si_signo;
	out->ssi_errno = si.si_errno;
	out->ssi_code = si.si_code;
	if (si.si_code == SI_TIMER) {
		out->ssi_tid = (uint32_t)si.si_tid;
		out->ssi_overrun = (uint32_t)si.si_overrun;
		out->ssi_ptr = (uint64_t)(uintptr_t)si.si_ptr;
		out->ssi_int = si.si_int;
	} else if (si.si_code < 0 || si.si_code == SI_USER || si.si_code == SI_KERNEL) {
		out->ssi_pid = (uint32_t)si.si_pid;
		out->ssi_uid = (uint32_t)si.si_uid;
		if (si.si_code < 0 && si.si_code != SI_TKILL) {
			out->ssi_ptr = (uint64_t)(uintptr_t)si.si_ptr;
			out->ssi_int = si.si_int;
		}
	} else if (si.si_signo == SIGCHLD) {
		out->ssi_pid = (uint32_t)si.si_pid;
		out->ssi_uid = (uint32_t)si.si_uid;
		out->ssi_status = si.si_status;
		out->ssi_utime = (uint64_t)si.si_utime;
		out->ssi_stime = (uint64_t)si.si_stime;
	} else if (si.si_signo == SIGPOLL) {
		out->ssi_band = (uint32_t)si.si_band;
		out->ssi_fd = si.si_fd;
	} else {
		out->ssi_addr = (uint64_t)(uintptr_t)si.si_addr;
	}
}

static int put_info(struct lx_iter *to, const struct lx_siginfo *info)
{
	struct signalfd_siginfo out;
	size_t put = 0;

	convert(&out, info);
	while (put < sizeof(out)) {
		put += lx_iter_put(to, (uint8_t *)&out + put, sizeof(out) - put);
		if (put < sizeof(out) && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	return 0;
}

static int64_t signalfd_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct signalfd *s = f->private;
	struct lx_task *self = lx_self();
	struct lx_siginfo info;
	int64_t done = 0;
	int err;

	if (to->count < sizeof(struct signalfd_siginfo))
		return -EINVAL;
	while (to->count >= sizeof(struct signalfd_siginfo)) {
		uint64_t mask = atomic_load(&s->mask);

		if (!lx_signal_dequeue(self, mask, &info)) {
			if (done)
				break;
			if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK)
				return -EAGAIN;
			err = lx_wait_event(self, &self->group->signal_fd_wait,
					    lx_signal_pending_set(self) & atomic_load(&s->mask),
					    K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
			if (err)
				return err;
			continue;
		}
		err = put_info(to, &info);
		if (err)
			return done ? done : err;
		done += sizeof(struct signalfd_siginfo);
	}
	return done;
}

/* Remember that @group's queue may have an entry for this file. */
static bool add_poller(struct signalfd *s, struct lx_group *group)
{
	struct poller *p, *fresh = rt_alloc(sizeof(*fresh));

	rt_mutex_lock(&s->lock);
	for (p = s->pollers; p && p->group != group; p = p->next)
		;
	if (!p && fresh) {
		fresh->group = lx_group_get(group);
		fresh->next = s->pollers;
		s->pollers = p = fresh;
		fresh = NULL;
	}
	rt_mutex_unlock(&s->lock);
	rt_free(fresh);
	return p != NULL;
}

static uint32_t signalfd_poll(struct lx_file *f, struct lx_poll *p)
{
	struct signalfd *s = f->private;
	struct lx_task *self = lx_self();

	if (p && p->queue && add_poller(s, self->group))
		lx_poll_wait(p, f, &self->group->signal_fd_wait);
	return lx_signal_pending_set(self) & atomic_load(&s->mask) ? POLLIN : 0;
}

static void signalfd_release(struct lx_file *f)
{
	struct signalfd *s = f->private;
	struct poller *p, *next;

	for (p = s->pollers; p; p = next) {
		next = p->next;
		lx_group_put(p->group);
		rt_free(p);
	}
	rt_free(s);
}

static size_t signalfd_fdinfo(struct lx_file *f, char *buf, size_t size)
{
	struct signalfd *s = f->private;

	return (size_t)scnprintf(buf, size, "sigmask:\t%016llx\n",
				 (unsigned long long)atomic_load(&s->mask));
}

static const struct lx_file_ops signalfd_ops = {
	.read = signalfd_read,
	.poll = signalfd_poll,
	.release = signalfd_release,
	.fdinfo = signalfd_fdinfo,
};

static long signalfd_new(struct lx_task *self, uint64_t mask, unsigned int flags)
{
	struct signalfd *s = rt_zalloc(sizeof(*s));
	struct lx_file *f;
	int fd;

	if (!s)
		return -ENOMEM;
	atomic_init(&s->mask, mask);
	rt_mutex_init(&s->lock, LX_LOCK_LEAF);
	f = lx_file_anon("anon_inode:[signalfd]", &signalfd_ops, s,
			 O_RDWR | (flags & SFD_NONBLOCK), LX_FMODE_READ | LX_FMODE_WRITE);
	if (!f) {
		rt_free(s);
		return -ENOMEM;
	}
	fd = lx_fd_install(self, f, 0, flags & SFD_CLOEXEC);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

/* Replace the mask of an open one. */
static long signalfd_change(struct lx_task *self, int fd, uint64_t mask)
{
	struct lx_file *f = lx_fd_get(self, fd);

	if (!f)
		return -EBADF;
	if (f->ops != &signalfd_ops) {
		lx_file_put(f);
		return -EINVAL;
	}
	atomic_store(&((struct signalfd *)f->private)->mask, mask);
	lx_wake(&self->group->signal_fd_wait, 0, ~0u);
	lx_file_put(f);
	return fd;
}

long lx_sys_signalfd4(struct lx_task *self, int fd, uaddr_t set, size_t size, unsigned int flags)
{
	uint64_t mask;

	if (flags & ~(unsigned int)(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	if (size != sizeof(mask))
		return -EINVAL;
	if (lx_copy_from_user(&mask, set, sizeof(mask)))
		return -EFAULT;
	mask &= ~(LX_SIGMASK(SIGKILL) | LX_SIGMASK(SIGSTOP));
	return fd == -1 ? signalfd_new(self, mask, flags) : signalfd_change(self, fd, mask);
}

long lx_sys_signalfd(struct lx_task *self, int fd, uaddr_t set, size_t size)
{
	return lx_sys_signalfd4(self, fd, set, size, 0);
}
