/* SPDX-License-Identifier: MIT */
/*
 * The journal: groups of changes to metadata reach the disk together or not at all.
 *
 * A call that changes metadata does it within a handle:
 *
 *	err = e4_begin(s, credits, &h);		// waits for room; before all ext4 locks
 *	err = e4_change(&h, buf);		// before the bytes of buf are changed
 *	...
 *	return e4_end(&h, err);
 *
 * Handles of all threads join one running transaction.  A commit waits until its
 * handles have ended, copies the changed blocks, lets the next transaction begin,
 * and writes the copies to the log: blocks, flush, commit block, flush.  File data
 * that a transaction makes reachable is written while the handle is open, so that
 * the first flush covers it (data=ordered).  A committed block stays in the cache,
 * marked dirty, until a checkpoint writes it to its place; then the log is freed up
 * to the oldest transaction that still has such blocks.
 *
 * Nobody is the journal's thread: whoever needs a commit (fsync, a full log, the
 * flusher every few seconds) does it, under commit_lock.
 *
 * Waiting for a handle is like taking a lock: a thread that has one may not begin
 * another, take an inode's lock, or wait for a commit.
 */
#pragma once

#include "fs/ext4/ext4.h"
#include "fs/ext4/jdisk.h"

/* Blocks of a group freed by a transaction: not to be used again before it is committed. */
struct e4_freed {
	struct e4_freed *next;
	uint64_t block;
	uint32_t count;
};

struct e4_tx {
	uint32_t tid;			/* constant */
	bool closing;			/* journal's lock: no new handles */
	uint32_t handles;		/* journal's lock: open */
	uint32_t promised;		/* journal's lock: credits of open handles, not used yet */
	struct list bufs;		/* journal's lock: of e4_buf.tx_link; a reference each */
	uint32_t count;			/* journal's lock */
	uint64_t *revoked;		/* journal's lock */
	uint32_t revoked_count, revoked_room;
	struct e4_freed *freed;		/* journal's lock */
};

/* A committed transaction that the log still has to keep. */
struct e4_logged {
	struct list link;
	uint32_t tid, start;
};

struct e4_journal {
	/* Constant after loading. */
	struct e4_super *s;
	struct lx_inode *inode;		/* a reference */
	uint32_t first, len;		/* the ring is [first, len) */
	uint32_t compat, incompat;
	bool csum;			/* blocks have checksums (v2 or v3) */
	uint32_t seed;
	uint32_t max_tx;		/* blocks of one transaction */
	uint8_t *super;			/* block 0: commit_lock */

	/* As on disk.  commit_lock */
	uint32_t start, sequence;

	struct rt_mutex commit_lock;	/* rank LX_LOCK_EXT4_COMMIT: commits and checkpoints */
	uint32_t head;			/* commit_lock: where the log goes on */
	struct list logged;		/* commit_lock: of e4_logged, oldest first */
	uint8_t *staging;		/* commit_lock: STAGING bytes */

	struct rt_mutex lock;		/* rank LX_LOCK_EXT4_JOURNAL */
	_Atomic(uint32_t) event;	/* changes when a waiter should look again; written under lock */
	struct e4_tx *running;		/* lock */
	uint32_t next_tid;		/* lock */
	_Atomic(uint32_t) committed;	/* the last transaction that is durable: commit_lock */
	struct list dirty;		/* lock: of e4_buf.dirty_link: committed, not in place */
	uint32_t dirty_count;		/* lock */
	uint32_t free;			/* lock: blocks of the log that may be written */
	_Atomic(bool) closed;		/* read-only for now: no new handles */
	_Atomic(int) aborted;		/* the errno that ended it, or 0; never goes back */
};

struct e4_handle {
	struct e4_super *s;
	struct e4_tx *tx;
	uint32_t credits;		/* blocks that may still join */
	uint32_t tid;
	bool changed;			/* something was; whoever has undone all of it says so */
	bool spoiled;			/* something could not be undone */
};

