/* SPDX-License-Identifier: MIT */
/*
 * Wait queues: how a task sleeps until somebody else changes something.
 *
 * A task sleeps on its own wake_word, whatever it waits for, so that it can wait
 * for many queues at once (poll) and be woken by its number alone (signals).
 *
 * Why no wake-up is lost.  The sleeper stores 0 to wake_word, then reads the
 * condition; the waker writes the condition, then stores 1 to wake_word.  All four
 * accesses are sequentially consistent, so that one of them sees the other's:
 * either the sleeper sees the condition, or rt_wait() sees that the word is 1.
 * lx_waitq_empty() lets a waker skip the lock when nobody sleeps; for the same
 * reason as above it has a full fence before its look, and lx_waitq_add() one
 * after it made the entry visible.
 *
 * Tasks are marked as woken (wake_word) under the queue's lock, and woken after it: a task
 * that runs at once, in the place of its waker, would find the lock taken and have to sleep
 * again.  By then a task may have gone on by itself, and have ended: its word's address is
 * all that is used, as a key.  Whoever sleeps on a word there then is woken for nothing, which
 * all who sleep on words bear.
 */

#include "lx/wait.h"

#include "lx/async.h"
#include "lx/lock_rank.h"
#include "lx/signal.h"
#include "lx/task.h"

void lx_waitq_init(struct lx_waitq *wq)
{
	rt_mutex_init(&wq->lock, LX_LOCK_WAITQ);
	list_init(&wq->entries);
}

/* Words to be woken when the lock has been dropped. */
#define BATCH 16u

struct batch {
	unsigned int count;
	_Atomic(uint32_t) *words[BATCH];
};

/*
 * For an entry without a function: wake_batch() completes it.  False: the task was woken before
 * and is about to leave the queue; it must not take the place of one that still sleeps.
 *
 * A task may run at any time, and its entry is on its stack: it goes on without the
 * queue's lock only when it sees that nobody will touch the entry any more.
 */
static bool mark_task(struct lx_wait_entry *entry, struct batch *batch)
{
	struct lx_task *task = entry->task;
	bool marked = atomic_exchange(&task->wake_word, 1) == 0;

	if (marked && batch->count < BATCH)
		batch->words[batch->count++] = &task->wake_word;
	else if (marked)
		rt_wake(&task->wake_word, 1);
	if (entry->once) {
		list_remove(&entry->link);
		/* release: pairs with the acquire in lx_wait_finish() */
		atomic_store_explicit(&entry->left, true, memory_order_release);
	}
	return marked;
}

static void wake_batch(const struct batch *batch)
{
	for (unsigned int i = 0; i < batch->count; i++)
		rt_wake(batch->words[i], 1);
}

void lx_wait_entry_init(struct lx_wait_entry *entry, struct lx_task *task)
{
	*entry = (struct lx_wait_entry){ .task = task };
	list_init(&entry->link);
}

void lx_wait_entry_init_once(struct lx_wait_entry *entry, struct lx_task *task)
{
	lx_wait_entry_init(entry, task);
	entry->once = true;
}

void lx_waitq_add(struct lx_waitq *wq, struct lx_wait_entry *entry)
{
	rt_mutex_lock(&wq->lock);
	if (entry->exclusive)
		list_add_last(&wq->entries, &entry->link);
	else
		list_add_first(&wq->entries, &entry->link);
	rt_mutex_unlock(&wq->lock);
	/* Pairs with the fence in lx_waitq_empty(). */
	atomic_thread_fence(memory_order_seq_cst);
}

void lx_waitq_remove(struct lx_waitq *wq, struct lx_wait_entry *entry)
{
	rt_mutex_lock(&wq->lock);
	list_remove(&entry->link);
	rt_mutex_unlock(&wq->lock);
}

bool lx_waitq_empty(const struct lx_waitq *wq)
{
	/* The caller has written the condition; see the top of this file. */
	atomic_thread_fence(memory_order_seq_cst);
	return list_looks_empty(&wq->entries);
}

