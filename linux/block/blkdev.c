/* SPDX-License-Identifier: MIT */
/*
 * Transfers of block devices.
 *
 * A device has an inode of its own in an internal file system, whose page cache is the
 * device's: every node with its number, in whatever file system, opens onto that inode, and file
 * systems read their metadata through it.  The cache is never dirty: writes go to the disk and
 * then into the caches.
 *
 * A disk and its partitions have caches of their own for the same bytes, as on Linux.  Unlike
 * there, what is written through one is dropped from the others.
 */
#include "abi/calls.h"
#include "block/disk.h"
#include "lx/iter.h"
#include "vfs/vfs_priv.h"

#define SECTOR		512u
#define ZEROS		(64u * 1024)

uint64_t lx_blkdev_size(const struct lx_blkdev *b)
{
	return atomic_load(&((struct lx_blkdev *)b)->sectors) * SECTOR;
}

lx_dev_t lx_blkdev_number(const struct lx_blkdev *b)
{
	return b->dev;
}

bool lx_blkdev_is_read_only(const struct lx_blkdev *b)
{
	return atomic_load(&((struct lx_blkdev *)b)->read_only) ||
	       atomic_load(&b->disk->write_protected);
}

uint32_t lx_blkdev_block_size(const struct lx_blkdev *b)
{
	return b->disk->limits.logical_block;
}

uint32_t lx_blkdev_dma_alignment(const struct lx_blkdev *b)
{
	return b->disk->limits.dma_alignment;
}

uint32_t lx_blkdev_discard_granularity(const struct lx_blkdev *b)
{
	return b->disk->limits.discard_max ? b->disk->limits.discard_granularity : 0;
}

/* -- requests: counted for the partition and for its disk */

struct request {
	enum lx_io_kind kind;
	uint64_t begun, begun_disk;
};

static struct request begin(struct lx_blkdev *b, enum lx_io_kind kind)
{
	struct request r = { .kind = kind };

	r.begun = lx_io_begin(&b->stats, kind);
	if (b->number)
		r.begun_disk = lx_io_begin(&b->disk->part[0]->stats, kind);
	return r;
}

static int end(struct lx_blkdev *b, const struct request *r, uint64_t bytes, int err)
{
	lx_io_end(&b->stats, r->kind, r->begun, err ? 0 : bytes);
	if (b->number)
		lx_io_end(&b->disk->part[0]->stats, r->kind, r->begun_disk, err ? 0 : bytes);
	return err;
}

/* Where @off is on the disk. */
static uint64_t on_disk(const struct lx_blkdev *b, uint64_t off)
{
	return atomic_load(&((struct lx_blkdev *)b)->start) * SECTOR + off;
}

/* After a failure the iterator is where it was, with @count bytes left. */
static int put_back(struct lx_iter *it, uint64_t count, int err)
{
	if (err)
		lx_iter_revert(it, (size_t)(count - it->count));
	return err;
}

int lx_blkdev_read_iter(struct lx_blkdev *b, uint64_t off, struct lx_iter *to, size_t n)
{
	uint64_t count = to->count;
	struct request r;
	int err;

	if (!range_within(off, n, lx_blkdev_size(b)))
		return -EIO;
	r = begin(b, LX_IO_READ);
	err = end(b, &r, n, b->disk->ops->read(b->disk, on_disk(b, off), to, n));
	return put_back(to, count, err);
}

int lx_blkdev_read_direct(struct lx_blkdev *b, uint64_t off, void *buf, size_t n)
{
	uint64_t size = lx_blkdev_size(b), in;
	struct lx_iter to;

	if (!range_within(off, n, ALIGN_UP(size, (uint64_t)K_PAGE_SIZE)))
		return -EIO;
	/* the last page of a device may stick out */
	in = off < size ? MIN((uint64_t)n, size - off) : 0;
	memset((char *)buf + in, 0, n - in);
	lx_iter_init_kernel(&to, buf, in);
	return in ? lx_blkdev_read_iter(b, off, &to, (size_t)in) : 0;
}

