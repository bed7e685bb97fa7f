/* SPDX-License-Identifier: MIT */
/*
 * How tasks and processes end.
 *
 * A task gives up its parts first, each visible effect (a closed pipe, an unlocked
 * robust mutex) before the parent can know of the exit.  Then, under
 * lx_pidns.lock, it becomes a zombie:
 *
 *  - a thread that is not the leader is released at once (its tracer, if it has
 *    one, reaps it);
 *  - the leader stays until it is the last, and until the parent has waited for
 *    it, or does not want to;
 *  - with the last thread go the children, to the nearest living subreaper or
 *    to init.
 */

#include <asm/signal.h>
#include <asm/siginfo.h>
#include <linux/ptrace.h>

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
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/tty.h"
#include "lx/user.h"
#include "rt/thread.h"
#include "task/task_impl.h"

/* -- release: forget a zombie ------------------------------------------------------ */

/* With lx_pidns.lock: @t leaves the table of numbers and its group. */
void lx_task_release_locked(struct lx_task *t)
{
	struct lx_group *g = t->group;

	rt_mutex_lock(&g->lock);
	list_remove(&t->group_link);
	g->nr_tasks--;
	if (g->exec_task)
		lx_task_wake(g->exec_task);
	rt_mutex_unlock(&g->lock);
	if (t->ptracer) {
		t->ptracer = NULL;
		list_remove(&t->ptrace_link);
	}
	atomic_store(&t->state, LX_DEAD);
	t->pid->task = NULL;
	lx_pid_unuse(&lx_init_pidns, t->pid);
	lx_init_pidns.tasks--;
	atomic_fetch_sub(&t->user->processes, 1);
}

/* Returns the leader, whose group reference the caller drops after unlocking. */
struct lx_task *lx_group_release_locked(struct lx_group *g)
{
	struct lx_task *leader = g->leader;

	lx_task_release_locked(leader);
	list_remove(&g->children_link);
	g->parent = NULL;
	lx_group_leave_pgrp_locked(g);
	g->pid_struct->group = NULL;
	lx_pid_unuse(&lx_init_pidns, g->pid_struct);
	g->leader = NULL;
	lx_wake_all(&g->pid_struct->exit_wait);
	return leader;
}

/* -- telling the parent ---------------------------------------------------------------- */

/* With lx_pidns.lock; the status of CLD_STOPPED is filled in. */
static struct lx_siginfo child_info(struct lx_group *g, int code, int status)
{
	struct lx_siginfo info = { .signo = SIGCHLD, .code = code };

	info.chld.pid = g->pid;
	info.chld.status = status;
	rt_mutex_lock(&g->lock);
	info.chld.uid = g->leader ? g->leader->cred->uid : 0;
	info.chld.utime = (g->dead_threads.utime_ns + g->dead_children.utime_ns) / 10000000;
	info.chld.stime = (g->dead_threads.stime_ns + g->dead_children.stime_ns) / 10000000;
	if (code == CLD_STOPPED)
		info.chld.status = g->stop_sig;
	rt_mutex_unlock(&g->lock);
	return info;
}

static void fill_exit(struct lx_siginfo *info, int code)
{
	if ((code & 0x7f) == 0) {
		info->code = CLD_EXITED;
		info->chld.status = code >> 8 & 0xff;
	} else {
		info->code = code & 0x80 ? CLD_DUMPED : CLD_KILLED;
		info->chld.status = code & 0x7f;
	}
}

int lx_group_wait_status(struct lx_group *g)
{
	int status;

	rt_mutex_lock(&g->lock);
	status = g->flags & LX_GROUP_EXITING ? g->exit_code : g->leader->exit_code;
	rt_mutex_unlock(&g->lock);
	return status;
}

/*
 * The process is dead as a whole: signal and wake its parent.  True if the parent
 * does not want to know and the caller has to release it.  With lx_pidns.lock.
 */
