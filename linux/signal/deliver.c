/* SPDX-License-Identifier: MIT */
/*
 * What a task does about signals before it enters the program: call a handler,
 * stop, or end; and what that means for an interrupted system call.
 *
 * An interrupted call has one of the LX_ERESTART codes as its result, which the
 * program never sees: either a handler is called, then the code and the handler's
 * SA_RESTART decide, or none is, then the call is made again.
 */

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/unistd.h>

#include "abi/calls.h"
#include "lx/arch.h"
#include "lx/async.h"
#include "lx/lock_rank.h"
#include "lx/pid.h"
#include "lx/rseq.h"
#include "lx/task.h"
#include "lx/trace.h"
#include "rt/thread.h"
#include "signal/signal_impl.h"
#include "task/task_impl.h"

/* -- restart ---------------------------------------------------------------------- */

static void call_again(struct k_user_frame *f)
{
	LX_RESULT(f) = LX_SYSCALL_NR(f);
	LX_PC(f) -= LX_SYSCALL_INSN;
	f->flags = 0;
}

static void restart_for_handler(struct lx_task *self, const struct lx_sigaction *act)
{
	struct k_user_frame *f = self->frame;

	if (!self->restarting)
		return;
	self->restarting = false;
	if ((int64_t)LX_SYSCALL_NR(f) < 0)
		return;			/* a debugger has taken it off a system call */
	switch (-(int64_t)LX_RESULT(f)) {
	case LX_ERESTARTSYS:
		if (act->flags & SA_RESTART) {
			call_again(f);
			return;
		}
		break;
	case LX_ERESTARTNOINTR:
		call_again(f);
		return;
	}
	LX_RESULT(f) = (uint64_t)-EINTR;
}

static void restart_without_handler(struct lx_task *self)
{
	struct k_user_frame *f = self->frame;

	if (!self->restarting)
		return;
	self->restarting = false;
	if ((int64_t)LX_SYSCALL_NR(f) < 0)
		return;
	if (-(int64_t)LX_RESULT(f) == LX_ERESTART_BLOCK)
		LX_SYSCALL_NR(f) = __NR_restart_syscall;
	call_again(f);
}

/* -- stops ------------------------------------------------------------------------- */

static void tell_parent(struct lx_task *self, int why)
{
	rt_mutex_lock(&lx_init_pidns.lock);
	lx_group_notify_parent_locked(self->group, why);
	rt_mutex_unlock(&lx_init_pidns.lock);
}

/* The caller is part of a stop: true if it was the last.  With group->lock. */
static bool take_part(struct lx_task *self)
{
	struct lx_group *g = self->group;

	atomic_fetch_and(&self->attention, ~LX_ATTN_STOP);
	if (!self->stop_counted)
		return false;
	self->stop_counted = false;
	if (--g->stop_count > 0)
		return false;
	g->flags = (g->flags & ~(LX_GROUP_STOPPING | LX_GROUP_STOP_REPORTED | LX_GROUP_CONTINUED)) |
		   LX_GROUP_STOPPED;
	return true;
}

void lx_signal_group_stop_leave(struct lx_task *self)
{
	struct lx_group *g = self->group;
	bool last;

	rt_mutex_lock(&g->lock);
	last = take_part(self);
	rt_mutex_unlock(&g->lock);
	if (last)
		tell_parent(self, CLD_STOPPED);
}

/* Whether the caller has to stay stopped; its state says so from here on.  With group->lock. */
static bool enter_stopped_locked(struct lx_task *self)
{
	bool stopped = (self->group->flags & (LX_GROUP_STOPPED | LX_GROUP_STOPPING)) &&
		       !lx_ptrace_is_traced(self);

	atomic_store(&self->state, stopped ? LX_STOPPED : LX_RUNNING);
	return stopped;
}

static void sleep_while_stopped(struct lx_task *self)
{
	struct lx_group *g = self->group;

	for (;;) {
		bool stopped;

		lx_wait_prepare(self);
		rt_mutex_lock(&g->lock);
		stopped = enter_stopped_locked(self);
		rt_mutex_unlock(&g->lock);
		if (!stopped)
			return;
		(void)rt_wait(&self->wake_word, 0, K_DEADLINE_NEVER, true);
	}
}

static void stop_with_group(struct lx_task *self)
{
	struct lx_group *g = self->group;
	bool last;

	if (lx_ptrace_is_traced(self) && lx_ptrace_group_stop(self))
		return;
	rt_mutex_lock(&g->lock);
	last = take_part(self);
	/*
	 * In the same step as the group: whoever has heard of the stop and sends a
	 * fatal signal then finds nobody who would take it before SIGCONT.
	 */
	(void)enter_stopped_locked(self);
	rt_mutex_unlock(&g->lock);
	if (last)
		tell_parent(self, CLD_STOPPED);
	sleep_while_stopped(self);
}

void lx_signal_stop(struct lx_task *self, int sig)
{
	struct lx_group *g = self->group;
	struct lx_task *t;

	rt_mutex_lock(&g->lock);
	/* A SIGCONT that came after the signal was taken found no stop that it could end. */
	if ((g->flags & (LX_GROUP_EXITING | LX_GROUP_CORE_DUMP)) || !self->stop_dequeued) {
		rt_mutex_unlock(&g->lock);
		return;
	}
	if (!(g->flags & (LX_GROUP_STOPPED | LX_GROUP_STOPPING))) {
		g->flags |= LX_GROUP_STOPPING;
		g->stop_sig = sig;
		g->stop_count = 0;
		list_for_each_entry(t, &g->tasks, group_link) {
			if (t->exiting)
				continue;
			t->stop_counted = true;
			g->stop_count++;
			if (t != self)
				lx_task_notify(t, LX_ATTN_STOP);
		}
	}
	rt_mutex_unlock(&g->lock);
	stop_with_group(self);
}

