/* SPDX-License-Identifier: MIT */
/* From the page cache to the disk, and cutting off. */
#pragma once

#include "fs/ext4/ext4.h"

struct e4_handle;

/* -- reserve.c */
/* lx_inode_ops.prepare_write: blocks for [off, off + n) are there or promised.  Inode locked. */
int e4_prepare_write(struct lx_inode *inode, uint64_t off, uint64_t n);
/* Pages [first, end) wait no more; map_lock is held for writing. */
void e4_unreserve(struct lx_inode *inode, uint64_t first, uint64_t end);
bool e4_is_reserved(struct lx_inode *inode, uint64_t page);	/* map_lock */
/* Of pages from @page on: the next one that is reserved; map_lock.  UINT64_MAX: none. */
uint64_t e4_next_reserved(struct lx_inode *inode, uint64_t page);

/* -- writeback.c */
/* Write all dirty pages of the inode: 0, -EIO, -ENOSPC...  Takes wb_lock. */
int e4_writeback(struct lx_inode *inode);
int e4_writeback_locked(struct lx_inode *inode);	/* wb_lock */
/* A run of dirty pages that k_memory_clean() handed out, to the disk; the rest of it as e4_run_done().  wb_lock. */
int e4_write_run(struct lx_inode *inode, uint64_t off, uint64_t end);
/*
 * It is written, or failed with @err, which is returned: its pages wait for blocks no more, or are dirty again;
 * data that is lost is told.  wb_lock.
 */
int e4_run_done(struct lx_inode *inode, uint64_t off, uint64_t end, int err);
/* The file's pages from @off on, @n bytes of whole blocks, with zeros behind its end. */
void e4_copy_pages(struct lx_inode *inode, uint64_t off, uint8_t *buf, size_t n);
/* [block, block + n), which is written, is what the hole at @lblock has from now on.  As e4_ext_insert(). */
int e4_enter_written(struct e4_handle *h, struct lx_inode *inode, uint32_t lblock, uint32_t n,
		     uint64_t block);
/* Not a reason to give the data up: it stays dirty. */
static inline bool e4_is_temporary(int err)
{
	return err == -ENOMEM || err == -EROFS;
}


/* -- batch.c */
/*
 * e4_writeback() for @n inodes, at most E4_BATCH, each with its result in @errs: small files
 * get their blocks, and are written, together.
 */
void e4_writeback_many(struct e4_super *s, struct lx_inode *const *inodes, int *errs, uint32_t n);
#define E4_BATCH 16u

/* -- sync.c */
int e4_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync);
/* All names so far, and what the inodes had when they were stored; not the data of files. */
int e4_fsync_dir(struct lx_inode *dir, bool datasync);
/* Everything that is dirty now, and a commit. */
int e4_sync(struct lx_super *sb);
/* The data of some inodes, because there is too much.  Locks of inodes may be held. */
void e4_write_some(struct e4_super *s);
int e4_flusher_start(struct e4_super *s);
void e4_flusher_stop(struct e4_super *s);

/* -- direct.c: read(2) and write(2) of files opened with O_DIRECT; -EINVAL: not aligned for the device */
bool e4_is_direct(const struct lx_file *f);
/* Wait for the transfers under way.  The inode is locked, so that none begins. */
void e4_direct_drain(struct lx_inode *inode);
int64_t e4_direct_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos);
int64_t e4_direct_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos);

/* -- truncate.c: inode locked */
int e4_truncate(struct lx_inode *inode, uint64_t size);
/* Remove blocks behind @size, with the inode on the orphan list meanwhile. */
int e4_truncate_blocks(struct lx_inode *inode, uint64_t size);
/* The block with the end of the file shows zeros behind it, also once the file is longer. */
int e4_zero_tail(struct lx_inode *inode);
void e4_evict(struct lx_inode *inode);
/*
 * Change where the blocks of the inode are, in as many handles as it takes: @step is called until it answers
 * anything but -EAGAIN, with map_lock held for writing, and the inode is stored with each.
 */
typedef int e4_step_fn(struct e4_handle *h, struct lx_inode *inode, void *arg);
int e4_in_steps(struct lx_inode *inode, e4_step_fn *step, void *arg);
/* Remove blocks of [from, to), in steps. */
int e4_remove_blocks(struct lx_inode *inode, uint32_t from, uint64_t to);
int e4_store_size(struct lx_inode *inode);	/* the disk's is the inode's, and all attributes */
/* Is the block at @off one with contents on the disk? */
bool e4_on_disk(struct lx_inode *inode, uint64_t off);

/* -- fallocate.c */
int e4_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len);

/* -- orphan.c */
int e4_orphan_add(struct e4_handle *h, struct lx_inode *inode);
int e4_orphan_del(struct e4_handle *h, struct lx_inode *inode);
int e4_orphans_process(struct e4_super *s);
bool e4_orphans_exist(struct e4_super *s);
#define E4_CREDITS_ORPHAN 3u

void e4_super_set_csum(struct e4_super *s);	/* orphan_lock */
