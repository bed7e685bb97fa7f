/* SPDX-License-Identifier: MIT */
/*
 * wait4 and waitid.
 *
 * A caller waits on its process's child_wait queue and looks, under lx_pidns.lock,
 * at every child of the process and at every tracee of its threads.  What a child
 * has to tell is consumed under that lock too (unless WNOWAIT), so that two waiters
 * never get the same news.
 */

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/wait.h>

#include "lx/cred.h"
#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/ptrace.h"
#include "lx/rusage.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "task/task_impl.h"

enum { BY_ANY, BY_PID, BY_PGRP };

struct wait {
	/* What is waited for. */
	int by;
	lx_pid_t nr;
	unsigned int options;

	/* What was found. */
	bool eligible;			/* there is something that could still tell */
	lx_pid_t pid;			/* 0: nothing yet */
	lx_uid_t uid;
	int status;			/* as wait4 gives it */
	int code, code_status;		/* CLD_* and si_status */
	struct lx_rusage_sum usage;
	struct lx_task *put;		/* a released task, to be put without the lock */
};

static bool matches(const struct wait *w, const struct lx_group *g, lx_pid_t tid, bool traced)
{
	bool clone_child;

	if (w->by == BY_PID && w->nr != tid)
		return false;
	if (w->by == BY_PGRP && w->nr != g->pgid)
		return false;
	if (traced || (w->options & __WALL))
		return true;
	clone_child = g->exit_signal != SIGCHLD;
	return clone_child == !!(w->options & __WCLONE);
}

static void found_exit(struct wait *w, int status)
{
	w->status = status;
	if ((status & 0x7f) == 0) {
		w->code = CLD_EXITED;
		w->code_status = status >> 8 & 0xff;
	} else {
		w->code = status & 0x80 ? CLD_DUMPED : CLD_KILLED;
		w->code_status = status & 0x7f;
	}
}

static void found_stop(struct wait *w, int code, int status)
{
	w->code = code;
	w->code_status = status;
	w->status = code == CLD_CONTINUED ? 0xffff : status << 8 | 0x7f;
}

static void found(struct lx_task *self, struct wait *w, struct lx_group *g, lx_pid_t pid,
		  const struct lx_task *t)
{
	w->pid = pid;
	rt_mutex_lock(&g->lock);
	w->uid = t->cred->uid;
	w->usage = g->dead_threads;
	lx_usage_add(&w->usage, &g->dead_children);
	rt_mutex_unlock(&g->lock);
}

/* A whole process that is dead. */
static bool look_at_dead(struct lx_task *self, struct wait *w, struct lx_group *g)
{
	if (!(w->options & WEXITED))
		return false;
	found(self, w, g, g->pid, g->leader);
	found_exit(w, lx_group_wait_status(g));
	if (!(w->options & WNOWAIT)) {
		rt_mutex_lock(&self->group->lock);
		lx_usage_add(&self->group->dead_children, &w->usage);
		rt_mutex_unlock(&self->group->lock);
		w->put = lx_group_release_locked(g);
	}
	return true;
}

static bool look_at_stopped(struct lx_task *self, struct wait *w, struct lx_group *g)
{
	bool news;
	int sig;

	if (!(w->options & WUNTRACED))
		return false;
	rt_mutex_lock(&g->lock);
	news = (g->flags & LX_GROUP_STOPPED) && !(g->flags & LX_GROUP_STOP_REPORTED);
	if (news && !(w->options & WNOWAIT))
		g->flags |= LX_GROUP_STOP_REPORTED;
	sig = g->stop_sig;
	rt_mutex_unlock(&g->lock);
	if (!news)
		return false;
	found(self, w, g, g->pid, g->leader);
	found_stop(w, CLD_STOPPED, sig);
	return true;
}

static bool look_at_continued(struct lx_task *self, struct wait *w, struct lx_group *g)
{
	bool news;

	if (!(w->options & WCONTINUED))
		return false;
	rt_mutex_lock(&g->lock);
	news = g->flags & LX_GROUP_CONTINUED;
	if (news && !(w->options & WNOWAIT))
		g->flags &= ~LX_GROUP_CONTINUED;
	rt_mutex_unlock(&g->lock);
	if (!news)
		return false;
	found(self, w, g, g->pid, g->leader);
	found_stop(w, CLD_CONTINUED, SIGCONT);
	return true;
}

static bool look_at_child(struct lx_task *self, struct wait *w, struct lx_group *g)
{
	struct lx_task *tracer = g->leader->ptracer;

	if (!matches(w, g, g->pid, false))
		return false;
	/* Somebody else traces it: what it does is that one's news first. */
	if (tracer && tracer->group != self->group) {
		w->eligible = true;
		return false;
	}
	if (tracer)
		return false;		/* comes as a tracee */
	if (g->dead) {
		w->eligible |= !!(w->options & WEXITED);
		return look_at_dead(self, w, g);
	}
	w->eligible = true;
	return look_at_stopped(self, w, g) || look_at_continued(self, w, g);
}

