/* SPDX-License-Identifier: MIT */
/*
 * Handles and the running transaction, see journal.h.
 *
 * Room is promised before it is used: a handle gets in only if the blocks of the
 * transaction, what other open handles may still add, and its own credits fit into
 * one transaction; and a transaction begins only if the log has room for the largest
 * one.  So a commit never runs out of log.
 */
#include "block/block.h"
#include "fs/ext4/journal.h"

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

void e4_journal_wake(struct e4_journal *j)
{
	atomic_fetch_add(&j->event, 1);
	rt_wake(&j->event, UINT32_MAX);
}

/* Log blocks that a full transaction can take: its blocks, their descriptors, revokes, the commit. */
static uint32_t most_log(const struct e4_journal *j)
{
	return j->max_tx + j->max_tx / 16 + 16;
}

int e4_journal_start(struct e4_journal *j)
{
	j->max_tx = MIN((j->len - j->first) / 4, 65536u);
	rt_mutex_init(&j->commit_lock, LX_LOCK_EXT4_COMMIT);
	rt_mutex_init(&j->lock, LX_LOCK_EXT4_JOURNAL);
	list_init(&j->logged);
	list_init(&j->dirty);
	j->staging = rt_alloc(E4_STAGING);
	if (!j->staging)
		return -ENOMEM;
	j->head = j->first;
	j->free = j->len - j->first - 1;
	j->next_tid = j->sequence ? j->sequence : 1;
	atomic_store(&j->committed, j->next_tid - 1);
	e4_journal_set_features(j);
	return e4_journal_write_super(j, 0, j->next_tid);
}

/* -- handles */

static struct e4_tx *new_tx(struct e4_journal *j)
{
	struct e4_tx *tx = rt_zalloc(sizeof(*tx));

	if (!tx)
		return NULL;
	tx->tid = j->next_tid++;
	list_init(&tx->bufs);
	return tx;
}

/* There is no running transaction: make one if the log has room.  On failure the lock is dropped. */
static int open_tx(struct e4_journal *j)
{
	int err;

	if (j->free >= most_log(j)) {
		j->running = new_tx(j);
		if (j->running)
			return 0;
		rt_mutex_unlock(&j->lock);
		return -ENOMEM;
	}
	rt_mutex_unlock(&j->lock);
	rt_mutex_lock(&j->commit_lock);
	err = e4_checkpoint_locked(j);
	rt_mutex_unlock(&j->commit_lock);
	return err ? err : -EAGAIN;
}

/* What the transaction needs of the log by now, in blocks: revokes too. */
static uint32_t weight(const struct e4_tx *tx)
{
	return tx->count + tx->promised + tx->revoked_count / 64;
}

/* Join the running transaction.  On failure the lock is dropped; -EAGAIN: after a wait. */
static int join(struct e4_journal *j, uint32_t credits)
{
	struct e4_tx *tx = j->running;
	uint32_t event, tid;
	int err;

	if (!tx) {
		err = open_tx(j);
		if (err)
			return err;
		tx = j->running;
	}
	if (!tx->closing && weight(tx) + credits <= j->max_tx) {
		tx->handles++;
		tx->promised += credits;
		return 0;
	}
	/* full, or being committed: whoever comes first commits it */
	event = atomic_load(&j->event);
	tid = tx->tid;
	if (tx->closing) {
		rt_mutex_unlock(&j->lock);
		(void)!rt_wait(&j->event, event, K_DEADLINE_NEVER, false);
		return -EAGAIN;
	}
	rt_mutex_unlock(&j->lock);
	err = e4_commit(j, tid);
	return err ? err : -EAGAIN;
}

int e4_begin(struct e4_super *s, uint32_t credits, struct e4_handle *h)
{
	struct e4_journal *j = s->journal;
	int err;

	if (!j)
		return -EROFS;
	if (credits > j->max_tx)
		return -ENOSPC;
	do {
		err = atomic_load(&j->aborted);
		if (err || atomic_load(&j->closed))
			return -EROFS;
		rt_mutex_lock(&j->lock);
		err = join(j, credits);
	} while (err == -EAGAIN);
	if (err)
		return err;
	*h = (struct e4_handle){ .s = s, .tx = j->running, .credits = credits,
				 .tid = j->running->tid };
	rt_mutex_unlock(&j->lock);
	return 0;
}

bool e4_extend(struct e4_handle *h, uint32_t credits)
{
	struct e4_journal *j = h->s->journal;
	struct e4_tx *tx = h->tx;
	bool ok = true;

	if (h->credits >= credits)
		return true;
	rt_mutex_lock(&j->lock);
	if (tx->closing || weight(tx) + (credits - h->credits) > j->max_tx) {
		ok = false;
	} else {
		tx->promised += credits - h->credits;
		h->credits = credits;
	}
	rt_mutex_unlock(&j->lock);
	return ok;
}

