/* SPDX-License-Identifier: MIT */
/*
 * Credentials.  A change (set_id.c, capability.c) makes a copy, changes it, and puts it
 * in the place of the old one under group->lock; whoever has a reference to the old one
 * keeps using that.
 */

#include "lx/cred.h"

#include <linux/capability.h>

#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/task.h"
#include "lx/user.h"
#include "task/task_impl.h"

struct lx_cred lx_init_cred = {
	.refs = 1,
	.cap_permitted = LX_ALL_CAPS,
	.cap_effective = LX_ALL_CAPS,
	.cap_bounding = LX_ALL_CAPS,
};

struct lx_cred *lx_cred_get(const struct lx_cred *c)
{
	struct lx_cred *cred = (struct lx_cred *)(uintptr_t)c;

	atomic_fetch_add_explicit(&cred->refs, 1, memory_order_relaxed);
	return cred;
}

void lx_cred_put(const struct lx_cred *c)
{
	struct lx_cred *cred = (struct lx_cred *)(uintptr_t)c;

	if (atomic_fetch_sub(&cred->refs, 1) != 1)
		return;
	rt_free(cred->groups);
	rt_free(cred);
}

struct lx_cred *lx_cred_copy(const struct lx_cred *c)
{
	struct lx_cred *copy = rt_alloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *c;
	atomic_init(&copy->refs, 1);
	if (c->ngroups) {
		copy->groups = rt_alloc(c->ngroups * sizeof(*c->groups));
		if (!copy->groups) {
			rt_free(copy);
			return NULL;
		}
		memcpy(copy->groups, c->groups, c->ngroups * sizeof(*c->groups));
	}
	return copy;
}

bool lx_cred_in_group(const struct lx_cred *c, lx_gid_t gid)
{
	uint32_t low = 0, high = c->ngroups;

	if (gid == c->fsgid)
		return true;
	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (c->groups[mid] == gid)
			return true;
		if (c->groups[mid] < gid)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

bool lx_capable(struct lx_task *self, int cap)
{
	return lx_cred_capable(self->cred, cap);
}

void lx_cred_commit(struct lx_task *self, struct lx_cred *c)
{
	const struct lx_cred *old = self->cred;
	struct lx_user *user = NULL, *old_user = self->user;

	if (c->uid != old->uid)
		user = lx_user_get_uid(c->uid);	/* no memory: counted with the old one */
	if (c->euid != old->euid || c->egid != old->egid || c->fsuid != old->fsuid ||
	    c->fsgid != old->fsgid || (c->cap_permitted & ~old->cap_permitted)) {
		self->pdeath_signal = 0;
		if (self->mm)
			self->mm->dumpable = false;
		self->group->dumpable = false;
	}
	rt_mutex_lock(&self->group->lock);
	self->cred = c;
	if (user)
		self->user = user;
	rt_mutex_unlock(&self->group->lock);
	if (user) {
		atomic_fetch_add(&user->processes, 1);
		atomic_fetch_sub(&old_user->processes, 1);
		lx_user_put(old_user);
	}
	lx_cred_put(old);
}
