/* SPDX-License-Identifier: MIT */
/*
 * System V message queues: sending and receiving.  See msgop(2).
 *
 * A message is copied from the sender before the queue is locked and to the receiver
 * after it was taken out.  So a receiver whose buffer turns out to be bad has lost
 * the message; on Linux too.
 */

#include "ipc/sysv/msg.h"
#include "lx/mm.h"
#include "lx/ns.h"
#include "lx/syscall.h"
#include "lx/task.h"

#define MTYPE_SIZE sizeof(int64_t)

/* -- waiting */

static void finish(struct msg_waiter *w, int result)
{
	struct lx_task *task = lx_task_get(w->task);

	list_remove(&w->link);
	atomic_store_explicit(&w->result, result, memory_order_release);
	/* @w may be gone; the task we hold. */
	lx_task_wake(task);
	lx_task_put(task);
}

void msg_fail_waiters(struct msg_queue *q, int result)
{
	struct msg_waiter *w;

	while ((w = list_first_entry(&q->receivers, struct msg_waiter, link)))
		finish(w, result);
	while ((w = list_first_entry(&q->senders, struct msg_waiter, link)))
		finish(w, result);
}

/* Queue locked, and unlocked on return; sleep until somebody finishes @w.  Its result or -ERESTARTNOHAND. */
static int wait(struct lx_task *self, struct msg_queue *q, struct list *waiters,
		struct msg_waiter *w)
{
	int err, result;

	atomic_store_explicit(&w->result, MSG_WAITING, memory_order_relaxed);
	list_add_last(waiters, &w->link);
	rt_mutex_unlock(&q->obj.lock);
	do {
		lx_wait_prepare(self);
		result = atomic_load_explicit(&w->result, memory_order_acquire);
		if (result != MSG_WAITING)
			return result;
		err = lx_wait_block(self, K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
	} while (!err);
	rt_mutex_lock(&q->obj.lock);
	result = atomic_load_explicit(&w->result, memory_order_acquire);
	if (result == MSG_WAITING) {
		list_remove(&w->link);
		result = -LX_ERESTARTNOHAND;
	}
	rt_mutex_unlock(&q->obj.lock);
	return result;
}

/* -- which messages */

static bool wants(const struct msg_waiter *w, const struct msg *m)
{
	if (w->type == 0)
		return true;
	if (w->type < 0)
		return m->type <= -w->type;
	return (m->type == w->type) != ((w->flags & MSG_EXCEPT) != 0);
}

static struct msg *find(struct msg_queue *q, const struct msg_waiter *w)
{
	struct msg *m, *best = NULL;

