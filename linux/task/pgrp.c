/* SPDX-License-Identifier: MIT */
/*
 * Process groups and sessions.  A group's numbers (pgid, sid) are copies of those
 * of its struct lx_pid, for who only wants to read them.
 */

#include <asm/signal.h>

#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/pid.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "task/task_impl.h"

#define ns lx_init_pidns

void lx_group_join_pgrp_locked(struct lx_group *g, struct lx_pid *pgrp)
{
	struct lx_pid *old = g->pgrp;

	if (old == pgrp)
		return;
	lx_pid_get(pgrp);
	pgrp->uses++;
	if (old) {
		list_remove(&g->pgrp_link);
		lx_pid_unuse(&ns, old);
		lx_pid_put(old);
	}
	list_add_last(&pgrp->pgrp, &g->pgrp_link);
	g->pgrp = pgrp;
	g->pgid = pgrp->nr;
}

void lx_group_join_session_locked(struct lx_group *g, struct lx_pid *session)
{
	struct lx_pid *old = g->session;

	if (old == session)
		return;
	lx_pid_get(session);
	session->uses++;
	if (old) {
		list_remove(&g->session_link);
		lx_pid_unuse(&ns, old);
		lx_pid_put(old);
	}
	list_add_last(&session->session, &g->session_link);
	g->session = session;
	g->sid = session->nr;
}

/* The process is released: it leaves both, but keeps the references (and numbers, for who asks late). */
void lx_group_leave_pgrp_locked(struct lx_group *g)
{
	list_remove(&g->pgrp_link);
	list_remove(&g->session_link);
	lx_pid_unuse(&ns, g->pgrp);
	lx_pid_unuse(&ns, g->session);
}

bool lx_pgrp_is_orphaned_locked(struct lx_pid *pgrp, struct lx_group *ignored)
{
	struct lx_group *g;

	list_for_each_entry(g, &pgrp->pgrp, pgrp_link) {
		if (g == ignored || g->dead || !lx_group_is_live(g) || !g->parent ||
		    g->parent == ns.init)
			continue;
		if (g->parent->pgrp != pgrp && g->parent->session == g->session)
			return false;
	}
	return true;
}

bool lx_pgrp_has_stopped_locked(struct lx_pid *pgrp)
{
	struct lx_group *g;

	list_for_each_entry(g, &pgrp->pgrp, pgrp_link)
		if (lx_group_has(g, LX_GROUP_STOPPED))
			return true;
	return false;
}

bool lx_pgrp_is_orphaned(lx_pid_t pgid)
{
	struct lx_pid *pgrp;
	bool orphaned = true;

	rt_mutex_lock(&ns.lock);
	pgrp = lx_pid_lookup(&ns, pgid);
	if (pgrp)
		orphaned = lx_pgrp_is_orphaned_locked(pgrp, NULL);
	rt_mutex_unlock(&ns.lock);
	return orphaned;
}

bool lx_pgrp_in_session(lx_pid_t pgid, lx_pid_t sid)
{
	struct lx_pid *pgrp;
	struct lx_group *g;
	bool found = false;

	rt_mutex_lock(&ns.lock);
	pgrp = lx_pid_lookup(&ns, pgid);
	if (pgrp)
		list_for_each_entry(g, &pgrp->pgrp, pgrp_link)
			found |= g->sid == sid;
	rt_mutex_unlock(&ns.lock);
	return found;
}

void lx_signal_pgrp_locked(struct lx_pid *pgrp, const struct lx_siginfo *info)
{
	struct lx_group *g;

	list_for_each_entry(g, &pgrp->pgrp, pgrp_link)
		(void)lx_signal_group(g, info);
}

void lx_pgrp_for_each(struct lx_pid *pgrp, void (*fn)(struct lx_group *g, void *arg), void *arg)
{
	struct lx_group *g;

	rt_mutex_lock(&ns.lock);
	list_for_each_entry(g, &pgrp->pgrp, pgrp_link)
		fn(g, arg);
	rt_mutex_unlock(&ns.lock);
}

