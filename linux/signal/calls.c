/* SPDX-License-Identifier: MIT */
/*
 * The system calls about signals, and siginfo_t as programs see it.
 */

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/signal.h>
#include <linux/capability.h>

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "lx/xstate.h"
#include "signal/signal_impl.h"
#include "task/task_impl.h"

/* -- siginfo_t --------------------------------------------------------------------- */

enum layout { LAYOUT_KILL, LAYOUT_RT, LAYOUT_TIMER, LAYOUT_CHLD, LAYOUT_FAULT, LAYOUT_POLL,
	      LAYOUT_SYS, LAYOUT_RAW };

static enum layout layout_of(const struct lx_siginfo *info)
{
	if (info->err == LX_SIGINFO_RAW)
		return LAYOUT_RAW;
	if (info->code == SI_TIMER)
		return LAYOUT_TIMER;
	if (info->code == SI_SIGIO)
		return LAYOUT_POLL;
	if (info->code < 0)
		return info->code == SI_TKILL ? LAYOUT_KILL : LAYOUT_RT;
	if (info->code == SI_USER || info->code == SI_KERNEL)
		return LAYOUT_KILL;
	switch (info->signo) {
	case SIGCHLD:
		return LAYOUT_CHLD;
	case SIGILL:
	case SIGFPE:
	case SIGSEGV:
	case SIGBUS:
	case SIGTRAP:
		return LAYOUT_FAULT;
	case SIGPOLL:
		return LAYOUT_POLL;
	case SIGSYS:
		return LAYOUT_SYS;
	}
	return info->code <= POLL_HUP ? LAYOUT_POLL : LAYOUT_RT;
}

void lx_siginfo_export(const struct lx_siginfo *info, void *to)
{
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	si.si_signo = info->signo;
	si.si_errno = info->err;
	si.si_code = info->code;
	switch (layout_of(info)) {
	case LAYOUT_RAW:
		si.si_errno = 0;
		memcpy((char *)&si + 16, info->raw, sizeof(info->raw));
		break;
	case LAYOUT_KILL:
		si.si_pid = info->rt.pid;
		si.si_uid = info->rt.uid;
		break;
	case LAYOUT_RT:
		si.si_pid = info->rt.pid;
		si.si_uid = info->rt.uid;
		si.si_ptr = (void *)(uintptr_t)info->rt.value;
		break;
	case LAYOUT_TIMER:
		si.si_tid = info->timer.id;
		si.si_overrun = info->timer.overrun;
		si.si_ptr = (void *)(uintptr_t)info->timer.value;
		break;
	case LAYOUT_CHLD:
		si.si_pid = info->chld.pid;
		si.si_uid = info->chld.uid;
		si.si_status = info->chld.status;
		si.si_utime = (__kernel_clock_t)info->chld.utime;
		si.si_stime = (__kernel_clock_t)info->chld.stime;
		break;
	case LAYOUT_FAULT:
		si.si_addr = (void *)(uintptr_t)info->fault.addr;
		break;
	case LAYOUT_POLL:
		si.si_band = info->poll.band;
		si.si_fd = info->poll.fd;
		break;
	case LAYOUT_SYS:
		si.si_call_addr = (void *)(uintptr_t)info->sys.call_addr;
		si.si_syscall = info->sys.nr;
		si.si_arch = info->sys.arch;
		break;
	}
	memcpy(to, &si, sizeof(si));
}

int lx_siginfo_import(struct lx_siginfo *info, uaddr_t from)
{
	siginfo_t si;

	if (lx_copy_from_user(&si, from, sizeof(si)))
		return -EFAULT;
	*info = (struct lx_siginfo){ .signo = si.si_signo, .code = si.si_code };
	if (info->code == SI_QUEUE) {
		info->rt.pid = si.si_pid;
		info->rt.uid = si.si_uid;
		info->rt.value = (uint64_t)(uintptr_t)si.si_ptr;
	} else {
		info->err = LX_SIGINFO_RAW;
		memcpy(info->raw, (char *)&si + 16, sizeof(info->raw));
	}
	return 0;
}

/* -- actions ---------------------------------------------------------------------------- */

/* What sigaction(2) has in the program: struct sigaction of the UAPI. */
struct user_action {
	uint64_t handler, flags, restorer, mask;
};

