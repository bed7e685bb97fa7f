/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT on block devices.  The page cache is coherent all the same: it is never dirty, and
 * forgets what is written.
 */
#include "block/disk.h"
#include "lx/iter.h"
#include "vfs/vfs_priv.h"

static size_t up_to_end(const struct lx_blkdev *b, uint64_t off, size_t n)
{
	uint64_t size = lx_blkdev_size(b);

	return off < size ? (size_t)MIN((uint64_t)n, size - off) : 0;
}

static int read_piece(struct lx_file *f, uint64_t off, struct lx_iter *to, size_t n, size_t *done)
{
	struct lx_blkdev *b = f->private;

	*done = up_to_end(b, off, n);
	return *done ? lx_blkdev_read_iter(b, off, to, *done) : 0;
}

static int write_piece(struct lx_file *f, uint64_t off, struct lx_iter *from, size_t n, size_t *done)
{
	struct lx_blkdev *b = f->private;

	*done = up_to_end(b, off, n);
	return *done ? lx_blkdev_write_past_cache(b, off, from, *done) : 0;
}

int64_t lx_blkdev_direct(struct lx_file *f, struct lx_iter *it, lx_off_t *pos, bool write)
{
	struct lx_blkdev *b = f->private;
	uint32_t block = lx_blkdev_block_size(b);
	lx_off_t from = *pos;
	int err;

	if ((uint64_t)from >= lx_blkdev_size(b) || !it->count)
		return 0;
	if ((uint64_t)from % block || !lx_iter_is_aligned(it, block, lx_blkdev_dma_alignment(b)))
		return -EINVAL;
	err = lx_direct_io(f, it, pos, write, write ? write_piece : read_piece);
	return *pos > from ? *pos - from : err;
}