/* News for the parent that a sender of SIGCONT could not tell: its locks were in the way. */
static void late_news(struct lx_task *self)
{
	struct lx_group *g = self->group;
	unsigned int news;

	rt_mutex_lock(&g->lock);
	news = g->flags & (LX_GROUP_CLD_CONTINUED | LX_GROUP_CLD_STOPPED);
	g->flags &= ~news;
	rt_mutex_unlock(&g->lock);
	if (news & LX_GROUP_CLD_CONTINUED)
		tell_parent(self, CLD_CONTINUED);
	else if (news)
		tell_parent(self, CLD_STOPPED);
}

/* -- delivery -------------------------------------------------------------------------- */

static void call_handler(struct lx_task *self, const struct lx_sigaction *act,
			 const struct lx_siginfo *info)
{
	struct lx_group *g = self->group;
	uint64_t oldmask = self->restore_sigmask ? self->saved_sigmask : self->blocked;
	struct lx_siginfo segv = lx_siginfo_kernel(SIGSEGV);

	restart_for_handler(self, act);
	if (self->rseq.v)
		lx_rseq_resume(self, false);
	if (lx_signal_frame_setup(self, act, info, oldmask)) {
		if (info->signo == SIGSEGV) {
			bool shared;

			rt_mutex_lock(&g->lock);
			shared = lx_sighand_lock_shared(g);
			g->sighand->action[SIGSEGV - 1].handler = 0;
			lx_sighand_unlock_shared(g, shared);
			rt_mutex_unlock(&g->lock);
		}
		lx_signal_force(self, &segv);
		return;
	}
	self->restore_sigmask = false;
	rt_mutex_lock(&g->lock);
	lx_sigmask_set_locked(self, self->blocked | act->mask |
				    (act->flags & SA_NODEFER ? 0 : LX_SIGMASK(info->signo)));
	rt_mutex_unlock(&g->lock);
	lx_ptrace_handler_entered(self);
}

static void end_by_signal(struct lx_task *self, const struct lx_siginfo *info)
{
	int sig = info->signo, code = sig;

	lx_print_fatal_signal(self, info);
	if ((LX_SIG_CORE & LX_SIGMASK(sig)) && lx_core_dump(self, info))
		code |= 0x80;
	lx_group_exit(self, code);
}

/* The next signal, its action (a copy), or 0. */
static int next(struct lx_task *self, struct lx_siginfo *info, struct lx_sigaction *act)
{
	struct lx_group *g = self->group;
	int sig;

	rt_mutex_lock(&g->lock);
	sig = lx_signal_take_locked(self, ~self->blocked, info);
	self->stop_dequeued = true;
	lx_signal_recalc_locked(self);
	if (sig && lx_ptrace_is_traced(self) && sig != SIGKILL) {
		rt_mutex_unlock(&g->lock);
		sig = lx_ptrace_signal(self, sig, info);
		rt_mutex_lock(&g->lock);
	}
	if (sig) {
		bool shared = lx_sighand_lock_shared(g);

		*act = g->sighand->action[sig - 1];
		if (act->handler > 1 && (act->flags & SA_ONESHOT))
			g->sighand->action[sig - 1].handler = 0;
		lx_sighand_unlock_shared(g, shared);
	}
	rt_mutex_unlock(&g->lock);
	return sig;
}

/* The default action.  May not return. */
static void act_by_default(struct lx_task *self, const struct lx_siginfo *info)
{
	int sig = info->signo;

	if (LX_SIG_IGNORED & LX_SIGMASK(sig))
		return;
	if (sig != SIGKILL && lx_group_has(self->group, LX_GROUP_UNKILLABLE))
		return;
	if (LX_SIG_STOPS & LX_SIGMASK(sig)) {
		/* Without a shell that could continue it, job control must not stop a process. */
		if (sig != SIGSTOP && lx_pgrp_is_orphaned(self->group->pgid))
			return;
		lx_signal_stop(self, sig);
		return;
	}
	end_by_signal(self, info);
}

void lx_signal_deliver(struct lx_task *self)
{
	struct lx_siginfo info;
	struct lx_sigaction act;

	while (atomic_load(&self->attention) & (LX_ATTN_SIGNAL | LX_ATTN_STOP)) {
		if (atomic_load(&self->attention) & LX_ATTN_EXIT)
			return;
		if (atomic_load(&self->attention) & LX_ATTN_STOP) {
			stop_with_group(self);
			continue;
		}
		if (!next(self, &info, &act))
			continue;
		if (act.handler == 1)
			continue;
		lx_trace_signal(self, &info, act.handler != 0);
		if (act.handler == 0) {
			act_by_default(self, &info);
			continue;
		}
		call_handler(self, &act, &info);
	}
	restart_without_handler(self);
	if (self->restore_sigmask) {
		self->restore_sigmask = false;
		lx_sigmask_set(self, self->saved_sigmask);
	}
}

void lx_task_attention(struct lx_task *self)
{
	uint32_t attention = atomic_load(&self->attention);

	if (attention & LX_ATTN_ASYNC) {
		lx_async_run(self);
		attention = atomic_load(&self->attention);
	}
	if (attention & LX_ATTN_EXIT) {
		lx_core_park(self);
		lx_group_exit(self, SIGKILL);
	}
	if (attention & LX_ATTN_WORK) {
		atomic_fetch_and(&self->attention, ~LX_ATTN_WORK);
		late_news(self);
		lx_ptrace_work(self);
	}
	lx_signal_deliver(self);
}
