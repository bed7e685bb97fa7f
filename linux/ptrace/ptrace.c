/* SPDX-License-Identifier: MIT */
/*
 * ptrace: stops, and the calls that make, end and steer them.
 *
 * A tracee knows its tracer (task->ptracer) and is on the tracer's list, both
 * under lx_pidns.lock.  What the two say to each other is in struct lx_ptrace,
 * under the lock of the tracee's group.
 *
 * States of a tracee: running; stopped (pt->stopped, task state LX_TRACED), until
 * the tracer resumes it, a SIGKILL ends it, or it has no tracer any more.  A stop
 * is news for wait(2) until it was reported once.  Only while a tracee is stopped
 * may its tracer touch its registers; the tracee's thread sleeps in
 * lx_ptrace_stop() then, so that its frame is whole.
 *
 * Lock order: lx_pidns.lock, then group->lock of the tracee.
 */

#include <asm/processor-flags.h>
#include <asm/ptrace.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/ptrace.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "ptrace/ptrace_impl.h"
#include "signal/signal_impl.h"
#include "task/task_impl.h"

_Atomic(uint32_t) lx_ptrace_in_use;

/* -- stopping ------------------------------------------------------------------------ */

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

	rt_mutex_lock(&g->lock);
	sig = pt->resume_signal;
	pt->has_info = false;
	lx_signal_recalc_locked(self);
	rt_mutex_unlock(&g->lock);
	return sig;
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

/* -- beginning and end of tracing ------------------------------------------------------------ */

static struct lx_ptrace *alloc_state(struct lx_task *t)
{
	struct lx_ptrace *pt;

	rt_mutex_lock(&t->group->lock);
	pt = t->ptrace;
	rt_mutex_unlock(&t->group->lock);
	if (pt)
		return pt;
	pt = rt_zalloc(sizeof(*pt));
	if (!pt)
		return NULL;
	rt_mutex_lock(&t->group->lock);
	if (!t->ptrace) {
		t->ptrace = pt;
		pt = NULL;
	}
	rt_mutex_unlock(&t->group->lock);
	rt_free(pt);
	return t->ptrace;
}

void lx_ptrace_free(struct lx_task *t)
{
	rt_free(t->ptrace);
}

/* With lx_pidns.lock. */
static void link_locked(struct lx_task *tracer, struct lx_task *t, bool seized, uint32_t options)
{
	struct lx_ptrace *pt = t->ptrace;

	rt_mutex_lock(&t->group->lock);
	*pt = (struct lx_ptrace){ .seized = seized, .options = options };
	t->ptracer = tracer;
	rt_mutex_unlock(&t->group->lock);
	list_add_last(&tracer->ptraced, &t->ptrace_link);
	atomic_store(&lx_ptrace_in_use, 1);
}

static void resume_locked(struct lx_task *t, int sig)
{
	struct lx_ptrace *pt = t->ptrace;

	pt->resume_signal = sig;
	pt->resumed_once = true;
	pt->stopped = false;
	pt->reported = true;
	lx_task_wake(t);
}

/* With lx_pidns.lock: @t is nobody's tracee any more. */
static void unlink_locked(struct lx_task *t, int sig)
{
	rt_mutex_lock(&t->group->lock);
	t->ptracer = NULL;
	atomic_fetch_and(&t->syscall_work, ~LX_WORK_PTRACE);
	if (t->ptrace->stepping && t->frame)
		t->frame->rflags &= ~(uint64_t)X86_EFLAGS_TF;
	t->ptrace->stepping = false;
	resume_locked(t, sig);
	/* Who is left in a group stop goes on to sleep as everybody does. */
	if (t->group->flags & (LX_GROUP_STOPPED | LX_GROUP_STOPPING))
		lx_task_notify(t, LX_ATTN_STOP);
	rt_mutex_unlock(&t->group->lock);
	list_remove(&t->ptrace_link);
}

void lx_ptrace_exit_tracer_locked(struct lx_task *self, struct list *dead)
{
	struct lx_siginfo kill = lx_siginfo_kernel(SIGKILL);
	struct lx_task *t, *tmp, *put;

	list_for_each_entry_safe(t, tmp, &self->ptraced, ptrace_link) {
		bool exitkill = t->ptrace->options & PTRACE_O_EXITKILL;

		if (atomic_load(&t->state) == LX_ZOMBIE) {
			put = lx_ptrace_reap_locked(t);
			if (put)
				list_add_last(dead, &put->group_link);
			continue;
		}
		unlink_locked(t, 0);
		if (exitkill)
			(void)lx_signal_task(t, &kill);
	}
}

/* The tracer is done with @t, a zombie. */
struct lx_task *lx_ptrace_reap_locked(struct lx_task *t)
{
	struct lx_group *g = t->group;
	struct lx_task *put;

