/* SPDX-License-Identifier: MIT */
/*
 * stat, statx, statfs, access, readlink, getcwd and the calls that change where a
 * task stands.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <asm/stat.h>
#include <asm/statfs.h>

#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

static long put_stat(const struct lx_kstat *k, uaddr_t user)
{
	struct stat st = {
		.st_dev = lx_dev_encode(k->dev), .st_ino = k->ino, .st_nlink = k->nlink,
		.st_mode = k->mode, .st_uid = k->uid, .st_gid = k->gid,
		.st_rdev = lx_dev_encode(k->rdev), .st_size = (long)k->size,
		.st_blksize = k->blksize, .st_blocks = (long)k->blocks,
		.st_atime = (unsigned long)k->atime.sec, .st_atime_nsec = k->atime.nsec,
		.st_mtime = (unsigned long)k->mtime.sec, .st_mtime_nsec = k->mtime.nsec,
		.st_ctime = (unsigned long)k->ctime.sec, .st_ctime_nsec = k->ctime.nsec,
	};

	return lx_copy_to_user(user, &st, sizeof(st));
}

static int stat_at(struct lx_task *self, int dfd, uaddr_t name, unsigned int lookup,
		   struct lx_kstat *k)
{
	struct lx_path p;
	int err = lx_path_at_user(self, dfd, name, lookup, &p);

	if (unlikely(err))
		return err;
	lx_getattr(&p, k);
	lx_path_put(&p);
	return 0;
}

static int stat_fd(struct lx_task *self, int fd, struct lx_kstat *k)
{
	struct lx_file *f = lx_fd_get_raw(self, fd);

	if (!f)
		return -EBADF;
	lx_getattr(&f->path, k);
	lx_file_put(f);
	return 0;
}

long lx_sys_stat(struct lx_task *self, uaddr_t name, uaddr_t st)
{
	struct lx_kstat k;
	int err = stat_at(self, AT_FDCWD, name, LX_LOOKUP_FOLLOW, &k);

	return err ? err : put_stat(&k, st);
}

long lx_sys_lstat(struct lx_task *self, uaddr_t name, uaddr_t st)
{
	struct lx_kstat k;
	int err = stat_at(self, AT_FDCWD, name, 0, &k);

	return err ? err : put_stat(&k, st);
}

long lx_sys_fstat(struct lx_task *self, int fd, uaddr_t st)
{
	struct lx_kstat k;
	int err = stat_fd(self, fd, &k);

	return err ? err : put_stat(&k, st);
}

/* AT_* flags into lookup flags; the caller has checked them. */
static unsigned int lookup_flags(unsigned int at)
{
	return (at & AT_SYMLINK_NOFOLLOW ? 0 : LX_LOOKUP_FOLLOW) |
	       (at & AT_EMPTY_PATH ? LX_LOOKUP_EMPTY : 0);
}

/* Is the path of an AT_EMPTY_PATH call empty?  That is how glibc spells fstat. */
static bool is_empty(uaddr_t name)
{
	char c;

	return rt_copy_from_user(&c, name, 1) == 0 && !c;
}

static int stat_flags(struct lx_task *self, int dfd, uaddr_t name, unsigned int flags,
		      struct lx_kstat *k)
{
	if (flags & ~(unsigned int)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH |
				    AT_STATX_SYNC_TYPE))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && dfd >= 0 && is_empty(name))
		return stat_fd(self, dfd, k);
	return stat_at(self, dfd, name, lookup_flags(flags), k);
}

long lx_sys_newfstatat(struct lx_task *self, int dfd, uaddr_t name, uaddr_t st, unsigned int flags)
{
	struct lx_kstat k;
	int err = flags & AT_STATX_SYNC_TYPE ? -EINVAL : stat_flags(self, dfd, name, flags, &k);

	return err ? err : put_stat(&k, st);
}

static struct statx_timestamp stamp(struct lx_time t)
{
	return (struct statx_timestamp){ .tv_sec = t.sec, .tv_nsec = t.nsec };
}

