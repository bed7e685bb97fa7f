/* SPDX-License-Identifier: MIT */
/*
 * Writing back.
 *
 * k_memory_clean() hands out a run of dirty pages and makes them clean; whoever
 * writes to one of them from then on makes it dirty again.  Blocks that exist are
 * written in place.  Others are allocated, written, and only then entered into the
 * tree, all within one handle, so that no commit comes in between: what the disk
 * shows after a crash are old blocks or new ones with their data in them.
 *
 * Between the cleaning and the end of the write the disk does not have what the page
 * has: lx_inode.writeback says so, and nobody may drop pages meanwhile.
 */
#include "abi/calls.h"
#include "block/block.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"

/* As much at once as the kernel hands out: the link has several requests in flight then. */
#define CHUNK_BEST (1024u * 1024)

struct work {
	struct lx_inode *inode;
	uint8_t *buf;			/* NULL until it is needed */
	uint32_t chunk;			/* bytes of buf */
};

/* -- data */

/* As large as what there may be to write.  With little memory a smaller one, or the one that is kept for that. */
static void get_buffer(struct work *w)
{
	struct e4_super *s = e4_super_of(w->inode);
	uint64_t size = ALIGN_UP(atomic_load(&w->inode->size), (uint64_t)E4_SPARE);

	if (w->buf)
		return;
	for (w->chunk = (uint32_t)MAX(MIN(size, (uint64_t)CHUNK_BEST), (uint64_t)E4_SPARE);
	     w->chunk >= E4_SPARE; w->chunk /= 2) {
		w->buf = rt_alloc(w->chunk);
		if (w->buf)
			return;
	}
	rt_mutex_lock(&s->spare_lock);
	w->buf = s->spare;
	w->chunk = E4_SPARE;
}

static void put_buffer(struct work *w)
{
	struct e4_super *s = e4_super_of(w->inode);

	if (w->buf && w->buf == s->spare)
		rt_mutex_unlock(&s->spare_lock);
	else
		rt_free(w->buf);
}

void e4_copy_pages(struct lx_inode *inode, uint64_t off, uint8_t *buf, size_t n)
{
	uint64_t size = atomic_load(&inode->size);
	size_t done;

	/* cut off meanwhile: zeros, in blocks that go as well */
	if (rt_memory_read(&inode->pages, off, buf, n, &done) != K_OK)
		memset(buf + done, 0, n - done);
	if (size < off + n) {
		size_t keep = size > off ? (size_t)(size - off) : 0;

		memset(buf + keep, 0, n - keep);
	}
}

/* The file's pages from @off on, @n bytes of whole blocks, to @block. */
static int write_data(struct work *w, uint64_t off, uint64_t block, uint64_t n)
{
	struct e4_super *s = e4_super_of(w->inode);
	uint64_t at = block << s->block_bits;

	while (n) {
		size_t len = (size_t)MIN(n, (uint64_t)w->chunk);
		int err;

		e4_copy_pages(w->inode, off, w->buf, len);
		err = lx_blkdev_write_direct(s->dev, at, w->buf, len);
		if (err)
			return err;
		off += len;
		at += len;
		n -= len;
	}
	return 0;
}

/* What is on disk up to @end may be shown.  map_lock is held for writing. */
static void show_up_to(struct lx_inode *inode, uint64_t end)
{
	struct e4_inode *e = e4_inode(inode);
	uint64_t size = MIN(end, atomic_load(&inode->size));

	if (size > e->disk_size)
		e->disk_size = size;
}

static uint64_t goal_for(struct lx_inode *inode, uint32_t lblock)
{
	struct e4_inode *e = e4_inode(inode);
	struct e4_map before;

	if (e->goal && e->goal_lblock == lblock)
		return e->goal;
	if (lblock && !e4_map(inode, lblock - 1, 1, &before) && before.block)
		return before.block + 1;
	return e4_inode_goal(inode);
}

int e4_enter_written(struct e4_handle *h, struct lx_inode *inode, uint32_t lblock, uint32_t n,
		     uint64_t block)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(inode);
	int err;

	rt_write_lock(&e->map_lock);
	err = e4_ext_insert(h, inode, lblock, n, block, false);
	if (!err) {
		e->goal = block + n;
		e->goal_lblock = lblock + n;
		show_up_to(inode, ((uint64_t)lblock + n) << s->block_bits);
		err = e4_store_locked(h, inode);
	}
	rt_write_unlock(&e->map_lock);
	if (!err)
		atomic_store(&e->datasync_tid, h->tid);
	return err;
}

/* Allocate for the hole at @lblock, write, enter; *@n says how many blocks that were. */
static int fill_hole(struct work *w, struct e4_handle *h, uint32_t lblock, uint32_t *n)
{
	struct e4_super *s = h->s;
	uint64_t block, off = (uint64_t)lblock << s->block_bits;
	int err = e4_alloc_blocks(h, goal_for(w->inode, lblock), n, &block);

	if (err)
		return err;
	err = write_data(w, off, block, (uint64_t)*n << s->block_bits);
	if (err) {
		/* what failed is the data: the file system goes on without it */
		e4_unalloc_blocks(h, block, *n, false);
		h->changed = false;
		return err;
	}
	err = e4_enter_written(h, w->inode, lblock, *n, block);
	if (err == -ENOSPC)
		e4_unalloc_blocks(h, block, *n, false);
	return err;
}

