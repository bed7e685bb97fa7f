/* SPDX-License-Identifier: MIT */
/*
 * fork, vfork, clone, clone3.
 *
 * A child is built in private, linked under lx_pidns.lock and the group's lock,
 * and only then given a kernel thread: from being linked on it can be found and
 * signalled, but runs nothing.  When the thread cannot be made, it is unlinked as
 * if it had exited without a trace.
 */

#include "lx/clone.h"

#include <linux/sched.h>
#include <linux/ptrace.h>
#include <linux/capability.h>
#include <asm/signal.h>

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/file.h"
#include "lx/fs.h"
#include "lx/ipc.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/ns.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/ptrace.h"
#include "lx/seccomp.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/user.h"
#include "rt/thread.h"
#include "rt/time.h"
#include "task/task_impl.h"

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
		    CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME)

#define TASK_SIZE_MAX K_PROGRAM_MAX

static int check_flags(struct lx_task *self, const struct lx_clone *a)
{
	uint64_t flags = a->flags;

	if ((flags & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS) ||
	    (flags & (CLONE_NEWUSER | CLONE_FS)) == (CLONE_NEWUSER | CLONE_FS))
		return -EINVAL;
	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
		return -EINVAL;
	if ((flags & CLONE_PARENT) && lx_group_has(self->group, LX_GROUP_UNKILLABLE))
		return -EINVAL;
	if ((flags & CLONE_THREAD) && (flags & (CLONE_NEWUSER | CLONE_NEWPID)))
		return -EINVAL;
	if ((flags & CLONE_NEWIPC) && (flags & CLONE_SYSVSEM))
		return -EINVAL;
	if ((flags & CLONE_PIDFD) && (flags & (CLONE_DETACHED | CLONE_THREAD)))
		return -EINVAL;
	if ((flags & CLONE_SETTLS) && a->tls >= TASK_SIZE_MAX)
		return -EPERM;
	return lx_ns_check(self, flags & NAMESPACES);
}

static bool too_many(struct lx_task *self)
{
	struct lx_user *user = self->user;

	if (atomic_load(&user->processes) >= lx_rlimit(self, 6 /* RLIMIT_NPROC */) &&
	    user->uid != 0 && !lx_capable(self, CAP_SYS_RESOURCE) &&
	    !lx_capable(self, CAP_SYS_ADMIN))
		return true;
	return lx_init_pidns.tasks >= atomic_load(&lx_init_pidns.threads_max);
}

/* Everything that @t owns and that is not linked anywhere goes. */
static void drop_parts(struct lx_task *t)
{
	if (t->mm)
		lx_mm_leave(lx_self(), t->mm);
	lx_sem_exit(t);
	if (t->files)
		lx_files_put(t->files);
	if (t->fs)
		lx_fs_put(t->fs);
	if (t->ns)
		lx_nsproxy_put(t->ns);
	if (t->user)
		atomic_fetch_sub(&t->user->processes, 1);
	t->mm = NULL;
	t->files = NULL;
	t->fs = NULL;
	t->ns = NULL;
}

static int copy_parts(struct lx_task *self, struct lx_task *t, uint64_t flags)
{
	t->cred = lx_cred_get(self->cred);
	t->user = lx_user_get(self->user);
	atomic_fetch_add(&t->user->processes, 1);
	t->files = flags & CLONE_FILES ? lx_files_get(self->files) : lx_files_copy(self->files);
	t->fs = flags & CLONE_FS ? lx_fs_get(self->fs) : lx_fs_copy(self->fs);
	if (!t->files || !t->fs)
		return -ENOMEM;
	if (flags & NAMESPACES) {
		int err = lx_ns_copy(self->ns, flags & NAMESPACES, t->fs, &t->ns);

		if (err)
			return err;
	} else {
		t->ns = lx_nsproxy_get(self->ns);
	}
	t->mm = flags & CLONE_VM ? lx_mm_get(self->mm) : lx_mm_clone(self->mm);
	if (!t->mm)
		return -ENOMEM;
	atomic_fetch_add(&t->mm->users, 1);
	return lx_sem_clone(self, t, flags & CLONE_SYSVSEM);
}

static struct lx_group *copy_group(struct lx_task *self, uint64_t flags)
{
	struct lx_group *from = self->group, *g = lx_group_alloc();

