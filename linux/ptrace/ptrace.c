/* SPDX-License-Identifier: MIT */
/*
 * ptrace(2): what a tracer asks of its tracee.  (Beginning and end: attach.c; stops: stop.c.)
 *
 * A tracee knows its tracer (task->ptracer) and is on the tracer's list, both
 * under lx_pidns.lock.  What the two say to each other is in struct lx_ptrace,
 * under the lock of the tracee's group.
 *
 * States of a tracee: running; stopped (pt->stopped, task state LX_TRACED), until
 * the tracer resumes it, a SIGKILL ends it, or it has no tracer any more.  A stop
 * is news for wait(2) until it was reported once.  Only while a tracee is stopped
 * may its tracer touch its registers; the tracee's thread sleeps in stop() (stop.c)
 * then, so that its frame is whole.
 *
 * Lock order: lx_pidns.lock, then group->lock of the tracee.
 */
#include <asm/processor-flags.h>
#include <asm/ptrace.h>
#include <asm/signal.h>
#include <linux/ptrace.h>

#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/ptrace.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "ptrace/ptrace_impl.h"
#include "signal/signal_impl.h"

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
	lx_ptrace_resume_locked(t, (int)sig);
	rt_mutex_unlock(&t->group->lock);
	return 0;
}

static long detach(struct lx_task *t, uint64_t sig)
{
	if (sig > LX_NSIG)
		return -EIO;
	rt_mutex_lock(&lx_init_pidns.lock);
	lx_ptrace_unlink_locked(t, (int)sig);
	rt_mutex_unlock(&lx_init_pidns.lock);
	return 0;
}

static long interrupt(struct lx_task *t)
{
	bool seized;

	rt_mutex_lock(&t->group->lock);
	seized = t->ptrace->seized;
	if (seized)
		lx_ptrace_trap_soon_locked(t);
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
			lx_ptrace_trap_soon_locked(t);
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
	if (data & ~(uint64_t)PTRACE_O_MASK)
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
		return lx_ptrace_traceme(self);
	t = lx_task_find(self, (lx_pid_t)pid);
	if (!t)
		return -ESRCH;
	if (request == PTRACE_ATTACH || request == PTRACE_SEIZE)
		ret = lx_ptrace_attach(self, t, request == PTRACE_SEIZE, addr, data);
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
