/* SPDX-License-Identifier: MIT */
/*
 * Opening by name: the last component of the path, the rights, the file.
 *
 * The walk (namei.c) stops before the last component.  Without O_CREAT that is walked
 * like any other; with it, a name that is not there is looked up again with its
 * directory locked and created, so that of two who create it at once one creates and
 * the other opens, or fails with EEXIST if it said O_EXCL.  O_EXCL takes the lock at
 * once and does not follow a symlink.  A symlink may lead to a name that is not there
 * either: the walk goes on along its text, up to that text's own last component.
 *
 * Whoever created the file may open it as they asked, whatever its mode: only what was
 * there before is checked against the caller's rights.  Truncation comes last, when
 * nothing else can refuse.
 */
#include <linux/inotify.h>

#include "lx/acl.h"
#include "vfs/namei_priv.h"
#include "vfs/vfs_priv.h"

/* Create @d, negative, in @dir (locked). */
static int create_file(struct lx_task *self, struct lx_path *dirpath, struct lx_inode *dir,
		       struct lx_dentry *d, lx_mode_t mode)
{
	int err = lx_want_write(dirpath);

	if (!err)
		err = lx_may_create(self, dir);
	if (!err && !dir->ops->create)
		err = -EACCES;
	if (!err)
		err = dir->ops->create(dir, d, (lx_create_mode(self, dir, mode) & 07777) | S_IFREG);
	if (!err)
		lx_notify(dir, d, IN_CREATE);
	return err;
}

/* The last component of an open: stand on what is to be opened, or get *@body to walk. */
static int open_last(struct nd *nd, const struct lx_open_how *how, bool *created, char **body)
{
	bool follow = !(how->flags & O_NOFOLLOW) && (how->flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
	struct lx_dentry *d = NULL;
	struct lx_inode *inode;
	int err;

	*body = NULL;
	if (!(how->flags & O_CREAT)) {
		if (nd->slash)
			nd->flags |= LX_LOOKUP_DIRECTORY | LX_LOOKUP_FOLLOW;
		return lx_walk_component(nd, follow || nd->slash, body);
	}
	if (nd->type != LX_LAST_NORM) {
		if (how->flags & O_EXCL)
			return -EEXIST;
		err = lx_walk_component(nd, false, body);
		return err ? err : -EISDIR;
	}
	if (nd->slash)
		return -EISDIR;
	if (nd->last.len > LX_NAME_MAX)
		return -ENAMETOOLONG;
	if (!lx_is_dir(lx_d_inode(nd->path.dentry)))
		return -ENOTDIR;
	if (how->flags & O_EXCL)
		goto locked;
	err = lx_lookup(nd->path.dentry, &nd->last, &d);
	if (err)
		return err;
	if (lx_d_negative(d)) {
		struct lx_inode *dir;

		lx_dentry_put(d);
locked:
		dir = lx_d_inode(nd->path.dentry);
		if (unlikely(dir->ops->lockless)) {
			if (!(how->flags & O_EXCL))
				return -ENOENT;
			err = lx_lookup(nd->path.dentry, &nd->last, &d);
			if (err)
				return err;
			err = lx_d_negative(d) ? -ENOENT : -EEXIST;
			lx_dentry_put(d);
			return err;
		}
		rt_mutex_lock(&dir->lock);
		err = lx_lookup_locked(nd->path.dentry, &nd->last, &d);
		if (!err && lx_d_negative(d)) {
			err = create_file(nd->self, &nd->path, dir, d, how->mode);
			*created = !err;
			if (err)
				lx_dentry_put(d);
		} else if (!err && (how->flags & O_EXCL)) {
			lx_dentry_put(d);
			err = -EEXIST;
		}
		rt_mutex_unlock(&dir->lock);
		if (err)
			return err;
	}
	inode = lx_d_inode(d);
	if (lx_is_lnk(inode) && follow)
		return lx_walk_follow(nd, d, body);
	return lx_walk_into(nd, d);
}

/* Checks that depend on what is opened; @created: just made by us, any access is fine. */
static int may_open(struct lx_task *self, const struct lx_path *p, const struct lx_open_how *how,
		    bool created)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	uint32_t mflags = p->mnt ? atomic_load(&p->mnt->flags) : 0;
	int acc = how->flags & O_ACCMODE, mask = 0, err;

	if ((how->flags & O_CREAT) && lx_is_dir(inode))
		return -EISDIR;
	if ((how->flags & O_DIRECTORY) && !lx_is_dir(inode))
		return -ENOTDIR;
	if (acc != O_WRONLY)
		mask |= LX_MAY_READ;
	if (acc != O_RDONLY || (how->flags & O_TRUNC))
		mask |= LX_MAY_WRITE;
	if (how->exec)
		mask = LX_MAY_EXEC;
	switch (inode->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		if (mask & LX_MAY_WRITE)
			return -EISDIR;
		if (mask & LX_MAY_EXEC)
			return -EACCES;
		break;
	case S_IFBLK:
	case S_IFCHR:
		if (mflags & LX_MNT_NODEV)
			return -EACCES;
		__attribute__((fallthrough));
	case S_IFIFO:
	case S_IFSOCK:
		if (how->exec)
			return -EACCES;
		break;
	case S_IFREG:
		if (how->exec && (mflags & LX_MNT_NOEXEC))
			return -EACCES;
		if ((mask & LX_MAY_WRITE) && !created) {
			err = lx_want_write(p);
			if (err)
				return err;
		}
		break;
	}
	if (!created) {
		err = lx_inode_permission(self, inode, mask);
		if (err)
			return err;
	}
	if (inode->iflags & LX_INODE_APPEND) {
		if (acc != O_RDONLY && !(how->flags & O_APPEND))
			return -EPERM;
		if (how->flags & O_TRUNC)
			return -EPERM;
	}
	if ((how->flags & O_NOATIME) && !lx_inode_owner_or_capable(self, inode))
		return -EPERM;
	return 0;
}

