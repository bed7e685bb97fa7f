/* SPDX-License-Identifier: MIT */
/*
 * When what is written: fsync(2), sync(2), every few seconds, and when there is too much.
 */
#include "abi/calls.h"
#include "block/block.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"
#include "rt/time.h"

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

/* Some dirty inodes, a reference each: how many. */
static uint32_t take_some(struct e4_super *s, struct lx_inode **inodes, size_t most)
{
	uint32_t n = 0;

	while (n < MIN(most, (size_t)E4_BATCH) && (inodes[n] = e4_dirty_next(s)))
		n++;
	return n;
}

/* Its data was written, with @err; its attributes, too, if they can be. */
static int finish(struct lx_inode *inode, int err)
{
	if (!err)
		err = store_dirty(inode);
	if (e4_is_temporary(err) && err != -EROFS)
		e4_mark_dirty(inode);
	else if (err != -EROFS)
		look_again(inode);
	lx_inode_put(inode);
	return err;
}

/* Write what was dirty when it began. */
static int flush_inodes(struct e4_super *s)
{
	struct lx_inode *inodes[E4_BATCH];
	int errs[E4_BATCH], err = 0;
	uint32_t got;
	size_t n;

	rt_mutex_lock(&s->dirty_lock);
	n = list_count(&s->dirty);
	rt_mutex_unlock(&s->dirty_lock);
	for (; n && (got = take_some(s, inodes, n)); n -= got) {
		e4_writeback_many(s, inodes, errs, got);
		for (uint32_t i = 0; i < got; i++) {
			int e1 = finish(inodes[i], errs[i]);

			err = err ? err : e1;
		}
	}
	return err;
}

/* For memory's sake: data only, attributes can wait. */
void e4_write_some(struct e4_super *s)
{
	struct lx_inode *inodes[E4_BATCH];
	int errs[E4_BATCH];
	uint32_t n = take_some(s, inodes, E4_BATCH);

	e4_writeback_many(s, inodes, errs, n);
	for (uint32_t i = 0; i < n; i++) {
		e4_mark_dirty(inodes[i]);
		lx_inode_put(inodes[i]);
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
