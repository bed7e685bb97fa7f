/* SPDX-License-Identifier: MIT */
/*
 * The page cache: one memory object per inode.
 *
 * The object's size is that of the file rounded up to pages, so that touching a
 * mapping beyond the last page is an error (SIGBUS), and what lies between the
 * file's end and the end of its last page is zero.  Memory-only file systems use
 * objects whose missing pages are zeros; those on media use PAGED objects, whose
 * missing pages lx_pages_fill() reads through the inode's readpage.
 */
#include "lx/signal.h"
#include "vfs/pages_priv.h"

#define SUPPLY_TRIES	8u
#define POPULATE_MAX	(4u * 1024 * 1024)	/* what readahead(2) reads at once */

k_handle_t lx_memory_group;

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

uint64_t lx_pages_next(struct lx_inode *inode, uint64_t off, uint32_t what)
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

/* Into the page cache, at the cost of other pages if it must be.  @refaults counts those that were there before. */
static int supply(struct lx_inode *inode, uint64_t off, const void *buf, uint64_t n,
		  uint64_t *refaults)
{
	k_status_t st;

	for (unsigned tries = 0; tries < SUPPLY_TRIES; tries++) {
		st = k_memory_supply(inode->pages.handle, off, buf, n);
		if (st != K_ERR_NO_MEMORY || !lx_reclaim_pages(2 * n / PAGE))
			break;
		n = PAGE;		/* what is read ahead must not cost what is needed */
	}
	if (st == K_OK)
		*refaults = lx_workingset_filled(inode, off, n);
	return st == K_OK ? 0 : lx_errno(st);
}

/* lx_pages_fill(), and how many of the pages were there not long ago. */
static int fill(struct lx_inode *inode, uint64_t off, uint64_t want, uint64_t *refaults)
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
	next = lx_pages_next(inode, off, K_NEXT_DATA);
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
		err = supply(inode, off, buf, n, refaults);
	rt_free(buf);
out:
	rt_mutex_unlock(&inode->pages_lock);
	return err;
}

int lx_pages_fill(struct lx_inode *inode, uint64_t off, uint64_t want)
{
	uint64_t refaults;

	return fill(inode, off, want, &refaults);
}

static int fill_page(struct lx_inode *inode, uint64_t off, uint64_t *refaults)
{
	uint64_t cluster = 2 * RA_MIN;

	inode = lx_pages_inode(inode);
	if (!inode || !is_paged(inode))
		return -EIO;
	/* neighbours are likely wanted next: aligned, so that clusters do not overlap */
	while (cluster > PAGE && cluster > read_ahead_of(inode))
		cluster /= 2;
	return fill(inode, off, cluster - off % cluster, refaults);
}

int lx_inode_fill_page(struct lx_inode *inode, uint64_t off)
{
	uint64_t refaults;

	return fill_page(inode, off, &refaults);
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
		off = lx_pages_next(inode, off, K_NEXT_HOLE);
		if (off >= end || lx_pages_fill(inode, off, MIN(end - off, (uint64_t)RA_NORMAL)) || lx_signal_pending(lx_self()))
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

int lx_inode_settle_page(struct lx_inode *inode, uint64_t off, bool write, uint64_t *refaults)
{
	*refaults = 0;
	if (inode->ops->pages_of)
		inode = inode->ops->pages_of(inode);
	off = ALIGN_DOWN(off, PAGE);
	if (write && inode->ops->write_back && atomic_load(&inode->has_pages) &&
	    lx_pages_next(inode, off, K_NEXT_DATA) == off)
		return write_page(inode, off);
	return fill_page(inode, off, refaults);
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

		if (lx_pages_next(inode, page, K_NEXT_DATA) == page) {
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
	found = lx_pages_next(inode, ALIGN_DOWN((uint64_t)off, PAGE), data ? K_NEXT_DATA : K_NEXT_HOLE);
	if (found == UINT64_MAX)
		found = size;
	found = MAX(found, (uint64_t)off);
	if (found >= size)
		return data ? -ENXIO : (lx_off_t)size;
	return (lx_off_t)found;
}
