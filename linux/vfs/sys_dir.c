/* SPDX-License-Identifier: MIT */
/*
 * Changing directories: mkdir, mknod, link, symlink, unlink, rmdir, rename; and
 * reading them.
 *
 * Each change resolves the directory, locks it, looks the last name up, checks,
 * and asks the file system.  rename locks two directories: the rename lock of the
 * file system first if they differ (the tree must stand still to see that nothing
 * becomes its own ancestor), then both directories: an ancestor before what lies
 * below it (as rmdir locks parent, then child), else in the order of addresses.
 * Then what is replaced, if it is a directory: it is a child of the second one.
 *
 * Files whose count of links changes are locked after all directories, two of them in
 * the order of addresses: names of one file come and go in several directories at the
 * same time.  Who has locked a file locks no directory.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/inotify.h>

#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

/* The parent of what @name names, locked, and the entry there (maybe negative). */
struct target {
	struct lx_name name;
	struct lx_parent parent;
	struct lx_inode *dir;
	struct lx_dentry *d;
};

static int find_parent(struct lx_task *self, int dfd, uaddr_t user, struct target *t)
{
	int err = lx_name_copy(&t->name, user, false);

	if (err)
		return err;
	err = lx_path_parent(self, dfd, t->name.s, 0, &t->parent);
	if (err)
		lx_name_done(&t->name);
	return err;
}

static void put_parent(struct target *t)
{
	lx_parent_put(&t->parent);
	lx_name_done(&t->name);
}

static int lock_entry(struct lx_task *self, struct target *t, bool making)
{
	int err;

	t->dir = lx_d_inode(t->parent.dir.dentry);
	if (t->dir->ops->lockless) {
		/* nothing can be made or removed; what is said depends on whether it is there */
		err = lx_lookup_one(self, t->parent.dir.dentry, t->parent.last.name,
				    t->parent.last.len, &t->d);
		if (err)
			return err;
		if (lx_d_negative(t->d))
			err = -ENOENT;
		else
			err = making ? -EEXIST : -EPERM;
		lx_dentry_put(t->d);
		return err;
	}
	rt_mutex_lock(&t->dir->lock);
	err = lx_lookup_locked(t->parent.dir.dentry, &t->parent.last, &t->d);
	if (err)
		rt_mutex_unlock(&t->dir->lock);
	return err;
}

static void unlock_entry(struct target *t)
{
	rt_mutex_unlock(&t->dir->lock);
	lx_dentry_put(t->d);
}

/* -- making */

/* Ready to create: the entry is negative, the directory locked and writable. */
static int begin_create(struct lx_task *self, int dfd, uaddr_t user, bool is_dir, struct target *t)
{
	int err = find_parent(self, dfd, user, t);

	if (err)
		return err;
	if (t->parent.type != LX_LAST_NORM) {
		err = -EEXIST;
		goto put;
	}
	err = lock_entry(self, t, true);
	if (err)
		goto put;
	if (!lx_d_negative(t->d))
		err = -EEXIST;
	else if (t->parent.trailing_slash && !is_dir)
		err = -ENOENT;
	else
		err = lx_want_write(&t->parent.dir);
	if (!err)
		err = lx_may_create(self, t->dir);
	if (!err)
		return 0;
	unlock_entry(t);
put:
	put_parent(t);
	return err;
}

static void end_create(struct target *t, int err, uint32_t event)
{
	if (!err)
		lx_notify(t->dir, t->d, event);
	unlock_entry(t);
	put_parent(t);
}

int lx_vfs_mkdir(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return dir->ops->mkdir ? dir->ops->mkdir(dir, d, mode) : -EPERM;
}

long lx_sys_mkdirat(struct lx_task *self, int dfd, uaddr_t name, lx_mode_t mode)
{
	struct target t;
	int err = begin_create(self, dfd, name, true, &t);

	if (err)
		return err;
	err = lx_vfs_mkdir(self, t.dir, t.d,
			   (mode & (0777 | S_ISVTX) & ~self->fs->umask) | S_IFDIR);
	end_create(&t, err, IN_CREATE | IN_ISDIR);
	return err;
}

long lx_sys_mkdir(struct lx_task *self, uaddr_t name, lx_mode_t mode)
{
	return lx_sys_mkdirat(self, AT_FDCWD, name, mode);
}

int lx_vfs_mknod(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode,
		 lx_dev_t dev)
{
	lx_mode_t type = mode & S_IFMT;

	if ((type == S_IFBLK || (type == S_IFCHR && dev)) && !lx_capable(self, CAP_MKNOD))
		return -EPERM;
	if (type == S_IFREG)
		return dir->ops->create ? dir->ops->create(dir, d, mode) : -EPERM;
	return dir->ops->mknod ? dir->ops->mknod(dir, d, mode, dev) : -EPERM;
}

