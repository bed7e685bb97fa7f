/* SPDX-License-Identifier: MIT */
/*
 * Tasks and groups as objects: references, and access to the parts of others.
 *
 * Who holds what:
 *
 *	task	-> its group, its pid, its parts (mm, files, fs, ns, cred)
 *	group	-> its leader until it is reaped, pid, pgrp, session, sighand
 *	lx_pid	-> nothing; its task and group pointers are cleared on release
 *	kernel thread -> its task, until lx_task_exit() has done everything
 */

#include <linux/resource.h>

#include "lx/task.h"

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/file.h"
#include "lx/fs.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/ns.h"
#include "lx/pid.h"
#include "lx/seccomp.h"
#include "lx/user.h"
#include "rt/thread.h"
#include "rt/time.h"
#include "task/task_impl.h"

struct lx_task *lx_task_get(struct lx_task *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void lx_task_put(struct lx_task *t)
{
	k_handle_t thread;

	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	lx_sigpending_flush(&t->pending);
	thread = atomic_load(&t->thread);
	if (thread)
		(void)!k_handle_close(thread);
	lx_ptrace_free(t);
	lx_seccomp_free(t);
	if (t->cred)
		lx_cred_put(t->cred);
	lx_user_put(t->user);
	lx_pid_put(t->pid);
	lx_group_put(t->group);
	rt_free(t);
}

struct lx_group *lx_group_get(struct lx_group *g)
{
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
	return g;
}

void lx_group_put(struct lx_group *g)
{
	if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
		return;
	lx_sigpending_flush(&g->shared_pending);
	lx_sighand_put(g->sighand);
	lx_itimers_free(g);
	lx_pid_put(g->pid_struct);
	lx_pid_put(g->pgrp);
	lx_pid_put(g->session);
	rt_free(g);
}

/* -- parts of other tasks ----------------------------------------------------- */

struct lx_mm *lx_task_mm_get(struct lx_task *t)
{
	struct lx_mm *mm;

	rt_mutex_lock(&t->group->lock);
	mm = t->mm ? lx_mm_get(t->mm) : NULL;
	rt_mutex_unlock(&t->group->lock);
	return mm;
}

struct lx_files *lx_task_files_get(struct lx_task *t)
{
	struct lx_files *files;

	rt_mutex_lock(&t->group->lock);
	files = t->files ? lx_files_get(t->files) : NULL;
	rt_mutex_unlock(&t->group->lock);
	return files;
}

struct lx_fs *lx_task_fs_get(struct lx_task *t)
{
	struct lx_fs *fs;

	rt_mutex_lock(&t->group->lock);
	fs = t->fs ? lx_fs_get(t->fs) : NULL;
	rt_mutex_unlock(&t->group->lock);
	return fs;
}

const struct lx_cred *lx_task_cred_get(struct lx_task *t)
{
	const struct lx_cred *cred;

	rt_mutex_lock(&t->group->lock);
	cred = lx_cred_get(t->cred);
	rt_mutex_unlock(&t->group->lock);
	return cred;
}

struct lx_task *lx_group_leader(struct lx_group *g)
{
	struct lx_task *t;

	rt_mutex_lock(&lx_init_pidns.lock);
	t = g->leader ? lx_task_get(g->leader) : NULL;
	rt_mutex_unlock(&lx_init_pidns.lock);
	return t;
}

bool lx_group_has(struct lx_group *g, unsigned int flags)
{
	bool has;

	rt_mutex_lock(&g->lock);
	has = g->flags & flags;
	rt_mutex_unlock(&g->lock);
	return has;
}

bool lx_group_is_live(struct lx_group *g)
{
	bool live;

	rt_mutex_lock(&g->lock);
	live = g->live != 0;
	rt_mutex_unlock(&g->lock);
	return live;
}

lx_pid_t lx_group_ppid(struct lx_group *g)
{
	return atomic_load_explicit(&g->ppid, memory_order_relaxed);
}

struct lx_task *lx_group_next_task(struct lx_group *g, lx_pid_t tid)
{
	struct lx_task *t, *best = NULL;

	rt_mutex_lock(&g->lock);
	list_for_each_entry(t, &g->tasks, group_link)
		if (t->tid >= tid && (!best || t->tid < best->tid))
			best = t;
	if (best)
		lx_task_get(best);
	rt_mutex_unlock(&g->lock);
	return best;
}

/* -- usage --------------------------------------------------------------------- */

void lx_task_usage(struct lx_task *t, struct lx_rusage_sum *sum)
{
	struct k_thread_info info;
	k_handle_t thread = atomic_load(&t->thread);

	*sum = (struct lx_rusage_sum){ .min_flt = t->min_flt, .maj_flt = t->maj_flt };
	if (!thread || k_thread_info(thread, &info) != K_OK)
		return;
	sum->utime_ns = info.user_ns;
	sum->stime_ns = info.system_ns;
	sum->nvcsw = info.voluntary_switches;
	sum->nivcsw = info.involuntary_switches;
	sum->min_flt = info.minor_faults;
	sum->maj_flt = info.major_faults + t->maj_flt;
}

void lx_usage_add(struct lx_rusage_sum *to, const struct lx_rusage_sum *from)
{
	to->utime_ns += from->utime_ns;
	to->stime_ns += from->stime_ns;
	to->min_flt += from->min_flt;
	to->maj_flt += from->maj_flt;
	to->nvcsw += from->nvcsw;
	to->nivcsw += from->nivcsw;
	to->maxrss = MAX(to->maxrss, from->maxrss);
}

void lx_group_usage(struct lx_group *g, struct lx_rusage_sum *sum)
{
	struct lx_task *t;

	rt_mutex_lock(&g->lock);
	*sum = g->dead_threads;
	list_for_each_entry(t, &g->tasks, group_link) {
		struct lx_rusage_sum one;

		if (t->accounted)
			continue;
		lx_task_usage(t, &one);
		lx_usage_add(sum, &one);
	}
	rt_mutex_unlock(&g->lock);
}

/* -- making tasks ----------------------------------------------------------------- */

struct lx_task *lx_task_alloc(struct lx_group *g)
{
	struct lx_task *t = rt_zalloc(sizeof(*t));

	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	t->group = lx_group_get(g);
	lx_sigpending_init(&t->pending);
	list_init(&t->group_link);
	list_init(&t->ptrace_link);
	list_init(&t->ptraced);
	t->syscall_nr = -1;
	t->timer_slack_ns = 50000;
	t->affinity = ~0ull;
	t->exit_code = 0;
	atomic_init(&t->vfork_done, 1);
	t->start_ns = rt_now_ns();
	return t;
}

struct lx_group *lx_group_alloc(void)
{
	struct lx_group *g = rt_zalloc(sizeof(*g));

	if (!g)
		return NULL;
	atomic_init(&g->refs, 1);
	rt_mutex_init(&g->lock, LX_LOCK_SIGHAND);
	rt_mutex_init(&g->exec_lock, LX_LOCK_EXEC);
	list_init(&g->children_link);
	list_init(&g->children);
	list_init(&g->pgrp_link);
	list_init(&g->session_link);
	list_init(&g->tasks);
	lx_sigpending_init(&g->shared_pending);
	lx_waitq_init(&g->child_wait);
	lx_waitq_init(&g->signal_fd_wait);
	g->dumpable = true;
	g->start_ns = rt_now_ns();
	return g;
}

static void kthread_main(void *arg)
{
	struct lx_task *self = arg;

	self->frame = rt_frame();
	self->kthread_fn(self->kthread_arg);
	rt_set_self(NULL);
	lx_task_put(self);
	rt_thread_exit();
}

struct lx_task *lx_kthread_create(const char *name, void (*fn)(void *arg), void *arg)
{
	static struct lx_group *group;	/* made by the first one, at start */
	struct lx_task *t;

	if (!group) {
		group = lx_group_alloc();
		if (!group)
			return NULL;
		/* what limits programs, the size of files for one, does not limit them */
		for (size_t i = 0; i < ARRAY_SIZE(group->rlimits); i++)
			group->rlimits[i].cur = group->rlimits[i].max = RLIM_INFINITY;
	}
	t = lx_task_alloc(group);
	if (!t)
		return NULL;
	t->is_kernel = true;
	t->cred = lx_cred_get(&lx_init_cred);
	t->kthread_fn = fn;
	t->kthread_arg = arg;
	strlcpy(t->comm, name, sizeof(t->comm));
	lx_task_get(t);			/* the thread's: it may end before we are done */
	if (rt_thread_create(kthread_main, t, NULL, K_HANDLE_NONE, 0, name, &t->thread) != K_OK) {
		lx_task_put(t);
		lx_task_put(t);
		return NULL;
	}
	lx_task_put(t);
	return t;
}
