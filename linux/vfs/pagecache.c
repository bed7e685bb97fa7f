/* SPDX-License-Identifier: MIT */
/*
 * The page cache: one memory object per inode.
 *
 * Reads copy from the object to the program without a kernel call and without a
 * lock; writes do it with the inode locked, so that they are atomic against each
 * other and against changes of the size.  mmap maps the object itself.
 *
 * The object's size is that of the file rounded up to pages, so that touching a
 * mapping beyond the last page is an error (SIGBUS), and what lies between the
 * file's end and the end of its last page is zero.  Memory-only file systems use
 * objects whose missing pages are zeros; those on media use PAGED objects, whose
 * missing pages fill() reads through the inode's readpage.
 *
 * A copy that meets program memory which is not there stops short.  The locks are
 * dropped, the memory is made accessible, and the copy goes on: the program may be
 * reading a file into a mapping of the same file.
 */
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/inotify.h>
#include <linux/resource.h>
#include <asm/mman.h>
#include <asm/signal.h>

#include "abi/calls.h"
#include "lx/mm.h"
#include "lx/signal.h"
#include "vfs/vfs_priv.h"

#define PAGE		((uint64_t)K_PAGE_SIZE)
#define RA_MIN		(32u * 1024)
#define RA_MAX		(128u * 1024)
#define SUPPLY_TRIES	8u
#define POPULATE_MAX	(4u * 1024 * 1024)	/* what readahead(2) reads at once */
#define WRITE_CHUNK	(256u * 1024)	/* limits are checked this often */

k_handle_t lx_memory_group;

static uint64_t rounded(uint64_t size)
{
	return ALIGN_UP(size, PAGE);
}

static bool is_paged(const struct lx_inode *inode)
{
	return inode->ops && (inode->ops->readpage || inode->ops->readpages);
}

static uint32_t memory_flags(const struct lx_inode *inode)
{
	if (!is_paged(inode))
		return 0;
	return inode->ops->write_back ? K_MEMORY_PAGED | K_MEMORY_WRITE_FAULTS : K_MEMORY_PAGED;
}

struct lx_inode *lx_pages_inode(struct lx_inode *inode)
{
	if ((inode->mode & S_IFMT) == S_IFBLK && !is_paged(inode))
		return lx_blkdev_pages(inode->rdev);
	return inode->ops && inode->ops->pages_of ? inode->ops->pages_of(inode) : inode;
}

int lx_pages_open(struct lx_inode *inode)
{
	k_status_t st = K_OK;

	/* acquire: pairs with the release below */
	if (likely(atomic_load_explicit(&inode->has_pages, memory_order_acquire)))
		return 0;
	rt_mutex_lock_nested(&inode->pages_lock);
	if (!atomic_load_explicit(&inode->has_pages, memory_order_relaxed)) {
		st = rt_memory_create(&inode->pages, lx_memory_group, rounded(inode->size),
				      memory_flags(inode));
		if (st == K_OK && is_paged(inode))
			lx_reclaim_add(inode);
		if (st == K_OK)
			atomic_store_explicit(&inode->has_pages, true, memory_order_release);
	}
	rt_mutex_unlock(&inode->pages_lock);
	return st == K_OK ? 0 : -ENOMEM;
}

void lx_pages_close(struct lx_inode *inode)
{
	if (atomic_load(&inode->has_pages)) {
		if (is_paged(inode))
			lx_reclaim_remove(inode);
		rt_memory_close(&inode->pages);
	}
	if (atomic_load_explicit(&inode->dirty_bytes, memory_order_relaxed))
		lx_dirty_written(lx_dirty_take(inode));
	atomic_store(&inode->has_pages, false);
}

static uint64_t next_page(struct lx_inode *inode, uint64_t off, uint32_t what)
{
	uint64_t found;

	if (k_memory_next(inode->pages.handle, off, what, &found) != K_OK)
		return UINT64_MAX;
	return found;
}