static int fill_unwritten(struct work *w, struct e4_handle *h, uint32_t lblock, const struct e4_map *map)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(w->inode);
	uint64_t off = (uint64_t)lblock << s->block_bits, n = (uint64_t)map->len << s->block_bits;
	int err = write_data(w, off, map->block, n);

	if (err)
		return err;
	rt_write_lock(&e->map_lock);
	err = e4_ext_convert(h, w->inode, lblock, map->len);
	if (!err) {
		show_up_to(w->inode, off + n);
		err = e4_store_locked(h, w->inode);
	}
	rt_write_unlock(&e->map_lock);
	if (!err)
		atomic_store(&e->datasync_tid, h->tid);
	return err;
}

/* Written in place; but the file may have become longer within its last block. */
static int fill_mapped(struct work *w, uint32_t lblock, const struct e4_map *map)
{
	struct e4_super *s = e4_super_of(w->inode);
	struct e4_inode *e = e4_inode(w->inode);
	uint64_t off = (uint64_t)lblock << s->block_bits, n = (uint64_t)map->len << s->block_bits;
	struct e4_handle h;
	int err = write_data(w, off, map->block, n);

	if (err || MIN(off + n, atomic_load(&w->inode->size)) <= e->disk_size)
		return err;
	err = e4_begin(s, 4, &h);
	if (err)
		return err;
	rt_write_lock(&e->map_lock);
	show_up_to(w->inode, off + n);
	err = e4_store_locked(&h, w->inode);
	rt_write_unlock(&e->map_lock);
	if (!err)
		atomic_store(&e->datasync_tid, h.tid);
	return e4_end(&h, err);
}

static int write_run(struct work *w, uint64_t off, uint64_t end)
{
	struct e4_super *s = e4_super_of(w->inode);
	struct e4_inode *e = e4_inode(w->inode);
	uint32_t lblock = (uint32_t)(off >> s->block_bits), stop;
	int err = 0;

	/* before there is a handle */
	get_buffer(w);
	end = MIN(end, ALIGN_UP(atomic_load(&w->inode->size), (uint64_t)s->block_size));
	stop = (uint32_t)(end >> s->block_bits);
	while (!err && lblock < stop) {
		struct e4_handle h;
		struct e4_map map;

		err = e4_map(w->inode, lblock, stop - lblock, &map);
		if (err)
			break;
		if (map.block && !map.unwritten) {
			err = fill_mapped(w, lblock, &map);
			lblock += map.len;
			continue;
		}
		if (!map.block && !(e->flags & E4_FL_EXTENTS))
			return -EOPNOTSUPP;
		err = e4_begin(s, E4_CREDITS_ALLOC + 2 * E4_CREDITS_INSERT + 8, &h);
		if (err)
			break;
		err = map.block ? fill_unwritten(w, &h, lblock, &map)
				: fill_hole(w, &h, lblock, &map.len);
		err = e4_end(&h, err);
		lblock += map.len;
	}
	return err;
}

/* The pages have their blocks; they wait no more, even if that failed. */
static void unreserve(struct lx_inode *inode, uint64_t off, uint64_t end)
{
	struct e4_inode *e = e4_inode(inode);

	rt_write_lock(&e->map_lock);
	e4_unreserve(inode, off >> K_PAGE_SHIFT, (end + K_PAGE_SIZE - 1) >> K_PAGE_SHIFT);
	rt_write_unlock(&e->map_lock);
}

int e4_run_done(struct lx_inode *inode, uint64_t off, uint64_t end, int err)
{
	if (e4_is_temporary(err)) {
		struct k_clean clean = { .offset = off, .length = end - off, .action = K_CLEAN_MARK };

		(void)!k_memory_clean(inode->pages.handle, &clean);
		return err;
	}
	unreserve(inode, off, end);
	if (err) {
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): inode %u: data at %llu is lost: error %d",
		       e4_super_of(inode)->name, e4_inode(inode)->ino, (unsigned long long)off, err);
		lx_inode_write_failed(inode, err);
	}
	return err;
}

int e4_write_run(struct lx_inode *inode, uint64_t off, uint64_t end)
{
	struct work w = { .inode = inode };
	int err = e4_run_done(inode, off, end, write_run(&w, off, end));

	put_buffer(&w);
	return err;
}

int e4_writeback_locked(struct lx_inode *inode)
{
	struct work w = { .inode = inode };
	struct k_clean clean;
	uint64_t at = 0, counted;
	int err = 0;

	if (!atomic_load(&inode->has_pages) || !lx_is_reg(inode))
		return 0;
	counted = lx_dirty_take(inode);
	lx_inode_begin_writeback(inode);
	while (!e4_is_temporary(err)) {
		int e1;

		clean = (struct k_clean){ .offset = at, .length = UINT64_MAX - at,
					  .action = K_CLEAN_TAKE };
		if (k_memory_clean(inode->pages.handle, &clean) != K_OK || !clean.length)
			break;
		at = clean.offset + clean.length;
		e1 = e4_run_done(inode, clean.offset, at, write_run(&w, clean.offset, at));
		err = e1 ? e1 : err;
	}
	lx_inode_end_writeback(inode);
	if (e4_is_temporary(err))
		lx_dirty_add(inode, counted);
	lx_dirty_written(counted);
	put_buffer(&w);
	return err;
}

int e4_writeback(struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	int err;

	rt_mutex_lock(&e->wb_lock);
	err = e4_writeback_locked(inode);
	rt_mutex_unlock(&e->wb_lock);
	return err;
}
