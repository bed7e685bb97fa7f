/* SPDX-License-Identifier: MIT */
/*
 * Threads: what the scheduler runs.
 *
 * Three kinds differ only in where they start:
 *   kernel threads		run a C function, belong to no process (process == NULL)
 *				or, for a personality in placement kernel, to its process;
 *   component threads		start in ring 3 in their process's own space.
 * Both kinds may call user_run() (arch/user.h) to run a program.
 *
 * Life: thread_create() makes it (state NEW, one reference for the caller and one
 * for the run), thread_start() makes it runnable; it ends by thread_exit(), called
 * by itself; the scheduler drops the run's reference once its stack is no longer
 * in use.  A thread that is never started is freed by dropping both
 * (thread_abandon()).  The last thread_put() may happen with interrupts disabled
 * and frees stack and register area without sleeping; everything that needs to
 * sleep is given back in thread_exit().
 *
 * States:
 *
 *	NEW --thread_start()--> RUNNABLE --thread_exit()--> DEAD
 *	                         |  ^  ^
 *	       sched_prepare()   |  |  | a wake, the deadline, a kick
 *	                         v  |  |
 *	                      BLOCKING --sched_block()--> BLOCKED --the same--> RUNNABLE
 *
 * RUNNABLE and BLOCKING: running, or on a run queue (se.queued), or for a moment on
 * the way to another CPU's queue.  BLOCKED: on none.  A thread itself makes the
 * transition to BLOCKING, without a lock; all others happen under the lock of the
 * run queue that thread->cpu names, and thread->cpu changes only under it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"
#include "arch/thread.h"
#include "base/list.h"
#include "kernel/heap.h"
#include "kernel/object.h"
#include "kernel/timer.h"

struct process;
struct space;
struct group;
struct spinlock;
struct kmutex;

enum thread_state {
	THREAD_NEW, THREAD_RUNNABLE, THREAD_BLOCKING, THREAD_BLOCKED, THREAD_DEAD
};

/* Bits of thread->pending, tested on every way back to user mode. */
#define THREAD_KICKED	(1u << 0)	/* sticky until user_run or a wait reports it */
#define THREAD_KILLED	(1u << 1)	/* never cleared: the thread is to end */
#define THREAD_MOVED	(1u << 2)	/* with report_moves: its CPU changed; until user_run reports it */

#define THREAD_NAME_MAX	32
#define THREAD_HELD_MAX	8		/* CONFIG_CHECKS: kmutexes held at a time */

/* The scheduler's part.  Protected by the run queue lock. */
struct sched_entity {
	struct heap_node node;		/* on the fair or the real-time queue */
	uint64_t key;			/* order there: fair: vruntime; real time: arrival */
	uint64_t vruntime;		/* run time divided by weight */
	uint64_t ran_ns;		/* run time in all */
	uint64_t slice_start_ns;	/* ran_ns when the present slice began */
	uint64_t affinity;		/* bit per CPU */
	uint64_t slice_ns;		/* RR */
	uint32_t sched_class;		/* enum k_sched_class */
	uint32_t weight;		/* 1024: nice 0 */
	uint32_t priority;		/* real time: 1..99 */
	bool queued;
};

struct thread {
	/* The first two are known to assembly. */
	struct arch_thread arch;	/* the architecture's; the thread itself while it runs */
	_Atomic(uint32_t) pending;	/* THREAD_*; set by anybody */

	_Atomic(uint32_t) cpu;		/* whose run queue it belongs to */
	struct object object;		/* K_TYPE_THREAD */

	struct process *process;	/* constant; NULL: kernel thread.  Holds a reference until
					 * thread_exit() */
	char name[THREAD_NAME_MAX];	/* constant */

	/* -- state: see above */
	_Atomic(uint32_t) state;	/* enum thread_state */
	uint32_t block_flags;		/* BLOCK_*, of the present wait; set by the thread before
					 * it becomes BLOCKING */
	k_status_t wake_status;		/* why the last wait ended; run queue lock */
	struct sched_entity se;
	struct list movers;		/* run queue lock: who waits until it has left a CPU that it
					 * may not use any more (sched_set) */
	struct ktimer timeout;		/* of sched_block() */
	bool report_moves;		/* user_run reports a program that lost its CPU.  Written by
					 * the thread; who moves it looks under its queue's lock */

