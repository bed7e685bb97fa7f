/* SPDX-License-Identifier: MIT */
/*
 * The life of a task as a loop: run the program, do what it asks, look at what
 * happened meanwhile, run on.
 *
 * attention is looked at before every entry.  Whoever sets it afterwards kicks the
 * thread, and a kick is sticky: k_user_run() returns at once then.
 */

#include <asm/signal.h>

#include "abi/calls.h"
#include "lx/mm.h"
#include "lx/ptrace.h"
#include "lx/rseq.h"
#include "lx/seccomp.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/trace.h"
#include "rt/memory.h"
#include "rt/thread.h"
#include "task/task_impl.h"

/*
 * On Linux small allocations do not fail: somebody is ended first.  Here they may, anywhere
 * below, with locks held; so the call comes back with -ENOMEM and nothing changed, memory is
 * looked for here, and the call made again.  An ENOMEM that tells of something else (limits,
 * addresses with nothing mapped) stands, as does what sigreturn brought back.  The mark may be
 * of an earlier call that did without what it was refused: one more try does no harm.
 */
static long __attribute__((noinline, cold)) call_again(struct lx_task *self, struct k_user_frame *f)
{
	unsigned int tries = 0;
	long ret = -ENOMEM;

	while (ret == -ENOMEM && ~LX_SYSCALL_NR(f) && rt_memory_was_refused() &&
	       lx_find_memory("system call", false, &tries))
		ret = lx_syscalls[LX_SYSCALL_INDEX(f)](self, f);
	return ret;
}

static inline long call(struct lx_task *self, struct k_user_frame *f, uint32_t nr)
{
	long ret = lx_syscalls[nr](self, f);

	return likely(ret != -ENOMEM) ? ret : call_again(self, f);
}

static long __attribute__((noinline)) syscall_slow(struct lx_task *self, struct k_user_frame *f)
{
	uint32_t work = atomic_load(&self->syscall_work);
	long ret = -ENOSYS;
	bool skip = false;

	if (work & LX_WORK_PTRACE) {
		LX_RESULT(f) = (uint64_t)-ENOSYS;
		skip = !lx_ptrace_syscall_enter(self);
		if (skip)
			ret = (long)LX_RESULT(f);
	}
	if (!skip && (work & LX_WORK_SECCOMP) && !lx_seccomp_check(self)) {
		skip = true;
		ret = (long)LX_RESULT(f);
	}
	if (!skip) {
		uint32_t nr = LX_SYSCALL_INDEX(f);
		struct lx_trace trace;

		if (work & LX_WORK_TRACER)
			lx_trace_enter(self, f, &trace);
		if (nr < LX_NR_COUNT)
			ret = call(self, f, nr);
		if (work & LX_WORK_TRACER)
			lx_trace_exit(self, f, &trace, ret);
	}
	if (atomic_load(&self->syscall_work) & LX_WORK_PTRACE) {
		LX_RESULT(f) = (uint64_t)ret;
		lx_ptrace_syscall_exit(self);
		ret = (long)LX_RESULT(f);
	}
	return ret;
}

void lx_syscall(struct lx_task *self)
{
	struct k_user_frame *f = self->frame;
	uint32_t nr = LX_SYSCALL_INDEX(f);
	long ret;

	f->flags = K_FRAME_SYSCALL_REGS;
	if (unlikely(atomic_load_explicit(&self->syscall_work, memory_order_relaxed)))
		ret = syscall_slow(self, f);
	else if (likely(nr < LX_NR_COUNT))
		ret = call(self, f, nr);
	else
		ret = -ENOSYS;
	LX_RESULT(f) = (uint64_t)ret;
	/* (Not after sigreturn, whose result is any value of the interrupted code.) */
	if (unlikely(ret <= -LX_ERESTARTSYS && ret >= -LX_ERESTART_BLOCK) && ~LX_SYSCALL_NR(f))
		self->restarting = true;
}

static void bad_registers(struct lx_task *self)
{
	struct lx_siginfo info = lx_siginfo_kernel(SIGSEGV);

	lx_signal_force(self, &info);
}

static void run(struct lx_task *self)
{
	struct k_user_frame *f = self->frame;

	for (;;) {
		while (unlikely(atomic_load_explicit(&self->attention, memory_order_relaxed) ||
				self->restarting))
			lx_task_attention(self);
		if (unlikely(k_user_run(f) != K_OK)) {
			bad_registers(self);
			continue;
		}
		if (likely(f->reason == K_USER_SYSCALL)) {
			lx_syscall(self);
			continue;
		}
		f->orig_rax = ~0ull;
		f->flags = 0;
		if (f->reason == K_USER_FAULT)
			lx_fault(self);
		else if (f->reason == K_USER_EXCEPTION)
			lx_exception(self);
		if (self->rseq.v)
			lx_rseq_resume(self, f->reason == K_USER_KICKED);
	}
}

void lx_task_main(void *arg)
{
	struct lx_task *self = arg;

	self->frame = rt_frame();
	/* The thread came with its creator's scheduling, which may not be what it is to have. */
	rt_mutex_lock(&self->group->lock);
	lx_sched_apply(self);
	rt_mutex_unlock(&self->group->lock);
	lx_rseq_start(self);
	if (self->set_child_tid.v) {
		lx_pid_t tid = self->tid;

		(void)lx_copy_to_user(self->set_child_tid, &tid, sizeof(tid));
	}
	run(self);
}
