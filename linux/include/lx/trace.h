/* SPDX-License-Identifier: MIT */
/*
 * The built-in tracer: lx.trace= on the command line.  See entry/trace.c.
 */
#pragma once

#include "lx/types.h"

/* State of one traced call, on the caller's stack. */
struct lx_trace {
	bool wanted;
	size_t used;
	char line[400];
};

void lx_trace_setup(const char *rules);
/* Does a rule name the program?  Sets LX_WORK_TRACER; for exec, prctl(PR_SET_NAME), fork. */
void lx_trace_check(struct lx_task *self);
void lx_trace_enter(struct lx_task *self, const struct k_user_frame *f, struct lx_trace *t);
void lx_trace_exit(struct lx_task *self, const struct k_user_frame *f, struct lx_trace *t, long ret);
