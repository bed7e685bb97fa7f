/* SPDX-License-Identifier: MIT */
/* Numbers of the caller, resource limits and use. */

#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/times.h>

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/rusage.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "rt/time.h"
#include "task/task_impl.h"

long lx_sys_getpid(struct lx_task *self)
{
	return self->group->pid;
}

long lx_sys_gettid(struct lx_task *self)
{
	return self->tid;
}

long lx_sys_getppid(struct lx_task *self)
{
	return lx_group_ppid(self->group);
}

/* -- limits ---------------------------------------------------------------------------- */

unsigned long lx_rlimit(struct lx_task *self, unsigned int which)
{
	return self->group->rlimits[which].cur;
}

static bool may_limit(struct lx_task *self, struct lx_task *t)
{
	const struct lx_cred *from = self->cred, *to;
	bool ok;

	if (t->group == self->group || lx_capable(self, CAP_SYS_RESOURCE))
		return true;
	to = lx_task_cred_get(t);
	ok = from->uid == to->euid && from->uid == to->suid && from->uid == to->uid &&
	     from->gid == to->egid && from->gid == to->sgid && from->gid == to->gid;
	lx_cred_put(to);
	return ok;
}

static int do_prlimit(struct lx_task *self, struct lx_task *t, unsigned int which,
		      const struct lx_rlimit *new, struct lx_rlimit *old)
{
	struct lx_group *g = t->group;
	struct lx_rlimit *limit;
	int err = 0;

	if (which >= RLIM_NLIMITS)
		return -EINVAL;
	if (new && new->cur > new->max)
		return -EINVAL;
	if (new && which == RLIMIT_NOFILE && new->max > 1048576)
		return -EPERM;
	rt_mutex_lock(&g->lock);
	limit = &g->rlimits[which];
	*old = *limit;
	if (new && new->max > limit->max && !lx_capable(self, CAP_SYS_RESOURCE))
		err = -EPERM;
	else if (new)
		*limit = *new;
	rt_mutex_unlock(&g->lock);
	if (!err && new && which == RLIMIT_STACK)
		lx_stack_limit_changed(t, new->cur);
	if (!err && new && which == RLIMIT_CPU && new->cur != ~0ull)
		lx_itimers_rlimit_cpu(g);
	return err;
}

long lx_sys_prlimit64(struct lx_task *self, int pid, unsigned int which, uaddr_t unew, uaddr_t uold)
{
	struct lx_rlimit new, old;
	struct lx_task *t;
	int err;

	if (unew.v && lx_copy_from_user(&new, unew, sizeof(new)))
		return -EFAULT;
	t = pid ? lx_task_find(self, pid) : lx_task_get(self);
	if (!t)
		return -ESRCH;
	err = may_limit(self, t) ? do_prlimit(self, t, which, unew.v ? &new : NULL, &old)
				 : -EPERM;
	lx_task_put(t);
	if (!err && uold.v && lx_copy_to_user(uold, &old, sizeof(old)))
		err = -EFAULT;
	return err;
}

long lx_sys_getrlimit(struct lx_task *self, unsigned int which, uaddr_t ulimit)
{
	struct lx_rlimit old;
	int err = do_prlimit(self, self, which, NULL, &old);

	return err ? err : lx_copy_to_user(ulimit, &old, sizeof(old));
}

long lx_sys_setrlimit(struct lx_task *self, unsigned int which, uaddr_t ulimit)
{
	struct lx_rlimit new, old;

	if (lx_copy_from_user(&new, ulimit, sizeof(new)))
		return -EFAULT;
	return do_prlimit(self, self, which, &new, &old);
}

/* -- use ------------------------------------------------------------------------------------ */

int lx_rusage_to_user(uaddr_t dst, const struct lx_rusage_sum *s)
{
	struct rusage r = { 0 };

	r.ru_utime.tv_sec = (long)(s->utime_ns / 1000000000);
	r.ru_utime.tv_usec = (long)(s->utime_ns % 1000000000 / 1000);
	r.ru_stime.tv_sec = (long)(s->stime_ns / 1000000000);
	r.ru_stime.tv_usec = (long)(s->stime_ns % 1000000000 / 1000);
	r.ru_maxrss = (long)s->maxrss;
	r.ru_minflt = (long)s->min_flt;
	r.ru_majflt = (long)s->maj_flt;
	r.ru_nvcsw = (long)s->nvcsw;
	r.ru_nivcsw = (long)s->nivcsw;
	return lx_copy_to_user(dst, &r, sizeof(r));
}

static void add_peak(struct lx_task *self, struct lx_rusage_sum *sum)
{
	struct k_space_info info;

	if (self->mm && k_space_info(self->mm->space, &info) == K_OK)
		sum->maxrss = MAX(sum->maxrss, info.peak_resident_pages * (K_PAGE_SIZE / 1024));
}

long lx_sys_getrusage(struct lx_task *self, int who, uaddr_t usage)
{
	struct lx_rusage_sum sum;

	switch (who) {
	case RUSAGE_SELF:
		lx_group_usage(self->group, &sum);
		add_peak(self, &sum);
		break;
	case RUSAGE_THREAD:
		lx_task_usage(self, &sum);
		add_peak(self, &sum);
		break;
	case RUSAGE_CHILDREN:
		rt_mutex_lock(&self->group->lock);
		sum = self->group->dead_children;
		rt_mutex_unlock(&self->group->lock);
		break;
	default:
		return -EINVAL;
	}
	return lx_rusage_to_user(usage, &sum);
}

#define NS_PER_TICK 10000000ull

long lx_sys_times(struct lx_task *self, uaddr_t buf)
{
	struct lx_rusage_sum own, children;
	struct tms t;

	if (buf.v) {
		lx_group_usage(self->group, &own);
		rt_mutex_lock(&self->group->lock);
		children = self->group->dead_children;
		rt_mutex_unlock(&self->group->lock);
		t.tms_utime = (long)(own.utime_ns / NS_PER_TICK);
		t.tms_stime = (long)(own.stime_ns / NS_PER_TICK);
		t.tms_cutime = (long)(children.utime_ns / NS_PER_TICK);
		t.tms_cstime = (long)(children.stime_ns / NS_PER_TICK);
		if (lx_copy_to_user(buf, &t, sizeof(t)))
			return -EFAULT;
	}
	return (long)(rt_now_ns() / NS_PER_TICK);
}
