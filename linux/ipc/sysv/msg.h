/* SPDX-License-Identifier: MIT */
/*
 * A message queue.  See msgget(2), msgop(2).
 *
 * A message goes straight to the first waiting receiver that wants it, else into the
 * queue if it fits.  Whoever takes a message out lets waiting senders put in theirs,
 * in the order of arrival, each that fits.  So a waiting task finds its work done
 * when it is woken, and between two critical sections
 *
 *   (1) no queued message is wanted by a waiting receiver;
 *   (2) no waiting sender's message fits.
 */
#pragma once

#include <linux/msg.h>

#include "ipc/ipcns.h"

struct msg {
	struct list link;		/* queue's lock while queued */
	int64_t type;
	size_t size;
	char data[];
};

struct msg_queue {
	struct ipc_object obj;		/* first */

	/* Protected by obj.lock. */
	int64_t stime, rtime, ctime;
	lx_pid_t lspid, lrpid;
	uint64_t bytes, max_bytes, count;
	struct list messages;		/* of msg.link, in order */
	struct list receivers, senders;	/* of msg_waiter.link, in order of arrival */
};

/* On the stack of a task in msgrcv(2) or msgsnd(2): queue's lock until result is set. */
struct msg_waiter {
	struct list link;
	struct lx_task *task;
	lx_pid_t pid;
	struct msg *msg;		/* the sender's; the receiver gets one */
	int64_t type;			/* receiver: what it wants */
	unsigned int flags;		/* MSG_* */
	size_t size;
	/* release by the waker, its last access; acquire by the task. */
	_Atomic(int) result;
};
#define MSG_WAITING	1		/* result: still waiting */
#define MSG_AGAIN	2		/* result: permissions changed, start again */

static inline struct msg_queue *queue_of(struct ipc_object *o)
{
	return container_of(o, struct msg_queue, obj);
}

/* -- msg_op.c; queue locked */
/* End all waits with @result. */
void msg_fail_waiters(struct msg_queue *q, int result);
/* There may be room: let senders go on. */
void msg_admit_senders(struct msg_queue *q);
