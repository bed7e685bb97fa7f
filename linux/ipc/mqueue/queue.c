/* SPDX-License-Identifier: MIT */
/* POSIX message queues: messages and who waits for them.  See mqueue.h. */

#include "ipc/mqueue/mqueue.h"

#include <asm/poll.h>

#include "lx/user.h"

struct mqueue *mq_create(struct lx_inode *inode, int64_t max_messages, int64_t message_size)
{
	struct mqueue *q = rt_zalloc(sizeof(*q));

	if (!q)
		return NULL;
	q->inode = inode;
	q->max_messages = max_messages;
	q->message_size = message_size;
	rt_mutex_init(&q->lock, LX_LOCK_IPC);
	list_init(&q->receivers);
	list_init(&q->senders);
	lx_waitq_init(&q->wait);
	return q;
}

/* -- messages, with the lock held */

static void insert(struct mqueue *q, struct mq_message *m)
{
	struct rb_node **link = &q->messages.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = m->priority > container_of(parent, struct mq_message, node)->priority
			       ? &parent->left : &parent->right;
	}
	rb_insert(&q->messages, &m->node, parent, link);
	q->count++;
	q->bytes += m->size;
}

static struct mq_message *take_first(struct mqueue *q)
{
	struct mq_message *m = rb_first_entry(&q->messages, struct mq_message, node);

	rb_remove(&q->messages, &m->node);
	q->count--;
	q->bytes -= m->size;
	return m;
}

void mq_free(struct mqueue *q)
{
	while (q->count)
		rt_free(take_first(q));
	mq_notify_clear(q);
	if (q->user) {
		atomic_fetch_sub(&q->user->mqueue_bytes, q->charge);
		lx_user_put(q->user);
	}
	rt_free(q);
}

/* -- waiting */

static void enqueue(struct list *waiters, struct mq_waiter *w)
{
	struct list *at;

	for (at = waiters->prev; at != waiters; at = at->prev)
		if (container_of(at, struct mq_waiter, link)->priority >= w->priority)
			break;
	list_add_first(at, &w->link);
}

static void finish(struct mq_waiter *w)
{
	struct lx_task *task = lx_task_get(w->task);

	list_remove(&w->link);
	atomic_store_explicit(&w->done, true, memory_order_release);
	/* @w may be gone; the task we hold. */
	lx_task_wake(task);
	lx_task_put(task);
}

/* Queue locked, and unlocked on return: 0 when it was done for us. */
static int wait_in(struct lx_task *self, struct mqueue *q, struct list *waiters,
		   struct mq_waiter *w, uint64_t deadline)
{
	int err;

	w->task = self;
	w->priority = self->rt_priority;
	atomic_init(&w->done, false);
	enqueue(waiters, w);
	rt_mutex_unlock(&q->lock);
	do {
		lx_wait_prepare(self);
		if (atomic_load_explicit(&w->done, memory_order_acquire))
			return 0;
		err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
	} while (!err);
	rt_mutex_lock(&q->lock);
	if (atomic_load_explicit(&w->done, memory_order_acquire))
		err = 0;
	else
		list_remove(&w->link);
	rt_mutex_unlock(&q->lock);
	return err;
}

/* -- sending and receiving */

int mq_send(struct lx_task *self, struct mqueue *q, struct mq_message *m, bool wait,
	    uint64_t deadline)
{
	struct mq_waiter w = { .message = m }, *receiver;
	uint32_t events = 0;

	rt_mutex_lock(&q->lock);
	if (q->count >= q->max_messages) {
		if (wait)
			return wait_in(self, q, &q->senders, &w, deadline);
		rt_mutex_unlock(&q->lock);
		return -EAGAIN;
	}
	receiver = list_first_entry(&q->receivers, struct mq_waiter, link);
	if (receiver) {
		receiver->message = m;
		finish(receiver);
	} else {
		insert(q, m);
		events = POLLIN | POLLRDNORM;
		if (q->count == 1)
			mq_notify_locked(self, q);
	}
	lx_inode_touch(q->inode, LX_ATTR_ATIME | LX_ATTR_MTIME | LX_ATTR_CTIME);
	rt_mutex_unlock(&q->lock);
	if (events)
		lx_wake(&q->wait, events, ~0u);
	return 0;
}

int mq_receive(struct lx_task *self, struct mqueue *q, struct mq_message **m, bool wait,
	       uint64_t deadline)
{
	struct mq_waiter w = { 0 }, *sender;
	int err;

	rt_mutex_lock(&q->lock);
	if (!q->count) {
		if (wait) {
			err = wait_in(self, q, &q->receivers, &w, deadline);
			*m = w.message;
			return err;
		}
		rt_mutex_unlock(&q->lock);
		return -EAGAIN;
	}
	*m = take_first(q);
	sender = list_first_entry(&q->senders, struct mq_waiter, link);
	if (sender) {
		insert(q, sender->message);
		finish(sender);
	}
	lx_inode_touch(q->inode, LX_ATTR_ATIME | LX_ATTR_MTIME | LX_ATTR_CTIME);
	rt_mutex_unlock(&q->lock);
	if (!sender)
		lx_wake(&q->wait, POLLOUT | POLLWRNORM, ~0u);
	return 0;
}
