/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: Linux's policies, nice values and masks, in terms of the kernel's
 * classes and weights.
 */

#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/syscall.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "task/task_impl.h"

/* What each nice level is worth: 10 % of the time more or less than its neighbour. */
static const uint32_t weights[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
	9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
	1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
	110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
};

static uint64_t all_cpus(void)
{
	return lx_system.info.cpus >= 64 ? ~0ull : (1ull << lx_system.info.cpus) - 1;
}

void lx_sched_apply(struct lx_task *t)
{
	struct k_sched s = { .weight = weights[t->nice + 20] };
	k_handle_t thread = atomic_load(&t->thread);

	/* What every thread starts with needs no call; one that does not run yet applies it. */
	if (t->policy == SCHED_NORMAL && t->nice == 0 && t->affinity == ~0ull && !t->sched_changed)
		return;
	t->sched_changed = true;
	s.affinity = t->affinity & all_cpus();
	s.sched_class = t->policy == SCHED_FIFO ? K_SCHED_FIFO :
			t->policy == SCHED_RR ? K_SCHED_RR :
			t->policy == SCHED_IDLE ? K_SCHED_IDLE : K_SCHED_FAIR;
	s.priority = (uint32_t)t->rt_priority;
	if (thread)
		(void)!k_thread_sched(thread, &s);
}

static struct lx_task *target(struct lx_task *self, int pid)
{
	return pid ? lx_task_find(self, pid) : lx_task_get(self);
}

static bool is_owner(struct lx_task *self, struct lx_task *t)
{
	const struct lx_cred *c = lx_task_cred_get(t);
	bool same = self->cred->euid == c->euid || self->cred->euid == c->uid;

	lx_cred_put(c);
	return same;
}

static lx_uid_t uid_of(struct lx_task *t)
{
	const struct lx_cred *c = lx_task_cred_get(t);
	lx_uid_t uid = c->uid;

	lx_cred_put(c);
	return uid;
}

long lx_sys_sched_yield(struct lx_task *self)
{
	(void)!k_thread_yield();
	return 0;
}

/* -- nice ------------------------------------------------------------------------------- */

static int set_nice(struct lx_task *self, struct lx_task *t, int nice)
{
	if (!is_owner(self, t) && !lx_capable(self, CAP_SYS_NICE))
		return -EPERM;
	if (nice < t->nice && !lx_capable(self, CAP_SYS_NICE) &&
	    (uint64_t)(20 - nice) > t->group->rlimits[RLIMIT_NICE].cur)
		return -EACCES;
	rt_mutex_lock(&t->group->lock);
	t->nice = nice;
	lx_sched_apply(t);
	rt_mutex_unlock(&t->group->lock);
	return 0;
}

/*
 * Call @fn for the tasks that (which, who) names, each with a reference and
 * without locks.  -ESRCH if there are none.
 */
static int for_each(struct lx_task *self, int which, int who,
		    int (*fn)(struct lx_task *self, struct lx_task *t, int *arg), int *arg)
{
	lx_uid_t uid = who ? (lx_uid_t)who : self->cred->uid;
	lx_pid_t pgid = who ? who : self->group->pgid, pid = 0;
	int result = -ESRCH, err;
	struct lx_task *t;

	if (which == PRIO_PROCESS) {
		t = target(self, who);
		if (!t)
			return -ESRCH;
		err = fn(self, t, arg);
		lx_task_put(t);
		return err;
	}
	for (;;) {
		struct lx_group *g = lx_group_next(self, pid + 1);

		if (!g)
			return result;
		pid = g->pid;
		t = lx_group_leader(g);
		if (t && (which == PRIO_PGRP ? READ_ONCE(g->pgid) == pgid : uid_of(t) == uid)) {
			err = fn(self, t, arg);
			if (result == -ESRCH || err)
				result = err;
		}
		if (t)
			lx_task_put(t);
		lx_group_put(g);
	}
}

static int set_one(struct lx_task *self, struct lx_task *t, int *nice)
{
	return set_nice(self, t, *nice);
}

static int max_one(struct lx_task *self, struct lx_task *t, int *best)
{
	*best = MAX(*best, 20 - t->nice);
	return 0;
}

long lx_sys_setpriority(struct lx_task *self, int which, int who, int nice)
{
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	nice = CLAMP(nice, -20, 19);
	return for_each(self, which, who, set_one, &nice);
}

