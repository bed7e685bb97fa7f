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

/* The same for the number for files alone, which was @before. */
static void fix_fs_capabilities(struct lx_cred *c, lx_uid_t before)
{
	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (before == 0 && c->fsuid != 0)
		c->cap_effective &= ~FS_CAPS;
	if (before != 0 && c->fsuid == 0)
		c->cap_effective |= c->cap_permitted & FS_CAPS;
}

/* -- the four numbers of a kind ------------------------------------------------------- */

enum id_kind { USER, GROUP };

struct ids {
	uint32_t real, effective, saved, fs;
};

static struct ids ids_get(const struct lx_cred *c, enum id_kind kind)
{
	return kind == USER ? (struct ids){ c->uid, c->euid, c->suid, c->fsuid }
			    : (struct ids){ c->gid, c->egid, c->sgid, c->fsgid };
}

static void ids_put(struct lx_cred *c, enum id_kind kind, const struct ids *id)
{
	if (kind == USER) {
		c->uid = id->real;
		c->euid = id->effective;
		c->suid = id->saved;
		c->fsuid = id->fs;
	} else {
		c->gid = id->real;
		c->egid = id->effective;
		c->sgid = id->saved;
		c->fsgid = id->fs;
	}
}

static bool may_set_any(const struct lx_cred *c, enum id_kind kind)
{
	return lx_cred_capable(c, kind == USER ? CAP_SETUID : CAP_SETGID);
}

/* Whether @v, as an argument of a call, changes nothing or is one that the task has. */
static bool is_kept(uint32_t v, const struct ids *id)
{
	return v == NONE || v == id->real || v == id->effective || v == id->saved;
}

static void set_unless_none(uint32_t *id, uint32_t v)
{
	if (v != NONE)
		*id = v;
}

/* The caller gets the numbers @id, and what that means for its capabilities. */
static long change(struct lx_task *self, enum id_kind kind, const struct ids *id)
{
	const struct lx_cred *old = self->cred;
	struct lx_cred *c = lx_cred_copy(old);

	if (!c)
		return -ENOMEM;
	ids_put(c, kind, id);
	if (kind == USER)
		fix_capabilities(c, old);
	lx_cred_commit(self, c);
	return 0;
}

/* -- the calls, once for both kinds --------------------------------------------------- */

static long set_res(struct lx_task *self, enum id_kind kind, uint32_t real, uint32_t effective,
		    uint32_t saved)
{
	struct ids id = ids_get(self->cred, kind);

	if (!may_set_any(self->cred, kind) &&
	    !(is_kept(real, &id) && is_kept(effective, &id) && is_kept(saved, &id)))
		return -EPERM;
	set_unless_none(&id.real, real);
	set_unless_none(&id.effective, effective);
	set_unless_none(&id.saved, saved);
	id.fs = id.effective;
	return change(self, kind, &id);
}

static long set_re(struct lx_task *self, enum id_kind kind, uint32_t real, uint32_t effective)
{
	const struct ids old = ids_get(self->cred, kind);
	bool can = may_set_any(self->cred, kind);
	struct ids id = old;

	/* the saved one cannot become the real one */
	if (!can && real != NONE && real != old.real && real != old.effective)
		return -EPERM;
	if (!can && !is_kept(effective, &old))
		return -EPERM;
	set_unless_none(&id.real, real);
	set_unless_none(&id.effective, effective);
	if (real != NONE || (effective != NONE && effective != old.real))
		id.saved = id.effective;
	id.fs = id.effective;
	return change(self, kind, &id);
}

static long set_one(struct lx_task *self, enum id_kind kind, uint32_t v)
{
	struct ids id = ids_get(self->cred, kind);
	bool can = may_set_any(self->cred, kind);

	if (v == NONE)
		return -EINVAL;
	if (!can && v != id.real && v != id.saved)
		return -EPERM;
	if (can)
		id.real = id.saved = v;
	id.effective = id.fs = v;
	return change(self, kind, &id);
}

/* Returns what was there before, whether or not it was changed. */
static long set_fs(struct lx_task *self, enum id_kind kind, uint32_t v)
{
	struct ids id = ids_get(self->cred, kind);
	uint32_t before = id.fs;
	struct lx_cred *c;

	if (v == NONE || v == before)
		return before;
	if (!is_kept(v, &id) && !may_set_any(self->cred, kind))
		return before;
	c = lx_cred_copy(self->cred);
	if (!c)
		return before;
	id.fs = v;
	ids_put(c, kind, &id);
	if (kind == USER)
		fix_fs_capabilities(c, before);
	lx_cred_commit(self, c);
	return before;
}

long lx_sys_setresuid(struct lx_task *self, unsigned int ruid, unsigned int euid, unsigned int suid)
{
	return set_res(self, USER, ruid, euid, suid);
}

long lx_sys_setreuid(struct lx_task *self, unsigned int ruid, unsigned int euid)
{
	return set_re(self, USER, ruid, euid);
}

long lx_sys_setuid(struct lx_task *self, unsigned int uid)
{
	return set_one(self, USER, uid);
}

long lx_sys_setfsuid(struct lx_task *self, unsigned int uid)
{
	return set_fs(self, USER, uid);
}

long lx_sys_setresgid(struct lx_task *self, unsigned int rgid, unsigned int egid, unsigned int sgid)
{
	return set_res(self, GROUP, rgid, egid, sgid);
}

long lx_sys_setregid(struct lx_task *self, unsigned int rgid, unsigned int egid)
{
	return set_re(self, GROUP, rgid, egid);
}

long lx_sys_setgid(struct lx_task *self, unsigned int gid)
{
	return set_one(self, GROUP, gid);
}

long lx_sys_setfsgid(struct lx_task *self, unsigned int gid)
{
	return set_fs(self, GROUP, gid);
}

/* -- supplementary groups -------------------------------------------------------------- */

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