static void wake_locked(struct lx_waitq *wq, uint32_t events, unsigned int exclusive,
			struct batch *batch)
{
	struct list *node, *next;

	/* The wake function may take its entry off, but no other one. */
	for (node = wq->entries.next; node != &wq->entries; node = next) {
		struct lx_wait_entry *entry = container_of(node, struct lx_wait_entry, link);
		bool counts = entry->exclusive, woken;

		next = node->next;
		if (counts && exclusive == 0)
			break;		/* exclusive entries are at the end */
		woken = entry->wake ? entry->wake(entry, events) : mark_task(entry, batch);
		if (woken && counts)
			exclusive--;
	}
}

void lx_wake(struct lx_waitq *wq, uint32_t events, unsigned int exclusive)
{
	struct batch batch;

	if (lx_waitq_empty(wq))
		return;
	batch.count = 0;
	rt_mutex_lock(&wq->lock);
	wake_locked(wq, events, exclusive, &batch);
	rt_mutex_unlock(&wq->lock);
	wake_batch(&batch);
}

void lx_wake_nested(struct lx_waitq *wq, uint32_t events, unsigned int exclusive)
{
	struct batch batch;

	if (lx_waitq_empty(wq))
		return;
	batch.count = 0;
	rt_mutex_lock_nested(&wq->lock);
	wake_locked(wq, events, exclusive, &batch);
	rt_mutex_unlock(&wq->lock);
	wake_batch(&batch);
}

void lx_wait_prepare(struct lx_task *task)
{
	atomic_store(&task->wake_word, 0);
}

bool lx_task_wake(struct lx_task *task)
{
	if (atomic_exchange(&task->wake_word, 1) != 0)
		return false;
	rt_wake(&task->wake_word, 1);
	return true;
}

static bool interrupted(struct lx_task *task, unsigned int flags)
{
	if (flags & LX_WAIT_INTERRUPTIBLE)
		return lx_signal_pending(task);
	if (flags & LX_WAIT_KILLABLE)
		return lx_fatal_signal_pending(task);
	return false;
}

int lx_wait_block(struct lx_task *task, uint64_t deadline_ns, unsigned int flags)
{
	bool kicks = flags & (LX_WAIT_INTERRUPTIBLE | LX_WAIT_KILLABLE);
	k_status_t st;

	/* Whom we have to signal may be who wakes us. */
	if (unlikely(atomic_load_explicit(&task->attention, memory_order_relaxed) & LX_ATTN_ASYNC))
		lx_async_hand_over(task);
	if (interrupted(task, flags))
		return atomic_load(&task->wake_word) ? 0 : -LX_ERESTARTSYS;
	atomic_store_explicit(&task->state,
			      kicks && !(flags & LX_WAIT_KILLABLE) ? LX_SLEEPING : LX_DISK_SLEEP,
			      memory_order_relaxed);
	st = rt_wait(&task->wake_word, 0, deadline_ns, kicks);
	atomic_store_explicit(&task->state, LX_RUNNING, memory_order_relaxed);
	if (st == K_ERR_TIMED_OUT)
		return atomic_load(&task->wake_word) ? 0 : -ETIMEDOUT;
	if (atomic_load(&task->wake_word))
		return 0;
	/*
	 * A kick is not an answer by itself: it may have been for a signal that is
	 * blocked or was taken meanwhile.  Say 0 then: the caller looks again.
	 */
	if (st == K_ERR_KICKED && interrupted(task, flags))
		return -LX_ERESTARTSYS;
	return 0;
}

int lx_wait_finish(struct lx_waitq *wq, struct lx_wait_entry *entry, int err)
{
	/* Wakers set the word under the queue's lock, and before they say that the entry has left:
	 * after this it changes no more. */
	if (!atomic_load_explicit(&entry->left, memory_order_acquire))
		lx_waitq_remove(wq, entry);
	return atomic_load(&entry->task->wake_word) ? 0 : err;
}
