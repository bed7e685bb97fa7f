/* SPDX-License-Identifier: MIT */
/*
 * Access control lists of inodes: kept, asked for, set, inherited.
 *
 * The slots are read without the inode's lock, by whoever walks through a directory: one lock for all
 * inodes covers the moment between finding a list there and having a reference to it.  It
 * is taken only where there is a list.
 */
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/xattr.h>

#include "lx/acl.h"
#include "vfs/vfs_priv.h"

static struct rt_mutex slots = RT_MUTEX_INIT(LX_LOCK_LEAF);

/* The inode whose lists those of @inode are (overlay). */
static struct lx_inode *origin(struct lx_inode *inode)
{
	while (inode->ops && inode->ops->acl_of)
		inode = inode->ops->acl_of(inode);
	return inode;
}

static _Atomic(struct lx_acl *) *slot_of(struct lx_inode *inode, bool def)
{
	return def ? &inode->default_acl : &inode->acl;
}

bool lx_acl_is_name(const char *name, bool *def)
{
	*def = str_equal(name, XATTR_NAME_POSIX_ACL_DEFAULT);
	return *def || str_equal(name, XATTR_NAME_POSIX_ACL_ACCESS);
}

/* -- the slots */

/* A reference to what the slot has, NULL, or LX_ACL_ASK. */
static struct lx_acl *look(_Atomic(struct lx_acl *) *slot)
{
	struct lx_acl *acl;

	rt_mutex_lock(&slots);
	acl = atomic_load_explicit(slot, memory_order_relaxed);
	if (acl && acl != LX_ACL_ASK)
		lx_acl_get(acl);
	rt_mutex_unlock(&slots);
	return acl;
}

/* Put @acl (its reference moves in) into the slot, @only_asked: if that says LX_ACL_ASK.  What is not there then goes. */
static void put_in(_Atomic(struct lx_acl *) *slot, struct lx_acl *acl, bool only_asked)
{
	struct lx_acl *old = acl;

	rt_mutex_lock(&slots);
	if (!only_asked || atomic_load_explicit(slot, memory_order_relaxed) == LX_ACL_ASK)
		/* release: pairs with the acquire in lx_inode_acl() */
		old = atomic_exchange_explicit(slot, acl, memory_order_release);
	rt_mutex_unlock(&slots);
	lx_acl_put(old);
}

int lx_inode_acl(struct lx_inode *inode, bool def, struct lx_acl **out)
{
	_Atomic(struct lx_acl *) *slot;
	struct lx_acl *acl;
	int err;

	inode = origin(inode);
	slot = slot_of(inode, def);
	*out = NULL;
	if (likely(!atomic_load_explicit(slot, memory_order_acquire)))
		return 0;
	acl = look(slot);
	if (acl != LX_ACL_ASK) {
		*out = acl;
		return 0;
	}
	err = inode->ops->get_acl(inode, def, &acl);
	if (err)
		return err;
	if (acl)
		*out = lx_acl_get(acl);
	/* who has set another one meanwhile has put that there */
	put_in(slot, acl, true);
	return 0;
}

void lx_inode_acl_set(struct lx_inode *inode, bool def, struct lx_acl *acl)
{
	put_in(slot_of(inode, def), acl, false);
}

void lx_inode_acl_drop(struct lx_inode *inode)
{
	lx_acl_put(atomic_load(&inode->acl));
	lx_acl_put(atomic_load(&inode->default_acl));
}

/* -- permission */

bool lx_inode_acl_counts(const struct lx_inode *inode)
{
	return atomic_load_explicit(&((struct lx_inode *)inode)->acl, memory_order_relaxed);
}

int lx_inode_acl_permits(const struct lx_cred *cred, struct lx_inode *inode, int mask)
{
	struct lx_acl *acl;
	int err = lx_inode_acl(inode, false, &acl);

	if (err)
		return err;
	if (!acl)
		return -EAGAIN;
	err = lx_acl_permits(acl, cred, inode->uid, inode->gid, mask);
	lx_acl_put(acl);
	return err;
}

/* -- making files */

static bool has_default(struct lx_inode *dir)
{
	struct lx_acl *acl;
	/* who cannot be asked now fails when the file is made */
	bool has = lx_inode_acl(dir, true, &acl) || acl;

	lx_acl_put(acl);
	return has;
}

