/* SPDX-License-Identifier: MIT */
/*
 * Who traces whom: how tracing begins and ends.
 *
 * It begins with PTRACE_TRACEME, ATTACH or SEIZE, or by birth (the tracer follows forks);
 * it ends with PTRACE_DETACH, or with either of the two.  The link (task->ptracer, the
 * tracer's list) is under lx_pidns.lock, with the tracee's group lock inside where its
 * struct lx_ptrace changes.  That structure is made before locks are taken and lives as
 * long as the task: others may still look at it after tracing has ended.
 */#include <asm/processor-flags.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

#include "lx/cred.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/ptrace.h"
#include "lx/task.h"
#include "ptrace/ptrace_impl.h"
#include "signal/signal_impl.h"
#include "task/task_impl.h"

_Atomic(uint32_t) lx_ptrace_in_use;

static struct lx_ptrace *alloc_state(struct lx_task *t)
{
	struct lx_ptrace *pt;

	rt_mutex_lock(&t->group->lock);
	pt = t->ptrace;
	rt_mutex_unlock(&t->group->lock);
	if (pt)
		return pt;
	pt = rt_zalloc(sizeof(*pt));
	if (!pt)
		return NULL;
	rt_mutex_lock(&t->group->lock);
	if (!t->ptrace) {
		t->ptrace = pt;
		pt = NULL;
	}
	rt_mutex_unlock(&t->group->lock);
	rt_free(pt);
	return t->ptrace;
}

void lx_ptrace_free(struct lx_task *t)
{
	rt_free(t->ptrace);
}

/* With lx_pidns.lock. */
static void link_locked(struct lx_task *tracer, struct lx_task *t, bool seized, uint32_t options)
{
	struct lx_ptrace *pt = t->ptrace;

	rt_mutex_lock(&t->group->lock);
	*pt = (struct lx_ptrace){ .seized = seized, .options = options };
	t->ptracer = tracer;
	rt_mutex_unlock(&t->group->lock);
	list_add_last(&tracer->ptraced, &t->ptrace_link);
	atomic_store(&lx_ptrace_in_use, 1);
}

void lx_ptrace_unlink_locked(struct lx_task *t, int sig)
{
	rt_mutex_lock(&t->group->lock);
	t->ptracer = NULL;
	atomic_fetch_and(&t->syscall_work, ~LX_WORK_PTRACE);
	if (t->ptrace->stepping && t->frame)
		t->frame->rflags &= ~(uint64_t)X86_EFLAGS_TF;
	t->ptrace->stepping = false;
	lx_ptrace_resume_locked(t, sig);
	/* Who is left in a group stop goes on to sleep as everybody does. */
	if (t->group->flags & (LX_GROUP_STOPPED | LX_GROUP_STOPPING))
		lx_task_notify(t, LX_ATTN_STOP);
	rt_mutex_unlock(&t->group->lock);
	list_remove(&t->ptrace_link);
}

void lx_ptrace_exit_tracer_locked(struct lx_task *self, struct list *dead)
{
	struct lx_siginfo kill = lx_siginfo_kernel(SIGKILL);
	struct lx_task *t, *tmp, *put;

	list_for_each_entry_safe(t, tmp, &self->ptraced, ptrace_link) {
		bool exitkill = t->ptrace->options & PTRACE_O_EXITKILL;

		if (atomic_load(&t->state) == LX_ZOMBIE) {
			put = lx_ptrace_reap_locked(t);
			if (put)
				list_add_last(dead, &put->group_link);
			continue;
		}
		lx_ptrace_unlink_locked(t, 0);
		if (exitkill)
			(void)lx_signal_task(t, &kill);
	}
}

/* The tracer is done with @t, a zombie. */
struct lx_task *lx_ptrace_reap_locked(struct lx_task *t)
{
	struct lx_group *g = t->group;
	struct lx_task *put;

	t->ptracer = NULL;
	list_remove(&t->ptrace_link);
	if (t == g->leader)
		return lx_group_check_dead_locked(g);
	lx_task_release_locked(t);
	put = lx_group_check_dead_locked(g);
	if (put)
		lx_task_put(put);	/* (@t keeps the group, and this is not the last) */
	return t;
}