#define KNOWN_FLAGS (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | \
		     SA_NODEFER | SA_RESETHAND | SA_RESTORER | SA_EXPOSE_TAGBITS)

static void set_action(struct lx_task *self, int sig, const struct user_action *u)
{
	struct lx_group *g = self->group;
	struct lx_sigaction *act = &g->sighand->action[sig - 1];
	bool shared = lx_sighand_lock_shared(g);
	struct lx_task *t;

	*act = (struct lx_sigaction){
		.handler = u->handler,
		.flags = u->flags & KNOWN_FLAGS,
		.restorer = u->restorer,
		.mask = u->mask & ~LX_SIG_UNBLOCKABLE,
	};
	lx_sighand_unlock_shared(g, shared);

	/* What is ignored now is not pending any more, blocked or not. */
	if (u->handler == 1 || (u->handler == 0 && (LX_SIG_IGNORED & LX_SIGMASK(sig)))) {
		uint64_t bit = LX_SIGMASK(sig);

		lx_sigpending_drop(&g->shared_pending, bit);
		list_for_each_entry(t, &g->tasks, group_link)
			lx_sigpending_drop(&t->pending, bit);
	}
}

long lx_sys_rt_sigaction(struct lx_task *self, int sig, uaddr_t uact, uaddr_t uold, size_t size)
{
	struct lx_group *g = self->group;
	struct user_action u = { 0 }, old = { 0 };
	struct lx_sigaction *act;

	if (size != sizeof(uint64_t))
		return -EINVAL;
	if (uact.v && lx_copy_from_user(&u, uact, sizeof(u)))
		return -EFAULT;
	if (sig < 1 || sig > LX_NSIG || (uact.v && (LX_SIG_UNBLOCKABLE & LX_SIGMASK(sig))))
		return -EINVAL;
	rt_mutex_lock(&g->lock);
	act = &g->sighand->action[sig - 1];
	old = (struct user_action){ act->handler, act->flags, act->restorer, act->mask };
	if (uact.v)
		set_action(self, sig, &u);
	rt_mutex_unlock(&g->lock);
	if (uold.v && lx_copy_to_user(uold, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

/* -- masks --------------------------------------------------------------------------------- */

long lx_sys_rt_sigprocmask(struct lx_task *self, int how, uaddr_t uset, uaddr_t uold, size_t size)
{
	uint64_t old = self->blocked, set, mask;

	if (size != sizeof(set))
		return -EINVAL;
	if (uset.v) {
		if (lx_copy_from_user(&set, uset, sizeof(set)))
			return -EFAULT;
		switch (how) {
		case SIG_BLOCK:
			mask = old | set;
			break;
		case SIG_UNBLOCK:
			mask = old & ~set;
			break;
		case SIG_SETMASK:
			mask = set;
			break;
		default:
			return -EINVAL;
		}
		if ((mask & ~LX_SIG_UNBLOCKABLE) != old)
			lx_sigmask_set(self, mask);
	}
	if (uold.v && lx_copy_to_user(uold, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

long lx_sys_rt_sigpending(struct lx_task *self, uaddr_t uset, size_t size)
{
	uint64_t set;

	if (size > sizeof(set))
		return -EINVAL;
	set = lx_signal_pending_set(self) & self->blocked;
	return lx_copy_to_user(uset, &set, size);
}

static long suspend(struct lx_task *self)
{
	while (!lx_signal_pending(self)) {
		lx_wait_prepare(self);
		if (lx_wait_block(self, K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE))
			break;
	}
	return -LX_ERESTARTNOHAND;
}

long lx_sys_rt_sigsuspend(struct lx_task *self, uaddr_t uset, size_t size)
{
	uint64_t set;

	if (size != sizeof(set))
		return -EINVAL;
	if (lx_copy_from_user(&set, uset, sizeof(set)))
		return -EFAULT;
	self->saved_sigmask = self->blocked;
	self->restore_sigmask = true;
	lx_sigmask_set(self, set);
	return suspend(self);
}

long lx_sys_pause(struct lx_task *self)
{
	return suspend(self);
}

long lx_sys_rt_sigtimedwait(struct lx_task *self, uaddr_t uset, uaddr_t uinfo, uaddr_t utimeout,
			    size_t size)
{
	struct lx_siginfo info;
	uint64_t set, ns, deadline = K_DEADLINE_NEVER;
	uint8_t out[128];
	int sig, err = 0;

	if (size != sizeof(set))
		return -EINVAL;
	if (lx_copy_from_user(&set, uset, sizeof(set)))
		return -EFAULT;
	if (utimeout.v) {
		err = lx_timespec_from_user(&ns, utimeout);
		if (err)
			return err;
		deadline = lx_deadline_after(ns);
	}
	set &= ~LX_SIG_UNBLOCKABLE;

	sig = lx_signal_dequeue(self, set, &info);
	if (!sig && !(utimeout.v && ns == 0)) {
		/* Let them wake us; real_blocked keeps them from being ignored or fatal. */
		rt_mutex_lock(&self->group->lock);
		self->real_blocked = self->blocked;
		lx_sigmask_set_locked(self, self->blocked & ~set);
		rt_mutex_unlock(&self->group->lock);
		while (!lx_signal_pending(self)) {
			lx_wait_prepare(self);
			err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
			if (err)
				break;
		}
		rt_mutex_lock(&self->group->lock);
		lx_sigmask_set_locked(self, self->real_blocked);
		self->real_blocked = 0;
		sig = lx_signal_take_locked(self, set, &info);
		lx_signal_recalc_locked(self);
		rt_mutex_unlock(&self->group->lock);
	}
	if (!sig)
		return err == -LX_ERESTARTSYS || (!err && lx_signal_pending(self)) ? -EINTR : -EAGAIN;
	if (uinfo.v) {
		lx_siginfo_export(&info, out);
		if (lx_copy_to_user(uinfo, out, sizeof(out)))
			return -EFAULT;
	}
	return sig;
}

/* -- alternate stacks ---------------------------------------------------------------------------- */

#define MIN_STACK 2048

static int set_altstack(struct lx_task *self, const stack_t *ss, uint64_t sp)
{
	unsigned int mode = (unsigned int)ss->ss_flags & ~SS_AUTODISARM;

	if (lx_altstack_status(self, sp) & SS_ONSTACK)
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		self->altstack = (struct lx_altstack){ .flags = (uint32_t)ss->ss_flags };
		return 0;
	}
	if (ss->ss_size < MIN_STACK)
		return -ENOMEM;
	self->altstack = (struct lx_altstack){
		.sp = (uint64_t)(uintptr_t)ss->ss_sp,
		.size = ss->ss_size,
		.flags = (uint32_t)ss->ss_flags,
	};
	return 0;
}

void lx_altstack_restore(struct lx_task *self, const void *from, uint64_t sp)
{
	stack_t ss;

	memcpy(&ss, from, sizeof(ss));
	(void)set_altstack(self, &ss, sp);	/* as Linux: what is wrong is ignored */
}

long lx_sys_sigaltstack(struct lx_task *self, uaddr_t uss, uaddr_t uold)
{
	uint64_t sp = LX_SP(self->frame);
	stack_t ss, old;
	int err;

	memset(&old, 0, sizeof(old));
	old.ss_sp = (void *)(uintptr_t)self->altstack.sp;
	old.ss_size = self->altstack.size;
	old.ss_flags = (int)(lx_altstack_status(self, sp) | (self->altstack.flags & SS_AUTODISARM));
	if (uss.v) {
		if (lx_copy_from_user(&ss, uss, sizeof(ss)))
			return -EFAULT;
		err = set_altstack(self, &ss, sp);
		if (err)
			return err;
	}
	if (uold.v && lx_copy_to_user(uold, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

/* -- kill and its kind ------------------------------------------------------------------------------ */

static int kill_group(struct lx_task *self, struct lx_group *g, const struct lx_siginfo *info)
{
	struct lx_task *leader = lx_group_leader(g);
	int err;

	if (!leader)
		return -ESRCH;
	err = lx_signal_permission(self, leader, info->signo);
	if (!err && info->signo)
		err = lx_signal_group(g, info);
	lx_task_put(leader);
	return err;
}

static int kill_pid(struct lx_task *self, lx_pid_t pid, const struct lx_siginfo *info)
{
	struct lx_task *t = lx_task_find(self, pid);
	int err;

	if (!t)
		return -ESRCH;
	err = kill_group(self, t->group, info);
	lx_task_put(t);
	return err;
}

/*
 * Signal many.  Candidates are visited by number, each looked up anew: the set may
 * change meanwhile, and no lock is held while permissions are checked.
 */
static int kill_many(struct lx_task *self, lx_pid_t pgid, const struct lx_siginfo *info)
{
	int result = -ESRCH;
	bool done = false;
	lx_pid_t pid = 0;

	for (;;) {
		struct lx_group *g = lx_group_next(self, pid + 1);
		bool take;
		int err;

		if (!g)
			break;
		pid = g->pid;
		take = pgid ? g->pgid == pgid : pid > 1 && g != self->group;
		if (take) {
			err = kill_group(self, g, info);
			if (!err)
				done = true;
			else if (!(err == -ESRCH && result != -ESRCH))
				result = err;
		}
		lx_group_put(g);
	}
	return done ? 0 : result;
}

static int kill_something(struct lx_task *self, lx_pid_t pid, const struct lx_siginfo *info)
{
	if (pid > 0)
		return kill_pid(self, pid, info);
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid == -1)
		return kill_many(self, 0, info);
	return kill_many(self, pid ? -pid : self->group->pgid, info);
}

long lx_sys_kill(struct lx_task *self, int pid, int sig)
{
	struct lx_siginfo info = lx_siginfo_user(self, sig, SI_USER);

	if (sig < 0 || sig > LX_NSIG)
		return pid == INT32_MIN ? -ESRCH : -EINVAL;
	return kill_something(self, pid, &info);
}

static long kill_thread(struct lx_task *self, lx_pid_t tgid, lx_pid_t tid,
			const struct lx_siginfo *info)
{
	struct lx_task *t;
	int err = -ESRCH;

	if (info->signo < 0 || info->signo > LX_NSIG)
		return -EINVAL;
	t = lx_task_find(self, tid);
	if (!t)
		return -ESRCH;
	if (tgid <= 0 || t->group->pid == tgid) {
		err = lx_signal_permission(self, t, info->signo);
		if (!err && info->signo)
			err = lx_signal_task(t, info);
	}
	lx_task_put(t);
	return err;
}

long lx_sys_tgkill(struct lx_task *self, int tgid, int tid, int sig)
{
	struct lx_siginfo info = lx_siginfo_user(self, sig, SI_TKILL);

	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	return kill_thread(self, tgid, tid, &info);
}

long lx_sys_tkill(struct lx_task *self, int tid, int sig)
{
	struct lx_siginfo info = lx_siginfo_user(self, sig, SI_TKILL);

	if (tid <= 0)
		return -EINVAL;
	return kill_thread(self, 0, tid, &info);
}

/* Programs may not pretend to be the kernel or kill(2). */
static bool is_forged(const struct lx_siginfo *info)
{
	return info->code >= 0 || info->code == SI_TKILL;
}

long lx_sys_rt_sigqueueinfo(struct lx_task *self, int pid, int sig, uaddr_t uinfo)
{
	struct lx_siginfo info;
	int err = lx_siginfo_import(&info, uinfo);

	if (err)
		return err;
	info.signo = sig;
	if (is_forged(&info) && pid != self->group->pid)
		return -EPERM;
	if (sig < 0 || sig > LX_NSIG)
		return -EINVAL;
	return kill_pid(self, pid, &info);
}

long lx_sys_rt_tgsigqueueinfo(struct lx_task *self, int tgid, int tid, int sig, uaddr_t uinfo)
{
	struct lx_siginfo info;
	int err = lx_siginfo_import(&info, uinfo);

	if (err)
		return err;
	info.signo = sig;
	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	if (is_forged(&info) && tid != self->tid)
		return -EPERM;
	return kill_thread(self, tgid, tid, &info);
}

const char *lx_signal_name(int sig)
{
	static const char *const names[] = {
		"0", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1",
		"SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP",
		"TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR",
		"SYS",
	};

	return sig >= 0 && sig < (int)ARRAY_SIZE(names) ? names[sig] : "RT";
}