lx_mode_t lx_create_mode(struct lx_task *self, struct lx_inode *dir, lx_mode_t mode)
{
	return has_default(dir) ? mode : mode & ~self->fs->umask;
}

int lx_acl_inherit(struct lx_inode *dir, lx_mode_t *mode, struct lx_acl **acl, struct lx_acl **def)
{
	struct lx_acl *from, *copy;
	int ret;

	*acl = *def = NULL;
	if ((*mode & S_IFMT) == S_IFLNK)
		return 0;
	ret = lx_inode_acl(dir, true, &from);
	if (ret || !from)
		return ret;
	copy = lx_acl_clone(from);
	ret = copy ? lx_acl_create(copy, mode) : -ENOMEM;
	if (ret > 0)
		*acl = copy;
	else
		lx_acl_put(copy);
	if (ret >= 0 && (*mode & S_IFMT) == S_IFDIR)
		*def = from;
	else
		lx_acl_put(from);
	return MIN(ret, 0);
}

/* -- changing */

int lx_inode_acl_chmod(struct lx_inode *inode)
{
	struct lx_acl *acl, *copy;
	int err = lx_inode_acl(inode, false, &acl);

	if (err || !acl)
		return err;
	copy = lx_acl_clone(acl);
	lx_acl_put(acl);
	err = copy ? lx_acl_from_mode(copy, inode->mode) : -ENOMEM;
	if (!err)
		err = inode->ops->set_acl(inode, false, copy, inode->mode);
	lx_acl_put(copy);
	return err;
}

/* By somebody who may.  Inode locked. */
static int set_locked(struct lx_task *self, struct lx_inode *inode, bool def, struct lx_acl *acl)
{
	lx_mode_t mode = inode->mode;

	if (!def && acl) {
		if (!lx_acl_to_mode(acl, &mode))
			acl = NULL;
		if (!lx_cred_in_group(self->cred, inode->gid) && !lx_capable(self, CAP_FSETID))
			mode &= ~(lx_mode_t)S_ISGID;
	}
	return inode->ops->set_acl(inode, def, acl, mode);
}

int lx_inode_acl_set_value(struct lx_task *self, struct lx_inode *inode, bool def, const void *value,
			   size_t size)
{
	struct lx_acl *acl = NULL;
	int err = 0;

	if (!inode->ops || !inode->ops->set_acl)
		return -EOPNOTSUPP;
	if (value)
		err = lx_acl_from_value(value, size, &acl);
	if (err)
		return err;
	if (def && !lx_is_dir(inode)) {
		err = acl ? -EACCES : 0;
		goto out;
	}
	rt_mutex_lock(&inode->lock);
	if (!lx_inode_owner_or_capable(self, inode))
		err = -EPERM;
	if (!err && acl)
		err = lx_acl_check(acl);
	if (!err)
		err = set_locked(self, inode, def, acl);
	rt_mutex_unlock(&inode->lock);
out:
	lx_acl_put(acl);
	return err;
}

long lx_inode_acl_get_value(struct lx_inode *inode, bool def, void *buf, size_t size)
{
	const struct lx_inode_ops *ops = origin(inode)->ops;
	struct lx_acl *acl;
	long ret;

	/* links of an overlay have none, whatever their origin is */
	if (!ops || (!ops->set_acl && !ops->get_acl) || lx_is_lnk(inode))
		return -EOPNOTSUPP;
	ret = lx_inode_acl(inode, def, &acl);
	if (ret)
		return ret;
	if (!acl)
		return -ENODATA;
	ret = (long)lx_acl_value_size(acl);
	if (size && size < (size_t)ret)
		ret = -ERANGE;
	else if (size)
		lx_acl_to_value(acl, buf);
	lx_acl_put(acl);
	return ret;
}

int lx_inode_acl_copy(struct lx_inode *from, struct lx_inode *to)
{
	int err = 0;

	for (int def = 0; !err && def < 2; def++) {
		struct lx_acl *acl;

		err = lx_inode_acl(from, def, &acl);
		if (!err && acl)
			err = to->ops->set_acl ? to->ops->set_acl(to, def, acl, to->mode) : -EOPNOTSUPP;
		lx_acl_put(acl);
	}
	return err;
}