	if (!g)
		return NULL;
	/* Who has a table for itself changes it under this lock alone (lx_sighand_lock_shared). */
	rt_mutex_lock(&from->lock);
	if (flags & CLONE_SIGHAND) {
		g->sighand = from->sighand;
		atomic_fetch_add(&g->sighand->refs, 1);
	} else {
		g->sighand = flags & CLONE_CLEAR_SIGHAND ? lx_sighand_create()
							 : lx_sighand_copy(from->sighand);
	}
	if (!g->sighand) {
		rt_mutex_unlock(&from->lock);
		lx_group_put(g);
		return NULL;
	}
	memcpy(g->rlimits, from->rlimits, sizeof(g->rlimits));
	g->oom_score_adj = from->oom_score_adj;
	g->dumpable = from->dumpable;
	rt_mutex_unlock(&from->lock);
	return g;
}

static void copy_scheduling(struct lx_task *self, struct lx_task *t)
{
	rt_mutex_lock(&self->group->lock);
	t->sched_changed = self->sched_changed;
	t->policy = self->policy;
	t->nice = self->nice;
	t->rt_priority = self->rt_priority;
	t->affinity = self->affinity;
	rt_mutex_unlock(&self->group->lock);
	if (self->reset_on_fork) {
		if (t->policy == 1 || t->policy == 2) {		/* SCHED_FIFO, SCHED_RR */
			t->policy = 0;
			t->rt_priority = 0;
			t->nice = 0;
		} else if (t->nice < 0) {
			t->nice = 0;
		}
	}
}