uint64_t lx_pages_resident(struct lx_inode *inode)
{
	struct k_memory_info info;

	if (!atomic_load(&inode->has_pages) ||
	    k_memory_info(inode->pages.handle, &info) != K_OK)
		return 0;
	return info.resident_pages;
}

/* -- pages from media */

static int read_from_media(struct lx_inode *inode, uint64_t off, char *buf, size_t n)
{
	if (inode->ops->readpages)
		return inode->ops->readpages(inode, off, buf, n);
	for (size_t i = 0; i < n; i += PAGE) {
		int err = inode->ops->readpage(inode, off + i, buf + i);

		if (err)
			return err;
	}
	return 0;
}

/* Into the page cache, at the cost of other pages if it must be. */
static int supply(struct lx_inode *inode, uint64_t off, const void *buf, uint64_t n)
{
	k_status_t st;

	for (unsigned tries = 0; tries < SUPPLY_TRIES; tries++) {
		st = k_memory_supply(inode->pages.handle, off, buf, n);
		if (st != K_ERR_NO_MEMORY || !lx_reclaim_pages(2 * n / PAGE))
			break;
		n = PAGE;		/* what is read ahead must not cost what is needed */
	}
	return st == K_OK ? 0 : lx_errno(st);
}

/* Have the page at @off, and up to @want bytes from there on if they are missing too. */
static int fill(struct lx_inode *inode, uint64_t off, uint64_t want)
{
	uint64_t end = rounded(inode->size), next, n;
	char *buf;
	int err;

	off = ALIGN_DOWN(off, PAGE);
	if (off >= end)
		return -EIO;
	err = lx_pages_open(inode);
	if (err)
		return err;
	rt_mutex_lock_nested(&inode->pages_lock);
	next = next_page(inode, off, K_NEXT_DATA);
	if (next == off)
		goto out;		/* somebody else filled it */
	n = MIN(MAX(rounded(want), PAGE), (uint64_t)RA_MAX);
	n = MIN(n, end - off);
	if (next < off + n)
		n = next - off;
	buf = rt_alloc(n);
	if (!buf && n > PAGE) {
		n = PAGE;
		buf = rt_alloc(n);
	}
	err = buf ? read_from_media(inode, off, buf, n) : -ENOMEM;
	if (buf && (err == -EIO || err == -ENOMEM) && n > PAGE) {
		/* the wanted page may be fine */
		n = PAGE;
		err = read_from_media(inode, off, buf, n);
	}
	if (!err)
		err = supply(inode, off, buf, n);
	rt_free(buf);
out:
	rt_mutex_unlock(&inode->pages_lock);
	return err;
}

int lx_inode_fill_page(struct lx_inode *inode, uint64_t off)
{
	inode = lx_pages_inode(inode);
	if (!inode || !is_paged(inode))
		return -EIO;
	/* neighbours are likely wanted next: aligned, so that clusters do not overlap */
	return fill(inode, off, RA_MIN * 2 - off % (RA_MIN * 2));
}

void lx_pages_populate(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	uint64_t end;

	if (inode->ops && inode->ops->pages_of)
		inode = inode->ops->pages_of(inode);
	n = MIN(n, (uint64_t)POPULATE_MAX);
	if (!is_paged(inode) || lx_pages_open(inode) || __builtin_add_overflow(off, n, &end))
		return;
	end = MIN(end, rounded(inode->size));
	for (off = ALIGN_DOWN(off, PAGE); off < end; off += PAGE) {
		off = next_page(inode, off, K_NEXT_HOLE);
		if (off >= end || fill(inode, off, end - off) || lx_signal_pending(lx_self()))
			break;
	}
}

