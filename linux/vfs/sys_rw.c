/* SPDX-License-Identifier: MIT */
/*
 * read, write and their relatives, lseek, sync, truncate, fallocate.
 */
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/inotify.h>
#include <asm/signal.h>

#include "lx/mm.h"
#include "lx/signal.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

/* -- one transfer */

static inline int64_t do_read(struct lx_task *self, struct lx_file *f, struct lx_iter *it,
			      lx_off_t *pos)
{
	int64_t n;

	if (unlikely(!f->ops->read))
		return lx_is_dir(f->inode) ? -EISDIR : -EINVAL;
	n = f->ops->read(f, it, pos);
	self->io_syscr++;
	if (n > 0) {
		self->io_rchar += (uint64_t)n;
		lx_notify(f->inode, f->path.dentry, IN_ACCESS);
	}
	return n;
}

static inline int64_t do_write(struct lx_task *self, struct lx_file *f, struct lx_iter *it,
			       lx_off_t *pos)
{
	int64_t n;

	if (unlikely(!f->ops->write))
		return -EINVAL;
	n = f->ops->write(f, it, pos);
	self->io_syscw++;
	if (n > 0) {
		self->io_wchar += (uint64_t)n;
		if (unlikely(atomic_load_explicit(&f->flags, memory_order_relaxed) & O_DSYNC) &&
		    f->ops->fsync) {
			int err = f->ops->fsync(f, 0, INT64_MAX, true);

			if (err)
				return err;
		}
	}
	return n;
}

int64_t lx_file_read(struct lx_task *self, struct lx_file *f, struct lx_iter *it, lx_off_t *pos)
{
	return do_read(self, f, it, pos);
}

int64_t lx_file_write(struct lx_task *self, struct lx_file *f, struct lx_iter *it, lx_off_t *pos)
{
	return do_write(self, f, it, pos);
}

/* At the file's own position, which moves. */
static int64_t transfer(struct lx_task *self, struct lx_file *f, struct lx_iter *it, bool write)
{
	lx_off_t pos, *ppos = NULL;
	bool lock = f->mode & LX_FMODE_ATOMIC_POS;
	int64_t n;

	if (lock)
		rt_mutex_lock(&f->pos_lock);
	if (f->mode & LX_FMODE_SEEK) {
		pos = atomic_load_explicit(&f->pos, memory_order_relaxed);
		ppos = &pos;
	}
	n = write ? do_write(self, f, it, ppos) : do_read(self, f, it, ppos);
	if (ppos && n > 0)
		atomic_store_explicit(&f->pos, pos, memory_order_relaxed);
	if (lock)
		rt_mutex_unlock(&f->pos_lock);
	return n;
}

struct lx_file *lx_fd_get_mode(struct lx_task *self, int fd, uint32_t mode)
{
	struct lx_file *f = lx_fd_get(self, fd);

	if (f && unlikely(!(f->mode & mode))) {
		lx_file_put(f);
		return NULL;
	}
	return f;
}

/* Is the buffer in the program's half at all?  (What is mapped there is seen when it is touched.) */
static bool range_ok(uaddr_t buf, uint64_t n)
{
	return range_within(buf.v, n, K_PROGRAM_MAX);
}

static long rw(struct lx_task *self, int fd, uaddr_t buf, size_t count, bool write)
{
	struct lx_file *f = lx_fd_get_mode(self, fd, write ? LX_FMODE_WRITE : LX_FMODE_READ);
	struct lx_iter it;
	long n;

	if (unlikely(!f))
		return -EBADF;
	if (unlikely((int64_t)count < 0)) {
		n = -EINVAL;
	} else if (unlikely(!range_ok(buf, count))) {
		n = -EFAULT;
	} else {
		lx_iter_init_user(&it, buf, count);
		n = transfer(self, f, &it, write);
	}
	lx_file_put(f);
	return n;
}

long lx_sys_read(struct lx_task *self, int fd, uaddr_t buf, size_t count)
{
	return rw(self, fd, buf, count, false);
}

long lx_sys_write(struct lx_task *self, int fd, uaddr_t buf, size_t count)
{
	return rw(self, fd, buf, count, true);
}

static long rwv(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr, bool write)
{
	struct lx_file *f = lx_fd_get_mode(self, fd, write ? LX_FMODE_WRITE : LX_FMODE_READ);
	struct lx_iter it;
	long n;

	if (!f)
		return -EBADF;
	n = lx_iter_import(&it, iov, nr);
	if (!n) {
		n = it.count || !(f->mode & LX_FMODE_SEEK) ? transfer(self, f, &it, write) : 0;
		lx_iter_free(&it);
	}
	lx_file_put(f);
	return n;
}

