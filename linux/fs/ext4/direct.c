/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT: between the program's memory and the file's blocks, past the page cache.
 *
 * The cache stays coherent: what is dirty in it is written first, and the pages of what is
 * written go.  The inode's lock keeps the blocks the file's (against truncation), wb_lock
 * its dirty pages few, and while blocks are written pages_lock keeps others from filling the cache
 * with what they had before.
 *
 * Only blocks that are there and written are written this way, within the size that the disk
 * knows.  Whatever needs blocks, or makes the file longer, is written through the cache,
 * waited for, and dropped from the cache.
 *
 * Program memory is touched without locks: bytes go through a buffer.
 */
#include <linux/inotify.h>
#include <linux/resource.h>

#include "block/block.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"

#define PIECE (1024u * 1024)

bool e4_is_direct(const struct lx_file *f)
{
	return atomic_load_explicit(&((struct lx_file *)f)->flags, memory_order_relaxed) & O_DIRECT;
}

/* The device's rules: EINVAL otherwise. */
static bool is_aligned(const struct e4_super *s, const struct lx_iter *it, uint64_t off)
{
	uint32_t block = lx_blkdev_block_size(s->dev);

	return off % block == 0 && lx_iter_is_aligned(it, block, lx_blkdev_dma_alignment(s->dev));
}

/* -- between buffer and disk */

/*
 * Whole blocks of the device, which may be smaller than the file system's: from the disk to @buf, holes
 * as zeros; or, if @write, the other way, where is_in_place().
 */
static int transfer(struct lx_inode *inode, uint64_t off, char *buf, size_t n, bool write)
{
	struct e4_super *s = e4_super_of(inode);
	uint64_t end = off + n;

	while (off < end) {
		uint64_t in = off & (s->block_size - 1), len, at;
		struct e4_map map;
		int err = e4_map(inode, (uint32_t)(off >> s->block_bits),
				 (uint32_t)((end - off + in + s->block_size - 1) >> s->block_bits), &map);

		if (err)
			return err == -EUCLEAN || err == -EBADMSG ? -EIO : err;
		len = MIN(((uint64_t)map.len << s->block_bits) - in, end - off);
		at = (map.block << s->block_bits) + in;
		if (write)
			err = lx_blkdev_write_direct(s->dev, at, buf, (size_t)len);
		else if (map.block && !map.unwritten)
			err = lx_blkdev_read_direct(s->dev, at, buf, (size_t)len);
		else
			memset(buf, 0, (size_t)len);
		if (err)
			return err;
		off += len;
		buf += len;
	}
	return 0;
}

/* -- reading */

/* At most @n bytes at @off as far as the file goes; *@got says how many those are. */
static int read_piece(struct lx_inode *inode, uint64_t off, char *buf, size_t n, size_t *got)
{
	struct e4_super *s = e4_super_of(inode);
	uint64_t size;
	int err;

	*got = 0;
	rt_mutex_lock(&inode->lock);
	size = atomic_load(&inode->size);
	if (off >= size) {
		err = 0;
	} else {
		uint64_t rest = ALIGN_UP(size - off, (uint64_t)lx_blkdev_block_size(s->dev));

		err = s->journal ? e4_writeback(inode) : 0;
		if (!err)
			err = transfer(inode, off, buf, (size_t)MIN((uint64_t)n, rest), false);
		if (!err)
			*got = (size_t)MIN((uint64_t)n, size - off);
	}
	rt_mutex_unlock(&inode->lock);
	return err;
}

int64_t e4_direct_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	uint64_t off = (uint64_t)*pos;
	size_t room = (size_t)MIN(to->count, (uint64_t)PIECE), got;
	int64_t total = 0;
	int err = 0;
	char *buf;

	if (!to->count)
		return 0;
	if (!is_aligned(e4_super_of(f->inode), to, off))
		return -EINVAL;
	buf = rt_alloc(room);
	if (!buf)
		return -ENOMEM;
	do {
		size_t n = (size_t)MIN(to->count, (uint64_t)room);

		err = read_piece(f->inode, off, buf, n, &got);
		if (!err && got)
			err = lx_iter_copy(to, buf, got, false);
		if (!err) {
			off += got;
			total += (int64_t)got;
		}
	} while (!err && got == room && to->count);
	rt_free(buf);
	*pos = (lx_off_t)off;
	if (!(atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NOATIME))
		lx_inode_accessed(f->path.mnt, f->inode);
	return total ? total : err;
}

