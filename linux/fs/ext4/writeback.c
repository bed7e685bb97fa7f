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
#include "rt/time.h"

/* As much at once as the kernel hands out: the link has several requests in flight then. */
#define CHUNK_BEST (1024u * 1024)

#define SOME 16u			/* inodes whose data is written because there is too much */

struct work {
	struct lx_inode *inode;
	uint8_t *buf;
	uint32_t chunk;			/* bytes of buf */
};

/* -- data */

/* The file's pages from @off on, @n bytes of whole blocks, to @block. */
static int write_data(struct work *w, uint64_t off, uint64_t block, uint64_t n)
{
	struct e4_super *s = e4_super_of(w->inode);
	uint64_t at = block << s->block_bits;

	while (n) {
		size_t len = (size_t)MIN(n, (uint64_t)w->chunk), done;
		uint64_t size = atomic_load(&w->inode->size);
		k_status_t st = rt_memory_read(&w->inode->pages, off, w->buf, len, &done);
		int err;

		/* cut off meanwhile: zeros, in blocks that go as well */
		if (st != K_OK)
			memset(w->buf + done, 0, len - done);
		if (size < off + len) {
			size_t keep = size > off ? (size_t)(size - off) : 0;

			memset(w->buf + keep, 0, len - keep);
		}
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

/* Allocate for the hole at @lblock, write, enter; *@n says how many blocks that were. */
static int fill_hole(struct work *w, struct e4_handle *h, uint32_t lblock, uint32_t *n)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(w->inode);
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
	rt_write_lock(&e->map_lock);
	err = e4_ext_insert(h, w->inode, lblock, *n, block, false);
	if (!err) {
		e->goal = block + *n;
		e->goal_lblock = lblock + *n;
		show_up_to(w->inode, off + ((uint64_t)*n << s->block_bits));
		err = e4_store_locked(h, w->inode);
	}
	rt_write_unlock(&e->map_lock);
	if (!err)
		atomic_store(&e->datasync_tid, h->tid);
	else if (err == -ENOSPC)
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

/* With little memory a smaller one, without any the one that is kept for that. */
static void get_buffer(struct work *w)
{
	struct e4_super *s = e4_super_of(w->inode);

	for (; w->chunk >= E4_SPARE; w->chunk /= 2) {
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

	if (w->buf == s->spare)
		rt_mutex_unlock(&s->spare_lock);
	else
		rt_free(w->buf);
}

static bool is_temporary(int err)
{
	return err == -ENOMEM || err == -EROFS;
}

int e4_writeback_locked(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	struct work w = { .inode = inode, .chunk = CHUNK_BEST };
	struct k_clean clean;
	uint64_t at = 0, counted;
	int err = 0;

	if (!atomic_load(&inode->has_pages) || !lx_is_reg(inode))
		return 0;
	get_buffer(&w);
	counted = lx_dirty_take(inode);
	lx_inode_begin_writeback(inode);
	for (;;) {
		int e1;

		clean = (struct k_clean){ .offset = at, .length = UINT64_MAX - at,
					  .action = K_CLEAN_TAKE };
		if (k_memory_clean(inode->pages.handle, &clean) != K_OK || !clean.length)
			break;
		at = clean.offset + clean.length;
		e1 = write_run(&w, clean.offset, at);
		if (e1 && is_temporary(e1)) {
			clean.length = at - clean.offset;
			clean.action = K_CLEAN_MARK;
			(void)!k_memory_clean(inode->pages.handle, &clean);
			err = e1;
			break;
		}
		unreserve(inode, clean.offset, at);
		if (!e1)
			continue;
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): inode %u: data at %llu is lost: error %d", s->name,
		       e->ino, (unsigned long long)clean.offset, e1);
		lx_inode_write_failed(inode, e1);
		err = e1;
	}
	lx_inode_end_writeback(inode);
	if (err && is_temporary(err))
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

/* -- fsync, sync */

/* Attributes that are in memory only.  The inode is not locked by the caller. */
static int store_dirty(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_handle h;
	int err;

	if (!atomic_load(&e4_inode(inode)->dirty))
		return 0;
	rt_mutex_lock_nested(&inode->lock);
	err = e4_begin(s, 2, &h);
	if (!err)
		err = e4_end(&h, e4_store(&h, inode));
	rt_mutex_unlock(&inode->lock);
	return err;
}

int e4_fsync_dir(struct lx_inode *dir, bool datasync)
{
	struct e4_super *s = e4_super_of(dir);
	int err = 0;

	if (!s->journal)
		return 0;
	if (!datasync)
		err = store_dirty(dir);
	return err ? err : e4_commit_and_flush(s->journal, e4_newest_tid(s->journal));
}

int e4_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync)
{
	struct lx_inode *inode = f->inode;
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	int err, late;

	if (!s->journal)
		return 0;
	err = e4_writeback(inode);
	if (!err && !datasync)
		err = store_dirty(inode);
	if (!err)
		err = e4_commit_and_flush(s->journal, atomic_load(datasync ? &e->datasync_tid : &e->sync_tid));
	late = lx_errseq_tell(&inode->wb_error, &f->wb_seen);
	return err ? err : late;
}

/*
 * A writer has the inode put on the list before its pages become dirty: one that was taken off
 * in between, and written, goes back on it.  With the inode locked no writer is in between.
 */
static void look_again(struct lx_inode *inode)
{
	struct k_memory_info info;

	rt_mutex_lock_nested(&inode->lock);
	if (atomic_load(&inode->has_pages) && k_memory_info(inode->pages.handle, &info) == K_OK &&
	    info.dirty_pages)
		e4_mark_dirty(inode);
	rt_mutex_unlock(&inode->lock);
}

/* Write what was dirty when it began. */
static int flush_inodes(struct e4_super *s)
{
	size_t n;
	int err = 0;

	rt_mutex_lock(&s->dirty_lock);
	n = list_count(&s->dirty);
	rt_mutex_unlock(&s->dirty_lock);
	while (n--) {
		struct lx_inode *inode = e4_dirty_next(s);
		int e1;

		if (!inode)
			break;
		e1 = e4_writeback(inode);
		if (!e1)
			e1 = store_dirty(inode);
		if (is_temporary(e1) && e1 != -EROFS)
			e4_mark_dirty(inode);
		else if (e1 != -EROFS)
			look_again(inode);
		err = err ? err : e1;
		lx_inode_put(inode);
	}
	return err;
}

/* For memory's sake: data only, attributes can wait. */
void e4_write_some(struct e4_super *s)
{
	for (unsigned int i = 0; i < SOME; i++) {
		struct lx_inode *inode = e4_dirty_next(s);

		if (!inode)
			break;
		(void)!e4_writeback(inode);
		e4_mark_dirty(inode);
		lx_inode_put(inode);
	}
}

/* The super block's counters as the groups have them. */
static int store_counts(struct e4_super *s)
{
	uint64_t blocks = e4_count_free_blocks(s), inodes = e4_count_free_inodes(s);
	struct e4_handle h;
	int err = e4_begin(s, 1, &h);

	if (err)
		return err;
	rt_mutex_lock(&s->orphan_lock);
	if ((get_le32(s->super->free_blocks_lo) != (uint32_t)blocks ||
	     get_le32(s->super->free_inodes) != (uint32_t)inodes) &&
	    !(err = e4_change(&h, s->super_buf))) {
		put_le32(s->super->free_blocks_lo, (uint32_t)blocks);
		put_le32(s->super->free_blocks_hi, (uint32_t)(blocks >> 32));
		put_le32(s->super->free_inodes, (uint32_t)inodes);
		put_le32(s->super->wtime, (uint32_t)lx_now_coarse().sec);
		e4_super_set_csum(s);
	}
	rt_mutex_unlock(&s->orphan_lock);
	return e4_end(&h, err);
}

int e4_sync(struct lx_super *sb)
{
	struct e4_super *s = e4_super(sb);
	int err, e1;

	if (!s->journal)
		return 0;
	err = flush_inodes(s);
	e1 = store_counts(s);
	if (!e1)
		e1 = e4_commit(s->journal, e4_current_tid(s->journal));
	if (!e1)
		e1 = lx_blkdev_flush(s->dev);
	return err ? err : e1;
}

/* -- the flusher: one thread per file system, every few seconds */

enum { RUN, HURRY, STOP, STOPPED };

static void flusher(void *arg)
{
	struct e4_super *s = arg;
	uint64_t next = rt_now_ns() + s->commit_seconds * 1000000000ull;
	uint32_t word;

	while ((word = atomic_load(&s->flusher_word)) != STOP) {
		bool aborted = atomic_load(&s->journal->aborted);

		if (word == RUN && rt_now_ns() < next) {
			(void)!rt_wait(&s->flusher_word, RUN, next, false);
			continue;
		}
		/* before it looks: what becomes too much from now on wakes it again */
		if (word == HURRY && !atomic_compare_exchange_strong(&s->flusher_word, &word, RUN))
			continue;
		if (rt_now_ns() >= next) {
			if (!aborted)
				(void)!e4_sync(s->sb);
			next = rt_now_ns() + s->commit_seconds * 1000000000ull;
		} else if (!aborted) {
			(void)!flush_inodes(s);
		}
	}
	atomic_store(&s->flusher_word, STOPPED);
	rt_wake(&s->flusher_word, 1);
}

static void hurry(struct lx_flusher *f)
{
	struct e4_super *s = container_of(f, struct e4_super, wakes);
	uint32_t run = RUN;

	if (atomic_compare_exchange_strong(&s->flusher_word, &run, HURRY))
		rt_wake(&s->flusher_word, 1);
}

int e4_flusher_start(struct e4_super *s)
{
	atomic_store(&s->flusher_word, RUN);
	s->flusher = lx_kthread_create("jbd2", flusher, s);
	if (!s->flusher)
		return -ENOMEM;
	s->wakes.wake = hurry;
	lx_flusher_add(&s->wakes);
	return 0;
}

void e4_flusher_stop(struct e4_super *s)
{
	uint32_t word;

	if (!s->flusher)
		return;
	lx_flusher_remove(&s->wakes);
	atomic_store(&s->flusher_word, STOP);
	rt_wake(&s->flusher_word, 1);
	while ((word = atomic_load(&s->flusher_word)) != STOPPED)
		(void)!rt_wait(&s->flusher_word, word, K_DEADLINE_NEVER, false);
	s->flusher = NULL;
}