long lx_sys_readv(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr)
{
	return rwv(self, fd, iov, nr, false);
}

long lx_sys_writev(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr)
{
	return rwv(self, fd, iov, nr, true);
}

/* At a position of the caller's. */
static long at(struct lx_task *self, struct lx_file *f, struct lx_iter *it, lx_off_t pos, bool write)
{
	int64_t end;

	if (!(f->mode & LX_FMODE_SEEK))
		return -ESPIPE;
	if (__builtin_add_overflow(pos, (int64_t)it->count, &end))
		return -EINVAL;
	return write ? do_write(self, f, it, &pos) : do_read(self, f, it, &pos);
}

static long prw(struct lx_task *self, int fd, uaddr_t buf, size_t count, lx_off_t pos, bool write)
{
	struct lx_file *f;
	struct lx_iter it;
	long n;

	if (pos < 0)
		return -EINVAL;
	f = lx_fd_get_mode(self, fd, write ? LX_FMODE_WRITE : LX_FMODE_READ);
	if (!f)
		return -EBADF;
	lx_iter_init_user(&it, buf, count);
	n = (int64_t)count < 0 ? -EINVAL : !range_ok(buf, count) ? -EFAULT
								  : at(self, f, &it, pos, write);
	lx_file_put(f);
	return n;
}

long lx_sys_pread64(struct lx_task *self, int fd, uaddr_t buf, size_t count, int64_t pos)
{
	return prw(self, fd, buf, count, pos, false);
}

long lx_sys_pwrite64(struct lx_task *self, int fd, uaddr_t buf, size_t count, int64_t pos)
{
	return prw(self, fd, buf, count, pos, true);
}

static long prwv(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr, lx_off_t pos,
		 bool write)
{
	struct lx_file *f;
	struct lx_iter it;
	long n;

	if (pos < 0)
		return -EINVAL;
	f = lx_fd_get_mode(self, fd, write ? LX_FMODE_WRITE : LX_FMODE_READ);
	if (!f)
		return -EBADF;
	n = lx_iter_import(&it, iov, nr);
	if (!n) {
		n = at(self, f, &it, pos, write);
		lx_iter_free(&it);
	}
	lx_file_put(f);
	return n;
}

long lx_sys_preadv(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr, unsigned long low,
		   unsigned long high)
{
	return prwv(self, fd, iov, nr, (lx_off_t)low, false);
}

long lx_sys_pwritev(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr,
		    unsigned long low, unsigned long high)
{
	return prwv(self, fd, iov, nr, (lx_off_t)low, true);
}

/* What RWF_* can be honoured: data in memory never blocks, and is as safe as it gets. */
static int rwf_check(unsigned int flags)
{
	return flags & ~(unsigned int)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)
		       ? -EOPNOTSUPP : 0;
}

long lx_sys_preadv2(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr,
		    unsigned long low, unsigned long high, unsigned int flags)
{
	int err = rwf_check(flags & ~(unsigned int)RWF_APPEND);

	if (err)
		return err;
	return (lx_off_t)low == -1 ? rwv(self, fd, iov, nr, false)
				   : prwv(self, fd, iov, nr, (lx_off_t)low, false);
}

long lx_sys_pwritev2(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr,
		     unsigned long low, unsigned long high, unsigned int flags)
{
	struct lx_file *f;
	struct lx_iter it;
	long n = rwf_check(flags);

	if (n)
		return n;
	if (!(flags & RWF_APPEND))
		return (lx_off_t)low == -1 ? rwv(self, fd, iov, nr, true)
					   : prwv(self, fd, iov, nr, (lx_off_t)low, true);
	f = lx_fd_get_mode(self, fd, LX_FMODE_WRITE);
	if (!f)
		return -EBADF;
	n = lx_iter_import(&it, iov, nr);
	if (!n) {
		lx_off_t pos = (lx_off_t)f->inode->size;

		n = do_write(self, f, &it, &pos);
		lx_iter_free(&it);
	}
	lx_file_put(f);
	return n;
}

