/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/types.h"

/* fork, vfork, clone and clone3 in one. */
struct lx_clone {
	uint64_t flags;			/* CLONE_*, without the signal */
	int exit_signal;
	uaddr_t pidfd, parent_tid, child_tid;
	uint64_t stack;			/* 0: the caller's */
	uint64_t tls;
	lx_pid_t set_tid;		/* 0: any */
};

/* The child's number, or a negative errno. */
long lx_clone(struct lx_task *self, const struct lx_clone *args);

