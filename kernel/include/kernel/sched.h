/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: who runs where, blocking and waking.
 *
 * Waiting, immune to lost wake-ups:
 *
 *	lock queue;
 *	sched_prepare(flags);			from here on a wake is not lost
 *	put current_thread() on the queue;
 *	unlock queue;
 *	status = sched_block(deadline);		OK, TIMED_OUT or KICKED
 *	lock queue; take it off if still on; unlock;
 *	look at the condition again: OK may be a left-over of an earlier wait
 *
 * The waker takes the thread off the queue and calls sched_wake(), with the
 * queue's lock held or with a reference on the thread.  sched_wake() is legal in
 * any context below LOCK_RUNQ.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

/* What may end a wait besides sched_wake() and the deadline. */
#define BLOCK_KICKABLE	(1u << 0)	/* thread_kick() */
#define BLOCK_KILLABLE	(1u << 1)	/* thread_kill(); every wait that a process asked for */

/* Announce a wait: the thread is BLOCKING.  Undo with sched_block() or sched_cancel(). */
void sched_prepare(uint32_t block_flags);

/*
 * Sleep until woken.  With preemption enabled.  OK: sched_wake().  TIMED_OUT: the
 * deadline passed (0 or past: immediately).  KICKED: by what block_flags allow; a
 * kick is then consumed, a kill never is.
 */
MUST_CHECK k_status_t sched_block(uint64_t deadline_ns);
void sched_cancel(void);

/* End the wait of @t with OK.  False if it was not waiting. */
bool sched_wake(struct thread *t);

/*
 * The same, and the caller is about to sleep: @t runs next on this CPU if it may
 * (synchronous hand-over).
 */
bool sched_wake_sync(struct thread *t);

/* Sleep; not interruptible. */
void sched_sleep_until(uint64_t deadline_ns);

void sched_yield(void);

/*
 * Set parameters (k_thread_sched).  BAD_ARGUMENT: they are not valid.  When it returns, @t
 * is on no CPU that it may not use: it may sleep for that, until @t has been interrupted.
 */
MUST_CHECK k_status_t sched_set(struct thread *t, const struct k_sched *params);
void sched_get(struct thread *t, struct k_sched *params);

/* Boot: this CPU's run queue, and turning the running context into its idle thread. */
void sched_init_cpu(struct cpu *cpu);
NORETURN void sched_idle_loop(void);

/* From the interrupt exit path: reschedule if wanted.  Interrupts disabled. */
void sched_preempt_irq(void);

/* Reschedule request from another CPU has arrived (IPI handler). */
void sched_ipi(void);

/* Idle, user and system time of an existing CPU into @info.  Interrupts count as system time. */
void sched_cpu_times(uint32_t cpu, struct k_cpu_info *info);

/* User and system time together, up to now. */
uint64_t sched_run_time_ns(struct thread *t);

/* -- for sched/thread.c and the arch's first switch to a thread ----------------------- */

void sched_init_thread(struct thread *t);
void sched_inherit(struct thread *t, struct thread *from);
void sched_timeout(struct ktimer *timer);
void sched_finish_switch(struct thread *prev);
NORETURN void sched_exit(void);
/* The run's reference and the stack of a thread that will never run again.  Interrupts off. */
void thread_reap(struct thread *t);