static lx_dev_t decode_dev(unsigned int dev)
{
	return LX_MKDEV((dev & 0xfff00) >> 8, (dev & 0xff) | ((dev >> 12) & 0xfff00));
}

long lx_sys_mknodat(struct lx_task *self, int dfd, uaddr_t name, lx_mode_t mode, unsigned int dev)
{
	struct target t;
	int err;

	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	err = begin_create(self, dfd, name, false, &t);
	if (err)
		return err;
	mode = (mode & S_IFMT) | (mode & 07777 & ~self->fs->umask);
	err = lx_vfs_mknod(self, t.dir, t.d, mode,
			   (mode & S_IFMT) == S_IFCHR || (mode & S_IFMT) == S_IFBLK
				   ? decode_dev(dev) : 0);
	end_create(&t, err, IN_CREATE);
	return err;
}

long lx_sys_mknod(struct lx_task *self, uaddr_t name, lx_mode_t mode, unsigned int dev)
{
	return lx_sys_mknodat(self, AT_FDCWD, name, mode, dev);
}

/* For ourselves: the entry that @path names, with its directory locked, to be made. */
static int begin_own(struct lx_task *self, const char *path, struct target *t)
{
	int err = lx_path_parent(self, AT_FDCWD, path, 0, &t->parent);

	if (err)
		return err;
	err = t->parent.type == LX_LAST_NORM ? lock_entry(self, t, true) : -EEXIST;
	if (err)
		lx_parent_put(&t->parent);
	return err;
}

static void end_own(struct target *t)
{
	unlock_entry(t);
	lx_parent_put(&t->parent);
}

/* A node made by bind(2): the socket layer knows the name as a string of ours. */
int lx_mknod_path(struct lx_task *self, const char *path, lx_mode_t mode, struct lx_path *out)
{
	struct target t = { 0 };
	int err = begin_own(self, path, &t);

	if (err)
		return err;
	if (!lx_d_negative(t.d))
		err = -EEXIST;
	else
		err = lx_want_write(&t.parent.dir);
	if (!err)
		err = lx_may_create(self, t.dir);
	if (!err)
		err = lx_vfs_mknod(self, t.dir, t.d, (mode & S_IFMT) |
				   (mode & 07777 & ~self->fs->umask), 0);
	if (!err) {
		lx_notify(t.dir, t.d, IN_CREATE);
		out->mnt = lx_mount_get(t.parent.dir.mnt);
		out->dentry = lx_dentry_get(t.d);
	}
	end_own(&t);
	return err;
}

long lx_sys_symlinkat(struct lx_task *self, uaddr_t target, int dfd, uaddr_t name)
{
	struct lx_name text;
	struct target t;
	int err = lx_name_copy(&text, target, false);

	if (err)
		return err;
	err = begin_create(self, dfd, name, false, &t);
	if (!err) {
		err = t.dir->ops->symlink ? t.dir->ops->symlink(t.dir, t.d, text.s) : -EPERM;
		end_create(&t, err, IN_CREATE);
	}
	lx_name_done(&text);
	return err;
}

long lx_sys_symlink(struct lx_task *self, uaddr_t target, uaddr_t name)
{
	return lx_sys_symlinkat(self, target, AT_FDCWD, name);
}

int lx_vfs_link(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(old);
	int err;

	rt_mutex_lock_nested(&inode->lock);
	/* a removed file stays so; what was made by O_TMPFILE may get its first name */
	if (!atomic_load(&inode->nlink) && !inode->linkable)
		err = -ENOENT;
	else
		err = dir->ops->link(old, dir, d);
	if (!err)
		inode->linkable = false;
	rt_mutex_unlock(&inode->lock);
	return err;
}

long lx_sys_linkat(struct lx_task *self, int odfd, uaddr_t oname, int ndfd, uaddr_t nname,
		   unsigned int flags)
{
	struct lx_path old;
	struct lx_inode *inode;
	struct target t;
	int err;

	if (flags & ~(unsigned int)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && !lx_capable(self, CAP_DAC_READ_SEARCH))
		return -ENOENT;
	err = lx_path_at_user(self, odfd, oname,
			      (flags & AT_SYMLINK_FOLLOW ? LX_LOOKUP_FOLLOW : 0) |
			      (flags & AT_EMPTY_PATH ? LX_LOOKUP_EMPTY : 0), &old);
	if (err)
		return err;
	inode = lx_d_inode(old.dentry);
	err = begin_create(self, ndfd, nname, false, &t);
	if (err)
		goto put_old;
	/* one mount, not only one file system: as Linux */
	if (old.mnt != t.parent.dir.mnt || inode->sb != t.dir->sb)
		err = -EXDEV;
	else if (lx_is_dir(inode) || (inode->iflags & (LX_INODE_APPEND | LX_INODE_IMMUTABLE)))
		err = -EPERM;
	else if (!t.dir->ops->link)
		err = -EPERM;
	else
		err = lx_vfs_link(old.dentry, t.dir, t.d);
	end_create(&t, err, IN_CREATE);
	if (!err)
		lx_notify(inode, old.dentry, IN_ATTRIB);
put_old:
	lx_path_put(&old);
	return err;
}