	t->ptracer = NULL;
	list_remove(&t->ptrace_link);
	if (t == g->leader)
		return lx_group_check_dead_locked(g);
	lx_task_release_locked(t);
	put = lx_group_check_dead_locked(g);
	if (put)
		lx_task_put(put);	/* (@t keeps the group, and this is not the last) */
	return t;
}

bool lx_ptrace_wait_locked(struct lx_task *t, bool keep, int *status)
{
	struct lx_ptrace *pt = t->ptrace;
	bool news;

	rt_mutex_lock(&t->group->lock);
	news = pt->stopped && !pt->reported;
	if (news) {
		*status = pt->code;
		if (!keep)
			pt->reported = true;
	}
	rt_mutex_unlock(&t->group->lock);
	return news;
}

/* @child's struct lx_ptrace, if it will need one: made before locks are taken. */
int lx_ptrace_clone_prepare(struct lx_task *self, struct lx_task *child)
{
	if (!lx_ptrace_is_traced(self))
		return 0;
	return alloc_state(child) ? 0 : -ENOMEM;
}

void lx_ptrace_clone_locked(struct lx_task *self, struct lx_task *child, int event,
			    uint64_t clone_flags)
{
	struct lx_ptrace *pt = self->ptrace;

	if (!self->ptracer || !child->ptrace || (clone_flags & CLONE_UNTRACED))
		return;
	if (!(pt->options & 1u << event) && !(clone_flags & CLONE_PTRACE))
		return;
	link_locked(self->ptracer, child, pt->seized, pt->options);
	rt_mutex_lock(&child->group->lock);
	if (child->ptrace->seized) {
		child->ptrace->interrupt = true;
		atomic_fetch_or(&child->attention, LX_ATTN_WORK);
	} else {
		child->pending.set |= LX_SIGMASK(SIGSTOP);
		atomic_fetch_or(&child->attention, LX_ATTN_SIGNAL);
	}
	rt_mutex_unlock(&child->group->lock);
}

int lx_ptrace_may_access(struct lx_task *self, struct lx_task *t)
{
	const struct lx_cred *c = self->cred, *tc;
	struct lx_mm *mm;
	bool ok;

	if (t->group == self->group)
		return 0;
	tc = lx_task_cred_get(t);
	ok = (c->fsuid == tc->uid && c->fsuid == tc->euid && c->fsuid == tc->suid &&
	      c->fsgid == tc->gid && c->fsgid == tc->egid && c->fsgid == tc->sgid) ||
	     lx_capable(self, CAP_SYS_PTRACE);
	if (ok && (tc->cap_permitted & ~c->cap_permitted))
		ok = lx_capable(self, CAP_SYS_PTRACE);
	lx_cred_put(tc);
	mm = lx_task_mm_get(t);
	if (mm) {
		ok = ok && (mm->dumpable || lx_capable(self, CAP_SYS_PTRACE));
		lx_mm_put(mm);
	}
	return ok ? 0 : -EPERM;
}

static long traceme(struct lx_task *self)
{
	struct lx_task *parent;
	long err = -EPERM;

	if (!alloc_state(self))
		return -ENOMEM;
	rt_mutex_lock(&lx_init_pidns.lock);
	parent = self->group->parent ? self->group->parent->leader : NULL;
	if (!self->ptracer && parent && !parent->exiting) {
		link_locked(parent, self, false, 0);
		err = 0;
	}
	rt_mutex_unlock(&lx_init_pidns.lock);
	return err;
}

#define OPTIONS PTRACE_O_MASK

static long attach(struct lx_task *self, struct lx_task *t, bool seize, uint64_t addr, uint64_t data)
{
	struct lx_siginfo stop_info = lx_siginfo_kernel(SIGSTOP);
	bool exiting;
	long err;

	if (seize && (addr || data & ~(uint64_t)OPTIONS))
		return -EIO;
	if (t->is_kernel || t->group == self->group)
		return -EPERM;
	err = lx_ptrace_may_access(self, t);
	if (err)
		return err;
	if (!alloc_state(t))
		return -ENOMEM;
	rt_mutex_lock(&lx_init_pidns.lock);
	rt_mutex_lock(&t->group->lock);
	exiting = t->exiting;
	rt_mutex_unlock(&t->group->lock);
	if (exiting || t->ptracer || !t->pid->task) {
		err = -EPERM;
	} else {
		link_locked(self, t, seize, (uint32_t)data * seize);
		/* One that is stopped already becomes a stopped tracee. */
		if (lx_group_has(t->group, LX_GROUP_STOPPED)) {
			if (seize)
				lx_task_notify(t, LX_ATTN_STOP);
			lx_task_wake(t);
		}
	}
	rt_mutex_unlock(&lx_init_pidns.lock);
	if (!err && !seize)
		(void)lx_signal_task(t, &stop_info);
	return err;
}

