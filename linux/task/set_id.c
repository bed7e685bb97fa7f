/* SPDX-License-Identifier: MIT */
/*
 * The numbers of users and groups, and the calls that change them (credentials(7)).
 *
 * A task has four numbers of each kind: real, effective, saved, and the one for files,
 * which follows the effective one wherever that is set.  Without the capability a task
 * may only move between those it has.  A change of user numbers changes capabilities too.
 */
#include "lx/cred.h"

#include <linux/capability.h>
#include <linux/securebits.h>

#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "task/task_impl.h"

#define NONE (~0u)

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
	lx_cred_commit(self, c);
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
	lx_cred_commit(self, c);
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
	lx_cred_commit(self, c);
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
	lx_cred_commit(self, c);
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
	lx_cred_commit(self, c);
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
	lx_cred_commit(self, c);
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
	lx_cred_commit(self, c);
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
	lx_cred_commit(self, c);
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
	lx_cred_commit(self, c);
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
