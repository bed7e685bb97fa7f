/* SPDX-License-Identifier: MIT */
/*
 * Making files shorter, longer, sparse, and nothing.
 *
 * The inode is locked, and wb_lock is held while blocks go: nobody may be writing
 * pages that are being cut off.  Removing many blocks takes several transactions; the
 * orphan list remembers that more was to come.
 */
#include <linux/falloc.h>

#include "abi/calls.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"
#include "fs/ext4/xattr.h"

#define PAGE ((uint64_t)K_PAGE_SIZE)
#define CREDITS_STEP 64u

static bool has_tree(const struct lx_inode *inode)
{
	return lx_is_reg(inode) || lx_is_dir(inode) || (lx_is_lnk(inode) && inode->size >= E4_I_BLOCK);
}

/* Remove blocks of [from, to), in as many handles as it takes. */
static int remove_blocks(struct lx_inode *inode, uint32_t from, uint64_t to)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	struct e4_handle h;
	int err, e1;

	do {
		err = e4_begin(s, CREDITS_STEP, &h);
		if (err)
			return err;
		rt_write_lock(&e->map_lock);
		e->goal = 0;
		err = e4_ext_remove(&h, inode, from, &to);
		e1 = e4_store_locked(&h, inode);
		rt_write_unlock(&e->map_lock);
		atomic_store(&e->datasync_tid, h.tid);
		err = e4_end(&h, e1 ? e1 : err);
	} while (err == -EAGAIN);
	return err;
}

int e4_truncate_blocks(struct lx_inode *inode, uint64_t size)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	uint32_t from = (uint32_t)((size + s->block_size - 1) >> s->block_bits);
	struct e4_handle h;
	int err = e4_begin(s, 2 + 2 * E4_CREDITS_ORPHAN, &h);

	if (err)
		return err;
	err = e4_orphan_add(&h, inode);
	if (!err) {
		e->disk_size = size;
		err = e4_store(&h, inode);
		atomic_store(&e->datasync_tid, h.tid);
	}
	err = e4_end(&h, err);
	if (!err)
		err = remove_blocks(inode, from, (uint64_t)E4_MAX_LBLOCK + 1);
	if (err)
		return err;
	err = e4_begin(s, 1 + E4_CREDITS_ORPHAN, &h);
	if (err)
		return err;
	return e4_end(&h, e4_orphan_del(&h, inode));
}

/* Is the block at @off one with contents on the disk? */
static bool on_disk(struct lx_inode *inode, uint64_t off)
{
	struct e4_map map;

	return !e4_map(inode, (uint32_t)(off >> e4_super_of(inode)->block_bits), 1, &map) && map.block &&
	       !map.unwritten;
}

int e4_zero_tail(struct lx_inode *inode)
{
	uint64_t size = inode->size;
	struct k_clean clean = { .offset = ALIGN_DOWN(size, PAGE), .length = PAGE,
				 .action = K_CLEAN_MARK };
	int err;

	if (!(size & (e4_super_of(inode)->block_size - 1)) || !on_disk(inode, size))
		return 0;
	/* reading it clears what is behind the end; written again, the disk has that, too */
	err = lx_inode_fill_page(inode, size);
	if (!err)
		(void)!k_memory_clean(inode->pages.handle, &clean);
	return err;
}

static void unreserve(struct lx_inode *inode, uint64_t from, uint64_t to)
{
	struct e4_inode *e = e4_inode(inode);

	rt_write_lock(&e->map_lock);
	e4_unreserve(inode, from, to);
	rt_write_unlock(&e->map_lock);
}

static int store_size(struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	struct e4_handle h;
	int err = e4_begin(e4_super_of(inode), 2, &h);

	if (err)
		return err;
	e->disk_size = inode->size;
	err = e4_store(&h, inode);
	atomic_store(&e->datasync_tid, h.tid);
	return e4_end(&h, err);
}

static int shorten(struct lx_inode *inode, uint64_t size)
{
	int err = 0;

	/* the page that stays is there, to be cleared behind the new end */
	if ((size & (e4_super_of(inode)->block_size - 1)) && on_disk(inode, size))
		err = lx_inode_fill_page(inode, size);
	if (!err)
		err = lx_pages_truncate(inode, size);
	if (err)
		return err;
	unreserve(inode, DIV_ROUND_UP(size, PAGE), UINT64_MAX);
	return e4_truncate_blocks(inode, size);
}

int e4_truncate(struct lx_inode *inode, uint64_t size)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	int err;

	if (!s->journal)
		return -EROFS;
	if (size > (uint64_t)inode->sb->max_bytes)
		return -EFBIG;
	e4_direct_drain(inode);
	rt_mutex_lock(&e->wb_lock);
	if (size < inode->size) {
		err = shorten(inode, size);
	} else {
		err = size > inode->size ? e4_zero_tail(inode) : 0;
		if (!err)
			err = lx_pages_truncate(inode, size);
		if (!err)
			err = store_size(inode);
	}
	rt_mutex_unlock(&e->wb_lock);
	return err;
}

/* -- the last reference went */

static int free_attributes(struct e4_handle *h, struct lx_inode *inode)
{
	return e4_inode(inode)->file_acl ? e4_xattr_drop_block(h, inode) : 0;
}

