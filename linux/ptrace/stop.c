/* SPDX-License-Identifier: MIT */
/*
 * ptrace stops: where a tracee stops for its tracer, and with what news.
 *
 * It stops before a signal is delivered (the tracer may change it or keep it), at an
 * event that the tracer asked for (fork, exec, exit...), at the start and end of a system
 * call, when a handler begins that is single-stepped, and in a group stop.  All are one
 * stop(): it writes down what the stop is about, tells the tracer, and sleeps until the
 * tracer resumes it, a SIGKILL comes, or the tracer has gone.
 *
 * A tracee stops in its own thread alone.  A trap that another thread asks for
 * (PTRACE_INTERRUPT, SIGCONT to one that was seized) is only noted; the tracee makes it
 * on its way out (lx_ptrace_work).  While it listens (PTRACE_LISTEN) its stop goes on,
 * and the trap ends that with a new one.
 */
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/ptrace.h>

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/pid.h"
#include "lx/ptrace.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "ptrace/ptrace_impl.h"
#include "signal/signal_impl.h"
#include "task/task_impl.h"

/* Tell the tracer.  It may have gone: then nobody stops. */
static void tell_tracer(struct lx_task *self, int code)
{
	struct lx_siginfo info = { .signo = SIGCHLD, .code = CLD_TRAPPED };
	struct lx_task *tracer;

	info.chld.pid = self->tid;
	info.chld.uid = self->cred->uid;
	info.chld.status = code & 0x7f;
	rt_mutex_lock(&lx_init_pidns.lock);
	tracer = self->ptracer;
	if (tracer) {
		struct lx_group *g = tracer->group;
		const struct lx_sigaction *act = &g->sighand->action[SIGCHLD - 1];

		rt_mutex_lock(&g->lock);
		if (act->handler != 1 && !(act->flags & SA_NOCLDSTOP))
			(void)lx_signal_send_locked(g, NULL, &info);
		rt_mutex_unlock(&g->lock);
		lx_wake_all(&g->child_wait);
	} else if (self->ptrace) {
		rt_mutex_lock(&self->group->lock);
		self->ptrace->stopped = false;
		rt_mutex_unlock(&self->group->lock);
	}
	rt_mutex_unlock(&lx_init_pidns.lock);
}

static void sleep_stopped(struct lx_task *self, struct lx_ptrace *pt)
{
	struct lx_group *g = self->group;

	for (;;) {
		bool stopped;

		lx_wait_prepare(self);
		rt_mutex_lock(&g->lock);
		if (atomic_load(&self->attention) & LX_ATTN_EXIT)
			pt->stopped = false;
		stopped = pt->stopped;
		if (!stopped)
			atomic_store(&self->state, LX_RUNNING);
		rt_mutex_unlock(&g->lock);
		if (!stopped)
			return;
		(void)!rt_wait(&self->wake_word, 0, K_DEADLINE_NEVER, true);
	}
}

/* Stop for the tracer with @code as wait(2) shows it; the signal it wants delivered, or 0. */
static int stop(struct lx_task *self, int code, const struct lx_siginfo *info, uint64_t message)
{
	struct lx_group *g = self->group;
	struct lx_ptrace *pt = self->ptrace;
	int sig = 0;

	rt_mutex_lock(&g->lock);
	if (!lx_ptrace_is_traced(self) || (atomic_load(&self->attention) & LX_ATTN_EXIT)) {
		rt_mutex_unlock(&g->lock);
		return 0;
	}
	pt->stopped = true;
	pt->reported = false;
	pt->listening = false;
	pt->code = code;
	pt->resume_signal = 0;
	pt->message = message;
	pt->has_info = info != NULL;
	if (info)
		pt->info = *info;
	atomic_store(&self->state, LX_TRACED);
	rt_mutex_unlock(&g->lock);

	tell_tracer(self, code);
	sleep_stopped(self, pt);
	lx_debug_resume(self);

	rt_mutex_lock(&g->lock);
	sig = pt->resume_signal;
	pt->has_info = false;
	lx_signal_recalc_locked(self);
	rt_mutex_unlock(&g->lock);
	return sig;
}

void lx_ptrace_resume_locked(struct lx_task *t, int sig)
{
	struct lx_ptrace *pt = t->ptrace;

	pt->resume_signal = sig;
	pt->resumed_once = true;
	pt->stopped = false;
	pt->reported = true;
	lx_task_wake(t);
}

static struct lx_siginfo trap_info(struct lx_task *self, int code)
{
	struct lx_siginfo info = lx_siginfo_user(self, SIGTRAP, code);

	return info;
}

bool lx_ptrace_event_enabled(struct lx_task *self, int event)
{
	return lx_ptrace_is_traced(self) && (self->ptrace->options & 1u << event);
}

void lx_ptrace_event(struct lx_task *self, int event, uint64_t message)
{
	struct lx_siginfo info;

	if (!lx_ptrace_event_enabled(self, event))
		return;
	info = trap_info(self, SIGTRAP | event << 8);
	(void)stop(self, SIGTRAP | event << 8, &info, message);
}

void lx_ptrace_exec(struct lx_task *self, lx_pid_t old_tid)
{
	struct lx_siginfo info;

	if (!lx_ptrace_is_traced(self))
		return;
	if (lx_ptrace_event_enabled(self, PTRACE_EVENT_EXEC)) {
		lx_ptrace_event(self, PTRACE_EVENT_EXEC, (uint64_t)old_tid);
	} else if (!self->ptrace->seized) {
		info = lx_siginfo_user(self, SIGTRAP, SI_USER);
		(void)lx_signal_task(self, &info);
	}
}