/* The page is there and clean: it becomes dirty. */
static int write_page(struct lx_inode *inode, uint64_t off)
{
	struct k_clean mark = { .offset = ALIGN_DOWN(off, PAGE), .length = PAGE,
				.action = K_CLEAN_MARK };
	uint64_t size;
	int err = 0;

	rt_mutex_lock(&inode->lock);
	size = inode->size;
	if (mark.offset >= size)
		err = -EIO;
	else
		err = inode->ops->prepare_write(inode, mark.offset, MIN(PAGE, size - mark.offset));
	if (!err) {
		lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
		if (k_memory_clean(inode->pages.handle, &mark) != K_OK)
			err = -EIO;
	}
	rt_mutex_unlock(&inode->lock);
	return err;
}

int lx_inode_settle_page(struct lx_inode *inode, uint64_t off, bool write)
{
	if (inode->ops->pages_of)
		inode = inode->ops->pages_of(inode);
	off = ALIGN_DOWN(off, PAGE);
	if (write && inode->ops->write_back && atomic_load(&inode->has_pages) &&
	    next_page(inode, off, K_NEXT_DATA) == off)
		return write_page(inode, off);
	return lx_inode_fill_page(inode, off);
}

/* -- to media */

static void count_writeback(struct lx_inode *inode)
{
	/* pages_lock: nobody is deciding now whether clean pages may be dropped */
	rt_mutex_lock_nested(&inode->pages_lock);
	lx_reclaim_count_writeback(inode);
	rt_mutex_unlock(&inode->pages_lock);
}

void lx_inode_begin_writeback(struct lx_inode *inode)
{
	count_writeback(inode);
}

void lx_inode_end_writeback(struct lx_inode *inode)
{
	count_writeback(inode);
}

/* A read by @f at @off needs pages: how many bytes to ask for at once. */
static uint64_t read_ahead(struct lx_file *f, uint64_t off, uint64_t n)
{
	uint64_t window;

	if (!f)
		return n;
	rt_mutex_lock(&f->lock);
	if (off == f->ra_next || (off & ~(PAGE - 1)) == f->ra_next)
		f->ra_size = MIN(MAX(f->ra_size * 2, (uint64_t)RA_MIN), (uint64_t)RA_MAX);
	else
		f->ra_size = RA_MIN;
	window = CLAMP(n, f->ra_size, (uint64_t)RA_MAX);
	f->ra_next = ALIGN_DOWN(off, PAGE) + window;
	rt_mutex_unlock(&f->lock);
	return window;
}

/* -- reading */

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
			err = fill(inode, *pos, read_ahead(f, *pos, n - done));
			if (err == -ENOMEM && to->user && !lx_fatal_signal_pending(lx_self()) &&
			    lx_out_of_memory("page cache"))
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

/* -- size changes: inode locked */

int lx_pages_grow(struct lx_inode *inode, uint64_t size)
{
	int err = lx_pages_open(inode);
	k_status_t st;

	if (err)
		return err;
	st = rt_memory_resize(&inode->pages, rounded(size));
	if (st == K_ERR_BAD_ARGUMENT)
		return -EFBIG;		/* larger than a memory object may be */
	return st == K_OK ? 0 : -ENOMEM;
}

/* Zero [off, off + n) within pages that exist; holes are zero already. */
static int zero_existing(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	static const char zeros[512];

	while (n) {
		uint64_t page = ALIGN_DOWN(off, PAGE), len = MIN(n, page + PAGE - off);

		if (next_page(inode, page, K_NEXT_DATA) == page) {
			for (uint64_t i = 0; i < len;) {
				size_t done;

				if (rt_memory_write(&inode->pages, off + i, zeros,
						    MIN(len - i, sizeof(zeros)), &done) != K_OK)
					return -EIO;
				i += done;
			}
		}
		off += len;
		n -= len;
	}
	return 0;
}

