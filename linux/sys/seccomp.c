/* SPDX-License-Identifier: MIT */
/*
 * seccomp(2): programs that give up system calls for themselves and what they start.
 *
 * A task's filters are a chain, the newest first; each holds a reference to the one before it.
 * Chains only grow at the front, and tasks share the tails that they inherited.  All filters of
 * the chain run, and the strictest answer counts.
 *
 * task->seccomp and task->seccomp_mode are written by the task itself, or by another thread of
 * its process that shares its filters (SECCOMP_FILTER_FLAG_TSYNC), under group->lock; the task
 * reads them without: what it finds stays in its chain for as long as it lives.  LX_WORK_SECCOMP
 * is set after both, so that a call sees the filters once it sees the bit.
 *
 * Not there: user notification (SECCOMP_RET_USER_NOTIF), the lists of what is logged.
 */
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>

#include "lx/arch.h"
#include "lx/mm.h"
#include "lx/ptrace.h"
#include "lx/seccomp.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "rt/time.h"
#include "sys/bpf.h"

/* All filters of a task together, each counting for four instructions more than it has. */
#define MAX_PATH_INSNS	((1u << 18) / sizeof(struct sock_filter))
#define FILTER_COST	4u
#define FILTER_FLAGS	(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | \
			 SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH)
#define MAX_ERRNO	4095u

#ifndef SYS_SECCOMP
#define SYS_SECCOMP	1
#endif

/* struct sock_fprog of the program. */
struct user_program {
	uint16_t len, pad[3];
	uint64_t insns;
};

struct lx_seccomp_filter {
	_Atomic(uint32_t) refs;
	struct lx_seccomp_filter *prev;	/* a reference, or NULL; constant once in a chain */
	unsigned int len;		/* constant */
	struct sock_filter insns[];	/* constant */
};

/* -- filters -------------------------------------------------------------------------------- */

