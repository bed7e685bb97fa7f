/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/types.h"

#define LX_NSIG 64
#define LX_SIGMASK(sig)	(1ull << ((sig) - 1))

/* What is known about a pending signal; laid out as siginfo_t only when it is delivered. */
struct lx_siginfo {
	int signo, code, err;
	/* Which of these holds: lx_siginfo_layout(). */
	union {
		struct { lx_pid_t pid; lx_uid_t uid; uint64_t value; } rt;	/* kill, sigqueue */
		struct { lx_pid_t pid; lx_uid_t uid; int status; uint64_t utime, stime; } chld;
		struct { uint64_t addr; int trapno; } fault;
		struct { int id, overrun; uint64_t value; } timer;
		struct { long band; int fd; } poll;
		struct { uint64_t call_addr; int nr; uint32_t arch; } sys;
		uint8_t raw[112];	/* as rt_sigqueueinfo gave it */
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

/*
 * The handlers of a group, or of several (CLONE_SIGHAND without CLONE_THREAD).  Whoever
 * uses the table holds its group's lock, and if other groups share it, the table's too:
 * lx_sighand_lock_shared().
 */
struct lx_sighand {
	_Atomic(uint32_t) refs;		/* groups; from 1 to 2 only under the lock of the one */
	struct rt_mutex lock;		/* rank LX_LOCK_ACTIONS: inside group->lock */
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
/* The same to a session's leader (SIGHUP of a terminal). */
int lx_signal_session_leader(lx_pid_t sid, const struct lx_siginfo *info);
/* A synchronous fault of the calling task: cannot be blocked or ignored. */
void lx_signal_force(struct lx_task *self, const struct lx_siginfo *info);
/* The same, and a handler does not help either: the program ends. */
void lx_signal_force_fatal(struct lx_task *self, const struct lx_siginfo *info);
static inline struct lx_siginfo lx_siginfo_kernel(int signo)
{
	return (struct lx_siginfo){ .signo = signo, .code = 0x80 /* SI_KERNEL */ };
}
/* From the calling task, as kill(2) has it. */
struct lx_siginfo lx_siginfo_user(struct lx_task *self, int signo, int code);
/* The siginfo_t of the UAPI; 128 bytes. */
void lx_siginfo_export(const struct lx_siginfo *info, void *siginfo128);
int lx_siginfo_import(struct lx_siginfo *info, uaddr_t siginfo);
/* -EPERM unless @self may send @sig to @t as kill(2) checks. */
int lx_signal_permission(struct lx_task *self, struct lx_task *t, int sig);

/* An unblocked signal, stop or exit waits for the task: interruptible sleeps end. */
bool lx_signal_pending(struct lx_task *self);
bool lx_fatal_signal_pending(struct lx_task *self);
/* Job control: is @sig blocked or ignored by the caller? (tty: SIGTTIN to orphans) */
bool lx_signal_ignored(struct lx_task *self, int sig);

/* All signals that wait for the caller, thread and process together. */
uint64_t lx_signal_pending_set(struct lx_task *self);
/* Take one of the signals in @mask that waits for the caller: its number, or 0.  (signalfd) */
int lx_signal_dequeue(struct lx_task *self, uint64_t mask, struct lx_siginfo *info);

/*
 * A mask for the duration of one call (ppoll, pselect, epoll_pwait): push copies
 * it from the program (NULL: nothing happens; -EINVAL, -EFAULT) and sets it.  pop at
 * the end: puts the old one back, at once or, if @interrupted, after the handler
 * was called with the temporary one.
 */
int lx_sigmask_push(struct lx_task *self, uaddr_t mask, size_t size);
void lx_sigmask_pop(struct lx_task *self, bool interrupted);
/* Set the caller's mask (SIGKILL and SIGSTOP are taken out). */
void lx_sigmask_set(struct lx_task *self, uint64_t mask);

/* -- for linux/ */
void lx_sigpending_init(struct lx_sigpending *p);
void lx_sigpending_flush(struct lx_sigpending *p);
struct lx_sighand *lx_sighand_create(void);
struct lx_sighand *lx_sighand_copy(struct lx_sighand *from);
void lx_sighand_put(struct lx_sighand *s);
/* With group->lock held: lock the table if it is shared.  Returns what to unlock with. */
bool lx_sighand_lock_shared(struct lx_group *g);
void lx_sighand_unlock_shared(struct lx_group *g, bool locked);
/* With group->lock held.  1: queued, 0: ignored or pending already, -EAGAIN. */
int lx_signal_send_locked(struct lx_group *g, struct lx_task *t, const struct lx_siginfo *info);
void lx_signal_recalc_locked(struct lx_task *t);	/* attention's SIGNAL bit follows from the masks */
/* exec: handlers become default, ignored stay; altstack goes. */
int lx_signal_exec(struct lx_task *self);
/* Handle what waits: deliver, stop, or end.  May not return. */
void lx_signal_deliver(struct lx_task *self);
/* Write the frame of a handler on the program's stack (signal/frame_x86_64.c); -EFAULT. */
int lx_signal_frame_setup(struct lx_task *self, const struct lx_sigaction *act,
			  const struct lx_siginfo *info, uint64_t oldmask);
/* The current mask says who is woken for signals to the group; a task leaves: pass them on. */
void lx_signal_retarget_locked(struct lx_task *leaving, uint64_t set);
/* AT_MINSIGSTKSZ */
uint64_t lx_signal_frame_size(void);
const char *lx_signal_name(int sig);
