/* SPDX-License-Identifier: MIT */
/* Locks that only notice when they are taken twice or in the wrong order. */
#pragma once

#include <assert.h>

#include "arch/cpu.h"
#include "base/list.h"
#include "kernel/lock_rank.h"
#include "kernel/percpu.h"

struct spinlock {
	uint32_t rank;
	bool held;
};

struct kmutex {
	uint32_t rank;
	bool held;
};

extern unsigned sim_spinlocks_held;
extern uint32_t sim_ranks[16];

#define SPINLOCK_INIT(r) { .rank = (r) }

static inline void spinlock_init(struct spinlock *l, enum lock_rank rank)
{
	*l = (struct spinlock){ .rank = rank };
}

static inline void spin_lock(struct spinlock *l)
{
	assert(!l->held);
	assert(!sim_spinlocks_held || sim_ranks[sim_spinlocks_held - 1] < l->rank);
	l->held = true;
	sim_ranks[sim_spinlocks_held++] = l->rank;
}

static inline void spin_unlock(struct spinlock *l)
{
	assert(l->held && sim_ranks[sim_spinlocks_held - 1] == l->rank);
	l->held = false;
	sim_spinlocks_held--;
}

static inline arch_irqflags_t spin_lock_irqsave(struct spinlock *l)
{
	spin_lock(l);
	return 0;
}

static inline void spin_unlock_irqrestore(struct spinlock *l, arch_irqflags_t flags)
{
	(void)flags;
	spin_unlock(l);
}

static inline void kmutex_init(struct kmutex *m, enum lock_rank rank)
{
	*m = (struct kmutex){ .rank = rank };
}

static inline void kmutex_lock(struct kmutex *m)
{
	assert(!m->held && !sim_spinlocks_held);
	m->held = true;
}

static inline void kmutex_lock_nested(struct kmutex *m) { kmutex_lock(m); }

static inline void kmutex_unlock(struct kmutex *m)
{
	assert(m->held);
	m->held = false;
}

static inline bool kmutex_is_held(const struct kmutex *m) { return m->held; }

#define assert_kmutex_held(m) assert((m)->held)
#define assert_spin_held(l) assert((l)->held)
