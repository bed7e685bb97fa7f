/* SPDX-License-Identifier: MIT */
/*
 * rename.
 *
 * It locks two directories: the rename lock of the file system first if they differ
 * (the tree must stand still to see that nothing becomes its own ancestor), then both
 * directories: an ancestor before what lies below it (as rmdir locks parent, then
 * child), else in the order of addresses.  Then what is replaced, if it is a directory:
 * it is a child of the second one.  Files come last, as sys_dir.c says.
 */
#include <linux/capability.h>
#include <linux/fs.h>

#include "lx/syscall.h"
#include "vfs/target.h"

struct rename {
	struct lx_target from, to;
	struct lx_inode *odir, *ndir;
	unsigned int flags;
};

/* Everything that can be wrong with a rename; both directories locked. */
static int may_rename(struct lx_task *self, struct rename *r)
{
	struct lx_inode *src = lx_d_inode(r->from.d), *dst = lx_d_inode(r->to.d);
	bool exchange = r->flags & RENAME_EXCHANGE, isdir = lx_is_dir(src);
	int err;

	err = lx_may_delete(self, r->odir, r->from.d, isdir);
	if (err)
		return err;
	if (!dst)
		err = lx_may_create(self, r->ndir);
	else if (!exchange)
		err = lx_may_delete(self, r->ndir, r->to.d, isdir);
	else
		err = lx_may_delete(self, r->ndir, r->to.d, lx_is_dir(dst));
	if (err)
		return err;
	if (!r->odir->ops->rename)
		return -EPERM;
	/* a directory that moves gets a new "..": one must be allowed to write it */
	if (isdir && r->odir != r->ndir) {
		err = lx_inode_permission(self, src, LX_MAY_WRITE);
		if (err)
			return err;
	}
	if (exchange && lx_is_dir(dst) && r->odir != r->ndir) {
		err = lx_inode_permission(self, dst, LX_MAY_WRITE);
		if (err)
			return err;
	}
	if (lx_d_flags(r->from.d) & LX_DENTRY_MOUNTED)
		return -EBUSY;
	if (dst && (lx_d_flags(r->to.d) & LX_DENTRY_MOUNTED))
		return -EBUSY;
	return 0;
}

/* What is renamed and what is there, unless they are directories. */
static void lock_files(struct lx_inode *src, struct lx_inode *dst)
{
	lx_lock_two(lx_is_dir(src) ? NULL : src, !dst || lx_is_dir(dst) ? NULL : dst);
}

static void unlock_files(struct lx_inode *src, struct lx_inode *dst)
{
	lx_unlock_two(lx_is_dir(src) ? NULL : src, !dst || lx_is_dir(dst) ? NULL : dst);
}

int lx_rename_locked(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir, struct lx_dentry *nd,
		     unsigned int flags)
{
	struct lx_inode *src = lx_d_inode(od), *dst = lx_d_inode(nd);
	bool exchange = flags & RENAME_EXCHANGE, replaced = dst && !exchange && lx_is_dir(dst);
	int err;

	/* a directory that is replaced: nothing may be made in it meanwhile */
	if (replaced)
		rt_mutex_lock_nested(&dst->lock);
	lock_files(src, dst);
	err = odir->ops->rename(odir, od, ndir, nd, flags);
	unlock_files(src, dst);
	if (replaced) {
		if (!err)
			dst->iflags |= LX_INODE_DELETED;
		rt_mutex_unlock(&dst->lock);
	}
	if (err)
		return err;
	if (exchange) {
		lx_dentry_exchange(od, nd);
		return 0;
	}
	if (dst)
		atomic_fetch_or(&nd->dflags, LX_DENTRY_UNLINKED);
	if (replaced)
		lx_dcache_drop_children(nd);
	lx_dentry_move(od, nd);
	return 0;
}

static int rename_locked(struct lx_task *self, struct rename *r)
{
	struct lx_dentry *od = r->from.d, *nd = r->to.d;
	struct lx_inode *src = lx_d_inode(od), *dst = lx_d_inode(nd);
	bool exchange = r->flags & RENAME_EXCHANGE;
	int err;

	if (!src)
		return -ENOENT;
	if ((r->flags & RENAME_NOREPLACE) && dst)
		return -EEXIST;
	if (exchange && !dst)
		return -ENOENT;
	if (exchange && r->to.parent.trailing_slash && !lx_is_dir(dst))
		return -ENOTDIR;
	if (!lx_is_dir(src)) {
		if (r->from.parent.trailing_slash)
			return -ENOTDIR;
		if (!exchange && r->to.parent.trailing_slash)
			return -ENOTDIR;
	}
	if (r->odir != r->ndir) {
		/* a directory must not become its own descendant */
		if (lx_dentry_is_ancestor(od, r->to.parent.dir.dentry))
			return -EINVAL;
		if (lx_dentry_is_ancestor(nd, r->from.parent.dir.dentry))
			return exchange ? -EINVAL : -ENOTEMPTY;
	}
	err = lx_want_write(&r->from.parent.dir);
	if (err)
		return err;
	if (src == dst)
		return 0;		/* two names of one file: nothing happens */
	err = may_rename(self, r);
	if (err)
		return err;
	return lx_rename_locked(r->odir, od, r->ndir, nd, r->flags);
}

