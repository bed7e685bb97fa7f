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
	bool resumed_once;		/* the tracer has answered a stop */
	int code;			/* of the stop, as in bits 8.. of the wait status */
	int resume_signal;
	uint64_t message;		/* PTRACE_GETEVENTMSG */
	bool has_info;
	struct lx_siginfo info;
	uint8_t syscall_op;		/* PTRACE_SYSCALL_INFO_*: the tracee, while it stops */
};

/* GETREGS and its kind, on a stopped tracee (ptrace/regs_x86_64.c). */
long lx_ptrace_registers(struct lx_task *t, long request, uint64_t addr, uint64_t data);
/* DR @i of a stopped tracee (ptrace/debug_x86_64.c): as Linux answers PEEKUSER and POKEUSER. */
uint64_t lx_debug_reg_get(const struct lx_task *t, unsigned int i);
int lx_debug_reg_set(struct lx_task *t, unsigned int i, uint64_t v);