int lx_pages_truncate(struct lx_inode *inode, uint64_t size)
{
	uint64_t old = inode->size;
	k_status_t st = K_OK;
	int err = 0;

	if (size > (uint64_t)inode->sb->max_bytes)
		return -EFBIG;
	if (!atomic_load(&inode->has_pages)) {
		atomic_store(&inode->size, size);
		return 0;
	}
	if (size < old) {
		atomic_store(&inode->size, size);
		if (size % PAGE)
			err = zero_existing(inode, size, MIN(rounded(size), rounded(old)) - size);
	}
	if (rounded(size) != rounded(old))
		st = rt_memory_resize(&inode->pages, rounded(size));
	if (st != K_OK)
		return -ENOMEM;
	atomic_store_explicit(&inode->size, size, memory_order_release);
	return err;
}

/* Whole pages go, the edges are zeroed. */
int lx_pages_punch(struct lx_inode *inode, uint64_t off, uint64_t len)
{
	uint64_t end = off + len, first = rounded(off), last = ALIGN_DOWN(end, PAGE);
	uint64_t limit = rounded(inode->size);
	int err = 0;

	if (!atomic_load(&inode->has_pages) || off >= limit)
		return 0;
	end = MIN(end, limit);
	last = MIN(last, limit);
	if (first >= last)		/* less than a page and maybe two edges */
		return zero_existing(inode, off, end - off);
	if (first > off)
		err = zero_existing(inode, off, first - off);
	if (!err && end > last)
		err = zero_existing(inode, last, end - last);
	if (!err && k_memory_discard(inode->pages.handle, first, last - first) != K_OK)
		err = -EIO;
	return err;
}

int lx_pages_zero(struct lx_inode *inode, uint64_t off, uint64_t len)
{
	return lx_pages_punch(inode, off, len);
}

lx_off_t lx_pages_seek(struct lx_inode *inode, lx_off_t off, bool data)
{
	uint64_t size = inode->size, found;

	if (off < 0 || (uint64_t)off >= size)
		return -ENXIO;
	if (is_paged(inode))
		return data ? off : (lx_off_t)size;
	if (!atomic_load(&inode->has_pages))
		return data ? -ENXIO : off;
	found = next_page(inode, ALIGN_DOWN((uint64_t)off, PAGE), data ? K_NEXT_DATA : K_NEXT_HOLE);
	if (found == UINT64_MAX)
		found = size;
	found = MAX(found, (uint64_t)off);
	if (found >= size)
		return data ? -ENXIO : (lx_off_t)size;
	return (lx_off_t)found;
}

/* -- writing */

/* RLIMIT_FSIZE and the file system's largest file: how many of @n bytes may be written at @off. */
static int64_t write_limit(struct lx_task *self, struct lx_inode *inode, uint64_t off, uint64_t n)
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

/* Writing takes set-id bits away from whoever may not give them.  Inode locked. */
static void remove_privs(struct lx_task *self, struct lx_inode *inode)
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

/* Tries, when a write finds no memory although there is some: others may have given it back just now. */
#define WRITE_TRIES 4u

/* Of a write that came no further for want of memory: shall it go on?  Sleeps; no locks held. */
static bool find_memory(unsigned int *tries)
{
	if (lx_fatal_signal_pending(lx_self()))
		return false;
	if (!lx_memory_is_low()) {
		/* Whatever this failed of, giving pages up for ever would not help. */
		if (!*tries)
			return false;
		--*tries;
	}
	return lx_out_of_memory("page cache");
}

