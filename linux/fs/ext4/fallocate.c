/* SPDX-License-Identifier: MIT */
/*
 * fallocate(2): blocks for what is not written yet, holes, and ranges that go, or come, with everything
 * behind them.
 *
 * The inode is locked, and wb_lock is held while blocks go or move: nobody may be writing their pages.
 */
#include <linux/falloc.h>

#include "abi/calls.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"
#include "lx/task.h"

#define PAGE ((uint64_t)K_PAGE_SIZE)

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

/* -- ranges that go and come */

/* More blocks may be needed to say where the others are. */
static bool is_full(struct e4_super *s)
{
	return atomic_load(&s->free_blocks) < atomic_load(&s->reserved) + 16;
}

/* The pages from @off on are not what they were.  They are clean: mappings dirty pages with the inode locked. */
static void forget_pages(struct lx_inode *inode, uint64_t off)
{
	uint64_t size = inode->size, from = ALIGN_DOWN(off, PAGE), end = ALIGN_UP(size, PAGE);

	if (!atomic_load(&inode->has_pages) || from >= end)
		return;
	/* whoever is filling one has supplied what he has read before */
	rt_mutex_lock(&inode->pages_lock);
	(void)!k_memory_discard(inode->pages.handle, from, end - from);
	rt_mutex_unlock(&inode->pages_lock);
}

struct shifting {
	uint32_t at, n;			/* blocks */
	uint64_t hole;			/* collapsing: to be removed up to here */
	uint64_t next;			/* how far it has come: see extshift.c */
	uint64_t size, old_size;	/* of the file: afterwards, before */
	bool undo;			/* there is no room for the extent that is parted: back */
};

static int collapse_some(struct e4_handle *h, struct lx_inode *inode, void *arg)
{
	struct shifting *c = arg;
	int err = e4_ext_remove(h, inode, c->at, &c->hole);

	if (!err) {
		c->hole = c->at;
		err = e4_ext_lower(h, inode, &c->next, c->n);
	}
	if (!err)
		e4_inode(inode)->disk_size = c->size;
	return err;
}

static int raise_or_undo(struct e4_handle *h, struct lx_inode *inode, struct shifting *c)
{
	int err;

	if (c->undo) {
		err = e4_ext_lower(h, inode, &c->next, c->n);
		return err ? err : -ENOSPC;
	}
	err = e4_ext_raise(h, inode, c->at, &c->next, c->n);
	if (!err && !e4_extend(h, E4_CREDITS_INSERT + E4_CREDITS_SHIFT))
		err = -EAGAIN;
	if (!err)
		err = e4_ext_part(h, inode, c->at, c->n);
	if (err != -ENOSPC)
		return err;
	c->undo = true;
	c->next = (uint64_t)c->at + c->n;
	return -EAGAIN;
}

static int insert_some(struct e4_handle *h, struct lx_inode *inode, void *arg)
{
	struct shifting *c = arg;
	int err = raise_or_undo(h, inode, c);

	e4_inode(inode)->disk_size = err == -ENOSPC ? c->old_size : c->size;
	return err;
}

/* What is behind it moves down: in one transaction, if the journal has room for it. */
static int collapse(struct lx_inode *inode, struct shifting *c, uint64_t off)
{
	int err;

	c->hole = c->next = (uint64_t)c->at + c->n;
	err = e4_in_steps(inode, collapse_some, c);
	forget_pages(inode, off);
	return err ? err : lx_pages_truncate(inode, c->size);
}

/* What is there and behind it moves up.  As above. */
static int insert(struct lx_inode *inode, struct shifting *c, uint64_t off)
{
	struct e4_inode *e = e4_inode(inode);
	uint64_t end;
	int err;

	rt_write_lock(&e->map_lock);
	err = e4_ext_end(inode, &end);
	rt_write_unlock(&e->map_lock);
	if (!err && end + c->n > E4_MAX_LBLOCK)
		err = -EINVAL;
	if (!err)
		err = lx_pages_truncate(inode, c->size);
	if (err)
		return err;
	c->next = (uint64_t)E4_MAX_LBLOCK + 1;
	err = e4_in_steps(inode, insert_some, c);
	forget_pages(inode, off);
	if (err)
		(void)!lx_pages_truncate(inode, c->old_size);
	return err;
}

static int shift(struct lx_inode *inode, int mode, uint64_t off, uint64_t len)
{
	struct e4_super *s = e4_super_of(inode);
	bool collapses = mode == FALLOC_FL_COLLAPSE_RANGE;
	struct shifting c = {
		.at = (uint32_t)(off >> s->block_bits), .n = (uint32_t)(len >> s->block_bits),
		.old_size = inode->size, .size = collapses ? inode->size - len : inode->size + len,
	};
	int err;

	if (!(e4_inode(inode)->flags & E4_FL_EXTENTS))
		return -EOPNOTSUPP;
	if ((off | len) & (s->block_size - 1))
		return -EINVAL;
	if (collapses ? off + len >= inode->size : off >= inode->size)
		return -EINVAL;
	if (!collapses && len > (uint64_t)inode->sb->max_bytes - inode->size)
		return -EFBIG;
	if (is_full(s))
		return -ENOSPC;
	err = e4_writeback_locked(inode);
	if (err)
		return err;
	return collapses ? collapse(inode, &c, off) : insert(inode, &c, off);
}

/* -- the call */

static int change(struct lx_inode *inode, int mode, uint64_t start, uint64_t end)
{
	struct e4_inode *e = e4_inode(inode);
	int err = 0;

	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return shift(inode, mode, start, end - start);
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
	return err;
}

/* The inode is locked. */
static int change_and_store(struct lx_inode *inode, int mode, uint64_t start, uint64_t end)
{
	struct e4_inode *e = e4_inode(inode);
	int err;

	rt_mutex_lock(&e->wb_lock);
	err = change(inode, mode, start, end);
	if (!err) {
		lx_pages_remove_privs(lx_self(), inode);
		lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
		err = e4_store_size(inode);
	}
	rt_mutex_unlock(&e->wb_lock);
	return err;
}

int e4_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len)
{
	struct lx_inode *inode = f->inode;
	struct e4_super *s = e4_super_of(inode);
	uint64_t start = (uint64_t)off, end = start + (uint64_t)len;
	int err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |
		     FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return -EOPNOTSUPP;
	if (!s->journal)
		return -EROFS;
	if (!(mode & FALLOC_FL_PUNCH_HOLE) && end > (uint64_t)inode->sb->max_bytes)
		return -EFBIG;
	rt_mutex_lock(&inode->lock);
	e4_direct_drain(inode);
	err = change_and_store(inode, mode, start, end);
	if (err == -ENOSPC) {
		/* but for what was freed and is not committed; what was done so far is there the second time */
		(void)!e4_writeback(inode);
		(void)!e4_commit(s->journal, e4_current_tid(s->journal));
		err = change_and_store(inode, mode, start, end);
	}
	rt_mutex_unlock(&inode->lock);
	return err;
}
