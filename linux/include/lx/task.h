/* SPDX-License-Identifier: MIT */
/*
 * Tasks (threads of programs) and thread groups (processes).
 *
 * A task is created by clone, runs lx_task_main() on its own kernel thread, and
 * ends in lx_task_exit(); its struct lives until the parent has reaped it and the
 * last reference is gone.  A group is what getpid(2) names.
 *
 * A task's parts (mm, files, fs, ns, cred) belong to the task itself, which reads
 * its own pointers without a lock; it changes them, and others take references to
 * them, under group->lock.
 */
#pragma once

#include "lx/types.h"
#include "lx/wait.h"
#include "lx/signal.h"

struct lx_pid;
struct lx_ptrace;
struct lx_itimers;
struct lx_user;
struct lx_seccomp_filter;

struct lx_task {
	/* Constant from creation. */
	struct lx_group *group;		/* a reference */
	lx_pid_t tid;			/* the leader's is the pid; exec by another thread makes that the leader */
	struct lx_pid *pid;		/* a reference */
	struct k_user_frame *frame;	/* the program's registers, while it is not running; NULL before it ran */

	_Atomic(uint32_t) refs;
	_Atomic(k_handle_t) thread;	/* kernel thread: set before it runs, and then constant; 0: it
					 * does not run yet */

	/* Only this task itself (others: with the task stopped by ptrace, or as said above). */
	struct lx_mm *mm;		/* a reference; NULL in kernel tasks and after exit.  Others: lx_task_mm_get */
	struct lx_files *files;		/* a reference; others: lx_task_files_get */
	struct lx_fs *fs;		/* a reference */
	struct lx_nsproxy *ns;
	struct lx_sem_undos *sem_undos;	/* a reference, or NULL: lx/ipc.h */
	const struct lx_cred *cred;	/* a reference; immutable */
	uaddr_t set_child_tid, clear_child_tid, robust_list, rseq;
	uint32_t rseq_len, rseq_sig;
	struct lx_restart_block { long (*fn)(struct lx_task *self); uint64_t args[6]; } restart;
	int syscall_nr;			/* running call or -1 */
	bool restarting;		/* the call's result asks for a restart: look at signals */
	uint64_t saved_sigmask; bool restore_sigmask;	/* sigsuspend, ppoll... */
	struct lx_altstack { uint64_t sp, size; uint32_t flags; } altstack;
	void *lock_debug[4];		/* rt's rank checks */

	_Atomic(uint32_t) syscall_work;	/* LX_WORK_*: what to do around system calls */

	/* Sleeping: see lx/wait.h. */
	_Atomic(uint32_t) wake_word;

	/* Protected by group->lock (rank LX_LOCK_SIGHAND). */
	struct lx_sigpending pending;	/* directed at this thread */
	uint64_t blocked;		/* signal mask; written by the task itself, under the lock */
	uint64_t real_blocked;		/* sigtimedwait: the mask that holds after it */
	_Atomic(uint32_t) attention;	/* LX_ATTN_*: look before entering the program; set, then kick */
	struct list group_link;		/* group->tasks */
	bool exiting;			/* takes no more signals */
	bool accounted;			/* its usage is in group->dead_threads */
	bool stop_counted;		/* is one of group->stop_count */
	bool stop_dequeued;		/* took a signal, which may be to stop, and no SIGCONT came since */
	bool core_counted;		/* is one of group->core_count */

	/* Protected by LX_LOCK_TASKS. */
	struct lx_task *ptracer;	/* tracer, or NULL */
	struct list ptrace_link, ptraced;	/* tracees of this task */

	/* ptrace: group->lock. */
	struct lx_ptrace *ptrace;	/* NULL when never traced */

	_Atomic(uint32_t) state;	/* enum lx_task_state, for /proc and wait */
	int exit_code;			/* wait(2) status; set before state becomes zombie */
	char comm[16];			/* written by the task itself, or through /proc with group->lock */
	uint64_t start_ns;		/* monotonic */
	int nice; int policy; int rt_priority; uint64_t affinity;	/* group->lock */
	bool reset_on_fork;		/* group->lock */
	bool sched_changed;		/* group->lock: the thread's is not what threads start with */
	int pdeath_signal;		/* the task itself */
	uint64_t timer_slack_ns;
	uint32_t personality;		/* the task itself */
	bool is_kernel; bool did_exec;

