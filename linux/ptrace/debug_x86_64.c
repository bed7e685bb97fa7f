/* SPDX-License-Identifier: MIT */
/*
 * Hardware breakpoints for tracers: the words u_debugreg of struct user.
 *
 * What the tracer wrote is kept as it is, so that it reads the same back; what the
 * kernel gets are the breakpoints that are enabled, as local ones.  DR6 is ours: the
 * debug exception leaves in it what it was about.  Who may touch it: the tracer while
 * the task is stopped, else the task itself.
 *
 * The kernel loads a thread's breakpoints when it switches to it, or when it sets its own.  A task that
 * has told of its stop may be resumed before it slept, without a switch: so it sets them
 * again, itself, when it goes on.  What the tracer does is only a check then.
 */
#include <asm/siginfo.h>
#include <linux/errno.h>

#include "abi/calls.h"
#include "lx/ptrace.h"
#include "lx/signal.h"
#include "lx/task.h"
#include "ptrace/ptrace_impl.h"

#define DR6_RESERVED	0xffff0ff0ull	/* read as ones */
#define DR7_RESERVED	0xffffffff0000fc00ull
#define DR_STEP		0x4000ull
#define DR_HIT		0xfull

static bool is_enabled(uint64_t dr7, unsigned int i)
{
	return dr7 >> (2 * i) & 3;	/* locally or globally: the same for one task */
}

/* To the kernel.  -EINVAL: one of them is none that there is. */
static int debug_load(struct lx_task *t, const struct lx_debug_regs *d)
{
	struct k_debug_state s = { .dr7 = 0 };

	for (unsigned int i = 0; i < 4; i++) {
		if (!is_enabled(d->dr7, i))
			continue;
		s.dr[i] = d->dr[i];
		s.dr7 |= 1ull << (2 * i) | (d->dr7 & 0xfull << (16 + 4 * i));
	}
	return k_thread_state_write(atomic_load(&t->thread), K_STATE_DEBUG, &s, sizeof(s)) == K_OK ?
		0 : -EINVAL;
}

uint64_t lx_debug_reg_get(const struct lx_task *t, unsigned int i)
{
	const struct lx_debug_regs *d = &t->ptrace->debug;

	if (i < 4)
		return d->dr[i];
	if (i == 6)
		return d->dr6 ^ DR6_RESERVED;
	return i == 7 ? d->dr7 : 0;
}

int lx_debug_reg_set(struct lx_task *t, unsigned int i, uint64_t v)
{
	struct lx_debug_regs fresh = t->ptrace->debug;
	int err = 0;

	if (i < 4) {
		if (v >= K_PROGRAM_MAX)
			return -EINVAL;
		fresh.dr[i] = v;
		if (is_enabled(fresh.dr7, i))
			err = debug_load(t, &fresh);
	} else if (i == 6) {
		fresh.dr6 = v ^ DR6_RESERVED;
	} else if (i == 7) {
		fresh.dr7 = v & ~DR7_RESERVED;
		err = debug_load(t, &fresh);
	} else {
		return -EIO;
	}
	if (!err) {
		t->ptrace->debug = fresh;
		t->ptrace->debug_written = true;
	}
	return err;
}

void lx_debug_resume(struct lx_task *self)
{
	if (!self->ptrace->debug_written)
		return;
	self->ptrace->debug_written = false;
	(void)debug_load(self, &self->ptrace->debug);	/* it was taken before */
}

int lx_debug_exception(struct lx_task *self, uint64_t dr6)
{
	if (self->ptrace)
		self->ptrace->debug.dr6 = dr6 & (DR_HIT | DR_STEP);
	if (dr6 & DR_STEP)
		return TRAP_TRACE;
	return dr6 & DR_HIT ? TRAP_HWBKPT : TRAP_BRKPT;
}

void lx_debug_forget(struct lx_task *self)
{
	static const struct lx_debug_regs none;

	if (!self->ptrace || !self->ptrace->debug.dr7)
		return;
	self->ptrace->debug = none;
	(void)debug_load(self, &none);
}