static int delete(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_handle h;
	int err = 0;

	if (has_tree(inode)) {
		e4_inode(inode)->disk_size = 0;
		err = remove_blocks(inode, 0, (uint64_t)E4_MAX_LBLOCK + 1);
	}
	if (!err)
		err = e4_begin(s, 8 + 2 * E4_CREDITS_ORPHAN, &h);
	if (err)
		return err;
	err = free_attributes(&h, inode);
	if (!err)
		err = e4_orphan_del(&h, inode);
	if (!err)
		err = e4_free_inode(&h, inode);
	return e4_end(&h, err);
}

void e4_evict(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);

	if (!e)
		return;
	e4_dirty_forget(inode);
	unreserve(inode, 0, UINT64_MAX);
	if (!atomic_load(&inode->nlink) && s->journal && delete(inode))
		rt_log(RT_LOG_WARNING, "EXT4-fs (%s): inode %u could not be deleted", s->name, e->ino);
	if (!list_is_empty(&e->orphan_link)) {
		rt_mutex_lock(&s->orphan_lock);
		list_remove(&e->orphan_link);
		rt_mutex_unlock(&s->orphan_lock);
	}
	rt_free(e);
	inode->private = NULL;
}

/* -- fallocate */

static int allocate(struct lx_inode *inode, uint64_t off, uint64_t end)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	uint32_t lblock = (uint32_t)(off >> s->block_bits);
	uint64_t stop = DIV_ROUND_UP(end, (uint64_t)s->block_size);
	int err = 0;

	if (stop > E4_MAX_LBLOCK)
		return -EFBIG;
	if (!(e->flags & E4_FL_EXTENTS))
		return -EOPNOTSUPP;
	while (!err && lblock < stop) {
		struct e4_handle h;
		struct e4_map map;
		uint64_t block, room = atomic_load(&s->free_blocks);

		err = e4_map(inode, lblock, (uint32_t)stop - lblock, &map);
		if (err || map.block) {
			lblock += map.len;
			continue;
		}
		map.len = MIN(map.len, 32000u);
		if (room < atomic_load(&s->reserved) + map.len + 16)
			return -ENOSPC;
		err = e4_begin(s, E4_CREDITS_ALLOC + E4_CREDITS_INSERT + 4, &h);
		if (err)
			break;
		err = e4_alloc_blocks(&h, e->goal && e->goal_lblock == lblock ? e->goal
						  : e4_inode_goal(inode), &map.len, &block);
		if (!err) {
			rt_write_lock(&e->map_lock);
			err = e4_ext_insert(&h, inode, lblock, map.len, block, true);
			e->goal = block + map.len;
			e->goal_lblock = lblock + map.len;
			if (!err)
				err = e4_store_locked(&h, inode);
			rt_write_unlock(&e->map_lock);
			if (err == -ENOSPC)
				e4_unalloc_blocks(&h, block, map.len, false);
			atomic_store(&e->datasync_tid, h.tid);
		}
		err = e4_end(&h, err);
		lblock += map.len;
	}
	return err;
}

static int punch(struct lx_inode *inode, uint64_t off, uint64_t end)
{
	struct e4_super *s = e4_super_of(inode);
	uint64_t first = ALIGN_UP(off, (uint64_t)s->block_size);
	uint64_t last = ALIGN_DOWN(end, (uint64_t)s->block_size);
	int err = 0;

	/* pages that are cleared in part are there */
	if ((off & (PAGE - 1)) && off < inode->size && on_disk(inode, off))
		err = lx_inode_fill_page(inode, off);
	if (!err && (end & (PAGE - 1)) && end < inode->size && on_disk(inode, end))
		err = lx_inode_fill_page(inode, end);
	/* and so that no block is removed below one: their other blocks are written first */
	if (!err && s->block_size < PAGE)
		err = e4_writeback_locked(inode);
	if (!err)
		err = lx_pages_punch(inode, off, end - off);
	if (!err && s->block_size < PAGE)
		err = e4_writeback_locked(inode);
	if (err)
		return err;
	unreserve(inode, DIV_ROUND_UP(off, PAGE), end / PAGE);
	if (end >= inode->size)
		last = ALIGN_UP(end, (uint64_t)s->block_size);
	return first < last ? remove_blocks(inode, (uint32_t)(first >> s->block_bits),
					    MIN(last >> s->block_bits, (uint64_t)E4_MAX_LBLOCK + 1))
			    : 0;
}

int e4_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len)
{
	struct lx_inode *inode = f->inode;
	struct e4_inode *e = e4_inode(inode);
	uint64_t start = (uint64_t)off, end = start + (uint64_t)len;
	int err = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (!e4_super_of(inode)->journal)
		return -EROFS;
	if (!(mode & FALLOC_FL_PUNCH_HOLE) && end > (uint64_t)inode->sb->max_bytes)
		return -EFBIG;
	rt_mutex_lock(&inode->lock);
	e4_direct_drain(inode);
	rt_mutex_lock(&e->wb_lock);
	if (mode & FALLOC_FL_PUNCH_HOLE)
		end = MIN(end, DIV_ROUND_UP(inode->size, PAGE) * PAGE);
	if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) && start < end)
		err = punch(inode, start, end);
	if (!err && !(mode & FALLOC_FL_PUNCH_HOLE))
		err = allocate(inode, start, end);
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size) {
		err = e4_zero_tail(inode);
		if (!err)
			err = lx_pages_truncate(inode, end);
		if (!err)
			e->disk_size = inode->size;
	}
	if (!err) {
		lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
		err = store_size(inode);
	}
	rt_mutex_unlock(&e->wb_lock);
	rt_mutex_unlock(&inode->lock);
	return err;
}