	/* Written by the task itself or a thread of its process, under group->lock (sys/seccomp.c). */
	bool no_new_privs;
	_Atomic(uint32_t) seccomp_mode;
	_Atomic(struct lx_seccomp_filter *) seccomp;	/* a reference, or NULL */

	/* vfork: the child has a reference to the parent until it let it go. */
	_Atomic(uint32_t) vfork_done;	/* 0 while somebody waits for this task's exec or exit */
	struct lx_task *vfork_parent;

	struct lx_user *user;		/* a reference; counted in user->processes */
	uint64_t min_flt, maj_flt;
	uint64_t refault_utime_ns;	/* the task itself: user time at its last refault (mm/thrash.c) */
	uint64_t io_rchar, io_wchar, io_syscr, io_syscw;
	void (*kthread_fn)(void *arg); void *kthread_arg;
};

#define LX_ATTN_SIGNAL	1u		/* a signal may be deliverable */
#define LX_ATTN_STOP	2u		/* group stop or ptrace stop wanted */
#define LX_ATTN_EXIT	4u		/* the group is going down */
#define LX_ATTN_WORK	8u		/* other work before return (ptrace, reaping) */

#define LX_ATTN_ASYNC	16u		/* it caused signals of O_ASYNC files: send them.  Ends no sleep */

#define LX_WORK_TRACER	1u		/* lx.trace= */
#define LX_WORK_PTRACE	2u		/* syscall stops */
#define LX_WORK_SECCOMP	4u

enum lx_task_state {
	LX_RUNNING, LX_SLEEPING, LX_DISK_SLEEP, LX_STOPPED, LX_TRACED, LX_ZOMBIE, LX_DEAD
};

struct lx_rlimit { uint64_t cur, max; };	/* ~0: infinity */
#define LX_NR_RLIMITS 16

struct lx_group {
	_Atomic(uint32_t) refs;
	lx_pid_t pid;			/* constant */
	struct lx_pid *pid_struct;	/* constant; a reference */

	/*
	 * rank LX_LOCK_SIGHAND: signals, the tasks of the group and their shared state.
	 * (Handlers can be shared with other groups, CLONE_SIGHAND, and have a lock of
	 * their own inside this one.)
	 */
	struct rt_mutex lock;
	struct lx_sighand *sighand;	/* a reference; lock; exec replaces a shared one */

	/* Protected by LX_LOCK_TASKS. */
	struct lx_task *leader;		/* a reference until reaped; exec by another thread changes it */
	struct lx_group *parent;	/* real parent; ptrace changes only who waits */
	_Atomic(lx_pid_t) ppid;		/* its number, for who only wants that: read without the lock */
	struct list children_link;	/* in parent's children */
	struct list children;		/* of children_link */
	lx_pid_t pgid, sid;
	struct lx_pid *pgrp, *session;	/* references and uses */
	struct list pgrp_link, session_link;
	bool is_child_subreaper, has_child_subreaper;
	int exit_signal;		/* what the parent gets; -1: reap silently */
	bool dead;			/* the leader is a zombie, nobody else is left */
	bool did_exec;			/* setpgid of a child after its exec fails */

	/* Changed with LX_LOCK_TASKS and lock, read with either. */
	struct list tasks;		/* of task.group_link */
	unsigned int nr_tasks;

	/* Protected by lock. */
	unsigned int live;		/* tasks that are not yet exiting */
	struct lx_sigpending shared_pending;
	unsigned int flags;		/* LX_GROUP_*; lx_group_has() for who does not hold lock */
	int exit_code, stop_sig;
	unsigned int stop_count;	/* still to stop */
	struct lx_task *exec_task;	/* waits for the others to go */
	struct lx_task *core_task;	/* writes the core file; the others park */
	unsigned int core_count;	/* threads that have yet to park */
	struct lx_waitq child_wait;	/* wait4 of the group's tasks */
	struct lx_waitq signal_fd_wait;	/* signalfd readers and pollers */
	struct lx_rlimit rlimits[LX_NR_RLIMITS];
	struct lx_itimers *itimers;	/* setitimer and POSIX timers; NULL until one is made */
	struct lx_rusage_sum { uint64_t utime_ns, stime_ns, min_flt, maj_flt, nvcsw, nivcsw, maxrss; }
		dead_threads, dead_children;

