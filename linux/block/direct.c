/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT on block devices: between the program's memory and the disk, past the page cache,
 * which is coherent all the same: it is never dirty, and forgets what is written.
 *
 * The bytes go through one buffer on the way: they have to be in memory that the driver can
 * reach anyway, and a program that changes its buffer meanwhile cannot make the disk and a
 * retry of the driver differ.
 */
#include "block/disk.h"
#include "lx/iter.h"
#include "vfs/vfs_priv.h"

#define PIECE (1024u * 1024)

static int transfer(struct lx_blkdev *b, struct lx_iter *it, char *buf, uint64_t off, size_t n,
		    bool write)
{
	int err;

	if (write) {
		err = lx_iter_copy(it, buf, n, true);
		return err ? err : lx_blkdev_write_sync(b, off, buf, n);
	}
	err = lx_blkdev_read_direct(b, off, buf, n);
	return err ? err : lx_iter_copy(it, buf, n, false);
}

int64_t lx_blkdev_direct(struct lx_file *f, struct lx_iter *it, lx_off_t *pos, bool write)
{
	struct lx_blkdev *b = f->private;
	uint64_t size = lx_blkdev_size(b), off = (uint64_t)*pos;
	uint32_t block = lx_blkdev_block_size(b);
	int64_t total = 0;
	int err = 0;
	char *buf;

	if (off >= size || !it->count)
		return 0;
	if (off % block || !lx_iter_is_aligned(it, block, lx_blkdev_dma_alignment(b)))
		return -EINVAL;
	buf = rt_alloc((size_t)MIN(it->count, (uint64_t)PIECE));
	if (!buf)
		return -ENOMEM;
	while (it->count && off < size && !err) {
		size_t n = (size_t)MIN(MIN(it->count, (uint64_t)PIECE), size - off);

		err = transfer(b, it, buf, off, n, write);
		if (!err) {
			off += n;
			total += (int64_t)n;
		}
	}
	rt_free(buf);
	*pos = (lx_off_t)off;
	return total ? total : err;
}
