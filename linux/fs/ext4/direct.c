/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT: between the program's memory and the file's blocks, past the page cache.
 *
 * The cache stays coherent: what is dirty in it is written first, and the pages of what is
 * written go.  A transfer begins with the inode locked, and goes on with direct_lock held for
 * reading: many at a time.  Whoever takes blocks away from the file (truncation, holes) or writes through the
 * cache has the inode locked, so that no transfer begins, and waits for those under way:
 * e4_direct_drain().
 *
 * Who fills the cache while blocks are written may find what they had before.  He has it supplied
 * before the pages go, at the end, which takes pages_lock, as he does.
 *
 * Only blocks that are there and written are written this way, within the size that the disk
 * knows.  Whatever needs blocks, or makes the file longer, is written through the cache,
 * waited for, and dropped from the cache.
 */
#include <linux/inotify.h>
#include <linux/resource.h>

#include "abi/calls.h"
#include "block/block.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"
#include "lx/iter.h"

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

void e4_direct_drain(struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);

	rt_write_lock(&e->direct_lock);
	rt_write_unlock(&e->direct_lock);
}

static bool is_dirty(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	struct k_clean find = { .offset = ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE),
				.action = K_CLEAN_FIND };

	find.length = ALIGN_UP(off + n, (uint64_t)K_PAGE_SIZE) - find.offset;
	return k_memory_clean(inode->pages.handle, &find) != K_OK || find.length;
}

/* The disk has what the cache has of this range.  The inode is locked: it stays so, but for mappings. */
static int settle(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	struct e4_inode *e = e4_inode(inode);
	int err = 0;

	if (!e4_super_of(inode)->journal || !atomic_load(&inode->has_pages))
		return 0;
	/* what is on its way there has been cleaned already: the lock waits for that */
	rt_mutex_lock(&e->wb_lock);
	if (is_dirty(inode, off, n))
		err = e4_writeback_locked(inode);
	rt_mutex_unlock(&e->wb_lock);
	return err;
}

/* -- between iterator and disk */

/* One run of blocks, or of none. */
static int transfer_run(struct e4_super *s, const struct e4_map *map, uint64_t at, struct lx_iter *it,
			size_t n, bool write)
{
	if (write)
		return lx_blkdev_write_iter(s->dev, at, it, n);
	if (map->block && !map->unwritten)
		return lx_blkdev_read_iter(s->dev, at, it, n);
	return lx_iter_zero(it, n) == n ? 0 : -EFAULT;
}

/*
 * Whole blocks of the device, which may be smaller than the file system's: from the disk, holes
 * as zeros; or, if @write, the other way, where is_in_place().
 */
static int transfer(struct lx_inode *inode, uint64_t off, struct lx_iter *it, size_t n, bool write)
{
	struct e4_super *s = e4_super_of(inode);
	uint64_t end = off + n, count = it->count;
	int err = 0;

	while (off < end && !err) {
		uint64_t in = off & (s->block_size - 1), len;
		struct e4_map map;

		err = e4_map(inode, (uint32_t)(off >> s->block_bits),
			     (uint32_t)((end - off + in + s->block_size - 1) >> s->block_bits), &map);
		if (err)
			break;
		len = MIN(((uint64_t)map.len << s->block_bits) - in, end - off);
		err = transfer_run(s, &map, (map.block << s->block_bits) + in, it, (size_t)len, write);
		off += len;
	}
	if (err)
		lx_iter_revert(it, (size_t)(count - it->count));
	return err == -EUCLEAN || err == -EBADMSG ? -EIO : err;
}

/* -- reading */

/*
 * How much of the @n bytes at @off can be read at once: whole blocks of the device, the last of which may
 * stick out behind the end of the file.  That one is not for program memory: -EFAULT.
 */
static int clip(const struct lx_inode *inode, uint64_t off, const struct lx_iter *to, size_t *n)
{
	uint64_t size = atomic_load(&((struct lx_inode *)inode)->size);
	uint32_t block = lx_blkdev_block_size(e4_super_of(inode)->dev);
	uint64_t whole;

	if (off >= size) {
		*n = 0;
		return 0;
	}
	whole = ALIGN_DOWN(size - off, (uint64_t)block);
	if (!to->user)
		whole = ALIGN_UP(size - off, (uint64_t)block);
	else if (!whole)
		return -EFAULT;
	*n = (size_t)MIN((uint64_t)*n, whole);
	return 0;
}