static uint32_t fmode_of(int flags, bool exec)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return LX_FMODE_READ | (exec ? LX_FMODE_EXEC : 0);
	case O_WRONLY:
		return LX_FMODE_WRITE;
	case O_RDWR:
		return LX_FMODE_READ | LX_FMODE_WRITE;
	default:
		return 0;		/* 3: for ioctl only */
	}
}

static int truncate_opened(struct lx_task *self, struct lx_path *p)
{
	struct lx_attr a = { .valid = LX_ATTR_SIZE | LX_ATTR_MTIME | LX_ATTR_KILL_PRIV, .size = 0,
			     .mtime = lx_now_coarse() };

	return lx_inode_setattr(self, p, &a);
}

static int open_tmpfile(struct nd *nd, const struct lx_open_how *how)
{
	struct lx_inode *dir = lx_d_inode(nd->path.dentry);
	struct lx_qstr q = { "#tmp", 4, 0 };
	struct lx_dentry *d;
	int err;

	if (!lx_is_dir(dir))
		return -ENOTDIR;
	err = lx_want_write(&nd->path);
	if (err)
		return err;
	d = lx_dentry_alloc(nd->path.dentry, &q);
	if (!d)
		return -ENOMEM;
	rt_mutex_lock(&dir->lock);
	err = lx_may_create(nd->self, dir);
	if (!err && !dir->ops->tmpfile)
		err = -EOPNOTSUPP;
	if (!err)
		err = dir->ops->tmpfile(dir, d, (lx_create_mode(nd->self, dir, how->mode) & 07777) | S_IFREG);
	/* nobody else knows it yet */
	if (!err && !(how->flags & O_EXCL))
		lx_d_inode(d)->linkable = true;
	rt_mutex_unlock(&dir->lock);
	if (err) {
		lx_dentry_put(d);
		return err;
	}
	atomic_fetch_or(&d->dflags, LX_DENTRY_UNLINKED);
	lx_dentry_put(nd->path.dentry);
	nd->path.dentry = d;
	return 0;
}

