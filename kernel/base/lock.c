/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks out of line, and the rank checker.
 *
 * The checker keeps the spinlocks that this CPU holds in its struct cpu, and the
 * kmutexes of a thread in the thread.  Both are short stacks: a new lock is
 * compared with the innermost of each.  Releases may come in any order.
 */
#include "kernel/lock.h"

#include "kernel/panic.h"
#include "kernel/shuffle.h"
#include "kernel/thread.h"

#define SPIN_PANIC_ROUNDS (1ull << 31)	/* a minute and more: the holder is lost */

/* The holder may be a virtual CPU that its host does not run: wait politely. */
void spin_lock_contended(struct spinlock *l)
{
	for (uint64_t round = 0; round < SPIN_PANIC_ROUNDS; round++) {
		uint32_t free = 0;

		if (atomic_load_explicit(&l->locked, memory_order_relaxed) == cpu_id() + 1)
			panic("spinlock of rank %u taken twice", l->rank);
		if (!atomic_load_explicit(&l->locked, memory_order_relaxed) &&
		    atomic_compare_exchange_weak_explicit(&l->locked, &free, cpu_id() + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			return;
		arch_cpu_relax();
	}
	panic("spinlock of rank %u is held for ever by CPU %u", l->rank,
	      atomic_load_explicit(&l->locked, memory_order_relaxed) - 1);
}

/* Preemption is disabled by the caller, so the CPU stays; interrupts may nest, and leave
 * the stack as they found it. */
void lock_check_spin(struct spinlock *l, bool nested)
{
	struct cpu *cpu = this_cpu();
	struct thread *self = current_thread();
	uint32_t n = cpu->held_count;

	shuffle_point();	/* by the time that the lock is released */
	if (n >= CPU_HELD_MAX)
		panic("more than %u spinlocks held", CPU_HELD_MAX);
	if (l->rank != LOCK_UNRANKED) {
		if (n && cpu->held[n - 1]->rank > l->rank)
			panic("lock order: rank %u taken while rank %u is held", l->rank,
			      cpu->held[n - 1]->rank);
		if (n && cpu->held[n - 1]->rank == l->rank && !nested)
			panic("lock order: two locks of rank %u", l->rank);
		if (self->held_count && self->held[self->held_count - 1]->rank > l->rank)
			panic("lock order: spinlock of rank %u taken while mutex of rank %u is held",
			      l->rank, self->held[self->held_count - 1]->rank);
	}
	cpu->held[n] = l;
	cpu->held_count = n + 1;
}

void lock_check_spin_release(struct spinlock *l)
{
	struct cpu *cpu = this_cpu();
	uint32_t i = cpu->held_count;

	if (!spin_is_held(l))
		panic("spinlock of rank %u released by who does not hold it", l->rank);
	while (i-- > 0) {
		if (cpu->held[i] != l)
			continue;
		for (; i + 1 < cpu->held_count; i++)
			cpu->held[i] = cpu->held[i + 1];
		cpu->held_count--;
		return;
	}
	panic("spinlock of rank %u is not among the held", l->rank);
}

bool spin_trylock_irqoff(struct spinlock *l)
{
	struct cpu *cpu = this_cpu();
	uint32_t free = 0;

	preempt_disable();
	if (!atomic_compare_exchange_strong_explicit(&l->locked, &free, cpu_id() + 1,
						     memory_order_acquire, memory_order_relaxed)) {
		preempt_enable_no_resched();
		return false;
	}
	if (CONFIG_CHECKS) {
		if (cpu->held_count >= CPU_HELD_MAX)
			panic("more than %u spinlocks held", CPU_HELD_MAX);
		cpu->held[cpu->held_count++] = l;
	}
	return true;
}