static void copy_small(struct lx_task *self, struct lx_task *t, const struct lx_clone *a)
{
	uint64_t flags = a->flags;

	memcpy(t->comm, self->comm, sizeof(t->comm));
	t->blocked = self->blocked;
	t->personality = self->personality;
	t->timer_slack_ns = self->timer_slack_ns;
	copy_scheduling(self, t);
	if (!(flags & CLONE_VM) || (flags & CLONE_VFORK))
		t->altstack = self->altstack;
	else
		t->altstack.flags = 2;		/* SS_DISABLE */
	if (!(flags & CLONE_VM)) {
		t->rseq = self->rseq;
		t->rseq_len = self->rseq_len;
		t->rseq_sig = self->rseq_sig;
	}
	if (flags & CLONE_CHILD_SETTID)
		t->set_child_tid = a->child_tid;
	if (flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = a->child_tid;
	atomic_store(&t->syscall_work, atomic_load(&self->syscall_work) & LX_WORK_TRACER);
}

/* With lx_pidns.lock. */
static void link_group(struct lx_task *self, struct lx_task *t, const struct lx_clone *a)
{
	struct lx_group *g = t->group, *from = self->group;

	g->leader = lx_task_get(t);
	if (a->flags & CLONE_PARENT) {
		g->parent = from->parent;
		g->exit_signal = from->exit_signal;
	} else {
		g->parent = from;
		g->exit_signal = a->exit_signal;
	}
	atomic_store(&g->ppid, g->parent->pid);
	list_add_last(&g->parent->children, &g->children_link);
	g->has_child_subreaper = from->has_child_subreaper || from->is_child_subreaper;
	lx_group_join_pgrp_locked(g, from->pgrp);
	lx_group_join_session_locked(g, from->session);
	t->pid->group = g;
	t->pid->uses++;
}

static int clone_event(const struct lx_clone *a)
{
	if (a->flags & CLONE_VFORK)
		return PTRACE_EVENT_VFORK;
	return a->exit_signal != SIGCHLD || (a->flags & CLONE_THREAD) ? PTRACE_EVENT_CLONE
								      : PTRACE_EVENT_FORK;
}

static int link_task(struct lx_task *self, struct lx_task *t, const struct lx_clone *a)
{
	struct lx_group *g = t->group, *from = self->group;
	struct lx_pidns *ns = &lx_init_pidns;
	int err = 0;

	rt_mutex_lock(&ns->lock);
	rt_mutex_lock(&from->lock);
	if (from->flags & (LX_GROUP_EXITING | LX_GROUP_CORE_DUMP) ||
	    (from->exec_task && from->exec_task != self && (a->flags & CLONE_THREAD)))
		err = -EINTR;		/* never seen: the caller ends */
	else if (lx_signal_pending(self))
		err = -LX_ERESTARTNOINTR;
	if (!err)
		lx_seccomp_inherit_locked(self, t);
	if (!err && (a->flags & CLONE_THREAD)) {
		list_add_last(&g->tasks, &t->group_link);
		g->nr_tasks++;
		g->live++;
	}
	rt_mutex_unlock(&from->lock);
	if (!err) {
		if (!(a->flags & CLONE_THREAD)) {
			list_add_last(&g->tasks, &t->group_link);
			g->nr_tasks = g->live = 1;
			link_group(self, t, a);
		}
		t->pid->task = t;
		ns->tasks++;
		atomic_fetch_add_explicit(&ns->forks, 1, memory_order_relaxed);
		lx_ptrace_clone_locked(self, t, clone_event(a), a->flags);
	}
	rt_mutex_unlock(&ns->lock);
	return err;
}

/* The kernel thread could not be made. */
static void unlink_task(struct lx_task *self, struct lx_task *t)
{
	struct lx_group *g = t->group;

	rt_mutex_lock(&lx_init_pidns.lock);
	rt_mutex_lock(&g->lock);
	t->exiting = true;
	list_remove(&t->group_link);
	g->nr_tasks--;
	g->live--;
	if (g->exec_task)
		lx_task_wake(g->exec_task);
	rt_mutex_unlock(&g->lock);
	t->ptracer = NULL;
	list_remove(&t->ptrace_link);
	t->pid->task = NULL;
	lx_init_pidns.tasks--;
	if (g->leader == t) {
		list_remove(&g->children_link);
		lx_group_leave_pgrp_locked(g);
		t->pid->group = NULL;
		lx_pid_unuse(&lx_init_pidns, t->pid);
		g->leader = NULL;
		g->parent = NULL;
		lx_task_put(t);
	}
	rt_mutex_unlock(&lx_init_pidns.lock);
}

static void free_unborn(struct lx_task *t)
{
	drop_parts(t);
	if (t->pid) {
		rt_mutex_lock(&lx_init_pidns.lock);
		lx_pid_unuse(&lx_init_pidns, t->pid);
		rt_mutex_unlock(&lx_init_pidns.lock);
	}
	if (t->vfork_parent)
		lx_task_put(t->vfork_parent);
	lx_task_put(t);
}

static int start_thread(struct lx_task *self, struct lx_task *t, const struct lx_clone *a)
{
	struct k_user_frame frame = *self->frame;
	k_status_t st;

	LX_RESULT(&frame) = 0;
	frame.flags = 0;
	if (a->stack)
		LX_SP(&frame) = a->stack;
	if (a->flags & CLONE_SETTLS)
		frame.fs_base = a->tls;
	/*
	 * From being linked on, somebody may have wanted its attention or set its
	 * scheduling.  They do that first, and look at thread then; it is set before
	 * the child runs, and lx_task_main() looks at both.
	 */
	st = rt_thread_create(lx_task_main, t, &frame, t->mm->space,
			      K_THREAD_INHERIT_FPU | K_THREAD_INHERIT_SCHED, t->comm, &t->thread);
	return st == K_OK || st == K_ERR_NO_MEMORY ? lx_errno(st) : -EAGAIN;
}

static void wait_for_vfork(struct lx_task *self, struct lx_task *t)
{
	while (!atomic_load(&t->vfork_done)) {
		lx_wait_prepare(self);
		if (atomic_load(&t->vfork_done))
			break;
		if (lx_wait_block(self, K_DEADLINE_NEVER, LX_WAIT_KILLABLE))
			break;
	}
}

/*
 * Make and reserve what CLONE_PIDFD needs; the number is told to the program
 * before the child runs.
 */
static int make_pidfd(struct lx_task *self, struct lx_task *t, const struct lx_clone *a,
		      struct lx_file **file, int *fd)
{
	*file = lx_pidfd_create(t->pid, 0);
	if (!*file)
		return -ENOMEM;
	*fd = lx_fd_reserve(self, 0, true);
	if (*fd < 0)
		return *fd;
	return lx_copy_to_user(a->pidfd, fd, sizeof(*fd));
}

long lx_clone(struct lx_task *self, const struct lx_clone *a)
{
	struct lx_group *g;
	struct lx_task *t;
	struct lx_file *pidfd_file = NULL;
	int pidfd = -1, err;
	lx_pid_t nr;

	err = check_flags(self, a);
	if (err)
		return err;
	if (lx_signal_pending(self))
		return -LX_ERESTARTNOINTR;
	if (too_many(self))
		return -EAGAIN;

	g = a->flags & CLONE_THREAD ? lx_group_get(self->group) : copy_group(self, a->flags);
	if (!g)
		return -ENOMEM;
	t = lx_task_alloc(g);
	lx_group_put(g);
	if (!t)
		return -ENOMEM;
	copy_small(self, t, a);
	err = copy_parts(self, t, a->flags);
	if (!err)
		err = lx_pid_alloc(&lx_init_pidns, &t->pid);
	if (err)
		goto fail;
	t->tid = nr = t->pid->nr;
	if (!(a->flags & CLONE_THREAD)) {
		g->pid = nr;
		g->pid_struct = lx_pid_get(t->pid);
	}
	if (a->flags & CLONE_PIDFD) {
		err = make_pidfd(self, t, a, &pidfd_file, &pidfd);
		if (err)
			goto fail;
	}
	if ((a->flags & CLONE_PARENT_SETTID))
		(void)lx_copy_to_user(a->parent_tid, &nr, sizeof(nr));
	if (a->flags & CLONE_VFORK) {
		atomic_store(&t->vfork_done, 0);
		t->vfork_parent = lx_task_get(self);
	}

	err = lx_ptrace_clone_prepare(self, t);
	if (!err)
		err = link_task(self, t, a);
	if (err)
		goto fail;
	lx_task_get(t);			/* ours; the first reference is the thread's */
	err = start_thread(self, t, a);
	if (err) {
		unlink_task(self, t);
		lx_task_put(t);
		goto fail;
	}
	if (pidfd_file)
		lx_fd_publish(self, pidfd, pidfd_file);
	lx_ptrace_event(self, clone_event(a), (uint64_t)nr);
	if (a->flags & CLONE_VFORK) {
		wait_for_vfork(self, t);
		lx_ptrace_event(self, PTRACE_EVENT_VFORK_DONE, (uint64_t)nr);
	}
	lx_task_put(t);
	return nr;

fail:
	if (pidfd >= 0)
		lx_fd_unreserve(self, pidfd);
	if (pidfd_file)
		lx_file_put(pidfd_file);
	free_unborn(t);
	return err;
}

void lx_vfork_release(struct lx_task *self)
{
	struct lx_task *parent = self->vfork_parent;

	if (!parent)
		return;
	self->vfork_parent = NULL;
	atomic_store(&self->vfork_done, 1);
	lx_task_wake(parent);
	lx_task_put(parent);
}

/* -- the calls ------------------------------------------------------------------ */

long lx_sys_fork(struct lx_task *self)
{
	return lx_clone(self, &(struct lx_clone){ .exit_signal = SIGCHLD });
}

long lx_sys_vfork(struct lx_task *self)
{
	return lx_clone(self, &(struct lx_clone){ .flags = CLONE_VFORK | CLONE_VM,
						  .exit_signal = SIGCHLD });
}

long lx_sys_clone(struct lx_task *self, uint64_t flags, uint64_t stack, uaddr_t parent_tid,
		  uaddr_t child_tid, uint64_t tls)
{
	struct lx_clone a = {
		.flags = (uint32_t)flags & ~(uint64_t)CSIGNAL,
		.exit_signal = (int)(flags & CSIGNAL),
		.pidfd = parent_tid,
		.parent_tid = parent_tid,
		.child_tid = child_tid,
		.stack = stack,
		.tls = tls,
	};

	/* The two share an argument. */
	if ((a.flags & CLONE_PIDFD) && (a.flags & CLONE_PARENT_SETTID))
		return -EINVAL;
	return lx_clone(self, &a);
}

long lx_sys_clone3(struct lx_task *self, uaddr_t uargs, size_t size)
{
	struct clone_args u = { 0 };
	struct lx_clone a;
	int err;

	if (size > K_PAGE_SIZE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	err = lx_copy_struct_from_user(&u, sizeof(u), uargs, size);
	if (err)
		return err;
	if (u.flags & ~(0xffffffffull & ~(uint64_t)CSIGNAL) & ~(CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP))
		return -EINVAL;
	if (u.flags & (CLONE_DETACHED | CSIGNAL))
		return -EINVAL;
	if ((u.flags & (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND)) ==
	    (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((u.flags & (CLONE_THREAD | CLONE_PARENT)) && u.exit_signal)
		return -EINVAL;
	if (u.exit_signal & ~(uint64_t)CSIGNAL || u.exit_signal > LX_NSIG)
		return -EINVAL;
	if ((!u.stack && u.stack_size) || (u.stack && !u.stack_size))
		return -EINVAL;
	if (u.stack && (u.stack >= TASK_SIZE_MAX || u.stack_size > TASK_SIZE_MAX - u.stack))
		return -EINVAL;
	if (u.set_tid_size || u.set_tid || (u.flags & CLONE_INTO_CGROUP))
		return -EINVAL;		/* as Linux without these features */

	a = (struct lx_clone){
		.flags = u.flags,
		.exit_signal = (int)u.exit_signal,
		.pidfd = uaddr(u.pidfd),
		.parent_tid = uaddr(u.parent_tid),
		.child_tid = uaddr(u.child_tid),
		.stack = u.stack ? u.stack + u.stack_size : 0,
		.tls = u.tls,
	};
	return lx_clone(self, &a);
}
