/* SPDX-License-Identifier: MIT */
/*
 * Blocks of metadata in memory: directories, trees, tables, bitmaps.
 *
 * A block is there at most once.  A reference keeps it; without one, and clean, it
 * stays until the cache is full.  Its bytes are private memory: they are checked
 * once, by whoever reads them as what they are meant to be (e4_buf.kind), and can
 * be parsed in place afterwards.
 *
 * Who may touch the bytes: the lock of what the block belongs to (a directory's
 * inode, an inode's map, a group); and only within a handle of the journal that
 * has asked for it (journal.h).
 */
#pragma once

#include "base/hlist.h"
#include "lx/types.h"

struct lx_blkdev;

/* What the bytes have been checked to be. */
enum e4_kind { E4_RAW, E4_BITMAP, E4_ITABLE, E4_EXTENTS, E4_DIR, E4_DX, E4_XATTR, E4_SYMLINK };

struct e4_buf {
	/* Constant. */
	struct e4_cache *cache;
	uint64_t block;
	uint8_t *data;			/* of the cache's block size */

	_Atomic(uint32_t) refs;		/* from 0 to 1 and back: cache's lock */
	_Atomic(uint32_t) state;	/* enum in buf.c: has it been read? */
	_Atomic(uint32_t) kind;		/* enum e4_kind; set by who checked it, E4_RAW before */
	struct hlist_node hash_link;	/* cache's lock */
	struct list lru;		/* cache's lock: linked if unreferenced */

	/* The journal's, under its lock: journal.h. */
	struct e4_tx *tx;		/* the running transaction that changes it */
	struct list tx_link;
	uint32_t dirty_tid;		/* the last committed transaction that changed it */
	bool dirty;			/* committed, and not yet written to its place */
	bool forgotten;			/* freed: never write it again */
	struct list dirty_link;
};

struct e4_cache {
	struct lx_blkdev *dev;		/* constant */
	uint32_t block_size;		/* constant */
	uint32_t mask;			/* constant: table size - 1 */
	uint32_t limit;			/* constant: unreferenced blocks kept */
	struct rt_mutex lock;		/* rank LX_LOCK_EXT4_CACHE */
	struct hlist *table;		/* lock */
	struct list lru;		/* lock: unreferenced, oldest first */
	uint32_t idle;			/* lock: on lru */
};

/* -ENOMEM. */
int e4_cache_init(struct e4_cache *c, struct lx_blkdev *dev, uint32_t block_size);
/* Nobody has a reference any more; what is dirty is lost. */
void e4_cache_free(struct e4_cache *c);

/* The block with its contents from the device: a reference.  -EIO, -ENOMEM.  Sleeps. */
int e4_buf_read(struct e4_cache *c, uint64_t block, struct e4_buf **out);
/* The block, which is new: zeros, whatever is on the device.  -ENOMEM. */
int e4_buf_new(struct e4_cache *c, uint64_t block, struct e4_buf **out);
/* The block, of which nothing on the device is of use any more: as it is if it has been read, else zeros.  -ENOMEM. */
int e4_buf_unread(struct e4_cache *c, uint64_t block, struct e4_buf **out);
struct e4_buf *e4_buf_get(struct e4_buf *b);
void e4_buf_put(struct e4_buf *b);	/* NULL is fine */
/* A cached block that need not be there: a reference, or NULL. */
struct e4_buf *e4_buf_peek(struct e4_cache *c, uint64_t block);