int64_t lx_pages_write(struct lx_file *f, struct lx_inode *inode, struct lx_iter *from,
		       lx_off_t *pos)
{
	struct lx_task *self = lx_self();
	bool append = atomic_load_explicit(&f->flags, memory_order_relaxed) & O_APPEND;
	unsigned int tries = WRITE_TRIES;
	int64_t total = 0;
	int err = 0;

	while (from->count && !err) {
		uint64_t off, wrote = 0;
		int64_t n;

		rt_mutex_lock(&inode->lock);
		off = append ? inode->size : (uint64_t)*pos;
		n = write_limit(self, inode, off, from->count);
		if (n < 0) {
			err = (int)n;
		} else {
			remove_privs(self, inode);
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
			err = fill(inode, off + wrote, PAGE);
		else if (err == -ENOMEM && from->user && find_memory(&tries))
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

/* -- mmap, seek, allocate */

int lx_generic_mmap(struct lx_file *f, struct lx_mmap *m)
{
	return lx_pages_mmap(f, f->inode, m);
}

int lx_pages_mmap(struct lx_file *f, struct lx_inode *inode, struct lx_mmap *m)
{
	int err;

	if (f->path.mnt && (atomic_load(&f->path.mnt->flags) & LX_MNT_NOEXEC)) {
		if (m->prot & PROT_EXEC)
			return -EPERM;
		m->max_prot &= ~K_PROT_EXEC;
	}
	err = lx_pages_open(inode);
	if (err)
		return err;
	if (!(inode->iflags & LX_INODE_MAPPED)) {
		rt_mutex_lock(&inode->lock);
		inode->iflags |= LX_INODE_MAPPED;
		rt_mutex_unlock(&inode->lock);
	}
	m->memory = inode->pages.handle;
	if (!(atomic_load(&f->flags) & O_NOATIME))
		lx_inode_accessed(f->path.mnt, inode);
	return 0;
}

lx_off_t lx_generic_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	lx_off_t max = f->inode->sb->max_bytes, base;

	switch (whence) {
	case 0: /* SEEK_SET */
		base = 0;
		break;
	case 1: /* SEEK_CUR */
		base = atomic_load(&f->pos);
		if (!off)
			return base;
		break;
	case 2: /* SEEK_END */
		base = (lx_off_t)f->inode->size;
		break;
	case 3: /* SEEK_DATA */
	case 4: /* SEEK_HOLE */
		if (!lx_is_reg(f->inode))
			return -EINVAL;
		rt_mutex_lock(&f->inode->lock);
		off = lx_pages_seek(f->inode, off, whence == 3);
		rt_mutex_unlock(&f->inode->lock);
		if (off < 0)
			return off;
		base = 0;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, off, &off) || off < 0 || off > max)
		return -EINVAL;
	atomic_store(&f->pos, off);
	return off;
}

int lx_pages_fallocate(struct lx_inode *inode, int mode, lx_off_t off, lx_off_t len)
{
	uint64_t end = (uint64_t)off + (uint64_t)len;
	int err = 0;

	/* as Linux's tmpfs: nothing more */
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (is_paged(inode))
		return -EOPNOTSUPP;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > lx_rlimit(lx_self(), RLIMIT_FSIZE))
		return -EFBIG;
	rt_mutex_lock(&inode->lock);
	remove_privs(lx_self(), inode);
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		err = lx_pages_punch(inode, (uint64_t)off, (uint64_t)len);
		if (!err && inode->ops->hole_punched)
			inode->ops->hole_punched(inode, (uint64_t)off, (uint64_t)len);
	} else if (inode->ops->prepare_write) {
		/* memory is not set aside; that there is room for it is */
		err = inode->ops->prepare_write(inode, (uint64_t)off, (uint64_t)len);
	}
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size)
		err = lx_pages_truncate(inode, end);
	if (!err)
		lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
	rt_mutex_unlock(&inode->lock);
	return err;
}

static int regular_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len)
{
	return lx_pages_fallocate(f->inode, mode, off, len);
}

static int regular_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync)
{
	struct lx_super *sb = f->inode->sb;

	return sb->ops && sb->ops->sync ? sb->ops->sync(sb) : 0;
}

const struct lx_file_ops lx_regular_fops = {
	.read = lx_generic_read,
	.write = lx_generic_write,
	.mmap = lx_generic_mmap,
	.llseek = lx_generic_llseek,
	.fallocate = regular_fallocate,
	.fsync = regular_fsync,
};

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
