/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing files through the page cache.
 *
 * Reads copy from the inode's memory object to the program without a kernel call and
 * without a lock; writes do it with the inode locked, so that they are atomic against
 * each other and against changes of the size.
 *
 * A copy that meets program memory which is not there stops short.  The locks are
 * dropped, the memory is made accessible, and the copy goes on: the program may be
 * reading a file into a mapping of the same file.
 */
#include <linux/capability.h>
#include <linux/fadvise.h>
#include <linux/inotify.h>
#include <linux/resource.h>
#include <asm/signal.h>

#include "lx/mm.h"
#include "lx/signal.h"
#include "vfs/pages_priv.h"

#define WRITE_CHUNK	(256u * 1024)	/* limits are checked this often */

/* -- reading */

/* A read by @f at @off needs pages: how many bytes to ask for at once. */
static uint64_t read_ahead(struct lx_file *f, const struct lx_inode *inode, uint64_t off, uint64_t n)
{
	uint64_t most = read_ahead_of(inode), window;

	n = MIN(n, MAX(most, (uint64_t)RA_NORMAL));
	if (!f)
		return n;
	rt_mutex_lock(&f->lock);
	if (f->advice == POSIX_FADV_SEQUENTIAL)
		most = MIN(2 * most, (uint64_t)RA_MAX);
	else if (f->advice == POSIX_FADV_RANDOM)
		most = 0;
	if (off == f->ra_next || (off & ~(PAGE - 1)) == f->ra_next)
		f->ra_size = MAX(f->ra_size * 2, (uint64_t)RA_MIN);
	else
		f->ra_size = RA_MIN;
	f->ra_size = MIN(f->ra_size, most);
	window = MAX(rounded(off % PAGE + n), f->ra_size);
	f->ra_next = ALIGN_DOWN(off, PAGE) + window;
	rt_mutex_unlock(&f->lock);
	return window;
}

static int64_t read_pages(struct lx_file *f, struct lx_inode *inode, struct lx_iter *to,
			  uint64_t *pos)
{
	int64_t total = 0;
	int err = 0;

	while (to->count) {
		uint64_t size = atomic_load_explicit(&inode->size, memory_order_acquire), n;
		size_t done;
		k_status_t st;

		if (*pos >= size)
			break;
		err = lx_pages_open(inode);
		if (err)
			break;
		n = MIN(to->count, size - *pos);
		st = lx_iter_put_memory(to, &inode->pages, *pos, n, &done);
		*pos += done;
		total += (int64_t)done;
		if (likely(st == K_OK))
			continue;
		if (st == K_ERR_NEED_PAGE) {
			err = lx_pages_fill(inode, *pos, read_ahead(f, inode, *pos, n - done));
			if (err == -ENOMEM && to->user && !lx_fatal_signal_pending(lx_self()) &&
			    lx_out_of_memory("page cache", true))
				err = 0;
		}
		else if (st == K_ERR_BAD_ADDRESS)
			err = lx_iter_fault_in(to, true);
		else if (st == K_ERR_BEYOND_END)
			break;		/* truncated meanwhile */
		else
			err = lx_errno(st);
		if (err)
			break;
	}
	return total ? total : err;
}

int64_t lx_pages_read(struct lx_file *f, struct lx_inode *inode, struct lx_iter *to, lx_off_t *pos)
{
	uint64_t at = (uint64_t)*pos;
	int64_t n = read_pages(f, inode, to, &at);

	*pos = (lx_off_t)at;
	return n;
}

int64_t lx_generic_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	int64_t n = lx_pages_read(f, f->inode, to, pos);

	if (!(atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NOATIME))
		lx_inode_accessed(f->path.mnt, f->inode);
	return n;
}

