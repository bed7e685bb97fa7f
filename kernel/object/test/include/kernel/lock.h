/* SPDX-License-Identifier: MIT */
/* Locks of a world with one thread: they notice wrong order and wrong nesting. */
#pragma once

#include <assert.h>
#include <stdatomic.h>

#include "arch/cpu.h"
#include "base/list.h"
#include "kernel/lock_rank.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

struct spinlock {
	uint32_t rank;
	bool held;
};

struct kmutex {
	uint32_t rank;
	bool held;
};

#define SPINLOCK_INIT(r)	{ .rank = (r) }
#define KMUTEX_INIT(name, r)	{ .rank = (r) }

extern uint32_t sim_ranks[16];

static inline void spinlock_init(struct spinlock *l, enum lock_rank rank)
{
	*l = (struct spinlock){ .rank = rank };
}

static inline void sim_take(struct spinlock *l, bool nested)
{
	uint32_t outer = sim_spinlocks_held ? sim_ranks[sim_spinlocks_held - 1] : 0;

	assert(!l->held);
	assert(outer < l->rank || (nested && outer == l->rank));
	l->held = true;
	sim_ranks[sim_spinlocks_held++] = l->rank;
}

static inline void spin_lock(struct spinlock *l)
{
	assert(l->rank < LOCK_CHANNEL);		/* the others are taken by interrupt handlers */
	sim_take(l, false);
}

static inline void spin_lock_nested(struct spinlock *l)
{
	sim_take(l, true);
}

static inline void spin_unlock(struct spinlock *l)
{
	assert(l->held);
	l->held = false;
	sim_spinlocks_held--;
}

static inline arch_irqflags_t spin_lock_irqsave(struct spinlock *l)
{
	sim_take(l, false);
	return 0;
}

static inline void spin_unlock_irqrestore(struct spinlock *l, arch_irqflags_t flags)
{
	(void)flags;
	spin_unlock(l);
}

static inline void spin_lock_irqoff_nested(struct spinlock *l)
{
	sim_take(l, true);
}

static inline void spin_unlock_irqoff(struct spinlock *l)
{
	spin_unlock(l);
}

#define assert_spin_held(l) assert((l)->held)

static inline void kmutex_init(struct kmutex *m, enum lock_rank rank)
{
	*m = (struct kmutex){ .rank = rank };
}

static inline void kmutex_lock(struct kmutex *m)
{
	assert(!m->held && !sim_spinlocks_held);
	m->held = true;
}

static inline void kmutex_unlock(struct kmutex *m)
{
	assert(m->held);
	m->held = false;
}

#define assert_kmutex_held(m) assert((m)->held)