static struct lx_seccomp_filter *filter_get(struct lx_seccomp_filter *f)
{
	if (f)
		atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

static void filter_put(struct lx_seccomp_filter *f)
{
	/* A loop: a chain can be long. */
	while (f && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) {
		struct lx_seccomp_filter *prev = f->prev;

		rt_free(f);
		f = prev;
	}
}

static struct lx_seccomp_filter *filters_of(struct lx_task *t)
{
	/* acquire: pairs with the release in attach() */
	return atomic_load_explicit(&t->seccomp, memory_order_acquire);
}

uint32_t lx_seccomp_mode(struct lx_task *t)
{
	return atomic_load_explicit(&t->seccomp_mode, memory_order_relaxed);
}

unsigned int lx_seccomp_filters(struct lx_task *t)
{
	unsigned int n = 0;

	for (struct lx_seccomp_filter *f = filters_of(t); f; f = f->prev)
		n++;
	return n;
}

void lx_seccomp_inherit_locked(struct lx_task *self, struct lx_task *t)
{
	uint32_t mode = lx_seccomp_mode(self);

	t->no_new_privs = self->no_new_privs;
	if (mode == SECCOMP_MODE_DISABLED)
		return;
	atomic_store(&t->seccomp, filter_get(filters_of(self)));
	atomic_store(&t->seccomp_mode, mode);
	atomic_fetch_or(&t->syscall_work, LX_WORK_SECCOMP);
}

void lx_seccomp_free(struct lx_task *t)
{
	filter_put(atomic_load(&t->seccomp));
}

/* -- what a call comes to --------------------------------------------------------------------- */

/* The least is the strictest, as signed numbers. */
static int32_t severity(uint32_t answer)
{
	return (int32_t)(answer & SECCOMP_RET_ACTION_FULL);
}

static uint32_t run_filters(struct lx_seccomp_filter *chain, const struct seccomp_data *data)
{
	uint32_t answer = SECCOMP_RET_ALLOW;

	_Static_assert(sizeof(*data) % 4 == 0, "a filter sees whole words");
	for (struct lx_seccomp_filter *f = chain; f; f = f->prev) {
		uint32_t one = bpf_run(f->insns, (const uint32_t *)data, sizeof(*data));

		if (severity(one) < severity(answer))
			answer = one;
	}
	return answer;
}

static void describe_call(const struct k_user_frame *f, struct seccomp_data *data)
{
	data->nr = (int)LX_SYSCALL_INDEX(f);
	data->arch = LX_AUDIT_ARCH;
	data->instruction_pointer = LX_PC(f);
	data->args[0] = LX_ARG0(f);
	data->args[1] = LX_ARG1(f);
	data->args[2] = LX_ARG2(f);
	data->args[3] = LX_ARG3(f);
	data->args[4] = LX_ARG4(f);
	data->args[5] = LX_ARG5(f);
}

static struct lx_siginfo sigsys(struct k_user_frame *f, uint32_t answer)
{
	return (struct lx_siginfo){
		.signo = SIGSYS, .code = SYS_SECCOMP, .err = (int)(answer & SECCOMP_RET_DATA),
		.sys = { .call_addr = LX_PC(f), .nr = (int)LX_SYSCALL_INDEX(f),
			 .arch = LX_AUDIT_ARCH },
	};
}

/* The registers are as if the call had not been made. */
static void roll_back(struct k_user_frame *f)
{
	LX_RESULT(f) = LX_SYSCALL_NR(f);
}

/* Once a second at most: a program must not fill the log. */
static void note(struct lx_task *self, const char *what)
{
	static _Atomic(uint64_t) last;
	uint64_t now = rt_now_ns(), before = atomic_load(&last);

	if (before && now - before < 1000000000ull)
		return;
	if (atomic_compare_exchange_strong(&last, &before, now))
		rt_log(RT_LOG_INFO, "seccomp: %s[%d] %s call %u", self->comm, self->tid, what,
		       LX_SYSCALL_INDEX(self->frame));
}

static void end_task(struct lx_task *self, uint32_t answer)
{
	struct lx_group *g = self->group;
	struct lx_siginfo info = sigsys(self->frame, answer);
	bool alone;

	note(self, "is ended at");
	rt_mutex_lock(&g->lock);
	alone = g->live == 1;
	rt_mutex_unlock(&g->lock);
	if (severity(answer) == severity(SECCOMP_RET_KILL_THREAD) && !alone)
		lx_task_exit(self, SIGSYS);
	roll_back(self->frame);
	lx_signal_force_fatal(self, &info);
}

/* The tracer decides; filters then look at what it made of the call, and ask nobody again. */
static bool ask_tracer(struct lx_task *self, uint32_t answer);

/* True: make the call. */
static bool act(struct lx_task *self, uint32_t answer, bool asked)
{
	struct k_user_frame *f = self->frame;
	uint32_t data = answer & SECCOMP_RET_DATA;
	struct lx_siginfo info;

	switch (answer & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return true;
	case SECCOMP_RET_LOG:
		note(self, "makes");
		return true;
	case SECCOMP_RET_ERRNO:
		LX_RESULT(f) = (uint64_t)-(int64_t)MIN(data, MAX_ERRNO);
		return false;
	case SECCOMP_RET_TRAP:
		info = sigsys(f, answer);
		roll_back(f);
		lx_signal_force(self, &info);
		return false;
	case SECCOMP_RET_TRACE:
		return asked || ask_tracer(self, answer);
	case SECCOMP_RET_USER_NOTIF:	/* nobody listens */
		LX_RESULT(f) = (uint64_t)-ENOSYS;
		return false;
	default:
		end_task(self, answer);
		return false;
	}
}

static bool check_filters(struct lx_task *self, bool asked)
{
	struct seccomp_data data;

	describe_call(self->frame, &data);
	return act(self, run_filters(filters_of(self), &data), asked);
}

static bool ask_tracer(struct lx_task *self, uint32_t answer)
{
	struct k_user_frame *f = self->frame;

	LX_RESULT(f) = (uint64_t)-ENOSYS;
	if (!lx_ptrace_event_enabled(self, PTRACE_EVENT_SECCOMP))
		return false;
	lx_ptrace_event(self, PTRACE_EVENT_SECCOMP, answer & SECCOMP_RET_DATA);
	if (lx_fatal_signal_pending(self) || (int32_t)LX_SYSCALL_INDEX(f) < 0)
		return false;		/* it is not to be made */
	return check_filters(self, true);
}

static bool allowed_in_strict_mode(uint32_t nr)
{
	return nr == __NR_read || nr == __NR_write || nr == __NR_exit || nr == __NR_rt_sigreturn;
}

bool lx_seccomp_check(struct lx_task *self)
{
	if (lx_seccomp_mode(self) == SECCOMP_MODE_FILTER)
		return check_filters(self, false);
	if (!allowed_in_strict_mode(LX_SYSCALL_INDEX(self->frame)))
		lx_task_exit(self, SIGKILL);
	return true;
}

/* -- setting ---------------------------------------------------------------------------------- */

/* @t gets @chain (a reference moves in; its own goes) and the mode for it.  group->lock held. */
static void attach(struct lx_task *t, struct lx_seccomp_filter *chain, uint32_t mode)
{
	/* release: whoever sees the chain sees what is in it */
	atomic_store_explicit(&t->seccomp, chain, memory_order_release);
	atomic_store(&t->seccomp_mode, mode);
	atomic_fetch_or(&t->syscall_work, LX_WORK_SECCOMP);
}

static long set_strict(struct lx_task *self)
{
	long err = 0;

	rt_mutex_lock(&self->group->lock);
	if (lx_seccomp_mode(self) == SECCOMP_MODE_FILTER)
		err = -EINVAL;
	else
		attach(self, NULL, SECCOMP_MODE_STRICT);
	rt_mutex_unlock(&self->group->lock);
	return err;
}

/* A checked copy of the program's filter, in no chain yet. */
static int load_filter(struct lx_task *self, uaddr_t user, struct lx_seccomp_filter **out)
{
	struct lx_seccomp_filter *f;
	struct user_program prog;
	size_t size;
	int err;

	if (lx_copy_from_user(&prog, user, sizeof(prog)))
		return -EFAULT;
	if (!prog.len || prog.len > BPF_MAX_INSNS)
		return -EINVAL;
	if (!self->no_new_privs && !lx_capable(self, CAP_SYS_ADMIN))
		return -EACCES;
	if (!prog.insns)
		return -EINVAL;
	size = prog.len * sizeof(f->insns[0]);
	f = rt_alloc(sizeof(*f) + size);
	if (!f)
		return -ENOMEM;
	*f = (struct lx_seccomp_filter){ .refs = 1, .len = prog.len };
	err = lx_copy_from_user(f->insns, uaddr(prog.insns), size);
	if (!err && !bpf_check(f->insns, f->len, sizeof(struct seccomp_data)))
		err = -EINVAL;
	if (err) {
		rt_free(f);
		return err;
	}
	*out = f;
	return 0;
}

static bool is_ancestor(const struct lx_seccomp_filter *maybe, const struct lx_seccomp_filter *chain)
{
	if (!maybe)
		return true;
	for (; chain; chain = chain->prev)
		if (chain == maybe)
			return true;
	return false;
}

/* The first other thread whose filters are not among the caller's, or NULL.  group->lock held. */
static struct lx_task *odd_thread(struct lx_task *self)
{
	struct lx_task *t;

