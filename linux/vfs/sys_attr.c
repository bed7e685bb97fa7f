/* SPDX-License-Identifier: MIT */
/*
 * Changing attributes: mode, owner, times.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/time.h>
#include <linux/time_types.h>

#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

static unsigned int lookup_flags(unsigned int at)
{
	return (at & AT_SYMLINK_NOFOLLOW ? 0 : LX_LOOKUP_FOLLOW) |
	       (at & AT_EMPTY_PATH ? LX_LOOKUP_EMPTY : 0);
}

static long change_at(struct lx_task *self, int dfd, uaddr_t name, unsigned int lookup,
		      struct lx_attr *a)
{
	struct lx_path p;
	int err = lx_path_at_user(self, dfd, name, lookup, &p);

	if (err)
		return err;
	err = lx_inode_setattr(self, &p, a);
	lx_path_put(&p);
	return err;
}

static long change_fd(struct lx_task *self, int fd, struct lx_attr *a)
{
	struct lx_file *f = lx_fd_get(self, fd);
	int err;

	if (!f)
		return -EBADF;
	err = lx_inode_setattr(self, &f->path, a);
	lx_file_put(f);
	return err;
}

/* -- mode */

long lx_sys_fchmodat(struct lx_task *self, int dfd, uaddr_t name, lx_mode_t mode)
{
	struct lx_attr a = { .valid = LX_ATTR_MODE, .mode = mode & 07777 };

	return change_at(self, dfd, name, LX_LOOKUP_FOLLOW, &a);
}

long lx_sys_chmod(struct lx_task *self, uaddr_t name, lx_mode_t mode)
{
	return lx_sys_fchmodat(self, AT_FDCWD, name, mode);
}

long lx_sys_fchmod(struct lx_task *self, int fd, lx_mode_t mode)
{
	struct lx_attr a = { .valid = LX_ATTR_MODE, .mode = mode & 07777 };

	return change_fd(self, fd, &a);
}

/* -- owner */

static struct lx_attr owner(lx_uid_t uid, lx_gid_t gid)
{
	struct lx_attr a = { .valid = LX_ATTR_KILL_PRIV, .uid = uid, .gid = gid };

	if (uid != (lx_uid_t)-1)
		a.valid |= LX_ATTR_UID;
	if (gid != (lx_gid_t)-1)
		a.valid |= LX_ATTR_GID;
	return a;
}

