/* SPDX-License-Identifier: MIT */
/*
 * The run queues, for the files of the scheduler.  Theory: sched.c.
 */
#pragma once

#include "arch/cpu.h"
#include "kernel/lock.h"
#include "kernel/percpu.h"
#include "kernel/runq.h"
#include "kernel/sched.h"

extern struct runq sched_runqs[MAX_CPUS];	/* each has its lock */
extern _Atomic(uint64_t) sched_idle_cpus;	/* bit per CPU that runs its idle thread; a hint */

static inline struct runq *this_runq(void)
{
	return &sched_runqs[cpu_id()];
}

static inline uint32_t runq_cpu_id(const struct runq *rq)
{
	return (uint32_t)(rq - sched_runqs);
}

static inline struct cpu *runq_cpu(const struct runq *rq)
{
	return cpus[runq_cpu_id(rq)];
}

/* The queue that @t is on or would be on, locked with interrupts disabled; sched_unlock(). */
static inline struct runq *thread_lock_runq(struct thread *t, arch_irqflags_t *flags)
{
	*flags = arch_irq_save();
	for (;;) {
		struct runq *rq = &sched_runqs[atomic_load_explicit(&t->cpu, memory_order_relaxed)];

		spin_lock_irqoff(&rq->lock);
		if (rq == &sched_runqs[atomic_load_explicit(&t->cpu, memory_order_relaxed)])
			return rq;
		spin_unlock_irqoff(&rq->lock);
	}
}

static inline bool may_run_on(const struct thread *t, uint32_t cpu)
{
	return t->se.affinity >> cpu & 1;
}

/* Ask @rq's CPU to reschedule: another one is interrupted once @rq is released. */
static inline void resched_cpu(struct runq *rq)
{
	uint32_t cpu = runq_cpu_id(rq);

	if (cpu == cpu_id())
		set_need_resched();
	else
		rq->ipi_wanted = true;
}

/* -- sched.c; with the queue's lock held */
/* Bring the running thread's times up to @now. */
void sched_account(struct runq *rq, struct thread *t, uint64_t now);
/*
 * Release @rq and do what was put off until now; interrupts are disabled and stay
 * so.  (Sending an interrupt can take long under a hypervisor.)
 */
void sched_release(struct runq *rq);
/* The same, and interrupts as before thread_lock_runq(); may reschedule. */
void sched_unlock(struct runq *rq, arch_irqflags_t flags);
/* Put @t on @rq and see whether it should preempt.  t->cpu names @rq. */
void sched_enqueue_woken(struct runq *rq, struct thread *t, bool sync);

/* -- balance.c */
/* The CPU where a thread that waits no longer should run. */
uint32_t sched_choose_cpu(struct thread *t, bool sync);
/*
 * Make @t, which is RUNNABLE and on no queue, one of CPU @target, or, if what it may
 * use has changed since @target was chosen, of another.  Returns that CPU's queue,
 * locked.
 */
struct runq *sched_join_cpu(struct thread *t, uint32_t target);
/* A thread for an idle @rq from somebody's queue, or NULL; @rq is locked. */
struct thread *sched_steal(struct runq *rq);
/* Give a thread that may not run here any more to another CPU.  Interrupts are disabled. */
void sched_push_away(struct thread *t);

/* -- params.c */
/* Tell those of @left, who wait for a thread to leave its CPU and are on no thread's list any more. */
void sched_wake_movers(struct list *left);
