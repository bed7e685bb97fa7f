/* SPDX-License-Identifier: MIT */
/*
 * A set of semaphores, its waiters, and the adjustments of SEM_UNDO.
 *
 * A task whose operations cannot be done waits at the one semaphore that stops it:
 * its waiter is on that semaphore's list, in the order of arrival.  It can go on only
 * when that semaphore changes, so nobody else looks at it.  Whoever changes a
 * semaphore tries the waiters there, does the operations of those that can go on,
 * for them, and goes on with the semaphores that these changed (sem_op.c).
 *
 * Invariant: between two critical sections no waiter could go on.
 */
#pragma once

#include <linux/sem.h>

#include "ipc/ipcns.h"

struct semaphore {
	int value;
	lx_pid_t pid;			/* who changed it last */
	struct list waiters;		/* of sem_waiter.link, by arrival */
	struct list changed_link;	/* sem_wake_waiters(): changed, to be looked at */
	struct list *cursor;		/* there: the next waiter to look at */
};

struct sem_set {
	struct ipc_object obj;		/* first */

	/* Constant. */
	unsigned int count;

	/* Protected by obj.lock. */
	int64_t otime, ctime;
	uint64_t arrivals;		/* waiters so far */
	struct list undos;		/* of sem_undo.set_link */
	struct semaphore sem[];
};

/* The adjustments that some processes have for one set. */
struct sem_undo {
	struct sem_set *set;		/* constant, a reference */
	struct list task_link;		/* sem_undos->lock */
	struct list set_link;		/* set's lock */
	int16_t adjust[];		/* set's lock; a number for each semaphore */
};

/* All adjustments of the tasks that share them. */
struct lx_sem_undos {
	_Atomic(uint32_t) refs;
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF: inside a set's lock */
	struct list list;		/* lock: of sem_undo.task_link */
};

/* On the stack of a task in semop(2); set's lock until result is not SEM_WAITING. */
struct sem_waiter {
	struct list link;
	struct lx_task *task;
	lx_pid_t pid;
	const struct sembuf *ops;
	unsigned int nr_ops;
	unsigned int blocking;		/* the operation that stops it */
	uint64_t arrival;
	struct sem_undo *undo;		/* or NULL */
	/* release by the waker, its last access; acquire by the task. */
	_Atomic(int) result;
};
#define SEM_WAITING	1

static inline struct sem_set *set_of(struct ipc_object *o)
{
	return container_of(o, struct sem_set, obj);
}

/* -- sem_op.c; all with the set's lock held */

/* Semaphores that changed and whose waiters have to be tried. */
struct sem_changes { struct list list; };
static inline void sem_changes_init(struct sem_changes *c)
{
	list_init(&c->list);
}
void sem_changed(struct sem_changes *c, struct semaphore *s);
/* Let everybody go on who can. */
void sem_wake_waiters(struct sem_set *set, struct sem_changes *c);
/* End all waits with @result (-EIDRM). */
void sem_fail_waiters(struct sem_set *set, int result);
/* Tasks waiting for the semaphore to become zero (@zero), or to grow. */
int sem_count_waiters(const struct semaphore *s, bool zero);

/* -- sem_undo.c */

/*
 * The adjustments of the caller for @set, which is locked: NULL if there are none
 * yet.  sem_undo_create() makes them, without locks: 0 or -ENOMEM; look again after it.
 */
struct sem_undo *sem_undo_find(struct lx_task *self, struct sem_set *set);
int sem_undo_create(struct lx_task *self, struct sem_set *set);
/* Semaphore @num was set: nobody's adjustment holds any more. */
void sem_undo_clear(struct sem_set *set, unsigned int num);
