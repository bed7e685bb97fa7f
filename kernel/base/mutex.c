/* SPDX-License-Identifier: MIT */
/*
 * The kernel's sleeping mutex.
 *
 * owner holds the thread, and bit 0 while the wait list is not empty.  Without
 * waiters lock and unlock are one compare-and-swap each.  With waiters, unlock
 * wakes the first one and leaves the mutex free: whoever comes first gets it.  A
 * waiter that has lost twice asks for a hand-over: unlock then makes it the owner.
 *
 * Invariants, under lock: (1) bit 0 is set iff waiters is not empty;
 * (2) only the owner clears the owner part.
 */
#include "kernel/lock.h"

#include "kernel/sched.h"
#include "kernel/thread.h"

#define HAS_WAITERS ((uintptr_t)1)

#define SPIN_ROUNDS 100		/* while the owner runs on another CPU: sections are short */

struct kmutex_waiter {
	struct list link;		/* kmutex.lock */
	struct thread *thread;		/* constant */
	uint32_t lost;			/* times it was woken in vain; its own */
	bool wants_handover;		/* kmutex.lock */
	bool granted;			/* kmutex.lock: it is the owner */
};

void kmutex_init(struct kmutex *m, enum lock_rank rank)
{
	atomic_init(&m->owner, 0);
	spinlock_init(&m->lock, LOCK_MUTEX);
	list_init(&m->waiters);
	m->rank = rank;
}

static void mutex_check(const struct kmutex *m, bool nested)
{
	struct thread *self = current_thread();
	uint32_t n = self->held_count;

	if (preempt_count())
		panic("mutex of rank %u taken where sleeping is not allowed", m->rank);
	if (kmutex_is_held(m))
		panic("mutex of rank %u taken twice", m->rank);
	if (n && m->rank != LOCK_UNRANKED &&
	    (self->held[n - 1]->rank > m->rank || (self->held[n - 1]->rank == m->rank && !nested)))
		panic("lock order: mutex of rank %u taken while rank %u is held", m->rank,
		      self->held[n - 1]->rank);
}

static void mutex_note_held(struct kmutex *m)
{
	struct thread *self = current_thread();

	if (self->held_count >= THREAD_HELD_MAX)
		panic("more than %u mutexes held", THREAD_HELD_MAX);
	self->held[self->held_count++] = m;
}

static void mutex_note_released(struct kmutex *m)
{
	struct thread *self = current_thread();
	uint32_t i = self->held_count;

	if (!kmutex_is_held(m))
		panic("mutex of rank %u released by who does not hold it", m->rank);
	while (i-- > 0 && self->held[i] != m)
		;
	for (; i + 1 < self->held_count; i++)
		self->held[i] = self->held[i + 1];
	self->held_count--;
}

static bool mutex_try(struct kmutex *m)
{
	uintptr_t old = atomic_load_explicit(&m->owner, memory_order_relaxed);

	/* acquire: pairs with the release in kmutex_unlock */
	return !(old & ~HAS_WAITERS) &&
	       atomic_compare_exchange_strong_explicit(&m->owner, &old,
						       (uintptr_t)current_thread() | old,
						       memory_order_acquire, memory_order_relaxed);
}

/* Worth a short spin: the owner is running somewhere else. */
static bool mutex_spin(struct kmutex *m)
{
	if (cpu_count == 1)
		return false;
	for (unsigned int i = 0; i < SPIN_ROUNDS; i++) {
		if (atomic_load_explicit(&m->owner, memory_order_relaxed) & HAS_WAITERS)
			return false;
		if (mutex_try(m))
			return true;
		arch_cpu_relax();
	}
	return false;
}

static void mutex_lock_slow(struct kmutex *m)
{
	struct kmutex_waiter w = { .thread = current_thread() };
	bool queued = false;

	if (mutex_spin(m))
		return;
	for (;;) {
		spin_lock(&m->lock);
		if (w.granted)
			break;
		if (!queued) {
			list_add_last(&m->waiters, &w.link);
			/* From here on the owner's unlock takes the slow path. */
			atomic_fetch_or_explicit(&m->owner, HAS_WAITERS, memory_order_relaxed);
			queued = true;
		}
		if (mutex_try(m)) {
			list_remove(&w.link);
			if (list_is_empty(&m->waiters))
				atomic_fetch_and_explicit(&m->owner, ~HAS_WAITERS,
							  memory_order_relaxed);
			break;
		}
		w.wants_handover = w.lost >= 2;
		w.lost++;
		sched_prepare(0);
		spin_unlock(&m->lock);
		if (sched_block(K_DEADLINE_NEVER) != K_OK)
			panic("mutex wait ended without a wake-up");
	}
	spin_unlock(&m->lock);
}

static void mutex_lock_common(struct kmutex *m, bool nested)
{
	uintptr_t free = 0;

	if (CONFIG_CHECKS)
		mutex_check(m, nested);
	if (unlikely(!atomic_compare_exchange_strong_explicit(&m->owner, &free,
							       (uintptr_t)current_thread(),
							       memory_order_acquire,
							       memory_order_relaxed)))
		mutex_lock_slow(m);
	if (CONFIG_CHECKS)
		mutex_note_held(m);
}

void kmutex_lock(struct kmutex *m)
{
	mutex_lock_common(m, false);
}

void kmutex_lock_nested(struct kmutex *m)
{
	mutex_lock_common(m, true);
}

bool kmutex_trylock(struct kmutex *m)
{
	if (!mutex_try(m))
		return false;
	if (CONFIG_CHECKS)
		mutex_note_held(m);
	return true;
}

void kmutex_unlock(struct kmutex *m)
{
	uintptr_t self = (uintptr_t)current_thread();
	struct kmutex_waiter *w;

	if (CONFIG_CHECKS)
		mutex_note_released(m);
	/* release: pairs with the acquire of the next owner */
	if (likely(atomic_compare_exchange_strong_explicit(&m->owner, &self, 0,
							   memory_order_release,
							   memory_order_relaxed)))
		return;

	spin_lock(&m->lock);
	w = list_first_entry(&m->waiters, struct kmutex_waiter, link);
	kassert(w);
	if (w->wants_handover) {
		list_remove(&w->link);
		w->granted = true;
		atomic_store_explicit(&m->owner,
				      (uintptr_t)w->thread |
					      (list_is_empty(&m->waiters) ? 0 : HAS_WAITERS),
				      memory_order_release);
	} else {
		atomic_store_explicit(&m->owner, HAS_WAITERS, memory_order_release);
	}
	/* Under the lock: the waiter's record is on its stack and may go once it is released. */
	sched_wake(w->thread);
	spin_unlock(&m->lock);
}

bool kmutex_is_held(const struct kmutex *m)
{
	return (atomic_load_explicit(&m->owner, memory_order_relaxed) & ~HAS_WAITERS) ==
	       (uintptr_t)current_thread();
}