static bool look_at_tracee(struct lx_task *self, struct wait *w, struct lx_task *t)
{
	struct lx_group *g = t->group;
	int status;

	if (!matches(w, g, t->tid, true))
		return false;
	if (atomic_load(&t->state) == LX_ZOMBIE) {
		bool leader = t == g->leader;

		if (leader && g->nr_tasks > 1) {
			w->eligible = true;
			return false;	/* the other threads first */
		}
		if (!(w->options & WEXITED))
			return false;
		w->eligible = true;
		if (leader && g->parent == self->group)
			return look_at_dead(self, w, g);
		found(self, w, g, t->tid, t);
		found_exit(w, leader ? lx_group_wait_status(g) : t->exit_code);
		if (!(w->options & WNOWAIT))
			w->put = lx_ptrace_reap_locked(t);
		return true;
	}
	w->eligible = true;
	if (lx_ptrace_wait_locked(t, w->options & WNOWAIT, &status)) {
		found(self, w, g, t->tid, t);
		w->code = CLD_TRAPPED;
		w->code_status = status;
		w->status = status << 8 | 0x7f;
		return true;
	}
	return look_at_continued(self, w, g);
}

/* With lx_pidns.lock. */
static bool look(struct lx_task *self, struct wait *w)
{
	struct lx_group *g;
	struct lx_task *t, *tracee;

	list_for_each_entry(g, &self->group->children, children_link)
		if (look_at_child(self, w, g))
			return true;
	if (!atomic_load(&lx_ptrace_in_use))
		return false;
	/* Tracees of any of our threads; the list of threads cannot change: exits need the lock. */
	list_for_each_entry(t, &self->group->tasks, group_link) {
		if (t != self && (w->options & __WNOTHREAD))
			continue;
		list_for_each_entry(tracee, &t->ptraced, ptrace_link)
			if (look_at_tracee(self, w, tracee))
				return true;
	}
	return false;
}

static int do_wait(struct lx_task *self, struct wait *w)
{
	struct lx_wait_entry entry;
	int err = 0;

	lx_wait_entry_init(&entry, self);
	lx_waitq_add(&self->group->child_wait, &entry);
	for (;;) {
		bool done;

		lx_wait_prepare(self);
		w->eligible = false;
		rt_mutex_lock(&lx_init_pidns.lock);
		done = look(self, w);
		rt_mutex_unlock(&lx_init_pidns.lock);
		if (done) {
			err = 0;
			break;
		}
		if (!w->eligible) {
			err = -ECHILD;
			break;
		}
		if (err || (w->options & WNOHANG))
			break;
		/*
		 * An exit and its SIGCHLD are one event under lx_pidns.lock: a signal is
		 * an answer only after a look that found nothing.
		 */
		err = lx_wait_block(self, K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
	}
	lx_waitq_remove(&self->group->child_wait, &entry);
	if (w->put)
		lx_task_put(w->put);
	return err;
}

long lx_sys_wait4(struct lx_task *self, int pid, uaddr_t ustatus, unsigned int options,
		  uaddr_t uusage)
{
	struct wait w = { .options = options | WEXITED };
	int err;

	if (options & ~(unsigned int)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid > 0) {
		w.by = BY_PID;
		w.nr = pid;
	} else if (pid < -1) {
		w.by = BY_PGRP;
		w.nr = -pid;
	} else if (pid == 0) {
		w.by = BY_PGRP;
		w.nr = self->group->pgid;
	}
	err = do_wait(self, &w);
	if (err)
		return err;
	if (w.pid && ustatus.v && lx_copy_to_user(ustatus, &w.status, sizeof(w.status)))
		return -EFAULT;
	if (w.pid && uusage.v)
		err = lx_rusage_to_user(uusage, &w.usage);
	return err ? err : w.pid;
}

static int waitid_target(struct lx_task *self, int which, lx_pid_t id, struct wait *w, bool *nonblock)
{
	struct lx_pid *pid;
	int err;

	switch (which) {
	case P_ALL:
		return 0;
	case P_PID:
		w->by = BY_PID;
		w->nr = id;
		return id > 0 ? 0 : -EINVAL;
	case P_PGID:
		w->by = BY_PGRP;
		w->nr = id ? id : self->group->pgid;
		return id >= 0 ? 0 : -EINVAL;
	case P_PIDFD:
		if (id < 0)
			return -EINVAL;
		err = lx_pidfd_pid(self, id, &pid, nonblock);
		if (err)
			return err;
		w->by = BY_PID;
		w->nr = pid->nr;
		lx_pid_put(pid);
		return 0;
	}
	return -EINVAL;
}

long lx_sys_waitid(struct lx_task *self, int which, int id, uaddr_t uinfo, unsigned int options,
		   uaddr_t uusage)
{
	struct wait w = { .options = options };
	struct lx_siginfo info = { 0 };
	uint8_t out[128];
	bool nonblock = false;
	int err;

	if (options & ~(unsigned int)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED |
				      __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	err = waitid_target(self, which, id, &w, &nonblock);
	if (err)
		return err;
	if (nonblock)
		w.options |= WNOHANG;
	err = do_wait(self, &w);
	if (!err && !w.pid && nonblock && !(options & WNOHANG))
		err = -EAGAIN;
	if (err)
		return err;
	if (w.pid && uusage.v) {
		err = lx_rusage_to_user(uusage, &w.usage);
		if (err)
			return err;
	}
	if (!uinfo.v)
		return 0;
	memset(out, 0, sizeof(out));
	if (w.pid) {
		info.signo = SIGCHLD;
		info.code = w.code;
		info.chld.pid = w.pid;
		info.chld.uid = w.uid;
		info.chld.status = w.code_status;
		lx_siginfo_export(&info, out);
	}
	/* Linux writes the fields one by one and leaves the times alone. */
	return lx_copy_to_user(uinfo, out, 28);
}
