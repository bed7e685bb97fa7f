/* SPDX-License-Identifier: MIT */
/*
 * Changing directories: mkdir, mknod, link, symlink, unlink, rmdir (rename: sys_rename.c).
 *
 * Each change resolves the directory, locks it, looks the last name up, checks,
 * and asks the file system.
 *
 * Files whose count of links changes are locked after all directories, two of them in
 * the order of addresses: names of one file come and go in several directories at the
 * same time.  Who has locked a file locks no directory.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/inotify.h>

#include "lx/acl.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/target.h"

int lx_target_find(struct lx_task *self, int dfd, uaddr_t user, struct lx_target *t)
{
	int err = lx_name_copy(&t->name, user, false);

	if (err)
		return err;
	err = lx_path_parent(self, dfd, t->name.s, 0, &t->parent);
	if (err)
		lx_name_done(&t->name);
	return err;
}

void lx_target_put(struct lx_target *t)
{
	lx_parent_put(&t->parent);
	lx_name_done(&t->name);
}

static int lock_entry(struct lx_task *self, struct lx_target *t, bool making)
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

static void unlock_entry(struct lx_target *t)
{
	rt_mutex_unlock(&t->dir->lock);
	lx_dentry_put(t->d);
}

/* -- making */

/* Ready to create: the entry is negative, the directory locked and writable. */
static int begin_create(struct lx_task *self, int dfd, uaddr_t user, bool is_dir, struct lx_target *t)
{
	int err = lx_target_find(self, dfd, user, t);

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
	lx_target_put(t);
	return err;
}

static void end_create(struct lx_target *t, int err, uint32_t event)
{
	if (!err)
		lx_notify(t->dir, t->d, event);
	unlock_entry(t);
	lx_target_put(t);
}

int lx_vfs_mkdir(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return dir->ops->mkdir ? dir->ops->mkdir(dir, d, mode) : -EPERM;
}

long lx_sys_mkdirat(struct lx_task *self, int dfd, uaddr_t name, lx_mode_t mode)
{
	struct lx_target t;
	int err = begin_create(self, dfd, name, true, &t);

	if (err)
		return err;
	err = lx_vfs_mkdir(self, t.dir, t.d,
			   (lx_create_mode(self, t.dir, mode) & (0777 | S_ISVTX)) | S_IFDIR);
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

long lx_sys_mknodat(struct lx_task *self, int dfd, uaddr_t name, lx_mode_t mode, unsigned int dev)
{
	struct lx_target t;
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
	mode = (mode & S_IFMT) | (lx_create_mode(self, t.dir, mode) & 07777);
	err = lx_vfs_mknod(self, t.dir, t.d, mode,
			   (mode & S_IFMT) == S_IFCHR || (mode & S_IFMT) == S_IFBLK
				   ? lx_dev_decode(dev) : 0);
	end_create(&t, err, IN_CREATE);
	return err;
}

long lx_sys_mknod(struct lx_task *self, uaddr_t name, lx_mode_t mode, unsigned int dev)
{
	return lx_sys_mknodat(self, AT_FDCWD, name, mode, dev);
}

/* For ourselves: the entry that @path names, with its directory locked, to be made. */
static int begin_own(struct lx_task *self, const char *path, struct lx_target *t)
{
	int err = lx_path_parent(self, AT_FDCWD, path, 0, &t->parent);

	if (err)
		return err;
	err = t->parent.type == LX_LAST_NORM ? lock_entry(self, t, true) : -EEXIST;
	if (err)
		lx_parent_put(&t->parent);
	return err;
}

static void end_own(struct lx_target *t)
{
	unlock_entry(t);
	lx_parent_put(&t->parent);
}

/* A node made by bind(2): the socket layer knows the name as a string of ours. */
int lx_mknod_path(struct lx_task *self, const char *path, lx_mode_t mode, struct lx_path *out)
{
	struct lx_target t = { 0 };
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
				   (lx_create_mode(self, t.dir, mode) & 07777), 0);
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
	struct lx_target t;
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
	struct lx_target t;
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
	struct lx_target t;
	int err = lx_target_find(self, dfd, name, &t);

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
	lx_target_put(&t);
	return err;
}

static long do_unlink(struct lx_task *self, int dfd, uaddr_t name)
{
	struct lx_inode *inode = NULL;
	struct lx_target t;
	int err = lx_target_find(self, dfd, name, &t);

	if (err)
		return err;
	if (t.parent.type != LX_LAST_NORM) {
		lx_target_put(&t);
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
	lx_target_put(&t);
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

/* -- for ourselves */

int lx_do_mkdir(struct lx_task *self, const char *path, lx_mode_t mode)
{
	struct lx_target t = { 0 };
	int err = begin_own(self, path, &t);

	if (err)
		return err;
	err = lx_d_negative(t.d) ? lx_vfs_mkdir(self, t.dir, t.d, mode | S_IFDIR) : -EEXIST;
	end_own(&t);
	return err;
}