/* -- requests to a stopped tracee --------------------------------------------------------------- */

static bool is_my_tracee(struct lx_task *self, struct lx_task *t)
{
	bool mine;

	rt_mutex_lock(&lx_init_pidns.lock);
	mine = t->ptracer && t->ptracer->group == self->group;
	rt_mutex_unlock(&lx_init_pidns.lock);
	return mine;
}

static bool is_stopped(struct lx_task *t)
{
	bool stopped;

	rt_mutex_lock(&t->group->lock);
	stopped = t->ptrace && t->ptrace->stopped && !t->ptrace->listening;
	rt_mutex_unlock(&t->group->lock);
	return stopped;
}

static long resume(struct lx_task *t, long request, uint64_t sig)
{
	struct lx_ptrace *pt = t->ptrace;

	if (sig > LX_NSIG)
		return -EIO;
	if (request == PTRACE_SYSCALL)
		atomic_fetch_or(&t->syscall_work, LX_WORK_PTRACE);
	else
		atomic_fetch_and(&t->syscall_work, ~LX_WORK_PTRACE);
	rt_mutex_lock(&t->group->lock);
	if (request == PTRACE_SINGLESTEP) {
		t->frame->rflags |= X86_EFLAGS_TF;
		t->frame->flags = 0;
		pt->stepping = true;
	} else if (pt->stepping) {
		t->frame->rflags &= ~(uint64_t)X86_EFLAGS_TF;
		pt->stepping = false;
	}
	resume_locked(t, (int)sig);
	rt_mutex_unlock(&t->group->lock);
	return 0;
}

static long detach(struct lx_task *t, uint64_t sig)
{
	if (sig > LX_NSIG)
		return -EIO;
	rt_mutex_lock(&lx_init_pidns.lock);
	unlink_locked(t, (int)sig);
	rt_mutex_unlock(&lx_init_pidns.lock);
	return 0;
}

/* A seized tracee is to make a PTRACE_EVENT_STOP: now, or when its present stop ends. */
static void trap_soon_locked(struct lx_task *t)
{
	struct lx_ptrace *pt = t->ptrace;

	pt->interrupt = true;
	if (pt->stopped) {
		atomic_fetch_or(&t->attention, LX_ATTN_WORK);
		if (pt->listening)	/* ends the listening stop with a new one */
			resume_locked(t, 0);
	} else {
		lx_task_notify(t, LX_ATTN_WORK);
	}
}

void lx_ptrace_continued_locked(struct lx_task *t)
{
	if (lx_ptrace_is_traced(t) && t->ptrace->seized)
		trap_soon_locked(t);
}

static long interrupt(struct lx_task *t)
{
	bool seized;

	rt_mutex_lock(&t->group->lock);
	seized = t->ptrace->seized;
	if (seized)
		trap_soon_locked(t);
	rt_mutex_unlock(&t->group->lock);
	return seized ? 0 : -EIO;
}

static long listen(struct lx_task *t)
{
	struct lx_ptrace *pt = t->ptrace;
	long err = -EIO;

	rt_mutex_lock(&t->group->lock);
	if (pt->seized && pt->code >> 8 == PTRACE_EVENT_STOP) {
		pt->listening = true;
		err = 0;
		/* What came before the tracer was ready to listen. */
		if (pt->interrupt)
			trap_soon_locked(t);
	}
	rt_mutex_unlock(&t->group->lock);
	return err;
}

static long get_siginfo(struct lx_task *t, uint64_t data)
{
	struct lx_siginfo info;
	uint8_t out[128];
	bool has;

	rt_mutex_lock(&t->group->lock);
	has = t->ptrace->has_info;
	info = t->ptrace->info;
	rt_mutex_unlock(&t->group->lock);
	if (!has)
		return -EINVAL;
	lx_siginfo_export(&info, out);
	return lx_copy_to_user(uaddr(data), out, sizeof(out));
}

static long set_siginfo(struct lx_task *t, uint64_t data)
{
	struct lx_siginfo info;
	int err = lx_siginfo_import(&info, uaddr(data));

	if (err)
		return err;
	rt_mutex_lock(&t->group->lock);
	if (t->ptrace->has_info)
		t->ptrace->info = info;
	else
		err = -EINVAL;
	rt_mutex_unlock(&t->group->lock);
	return err;
}