long lx_sys_statx(struct lx_task *self, int dfd, uaddr_t name, unsigned int flags,
		  unsigned int mask, uaddr_t user)
{
	struct statx x = { 0 };
	struct lx_kstat k;
	int err;

	if ((mask & STATX__RESERVED) || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	err = stat_flags(self, dfd, name, flags, &k);
	if (err)
		return err;
	x.stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
	x.stx_blksize = k.blksize;
	x.stx_attributes = k.attributes;
	x.stx_attributes_mask = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_MOUNT_ROOT;
	x.stx_nlink = k.nlink;
	x.stx_uid = k.uid;
	x.stx_gid = k.gid;
	x.stx_mode = (uint16_t)k.mode;
	x.stx_ino = k.ino;
	x.stx_size = k.size;
	x.stx_blocks = k.blocks;
	x.stx_atime = stamp(k.atime);
	x.stx_mtime = stamp(k.mtime);
	x.stx_ctime = stamp(k.ctime);
	x.stx_btime = stamp(k.btime);
	x.stx_rdev_major = LX_MAJOR(k.rdev);
	x.stx_rdev_minor = LX_MINOR(k.rdev);
	x.stx_dev_major = LX_MAJOR(k.dev);
	x.stx_dev_minor = LX_MINOR(k.dev);
	x.stx_mnt_id = k.mnt_id;
	return lx_copy_to_user(user, &x, sizeof(x));
}

/* -- statfs */

static long put_statfs(const struct lx_path *p, uaddr_t user)
{
	struct lx_super *sb = p->dentry->sb;
	struct statfs st = { 0 };

	st.f_type = (long)sb->magic;
	st.f_bsize = st.f_frsize = sb->block_size;
	st.f_namelen = LX_NAME_MAX;
	if (sb->ops && sb->ops->statfs) {
		int err = sb->ops->statfs(sb, &st);

		if (err)
			return err;
	}
	/* ST_VALID and the mount's flags, whose values are those of statvfs */
	st.f_flags = 0x20 | (p->mnt ? (long)atomic_load(&p->mnt->flags) : 0);
	if (sb->flags & 1)
		st.f_flags |= LX_MNT_READONLY;
	st.f_fsid.val[0] = (int)lx_dev_encode(sb->dev);
	return lx_copy_to_user(user, &st, sizeof(st));
}

long lx_sys_statfs(struct lx_task *self, uaddr_t name, uaddr_t buf)
{
	struct lx_path p;
	long err = lx_path_at_user(self, AT_FDCWD, name, LX_LOOKUP_FOLLOW, &p);

	if (err)
		return err;
	err = put_statfs(&p, buf);
	lx_path_put(&p);
	return err;
}

long lx_sys_fstatfs(struct lx_task *self, int fd, uaddr_t buf)
{
	struct lx_file *f = lx_fd_get_raw(self, fd);
	long err;

	if (!f)
		return -EBADF;
	err = put_statfs(&f->path, buf);
	lx_file_put(f);
	return err;
}

/* -- access */

/* The rights of the real user: access(2) is for set-user-ID programs. */
static struct lx_cred *real_cred(struct lx_task *self)
{
	struct lx_cred *c = lx_cred_copy(self->cred);

	if (!c)
		return NULL;
	c->fsuid = c->uid;
	c->fsgid = c->gid;
	if (c->uid)
		c->cap_effective = 0;
	else
		c->cap_effective = c->cap_permitted;
	return c;
}

static long do_access(struct lx_task *self, int dfd, uaddr_t name, unsigned int mode,
		      unsigned int flags)
{
	const struct lx_cred *saved = self->cred;
	struct lx_cred *cred = NULL;
	struct lx_inode *inode;
	struct lx_path p;
	long err;

	if ((mode & ~7u) ||
	    (flags & ~(unsigned int)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	if (!(flags & AT_EACCESS) &&
	    (saved->fsuid != saved->uid || saved->fsgid != saved->gid ||
	     (saved->uid ? saved->cap_effective != 0
			 : saved->cap_effective != saved->cap_permitted))) {
		cred = real_cred(self);
		if (!cred)
			return -ENOMEM;
		/* only this task looks at its own pointer */
		self->cred = cred;
	}
	err = lx_path_at_user(self, dfd, name, lookup_flags(flags), &p);
	if (err)
		goto out;
	inode = lx_d_inode(p.dentry);
	if ((mode & LX_MAY_EXEC) && lx_is_reg(inode) && p.mnt &&
	    (atomic_load(&p.mnt->flags) & LX_MNT_NOEXEC))
		err = -EACCES;
	if (!err && mode)
		err = lx_inode_permission(self, inode, (int)mode);
	if (!err && (mode & LX_MAY_WRITE) && p.mnt &&
	    (atomic_load(&p.mnt->flags) & LX_MNT_READONLY) &&
	    (lx_is_reg(inode) || lx_is_dir(inode) || lx_is_lnk(inode)))
		err = -EROFS;
	lx_path_put(&p);
out:
	if (cred) {
		self->cred = saved;
		lx_cred_put(cred);
	}
	return err;
}

long lx_sys_access(struct lx_task *self, uaddr_t name, unsigned int mode)
{
	return do_access(self, AT_FDCWD, name, mode, 0);
}

long lx_sys_faccessat(struct lx_task *self, int dfd, uaddr_t name, unsigned int mode)
{
	return do_access(self, dfd, name, mode, 0);
}

long lx_sys_faccessat2(struct lx_task *self, int dfd, uaddr_t name, unsigned int mode,
		       unsigned int flags)
{
	return do_access(self, dfd, name, mode, flags);
}

/* -- readlink */

static long do_readlink(struct lx_task *self, int dfd, uaddr_t name, uaddr_t buf, int count)
{
	struct lx_inode *inode;
	struct lx_path p;
	char *text;
	long n;

	if (count <= 0)
		return -EINVAL;
	n = lx_path_at_user(self, dfd, name, LX_LOOKUP_EMPTY, &p);
	if (n)
		return n;
	inode = lx_d_inode(p.dentry);
	if (!inode->ops || !inode->ops->readlink) {
		/* an empty path names the descriptor: "is no symlink" is ENOENT then */
		lx_path_put(&p);
		return is_empty(name) ? -ENOENT : -EINVAL;
	}
	if (is_empty(name) && dfd < 0) {
		lx_path_put(&p);
		return -ENOENT;
	}
	text = rt_alloc(LX_PATH_MAX);
	n = text ? inode->ops->readlink(p.dentry, text, LX_PATH_MAX) : -ENOMEM;
	if (n > 0) {
		lx_inode_accessed(p.mnt, inode);
		n = MIN(n, (long)count);
		if (lx_copy_to_user(buf, text, (size_t)n))
			n = -EFAULT;
	}
	rt_free(text);
	lx_path_put(&p);
	return n;
}

long lx_sys_readlink(struct lx_task *self, uaddr_t name, uaddr_t buf, int count)
{
	return is_empty(name) ? -ENOENT : do_readlink(self, AT_FDCWD, name, buf, count);
}

long lx_sys_readlinkat(struct lx_task *self, int dfd, uaddr_t name, uaddr_t buf, int count)
{
	return do_readlink(self, dfd, name, buf, count);
}

/* -- where a task stands */

long lx_sys_getcwd(struct lx_task *self, uaddr_t user, size_t size)
{
	struct lx_path root, pwd;
	char *buf = rt_alloc(LX_PATH_MAX), *s;
	long n;

	if (!buf)
		return -ENOMEM;
	lx_fs_paths(self->fs, &root, &pwd);
	if (lx_d_flags(pwd.dentry) & LX_DENTRY_UNLINKED) {
		n = -ENOENT;
	} else {
		s = lx_path_string(&pwd, &root, buf, LX_PATH_MAX);
		n = s ? (long)(buf + LX_PATH_MAX - s) : -ENAMETOOLONG;
		if (n > 0 && (size_t)n > size)
			n = -ERANGE;
		else if (n > 0 && lx_copy_to_user(user, s, (size_t)n))
			n = -EFAULT;
	}
	lx_path_put(&root);
	lx_path_put(&pwd);
	rt_free(buf);
	return n;
}

/* Make *@p (moves in on success) the working directory or root. */
static int stand_at(struct lx_task *self, struct lx_path *p, struct lx_path *which)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	int err = lx_is_dir(inode) ? lx_inode_permission(self, inode, LX_MAY_EXEC) : -ENOTDIR;

	if (!err && which == &self->fs->root && !lx_capable(self, CAP_SYS_CHROOT))
		err = -EPERM;
	if (!err)
		lx_fs_set_path(self->fs, which, p);
	else
		lx_path_put(p);
	return err;
}

long lx_sys_chdir(struct lx_task *self, uaddr_t name)
{
	struct lx_path p;
	int err = lx_path_at_user(self, AT_FDCWD, name, LX_LOOKUP_FOLLOW | LX_LOOKUP_DIRECTORY, &p);

	return err ? err : stand_at(self, &p, &self->fs->pwd);
}

long lx_sys_fchdir(struct lx_task *self, int fd)
{
	struct lx_file *f = lx_fd_get_raw(self, fd);
	struct lx_path p;

	if (!f)
		return -EBADF;
	p = f->path;
	lx_path_get(&p);
	lx_file_put(f);
	return stand_at(self, &p, &self->fs->pwd);
}

long lx_sys_chroot(struct lx_task *self, uaddr_t name)
{
	struct lx_path p;
	int err = lx_path_at_user(self, AT_FDCWD, name, LX_LOOKUP_FOLLOW | LX_LOOKUP_DIRECTORY, &p);

	return err ? err : stand_at(self, &p, &self->fs->root);
}

long lx_sys_umask(struct lx_task *self, lx_mode_t mask)
{
	lx_mode_t old;

	rt_mutex_lock(&self->fs->lock);
	old = self->fs->umask;
	self->fs->umask = mask & 0777;
	rt_mutex_unlock(&self->fs->lock);
	return (long)old;
}