static bool notify_exit_locked(struct lx_group *g)
{
	struct lx_group *parent = g->parent;
	struct lx_siginfo info = child_info(g, 0, 0);
	int sig = g->exit_signal;
	bool reap = false;

	fill_exit(&info, lx_group_wait_status(g));
	info.signo = sig;
	lx_wake_all(&g->pid_struct->exit_wait);
	if (!parent)
		return true;
	rt_mutex_lock(&parent->lock);
	if (sig == SIGCHLD) {
		const struct lx_sigaction *act = &parent->sighand->action[SIGCHLD - 1];

		if (act->handler == 1 || (act->flags & SA_NOCLDWAIT)) {
			reap = true;
			if (act->handler == 1)
				sig = 0;
		}
	} else if (sig == -1) {
		reap = true;
	}
	if (sig > 0)
		(void)lx_signal_send_locked(parent, NULL, &info);
	rt_mutex_unlock(&parent->lock);
	lx_wake_all(&parent->child_wait);
	return reap;
}

void lx_group_notify_parent_locked(struct lx_group *g, int why)
{
	struct lx_group *parent = g->parent;
	struct lx_siginfo info;
	const struct lx_sigaction *act;

	if (!parent)
		return;
	info = child_info(g, why, SIGCONT);
	rt_mutex_lock(&parent->lock);
	act = &parent->sighand->action[SIGCHLD - 1];
	if (act->handler != 1 && !(act->flags & SA_NOCLDSTOP))
		(void)lx_signal_send_locked(parent, NULL, &info);
	rt_mutex_unlock(&parent->lock);
	lx_wake_all(&parent->child_wait);
}

static bool leader_is_alone(struct lx_group *g)
{
	return g->leader && atomic_load(&g->leader->state) == LX_ZOMBIE && g->nr_tasks == 1;
}

/*
 * @g has lost a task: if only a zombie leader is left, the process is dead.  A
 * traced leader is its tracer's first.  Returns a leader to put, or NULL.
 */
static struct lx_task *check_dead_locked(struct lx_group *g)
{
	if (!leader_is_alone(g) || g->dead)
		return NULL;
	if (g->leader->ptracer && g->leader->ptracer->group != g->parent) {
		lx_wake_all(&g->leader->ptracer->group->child_wait);
		return NULL;
	}
	g->dead = true;
	/* A tracing parent waits for it in any case. */
	if (notify_exit_locked(g) && !g->leader->ptracer)
		return lx_group_release_locked(g);
	return NULL;
}

bool lx_group_is_dead(struct lx_group *g)
{
	bool dead;

	rt_mutex_lock(&lx_init_pidns.lock);
	dead = !g->leader || g->dead;
	rt_mutex_unlock(&lx_init_pidns.lock);
	return dead;
}

struct lx_task *lx_group_check_dead_locked(struct lx_group *g)
{
	return check_dead_locked(g);
}

/* -- process groups that lose their shell ------------------------------------------------ */

static void kill_orphaned_pgrp_locked(struct lx_pid *pgrp, struct lx_group *ignored)
{
	struct lx_siginfo info;

	if (!lx_pgrp_is_orphaned_locked(pgrp, ignored) || !lx_pgrp_has_stopped_locked(pgrp))
		return;
	info = lx_siginfo_kernel(SIGHUP);
	lx_signal_pgrp_locked(pgrp, &info);
	info = lx_siginfo_kernel(SIGCONT);
	lx_signal_pgrp_locked(pgrp, &info);
}

static struct lx_group *find_reaper_locked(struct lx_group *g)
{
	struct lx_group *r;

	if (g->has_child_subreaper)
		for (r = g->parent; r; r = r->parent)
			if (r->is_child_subreaper && lx_group_is_live(r))
				return r;
	return lx_init_pidns.init;
}

/* All children move to a new parent; those that are zombies already may go at once. */
static void reparent_children_locked(struct lx_group *g, struct list *dead)
{
	struct lx_group *reaper = find_reaper_locked(g), *c, *tmp;

	list_for_each_entry_safe(c, tmp, &g->children, children_link) {
		list_remove(&c->children_link);
		c->parent = reaper == c ? NULL : reaper;
		atomic_store(&c->ppid, c->parent ? c->parent->pid : 0);
		if (!reaper)
			continue;
		list_add_last(&reaper->children, &c->children_link);
		if (c->exit_signal != -1)
			c->exit_signal = SIGCHLD;
		if (c->leader && c->leader->pdeath_signal) {
			struct lx_siginfo info = lx_siginfo_kernel(c->leader->pdeath_signal);

			info.code = SI_USER;
			(void)lx_signal_group(c, &info);
		}
		if (c->dead) {
			if (notify_exit_locked(c)) {
				struct lx_task *leader = lx_group_release_locked(c);

				list_add_last(dead, &leader->group_link);
			}
		} else {
			kill_orphaned_pgrp_locked(c->pgrp, g);
		}
	}
}