static int read_piece(struct lx_file *f, uint64_t off, struct lx_iter *to, size_t n, size_t *done)
{
	struct lx_inode *inode = f->inode;
	struct e4_inode *e = e4_inode(inode);
	uint64_t size;
	int err;

	rt_mutex_lock(&inode->lock);
	size = atomic_load(&inode->size);
	err = clip(inode, off, to, &n);
	if (!err && n)
		err = settle(inode, off, n);
	rt_read_lock(&e->direct_lock);
	rt_mutex_unlock(&inode->lock);
	if (!err && n)
		err = transfer(inode, off, to, n, false);
	rt_read_unlock(&e->direct_lock);
	*done = n ? (size_t)MIN((uint64_t)n, size - off) : 0;
	return err;
}

int64_t e4_direct_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	lx_off_t from = *pos;
	int err;

	if (!to->count)
		return 0;
	if (!is_aligned(e4_super_of(f->inode), to, (uint64_t)from))
		return -EINVAL;
	err = lx_direct_io(f, to, pos, false, read_piece);
	if (!(atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NOATIME))
		lx_inode_accessed(f->path.mnt, f->inode);
	return *pos > from ? *pos - from : err;
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
	struct e4_inode *e = e4_inode(inode);

	if (!atomic_load(&inode->has_pages))
		return;
	/* not while one of them is on its way to the disk */
	rt_mutex_lock(&e->wb_lock);
	rt_mutex_lock(&inode->pages_lock);
	lx_pages_drop(inode, ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE),
		      ALIGN_UP(off + n, (uint64_t)K_PAGE_SIZE), true);
	rt_mutex_unlock(&inode->pages_lock);
	rt_mutex_unlock(&e->wb_lock);
}

/* May this write go to where the blocks are, in pieces? */
static bool may_overwrite(const struct lx_file *f, const struct lx_inode *inode, uint64_t off,
			  uint64_t n)
{
	uint64_t end;

	return !(atomic_load(&((struct lx_file *)f)->flags) & O_APPEND) &&
	       lx_rlimit(lx_self(), RLIMIT_FSIZE) == RLIM_INFINITY &&
	       !(inode->mode & (S_ISUID | S_ISGID)) && !__builtin_add_overflow(off, n, &end) &&
	       end <= atomic_load(&((struct lx_inode *)inode)->size);
}

/* -EAGAIN: not that way. */
static int write_piece(struct lx_file *f, uint64_t off, struct lx_iter *from, size_t n, size_t *done)
{
	struct lx_inode *inode = f->inode;
	struct e4_inode *e = e4_inode(inode);
	int err;

	*done = n;
	rt_mutex_lock(&inode->lock);
	err = inode->sb->flags & E4_RDONLY ? -EROFS : 0;
	if (!err && !may_overwrite(f, inode, off, n))
		err = -EAGAIN;
	if (!err)
		err = settle(inode, off, n);
	if (!err && !is_in_place(inode, off, n))
		err = -EAGAIN;
	if (!err) {
		lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
		e4_mark_dirty(inode);
	}
	rt_read_lock(&e->direct_lock);
	rt_mutex_unlock(&inode->lock);
	if (!err) {
		err = transfer(inode, off, from, n, true);
		drop(inode, off, n);
	}
	rt_read_unlock(&e->direct_lock);
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

int64_t e4_direct_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct lx_inode *inode = f->inode;
	lx_off_t start = *pos;
	int64_t rest;
	int err;

	if (!from->count)
		return 0;
	if (!is_aligned(e4_super_of(inode), from, (uint64_t)start))
		return -EINVAL;
	err = lx_direct_io(f, from, pos, true, write_piece);
	if (*pos > start)
		lx_notify(inode, f->path.dentry, IN_MODIFY);
	if (err == -EAGAIN) {
		rest = write_through(f, from, pos);
		err = rest < 0 ? (int)rest : 0;
	}
	return *pos > start ? *pos - start : err;
}
