/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT: between the program's memory and a disk, past the page cache.
 *
 * The bytes are copied once, between the program's memory and that of the disk's link, which the
 * driver reaches: a program that changes its buffer meanwhile cannot make the disk and a retry of
 * the driver differ.  While that goes on, locks and room in the link are held, so it cannot wait for
 * memory of the program's that is not there: such a piece goes by way of memory of ours.
 */
#include "lx/iter.h"
#include "vfs/vfs_priv.h"

#define PIECE (1024u * 1024)

/* By way of a buffer: program memory is touched without locks. */
static int bounce(struct lx_file *f, struct lx_iter *it, uint64_t off, size_t n, bool write,
		  lx_direct_piece *piece, size_t *done)
{
	char *buf = rt_alloc(n);
	struct lx_iter ours;
	int err;

	if (!buf)
		return -ENOMEM;
	lx_iter_init_kernel(&ours, buf, n);
	err = write ? lx_iter_copy(it, buf, n, true) : 0;
	if (!err)
		err = piece(f, off, &ours, n, done);
	if (!err && !write)
		err = lx_iter_copy(it, buf, *done, false);
	else if (err && write)
		lx_iter_revert(it, n);
	rt_free(buf);
	return err;
}

int lx_direct_io(struct lx_file *f, struct lx_iter *it, lx_off_t *pos, bool write,
		 lx_direct_piece *piece)
{
	int err = 0;

	while (it->count) {
		size_t n = (size_t)MIN(it->count, (uint64_t)PIECE), done = 0;

		err = piece(f, (uint64_t)*pos, it, n, &done);
		if (err == -EFAULT)
			err = bounce(f, it, (uint64_t)*pos, n, write, piece, &done);
		if (err || !done)
			break;
		*pos += (lx_off_t)done;
	}
	return err;
}
