/* SPDX-License-Identifier: MIT */
/*
 * What programs do with the node of a block device.
 */
#include <linux/falloc.h>

#include "block/disk.h"
#include "lx/iter.h"
#include "lx/mm.h"
#include "vfs/vfs_priv.h"

#define PIECE (64u * 1024)

static int node_open(struct lx_inode *inode, struct lx_file *f)
{
	struct lx_blkdev *b = lx_blkdev_get(inode->rdev);
	int err = 0;

	if (!b)
		return -ENXIO;
	if (f->mode & LX_FMODE_EXCL)
		err = lx_blkdev_claim(b);
	if (err)
		lx_blkdev_put(b);
	else
		f->private = b;
	return err;
}

static void node_release(struct lx_file *f)
{
	struct lx_blkdev *b = f->private;

	if (f->mode & LX_FMODE_EXCL)
		lx_blkdev_release(b);
	lx_blkdev_put(b);
}

static int64_t node_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct lx_blkdev *b = f->private;

	if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_DIRECT)
		return lx_blkdev_direct(f, to, pos, false);
	/* the device's own inode has the pages, whatever node was opened */
	return lx_pages_read(f, b->inode, to, pos);
}

/* The blocks at either edge of [@off, @off + @len) that are not written whole, into @buf. */
static int read_edges(struct lx_blkdev *b, char *buf, uint64_t off, uint64_t len, uint64_t start,
		      uint64_t end)
{
	uint32_t block = lx_blkdev_block_size(b);
	int err = 0;

	if (start < off)
		err = lx_blkdev_read(b, start, buf, block);
	if (!err && off + len < end && (start == off || end - block > start))
		err = lx_blkdev_read(b, end - block, buf + (end - block - start), block);
	return err;
}

/* One piece, of the program's bytes that are there; *@got says how many that were. */
static int write_piece(struct lx_blkdev *b, struct lx_iter *from, char *buf, uint64_t off,
		       uint64_t len, size_t *got)
{
	uint32_t block = lx_blkdev_block_size(b);
	uint64_t start = ALIGN_DOWN(off, (uint64_t)block), end;
	int err;

	/* writers of parts of one block take turns */
	rt_mutex_lock(&b->inode->lock);
	*got = lx_iter_get(from, buf + (off - start), len);
	end = ALIGN_UP(off + *got, (uint64_t)block);
	if (!*got) {
		err = 0;
	} else if (off == start && off + *got == end) {
		err = lx_blkdev_write_sync(b, start, buf, end - start);
	} else {
		lx_iter_revert(from, *got);
		err = read_edges(b, buf, off, *got, start, end);
		*got = err ? 0 : lx_iter_get(from, buf + (off - start), *got);
		/* memory that went meanwhile: what is written then is what was there */
		if (!err && *got)
			err = lx_blkdev_write_sync(b, start, buf, end - start);
	}
	rt_mutex_unlock(&b->inode->lock);
	if (err)
		*got = 0;
	return err;
}

static int64_t node_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct lx_blkdev *b = f->private;
	uint64_t size = lx_blkdev_size(b);
	int64_t total = 0;
	int err = 0;
	char *buf;

	if (lx_blkdev_is_read_only(b))
		return -EPERM;
	if (from->count && (uint64_t)*pos >= size)
		return -ENOSPC;
	if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_DIRECT)
		return lx_blkdev_direct(f, from, pos, true);
	buf = rt_alloc(PIECE + LX_TABLE_BLOCK_MAX);
	if (!buf)
		return -ENOMEM;
	while (from->count && !err && (uint64_t)*pos < size) {
		uint64_t off = (uint64_t)*pos, len;
		size_t got;

		len = MIN(from->count, PIECE - off % PIECE);
		len = MIN(len, size - off);
		err = write_piece(b, from, buf, off, len, &got);
		*pos += (lx_off_t)got;
		total += (int64_t)got;
		if (!err && got < len)
			err = lx_iter_fault_in(from, false);
	}
	rt_free(buf);
	return total ? total : err;
}

static lx_off_t node_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	lx_off_t size = (lx_off_t)lx_blkdev_size(f->private), base = 0;

	if (whence == 1)
		base = atomic_load(&f->pos);
	else if (whence == 2)
		base = size;
	else if (whence != 0)
		return -EINVAL;
	if (__builtin_add_overflow(base, off, &off) || off < 0 || off > size)
		return -EINVAL;
	atomic_store(&f->pos, off);
	return off;
}

static int node_mmap(struct lx_file *f, struct lx_mmap *m)
{
	struct lx_blkdev *b = f->private;
	int err = lx_pages_open(b->inode);

	if (err)
		return err;
	/* changes would not reach the device */
	if ((m->flags & 1) && (m->prot & K_PROT_WRITE))
		return -EACCES;
	if (m->flags & 1)
		m->max_prot &= ~K_PROT_WRITE;
	m->memory = b->inode->pages.handle;
	return 0;
}

static int node_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync)
{
	return lx_blkdev_flush(f->private);
}

static int node_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len)
{
	struct lx_blkdev *b = f->private;
	uint64_t size = lx_blkdev_size(b), n = (uint64_t)len;
	uint32_t block = lx_blkdev_block_size(b);
	bool punch = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	int err;

	if (!punch && (mode & ~FALLOC_FL_KEEP_SIZE) != FALLOC_FL_ZERO_RANGE)
		return -EOPNOTSUPP;
	if ((uint64_t)off >= size)
		return -EINVAL;
	if (n > size - (uint64_t)off) {
		if (!(mode & FALLOC_FL_KEEP_SIZE))
			return -EINVAL;
		n = size - (uint64_t)off;
	}
	if ((uint64_t)off % block || n % block)
		return -EINVAL;
	rt_mutex_lock(&b->inode->lock);
	err = lx_blkdev_zero(b, (uint64_t)off, n);
	rt_mutex_unlock(&b->inode->lock);
	return err == -EROFS ? -EPERM : err;
}

static const struct lx_file_ops node_fops = {
	.open = node_open,
	.release = node_release,
	.read = node_read,
	.write = node_write,
	.llseek = node_llseek,
	.mmap = node_mmap,
	.fsync = node_fsync,
	.fallocate = node_fallocate,
	.ioctl = lx_blkdev_ioctl,
};

const struct lx_file_ops *lx_blkdev_fops(void)
{
	return &node_fops;
}