	struct rt_mutex exec_lock;	/* rank LX_LOCK_EXEC */
	int oom_score_adj; bool dumpable;
	uint64_t start_ns;
};

#define LX_GROUP_EXITING	1u	/* exit_code is how the group ends */
#define LX_GROUP_STOPPED	2u
#define LX_GROUP_CONTINUED	4u	/* to be reported by waitid(WCONTINUED) */
#define LX_GROUP_STOP_REPORTED	8u
#define LX_GROUP_CORE_DUMP	16u
#define LX_GROUP_STOPPING	32u	/* stop_count tasks have yet to stop */
#define LX_GROUP_UNKILLABLE	64u	/* init: signals without handler do nothing */
#define LX_GROUP_CLD_STOPPED	128u	/* the parent has to be told */
#define LX_GROUP_CLD_CONTINUED	256u

/* Whether any of @flags is set, at this moment.  Takes group->lock. */
bool lx_group_has(struct lx_group *g, unsigned int flags);
/* Whether any task is not yet exiting.  Takes group->lock. */
bool lx_group_is_live(struct lx_group *g);

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
/* How many tasks of the caller's pid namespace (NULL: of all) run or want to, wait for a disk, and are there. */
struct lx_task_counts { unsigned int running, blocked, all; };
void lx_count_tasks(struct lx_task *self, struct lx_task_counts *counts);
/* A reference to the leader; NULL when the group was reaped. */
struct lx_task *lx_group_leader(struct lx_group *g);
/* Numbers as /proc/PID/stat shows them; 0 without parent. */
lx_pid_t lx_group_ppid(struct lx_group *g);

/*
 * A task of ours without a program (write-back, timers): runs fn(arg) and ends when
 * that returns.  NULL: no memory.  The pointer is good for as long as it runs.
 */
struct lx_task *lx_kthread_create(const char *name, void (*fn)(void *arg), void *arg);

unsigned long lx_rlimit(struct lx_task *self, unsigned int which);	/* the soft limit */
bool lx_capable(struct lx_task *self, int cap);			/* CAP_* */

/* CPU time and faults so far; of a group: all tasks, dead ones included. */
void lx_task_usage(struct lx_task *t, struct lx_rusage_sum *sum);
void lx_group_usage(struct lx_group *g, struct lx_rusage_sum *sum);

/* -- the life of a task (linux/task) */
/* Entry of every task's thread. */
void lx_task_main(void *self);
/* End the calling task with a wait(2) status. */
void lx_task_exit(struct lx_task *self, int code) __attribute__((noreturn));
/* End all tasks of the caller's group: marks them, then the caller exits by itself soon. */
void lx_group_exit(struct lx_task *self, int code) __attribute__((noreturn));
/* Ask @g (locked) to end with @code; every task will look. */
void lx_group_kill_locked(struct lx_group *g, int code);
/* exec: end all other tasks of the group and become its leader.  -EAGAIN: the group ends. */
int lx_group_become_single(struct lx_task *self);
/* exec and exit: the parent of a vfork goes on. */
void lx_vfork_release(struct lx_task *self);
/* The memory of the program is about to go: clear_child_tid, robust futexes. */
void lx_mm_release(struct lx_task *self);
/* A controlled allocation of the first task of all (linux/init). */
struct lx_task *lx_task_create_init(void);
void lx_task_start(struct lx_task *t);
/* Look at signals, stops and exit before entering the program. */
void lx_task_attention(struct lx_task *self);
/* Make @t look: sets bits of attention, ends interruptible sleeps. */
void lx_task_notify(struct lx_task *t, uint32_t attention);