	list_for_each_entry(t, &self->group->tasks, group_link) {
		uint32_t mode = lx_seccomp_mode(t);

		if (t == self || t->exiting || mode == SECCOMP_MODE_DISABLED)
			continue;
		if (mode != SECCOMP_MODE_FILTER || !is_ancestor(filters_of(t), filters_of(self)))
			return t;
	}
	return NULL;
}

/*
 * Every thread gets the caller's chain.  The chain that a thread had is a part of the new one, so
 * that it stays while the thread may be looking at it.  group->lock held.
 */
static void sync_threads(struct lx_task *self)
{
	struct lx_task *t;

	list_for_each_entry(t, &self->group->tasks, group_link) {
		struct lx_seccomp_filter *old = filters_of(t);

		if (t == self || t->exiting)
			continue;
		if (self->no_new_privs)
			t->no_new_privs = true;
		attach(t, filter_get(filters_of(self)), SECCOMP_MODE_FILTER);
		filter_put(old);
	}
}

static bool fits(const struct lx_seccomp_filter *f, const struct lx_seccomp_filter *chain)
{
	unsigned int total = f->len;

	for (; chain; chain = chain->prev)
		total += chain->len + FILTER_COST;
	return total <= MAX_PATH_INSNS;
}

static long set_filter(struct lx_task *self, unsigned int flags, uaddr_t user)
{
	struct lx_seccomp_filter *f;
	struct lx_group *g = self->group;
	struct lx_task *odd = NULL;
	long ret;

	if (flags & ~FILTER_FLAGS)
		return -EINVAL;
	ret = load_filter(self, user, &f);
	if (ret)
		return ret;
	rt_mutex_lock(&g->lock);
	if (lx_seccomp_mode(self) == SECCOMP_MODE_STRICT)
		ret = -EINVAL;
	else if (!fits(f, filters_of(self)))
		ret = -ENOMEM;
	else if ((flags & SECCOMP_FILTER_FLAG_TSYNC) && (odd = odd_thread(self)))
		ret = flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : odd->tid;
	if (!ret) {
		f->prev = filters_of(self);	/* the task's reference becomes the filter's */
		attach(self, f, SECCOMP_MODE_FILTER);
		if (flags & SECCOMP_FILTER_FLAG_TSYNC)
			sync_threads(self);
	}
	rt_mutex_unlock(&g->lock);
	if (ret)
		rt_free(f);
	return ret;
}

static long is_available(uaddr_t user)
{
	uint32_t action;

	if (lx_copy_from_user(&action, user, sizeof(action)))
		return -EFAULT;
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	}
	return -EOPNOTSUPP;
}

long lx_sys_seccomp(struct lx_task *self, unsigned int op, unsigned int flags, uaddr_t args)
{
	switch (op) {
	case SECCOMP_SET_MODE_STRICT:
		return flags || args.v ? -EINVAL : set_strict(self);
	case SECCOMP_SET_MODE_FILTER:
		return set_filter(self, flags, args);
	case SECCOMP_GET_ACTION_AVAIL:
		return flags ? -EINVAL : is_available(args);
	}
	return -EINVAL;
}

long lx_seccomp_prctl(struct lx_task *self, unsigned long mode, uaddr_t filter)
{
	switch (mode) {
	case SECCOMP_MODE_STRICT:
		return set_strict(self);
	case SECCOMP_MODE_FILTER:
		return set_filter(self, 0, filter);
	}
	return -EINVAL;
}