/* The signal that the tracer wants instead, with what is known about it. */
int lx_ptrace_signal(struct lx_task *self, int sig, struct lx_siginfo *info)
{
	struct lx_group *g = self->group;
	struct lx_ptrace *pt = self->ptrace;
	int wanted = stop(self, sig, info, 0);

	if (atomic_load(&self->attention) & LX_ATTN_EXIT)
		return 0;
	if (!lx_ptrace_is_traced(self) && !wanted && !pt->resumed_once)
		wanted = sig;		/* the tracer went without saying anything */
	if (!wanted)
		return 0;
	rt_mutex_lock(&g->lock);
	if (wanted == sig)
		*info = pt->info;	/* SETSIGINFO may have changed it */
	else
		*info = lx_siginfo_user(self, wanted, SI_USER);
	info->signo = wanted;
	if (self->blocked & LX_SIGMASK(wanted)) {
		(void)lx_signal_send_locked(g, self, info);
		wanted = 0;
	}
	rt_mutex_unlock(&g->lock);
	return wanted;
}

/* A group stop of a tracee.  False: stop as everybody does. */
bool lx_ptrace_group_stop(struct lx_task *self)
{
	struct lx_group *g = self->group;
	struct lx_ptrace *pt = self->ptrace;
	struct lx_siginfo info;
	bool stopped, seized;
	int code;

	lx_signal_group_stop_leave(self);
	rt_mutex_lock(&g->lock);
	seized = pt->seized;
	/* SIGCONT may have come since; the tracer that seized learns of that by a trap. */
	stopped = g->flags & (LX_GROUP_STOPPED | LX_GROUP_STOPPING);
	code = !stopped ? SIGTRAP : g->stop_sig ? g->stop_sig : SIGSTOP;
	if (!stopped)
		pt->interrupt = false;
	rt_mutex_unlock(&g->lock);
	if (!stopped && !seized)
		return true;
	if (seized) {
		code |= PTRACE_EVENT_STOP << 8;
		info = trap_info(self, code);
		(void)stop(self, code, &info, 0);
	} else {
		(void)stop(self, code, NULL, 0);
	}
	return true;
}

void lx_ptrace_work(struct lx_task *self)
{
	struct lx_ptrace *pt = self->ptrace;
	struct lx_siginfo info;
	bool trap;

	if (!pt)
		return;
	rt_mutex_lock(&self->group->lock);
	trap = pt->interrupt && lx_ptrace_is_traced(self);
	pt->interrupt = false;
	rt_mutex_unlock(&self->group->lock);
	if (!trap)
		return;
	info = trap_info(self, SIGTRAP | PTRACE_EVENT_STOP << 8);
	(void)stop(self, SIGTRAP | PTRACE_EVENT_STOP << 8, &info, 0);
}

/* -- system calls and steps -------------------------------------------------------------- */

static void syscall_stop(struct lx_task *self, uint8_t op)
{
	struct lx_ptrace *pt = self->ptrace;
	int code = SIGTRAP | (pt->options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0), sig;
	struct lx_siginfo info = trap_info(self, code);

	pt->syscall_op = op;
	sig = stop(self, code, &info, op == PTRACE_SYSCALL_INFO_ENTRY ? PTRACE_EVENTMSG_SYSCALL_ENTRY
								       : PTRACE_EVENTMSG_SYSCALL_EXIT);
	pt->syscall_op = PTRACE_SYSCALL_INFO_NONE;
	if (sig) {
		info = lx_siginfo_user(self, sig, SI_USER);
		(void)lx_signal_task(self, &info);
	}
}

bool lx_ptrace_syscall_enter(struct lx_task *self)
{
	if (lx_ptrace_is_traced(self))
		syscall_stop(self, PTRACE_SYSCALL_INFO_ENTRY);
	return LX_SYSCALL_NR(self->frame) != ~0ull;
}

void lx_ptrace_syscall_exit(struct lx_task *self)
{
	if (lx_ptrace_is_traced(self))
		syscall_stop(self, PTRACE_SYSCALL_INFO_EXIT);
}

void lx_ptrace_handler_entered(struct lx_task *self)
{
	struct lx_siginfo info;

	if (!lx_ptrace_is_traced(self) || !self->ptrace->stepping)
		return;
	info = trap_info(self, SIGTRAP);
	(void)stop(self, SIGTRAP, &info, 0);
}

/* -- traps to come --------------------------------------------------------------------------- */

void lx_ptrace_trap_soon_locked(struct lx_task *t)
{
	struct lx_ptrace *pt = t->ptrace;

	pt->interrupt = true;
	if (pt->stopped) {
		atomic_fetch_or(&t->attention, LX_ATTN_WORK);
		if (pt->listening)	/* ends the listening stop with a new one */
			lx_ptrace_resume_locked(t, 0);
	} else {
		lx_task_notify(t, LX_ATTN_WORK);
	}
}

void lx_ptrace_continued_locked(struct lx_task *t)
{
	if (lx_ptrace_is_traced(t) && t->ptrace->seized)
		lx_ptrace_trap_soon_locked(t);
}