long lx_sys_lseek(struct lx_task *self, int fd, int64_t off, int whence)
{
	struct lx_file *f = lx_fd_get(self, fd);
	long n;

	if (!f)
		return -EBADF;
	if ((unsigned int)whence > 4) {
		n = -EINVAL;
	} else if (!(f->mode & LX_FMODE_SEEK)) {
		n = -ESPIPE;
	} else {
		bool lock = f->mode & LX_FMODE_ATOMIC_POS;

		if (lock)
			rt_mutex_lock(&f->pos_lock);
		n = f->ops->llseek ? f->ops->llseek(f, off, whence)
				   : lx_generic_llseek(f, off, whence);
		if (lock)
			rt_mutex_unlock(&f->pos_lock);
	}
	lx_file_put(f);
	return n;
}

/* -- to the medium */

static long do_fsync(struct lx_task *self, int fd, bool datasync)
{
	struct lx_file *f = lx_fd_get(self, fd);
	long err;

	if (!f)
		return -EBADF;
	if (f->ops->fsync)
		err = f->ops->fsync(f, 0, INT64_MAX, datasync);
	else
		err = lx_is_reg(f->inode) || lx_is_dir(f->inode) ? 0 : -EINVAL;
	lx_file_put(f);
	return err;
}

long lx_sys_fsync(struct lx_task *self, int fd)
{
	return do_fsync(self, fd, false);
}

long lx_sys_fdatasync(struct lx_task *self, int fd)
{
	return do_fsync(self, fd, true);
}

long lx_sys_sync_file_range(struct lx_task *self, int fd, int64_t off, int64_t count,
			    unsigned int flags)
{
	struct lx_file *f;
	lx_mode_t type;
	int64_t end;

	if ((flags & ~7u) || off < 0 || count < 0 || __builtin_add_overflow(off, count, &end))
		return -EINVAL;
	f = lx_fd_get(self, fd);
	if (!f)
		return -EBADF;
	type = f->inode->mode & S_IFMT;
	lx_file_put(f);
	return type == S_IFREG || type == S_IFDIR || type == S_IFBLK || type == S_IFLNK ? 0
											 : -ESPIPE;
}

long lx_sys_sync(struct lx_task *self)
{
	lx_supers_sync();
	return 0;
}

long lx_sys_syncfs(struct lx_task *self, int fd)
{
	struct lx_file *f = lx_fd_get(self, fd);
	struct lx_super *sb;
	int err = 0, late;

	if (!f)
		return -EBADF;
	sb = f->inode->sb;
	if (sb->ops && sb->ops->sync)
		err = sb->ops->sync(sb);
	/* data that was lost before, too */
	late = lx_errseq_tell(&sb->wb_error, &f->sb_wb_seen);
	err = err ? err : late;
	lx_file_put(f);
	return err;
}

/* -- sizes */

static int check_fsize(struct lx_task *self, lx_off_t length, struct lx_inode *inode)
{
	if (length < 0)
		return -EINVAL;
	if (length > inode->sb->max_bytes)
		return -EFBIG;
	if ((uint64_t)length > inode->size && (uint64_t)length > lx_rlimit(self, 1 /* FSIZE */)) {
		struct lx_siginfo info = lx_siginfo_kernel(SIGXFSZ);

		lx_signal_task(self, &info);
		return -EFBIG;
	}
	return 0;
}

static int set_size(struct lx_task *self, const struct lx_path *p, lx_off_t length)
{
	struct lx_attr a = { .valid = LX_ATTR_SIZE | LX_ATTR_MTIME | LX_ATTR_KILL_PRIV,
			     .size = (uint64_t)length, .mtime = lx_now_coarse() };
	struct lx_inode *inode = lx_d_inode(p->dentry);
	int err = check_fsize(self, length, inode);

	if (!err && inode->ops && !inode->ops->truncate && !inode->ops->setattr)
		err = -EINVAL;
	if (!err)
		err = lx_inode_setattr(self, p, &a);
	if (!err)
		lx_notify(inode, p->dentry, IN_MODIFY);
	return err;
}

