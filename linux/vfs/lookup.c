/* SPDX-License-Identifier: MIT */
/*
 * One entry of a directory: finding it, and who may make or remove it.
 *
 * A name is looked up in the dentry cache, which needs no lock of the directory.  What
 * is not there, the file system is asked for with the directory's inode locked, so that
 * a name gets one dentry however many ask at once, and that dentry is cached, negative
 * ones too.  A directory that looks after itself (lx_inode_ops.lockless: /proc) is asked
 * without the lock, and only what exists is cached: what does not may come without us.
 *
 * A dentry that its file system does not call valid any more (revalidate) is dropped
 * and looked up again.
 */
#include <linux/capability.h>

#include "vfs/vfs_priv.h"

/* Whether @d, a cached child of a directory with @dir_ops, may be used. */
static inline bool is_valid(struct lx_dentry *d, const struct lx_inode_ops *dir_ops)
{
	const struct lx_inode *child = lx_d_inode(d);
	const struct lx_inode_ops *ops = child ? child->ops : dir_ops;

	return likely(!ops->revalidate) || ops->revalidate(d);
}

/* Ask the file system for @q; the answer is not in the cache. */
static int ask(struct lx_dentry *dir, struct lx_inode *inode, const struct lx_qstr *q,
	       struct lx_dentry **out)
{
	struct lx_dentry *d = lx_dentry_alloc(dir, q);
	int err;

	if (!d)
		return -ENOMEM;
	err = inode->ops->lookup(inode, d);
	if (err)
		lx_dentry_put(d);
	else
		*out = d;
	return err;
}

/* The child that the file system has; dir's inode locked. */
int lx_lookup_locked(struct lx_dentry *dir, const struct lx_qstr *q, struct lx_dentry **out)
{
	struct lx_inode *inode = lx_d_inode(dir);
	struct lx_dentry *d = lx_dcache_lookup(dir, q);
	int err;

	if (d) {
		if (is_valid(d, inode->ops)) {
			*out = d;
			return 0;
		}
		lx_dentry_unhash(d);
		lx_dentry_put(d);
	}
	if (inode->iflags & LX_INODE_DELETED)
		return -ENOENT;
	err = ask(dir, inode, q, out);
	if (!err)
		lx_dentry_hash(*out);
	return err;
}

/* Two that look for the same name at once get a dentry each: only one of them is found later. */
static int lookup_lockless(struct lx_dentry *dir, struct lx_inode *inode, const struct lx_qstr *q,
			   struct lx_dentry **out)
{
	int err = ask(dir, inode, q, out);

	if (!err && !lx_d_negative(*out))
		lx_dentry_hash(*out);
	return err;
}

int lx_lookup(struct lx_dentry *dir, const struct lx_qstr *q, struct lx_dentry **out)
{
	struct lx_dentry *d = lx_dcache_lookup(dir, q);
	struct lx_inode *inode = lx_d_inode(dir);
	int err;

	if (likely(d)) {
		if (likely(is_valid(d, inode->ops))) {
			*out = d;
			return 0;
		}
		if (inode->ops->lockless)
			lx_dentry_unhash(d);
		lx_dentry_put(d);
	}
	if (q->len > LX_NAME_MAX)
		return -ENAMETOOLONG;
	if (unlikely(inode->ops->lockless))
		return lookup_lockless(dir, inode, q, out);
	/* nested: an overlay looks into its layers while its own directory is locked */
	rt_mutex_lock_nested(&inode->lock);
	err = lx_lookup_locked(dir, q, out);
	rt_mutex_unlock(&inode->lock);
	return err;
}

int lx_lookup_one(struct lx_task *self, struct lx_dentry *dir, const char *name, uint32_t len,
		  struct lx_dentry **out)
{
	struct lx_qstr q = { name, len, lx_name_hash(name, len) };

	return lx_lookup(dir, &q, out);
}

/* -- rights to change directories */

int lx_may_create(struct lx_task *self, struct lx_inode *dir)
{
	if (dir->iflags & LX_INODE_DELETED)
		return -ENOENT;
	return lx_inode_permission(self, dir, LX_MAY_WRITE | LX_MAY_EXEC);
}

int lx_may_delete(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *victim, bool isdir)
{
	struct lx_inode *inode = lx_d_inode(victim);
	int err;

	if (!inode)
		return -ENOENT;
	err = lx_inode_permission(self, dir, LX_MAY_WRITE | LX_MAY_EXEC);
	if (err)
		return err;
	if (dir->iflags & LX_INODE_APPEND)
		return -EPERM;
	/* a sticky directory: only the owner of either may */
	if ((dir->mode & S_ISVTX) && self->cred->fsuid != inode->uid &&
	    self->cred->fsuid != dir->uid && !lx_capable(self, CAP_FOWNER))
		return -EPERM;
	if (inode->iflags & (LX_INODE_APPEND | LX_INODE_IMMUTABLE))
		return -EPERM;
	if (isdir) {
		if (!lx_is_dir(inode))
			return -ENOTDIR;
		if (victim->parent == victim)
			return -EBUSY;
	} else if (lx_is_dir(inode)) {
		return -EISDIR;
	}
	if (dir->iflags & LX_INODE_DELETED)
		return -ENOENT;
	return 0;
}