/* -- loading, recovery */
/*
 * Open the journal: -EUCLEAN (broken), -EOPNOTSUPP (features that we lack), -EIO,
 * -ENOMEM.  Reads only.
 */
int e4_journal_load(struct e4_super *s, struct e4_journal **out);
void e4_journal_free(struct e4_journal *j);
/*
 * Bring what was committed to its place, and mark the log as empty.  The caches of
 * the file system are stale afterwards.  -EIO: also a block whose checksum is wrong.
 */
int e4_journal_recover(struct e4_journal *j);

/* -- transactions (journal.c, commit.c, checkpoint.c) */
/* The log is empty: begin to use it.  -EIO, -ENOMEM. */
int e4_journal_start(struct e4_journal *j);
/* Commit and checkpoint everything; the log is empty afterwards. */
int e4_journal_stop(struct e4_journal *j);
/*
 * Open a handle that may change @credits blocks: -EROFS (aborted or read-only), -ENOMEM, -ENOSPC
 * (more than the journal can take).  Sleeps; may commit and checkpoint.
 */
int e4_begin(struct e4_super *s, uint32_t credits, struct e4_handle *h);
/*
 * The operation has come to its end, with @err, which is returned.  One that failed in the middle
 * must not be committed: then the journal is aborted, and what is on the disk stays sound.  (-ENOSPC
 * and -EAGAIN do not come in the middle.)
 */
int e4_end(struct e4_handle *h, int err);
/* Is there room for @credits more?  Else end the handle and begin another. */
bool e4_extend(struct e4_handle *h, uint32_t credits);
/* The block @b is about to be changed.  -EROFS: the journal was aborted. */
int e4_change(struct e4_handle *h, struct e4_buf *b);
/*
 * The block @block of metadata is freed: it is not written any more, and a recovery
 * leaves it alone.  -ENOMEM: nothing happened.
 */
int e4_forget(struct e4_handle *h, uint64_t block);
/* [block, block + n) was freed: e4_free_committed() is called once that is durable. */
void e4_note_freed(struct e4_handle *h, uint64_t block, uint32_t n);
void e4_free_committed(struct e4_super *s, uint64_t block, uint32_t n);
/* Make transaction @tid durable, if it is not yet.  -EIO, -EROFS. */
int e4_commit(struct e4_journal *j, uint32_t tid);
/* The same; and whatever was written in place before the call is durable, too. */
int e4_commit_and_flush(struct e4_journal *j, uint32_t tid);
/* The number of the transaction that runs, or that begins next. */
uint32_t e4_current_tid(struct e4_journal *j);
/* The number of the newest transaction that has begun: all changes so far are in it or in older ones. */
uint32_t e4_newest_tid(struct e4_journal *j);
void e4_abort(struct e4_super *s, int err);

/* -- between the files of the journal */
#define E4_STAGING	(128u * 1024)
int e4_checkpoint_locked(struct e4_journal *j);	/* commit_lock */
int e4_commit_locked(struct e4_journal *j);	/* commit_lock: the running transaction, if any */
void e4_journal_wake(struct e4_journal *j);	/* lock */
/* Write the journal's super block with @start and @sequence, durably. */
int e4_journal_write_super(struct e4_journal *j, uint32_t start, uint32_t sequence);
void e4_journal_set_features(struct e4_journal *j);
/* Where block @n of the journal is on the device; 0: nowhere. */
uint64_t e4_journal_block(struct e4_journal *j, uint32_t n, uint32_t max, uint32_t *run);
static inline uint32_t e4_journal_next(const struct e4_journal *j, uint32_t n)
{
	return n + 1 >= j->len ? j->first : n + 1;
}
uint32_t e4_journal_tag_size(const struct e4_journal *j);
uint32_t e4_journal_tail_csum(const struct e4_journal *j, const uint8_t *block);
uint32_t e4_journal_data_csum(const struct e4_journal *j, uint32_t sequence, const uint8_t *block);
uint32_t e4_journal_commit_csum(const struct e4_journal *j, const uint8_t *block);