long lx_sys_link(struct lx_task *self, uaddr_t oname, uaddr_t nname)
{
	return lx_sys_linkat(self, AT_FDCWD, oname, AT_FDCWD, nname, 0);
}

/* -- removing */

int lx_unlink_locked(struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(d);
	int err;

	rt_mutex_lock_nested(&inode->lock);
	err = dir->ops->unlink(dir, d);
	rt_mutex_unlock(&inode->lock);
	if (!err) {
		atomic_fetch_or(&d->dflags, LX_DENTRY_UNLINKED);
		lx_dentry_unhash(d);
	}
	return err;
}

int lx_vfs_unlink(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d)
{
	int err = lx_may_delete(self, dir, d, false);

	if (err)
		return err;
	if (!dir->ops->unlink)
		return -EPERM;
	if (lx_d_flags(d) & LX_DENTRY_MOUNTED)
		return -EBUSY;
	return lx_unlink_locked(dir, d);
}

int lx_vfs_rmdir(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(d);
	int err = lx_may_delete(self, dir, d, true);

	if (err)
		return err;
	if (!dir->ops->rmdir)
		return -EPERM;
	if (lx_d_flags(d) & LX_DENTRY_MOUNTED)
		return -EBUSY;
	/* parent, then child: nothing can be made in it any more */
	rt_mutex_lock_nested(&inode->lock);
	err = dir->ops->rmdir(dir, d);
	if (!err)
		inode->iflags |= LX_INODE_DELETED;
	rt_mutex_unlock(&inode->lock);
	if (!err) {
		atomic_fetch_or(&d->dflags, LX_DENTRY_UNLINKED);
		lx_dentry_unhash(d);
		lx_dcache_drop_children(d);
	}
	return err;
}

static long do_rmdir(struct lx_task *self, int dfd, uaddr_t name)
{
	struct target t;
	int err = find_parent(self, dfd, name, &t);

	if (err)
		return err;
	switch (t.parent.type) {
	case LX_LAST_DOTDOT:
		err = -ENOTEMPTY;
		break;
	case LX_LAST_DOT:
		err = -EINVAL;
		break;
	case LX_LAST_ROOT:
		err = -EBUSY;
		break;
	case LX_LAST_NORM:
		err = lock_entry(self, &t, false);
		if (err)
			break;
		err = lx_d_negative(t.d) ? -ENOENT : lx_want_write(&t.parent.dir);
		if (!err)
			err = lx_vfs_rmdir(self, t.dir, t.d);
		if (!err)
			lx_notify(t.dir, t.d, IN_DELETE | IN_ISDIR);
		unlock_entry(&t);
		break;
	}
	put_parent(&t);
	return err;
}

static long do_unlink(struct lx_task *self, int dfd, uaddr_t name)
{
	struct lx_inode *inode = NULL;
	struct target t;
	int err = find_parent(self, dfd, name, &t);

	if (err)
		return err;
	if (t.parent.type != LX_LAST_NORM) {
		put_parent(&t);
		return -EISDIR;
	}
	err = lock_entry(self, &t, false);
	if (!err) {
		if (lx_d_negative(t.d)) {
			err = -ENOENT;
		} else if (t.parent.trailing_slash) {
			err = lx_is_dir(lx_d_inode(t.d)) ? -EISDIR : -ENOTDIR;
		} else {
			err = lx_want_write(&t.parent.dir);
			inode = lx_inode_get(lx_d_inode(t.d));
			if (!err)
				err = lx_vfs_unlink(self, t.dir, t.d);
			if (!err) {
				lx_notify(inode, NULL, IN_ATTRIB);
				lx_notify(t.dir, t.d, IN_DELETE);
			}
		}
		unlock_entry(&t);
	}
	put_parent(&t);
	/* the last reference may free a large file: not under the directory's lock */
	if (inode)
		lx_inode_put(inode);
	return err;
}

long lx_sys_rmdir(struct lx_task *self, uaddr_t name)
{
	return do_rmdir(self, AT_FDCWD, name);
}

