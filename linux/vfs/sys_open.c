/* SPDX-License-Identifier: MIT */
/*
 * Opening, closing and duplicating descriptors, fcntl, ioctl.
 */
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <linux/fs.h>
#include <asm/ioctls.h>
#include <asm/signal.h>

#include "lx/async.h"
#include "lx/mm.h"
#include "lx/pipe.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

#define OPEN_HOW_SIZE_VER0 24u		/* the first version of struct open_how */

/* What open(2) knows; it ignores other bits. */
#define OPEN_FLAGS \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | \
	 FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | \
	 __O_SYNC | O_PATH | __O_TMPFILE)

static long open_fd(struct lx_task *self, int dfd, uaddr_t user, const struct lx_open_how *how)
{
	struct lx_file *f;
	struct lx_name name;
	int fd, err = lx_name_copy(&name, user, false);

	if (err)
		return err;
	fd = lx_fd_reserve(self, 0, how->flags & O_CLOEXEC);
	if (fd >= 0) {
		err = lx_do_open(self, dfd, name.s, how, &f);
		if (err) {
			lx_fd_unreserve(self, fd);
			fd = err;
		} else {
			lx_fd_publish(self, fd, f);
		}
	}
	lx_name_done(&name);
	return fd;
}

static long do_openat(struct lx_task *self, int dfd, uaddr_t name, int flags, lx_mode_t mode)
{
	/* 64-bit programs: files are always large */
	struct lx_open_how how = { .flags = (flags & OPEN_FLAGS) | O_LARGEFILE };

	if (flags & (O_CREAT | __O_TMPFILE))
		how.mode = mode & 07777;
	return open_fd(self, dfd, name, &how);
}

long lx_sys_open(struct lx_task *self, uaddr_t name, int flags, lx_mode_t mode)
{
	return do_openat(self, AT_FDCWD, name, flags, mode);
}

