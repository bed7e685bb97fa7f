/* SPDX-License-Identifier: MIT */
/*
 * The built-in tracer: lx.trace= on the command line.  See entry/trace.c.
 */
#pragma once

#include "lx/types.h"
#include "lx/signal.h"

struct lx_syscall_info;

/* State of one traced call, on the caller's stack. */
struct lx_trace {
	bool wanted;
	uint8_t shown;			/* arguments that are in line already */
	size_t used;
	const struct lx_syscall_info *info;
	uint64_t args[6];
	char line[400];
};

void lx_trace_setup(const char *rules);
/* Does a rule name the program?  Sets LX_WORK_TRACER; for exec, prctl(PR_SET_NAME), fork. */
void lx_trace_check(struct lx_task *self);
void lx_trace_enter(struct lx_task *self, const struct k_user_frame *f, struct lx_trace *t);
void lx_trace_exit(struct lx_task *self, const struct k_user_frame *f, struct lx_trace *t, long ret);
/* A signal is delivered. */
void lx_trace_signal(struct lx_task *self, const struct lx_siginfo *info, bool handler);