static void lock_dirs(struct rename *r)
{
	struct lx_dentry *a = r->from.parent.dir.dentry, *b = r->to.parent.dir.dentry;

	if (r->odir == r->ndir) {
		rt_mutex_lock(&r->odir->lock);
	} else if (lx_dentry_is_ancestor(a, b)) {
		rt_mutex_lock(&r->odir->lock);
		rt_mutex_lock_nested(&r->ndir->lock);
	} else if (lx_dentry_is_ancestor(b, a)) {
		rt_mutex_lock(&r->ndir->lock);
		rt_mutex_lock_nested(&r->odir->lock);
	} else {
		lx_lock_two(r->odir, r->ndir);
	}
}

static long do_rename(struct lx_task *self, int odfd, uaddr_t oname, int ndfd, uaddr_t nname,
		      unsigned int flags)
{
	char oldname[LX_NAME_MAX + 1] = "";
	struct lx_inode *victim = NULL;
	struct lx_super *sb;
	struct rename r = { .flags = flags };
	int err;

	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	if ((flags & RENAME_WHITEOUT) && !lx_capable(self, CAP_MKNOD))
		return -EPERM;
	err = lx_target_find(self, odfd, oname, &r.from);
	if (err)
		return err;
	err = lx_target_find(self, ndfd, nname, &r.to);
	if (err)
		goto put_from;
	err = -EXDEV;
	if (r.from.parent.dir.mnt != r.to.parent.dir.mnt)
		goto put_to;
	err = -EBUSY;
	if (r.from.parent.type != LX_LAST_NORM)
		goto put_to;
	if (r.to.parent.type != LX_LAST_NORM) {
		err = flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
		goto put_to;
	}

	if (lx_d_inode(r.from.parent.dir.dentry)->ops->lockless) {
		err = -EPERM;
		goto put_to;
	}
	sb = r.from.parent.dir.dentry->sb;
	r.odir = lx_d_inode(r.from.parent.dir.dentry);
	r.ndir = lx_d_inode(r.to.parent.dir.dentry);
	if (r.odir != r.ndir)
		rt_mutex_lock(&sb->rename_lock);
	lock_dirs(&r);
	err = lx_lookup_locked(r.from.parent.dir.dentry, &r.from.parent.last, &r.from.d);
	if (err)
		goto unlock;
	err = lx_lookup_locked(r.to.parent.dir.dentry, &r.to.parent.last, &r.to.d);
	if (err)
		goto put_d;
	if (!lx_d_negative(r.to.d))
		victim = lx_inode_get(lx_d_inode(r.to.d));
	lx_dentry_name(r.from.d, oldname);
	err = rename_locked(self, &r);
	if (!err)
		lx_notify_move(r.odir, r.ndir, oldname, r.from.d,
			       flags & RENAME_EXCHANGE ? NULL : victim);
	lx_dentry_put(r.to.d);
put_d:
	lx_dentry_put(r.from.d);
unlock:
	lx_unlock_two(r.odir, r.ndir);
	if (r.odir != r.ndir)
		rt_mutex_unlock(&sb->rename_lock);
put_to:
	lx_target_put(&r.to);
put_from:
	lx_target_put(&r.from);
	if (victim)
		lx_inode_put(victim);
	return err;
}

long lx_sys_rename(struct lx_task *self, uaddr_t oname, uaddr_t nname)
{
	return do_rename(self, AT_FDCWD, oname, AT_FDCWD, nname, 0);
}

long lx_sys_renameat(struct lx_task *self, int odfd, uaddr_t oname, int ndfd, uaddr_t nname)
{
	return do_rename(self, odfd, oname, ndfd, nname, 0);
}

long lx_sys_renameat2(struct lx_task *self, int odfd, uaddr_t oname, int ndfd, uaddr_t nname,
		      unsigned int flags)
{
	return do_rename(self, odfd, oname, ndfd, nname, flags);
}