int lx_blkdev_flush(struct lx_blkdev *b)
{
	struct lx_blkdev *whole = b->disk->part[0];
	struct request r;

	if (!b->disk->ops->flush || lx_blkdev_is_read_only(b))
		return 0;
	r = begin(whole, LX_IO_FLUSH);
	return end(whole, &r, 0, b->disk->ops->flush(b->disk));
}

/* -- the caches */

static void forget_range(struct lx_blkdev *b, uint64_t off, uint64_t n)
{
	uint64_t first = ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE);

	if (n && atomic_load_explicit(&b->inode->has_pages, memory_order_acquire))
		(void)!k_memory_discard(b->inode->pages.handle, first,
					ALIGN_UP(off + n, (uint64_t)K_PAGE_SIZE) - first);
}

/* What @b's disk has at [@at, @at + @n) changed: nobody's cache but that of @b keeps it. */
static void forget_elsewhere(struct lx_blkdev *b, uint64_t at, uint64_t n)
{
	struct lx_disk *d = b->disk;

	for (unsigned int i = 0; i < LX_DISK_PARTS; i++) {
		/* set once; whoever was not there yet has no pages */
		struct lx_blkdev *other = READ_ONCE(d->part[i]);
		uint64_t start, end;

		if (!other || other == b || !atomic_load(&other->inode->has_pages))
			continue;
		start = MAX(atomic_load(&other->start) * SECTOR, at);
		end = MIN((atomic_load(&other->start) + atomic_load(&other->sectors)) * SECTOR, at + n);
		if (start < end)
			forget_range(other, start - atomic_load(&other->start) * SECTOR, end - start);
	}
}

void lx_blkdev_forget(struct lx_blkdev *b)
{
	rt_mutex_lock(&b->inode->lock);
	forget_range(b, 0, atomic_load(&b->inode->size));
	(void)lx_pages_truncate(b->inode, lx_blkdev_size(b));
	rt_mutex_unlock(&b->inode->lock);
}

/* -- changes */

static int check_change(const struct lx_blkdev *b, uint64_t off, uint64_t n)
{
	if (lx_blkdev_is_read_only(b))
		return -EROFS;
	return range_within(off, n, lx_blkdev_size(b)) ? 0 : -EIO;
}

static int write_disk(struct lx_blkdev *b, uint64_t off, struct lx_iter *from, size_t n)
{
	uint64_t count = from->count;
	int err = check_change(b, off, n);
	struct request r;

	if (err)
		return err;
	r = begin(b, LX_IO_WRITE);
	err = end(b, &r, n, b->disk->ops->write(b->disk, on_disk(b, off), from, n));
	return put_back(from, count, err);
}

/*
 * The page cache reads again what was written past it.  A reader of the raw device
 * that does so at the same moment may still get the old bytes.
 */
int lx_blkdev_write_iter(struct lx_blkdev *b, uint64_t off, struct lx_iter *from, size_t n)
{
	int err = write_disk(b, off, from, n);

	forget_range(b, off, n);
	forget_elsewhere(b, on_disk(b, off), n);
	return err;
}

int lx_blkdev_write_direct(struct lx_blkdev *b, uint64_t off, const void *buf, size_t n)
{
	struct lx_iter from;

	lx_iter_init_kernel(&from, (void *)(uintptr_t)buf, n);
	return lx_blkdev_write_iter(b, off, &from, n);
}

/* The disk has what the pages have: they may go when memory is short. */
static void mark_clean(struct lx_blkdev *b, uint64_t off, size_t n)
{
	struct k_clean take = { .offset = ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE),
				.action = K_CLEAN_TAKE };
	uint64_t end = ALIGN_UP(off + n, (uint64_t)K_PAGE_SIZE);

	do {
		take.length = end - take.offset;
		if (k_memory_clean(b->inode->pages.handle, &take) != K_OK || !take.length)
			break;
		take.offset += take.length;
	} while (take.offset < end);
}

