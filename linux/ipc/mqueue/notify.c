/* SPDX-License-Identifier: MIT */
/*
 * mq_notify(3): one process at a time is told, once, that a message came into the
 * empty queue while nobody waited for one.
 *
 * The C library builds SIGEV_THREAD on a netlink socket; there are none, and it gets
 * what Linux answers about a descriptor that is no such socket.
 */

#include "ipc/mqueue/mqueue.h"

#include <asm/signal.h>
#include <asm/siginfo.h>

#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/signal.h"
#include "lx/syscall.h"

#define COOKIE_SIZE 32

void mq_notify_clear(struct mqueue *q)
{
	if (!q->notify.owner)
		return;
	lx_pid_put(q->notify.owner);
	lx_group_put(q->notify.group);
	q->notify = (struct mq_notify){ 0 };
}

void mq_notify_locked(struct lx_task *self, struct mqueue *q)
{
	struct mq_notify *n = &q->notify;
	struct lx_siginfo info;

	if (!n->owner)
		return;
	if (n->how == SIGEV_SIGNAL && n->signo) {
		info = lx_siginfo_user(self, n->signo, SI_MESGQ);
		info.rt.value = n->value;
		(void)lx_signal_group(n->group, &info);
	}
	mq_notify_clear(q);
}

void mq_notify_cancel(struct lx_task *self, struct mqueue *q)
{
	rt_mutex_lock(&q->lock);
	if (q->notify.owner == self->group->pid_struct)
		mq_notify_clear(q);
	rt_mutex_unlock(&q->lock);
}

static int request(struct lx_task *self, struct mqueue *q, const struct sigevent *event)
{
	int err = 0;

	rt_mutex_lock(&q->lock);
	if (q->notify.owner) {
		err = -EBUSY;
	} else {
		q->notify = (struct mq_notify){
			.owner = lx_pid_get(self->group->pid_struct),
			.group = lx_group_get(self->group),
			.how = event->sigev_notify,
			.signo = event->sigev_signo,
			.value = (uint64_t)(uintptr_t)event->sigev_value.sival_ptr,
		};
		lx_inode_touch(q->inode, LX_ATTR_ATIME | LX_ATTR_CTIME);
	}
	rt_mutex_unlock(&q->lock);
	return err;
}

/* SIGEV_THREAD: the signal number is a descriptor. */
static int no_netlink_socket(struct lx_task *self, const struct sigevent *event)
{
	uint8_t cookie[COOKIE_SIZE];
	struct lx_file *f;
	bool socket;

	if (lx_copy_from_user(cookie, uaddr((uint64_t)(uintptr_t)event->sigev_value.sival_ptr),
			      sizeof(cookie)))
		return -EFAULT;
	f = lx_fd_get(self, event->sigev_signo);
	if (!f)
		return -EBADF;
	socket = (f->inode->mode & S_IFMT) == S_IFSOCK;
	lx_file_put(f);
	return socket ? -EINVAL : -ENOTSOCK;
}

static int check(struct lx_task *self, const struct sigevent *event)
{
	switch (event->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL:
		return event->sigev_signo < 0 || event->sigev_signo > LX_NSIG ? -EINVAL : 0;
	case SIGEV_THREAD:
		return no_netlink_socket(self, event);
	}
	return -EINVAL;
}

long lx_sys_mq_notify(struct lx_task *self, int fd, uaddr_t uevent)
{
	struct sigevent event;
	struct lx_file *f;
	int err = 0;

	if (uevent.v) {
		if (lx_copy_from_user(&event, uevent, sizeof(event)))
			return -EFAULT;
		err = check(self, &event);
		if (err)
			return err;
	}
	f = lx_fd_get(self, fd);
	if (!f)
		return -EBADF;
	if (f->ops != &mq_file_ops)
		err = -EBADF;
	else if (uevent.v)
		err = request(self, f->inode->private, &event);
	else
		mq_notify_cancel(self, f->inode->private);
	lx_file_put(f);
	return err;
}