int e4_end(struct e4_handle *h, int err)
{
	struct e4_journal *j = h->s->journal;

	/* before the handle lets a commit begin */
	if (unlikely(h->spoiled || (err && h->changed && err != -ENOSPC && err != -EAGAIN)))
		e4_abort(h->s, err ? err : -EIO);
	rt_mutex_lock(&j->lock);
	h->tx->promised -= h->credits;
	if (!--h->tx->handles && h->tx->closing)
		e4_journal_wake(j);
	rt_mutex_unlock(&j->lock);
	h->tx = NULL;
	return err;
}

/* -- blocks */

int e4_change(struct e4_handle *h, struct e4_buf *b)
{
	struct e4_journal *j = h->s->journal;

	if (atomic_load(&j->aborted))
		return -EROFS;
	h->changed = true;
	rt_mutex_lock(&j->lock);
	if (b->tx != h->tx) {
		/* a block of an older transaction is a copy by now: see commit.c */
		b->tx = h->tx;
		list_add_last(&h->tx->bufs, &b->tx_link);
		e4_buf_get(b);
		h->tx->count++;
		if (h->credits) {
			h->credits--;
			h->tx->promised--;
		}
	}
	b->forgotten = false;
	rt_mutex_unlock(&j->lock);
	return 0;
}

static bool revoke_room(struct e4_tx *tx)
{
	uint32_t room = MAX(tx->revoked_room * 2, 64u);
	uint64_t *more;

	if (tx->revoked_count < tx->revoked_room)
		return true;
	more = rt_realloc(tx->revoked, room * sizeof(*more));
	if (!more)
		return false;
	tx->revoked = more;
	tx->revoked_room = room;
	return true;
}

int e4_forget(struct e4_handle *h, uint64_t block)
{
	struct e4_journal *j = h->s->journal;
	struct e4_buf *b = e4_buf_peek(&h->s->cache, block);
	int err = 0;

	rt_mutex_lock(&j->lock);
	if (!revoke_room(h->tx)) {
		err = -ENOMEM;
	} else {
		h->changed = true;
		h->tx->revoked[h->tx->revoked_count++] = block;
		/* what was committed of it stays until this transaction is, and goes then */
		if (b && (b->tx == h->tx || b->dirty)) {
			if (b->tx != h->tx) {
				b->tx = h->tx;
				list_add_last(&h->tx->bufs, &b->tx_link);
				e4_buf_get(b);
				h->tx->count++;
			}
			b->forgotten = true;
		}
		if (b)
			atomic_store(&b->kind, E4_RAW);
	}
	rt_mutex_unlock(&j->lock);
	e4_buf_put(b);
	return err;
}

void e4_note_freed(struct e4_handle *h, uint64_t block, uint32_t n)
{
	struct e4_journal *j = h->s->journal;
	struct e4_freed *f = rt_alloc(sizeof(*f));

	/* without memory for the note the blocks stay out of use until the next mount */
	if (!f)
		return;
	*f = (struct e4_freed){ .block = block, .count = n };
	rt_mutex_lock(&j->lock);
	f->next = h->tx->freed;
	h->tx->freed = f;
	rt_mutex_unlock(&j->lock);
}

/* -- commits, from outside */

/* *@flushed: a transaction was committed in this call, and the disk's cache flushed for it. */
static int commit(struct e4_journal *j, uint32_t tid, bool *flushed)
{
	uint32_t before;
	int err = 0;

	rt_mutex_lock(&j->commit_lock);
	before = atomic_load(&j->committed);
	if (after(tid, before))
		err = e4_commit_locked(j);
	*flushed = atomic_load(&j->committed) != before;
	rt_mutex_unlock(&j->commit_lock);
	return err;
}

int e4_commit(struct e4_journal *j, uint32_t tid)
{
	bool flushed;

	return commit(j, tid, &flushed);
}

int e4_commit_and_flush(struct e4_journal *j, uint32_t tid)
{
	bool flushed = false;
	int err = 0;

	if (after(tid, atomic_load(&j->committed)))
		err = commit(j, tid, &flushed);
	/* somebody else's commit may have sent its last flush before our data was there */
	return err || flushed ? err : lx_blkdev_flush(j->s->dev);
}

uint32_t e4_current_tid(struct e4_journal *j)
{
	uint32_t tid;

	rt_mutex_lock(&j->lock);
	tid = j->running ? j->running->tid : j->next_tid;
	rt_mutex_unlock(&j->lock);
	return tid;
}

uint32_t e4_newest_tid(struct e4_journal *j)
{
	uint32_t tid;

	rt_mutex_lock(&j->lock);
	tid = j->next_tid - 1;
	rt_mutex_unlock(&j->lock);
	return tid;
}

int e4_journal_stop(struct e4_journal *j)
{
	int err;

	rt_mutex_lock(&j->commit_lock);
	err = e4_commit_locked(j);
	if (!err)
		err = e4_checkpoint_locked(j);
	rt_mutex_unlock(&j->commit_lock);
	return err;
}

void e4_abort(struct e4_super *s, int err)
{
	struct e4_journal *j = s->journal;
	int none = 0;

	if (!j || !atomic_compare_exchange_strong(&j->aborted, &none, err))
		return;
	rt_log(RT_LOG_ERR, "EXT4-fs (%s): Remounting filesystem read-only: error %d", s->name, err);
	s->sb->flags |= E4_RDONLY;
}