long lx_sys_unlink(struct lx_task *self, uaddr_t name)
{
	return do_unlink(self, AT_FDCWD, name);
}

long lx_sys_unlinkat(struct lx_task *self, int dfd, uaddr_t name, unsigned int flags)
{
	if (flags & ~(unsigned int)AT_REMOVEDIR)
		return -EINVAL;
	return flags & AT_REMOVEDIR ? do_rmdir(self, dfd, name) : do_unlink(self, dfd, name);
}

/* -- rename */

struct rename {
	struct target from, to;
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
	err = find_parent(self, odfd, oname, &r.from);
	if (err)
		return err;
	err = find_parent(self, ndfd, nname, &r.to);
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
	put_parent(&r.to);
put_from:
	put_parent(&r.from);
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

/* -- listing */

/*
 * Entries are gathered in a buffer of ours while the directory is locked, and
 * copied out after: the program's memory may need a file to be read.
 */
struct gather {
	struct lx_dir_emit emit;
	char *buf;
	size_t size, used, last;	/* last: offset of the last entry */
	bool old;			/* struct linux_dirent of getdents(2) */
	bool too_small;
};

#define HEADER (8 + 8 + 2)		/* d_ino, d_off, d_reclen */
#define GATHER_MAX 32768u

static bool gather_one(struct lx_dir_emit *e, const char *name, size_t len, uint64_t ino,
		       unsigned int type)
{
	struct gather *g = container_of(e, struct gather, emit);
	/* getdents64 has d_type before the name, getdents after it */
	size_t n = ALIGN_UP(HEADER + len + 2, 8);
	char *p = g->buf + g->used;
	uint16_t reclen = (uint16_t)n;

	if (n > g->size - g->used) {
		g->too_small = !g->used;
		return false;
	}
	memset(p, 0, n);
	memcpy(p, &ino, 8);
	memcpy(p + 16, &reclen, 2);
	if (g->old) {
		memcpy(p + HEADER, name, len);
		p[n - 1] = (char)type;
	} else {
		p[HEADER] = (char)type;
		memcpy(p + HEADER + 1, name, len);
	}
	/* d_off of an entry is where the next one is: known when that comes */
	if (g->used)
		memcpy(g->buf + g->last + 8, &e->pos, 8);
	g->last = g->used;
	g->used += n;
	return true;
}

static long do_getdents(struct lx_task *self, int fd, uaddr_t user, unsigned int count, bool old)
{
	struct lx_file *f = lx_fd_get(self, fd);
	struct gather g = { .emit.emit = gather_one, .old = old };
	struct lx_inode *dir;
	long n;

	if (!f)
		return -EBADF;
	dir = f->inode;
	if (!f->ops->iterate) {
		lx_file_put(f);
		return -ENOTDIR;
	}
	g.size = MIN(count, GATHER_MAX);
	g.buf = rt_alloc(MAX(g.size, (size_t)1));
	if (!g.buf) {
		lx_file_put(f);
		return -ENOMEM;
	}
	rt_mutex_lock(&f->pos_lock);
	g.emit.pos = atomic_load(&f->pos);
	if (dir->ops->lockless) {
		n = f->ops->iterate(f, &g.emit);
	} else {
		rt_mutex_lock(&dir->lock);
		n = dir->iflags & LX_INODE_DELETED ? -ENOENT : f->ops->iterate(f, &g.emit);
		rt_mutex_unlock(&dir->lock);
	}
	if (!n && g.too_small)
		n = -EINVAL;
	if (g.used) {
		memcpy(g.buf + g.last + 8, &g.emit.pos, 8);
		if (lx_copy_to_user(user, g.buf, g.used)) {
			n = -EFAULT;
		} else {
			atomic_store(&f->pos, g.emit.pos);
			n = (long)g.used;
		}
	}
	rt_mutex_unlock(&f->pos_lock);
	if (n >= 0)
		lx_inode_accessed(f->path.mnt, dir);
	rt_free(g.buf);
	lx_file_put(f);
	return n;
}

long lx_sys_getdents(struct lx_task *self, int fd, uaddr_t buf, unsigned int count)
{
	return do_getdents(self, fd, buf, count, true);
}

long lx_sys_getdents64(struct lx_task *self, int fd, uaddr_t buf, unsigned int count)
{
	return do_getdents(self, fd, buf, count, false);
}

/* -- for ourselves */

int lx_do_mkdir(struct lx_task *self, const char *path, lx_mode_t mode)
{
	struct target t = { 0 };
	int err = begin_own(self, path, &t);

	if (err)
		return err;
	err = lx_d_negative(t.d) ? lx_vfs_mkdir(self, t.dir, t.d, mode | S_IFDIR) : -EEXIST;
	end_own(&t);
	return err;
}
