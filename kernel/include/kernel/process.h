/* SPDX-License-Identifier: MIT */
/*
 * Processes: a handle table plus the space its own code runs in.
 *
 *	created [process_create] -> running [process_add_thread, first] -> dead [last
 *	process_remove_thread].  Death closes all handles, tears the space down, records
 *	the exit status and rings the watchers; it happens once, on the last thread.
 *
 * "Ending" is set when somebody decided that the process has to die: its threads
 * are marked and leave at their next return to user mode; no new ones are added.
 * The first exit status counts.
 *
 * Code that runs inside the kernel image (placement kernel) is a process too:
 * `in_kernel`, without a space.  It cannot be killed.  The kernel's own threads
 * belong to no process.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/calls.h"
#include "base/list.h"
#include "kernel/backing.h"
#include "kernel/handle.h"
#include "kernel/lock.h"
#include "kernel/object.h"

struct bell;
struct kbytes;
struct space;
struct thread;
struct thread_params;

extern struct process *init_process;	/* its death is a panic; set once */

enum process_state { PROCESS_CREATED, PROCESS_RUNNING, PROCESS_DEAD };

/* A fault that ended a process, as k_process_info shows it. */
struct fault_report {
	uint64_t vector, error, address, rip, rsp;
	uint64_t regs[16];		/* rax rbx rcx rdx rsi rdi rbp rsp r8..r15 */
};

#define PROCESS_CALLS	(CONFIG_CHECKS ? K_CALL_COUNT : 1)

struct process {
	struct object object;

	/* Constant. */
	char name[32];

	/* Constant once running. */
	bool in_kernel;
	struct space *space;		/* referenced; NULL: in_kernel */

	struct handle_table handles;	/* its own locks */
	struct k_fixup fixups[K_FIXUPS_MAX];	/* lock; constant once set */
	_Atomic(uint32_t) fixup_count;	/* 0: not set */

	struct reap_list *reap;		/* constant; backings without mappings */

	struct kmutex lock;		/* rank LOCK_PROCESS */
	enum process_state state;	/* lock */
	bool ending;			/* lock; read without by threads about to return */
	uint32_t exit_status;		/* lock; constant once ending */
	uint32_t thread_count;		/* lock */
	struct list threads;		/* lock; struct thread.process_link */
	struct list watches;		/* lock; struct process_watch */
	uint64_t dead_cpu_ns;		/* lock; of threads that ended */
	_Atomic(uint64_t) calls[PROCESS_CALLS];	/* CONFIG_CHECKS: kernel calls made, by number.
						 * Counts only: relaxed */

	/* Lock; set at most once, with `ending`. */
	bool has_report;
	struct fault_report report;
	uint64_t trace[16];

	struct list all_link;		/* list of all processes */
};

/* A process in @group without threads; with a space of its own unless @in_kernel. */
k_status_t process_create(struct group *group, const char *name, bool in_kernel,
			  struct process **process) MUST_CHECK;
void process_destroy(struct object *object);

/* What a new thread is to have besides struct thread_params. */
struct process_start {
	struct space *space;		/* program space to begin with, or NULL */
	uint64_t frame_address;		/* as in struct k_thread_start */
	struct k_user_frame *frame;	/* thread->user_frame: freed with the thread; or NULL */
	bool first;			/* the process must be in state created, and runs then */
};

/*
 * Make a thread of @process; process and own_space of @params are set here.  LIMIT,
 * BAD_STATE, NO_MEMORY: nothing happened, @start->frame is the caller's still.  The
 * caller gets a reference, and has to start *@thread whatever happens: nothing else
 * can end it.
 */
k_status_t process_make_thread(struct process *process, struct thread_params *params,
			       const struct process_start *start, struct thread **thread)
	MUST_CHECK;

/* The same for a thread that nobody has to know: it is started. */
k_status_t process_start_thread(struct process *process, struct thread_params *params,
				const struct process_start *start)
	MUST_CHECK;

/*
 * For thread_create() and thread_exit().  Adding charges the group and references the
 * process: LIMIT, BAD_STATE (not running, or ending).  Removing the last thread kills
 * the process; it may sleep.
 */
k_status_t process_add_thread(struct process *process, struct thread *thread) MUST_CHECK;
void process_remove_thread(struct thread *thread);

/*
 * @process, created and without threads, is to run inside the kernel image: it loses its
 * space.  BAD_STATE.
 */
k_status_t process_move_into_kernel(struct process *process) MUST_CHECK;

/* Make every thread of @process end.  The caller's own thread too: it ends at its
 * next return to user mode.  BAD_STATE: in_kernel, or dead. */
k_status_t process_end(struct process *process, uint32_t status) MUST_CHECK;

/*
 * The running thread's own code (not a program in user_run) did in ring 3 what the
 * processor refused: record it, and end the process.  Returns; the thread must then
 * end.  Interrupts enabled.
 */
void process_fault(struct thread *self, const struct fault_report *report);

/* As the call process_fixups: ascending, within the process's own half.  BAD_ARGUMENT, BAD_STATE. */
k_status_t process_set_fixups(struct process *process, const struct k_fixup *fixups,
			      uint32_t count) MUST_CHECK;
/* Where the calling thread's own ring-3 code goes on after a fault at @rip; false: nowhere. */
bool process_find_fixup(uint64_t rip, uint64_t *landing);

/* CONFIG_CHECKS: the running thread makes a kernel call through the boundary. */
static inline void process_count_call(struct process *process, uint64_t number)
{
	if (CONFIG_CHECKS)
		atomic_fetch_add_explicit(&process->calls[number], 1, memory_order_relaxed);
}

/* Ring @bell with @bits when @process is dead (at once if it is). */
k_status_t process_watch(struct process *process, struct bell *bell, uint64_t bits) MUST_CHECK;
/* koids of the threads, as many as fit; *@count is how many there are.  BAD_ADDRESS. */
k_status_t process_list_threads(struct process *process, const struct kbytes *ids,
				uint64_t *count) MUST_CHECK;
void process_read(struct process *process, struct k_process_info *info);

/* Log why @process died: its status, or the fault and the stack. */
void process_log_report(struct process *process);

/* One log line for each process: state, threads, handles. */
void process_log_all(void);