/* -- exit -------------------------------------------------------------------------------------- */

static void give_up_parts(struct lx_task *self, bool group_dead)
{
	struct lx_group *g = self->group;
	struct lx_files *files = self->files;
	struct lx_fs *fs = self->fs;

	lx_mm_use(self, NULL);
	lx_sem_exit(self);
	lx_shm_task_exit(self);
	rt_mutex_lock(&g->lock);
	self->files = NULL;
	self->fs = NULL;
	rt_mutex_unlock(&g->lock);
	if (files)
		lx_files_put(files);
	if (fs)
		lx_fs_put(fs);
	if (group_dead && g->session && g->session->nr == g->pid)
		lx_tty_session_exit(g->pid);
	lx_task_ns_set(self, NULL);
}

/* The accounting at the end: what the task used goes to the process. */
static void account(struct lx_task *self)
{
	struct lx_group *g = self->group;
	struct lx_rusage_sum sum;
	struct k_space_info space;

	lx_task_usage(self, &sum);
	if (self->mm && k_space_info(self->mm->space, &space) == K_OK)
		sum.maxrss = space.peak_resident_pages * (K_PAGE_SIZE / 1024);
	rt_mutex_lock(&g->lock);
	lx_usage_add(&g->dead_threads, &sum);
	self->accounted = true;
	rt_mutex_unlock(&g->lock);
}

static bool leave_the_living(struct lx_task *self, int code)
{
	struct lx_group *g = self->group;
	bool last;

	rt_mutex_lock(&g->lock);
	self->exiting = true;
	self->exit_code = code;
	last = --g->live == 0;
	lx_core_uncount_locked(self);
	lx_signal_retarget_locked(self, g->shared_pending.set & ~self->blocked);
	rt_mutex_unlock(&g->lock);
	lx_signal_group_stop_leave(self);
	return last;
}

static void become_zombie(struct lx_task *self, bool last)
{
	struct lx_group *g = self->group;
	struct lx_task *dead_leader, *t, *tmp;
	struct list dead;

	list_init(&dead);
	rt_mutex_lock(&lx_init_pidns.lock);
	lx_ptrace_exit_tracer_locked(self, &dead);
	if (last) {
		reparent_children_locked(g, &dead);
		kill_orphaned_pgrp_locked(g->pgrp, g);
	}
	atomic_store(&self->state, LX_ZOMBIE);
	if (self != g->leader && !self->ptracer) {
		lx_task_release_locked(self);
	} else if (self->ptracer) {
		if (self != g->leader)
			lx_task_get(self);	/* until the tracer has reaped it */
		lx_wake_all(&self->ptracer->group->child_wait);
	}
	dead_leader = check_dead_locked(g);
	rt_mutex_lock(&g->lock);
	if (g->exec_task)
		lx_task_wake(g->exec_task);
	rt_mutex_unlock(&g->lock);
	rt_mutex_unlock(&lx_init_pidns.lock);

	list_for_each_entry_safe(t, tmp, &dead, group_link) {
		list_remove(&t->group_link);
		lx_task_put(t);
	}
	if (dead_leader)
		lx_task_put(dead_leader);
}

void lx_task_exit(struct lx_task *self, int code)
{
	struct lx_group *g = self->group;
	bool last;

	rt_mutex_lock(&g->lock);
	last = g->live == 1;
	rt_mutex_unlock(&g->lock);
	/* However: a fault of its own takes its LX_GROUP_UNKILLABLE away. */
	if (last && g == lx_init_pidns.init)
		lx_init_died(code);
	lx_ptrace_event(self, PTRACE_EVENT_EXIT, (uint64_t)(unsigned int)code);
	last = leave_the_living(self, code);
	if (last)
		lx_itimers_exit(g);
	lx_mm_release(self);
	account(self);
	lx_vfork_release(self);
	give_up_parts(self, last);
	become_zombie(self, last);
	rt_set_self(NULL);
	lx_task_put(self);
	rt_thread_exit();
}

