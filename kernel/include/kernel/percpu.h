/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU data, and the preemption count.
 *
 * One struct cpu per processor, found through the GS base while the CPU runs
 * kernel code.  A field may be used without a lock by its own CPU with
 * preemption (or interrupts, where handlers use it too) disabled; fields that
 * other CPUs read say so.
 *
 * preempt_count: 0 means that kernel code may be preempted.  Bit 31 is set while
 * NO reschedule is wanted, so that "count is 0 and a reschedule is wanted" is the
 * one comparison with zero in preempt_enable().  Interrupt handlers add
 * PREEMPT_IRQ.  The count belongs to the running thread and is swapped with it;
 * the bit belongs to the CPU.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/percpu.h"
#include "base/list.h"
#include "base/util.h"

struct thread;
struct spinlock;

#define MAX_CPUS		64		/* affinity masks are 64 bits */
#define CPU_MAX			MAX_CPUS
#define PREEMPT_IRQ	(1u << 16)
#define PREEMPT_NO_RESCHED (1u << 31)

#define CPU_HELD_MAX	16		/* CONFIG_CHECKS: spinlocks held at a time */

struct cpu {
	/* The first fields are known to assembly: arch/x86_64/asm_offsets.h. */
	struct cpu *self;		/* constant */
	struct thread *current;		/* changed by the context switch */
	uint32_t preempt_count;		/* owner only; see above */
	uint32_t id;			/* constant: 0 .. cpu_count - 1 */
	struct arch_cpu arch;		/* the architecture's */

	struct thread *idle;		/* constant once online */
	_Atomic(uint32_t) online;	/* set once by the CPU itself */

	/* Statistics; written by the owner, read by anybody (may be slightly old). */
	uint64_t context_switches;
	uint64_t interrupts;		/* of all kinds */
	uint64_t timer_interrupts, reschedules, shootdowns;
	uint64_t idle_ns;

	struct list dead_stacks;	/* of threads that ended here, to be used again; owner */
	uint32_t dead_stack_count;

	/* CONFIG_CHECKS: ranks of the spinlocks held, innermost last.  Owner only. */
	uint32_t held_count;
	struct spinlock *held[CPU_HELD_MAX];
};

extern struct cpu *cpus[MAX_CPUS];	/* constant after start; NULL: no such CPU */
extern uint32_t cpu_count;		/* processors found and started */

static inline struct cpu *this_cpu(void)
{
	return (struct cpu *)arch_percpu_read64(offsetof(struct cpu, self));
}

/* Constant for a thread: no need to disable anything. */
static inline struct thread *current_thread(void)
{
	return (struct thread *)arch_percpu_read64_stable(offsetof(struct cpu, current));
}

static inline uint32_t cpu_id(void)
{
	return arch_percpu_read32(offsetof(struct cpu, id));
}

void preempt_schedule(void);		/* sched: called when the count went to 0 and one is wanted */

static inline void preempt_disable(void)
{
	arch_percpu_inc32(offsetof(struct cpu, preempt_count));
}

static inline void preempt_enable_no_resched(void)
{
	(void)arch_percpu_dec32_is_zero(offsetof(struct cpu, preempt_count));
}

/* Reschedules here if that is wanted; with interrupts disabled, the next return from
 * an interrupt or the next preempt_enable() does it. */
static inline void preempt_enable(void)
{
	if (unlikely(arch_percpu_dec32_is_zero(offsetof(struct cpu, preempt_count))))
		preempt_schedule();
}

static inline uint32_t preempt_count(void)
{
	return arch_percpu_read32(offsetof(struct cpu, preempt_count)) & ~PREEMPT_NO_RESCHED;
}

static inline bool in_interrupt(void)
{
	return preempt_count() >= PREEMPT_IRQ;
}

/* For the CPU itself, with preemption disabled. */
static inline void set_need_resched(void)
{
	arch_percpu_and32(offsetof(struct cpu, preempt_count), ~PREEMPT_NO_RESCHED);
}