bool lx_pgrp_is_empty(struct lx_pid *pgrp)
{
	bool empty;

	rt_mutex_lock(&ns.lock);
	empty = list_is_empty(&pgrp->pgrp);
	rt_mutex_unlock(&ns.lock);
	return empty;
}

int lx_signal_pgrp(lx_pid_t pgid, const struct lx_siginfo *info)
{
	struct lx_pid *pgrp;
	int err = -ESRCH;

	rt_mutex_lock(&ns.lock);
	pgrp = lx_pid_lookup(&ns, pgid);
	if (pgrp && !list_is_empty(&pgrp->pgrp)) {
		lx_signal_pgrp_locked(pgrp, info);
		err = 0;
	}
	rt_mutex_unlock(&ns.lock);
	return err;
}

int lx_signal_session_leader(lx_pid_t sid, const struct lx_siginfo *info)
{
	struct lx_group *g = lx_group_find(NULL, sid);

	if (!g)
		return -ESRCH;
	(void)lx_signal_group(g, info);
	lx_group_put(g);
	return 0;
}

/* -- the calls ------------------------------------------------------------------------ */

static int setpgid_locked(struct lx_task *self, lx_pid_t pid, lx_pid_t pgid)
{
	struct lx_group *g = self->group;
	struct lx_pid *pgrp, *p;

	if (pid != g->pid) {
		p = lx_pid_lookup(&ns, pid);
		if (!p || !p->group)
			return -ESRCH;
		g = p->group;
		if (g->parent != self->group)
			return -ESRCH;
		if (g->session != self->group->session)
			return -EPERM;
		if (g->did_exec)
			return -EACCES;
	}
	if (g->sid == g->pid)
		return -EPERM;		/* a session leader */
	if (pgid == g->pid) {
		pgrp = g->pid_struct;
	} else {
		struct lx_group *member;
		bool ok = false;

		pgrp = lx_pid_lookup(&ns, pgid);
		if (pgrp)
			list_for_each_entry(member, &pgrp->pgrp, pgrp_link)
				ok |= member->session == self->group->session;
		if (!ok)
			return -EPERM;
	}
	lx_group_join_pgrp_locked(g, pgrp);
	return 0;
}

long lx_sys_setpgid(struct lx_task *self, int pid, int pgid)
{
	int err;

	if (!pid)
		pid = self->group->pid;
	if (!pgid)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	rt_mutex_lock(&ns.lock);
	err = setpgid_locked(self, pid, pgid);
	rt_mutex_unlock(&ns.lock);
	return err;
}

/* The group of @pid (0: the caller's) with lx_pidns.lock. */
static struct lx_group *named_group_locked(struct lx_task *self, lx_pid_t pid)
{
	struct lx_pid *p;

	if (!pid)
		return self->group;
	p = lx_pid_lookup(&ns, pid);
	return p && p->task ? p->task->group : NULL;
}

long lx_sys_getpgid(struct lx_task *self, int pid)
{
	struct lx_group *g;
	long nr;

	rt_mutex_lock(&ns.lock);
	g = named_group_locked(self, pid);
	nr = g ? g->pgid : -ESRCH;
	rt_mutex_unlock(&ns.lock);
	return nr;
}

long lx_sys_getpgrp(struct lx_task *self)
{
	return lx_sys_getpgid(self, 0);
}

long lx_sys_getsid(struct lx_task *self, int pid)
{
	struct lx_group *g;
	long nr;

	rt_mutex_lock(&ns.lock);
	g = named_group_locked(self, pid);
	nr = g ? g->sid : -ESRCH;
	rt_mutex_unlock(&ns.lock);
	return nr;
}

long lx_sys_setsid(struct lx_task *self)
{
	struct lx_group *g = self->group;
	long ret = g->pid;

	rt_mutex_lock(&ns.lock);
	if (g->sid == g->pid || !list_is_empty(&g->pid_struct->pgrp)) {
		ret = -EPERM;
	} else {
		lx_group_join_pgrp_locked(g, g->pid_struct);
		lx_group_join_session_locked(g, g->pid_struct);
	}
	rt_mutex_unlock(&ns.lock);
	return ret;
}
