/* SPDX-License-Identifier: MIT */
/*
 * fallocate(2): blocks for what is not written yet, and holes.
 *
 * The inode is locked, and wb_lock is held while blocks go: nobody may be writing their pages.
 */
#include <linux/falloc.h>

#include "abi/calls.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"

#define PAGE ((uint64_t)K_PAGE_SIZE)
#define CREDITS_STEP 64u

/* -- room and holes */

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
	if ((off & (PAGE - 1)) && off < inode->size && e4_on_disk(inode, off))
		err = lx_inode_fill_page(inode, off);
	if (!err && (end & (PAGE - 1)) && end < inode->size && e4_on_disk(inode, end))
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
	rt_write_lock(&e4_inode(inode)->map_lock);
	e4_unreserve(inode, DIV_ROUND_UP(off, PAGE), end / PAGE);
	rt_write_unlock(&e4_inode(inode)->map_lock);
	if (end >= inode->size)
		last = ALIGN_UP(end, (uint64_t)s->block_size);
	return first < last ? e4_remove_blocks(inode, (uint32_t)(first >> s->block_bits),
					    MIN(last >> s->block_bits, (uint64_t)E4_MAX_LBLOCK + 1))
			    : 0;
}

/* -- the call */

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
		err = e4_store_size(inode);
	}
	rt_mutex_unlock(&e->wb_lock);
	rt_mutex_unlock(&inode->lock);
	return err;
}