long lx_sys_truncate(struct lx_task *self, uaddr_t name, int64_t length)
{
	struct lx_path p;
	struct lx_inode *inode;
	int err;

	if (length < 0)
		return -EINVAL;
	err = lx_path_at_user(self, AT_FDCWD, name, LX_LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	inode = lx_d_inode(p.dentry);
	if (lx_is_dir(inode))
		err = -EISDIR;
	else if (!lx_is_reg(inode))
		err = -EINVAL;
	if (!err)
		err = lx_want_write(&p);
	if (!err)
		err = lx_inode_permission(self, inode, LX_MAY_WRITE);
	if (!err && (inode->iflags & LX_INODE_APPEND))
		err = -EPERM;
	if (!err)
		err = lx_get_write(inode);
	if (!err) {
		err = set_size(self, &p, length);
		lx_put_write(inode);
	}
	lx_path_put(&p);
	return err;
}

long lx_sys_ftruncate(struct lx_task *self, int fd, int64_t length)
{
	struct lx_file *f;
	int err;

	if (length < 0)
		return -EINVAL;
	f = lx_fd_get(self, fd);
	if (!f)
		return -EBADF;
	if (!lx_is_reg(f->inode) || !(f->mode & LX_FMODE_WRITE))
		err = -EINVAL;
	else if (f->inode->iflags & LX_INODE_APPEND)
		err = -EPERM;
	else
		err = set_size(self, &f->path, length);
	lx_file_put(f);
	return err;
}

long lx_sys_fallocate(struct lx_task *self, int fd, int mode, int64_t off, int64_t len)
{
	struct lx_file *f = lx_fd_get(self, fd);
	int64_t end;
	long err = 0;

	if (!f)
		return -EBADF;
	if (off < 0 || len <= 0)
		err = -EINVAL;
	else if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_NO_HIDE_STALE |
			  FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE |
			  FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE))
		err = -EOPNOTSUPP;
	else if ((mode & FALLOC_FL_PUNCH_HOLE) &&
		 ((mode & FALLOC_FL_ZERO_RANGE) || !(mode & FALLOC_FL_KEEP_SIZE)))
		err = -EOPNOTSUPP;
	else if ((mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) && (mode & (mode - 1)))
		err = -EINVAL;		/* alone, or not at all */
	else if (!(f->mode & LX_FMODE_WRITE))
		err = -EBADF;
	else if (((mode & ~FALLOC_FL_KEEP_SIZE) && (f->inode->iflags & LX_INODE_APPEND)) ||
		 (f->inode->iflags & LX_INODE_IMMUTABLE))
		err = -EPERM;
	else if ((f->inode->mode & S_IFMT) == S_IFIFO)
		err = -ESPIPE;
	else if (lx_is_dir(f->inode))
		err = -EISDIR;
	else if (!lx_is_reg(f->inode) && (f->inode->mode & S_IFMT) != S_IFBLK)
		err = -ENODEV;
	else if (__builtin_add_overflow(off, len, &end) || end > f->inode->sb->max_bytes)
		err = -EFBIG;
	else if (!f->ops->fallocate)
		err = -EOPNOTSUPP;
	else
		err = f->ops->fallocate(f, mode, off, len);
	if (!err)
		lx_notify(f->inode, f->path.dentry, IN_MODIFY);
	lx_file_put(f);
	return err;
}

long lx_sys_readahead(struct lx_task *self, int fd, int64_t off, size_t count)
{
	struct lx_file *f = lx_fd_get_mode(self, fd, LX_FMODE_READ);
	long err = 0;

	if (!f)
		return -EBADF;
	if ((int64_t)count < 0)
		err = -EINVAL;
	else if (!lx_is_reg(f->inode) && (f->inode->mode & S_IFMT) != S_IFBLK)
		err = -EINVAL;
	else if (off >= 0)
		lx_pages_populate(f->inode, (uint64_t)off, count);
	lx_file_put(f);
	return err;
}

static void drop_pages(struct lx_inode *inode, uint64_t start, uint64_t end)
{
	inode = lx_pages_inode(inode);
	if (inode)
		lx_pages_drop(inode, start, MAX(start, end), false);
}

static void set_advice(struct lx_file *f, int advice)
{
	rt_mutex_lock(&f->lock);
	f->advice = advice;
	rt_mutex_unlock(&f->lock);
}

long lx_sys_fadvise64(struct lx_task *self, int fd, int64_t off, size_t len, int advice)
{
	struct lx_file *f = lx_fd_get(self, fd);
	long err = 0;

	if (!f)
		return -EBADF;
	if ((f->inode->mode & S_IFMT) == S_IFIFO)
		err = -ESPIPE;
	else if ((int64_t)len < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE)
		err = -EINVAL;
	else if (advice == POSIX_FADV_DONTNEED && off >= 0)
		drop_pages(f->inode, (uint64_t)off, len ? (uint64_t)off + len : UINT64_MAX);
	else if (advice == POSIX_FADV_WILLNEED && off >= 0)
		lx_pages_populate(f->inode, (uint64_t)off, len ? len : SIZE_MAX);
	else if (advice <= POSIX_FADV_SEQUENTIAL)
		set_advice(f, advice);
	lx_file_put(f);
	return err;
}
