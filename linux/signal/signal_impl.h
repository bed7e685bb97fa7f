/* SPDX-License-Identifier: MIT */
/* Shared by the files of linux/signal. */
#pragma once

#include <asm/signal.h>
#include <linux/signal.h>

#include "lx/signal.h"
#include "lx/ptrace.h"

#define LX_SIG_UNBLOCKABLE	(LX_SIGMASK(SIGKILL) | LX_SIGMASK(SIGSTOP))
#define LX_SIG_STOPS		(LX_SIGMASK(SIGSTOP) | LX_SIGMASK(SIGTSTP) | LX_SIGMASK(SIGTTIN) | \
				 LX_SIGMASK(SIGTTOU))
#define LX_SIG_IGNORED		(LX_SIGMASK(SIGCONT) | LX_SIGMASK(SIGCHLD) | LX_SIGMASK(SIGWINCH) | \
				 LX_SIGMASK(SIGURG))
#define LX_SIG_CORE		(LX_SIGMASK(SIGQUIT) | LX_SIGMASK(SIGILL) | LX_SIGMASK(SIGTRAP) | \
				 LX_SIGMASK(SIGABRT) | LX_SIGMASK(SIGFPE) | LX_SIGMASK(SIGSEGV) | \
				 LX_SIGMASK(SIGBUS) | LX_SIGMASK(SIGSYS) | LX_SIGMASK(SIGXCPU) | \
				 LX_SIGMASK(SIGXFSZ))
#define LX_SIG_SYNCHRONOUS	(LX_SIGMASK(SIGSEGV) | LX_SIGMASK(SIGBUS) | LX_SIGMASK(SIGILL) | \
				 LX_SIGMASK(SIGTRAP) | LX_SIGMASK(SIGFPE) | LX_SIGMASK(SIGSYS))

/* With group->lock: */
int lx_signal_take_locked(struct lx_task *self, uint64_t mask, struct lx_siginfo *info);
void lx_sigmask_set_locked(struct lx_task *self, uint64_t mask);
/* A POSIX timer's signal leaves the queue: overrun, next period. */
void lx_itimer_taken_locked(struct lx_group *g, struct lx_siginfo *info);

/* Throw away the pending signals of @mask. */
void lx_sigpending_drop(struct lx_sigpending *p, uint64_t mask);

/* lx_siginfo.err of one whose layout only its sender knows: raw holds it. */
#define LX_SIGINFO_RAW INT32_MIN

/* Tell the log, if print-fatal-signals is on. */
void lx_print_fatal_signal(struct lx_task *self, const struct lx_siginfo *info);

/* Stop the group with @sig, and the caller with it. */
void lx_signal_stop(struct lx_task *self, int sig);
/* Write a core file; true if one was written. */
bool lx_core_dump(struct lx_task *self, const struct lx_siginfo *info);