int64_t lx_pages_read_kernel(struct lx_inode *inode, void *buf, size_t n, uint64_t off)
{
	struct lx_iter it;
	int64_t total = 0, got;

	/* What stopped short is asked again: the caller wants to know why, and not take it for the end. */
	lx_iter_init_kernel(&it, buf, n);
	do {
		got = read_pages(NULL, inode, &it, &off);
		if (got < 0)
			return got;
		total += got;
	} while (got && it.count);
	return total;
}

/* -- writing */

int64_t lx_write_limit(struct lx_task *self, struct lx_inode *inode, uint64_t off, uint64_t n)
{
	unsigned long limit = self ? lx_rlimit(self, RLIMIT_FSIZE) : RLIM_INFINITY;
	uint64_t max = (uint64_t)inode->sb->max_bytes;

	if (limit != RLIM_INFINITY && lx_is_reg(inode)) {
		if (off >= limit) {
			struct lx_siginfo info = lx_siginfo_kernel(SIGXFSZ);

			lx_signal_task(self, &info);
			return -EFBIG;
		}
		n = MIN(n, limit - off);
	}
	if (off >= max)
		return -EFBIG;
	return (int64_t)MIN(n, max - off);
}

void lx_pages_remove_privs(struct lx_task *self, struct lx_inode *inode)
{
	lx_mode_t mode = inode->mode;

	if (likely(!(mode & (S_ISUID | S_ISGID))) || !lx_is_reg(inode) || !self ||
	    lx_capable(self, CAP_FSETID))
		return;
	mode &= ~(lx_mode_t)S_ISUID;
	if (mode & S_IXGRP)
		mode &= ~(lx_mode_t)S_ISGID;
	inode->mode = mode;
}

/*
 * A page behind the end of the file has nothing on the medium: it is zero.  Wanted for
 * one that is written in part, or whose writer's memory is not there.
 */
static k_status_t supply_zero(struct lx_inode *inode, uint64_t off)
{
	void *zeros = rt_zalloc(PAGE);
	k_status_t st = K_ERR_NO_MEMORY;

	if (zeros)
		st = k_memory_supply(inode->pages.handle, ALIGN_DOWN(off, PAGE), zeros, PAGE);
	rt_free(zeros);
	return st;
}

/*
 * The file became longer.  A write-back that took its pages before it knew leaves out
 * what is behind the old end: they are dirty again.  It first counts, then takes pages,
 * then looks at the size; here the size comes first, then the look at the count.
 */
static void lengthened(struct lx_inode *inode, uint32_t seq, uint64_t from, uint64_t end)
{
	struct k_clean mark = { .offset = ALIGN_DOWN(from, PAGE), .action = K_CLEAN_MARK };

	mark.length = rounded(end) - mark.offset;
	if (inode->ops->write_back &&
	    ((seq & 1) || atomic_load(&inode->writeback_seq) != seq))
		(void)!k_memory_clean(inode->pages.handle, &mark);
}

/*
 * One turn with the inode locked: write what can be written without faulting
 * memory in.  *@wrote counts what was.
 */
