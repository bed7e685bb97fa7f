/* SPDX-License-Identifier: MIT */
/* prctl(2). */

#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/prctl.h>

#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/seccomp.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/trace.h"
#include "sys/sys_impl.h"

static long set_name(struct lx_task *self, uint64_t addr)
{
	char name[sizeof(self->comm)] = { 0 };
	int64_t n = lx_string_from_user(name, uaddr(addr), sizeof(name));

	if (n == -EFAULT)
		return -EFAULT;
	name[sizeof(name) - 1] = '\0';
	rt_mutex_lock(&self->group->lock);
	memcpy(self->comm, name, sizeof(name));
	rt_mutex_unlock(&self->group->lock);
	lx_trace_check(self);
	return 0;
}

static long put_int(uint64_t addr, int v)
{
	return lx_copy_to_user(uaddr(addr), &v, sizeof(v));
}

static void mark_subreaper_children(struct lx_group *g)
{
	struct lx_group *c;

	list_for_each_entry(c, &g->children, children_link) {
		c->has_child_subreaper = true;
		mark_subreaper_children(c);
	}
}

static long set_subreaper(struct lx_task *self, bool on)
{
	rt_mutex_lock(&lx_init_pidns.lock);
	self->group->is_child_subreaper = on;
	if (on)
		mark_subreaper_children(self->group);
	rt_mutex_unlock(&lx_init_pidns.lock);
	return 0;
}

static long set_mm(struct lx_task *self, uint64_t what, uint64_t value)
{
	if (!lx_capable(self, CAP_SYS_RESOURCE))
		return -EPERM;
	return -EINVAL;
}

long lx_sys_prctl(struct lx_task *self, int option, uint64_t arg2, uint64_t arg3, uint64_t arg4,
		  uint64_t arg5)
{
	switch (option) {
	case PR_SET_PDEATHSIG:
		if (arg2 > LX_NSIG)
			return -EINVAL;
		self->pdeath_signal = (int)arg2;
		return 0;
	case PR_GET_PDEATHSIG:
		return put_int(arg2, self->pdeath_signal);
	case PR_GET_DUMPABLE:
		return self->mm->dumpable;
	case PR_SET_DUMPABLE:
		if (arg2 > 1)
			return -EINVAL;
		self->mm->dumpable = self->group->dumpable = arg2;
		return 0;
	case PR_SET_NAME:
		return set_name(self, arg2);
	case PR_GET_NAME:
		return lx_copy_to_user(uaddr(arg2), self->comm, sizeof(self->comm));
	case PR_SET_CHILD_SUBREAPER:
		return set_subreaper(self, arg2);
	case PR_GET_CHILD_SUBREAPER:
		return put_int(arg2, self->group->is_child_subreaper);
	case PR_SET_NO_NEW_PRIVS:
		if (arg2 != 1 || arg3 || arg4 || arg5)
			return -EINVAL;
		self->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		if (arg2 || arg3 || arg4 || arg5)
			return -EINVAL;
		return self->no_new_privs;
	case PR_SET_TIMERSLACK:
		self->timer_slack_ns = arg2 ? arg2 : 50000;
		return 0;
	case PR_GET_TIMERSLACK:
		return (long)self->timer_slack_ns;
	case PR_GET_TID_ADDRESS:
		return lx_copy_to_user(uaddr(arg2), &self->clear_child_tid.v, 8);
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING:
		return arg2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_GET_SECCOMP:
		return lx_seccomp_mode(self);
	case PR_SET_SECCOMP:
		return lx_seccomp_prctl(self, arg2, uaddr(arg3));
	case PR_MCE_KILL_GET:
		return PR_MCE_KILL_DEFAULT;
	case PR_SET_THP_DISABLE:
		return arg3 || arg4 || arg5 ? -EINVAL : 0;
	case PR_GET_THP_DISABLE:
		return arg2 || arg3 || arg4 || arg5 ? -EINVAL : 0;
	case PR_SET_MM:
		return set_mm(self, arg2, arg3);
	case PR_CAPBSET_READ:
	case PR_CAPBSET_DROP:
	case PR_GET_SECUREBITS:
	case PR_SET_SECUREBITS:
	case PR_GET_KEEPCAPS:
	case PR_SET_KEEPCAPS:
		return lx_cred_prctl(self, option, arg2, arg3);
	case PR_CAP_AMBIENT:
		if (arg4 || arg5 || (arg2 == PR_CAP_AMBIENT_CLEAR_ALL && arg3))
			return -EINVAL;
		return lx_cred_prctl(self, option, arg2, arg3);
	}
	return -EINVAL;
}