/* Into the pages that are there, and those that are written whole. */
static void update_pages(struct lx_blkdev *b, uint64_t off, const char *buf, size_t n)
{
	uint64_t first = off;
	size_t all = n;

	while (n) {
		size_t len = MIN(n, (size_t)(K_PAGE_SIZE - off % K_PAGE_SIZE)), done;

		(void)rt_memory_write(&b->inode->pages, off, buf, len, &done);
		off += len;
		buf += len;
		n -= len;
	}
	mark_clean(b, first, all);
}

int lx_blkdev_write_sync(struct lx_blkdev *b, uint64_t off, const void *buf, size_t n)
{
	int err = lx_pages_open(b->inode);
	struct lx_iter from;

	if (err)
		return err;
	lx_iter_init_kernel(&from, (void *)(uintptr_t)buf, n);
	/* whoever fills the cache reads and supplies under this lock: old bytes do not come back */
	rt_mutex_lock(&b->inode->pages_lock);
	err = write_disk(b, off, &from, n);
	if (err)
		forget_range(b, off, n);
	else
		update_pages(b, off, buf, n);
	rt_mutex_unlock(&b->inode->pages_lock);
	forget_elsewhere(b, on_disk(b, off), n);
	return err;
}

int lx_blkdev_write_past_cache(struct lx_blkdev *b, uint64_t off, struct lx_iter *from, size_t n)
{
	int err = write_disk(b, off, from, n);

	/* whoever was just filling the cache has supplied what he read before */
	rt_mutex_lock(&b->inode->pages_lock);
	forget_range(b, off, n);
	rt_mutex_unlock(&b->inode->pages_lock);
	forget_elsewhere(b, on_disk(b, off), n);
	return err;
}

int lx_blkdev_discard(struct lx_blkdev *b, uint64_t off, uint64_t n)
{
	struct lx_disk *d = b->disk;
	int err = check_change(b, off, n);
	struct request r;

	if (err)
		return err;
	if (!d->ops->discard || !d->limits.discard_max)
		return -EOPNOTSUPP;
	r = begin(b, LX_IO_DISCARD);
	err = end(b, &r, n, d->ops->discard(d, on_disk(b, off), n));
	forget_range(b, off, n);
	forget_elsewhere(b, on_disk(b, off), n);
	return err;
}

static int write_zeros(struct lx_blkdev *b, uint64_t off, uint64_t n)
{
	void *zeros = rt_zalloc(ZEROS);
	int err = zeros ? 0 : -ENOMEM;

	while (n && !err) {
		size_t len = (size_t)MIN(n, (uint64_t)ZEROS);
		struct lx_iter from;

		lx_iter_init_kernel(&from, zeros, len);
		err = write_disk(b, off, &from, len);
		off += len;
		n -= len;
	}
	rt_free(zeros);
	return err;
}

int lx_blkdev_zero(struct lx_blkdev *b, uint64_t off, uint64_t n)
{
	struct lx_disk *d = b->disk;
	int err = check_change(b, off, n);

	if (err)
		return err;
	err = -EOPNOTSUPP;
	if (d->ops->zero) {
		struct request r = begin(b, LX_IO_WRITE);

		err = end(b, &r, n, d->ops->zero(d, on_disk(b, off), n));
	}
	if (err == -EOPNOTSUPP)
		err = write_zeros(b, off, n);
	forget_range(b, off, n);
	forget_elsewhere(b, on_disk(b, off), n);
	return err;
}

/* -- through the cache */

int lx_blkdev_read(struct lx_blkdev *b, uint64_t off, void *buf, size_t n)
{
	int64_t got = lx_pages_read_kernel(b->inode, buf, n, off);

	return got == (int64_t)n ? 0 : got < 0 ? (int)got : -EIO;
}

uint32_t lx_blkdev_read_ahead(const struct lx_blkdev *b)
{
	return atomic_load_explicit(&b->disk->read_ahead, memory_order_relaxed);
}

static uint32_t bdev_read_ahead(const struct lx_inode *inode)
{
	return lx_blkdev_read_ahead(inode->private);
}

static int bdev_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n)
{
	return lx_blkdev_read_direct(inode->private, off, buf, n);
}

const struct lx_inode_ops lx_bdev_iops = {
	.readpages = bdev_readpages, .read_ahead = bdev_read_ahead,
};
