/* SPDX-License-Identifier: MIT */
/*
 * Tasks (threads of programs) and thread groups (processes).
 *
 * A task is created by clone, runs lx_task_main() on its own kernel thread, and
 * ends in lx_task_exit(); its struct lives until the parent has reaped it and the
 * last reference is gone.  A group is what getpid(2) names.
 */
#pragma once

#include "lx/types.h"
#include "lx/wait.h"
#include "lx/signal.h"

struct lx_task {
	/* Constant from creation. */
	struct lx_group *group;
	lx_pid_t tid;			/* in the pid namespace of the system; the leader's is the pid */
	struct k_user_frame *frame;	/* the program's registers, while it is not running */

	_Atomic(uint32_t) refs;
	k_handle_t thread;		/* kernel thread; constant once running */

	/* Only this task itself (others: with the task stopped by ptrace). */
	struct lx_mm *mm;		/* a reference; NULL in kernel tasks and after exit.  Others: lx_task_mm_get */
	struct lx_files *files;		/* a reference; others: lx_task_files_get */
	struct lx_fs *fs;		/* a reference */
	struct lx_nsproxy *ns;
	const struct lx_cred *cred;	/* a reference; immutable; replaced by the task itself under sighand lock */
	uaddr_t set_child_tid, clear_child_tid, robust_list, rseq;
	uint32_t rseq_len, rseq_sig;
	struct lx_restart_block { long (*fn)(struct lx_task *self); uint64_t args[6]; } restart;
	int syscall_nr;			/* running call or -1 */
	uint64_t saved_sigmask; bool restore_sigmask;	/* sigsuspend, ppoll... */
	struct lx_altstack { uint64_t sp, size; uint32_t flags; } altstack;
	void *lock_debug[4];		/* rt's rank checks */

	/* Sleeping: see lx/wait.h. */
	_Atomic(uint32_t) wake_word;

	/* Protected by group->sighand->lock (rank LX_LOCK_SIGHAND). */
	struct lx_sigpending pending;	/* directed at this thread */
	uint64_t blocked;		/* signal mask; written by the task itself, under the lock */
	_Atomic(uint32_t) attention;	/* LX_ATTN_*: look before entering the program; set, then kick */
	struct list group_link;		/* group->tasks */

	/* Protected by LX_LOCK_TASKS. */
	struct list children_link;	/* of the leader: in parent's children */
	struct lx_task *ptracer;	/* tracer, or NULL */
	struct list ptrace_link, ptraced;	/* tracees of this task */

	/* ptrace: LX_LOCK_SIGHAND. */
	struct lx_ptrace *ptrace;	/* NULL when never traced */

	_Atomic(uint32_t) state;	/* enum lx_task_state, for /proc and wait */
	int exit_code;			/* wait(2) status; set before state becomes zombie */
	char comm[16];			/* written by the task itself, or through /proc with LX_LOCK_SIGHAND */
	int exit_signal;		/* of the leader: what the parent gets */
	uint64_t start_ns;		/* monotonic */
	int nice; int policy; int rt_priority; uint64_t affinity;	/* LX_LOCK_SIGHAND */
	uint64_t timer_slack_ns;
	bool no_new_privs; bool is_kernel; bool did_exec; bool vfork_done;
	struct lx_waitq *vfork_wait;	/* the parent's queue to wake at exec or exit */
	uint64_t min_flt, maj_flt;
	uint64_t io_rchar, io_wchar, io_syscr, io_syscw;
};

#define LX_ATTN_SIGNAL	1u		/* a signal may be deliverable */
#define LX_ATTN_STOP	2u		/* group stop or ptrace stop wanted */
#define LX_ATTN_EXIT	4u		/* the group is going down */
#define LX_ATTN_WORK	8u		/* other work before return (ptrace, reaping) */

enum lx_task_state {
	LX_RUNNING, LX_SLEEPING, LX_DISK_SLEEP, LX_STOPPED, LX_TRACED, LX_ZOMBIE, LX_DEAD
};

struct lx_group {
	_Atomic(uint32_t) refs;
	lx_pid_t pid;			/* constant */
	struct lx_sighand *sighand;	/* handlers; replaced by exec when shared (CLONE_SIGHAND without THREAD) */

	/* Protected by LX_LOCK_TASKS. */
	struct lx_task *leader;		/* exec by another thread changes it */
	struct lx_group *parent;	/* real parent; ptrace changes only who waits */
	struct list children;		/* of leaders' children_link */
	lx_pid_t pgid, sid;
	struct list pgrp_link, session_link;
	struct lx_tty *tty;		/* controlling terminal: also LX_LOCK_TTY */
	bool is_child_subreaper;

	/* Protected by sighand->lock. */
	struct list tasks;		/* of task.group_link */
	unsigned int nr_tasks, live;	/* live: not yet exiting */
	struct lx_sigpending shared_pending;
	unsigned int flags;		/* LX_GROUP_* */
	int exit_code, stop_sig;
	unsigned int stop_count;	/* still to stop */
	struct lx_waitq child_wait;	/* wait4 of the group's tasks */
	struct lx_waitq signal_fd_wait;	/* signalfd readers and pollers */

	/* Own locks inside. */
	struct lx_rlimits *rlimits;
	struct lx_itimers *itimers;	/* setitimer and POSIX timers */
	struct lx_rusage_sum { uint64_t utime_ns, stime_ns, min_flt, maj_flt, nvcsw, nivcsw, maxrss; }
		dead_threads, dead_children;	/* sighand->lock */
	struct rt_mutex exec_lock;	/* rank LX_LOCK_EXEC */
	int oom_score_adj; bool dumpable;
};

#define LX_GROUP_EXITING	1u
#define LX_GROUP_STOPPED	2u
#define LX_GROUP_CONTINUED	4u	/* to be reported by waitid(WCONTINUED) */
#define LX_GROUP_STOP_REPORTED	8u
#define LX_GROUP_CORE_DUMP	16u

static inline struct lx_task *lx_self(void)
{
	extern void *rt_self(void);

	return rt_self();
}

struct lx_task *lx_task_get(struct lx_task *t);
void lx_task_put(struct lx_task *t);
/* By number, in the caller's pid namespace; a reference, or NULL. */
struct lx_task *lx_task_find(struct lx_task *self, lx_pid_t tid);
struct lx_group *lx_group_find(struct lx_task *self, lx_pid_t pid);
struct lx_group *lx_group_get(struct lx_group *g);
void lx_group_put(struct lx_group *g);
/* References to parts of another task, NULL after its exit. */
struct lx_mm *lx_task_mm_get(struct lx_task *t);
struct lx_files *lx_task_files_get(struct lx_task *t);
struct lx_fs *lx_task_fs_get(struct lx_task *t);
const struct lx_cred *lx_task_cred_get(struct lx_task *t);
/* For /proc: the first group with a pid >= @pid, a reference; or NULL.  Threads: lx_group_next_task. */
struct lx_group *lx_group_next(struct lx_task *self, lx_pid_t pid);
struct lx_task *lx_group_next_task(struct lx_group *g, lx_pid_t tid);

/* A task of ours without a program (write-back, timers): runs fn(arg); never ends. */
struct lx_task *lx_kthread_create(const char *name, void (*fn)(void *arg), void *arg);

unsigned long lx_rlimit(struct lx_task *self, unsigned int which);	/* the soft limit */
bool lx_capable(struct lx_task *self, int cap);			/* CAP_* */