long lx_sys_getpriority(struct lx_task *self, int which, int who)
{
	int best = 0, err;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	err = for_each(self, which, who, max_one, &best);
	return err ? err : best;
}

/* -- policies -------------------------------------------------------------------------------- */

static bool is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool is_policy(int policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE ||
	       is_realtime(policy);
}

/* @policy -1: keep; @nice: NULL keeps. */
static int set_policy(struct lx_task *self, struct lx_task *t, int policy, bool reset, int priority,
		      const int *nice)
{
	uint64_t max = t->group->rlimits[RLIMIT_RTPRIO].cur;
	bool can = lx_capable(self, CAP_SYS_NICE);

	if (policy < 0)
		policy = t->policy;
	if (!is_policy(policy))
		return -EINVAL;
	if (priority < 0 || priority > 99 || is_realtime(policy) != (priority != 0))
		return -EINVAL;
	if (!can) {
		if (is_realtime(policy) && (!max || (priority > t->rt_priority &&
						     (uint64_t)priority > max)))
			return -EPERM;
		if (t->policy == SCHED_IDLE && policy != SCHED_IDLE &&
		    (uint64_t)(20 - t->nice) > t->group->rlimits[RLIMIT_NICE].cur)
			return -EPERM;
		if (!is_owner(self, t))
			return -EPERM;
		if (t->reset_on_fork && !reset)
			return -EPERM;
		if (nice && *nice < t->nice &&
		    (uint64_t)(20 - *nice) > t->group->rlimits[RLIMIT_NICE].cur)
			return -EPERM;
	}
	rt_mutex_lock(&t->group->lock);
	t->policy = policy;
	t->rt_priority = priority;
	t->reset_on_fork = reset;
	if (nice)
		t->nice = CLAMP(*nice, -20, 19);
	lx_sched_apply(t);
	rt_mutex_unlock(&t->group->lock);
	return 0;
}

static int set_by_pid(struct lx_task *self, int pid, int policy, bool reset, int priority)
{
	struct lx_task *t;
	int err;

	if (pid < 0)
		return -EINVAL;
	t = target(self, pid);
	if (!t)
		return -ESRCH;
	err = set_policy(self, t, policy, policy < 0 ? t->reset_on_fork : reset, priority, NULL);
	lx_task_put(t);
	return err;
}

long lx_sys_sched_setscheduler(struct lx_task *self, int pid, int policy, uaddr_t param)
{
	int priority;

	if (policy < 0 || !param.v)
		return -EINVAL;
	if (lx_copy_from_user(&priority, param, sizeof(priority)))
		return -EFAULT;
	return set_by_pid(self, pid, policy & ~SCHED_RESET_ON_FORK, policy & SCHED_RESET_ON_FORK,
			  priority);
}

long lx_sys_sched_setparam(struct lx_task *self, int pid, uaddr_t param)
{
	int priority;

	if (!param.v)
		return -EINVAL;
	if (lx_copy_from_user(&priority, param, sizeof(priority)))
		return -EFAULT;
	return set_by_pid(self, pid, -1, false, priority);
}