	/* -- address spaces, the thread's own */
	struct space *own_space;	/* of component code; NULL for kernel code.  Constant */
	struct space *space;		/* program space, set by thread_use_space(); holds a
					 * reference */
	struct space *run_space;	/* what its CPU is to have loaded: one of the two, or NULL:
					 * any.  Changed by thread_set_run_space() */
	bool run_unified;		/* ... with the personality's slot visible */

	/* -- statistics: written by the thread or its CPU, read by anybody */
	uint64_t voluntary_switches, involuntary_switches;
	uint64_t minor_faults, major_faults;

	/* -- for the waiting code in ipc/: one wait at a time */
	struct list wait_link;		/* on a queue; protected by that queue's lock */
	void *wait_data;		/* the queue's */

	/* -- for object/: threads of a process */
	struct list process_link;	/* protected by the process's lock */
	uint64_t process_koid;		/* constant once started */
	void *personality_self;		/* rt_self() of placement kernel; the thread's own */
	struct k_user_frame *user_frame;/* rt_frame(): the program's registers; constant */
	uint64_t frame_address;		/* placement process: where the shared frame page is, or 0 */
	struct k_user_frame *shared_frame;	/* ... the frame there in the kernel's map, pinned until
					 * thread_exit(); NULL: k_user_run() copies it.  The thread's own */
	struct object_reaper reaper;	/* object/object.c; the thread's own */

	/* -- CONFIG_CHECKS: kmutexes held, innermost last; the thread's own */
	uint32_t held_count;
	struct kmutex *held[THREAD_HELD_MAX];
};

/* What to start.  Either @fn (kernel code) or @user_entry (ring 3) is not 0. */
struct thread_params {
	const char *name;
	struct process *process;	/* or NULL */
	void (*fn)(uint64_t arg);	/* kernel code; returning from it is thread_exit() */
	uint64_t arg;			/* of fn, or in the first argument register of user_entry */
	uint64_t user_entry;
	uint64_t user_stack;		/* top; the ABI's alignment for a call is made here */
	struct space *own_space;	/* of user_entry's code; kept alive by the process */
	struct thread *inherit_fpu;	/* copy this thread's FPU state (the caller), or NULL */
	bool inherit_sched;		/* start with the caller's class, weight and affinity */
	bool runs_programs;		/* will call user_run(): gets a register area for it */
};

/* @out gets a thread in state NEW.  NO_MEMORY: nothing was made. */
MUST_CHECK k_status_t thread_create(const struct thread_params *params, struct thread **out);
void thread_start(struct thread *t);
void thread_abandon(struct thread *t);		/* instead of thread_start() */

static inline void thread_get(struct thread *t)
{
	object_get(&t->object);
}

static inline void thread_put(struct thread *t)
{
	object_put(&t->object);
}

/* The destroy operation of K_TYPE_THREAD: frees everything; any context. */
void thread_destroy(struct object *object);

/*
 * End the calling thread.  Calls process_thread_exiting() (kernel/process.h) with
 * preemption enabled first, which gives back what the process side holds.
 */
NORETURN void thread_exit(void);

/* Make user_run() return, or an interruptible wait end: now or the next one. */
void thread_kick(struct thread *t);
/* Make it end on its next way to user mode, and end its killable waits with KICKED. */
void thread_kill(struct thread *t);

/* Load @space (of the caller: its own or its program's) now and whenever the caller runs. */
void thread_set_run_space(struct space *space, bool unified);

/* Show or hide the personality's slot beside the program's space, which the caller has loaded.
 * Interrupts disabled. */
void thread_set_unified(bool unified);

/* Whether the calling thread is to end: for long loops in the kernel. */
bool thread_is_killed(void);

/* Give this CPU's stock of stacks back (leak check).  May sleep. */
void thread_drain_stacks(void);

/* A kernel thread of the kernel itself, started; panics without memory (boot only). */
struct thread *thread_spawn_kernel(const char *name, void (*fn)(uint64_t arg), uint64_t arg);

void thread_info(struct thread *t, struct k_thread_info *info);