/* -- writing */

/* Is all of it blocks that are there and written, which nobody waits for to be shown? */
static bool is_in_place(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	struct e4_super *s = e4_super_of(inode);
	uint32_t at = (uint32_t)(off >> s->block_bits);
	uint32_t end = (uint32_t)((off + n + s->block_size - 1) >> s->block_bits);

	if (off + n > e4_inode(inode)->disk_size)
		return false;
	while (at < end) {
		struct e4_map map;

		if (e4_map(inode, at, end - at, &map) || !map.block || map.unwritten)
			return false;
		at += map.len;
	}
	return true;
}

static void drop(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	lx_pages_drop(inode, ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE),
		      ALIGN_UP(off + n, (uint64_t)K_PAGE_SIZE));
}

/* -EAGAIN: not that way. */
static int write_in_place(struct lx_inode *inode, uint64_t off, char *buf, size_t n)
{
	struct e4_inode *e = e4_inode(inode);
	int err;

	rt_mutex_lock(&inode->lock);
	rt_mutex_lock(&e->wb_lock);
	err = inode->sb->flags & E4_RDONLY ? -EROFS : e4_writeback_locked(inode);
	if (!err && !is_in_place(inode, off, n))
		err = -EAGAIN;
	if (!err) {
		rt_mutex_lock(&inode->pages_lock);
		err = transfer(inode, off, buf, n, true);
		drop(inode, off, n);
		rt_mutex_unlock(&inode->pages_lock);
		lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
		e4_mark_dirty(inode);
	}
	rt_mutex_unlock(&e->wb_lock);
	rt_mutex_unlock(&inode->lock);
	return err;
}

/* Through the cache, to the disk, and out of the cache. */
static int64_t write_through(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	int64_t n = lx_generic_write(f, from, pos);
	int err = n > 0 ? e4_writeback(f->inode) : 0;

	if (n > 0)
		drop(f->inode, (uint64_t)(*pos - n), (uint64_t)n);
	return err ? err : n;
}

/* May this write go in pieces to where it is, as the cache's would? */
static bool may_overwrite(const struct lx_file *f, const struct lx_inode *inode, uint64_t off,
			  uint64_t n)
{
	uint64_t end;

	return !(atomic_load(&((struct lx_file *)f)->flags) & O_APPEND) &&
	       lx_rlimit(lx_self(), RLIMIT_FSIZE) == RLIM_INFINITY &&
	       !(inode->mode & (S_ISUID | S_ISGID)) && !__builtin_add_overflow(off, n, &end) &&
	       end <= atomic_load(&((struct lx_inode *)inode)->size);
}

int64_t e4_direct_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct lx_inode *inode = f->inode;
	int64_t total = 0, rest;
	int err = 0;
	char *buf;

	if (!from->count)
		return 0;
	if (!is_aligned(e4_super_of(inode), from, (uint64_t)*pos))
		return -EINVAL;
	buf = rt_alloc((size_t)MIN(from->count, (uint64_t)PIECE));
	while (buf && from->count && !err) {
		size_t n = (size_t)MIN(from->count, (uint64_t)PIECE);

		if (!may_overwrite(f, inode, (uint64_t)*pos, n)) {
			err = -EAGAIN;
			break;
		}
		err = lx_iter_copy(from, buf, n, true);
		if (err)
			break;
		err = write_in_place(inode, (uint64_t)*pos, buf, n);
		if (err == -EAGAIN)
			lx_iter_revert(from, n);
		if (err)
			break;
		*pos += (lx_off_t)n;
		total += (int64_t)n;
	}
	rt_free(buf);
	if (total)
		lx_notify(inode, f->path.dentry, IN_MODIFY);
	if ((err && err != -EAGAIN) || !from->count)
		return total ? total : err;
	rest = write_through(f, from, pos);
	return rest < 0 && total ? total : total + rest;
}
