/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the personality asks of ptrace (linux/ptrace).  Every function
 * is cheap when the task is not traced.
 */
#pragma once

#include "lx/types.h"
#include "lx/signal.h"
#include "lx/task.h"

/* The caller stops for PTRACE_EVENT_@event if its tracer asked for that. */
void lx_ptrace_event(struct lx_task *self, int event, uint64_t message);
bool lx_ptrace_event_enabled(struct lx_task *self, int event);
/* clone: @child becomes a tracee of the caller's tracer too, if asked.  With lx_pidns.lock. */
void lx_ptrace_clone_locked(struct lx_task *self, struct lx_task *child, int event,
			    uint64_t clone_flags);
int lx_ptrace_clone_prepare(struct lx_task *self, struct lx_task *child);	/* before; -ENOMEM */
/* A signal is about to be delivered: the tracer may change it (info) or swallow it (0). */
int lx_ptrace_signal(struct lx_task *self, int sig, struct lx_siginfo *info);
/* Syscall stops; enter returns false if the tracer wants the call skipped. */
bool lx_ptrace_syscall_enter(struct lx_task *self);
void lx_ptrace_syscall_exit(struct lx_task *self);
/* The caller has work: LX_ATTN_WORK (INTERRUPT, a stop that the tracer wants). */
void lx_ptrace_work(struct lx_task *self);
/* exec went well: SIGTRAP or an event. */
void lx_ptrace_exec(struct lx_task *self, lx_pid_t old_tid);
/*
 * A task ends: detach its tracees (kill those with EXITKILL).  With lx_pidns.lock.
 * Zombies that nobody needs any more go to @dead (by group_link), to be put.
 */
void lx_ptrace_exit_tracer_locked(struct lx_task *self, struct list *dead);
/* The group stop of a traced task: stop as a tracee does. */
bool lx_ptrace_group_stop(struct lx_task *self);
/* SIGCONT was sent: a seized tracee reports that its group goes on.  With group->lock. */
void lx_ptrace_continued_locked(struct lx_task *t);
/* A handler's frame was set up: single-stepping stops there. */
void lx_ptrace_handler_entered(struct lx_task *self);
static inline bool lx_ptrace_is_traced(const struct lx_task *t)
{
	return __atomic_load_n(&t->ptracer, __ATOMIC_RELAXED) != NULL;
}

/*
 * A debug exception of @self (vector 1): DR6 for its tracer.  Returns si_code.
 */
int lx_debug_exception(struct lx_task *self, uint64_t dr6);
/* exec: no hardware breakpoints in the new program. */
void lx_debug_forget(struct lx_task *self);