long lx_sys_sched_getscheduler(struct lx_task *self, int pid)
{
	struct lx_task *t;
	long policy;

	if (pid < 0)
		return -EINVAL;
	t = target(self, pid);
	if (!t)
		return -ESRCH;
	policy = t->policy | (t->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
	lx_task_put(t);
	return policy;
}

long lx_sys_sched_getparam(struct lx_task *self, int pid, uaddr_t param)
{
	struct lx_task *t;
	int priority;

	if (!param.v || pid < 0)
		return -EINVAL;
	t = target(self, pid);
	if (!t)
		return -ESRCH;
	priority = t->rt_priority;
	lx_task_put(t);
	return lx_copy_to_user(param, &priority, sizeof(priority));
}

long lx_sys_sched_get_priority_max(struct lx_task *self, int policy)
{
	return is_realtime(policy) ? 99 : is_policy(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

long lx_sys_sched_get_priority_min(struct lx_task *self, int policy)
{
	return is_realtime(policy) ? 1 : is_policy(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

long lx_sys_sched_rr_get_interval(struct lx_task *self, int pid, uaddr_t interval)
{
	struct lx_task *t;
	uint64_t ns;

	if (pid < 0)
		return -EINVAL;
	t = target(self, pid);
	if (!t)
		return -ESRCH;
	ns = t->policy == SCHED_RR ? 100000000 : t->policy == SCHED_FIFO ? 0 : 4000000;
	lx_task_put(t);
	return lx_timespec_to_user(interval, ns);
}

long lx_sys_sched_setattr(struct lx_task *self, int pid, uaddr_t uattr, unsigned int flags)
{
	struct sched_attr attr = { 0 };
	uint32_t size;
	struct lx_task *t;
	int err;

	if (!uattr.v || pid < 0 || flags)
		return -EINVAL;
	if (lx_copy_from_user(&size, uattr, sizeof(size)))
		return -EFAULT;
	if (!size)
		size = SCHED_ATTR_SIZE_VER0;
	if (size < SCHED_ATTR_SIZE_VER0 || size > K_PAGE_SIZE)
		return -E2BIG;
	err = lx_copy_struct_from_user(&attr, sizeof(attr), uattr, size);
	if (err)
		return err;
	if ((int)attr.sched_policy < 0 || attr.sched_flags & ~(uint64_t)SCHED_FLAG_RESET_ON_FORK)
		return -EINVAL;
	t = target(self, pid);
	if (!t)
		return -ESRCH;
	err = set_policy(self, t, (int)attr.sched_policy, attr.sched_flags & SCHED_FLAG_RESET_ON_FORK,
			 (int)attr.sched_priority,
			 is_realtime((int)attr.sched_policy) ? NULL : &attr.sched_nice);
	lx_task_put(t);
	return err;
}

long lx_sys_sched_getattr(struct lx_task *self, int pid, uaddr_t uattr, unsigned int size,
			  unsigned int flags)
{
	struct sched_attr attr = { 0 };
	struct lx_task *t;

	if (!uattr.v || pid < 0 || size > K_PAGE_SIZE || size < SCHED_ATTR_SIZE_VER0 || flags)
		return -EINVAL;
	t = target(self, pid);
	if (!t)
		return -ESRCH;
	attr.size = MIN(size, (unsigned int)sizeof(attr));
	attr.sched_policy = (uint32_t)t->policy;
	attr.sched_flags = t->reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
	attr.sched_priority = (uint32_t)t->rt_priority;
	attr.sched_nice = is_realtime(t->policy) ? 0 : t->nice;
	lx_task_put(t);
	return lx_copy_to_user(uattr, &attr, attr.size);
}

/* -- processors ----------------------------------------------------------------------------------- */

long lx_sys_sched_setaffinity(struct lx_task *self, int pid, unsigned int length, uaddr_t umask)
{
	uint64_t mask = 0;
	struct lx_task *t;
	int err = 0;

	if (lx_copy_from_user(&mask, umask, MIN(length, (unsigned int)sizeof(mask))))
		return -EFAULT;
	t = target(self, pid);
	if (!t)
		return -ESRCH;
	if (!is_owner(self, t) && !lx_capable(self, CAP_SYS_NICE))
		err = -EPERM;
	else if (!(mask & all_cpus()))
		err = -EINVAL;
	if (!err) {
		rt_mutex_lock(&t->group->lock);
		t->affinity = mask & all_cpus();
		lx_sched_apply(t);
		rt_mutex_unlock(&t->group->lock);
	}
	lx_task_put(t);
	return err;
}

long lx_sys_sched_getaffinity(struct lx_task *self, int pid, unsigned int length, uaddr_t umask)
{
	struct lx_task *t;
	uint64_t mask;

	if (length * 8 < lx_system.info.cpus || length & 7)
		return -EINVAL;
	t = target(self, pid);
	if (!t)
		return -ESRCH;
	mask = t->affinity & all_cpus();
	lx_task_put(t);
	return lx_copy_to_user(umask, &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

/* -- I/O priorities: kept, without effect ------------------------------------------------------------ */

long lx_sys_ioprio_set(struct lx_task *self, int which, int who, int prio)
{
	int class = prio >> IOPRIO_CLASS_SHIFT;

	if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER || class > IOPRIO_CLASS_IDLE ||
	    (class == IOPRIO_CLASS_NONE && (prio & 7)))
		return -EINVAL;
	if (class == IOPRIO_CLASS_RT && !lx_capable(self, CAP_SYS_ADMIN) &&
	    !lx_capable(self, CAP_SYS_NICE))
		return -EPERM;
	return 0;
}

long lx_sys_ioprio_get(struct lx_task *self, int which, int who)
{
	if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
		return -EINVAL;
	return IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT | 4;
}