/* Stand on what is to be opened. */
static int resolve_open(struct nd *nd, const char *name, const struct lx_open_how *how,
			bool *created)
{
	char *body;
	int err = lx_walk(nd, name);

	for (;;) {
		if (err)
			return err;
		err = open_last(nd, how, created, &body);
		if (err)
			return err;
		if (!body)
			break;
		if (nd->slash)
			nd->flags |= LX_LOOKUP_DIRECTORY;
		err = lx_walk_body(nd, body);
	}
	if ((nd->flags & LX_LOOKUP_DIRECTORY) && !lx_is_dir(lx_d_inode(nd->path.dentry)))
		return -ENOTDIR;
	return lx_walk_check_scope(nd);
}

int lx_do_open(struct lx_task *self, int dfd, const char *name, const struct lx_open_how *asked,
	       struct lx_file **out)
{
	struct lx_open_how how = *asked;
	struct nd nd;
	bool created = false, tmpfile = (how.flags & O_TMPFILE) == O_TMPFILE;
	uint32_t fmode = fmode_of(how.flags, how.exec);
	int err;

	if (how.flags & O_PATH) {
		how.flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
		fmode = LX_FMODE_PATH;
	} else if (tmpfile && !(fmode & LX_FMODE_WRITE)) {
		return -EINVAL;
	} else if ((how.flags & __O_TMPFILE) && !tmpfile) {
		return -EINVAL;
	}
	if (!*name && !how.exec)
		return -ENOENT;
	err = lx_walk_start(&nd, self, dfd, name, how.resolve);
	if (err)
		return err;
	if (!*name) {			/* fexecve */
		;
	} else if (tmpfile) {
		struct lx_path dir;

		err = lx_path_at(self, dfd, name, how.resolve | LX_LOOKUP_DIRECTORY |
				 (how.flags & O_NOFOLLOW ? 0 : LX_LOOKUP_FOLLOW), &dir);
		if (!err) {
			lx_path_put(&nd.path);
			nd.path = dir;
			err = open_tmpfile(&nd, &how);
			created = true;
			how.flags &= ~(O_CREAT | O_TRUNC | O_DIRECTORY);
		}
	} else {
		err = resolve_open(&nd, name, &how, &created);
	}
	if (!err && !(fmode & LX_FMODE_PATH))
		err = may_open(self, &nd.path, &how, created);
	else if (!err && (how.flags & O_DIRECTORY) && !lx_is_dir(lx_d_inode(nd.path.dentry)))
		err = -ENOTDIR;
	if (!err)
		err = lx_file_open_path(self, &nd.path, how.flags, fmode, out);
	if (!err) {
		/* the file holds the path now */
		if ((how.flags & O_TRUNC) && !created && lx_is_reg((*out)->inode))
			err = truncate_opened(self, &(*out)->path);
		if (err)
			lx_file_put(*out);
		else if (!(fmode & LX_FMODE_PATH))
			lx_notify((*out)->inode, (*out)->path.dentry, IN_OPEN);
	}
	lx_walk_finish(&nd);
	return err;
}

int lx_open_at(struct lx_task *self, int dfd, const char *name, int flags, lx_mode_t mode,
	       struct lx_file **out)
{
	struct lx_open_how how = { .flags = flags, .mode = mode };

	return lx_do_open(self, dfd, name, &how, out);
}

int lx_open_exec(struct lx_task *self, int dfd, const char *name, unsigned int at_flags,
		 struct lx_file **out)
{
	struct lx_open_how how = { .flags = O_RDONLY, .exec = true };
	int err;

	if (at_flags & ~(unsigned int)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (at_flags & AT_SYMLINK_NOFOLLOW)
		how.flags |= O_NOFOLLOW;
	if (!*name && !(at_flags & AT_EMPTY_PATH))
		return -ENOENT;
	err = lx_do_open(self, dfd, name, &how, out);
	if (err)
		return err;
	err = lx_deny_write((*out)->inode);
	if (err)
		lx_file_put(*out);
	else
		(*out)->mode |= LX_FMODE_DENY;	/* until the last reference goes */
	return err;
}