long lx_sys_creat(struct lx_task *self, uaddr_t name, lx_mode_t mode)
{
	return do_openat(self, AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

long lx_sys_openat(struct lx_task *self, int dfd, uaddr_t name, int flags, lx_mode_t mode)
{
	return do_openat(self, dfd, name, flags, mode);
}

/* The program's structure may be older (shorter) or newer (then what we do not know must be 0). */
static int copy_how(struct open_how *how, uaddr_t user, size_t size)
{
	memset(how, 0, sizeof(*how));
	if (size < OPEN_HOW_SIZE_VER0)
		return -EINVAL;
	if (size > K_PAGE_SIZE)
		return -E2BIG;
	if (lx_copy_from_user(how, user, MIN(size, sizeof(*how))))
		return -EFAULT;
	for (size_t i = sizeof(*how); i < size; i++) {
		char c;

		if (lx_copy_from_user(&c, uaddr_add(user, i), 1))
			return -EFAULT;
		if (c)
			return -E2BIG;
	}
	return 0;
}

long lx_sys_openat2(struct lx_task *self, int dfd, uaddr_t name, uaddr_t user, size_t size)
{
	static const struct { uint64_t in; unsigned int out; } map[] = {
		{ RESOLVE_NO_XDEV, LX_LOOKUP_NO_XDEV },
		{ RESOLVE_NO_MAGICLINKS, LX_LOOKUP_NO_MAGICLINKS },
		{ RESOLVE_NO_SYMLINKS, LX_LOOKUP_NO_SYMLINKS | LX_LOOKUP_NO_MAGICLINKS },
		{ RESOLVE_BENEATH, LX_LOOKUP_BENEATH },
		{ RESOLVE_IN_ROOT, LX_LOOKUP_IN_ROOT },
	};
	struct open_how how;
	struct lx_open_how o = { 0 };
	int err = copy_how(&how, user, size);

	if (err)
		return err;
	if ((how.flags & ~(uint64_t)OPEN_FLAGS) ||
	    (how.resolve & ~(uint64_t)(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS |
				       RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT |
				       RESOLVE_CACHED)))
		return -EINVAL;
	if ((how.resolve & RESOLVE_BENEATH) && (how.resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how.flags & (O_CREAT | __O_TMPFILE)) {
		if (how.mode & ~(uint64_t)07777)
			return -EINVAL;
	} else if (how.mode) {
		return -EINVAL;
	}
	if ((how.flags & O_PATH) &&
	    (how.flags & ~(uint64_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)))
		return -EINVAL;
	if (how.resolve & RESOLVE_CACHED)
		return -EAGAIN;		/* "may need to block": always allowed to say so */
	o.flags = (int)how.flags | O_LARGEFILE;
	o.mode = (lx_mode_t)how.mode;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (how.resolve & map[i].in)
			o.resolve |= map[i].out;
	return open_fd(self, dfd, name, &o);
}

long lx_sys_close(struct lx_task *self, int fd)
{
	long err = lx_fd_close(self, fd);

	/* the descriptor is gone: a restarted close would hit another file */
	return err == -LX_ERESTARTSYS || err == -LX_ERESTARTNOINTR ? -EINTR : err;
}

long lx_sys_close_range(struct lx_task *self, unsigned int first, unsigned int last,
			unsigned int flags)
{
	if ((flags & ~(unsigned int)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		struct lx_files *copy = lx_files_copy(self->files), *old = self->files;

		if (!copy)
			return -ENOMEM;
		rt_mutex_lock(&self->group->lock);
		self->files = copy;
		rt_mutex_unlock(&self->group->lock);
		lx_files_put(old);
	}
	return lx_fd_close_range(self, first, last, flags & CLOSE_RANGE_CLOEXEC);
}

long lx_sys_dup(struct lx_task *self, int fd)
{
	struct lx_file *f = lx_fd_get_raw(self, fd);
	int n;

	if (!f)
		return -EBADF;
	n = lx_fd_install(self, f, 0, false);
	if (n < 0)
		lx_file_put(f);
	return n;
}

static long dup_to(struct lx_task *self, int fd, int newfd, bool cloexec)
{
	struct lx_file *f = lx_fd_get_raw(self, fd);
	int n;

	if (!f)
		return -EBADF;
	n = lx_fd_replace(self, newfd, f, cloexec);
	if (n < 0)
		lx_file_put(f);
	return n;
}

long lx_sys_dup2(struct lx_task *self, int fd, int newfd)
{
	if (fd == newfd) {
		struct lx_file *f = lx_fd_get_raw(self, fd);

		if (!f)
			return -EBADF;
		lx_file_put(f);
		return newfd;
	}
	return dup_to(self, fd, newfd, false);
}

long lx_sys_dup3(struct lx_task *self, int fd, int newfd, int flags)
{
	if ((flags & ~O_CLOEXEC) || fd == newfd)
		return -EINVAL;
	return dup_to(self, fd, newfd, flags & O_CLOEXEC);
}

/* -- fcntl */

#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

static long set_flags(struct lx_task *self, struct lx_file *f, int fd, int flags)
{
	uint32_t old = atomic_load(&f->flags), want;
	int err;

	if ((f->inode->iflags & LX_INODE_APPEND) && (old & O_APPEND) && !(flags & O_APPEND))
		return -EPERM;
	if ((flags & O_NOATIME) && !(old & O_NOATIME) &&
	    !lx_inode_owner_or_capable(self, f->inode))
		return -EPERM;
	/* of pipes it means something else */
	if ((flags & O_DIRECT) && (f->inode->mode & S_IFMT) != S_IFIFO && !lx_inode_can_direct(f->inode))
		return -EINVAL;
	/* Files that send no signals keep the flag off, and say nothing. */
	if (((old ^ (uint32_t)flags) & FASYNC) && f->ops->async) {
		err = lx_async_set(self, f, fd, flags & FASYNC);
		if (err)
			return err;
		old = atomic_load(&f->flags);
	}
	do {
		want = (old & ~(uint32_t)SETFL_MASK) | ((uint32_t)flags & SETFL_MASK);
	} while (!atomic_compare_exchange_weak(&f->flags, &old, want));
	return 0;
}

static long dup_from(struct lx_task *self, struct lx_file *f, unsigned long min, bool cloexec)
{
	int n;

	if (min >= lx_rlimit(self, 7 /* NOFILE */))
		return -EINVAL;
	n = lx_fd_install(self, lx_file_get(f), (int)min, cloexec);
	if (n < 0)
		lx_file_put(f);
	return n;
}

/* Seals of memfds: in ipc, if it is there. */
long lx_memfd_fcntl(struct lx_file *f, unsigned int cmd, unsigned long arg);

__attribute__((weak)) long lx_memfd_fcntl(struct lx_file *f, unsigned int cmd, unsigned long arg)
{
	return -EINVAL;
}

static bool allowed_on_path(unsigned int cmd)
{
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_GETFD || cmd == F_SETFD ||
	       cmd == F_GETFL;
}

long lx_sys_fcntl(struct lx_task *self, int fd, unsigned int cmd, unsigned long arg)
{
	struct lx_file *f = lx_fd_get_raw(self, fd);
	long ret;

	if (!f)
		return -EBADF;
	if ((f->mode & LX_FMODE_PATH) && !allowed_on_path(cmd)) {
		lx_file_put(f);
		return -EBADF;
	}
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		ret = dup_from(self, f, arg, cmd == F_DUPFD_CLOEXEC);
		break;
	case F_GETFD:
		ret = lx_fd_get_cloexec(self, fd);
		break;
	case F_SETFD:
		ret = lx_fd_set_cloexec(self, fd, arg & FD_CLOEXEC);
		break;
	case F_GETFL:
		ret = (long)atomic_load(&f->flags);
		break;
	case F_SETFL:
		ret = set_flags(self, f, fd, (int)arg);
		break;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		ret = lx_fcntl_lock(self, fd, f, cmd, uaddr(arg));
		break;
	case F_SETOWN:
	case F_GETOWN:
	case F_SETOWN_EX:
	case F_GETOWN_EX:
	case F_SETSIG:
	case F_GETSIG:
		ret = lx_async_fcntl(self, f, cmd, arg);
		break;
	case F_SETPIPE_SZ:
	case F_GETPIPE_SZ:
		ret = lx_pipe_fcntl(f, cmd, arg);
		break;
	case 1033: /* F_ADD_SEALS */
	case 1034: /* F_GET_SEALS */
		ret = lx_memfd_fcntl(f, cmd, arg);
		break;
	case F_GETLEASE:
		ret = F_UNLCK;
		break;
	default:
		ret = -EINVAL;
		break;
	}
	lx_file_put(f);
	return ret;
}

/* -- ioctl */

static long set_flag_from(struct lx_file *f, uint32_t flag, unsigned long arg)
{
	int on;

	if (lx_copy_from_user(&on, uaddr(arg), sizeof(on)))
		return -EFAULT;
	if (on)
		atomic_fetch_or(&f->flags, flag);
	else
		atomic_fetch_and(&f->flags, ~flag);
	return 0;
}

static long set_async_from(struct lx_task *self, struct lx_file *f, int fd, unsigned long arg)
{
	int on;

	if (lx_copy_from_user(&on, uaddr(arg), sizeof(on)))
		return -EFAULT;
	if (!on == !(atomic_load(&f->flags) & FASYNC))
		return 0;
	return lx_async_set(self, f, fd, on);
}

static long regular_ioctl(struct lx_file *f, unsigned int cmd, unsigned long arg)
{
	if (cmd == FIONREAD) {
		int n = (int)((lx_off_t)f->inode->size - atomic_load(&f->pos));

		return lx_copy_to_user(uaddr(arg), &n, sizeof(n));
	}
	return -ENOTTY;
}

static long trim(struct lx_task *self, struct lx_file *f, uaddr_t at)
{
	const struct lx_super *sb = f->inode->sb;
	struct fstrim_range range;
	int err;

	if (!(lx_is_reg(f->inode) || lx_is_dir(f->inode)) || !sb->ops || !sb->ops->trim)
		return -ENOTTY;
	if (!lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	if (lx_copy_from_user(&range, at, sizeof(range)))
		return -EFAULT;
	err = sb->ops->trim(f->inode->sb, &range);
	return err ? err : lx_copy_to_user(at, &range, sizeof(range));
}

long lx_sys_ioctl(struct lx_task *self, int fd, unsigned int cmd, unsigned long arg)
{
	struct lx_file *f = lx_fd_get(self, fd);
	long ret;

	if (!f)
		return -EBADF;
	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
		ret = lx_fd_set_cloexec(self, fd, cmd == FIOCLEX);
		break;
	case FIONBIO:
		ret = set_flag_from(f, O_NONBLOCK, arg);
		break;
	case FIOASYNC:
		ret = set_async_from(self, f, fd, arg);
		break;
	case FIOQSIZE:
		if (lx_is_reg(f->inode) || lx_is_dir(f->inode) || lx_is_lnk(f->inode)) {
			int64_t size = (int64_t)f->inode->size;

			ret = lx_copy_to_user(uaddr(arg), &size, sizeof(size));
		} else {
			ret = -ENOTTY;
		}
		break;
	case FITRIM:
		ret = trim(self, f, uaddr(arg));
		break;
	case FS_IOC_GETFLAGS:
	case FS_IOC_SETFLAGS:
		if (f->inode->ops && f->inode->ops->get_flags) {
			ret = cmd == FS_IOC_GETFLAGS ? lx_ioctl_getflags(f, uaddr(arg))
						     : lx_ioctl_setflags(self, f, uaddr(arg));
			break;
		}
		__attribute__((fallthrough));
	default:
		if (f->ops->ioctl)
			ret = f->ops->ioctl(f, cmd, arg);
		else if (lx_is_reg(f->inode))
			ret = regular_ioctl(f, cmd, arg);
		else
			ret = -ENOTTY;
		break;
	}
	lx_file_put(f);
	return ret;
}
