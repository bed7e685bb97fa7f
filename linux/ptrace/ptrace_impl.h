/* SPDX-License-Identifier: MIT */
/* Shared by the files of linux/ptrace. */
#pragma once

#include "lx/signal.h"
#include "lx/types.h"

struct lx_ptrace {
	/* The lock of the tracee's group; options also the tracer alone while it is stopped. */
	bool seized;
	uint32_t options;		/* PTRACE_O_* */
	bool stopped, reported;		/* wait(2) has told the tracer of this stop */
	bool listening;			/* PTRACE_LISTEN */
	bool interrupt;			/* PTRACE_INTERRUPT has yet to stop it */
	bool stepping;
	/* As the tracer wrote them, and as the last debug exception left DR6. */
	struct lx_debug_regs { uint64_t dr[4], dr6, dr7; } debug;
	bool debug_written;		/* by the tracer, in this stop */
	bool resumed_once;		/* the tracer has answered a stop */
	int code;			/* of the stop, as in bits 8.. of the wait status */
	int resume_signal;
	uint64_t message;		/* PTRACE_GETEVENTMSG */
	bool has_info;
	struct lx_siginfo info;
	uint8_t syscall_op;		/* PTRACE_SYSCALL_INFO_*: the tracee, while it stops */
};

/* -- attach.c */
long lx_ptrace_traceme(struct lx_task *self);	/* -ENOMEM; -EPERM: it has a tracer already */
/*
 * PTRACE_ATTACH and SEIZE of @t, with the arguments of ptrace(2).  -EIO (arguments of SEIZE),
 * -EPERM (no right, traced already, the own group, ending), -ENOMEM.
 */
long lx_ptrace_attach(struct lx_task *self, struct lx_task *t, bool seize, uint64_t addr,
		      uint64_t data);
/* @t is nobody's tracee any more and goes on with signal @sig (0: none).  With lx_pidns.lock. */
void lx_ptrace_unlink_locked(struct lx_task *t, int sig);

/* -- stop.c; both with the lock of @t's group */
/* End the stop of @t, with signal @sig (0: none) delivered if the stop was for one. */
void lx_ptrace_resume_locked(struct lx_task *t, int sig);
/* A seized tracee is to make a PTRACE_EVENT_STOP: now, or when its present stop ends. */
void lx_ptrace_trap_soon_locked(struct lx_task *t);

/* GETREGS and its kind, on a stopped tracee (ptrace/regs_x86_64.c). */
long lx_ptrace_registers(struct lx_task *t, long request, uint64_t addr, uint64_t data);
/* DR @i of a stopped tracee (ptrace/debug_x86_64.c): as Linux answers PEEKUSER and POKEUSER. */
uint64_t lx_debug_reg_get(const struct lx_task *t, unsigned int i);
int lx_debug_reg_set(struct lx_task *t, unsigned int i, uint64_t v);
/* The stop of @self is over: what its tracer wrote becomes true. */
void lx_debug_resume(struct lx_task *self);
