/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: capget(2), capset(2), and prctl(2)'s options about them (capabilities(7)).
 *
 * The permitted and the bounding set only ever shrink here; the others may grow within
 * what those two allow.
 */
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

#include "lx/cred.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "sys/sys_impl.h"
#include "task/task_impl.h"

static int cap_version(uaddr_t uheader, struct __user_cap_header_struct *h, unsigned int *words)
{
	uint32_t ours = _LINUX_CAPABILITY_VERSION_3;

	if (lx_copy_from_user(h, uheader, sizeof(*h)))
		return -EFAULT;
	switch (h->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*words = 1;
		return 0;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*words = 2;
		return 0;
	}
	if (lx_copy_to_user(uheader, &ours, sizeof(ours)))
		return -EFAULT;
	return -EINVAL;
}

long lx_sys_capget(struct lx_task *self, uaddr_t uheader, uaddr_t udata)
{
	struct __user_cap_data_struct data[2];
	struct __user_cap_header_struct h;
	const struct lx_cred *c;
	struct lx_task *t;
	unsigned int words, i;
	int err = cap_version(uheader, &h, &words);

	if (err)
		return err == -EINVAL && !udata.v ? 0 : err;
	if (h.pid < 0)
		return -EINVAL;
	t = h.pid ? lx_task_find(self, h.pid) : lx_task_get(self);
	if (!t)
		return -ESRCH;
	c = lx_task_cred_get(t);
	for (i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(c->cap_effective >> 32 * i);
		data[i].permitted = (uint32_t)(c->cap_permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(c->cap_inheritable >> 32 * i);
	}
	lx_cred_put(c);
	lx_task_put(t);
	return lx_copy_to_user(udata, data, words * sizeof(data[0]));
}

long lx_sys_capset(struct lx_task *self, uaddr_t uheader, uaddr_t udata)
{
	struct __user_cap_data_struct data[2] = { 0 };
	struct __user_cap_header_struct h;
	const struct lx_cred *old = self->cred;
	uint64_t e = 0, p = 0, inh = 0;
	struct lx_cred *c;
	unsigned int words, i;
	int err = cap_version(uheader, &h, &words);

	if (err)
		return err;
	if (h.pid && h.pid != self->tid)
		return -EPERM;
	if (lx_copy_from_user(data, udata, words * sizeof(data[0])))
		return -EFAULT;
	for (i = 0; i < words; i++) {
		e |= (uint64_t)data[i].effective << 32 * i;
		p |= (uint64_t)data[i].permitted << 32 * i;
		inh |= (uint64_t)data[i].inheritable << 32 * i;
	}
	e &= LX_ALL_CAPS;
	p &= LX_ALL_CAPS;
	inh &= LX_ALL_CAPS;
	if (!lx_cred_capable(old, CAP_SETPCAP) &&
	    (inh & ~(old->cap_inheritable | old->cap_permitted)))
		return -EPERM;
	if (inh & ~(old->cap_inheritable | old->cap_bounding))
		return -EPERM;
	if ((p & ~old->cap_permitted) || (e & ~p))
		return -EPERM;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	c->cap_effective = e;
	c->cap_permitted = p;
	c->cap_inheritable = inh;
	c->cap_ambient &= p & inh;
	lx_cred_commit(self, c);
	return 0;
}

/* -- prctl's part ---------------------------------------------------------------------------------- */

static long ambient(struct lx_task *self, uint64_t op, uint64_t cap)
{
	const struct lx_cred *old = self->cred;
	struct lx_cred *c;

	if (op != PR_CAP_AMBIENT_CLEAR_ALL && cap > CAP_LAST_CAP)
		return -EINVAL;
	if (op == PR_CAP_AMBIENT_IS_SET)
		return old->cap_ambient >> cap & 1;
	if (op == PR_CAP_AMBIENT_RAISE &&
	    (!(old->cap_permitted & old->cap_inheritable & 1ull << cap) ||
	     (old->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	if (op != PR_CAP_AMBIENT_RAISE && op != PR_CAP_AMBIENT_LOWER &&
	    op != PR_CAP_AMBIENT_CLEAR_ALL)
		return -EINVAL;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	if (op == PR_CAP_AMBIENT_RAISE)
		c->cap_ambient |= 1ull << cap;
	else if (op == PR_CAP_AMBIENT_LOWER)
		c->cap_ambient &= ~(1ull << cap);
	else
		c->cap_ambient = 0;
	lx_cred_commit(self, c);
	return 0;
}

static long set_securebits(struct lx_task *self, uint64_t bits)
{
	const struct lx_cred *old = self->cred;
	uint32_t locks = old->securebits & SECURE_ALL_LOCKS;
	struct lx_cred *c;

	if ((((old->securebits & SECURE_ALL_LOCKS) >> 1) & (old->securebits ^ bits)) ||
	    (locks & ~bits) || (bits & ~(uint64_t)(SECURE_ALL_BITS | SECURE_ALL_LOCKS)) ||
	    !lx_cred_capable(old, CAP_SETPCAP))
		return -EPERM;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	c->securebits = (uint32_t)bits;
	lx_cred_commit(self, c);
	return 0;
}

long lx_cred_prctl(struct lx_task *self, int option, uint64_t arg2, uint64_t arg3)
{
	struct lx_cred *c;

	switch (option) {
	case PR_CAPBSET_READ:
		return arg2 > CAP_LAST_CAP ? -EINVAL : (long)(self->cred->cap_bounding >> arg2 & 1);
	case PR_CAPBSET_DROP:
		if (!lx_capable(self, CAP_SETPCAP))
			return -EPERM;
		if (arg2 > CAP_LAST_CAP)
			return -EINVAL;
		c = lx_cred_copy(self->cred);
		if (!c)
			return -ENOMEM;
		c->cap_bounding &= ~(1ull << arg2);
		lx_cred_commit(self, c);
		return 0;
	case PR_GET_SECUREBITS:
		return self->cred->securebits;
	case PR_SET_SECUREBITS:
		return set_securebits(self, arg2);
	case PR_GET_KEEPCAPS:
		return !!(self->cred->securebits & SECBIT_KEEP_CAPS);
	case PR_SET_KEEPCAPS:
		if (arg2 > 1)
			return -EINVAL;
		if (self->cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
			return -EPERM;
		c = lx_cred_copy(self->cred);
		if (!c)
			return -ENOMEM;
		c->securebits = (c->securebits & ~(uint32_t)SECBIT_KEEP_CAPS) |
				(arg2 ? SECBIT_KEEP_CAPS : 0);
		lx_cred_commit(self, c);
		return 0;
	case PR_CAP_AMBIENT:
		return ambient(self, arg2, arg3);
	}
	return -EINVAL;
}