static int write_locked(struct lx_inode *inode, struct lx_iter *from, uint64_t off, uint64_t n,
			uint64_t *wrote)
{
	uint64_t grown = 0;
	k_status_t st = K_OK;
	int err = 0;

	*wrote = 0;
	while (n && !err && st == K_OK) {
		uint64_t len = MIN(n, (uint64_t)WRITE_CHUNK), size = inode->size;
		uint32_t seq = atomic_load(&inode->writeback_seq);
		size_t done = 0;

		if (inode->ops->prepare_write)
			err = inode->ops->prepare_write(inode, off, len);
		if (err == -ENOSPC && len > PAGE - off % PAGE) {
			/* fill up what is left page by page */
			len = PAGE - off % PAGE;
			err = inode->ops->prepare_write(inode, off, len);
		}
		if (err)
			break;
		err = lx_pages_open(inode);
		if (!err && rounded(off + len) > rounded(size))
			err = lx_pages_grow(inode, off + len);
		if (!err) {
			grown = MAX(grown, off + len);
			st = lx_iter_get_memory(from, &inode->pages, off, len, &done);
		}
		if (done < len && inode->ops->write_short)
			inode->ops->write_short(inode, off + done, len - done);
		off += done;
		n -= done;
		*wrote += done;
		if (done && off > size) {
			atomic_store(&inode->size, off);
			lengthened(inode, seq, off - done, off);
		}
		if (st == K_ERR_NEED_PAGE && ALIGN_DOWN(off, PAGE) >= rounded(inode->size))
			st = supply_zero(inode, off);
	}
	/* what was not copied is not there */
	if (rounded(inode->size) < rounded(grown))
		rt_memory_resize(&inode->pages, rounded(inode->size));
	if (err)
		return err;
	switch (st) {
	case K_OK:
		return 0;
	case K_ERR_BAD_ADDRESS:
	case K_ERR_NEED_PAGE:
		return -EAGAIN;		/* to be settled without the lock */
	case K_ERR_NO_MEMORY:
		/* memory is what such a file system consists of; others can give some back */
		return is_paged(inode) ? -ENOMEM : -ENOSPC;
	default:
		return lx_errno(st);
	}
}

int64_t lx_generic_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	return lx_pages_write(f, f->inode, from, pos);
}

int64_t lx_pages_write(struct lx_file *f, struct lx_inode *inode, struct lx_iter *from,
		       lx_off_t *pos)
{
	struct lx_task *self = lx_self();
	bool append = atomic_load_explicit(&f->flags, memory_order_relaxed) & O_APPEND;
	unsigned int tries = 0;
	int64_t total = 0;
	int err = 0;

	while (from->count && !err) {
		uint64_t off, wrote = 0;
		int64_t n;

		rt_mutex_lock(&inode->lock);
		off = append ? inode->size : (uint64_t)*pos;
		n = lx_write_limit(self, inode, off, from->count);
		if (n < 0) {
			err = (int)n;
		} else {
			lx_pages_remove_privs(self, inode);
			err = write_locked(inode, from, off, (uint64_t)n, &wrote);
			if (wrote) {
				lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
				*pos = (lx_off_t)(off + wrote);
				total += (int64_t)wrote;
			}
		}
		rt_mutex_unlock(&inode->lock);
		if (err == -EAGAIN && from->fault_addr)
			err = lx_iter_fault_in(from, false);
		else if (err == -EAGAIN)
			err = lx_pages_fill(inode, off + wrote, PAGE);
		else if (err == -ENOMEM && from->user && lx_find_memory("page cache", true, &tries))
			err = 0;
		else if (!err && (uint64_t)n == wrote && from->count)
			break;		/* a limit */
	}
	if (total)
		lx_notify(f->inode, f->path.dentry, IN_MODIFY);
	return total ? total : err;
}

int64_t lx_pages_write_kernel(struct lx_inode *inode, const void *buf, size_t n, uint64_t off)
{
	struct lx_iter it;
	uint64_t wrote;
	int err;

	lx_iter_init_kernel(&it, (void *)(uintptr_t)buf, n);
	rt_mutex_lock_nested(&inode->lock);
	err = write_locked(inode, &it, off, n, &wrote);
	rt_mutex_unlock(&inode->lock);
	return wrote ? (int64_t)wrote : err;
}

/* -- for the personality itself */

int64_t lx_file_read_kernel(struct lx_file *f, void *buf, size_t n, lx_off_t off)
{
	struct lx_iter it;

	if (!f->ops->read)
		return -EINVAL;
	lx_iter_init_kernel(&it, buf, n);
	return f->ops->read(f, &it, &off);
}

int64_t lx_file_write_kernel(struct lx_file *f, const void *buf, size_t n, lx_off_t off)
{
	struct lx_iter it;

	if (!f->ops->write)
		return -EINVAL;
	lx_iter_init_kernel(&it, (void *)(uintptr_t)buf, n);
	return f->ops->write(f, &it, &off);
}
