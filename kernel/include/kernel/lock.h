/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks and the kernel's sleeping mutex.
 *
 * A spinlock disables preemption while it is held, its irqsave form interrupts
 * too.  Sections are short, never sleep, and never wait for another CPU: under
 * emulation there are more virtual CPUs than processors, and the holder may not
 * be running.
 *
 * A lock that an interrupt handler takes is taken with irqsave everywhere.
 * Ranks are those of lock_rank.h.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/cpu.h"
#include "base/list.h"
#include "kernel/lock_rank.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

struct thread;

struct spinlock {
	_Atomic(uint32_t) locked;	/* 0 free, 1 + CPU number of the holder */
	uint32_t rank;			/* constant; enum lock_rank */
};

#define SPINLOCK_INIT(r) { .locked = 0, .rank = (r) }

static inline void spinlock_init(struct spinlock *l, enum lock_rank rank)
{
	atomic_init(&l->locked, 0);
	l->rank = rank;
}

/* Out of line parts; use the inline functions below. */
void spin_lock_contended(struct spinlock *l);
void lock_check_spin(struct spinlock *l, bool nested);
void lock_check_spin_release(struct spinlock *l);

static inline void spin_acquire(struct spinlock *l, bool nested)
{
	uint32_t free = 0;

	if (CONFIG_CHECKS)
		lock_check_spin(l, nested);
	/* acquire: pairs with the release in spin_release */
	if (unlikely(!atomic_compare_exchange_strong_explicit(&l->locked, &free, cpu_id() + 1,
							       memory_order_acquire,
							       memory_order_relaxed)))
		spin_lock_contended(l);
}

static inline void spin_release(struct spinlock *l)
{
	if (CONFIG_CHECKS)
		lock_check_spin_release(l);
	/* release: pairs with the acquire in spin_acquire and spin_lock_contended */
	atomic_store_explicit(&l->locked, 0, memory_order_release);
}

/* Take @l with preemption disabled.  Not from interrupt handlers. */
static inline void spin_lock(struct spinlock *l)
{
	preempt_disable();
	spin_acquire(l, false);
}

/* The same where a lock of equal rank is held already. */
static inline void spin_lock_nested(struct spinlock *l)
{
	preempt_disable();
	spin_acquire(l, true);
}

static inline void spin_unlock(struct spinlock *l)
{
	spin_release(l);
	preempt_enable();
}

/* Take @l with interrupts disabled; returns what spin_unlock_irqrestore wants back. */
static inline arch_irqflags_t spin_lock_irqsave(struct spinlock *l)
{
	arch_irqflags_t flags = arch_irq_save();

	preempt_disable();
	spin_acquire(l, false);
	return flags;
}

static inline void spin_unlock_irqrestore(struct spinlock *l, arch_irqflags_t flags)
{
	spin_release(l);
	arch_irq_restore(flags);
	preempt_enable();
}

/* For callers that have interrupts disabled already (handlers, nested irqsave locks). */
static inline void spin_lock_irqoff(struct spinlock *l)
{
	preempt_disable();
	spin_acquire(l, false);
}

static inline void spin_lock_irqoff_nested(struct spinlock *l)
{
	preempt_disable();
	spin_acquire(l, true);
}

/* Interrupts disabled; false, and nothing changed, if somebody holds it.  No rank check. */
bool spin_trylock_irqoff(struct spinlock *l);

static inline void spin_unlock_irqoff(struct spinlock *l)
{
	spin_release(l);
	preempt_enable_no_resched();
}

/* Whether this CPU holds @l. */
static inline bool spin_is_held(const struct spinlock *l)
{
	return atomic_load_explicit(&l->locked, memory_order_relaxed) == cpu_id() + 1;
}

#define assert_spin_held(l) kassert_checks(spin_is_held(l))

/*
 * A mutex whose waiters sleep.  Waits are not interruptible: holders do not wait
 * for other processes.  Never from interrupt handlers or with a spinlock held.
 * Not recursive.  Waiters are woken in order of arrival, but a running thread may
 * take a free mutex before a woken one comes to run; one that lost twice is
 * handed the mutex directly.
 */
struct kmutex {
	_Atomic(uintptr_t) owner;	/* struct thread *, or 0; bit 0: somebody waits */
	struct spinlock lock;		/* of waiters; rank LOCK_MUTEX */
	struct list waiters;		/* struct kmutex_waiter.link; protected by lock */
	uint32_t rank;			/* constant; enum lock_rank, a kmutex rank */
};

#define KMUTEX_INIT(name, r) \
	{ .owner = 0, .lock = SPINLOCK_INIT(LOCK_MUTEX), .waiters = LIST_INIT((name).waiters), \
	  .rank = (r) }

void kmutex_init(struct kmutex *m, enum lock_rank rank);
void kmutex_lock(struct kmutex *m);
void kmutex_lock_nested(struct kmutex *m);	/* equal rank held: the rank says the order */
bool kmutex_trylock(struct kmutex *m);		/* exempt from rank checks */
void kmutex_unlock(struct kmutex *m);
bool kmutex_is_held(const struct kmutex *m);	/* by the calling thread */

#define assert_kmutex_held(m) kassert_checks(kmutex_is_held(m))

/*
 * A sequence counter: one writer at a time (the caller's lock, preemption
 * disabled), readers repeat while seqcount_retry says so.
 */
struct seqcount {
	_Atomic(uint32_t) seq;
};

static inline void seqcount_write_begin(struct seqcount *s)
{
	uint32_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);

	atomic_store_explicit(&s->seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static inline void seqcount_write_end(struct seqcount *s)
{
	uint32_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);

	atomic_store_explicit(&s->seq, seq + 1, memory_order_release);
}

static inline uint32_t seqcount_begin(const struct seqcount *s)
{
	uint32_t seq;

	while ((seq = atomic_load_explicit(&s->seq, memory_order_acquire)) & 1)
		arch_cpu_relax();
	return seq;
}

static inline bool seqcount_retry(const struct seqcount *s, uint32_t seq)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&s->seq, memory_order_relaxed) != seq;
}