bool lx_ptrace_wait_locked(struct lx_task *t, bool keep, int *status)
{
	struct lx_ptrace *pt = t->ptrace;
	bool news;

	rt_mutex_lock(&t->group->lock);
	news = pt->stopped && !pt->reported;
	if (news) {
		*status = pt->code;
		if (!keep)
			pt->reported = true;
	}
	rt_mutex_unlock(&t->group->lock);
	return news;
}

/* @child's struct lx_ptrace, if it will need one: made before locks are taken. */
int lx_ptrace_clone_prepare(struct lx_task *self, struct lx_task *child)
{
	if (!lx_ptrace_is_traced(self))
		return 0;
	return alloc_state(child) ? 0 : -ENOMEM;
}

void lx_ptrace_clone_locked(struct lx_task *self, struct lx_task *child, int event,
			    uint64_t clone_flags)
{
	struct lx_ptrace *pt = self->ptrace;

	if (!self->ptracer || !child->ptrace || (clone_flags & CLONE_UNTRACED))
		return;
	if (!(pt->options & 1u << event) && !(clone_flags & CLONE_PTRACE))
		return;
	link_locked(self->ptracer, child, pt->seized, pt->options);
	rt_mutex_lock(&child->group->lock);
	if (child->ptrace->seized) {
		child->ptrace->interrupt = true;
		atomic_fetch_or(&child->attention, LX_ATTN_WORK);
	} else {
		child->pending.set |= LX_SIGMASK(SIGSTOP);
		atomic_fetch_or(&child->attention, LX_ATTN_SIGNAL);
	}
	rt_mutex_unlock(&child->group->lock);
}

int lx_ptrace_may_access(struct lx_task *self, struct lx_task *t)
{
	const struct lx_cred *c = self->cred, *tc;
	struct lx_mm *mm;
	bool ok;

	if (t->group == self->group)
		return 0;
	tc = lx_task_cred_get(t);
	ok = (c->fsuid == tc->uid && c->fsuid == tc->euid && c->fsuid == tc->suid &&
	      c->fsgid == tc->gid && c->fsgid == tc->egid && c->fsgid == tc->sgid) ||
	     lx_capable(self, CAP_SYS_PTRACE);
	if (ok && (tc->cap_permitted & ~c->cap_permitted))
		ok = lx_capable(self, CAP_SYS_PTRACE);
	lx_cred_put(tc);
	mm = lx_task_mm_get(t);
	if (mm) {
		ok = ok && (mm->dumpable || lx_capable(self, CAP_SYS_PTRACE));
		lx_mm_put(mm);
	}
	return ok ? 0 : -EPERM;
}

long lx_ptrace_traceme(struct lx_task *self)
{
	struct lx_task *parent;
	long err = -EPERM;

	if (!alloc_state(self))
		return -ENOMEM;
	rt_mutex_lock(&lx_init_pidns.lock);
	parent = self->group->parent ? self->group->parent->leader : NULL;
	if (!self->ptracer && parent && !parent->exiting) {
		link_locked(parent, self, false, 0);
		err = 0;
	}
	rt_mutex_unlock(&lx_init_pidns.lock);
	return err;
}

long lx_ptrace_attach(struct lx_task *self, struct lx_task *t, bool seize, uint64_t addr, uint64_t data)
{
	struct lx_siginfo stop_info = lx_siginfo_kernel(SIGSTOP);
	bool exiting;
	long err;

	if (seize && (addr || data & ~(uint64_t)PTRACE_O_MASK))
		return -EIO;
	if (t->is_kernel || t->group == self->group)
		return -EPERM;
	err = lx_ptrace_may_access(self, t);
	if (err)
		return err;
	if (!alloc_state(t))
		return -ENOMEM;
	rt_mutex_lock(&lx_init_pidns.lock);
	rt_mutex_lock(&t->group->lock);
	exiting = t->exiting;
	rt_mutex_unlock(&t->group->lock);
	if (exiting || t->ptracer || !t->pid->task) {
		err = -EPERM;
	} else {
		link_locked(self, t, seize, (uint32_t)data * seize);
		/* One that is stopped already becomes a stopped tracee. */
		if (lx_group_has(t->group, LX_GROUP_STOPPED)) {
			if (seize)
				lx_task_notify(t, LX_ATTN_STOP);
			lx_task_wake(t);
		}
	}
	rt_mutex_unlock(&lx_init_pidns.lock);
	if (!err && !seize)
		(void)lx_signal_task(t, &stop_info);
	return err;
}
