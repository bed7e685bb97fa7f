/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues.  See mq_overview(7).
 *
 * A queue is an inode of the mqueue file system, of which every IPC namespace has
 * one; an open queue is an open file, and what holds a file holds a queue.  Queues
 * vanish with their name and the last open file.
 *
 * A message goes straight to the first waiting receiver, else into the queue if there
 * is room; whoever takes one out puts in that of the first waiting sender.  So between
 * two critical sections
 *
 *   (1) if a receiver waits, the queue is empty;
 *   (2) if a sender waits, the queue is full.
 *
 * Messages are sorted by priority, then by arrival; waiters by the real-time priority
 * of their task, then by arrival.
 */
#pragma once

#include <linux/mqueue.h>

#include "base/rbtree.h"
#include "vfs/vfs_priv.h"

#define MQ_HARD_MSG_MAX		65536
#define MQ_HARD_MSGSIZE_MAX	(16 * 1024 * 1024)
#define MQ_MESSAGE_OVERHEAD	48	/* what RLIMIT_MSGQUEUE counts: getrlimit(2) */

struct lx_pid;
struct lx_user;
struct sigevent;

struct mq_message {
	struct rb_node node;		/* queue's lock while queued */
	unsigned int priority;
	size_t size;
	char data[];
};

struct mqueue {
	struct lx_inode *inode;		/* constant; not a reference: the inode is what holds us */

	/* Constant. */
	int64_t max_messages, message_size;
	struct lx_user *user;		/* a reference; charged */
	uint64_t charge;

	struct rt_mutex lock;		/* rank LX_LOCK_IPC */
	/* Protected by lock. */
	struct rb_tree messages;	/* of mq_message.node: the next one first */
	int64_t count;
	uint64_t bytes;
	struct list receivers, senders;	/* of mq_waiter.link, in the order of service */
	struct mq_notify {		/* who is told of a message in an empty queue */
		struct lx_pid *owner;	/* a reference, or NULL: nobody */
		struct lx_group *group;	/* a reference */
		int how, signo;		/* SIGEV_* */
		uint64_t value;
	} notify;

	struct lx_waitq wait;		/* poll */
};

/* On the stack of a task that sends or receives; queue's lock until done. */
struct mq_waiter {
	struct list link;
	struct lx_task *task;
	int priority;
	struct mq_message *message;	/* the sender's; the receiver gets one */
	/* release by the waker, its last access; acquire by the task. */
	_Atomic(bool) done;
};

/* -- queue.c */
struct mqueue *mq_create(struct lx_inode *inode, int64_t max_messages, int64_t message_size);
void mq_free(struct mqueue *q);
/*
 * Send @m, or receive into *@m; wait if @wait until @deadline.  0, -EAGAIN,
 * -ETIMEDOUT, -ERESTARTSYS.  After success the message is the queue's, or the caller's.
 */
int mq_send(struct lx_task *self, struct mqueue *q, struct mq_message *m, bool wait,
	    uint64_t deadline);
int mq_receive(struct lx_task *self, struct mqueue *q, struct mq_message **m, bool wait,
	       uint64_t deadline);

/* -- notify.c */
/* A message came into the empty queue, sent by @self: locked; tells and forgets who wanted to know. */
void mq_notify_locked(struct lx_task *self, struct mqueue *q);
/* The caller's process does not want to know any more. */
void mq_notify_cancel(struct lx_task *self, struct mqueue *q);
/* Forget whoever it is; locked, or at the end. */
void mq_notify_clear(struct mqueue *q);

/* -- fs.c */
extern const struct lx_file_ops mq_file_ops;
/* The mount of the caller's namespace with a reference: 0 or -ENOMEM. */
int mq_mount_get(struct lx_ipcns *ns, struct lx_mount **out);
/* Make the queue that @d, negative, is to name; its directory is locked.  @attr may be NULL. */
int mq_create_at(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode,
		 const struct mq_attr *attr);

/* -- proc.c */
int mq_proc_init(void);