void lx_group_kill_locked(struct lx_group *g, int code)
{
	struct lx_task *t;

	if (g->flags & LX_GROUP_EXITING)
		return;
	g->flags = (g->flags & ~(LX_GROUP_STOPPED | LX_GROUP_STOPPING)) | LX_GROUP_EXITING;
	g->exit_code = code;
	g->stop_count = 0;
	list_for_each_entry(t, &g->tasks, group_link)
		if (!t->exiting)
			lx_task_notify(t, LX_ATTN_EXIT);
}

void lx_group_exit(struct lx_task *self, int code)
{
	struct lx_group *g = self->group;

	rt_mutex_lock(&g->lock);
	if (g->flags & LX_GROUP_EXITING) {
		code = g->exit_code;
	} else if (g->exec_task && g->exec_task != self) {
		code = self->exit_code;		/* another thread's exec ends us */
	} else {
		lx_group_kill_locked(g, code);
		/* For the others: we go by ourselves, and stop for a tracer on the way. */
		atomic_fetch_and(&self->attention, ~LX_ATTN_EXIT);
	}
	rt_mutex_unlock(&g->lock);
	lx_task_exit(self, code);
}

/* -- exec: one thread stays ------------------------------------------------------------------------ */

static bool is_single_enough(struct lx_task *self)
{
	struct lx_group *g = self->group;

	if (g->nr_tasks == 1)
		return true;
	return self != g->leader && g->nr_tasks == 2 &&
	       atomic_load(&g->leader->state) == LX_ZOMBIE;
}

/* The old leader is a zombie: take its number and its place.  With lx_pidns.lock. */
static struct lx_task *replace_leader_locked(struct lx_task *self)
{
	struct lx_group *g = self->group;
	struct lx_task *old = g->leader;
	struct lx_pid *pid = self->pid;
	lx_pid_t tid = self->tid;

	self->pid = old->pid;
	self->tid = old->tid;
	self->start_ns = old->start_ns;
	old->pid = pid;
	old->tid = tid;
	self->pid->task = self;
	pid->task = old;
	g->leader = lx_task_get(self);
	lx_task_release_locked(old);
	return old;
}

int lx_group_become_single(struct lx_task *self)
{
	struct lx_group *g = self->group;
	struct lx_task *t, *old = NULL;
	int err = 0;

	rt_mutex_lock(&g->lock);
	if (g->nr_tasks == 1) {
		rt_mutex_unlock(&g->lock);
		return 0;
	}
	if ((g->flags & LX_GROUP_EXITING) || g->exec_task) {
		rt_mutex_unlock(&g->lock);
		return -EAGAIN;
	}
	g->exec_task = self;
	list_for_each_entry(t, &g->tasks, group_link)
		if (t != self && !t->exiting)
			lx_task_notify(t, LX_ATTN_EXIT);
	rt_mutex_unlock(&g->lock);

	for (;;) {
		bool done;

		lx_wait_prepare(self);
		rt_mutex_lock(&lx_init_pidns.lock);
		done = is_single_enough(self);
		if (done && self != g->leader)
			old = replace_leader_locked(self);
		rt_mutex_unlock(&lx_init_pidns.lock);
		if (done)
			break;
		err = lx_wait_block(self, K_DEADLINE_NEVER, LX_WAIT_KILLABLE);
		if (err)
			break;
	}
	rt_mutex_lock(&g->lock);
	g->exec_task = NULL;
	rt_mutex_unlock(&g->lock);
	if (old)
		lx_task_put(old);
	return err ? -EAGAIN : 0;
}

/* -- the calls ----------------------------------------------------------------------------------------- */

long lx_sys_exit(struct lx_task *self, int status)
{
	lx_task_exit(self, (status & 0xff) << 8);
}

long lx_sys_exit_group(struct lx_task *self, int status)
{
	lx_group_exit(self, (status & 0xff) << 8);
}