	list_for_each_entry(m, &q->messages, link) {
		if (!wants(w, m))
			continue;
		if (w->type >= 0)
			return m;
		if (!best || m->type < best->type)
			best = m;	/* the lowest type, the oldest of it */
	}
	return best;
}

static bool too_big(const struct msg_waiter *w, const struct msg *m)
{
	return m->size > w->size && !(w->flags & MSG_NOERROR);
}

/* -- into and out of the queue */

static bool fits(const struct msg_queue *q, size_t size)
{
	return size + q->bytes <= q->max_bytes && 1 + q->count <= q->max_bytes;
}

static void enqueue(struct msg_queue *q, struct msg *m)
{
	list_add_last(&q->messages, &m->link);
	q->bytes += m->size;
	q->count++;
	atomic_fetch_add(&q->obj.ns->msg_bytes, m->size);
	atomic_fetch_add(&q->obj.ns->msg_count, 1);
}

static void dequeue(struct msg_queue *q, struct msg *m)
{
	list_remove(&m->link);
	q->bytes -= m->size;
	q->count--;
	atomic_fetch_sub(&q->obj.ns->msg_bytes, m->size);
	atomic_fetch_sub(&q->obj.ns->msg_count, 1);
}

static void note_receiver(struct msg_queue *q, lx_pid_t pid)
{
	q->lrpid = pid;
	q->rtime = ipc_now();
}

/* Give @m to a waiting receiver; one whose buffer is too small is told so, and goes. */
static bool hand_over(struct msg_queue *q, struct msg *m)
{
	struct msg_waiter *w, *tmp;

	list_for_each_entry_safe(w, tmp, &q->receivers, link) {
		if (!wants(w, m))
			continue;
		if (too_big(w, m)) {
			finish(w, -E2BIG);
			continue;
		}
		note_receiver(q, w->pid);
		w->msg = m;
		finish(w, 0);
		return true;
	}
	return false;
}

/* @m leaves its sender. */
static void accept(struct msg_queue *q, struct msg *m, lx_pid_t pid)
{
	q->lspid = pid;
	q->stime = ipc_now();
	if (!hand_over(q, m))
		enqueue(q, m);
}

void msg_admit_senders(struct msg_queue *q)
{
	struct msg_waiter *w, *tmp;

	list_for_each_entry_safe(w, tmp, &q->senders, link) {
		if (!fits(q, w->msg->size))
			continue;
		accept(q, w->msg, w->pid);
		finish(w, 0);
	}
}

/* -- msgsnd */

static int load(uaddr_t umsg, size_t size, int64_t type, struct msg **out)
{
	struct msg *m = rt_alloc(sizeof(*m) + size);

	if (!m)
		return -ENOMEM;
	if (lx_copy_from_user(m->data, uaddr_add(umsg, MTYPE_SIZE), size)) {
		rt_free(m);
		return -EFAULT;
	}
	list_init(&m->link);
	m->type = type;
	m->size = size;
	*out = m;
	return 0;
}

/* 0: @m is the queue's, or a receiver's. */
static long send(struct lx_task *self, int id, struct msg *m, unsigned int flags)
{
	struct msg_waiter w = { .task = self, .pid = self->group->pid, .msg = m };
	struct msg_queue *q;
	struct ipc_object *o;
	long ret = ipc_lock(self->ns->ipc, IPC_MSG, id, &o);

	if (ret)
		return ret;
	q = queue_of(o);
	list_init(&w.link);
	for (;;) {
		ret = ipc_permission(self, o, IPC_WRITE);
		if (!ret && !fits(q, m->size))
			ret = -EAGAIN;
		if (ret != -EAGAIN || (flags & IPC_NOWAIT)) {
			if (!ret)
				accept(q, m, w.pid);
			rt_mutex_unlock(&o->lock);
			break;
		}
		ret = wait(self, q, &q->senders, &w);
		if (ret != MSG_AGAIN)
			break;
		ret = ipc_relock(o);
		if (ret)
			break;
	}
	ipc_object_put(o);
	return ret;
}

long lx_sys_msgsnd(struct lx_task *self, int id, uaddr_t umsg, size_t size, unsigned int flags)
{
	struct msg *m;
	int64_t type;
	long ret;

	if (lx_copy_from_user(&type, umsg, sizeof(type)))
		return -EFAULT;
	if (size > atomic_load(&self->ns->ipc->msgmax) || id < 0 || type < 1)
		return -EINVAL;
	ret = load(umsg, size, type, &m);
	if (ret)
		return ret;
	ret = send(self, id, m, flags);
	if (ret)
		rt_free(m);
	return ret;
}

/* -- msgrcv */

/* MSG_COPY: a copy of the message at a position; w->msg has room for w->size bytes. */
static long peek(struct msg_queue *q, struct msg_waiter *w)
{
	int64_t position = 0;
	struct msg *m;

	list_for_each_entry(m, &q->messages, link) {
		if (position++ != w->type)
			continue;
		if (too_big(w, m))
			return -E2BIG;
		w->msg->type = m->type;
		w->msg->size = m->size;
		memcpy(w->msg->data, m->data, MIN(m->size, w->size));
		return 0;
	}
	return -ENOMSG;
}

static long take(struct msg_queue *q, struct msg_waiter *w)
{
	struct msg *m = find(q, w);

	if (!m)
		return -ENOMSG;
	if (too_big(w, m))
		return -E2BIG;
	dequeue(q, m);
	note_receiver(q, w->pid);
	w->msg = m;
	msg_admit_senders(q);
	return 0;
}

/* 0: w->msg is the caller's. */
static long receive(struct lx_task *self, int id, struct msg_waiter *w)
{
	struct msg_queue *q;
	struct ipc_object *o;
	long ret = ipc_lock(self->ns->ipc, IPC_MSG, id, &o);

	if (ret)
		return ret;
	q = queue_of(o);
	for (;;) {
		ret = ipc_permission(self, o, IPC_READ);
		if (!ret)
			ret = w->flags & MSG_COPY ? peek(q, w) : take(q, w);
		if (ret != -ENOMSG || (w->flags & IPC_NOWAIT)) {
			rt_mutex_unlock(&o->lock);
			break;
		}
		ret = wait(self, q, &q->receivers, w);
		if (ret != MSG_AGAIN)
			break;
		ret = ipc_relock(o);
		if (ret)
			break;
	}
	ipc_object_put(o);
	return ret;
}

static long store(uaddr_t umsg, const struct msg *m, size_t size)
{
	size_t n = MIN(size, m->size);

	if (lx_copy_to_user(umsg, &m->type, sizeof(m->type)) ||
	    lx_copy_to_user(uaddr_add(umsg, MTYPE_SIZE), m->data, n))
		return -EFAULT;
	return (long)n;
}

long lx_sys_msgrcv(struct lx_task *self, int id, uaddr_t umsg, size_t size, int64_t type,
		   unsigned int flags)
{
	struct msg_waiter w = {
		.task = self, .pid = self->group->pid, .type = type == INT64_MIN ? -INT64_MAX : type,
		.flags = flags, .size = size,
	};
	struct msg *copy = NULL;
	long ret;

	if (id < 0 || size > INT64_MAX)
		return -EINVAL;
	list_init(&w.link);
	if (flags & MSG_COPY) {
		if ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT))
			return -EINVAL;
		w.size = MIN(size, (size_t)atomic_load(&self->ns->ipc->msgmax));
		w.msg = copy = rt_zalloc(sizeof(*copy) + w.size);
		if (!copy)
			return -ENOMEM;
	}
	ret = receive(self, id, &w);
	if (!ret)
		ret = store(umsg, w.msg, w.size);
	rt_free(w.msg);
	return ret;
}
