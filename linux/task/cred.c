/* SPDX-License-Identifier: MIT */
/*
 * Credentials, and the calls that change them.  A change makes a copy, changes it,
 * and puts it in the place of the old one under group->lock; whoever has a
 * reference to the old one keeps using that.
 */

#include "lx/cred.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/user.h"
#include "sys/sys_impl.h"

#define ALL_CAPS ((1ull << (CAP_LAST_CAP + 1)) - 1)
#define NONE (~0u)

struct lx_cred lx_init_cred = {
	.refs = 1,
	.cap_permitted = ALL_CAPS,
	.cap_effective = ALL_CAPS,
	.cap_bounding = ALL_CAPS,
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

/* The caller takes @c (a reference moves in). */
static void commit(struct lx_task *self, struct lx_cred *c)
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

/* See capabilities(7), "Effect of user ID changes on capabilities". */
static void fix_capabilities(struct lx_cred *c, const struct lx_cred *old)
{
	bool was_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
	bool is_root = c->uid == 0 || c->euid == 0 || c->suid == 0;

	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (was_root && !is_root) {
		if (!(c->securebits & SECBIT_KEEP_CAPS)) {
			c->cap_permitted = 0;
			c->cap_effective = 0;
		}
		c->cap_ambient = 0;
	}
	if (old->euid == 0 && c->euid != 0)
		c->cap_effective = 0;
	if (old->euid != 0 && c->euid == 0)
		c->cap_effective = c->cap_permitted;
}

#define FS_CAPS (1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH | \
		 1ull << CAP_FOWNER | 1ull << CAP_FSETID | 1ull << CAP_LINUX_IMMUTABLE | \
		 1ull << CAP_MKNOD | 1ull << CAP_MAC_OVERRIDE)

/* -- user numbers ------------------------------------------------------------------- */

static bool is_one_of(lx_uid_t id, lx_uid_t a, lx_uid_t b, lx_uid_t c)
{
	return id == a || id == b || id == c;
}

long lx_sys_setresuid(struct lx_task *self, unsigned int ruid, unsigned int euid, unsigned int suid)
{
	const struct lx_cred *old = self->cred;
	struct lx_cred *c;

	if (!lx_cred_capable(old, CAP_SETUID) &&
	    ((ruid != NONE && !is_one_of(ruid, old->uid, old->euid, old->suid)) ||
	     (euid != NONE && !is_one_of(euid, old->uid, old->euid, old->suid)) ||
	     (suid != NONE && !is_one_of(suid, old->uid, old->euid, old->suid))))
		return -EPERM;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	if (ruid != NONE)
		c->uid = ruid;
	if (euid != NONE)
		c->euid = euid;
	if (suid != NONE)
		c->suid = suid;
	c->fsuid = c->euid;
	fix_capabilities(c, old);
	commit(self, c);
	return 0;
}

long lx_sys_setreuid(struct lx_task *self, unsigned int ruid, unsigned int euid)
{
	const struct lx_cred *old = self->cred;
	bool can = lx_cred_capable(old, CAP_SETUID);
	struct lx_cred *c;

	if (!can && ruid != NONE && ruid != old->uid && ruid != old->euid)
		return -EPERM;
	if (!can && euid != NONE && !is_one_of(euid, old->uid, old->euid, old->suid))
		return -EPERM;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	if (ruid != NONE)
		c->uid = ruid;
	if (euid != NONE)
		c->euid = euid;
	if (ruid != NONE || (euid != NONE && euid != old->uid))
		c->suid = c->euid;
	c->fsuid = c->euid;
	fix_capabilities(c, old);
	commit(self, c);
	return 0;
}

long lx_sys_setuid(struct lx_task *self, unsigned int uid)
{
	const struct lx_cred *old = self->cred;
	bool can = lx_cred_capable(old, CAP_SETUID);
	struct lx_cred *c;

	if (uid == NONE)
		return -EINVAL;
	if (!can && uid != old->uid && uid != old->suid)
		return -EPERM;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	if (can)
		c->uid = c->suid = uid;
	c->euid = c->fsuid = uid;
	fix_capabilities(c, old);
	commit(self, c);
	return 0;
}

long lx_sys_setfsuid(struct lx_task *self, unsigned int uid)
{
	const struct lx_cred *old = self->cred;
	long before = old->fsuid;
	struct lx_cred *c;

	if (uid == NONE || uid == old->fsuid)
		return before;
	if (!is_one_of(uid, old->uid, old->euid, old->suid) && !lx_cred_capable(old, CAP_SETUID))
		return before;
	c = lx_cred_copy(old);
	if (!c)
		return before;
	c->fsuid = uid;
	if (!(c->securebits & SECBIT_NO_SETUID_FIXUP)) {
		if (before == 0 && uid != 0)
			c->cap_effective &= ~FS_CAPS;
		if (before != 0 && uid == 0)
			c->cap_effective |= c->cap_permitted & FS_CAPS;
	}
	commit(self, c);
	return before;
}

/* -- group numbers -------------------------------------------------------------------- */

long lx_sys_setresgid(struct lx_task *self, unsigned int rgid, unsigned int egid, unsigned int sgid)
{
	const struct lx_cred *old = self->cred;
	struct lx_cred *c;

	if (!lx_cred_capable(old, CAP_SETGID) &&
	    ((rgid != NONE && !is_one_of(rgid, old->gid, old->egid, old->sgid)) ||
	     (egid != NONE && !is_one_of(egid, old->gid, old->egid, old->sgid)) ||
	     (sgid != NONE && !is_one_of(sgid, old->gid, old->egid, old->sgid))))
		return -EPERM;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	if (rgid != NONE)
		c->gid = rgid;
	if (egid != NONE)
		c->egid = egid;
	if (sgid != NONE)
		c->sgid = sgid;
	c->fsgid = c->egid;
	commit(self, c);
	return 0;
}

