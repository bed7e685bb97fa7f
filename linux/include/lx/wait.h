/* SPDX-License-Identifier: MIT */
/*
 * Sleeping in the personality.
 *
 * A wait queue holds entries; waking calls each entry's function under the
 * queue's lock.  A sleeping task has one word (task->wake_word): waking an entry
 * without a function sets it and wakes the task's k_wait.  The pattern:
 *
 *	lx_wait_prepare(task);			// wake_word = 0
 *	lx_waitq_add(wq, &entry);
 *	while (!condition) {
 *		err = lx_wait_block(task, deadline, LX_WAIT_INTERRUPTIBLE);
 *		if (err) break;			// -ERESTARTSYS, -ETIMEDOUT
 *		lx_wait_prepare(task);		// before looking at the condition again
 *	}
 *	err = lx_wait_finish(wq, &entry, err);
 *
 * wrapped by lx_wait_event().  No wake-up is lost: a waker changes the condition
 * first, then wakes; the sleeper clears the word first, then looks.
 */
#pragma once

#include "lx/types.h"

struct lx_wait_entry;

/*
 * Besides the POLL* bits of a wake-up: there is room again that somebody had looked for in vain,
 * which is what O_ASYNC files tell of.
 */
#define LX_WAKE_SPACE	(1u << 16)

/*
 * Called under the queue's lock (rank LX_LOCK_WAITQ); must not block or take a
 * lock of lower rank.  @events: LX POLL* bits, 0 for "anything".  Returns true if
 * this waking counts against an exclusive limit.
 */
typedef bool (*lx_wake_fn)(struct lx_wait_entry *entry, uint32_t events);

struct lx_wait_entry {
	struct list link;		/* queue's lock */
	lx_wake_fn wake;		/* constant while queued; NULL: wake the task */
	struct lx_task *task;		/* constant while queued */
	bool exclusive;			/* woken one at a time, at the queue's end */
	bool once;			/* taken off by its waking: for lx_wait_finish() */
	_Atomic(bool) left;		/* once: has been; the last that a waker writes (release) */
	void *private;			/* the owner of the entry's */
};

struct lx_waitq {
	struct rt_mutex lock;		/* rank LX_LOCK_WAITQ */
	struct list entries;
};

void lx_waitq_init(struct lx_waitq *wq);
void lx_waitq_add(struct lx_waitq *wq, struct lx_wait_entry *entry);
void lx_waitq_remove(struct lx_waitq *wq, struct lx_wait_entry *entry);	/* fine if not queued */
bool lx_waitq_empty(const struct lx_waitq *wq);	/* a hint without the lock; see the memory order there */

/* Wake all that are not exclusive and at most @exclusive of those that are. */
void lx_wake(struct lx_waitq *wq, uint32_t events, unsigned int exclusive);
/* The same from within a wake function: another queue's lock is held (epoll's order: by depth). */
void lx_wake_nested(struct lx_waitq *wq, uint32_t events, unsigned int exclusive);
#define lx_wake_all(wq)	lx_wake(wq, 0, ~0u)

/* An entry for the calling task, without a function. */
void lx_wait_entry_init(struct lx_wait_entry *entry, struct lx_task *task);
/* The same for a single sleep: the first waking takes it off the queue.  Left by lx_wait_finish(). */
void lx_wait_entry_init_once(struct lx_wait_entry *entry, struct lx_task *task);
void lx_wait_prepare(struct lx_task *task);

#define LX_WAIT_INTERRUPTIBLE	1u	/* any unblocked signal ends it: -LX_ERESTARTSYS */
#define LX_WAIT_KILLABLE	2u	/* only a fatal signal does */
/*
 * Sleep until woken (0), the deadline (-ETIMEDOUT) or a signal.  May return 0 early.
 *
 * A wake-up since lx_wait_prepare() goes before a signal and the deadline: it may be
 * the only one that the event causes (exclusive waiters), so the caller has to look.
 * It looks, prepares and sleeps again if there is nothing, and then hears of the signal.
 */
int lx_wait_block(struct lx_task *task, uint64_t deadline_ns, unsigned int flags);

/*
 * Leave @wq after lx_wait_block() gave @err.  Returns @err, or 0 if the task was woken
 * after all before it had left: an exclusive wake-up must not be lost with it.
 */
int lx_wait_finish(struct lx_waitq *wq, struct lx_wait_entry *entry, int err);

/*
 * Sleep on @wq until @cond, which is evaluated without locks, also once more after a
 * signal or the deadline.  Evaluates to 0, -LX_ERESTARTSYS or -ETIMEDOUT.
 */
#define lx_wait_event(self, wq, cond, deadline_ns, flags) \
({ \
	struct lx_wait_entry entry_; \
	int err_ = 0; \
	lx_wait_entry_init(&entry_, (self)); \
	lx_wait_prepare(self); \
	lx_waitq_add((wq), &entry_); \
	for (;;) { \
		if (cond) { \
			err_ = 0; \
			break; \
		} \
		if (err_) \
			break; \
		err_ = lx_wait_block((self), (deadline_ns), (flags)); \
		lx_wait_prepare(self); \
	} \
	lx_waitq_remove((wq), &entry_); \
	err_; \
})

/*
 * Wake one task that sleeps in lx_wait_block (signals use k_thread_kick instead).
 * False: it had been told to look again already, and has not looked yet.
 */
bool lx_task_wake(struct lx_task *task);
