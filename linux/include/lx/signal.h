/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/types.h"

#define LX_NSIG 64
#define LX_SIGMASK(sig)	(1ull << ((sig) - 1))

/* What is known about a pending signal; laid out as siginfo_t only when it is delivered. */
struct lx_siginfo {
	int signo, code, err;
	union {
		struct { lx_pid_t pid; lx_uid_t uid; uint64_t value; } rt;	/* kill, sigqueue */
		struct { lx_pid_t pid; lx_uid_t uid; int status; uint64_t utime, stime; } chld;
		struct { uint64_t addr; int trapno; } fault;
		struct { int id, overrun; uint64_t value; } timer;
		struct { long band; int fd; } poll;
		struct { uint64_t call_addr; int nr; uint32_t arch; } sys;
	};
};

struct lx_sigpending {
	uint64_t set;			/* bit per signal */
	struct list queue;		/* of queued siginfos; standard signals at most one each */
};

struct lx_sigaction {
	uint64_t handler;		/* 0 SIG_DFL, 1 SIG_IGN */
	uint64_t flags, restorer, mask;
};

struct lx_sighand {
	_Atomic(uint32_t) refs;
	struct rt_mutex lock;		/* rank LX_LOCK_SIGHAND */
	struct lx_sigaction action[LX_NSIG];
};

/*
 * Send.  @info NULL: from the kernel.  No permission check; 0, or -EAGAIN when a
 * real-time signal cannot be queued.
 */
int lx_signal_task(struct lx_task *t, const struct lx_siginfo *info);
int lx_signal_group(struct lx_group *g, const struct lx_siginfo *info);
/* Every member of a process group: 0, -ESRCH. */
int lx_signal_pgrp(lx_pid_t pgid, const struct lx_siginfo *info);
/* A synchronous fault of the calling task: cannot be blocked or ignored. */
void lx_signal_force(struct lx_task *self, const struct lx_siginfo *info);
static inline struct lx_siginfo lx_siginfo_kernel(int signo)
{
	return (struct lx_siginfo){ .signo = signo, .code = 0x80 /* SI_KERNEL */ };
}

/* An unblocked signal, stop or exit waits for the task: interruptible sleeps end. */
bool lx_signal_pending(struct lx_task *self);
bool lx_fatal_signal_pending(struct lx_task *self);
/* Job control: is @sig blocked or ignored by the caller? (tty: SIGTTIN to orphans) */
bool lx_signal_ignored(struct lx_task *self, int sig);