long lx_sys_setregid(struct lx_task *self, unsigned int rgid, unsigned int egid)
{
	const struct lx_cred *old = self->cred;
	bool can = lx_cred_capable(old, CAP_SETGID);
	struct lx_cred *c;

	if (!can && rgid != NONE && rgid != old->gid && rgid != old->egid)
		return -EPERM;
	if (!can && egid != NONE && !is_one_of(egid, old->gid, old->egid, old->sgid))
		return -EPERM;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	if (rgid != NONE)
		c->gid = rgid;
	if (egid != NONE)
		c->egid = egid;
	if (rgid != NONE || (egid != NONE && egid != old->gid))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	commit(self, c);
	return 0;
}

long lx_sys_setgid(struct lx_task *self, unsigned int gid)
{
	const struct lx_cred *old = self->cred;
	bool can = lx_cred_capable(old, CAP_SETGID);
	struct lx_cred *c;

	if (gid == NONE)
		return -EINVAL;
	if (!can && gid != old->gid && gid != old->sgid)
		return -EPERM;
	c = lx_cred_copy(old);
	if (!c)
		return -ENOMEM;
	if (can)
		c->gid = c->sgid = gid;
	c->egid = c->fsgid = gid;
	commit(self, c);
	return 0;
}

long lx_sys_setfsgid(struct lx_task *self, unsigned int gid)
{
	const struct lx_cred *old = self->cred;
	long before = old->fsgid;
	struct lx_cred *c;

	if (gid == NONE || gid == old->fsgid)
		return before;
	if (!is_one_of(gid, old->gid, old->egid, old->sgid) && !lx_cred_capable(old, CAP_SETGID))
		return before;
	c = lx_cred_copy(old);
	if (!c)
		return before;
	c->fsgid = gid;
	commit(self, c);
	return before;
}

long lx_sys_getgroups(struct lx_task *self, int size, uaddr_t list)
{
	const struct lx_cred *c = self->cred;

	if (size < 0)
		return -EINVAL;
	if (size) {
		if ((uint32_t)size < c->ngroups)
			return -EINVAL;
		if (c->ngroups && lx_copy_to_user(list, c->groups, c->ngroups * sizeof(*c->groups)))
			return -EFAULT;
	}
	return c->ngroups;
}

static void sort(lx_gid_t *g, uint32_t n)
{
	uint32_t gap, i, j;

	/* Shell sort: short, in place, fast enough for 65536. */
	for (gap = n / 2; gap; gap /= 2)
		for (i = gap; i < n; i++) {
			lx_gid_t v = g[i];

			for (j = i; j >= gap && g[j - gap] > v; j -= gap)
				g[j] = g[j - gap];
			g[j] = v;
		}
}

long lx_sys_setgroups(struct lx_task *self, int size, uaddr_t list)
{
	struct lx_cred *c;
	lx_gid_t *groups = NULL;

	if (!lx_capable(self, CAP_SETGID))
		return -EPERM;
	if (size < 0 || size > 65536)
		return -EINVAL;
	if (size) {
		groups = rt_alloc((size_t)size * sizeof(*groups));
		if (!groups)
			return -ENOMEM;
		if (lx_copy_from_user(groups, list, (size_t)size * sizeof(*groups))) {
			rt_free(groups);
			return -EFAULT;
		}
		sort(groups, (uint32_t)size);
	}
	c = lx_cred_copy(self->cred);
	if (!c) {
		rt_free(groups);
		return -ENOMEM;
	}
	rt_free(c->groups);
	c->groups = groups;
	c->ngroups = (uint32_t)size;
	commit(self, c);
	return 0;
}

/* -- who am I ---------------------------------------------------------------------------- */

long lx_sys_getuid(struct lx_task *self)
{
	return self->cred->uid;
}

long lx_sys_geteuid(struct lx_task *self)
{
	return self->cred->euid;
}

long lx_sys_getgid(struct lx_task *self)
{
	return self->cred->gid;
}

long lx_sys_getegid(struct lx_task *self)
{
	return self->cred->egid;
}

static long put3(uaddr_t pa, uint32_t a, uaddr_t pb, uint32_t b, uaddr_t pc, uint32_t c)
{
	if (lx_copy_to_user(pa, &a, sizeof(a)) || lx_copy_to_user(pb, &b, sizeof(b)) ||
	    lx_copy_to_user(pc, &c, sizeof(c)))
		return -EFAULT;
	return 0;
}

long lx_sys_getresuid(struct lx_task *self, uaddr_t r, uaddr_t e, uaddr_t s)
{
	return put3(r, self->cred->uid, e, self->cred->euid, s, self->cred->suid);
}

long lx_sys_getresgid(struct lx_task *self, uaddr_t r, uaddr_t e, uaddr_t s)
{
	return put3(r, self->cred->gid, e, self->cred->egid, s, self->cred->sgid);
}

/* -- capabilities ---------------------------------------------------------------------------- */

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
	e &= ALL_CAPS;
	p &= ALL_CAPS;
	inh &= ALL_CAPS;
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
	commit(self, c);
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
	commit(self, c);
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
	commit(self, c);
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
		commit(self, c);
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
		commit(self, c);
		return 0;
	case PR_CAP_AMBIENT:
		return ambient(self, arg2, arg3);
	}
	return -EINVAL;
}
