/* SPDX-License-Identifier: MIT */
/*
 * System calls: the dispatch table and what is known about each call.  Both are
 * generated from abi/linux/syscalls.tbl, as are the prototypes of the handlers.
 */
#pragma once

#include "lx/types.h"
#include "lx/arch.h"
#include "lx/syscalls.gen.h"

typedef long (*lx_syscall_fn)(struct lx_task *self, const struct k_user_frame *f);

/* How the tracer prints an argument. */
enum lx_arg_kind {
	LX_ARG_INT, LX_ARG_UINT, LX_ARG_LONG, LX_ARG_ULONG, LX_ARG_HEX, LX_ARG_UHEX,
	LX_ARG_DIRFD, LX_ARG_SIG, LX_ARG_MODE,
	LX_ARG_OFLAGS, LX_ARG_PROT, LX_ARG_MFLAGS, LX_ARG_CFLAGS, LX_ARG_FUTEXOP,
	LX_ARG_PATH, LX_ARG_PTR, LX_ARG_ARGV,
	LX_ARG_BYTES, LX_ARG_TIMESPEC, LX_ARG_INTPTR, LX_ARG_INT2, LX_ARG_SIGSET,
	/* Memory that the call writes: shown after it. */
	LX_ARG_BYTES_OUT, LX_ARG_TIMESPEC_OUT, LX_ARG_INTPTR_OUT, LX_ARG_INT2_OUT,
	LX_ARG_SIGSET_OUT, LX_ARG_PATH_OUT
};

struct lx_syscall_info {
	const char *name;		/* NULL: no such call */
	uint8_t nargs;
	bool stub;
	uint8_t args[6];		/* enum lx_arg_kind */
};

/* By number, every slot filled: calls that do not exist answer ENOSYS. */
extern const lx_syscall_fn lx_syscalls[LX_NR_COUNT];
extern const struct lx_syscall_info lx_syscall_info[LX_NR_COUNT];

/* The program made a system call: do it, with what ptrace and the tracer want around it. */
void lx_syscall(struct lx_task *self);