long lx_sys_fchownat(struct lx_task *self, int dfd, uaddr_t name, lx_uid_t uid, lx_gid_t gid,
		     unsigned int flags)
{
	struct lx_attr a = owner(uid, gid);

	if (flags & ~(unsigned int)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return change_at(self, dfd, name, lookup_flags(flags), &a);
}

long lx_sys_chown(struct lx_task *self, uaddr_t name, lx_uid_t uid, lx_gid_t gid)
{
	return lx_sys_fchownat(self, AT_FDCWD, name, uid, gid, 0);
}

long lx_sys_lchown(struct lx_task *self, uaddr_t name, lx_uid_t uid, lx_gid_t gid)
{
	return lx_sys_fchownat(self, AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long lx_sys_fchown(struct lx_task *self, int fd, lx_uid_t uid, lx_gid_t gid)
{
	struct lx_attr a = owner(uid, gid);

	return change_fd(self, fd, &a);
}

/* -- times */

/* Not in the UAPI headers. */
#define UTIME_NOW	((1l << 30) - 1)
#define UTIME_OMIT	((1l << 30) - 2)

/*
 * Who may set times: the owner to anything; whoever may write, to now.
 */
static int may_set_times(struct lx_task *self, const struct lx_path *p, bool both_now)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);

	if (inode->iflags & LX_INODE_IMMUTABLE)
		return both_now ? -EACCES : -EPERM;
	if (lx_inode_owner_or_capable(self, inode))
		return 0;
	if (!both_now)
		return -EPERM;
	return lx_inode_permission(self, inode, LX_MAY_WRITE);
}

static struct lx_time from_spec(const struct __kernel_timespec *ts)
{
	return (struct lx_time){ .sec = ts->tv_sec, .nsec = (uint32_t)ts->tv_nsec };
}

static bool valid_nsec(long long n)
{
	return (n >= 0 && n < 1000000000) || n == UTIME_NOW || n == UTIME_OMIT;
}

/* @ts: access and modification time, or NULL for now. */
static long set_times(struct lx_task *self, int dfd, uaddr_t name,
		      const struct __kernel_timespec *ts, unsigned int flags)
{
	struct lx_time now = lx_now_coarse();
	struct lx_attr a = { .valid = LX_ATTR_ATIME | LX_ATTR_MTIME, .atime = now, .mtime = now };
	bool both_now = true;
	struct lx_path p;
	int err;

	if (flags & ~(unsigned int)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (ts) {
		if (!valid_nsec(ts[0].tv_nsec) || !valid_nsec(ts[1].tv_nsec))
			return -EINVAL;
		if (ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT)
			return 0;
		both_now = ts[0].tv_nsec == UTIME_NOW && ts[1].tv_nsec == UTIME_NOW;
		if (ts[0].tv_nsec == UTIME_OMIT)
			a.valid &= ~LX_ATTR_ATIME;
		else if (ts[0].tv_nsec != UTIME_NOW)
			a.atime = from_spec(&ts[0]);
		if (ts[1].tv_nsec == UTIME_OMIT)
			a.valid &= ~LX_ATTR_MTIME;
		else if (ts[1].tv_nsec != UTIME_NOW)
			a.mtime = from_spec(&ts[1]);
	}
	if (!name.v && dfd != AT_FDCWD) {
		/* futimens(3): the descriptor itself */
		struct lx_file *f;

		if (flags)
			return -EINVAL;
		f = lx_fd_get(self, dfd);
		if (!f)
			return -EBADF;
		p = f->path;
		lx_path_get(&p);
		lx_file_put(f);
	} else {
		err = lx_path_at_user(self, dfd, name, lookup_flags(flags), &p);
		if (err)
			return err;
	}
	err = may_set_times(self, &p, both_now);
	if (!err)
		err = lx_inode_setattr(self, &p, &a);
	lx_path_put(&p);
	return err;
}

long lx_sys_utimensat(struct lx_task *self, int dfd, uaddr_t name, uaddr_t times,
		      unsigned int flags)
{
	struct __kernel_timespec ts[2];

	if (times.v && lx_copy_from_user(ts, times, sizeof(ts)))
		return -EFAULT;
	return set_times(self, dfd, name, times.v ? ts : NULL, flags);
}

static long set_timevals(struct lx_task *self, int dfd, uaddr_t name, uaddr_t times)
{
	struct { int64_t sec, usec; } tv[2];
	struct __kernel_timespec ts[2];

	if (!times.v)
		return set_times(self, dfd, name, NULL, 0);
	if (lx_copy_from_user(tv, times, sizeof(tv)))
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (tv[i].usec < 0 || tv[i].usec >= 1000000)
			return -EINVAL;
		ts[i] = (struct __kernel_timespec){ tv[i].sec, tv[i].usec * 1000 };
	}
	return set_times(self, dfd, name, ts, 0);
}

long lx_sys_utimes(struct lx_task *self, uaddr_t name, uaddr_t times)
{
	return set_timevals(self, AT_FDCWD, name, times);
}

long lx_sys_futimesat(struct lx_task *self, int dfd, uaddr_t name, uaddr_t times)
{
	return set_timevals(self, dfd, name, times);
}

long lx_sys_utime(struct lx_task *self, uaddr_t name, uaddr_t times)
{
	struct { int64_t actime, modtime; } t;
	struct __kernel_timespec ts[2] = { 0 };

	if (!times.v)
		return set_times(self, AT_FDCWD, name, NULL, 0);
	if (lx_copy_from_user(&t, times, sizeof(t)))
		return -EFAULT;
	ts[0].tv_sec = t.actime;
	ts[1].tv_sec = t.modtime;
	return set_times(self, AT_FDCWD, name, ts, 0);
}