static long get_syscall_info(struct lx_task *t, uint64_t size, uint64_t data)
{
	const struct k_user_frame *f = t->frame;
	struct ptrace_syscall_info i = { 0 };
	uint64_t length = offsetof(struct ptrace_syscall_info, entry);

	i.op = t->ptrace->syscall_op;
	i.arch = LX_AUDIT_ARCH;
	i.instruction_pointer = LX_PC(f);
	i.stack_pointer = LX_SP(f);
	if (i.op == PTRACE_SYSCALL_INFO_ENTRY) {
		i.entry.nr = LX_SYSCALL_NR(f);
		i.entry.args[0] = LX_ARG0(f);
		i.entry.args[1] = LX_ARG1(f);
		i.entry.args[2] = LX_ARG2(f);
		i.entry.args[3] = LX_ARG3(f);
		i.entry.args[4] = LX_ARG4(f);
		i.entry.args[5] = LX_ARG5(f);
		length = offsetof(struct ptrace_syscall_info, entry) + sizeof(i.entry);
	} else if (i.op == PTRACE_SYSCALL_INFO_EXIT) {
		i.exit.rval = (int64_t)LX_RESULT(f);
		i.exit.is_error = i.exit.rval < 0 && i.exit.rval >= -4095;
		length = offsetof(struct ptrace_syscall_info, exit.is_error) + 1;
	}
	if (lx_copy_to_user(uaddr(data), &i, MIN(size, length)))
		return -EFAULT;
	return (long)length;
}

static long peek(struct lx_task *t, uint64_t addr, uint64_t data)
{
	struct lx_mm *mm = lx_task_mm_get(t);
	uint64_t word;
	int64_t n;

	if (!mm)
		return -ESRCH;
	n = lx_mm_access(mm, addr, &word, sizeof(word), false);
	lx_mm_put(mm);
	if (n != sizeof(word))
		return -EIO;
	return lx_copy_to_user(uaddr(data), &word, sizeof(word));
}

static long poke(struct lx_task *t, uint64_t addr, uint64_t word)
{
	struct lx_mm *mm = lx_task_mm_get(t);
	int64_t n;

	if (!mm)
		return -ESRCH;
	n = lx_mm_access(mm, addr, &word, sizeof(word), true);
	lx_mm_put(mm);
	return n == sizeof(word) ? 0 : -EIO;
}

static long sigmask(struct lx_task *t, uint64_t size, uint64_t data, bool set)
{
	uint64_t mask;

	if (size != sizeof(mask))
		return -EINVAL;
	if (set && lx_copy_from_user(&mask, uaddr(data), sizeof(mask)))
		return -EFAULT;
	rt_mutex_lock(&t->group->lock);
	if (set)
		lx_sigmask_set_locked(t, mask);
	mask = t->blocked;
	rt_mutex_unlock(&t->group->lock);
	return set ? 0 : lx_copy_to_user(uaddr(data), &mask, sizeof(mask));
}

static long set_options(struct lx_task *t, uint64_t data)
{
	if (data & ~(uint64_t)OPTIONS)
		return -EINVAL;
	t->ptrace->options = (uint32_t)data;
	return 0;
}

static long stopped_request(struct lx_task *t, long request, uint64_t addr, uint64_t data)
{
	switch (request) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
		return peek(t, addr, data);
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		return poke(t, addr, data);
	case PTRACE_CONT:
	case PTRACE_SYSCALL:
	case PTRACE_SINGLESTEP:
		return resume(t, request, data);
	case PTRACE_DETACH:
		return detach(t, data);
	case PTRACE_SETOPTIONS:
		return set_options(t, data);
	case PTRACE_GETEVENTMSG:
		return lx_copy_to_user(uaddr(data), &t->ptrace->message, sizeof(uint64_t));
	case PTRACE_GETSIGINFO:
		return get_siginfo(t, data);
	case PTRACE_SETSIGINFO:
		return set_siginfo(t, data);
	case PTRACE_GETSIGMASK:
		return sigmask(t, addr, data, false);
	case PTRACE_SETSIGMASK:
		return sigmask(t, addr, data, true);
	case PTRACE_GET_SYSCALL_INFO:
		return get_syscall_info(t, addr, data);
	case PTRACE_LISTEN:
		return listen(t);
	}
	return lx_ptrace_registers(t, request, addr, data);
}

long lx_sys_ptrace(struct lx_task *self, long request, long pid, uint64_t addr, uint64_t data)
{
	struct lx_siginfo kill = lx_siginfo_kernel(SIGKILL);
	struct lx_task *t;
	long ret;

	if (request == PTRACE_TRACEME)
		return traceme(self);
	t = lx_task_find(self, (lx_pid_t)pid);
	if (!t)
		return -ESRCH;
	if (request == PTRACE_ATTACH || request == PTRACE_SEIZE)
		ret = attach(self, t, request == PTRACE_SEIZE, addr, data);
	else if (!is_my_tracee(self, t))
		ret = -ESRCH;
	else if (request == PTRACE_KILL)
		ret = lx_signal_task(t, &kill);
	else if (request == PTRACE_INTERRUPT)
		ret = interrupt(t);
	else if (!is_stopped(t))
		ret = -ESRCH;
	else
		ret = stopped_request(t, request, addr, data);
	lx_task_put(t);
	return ret;
}
