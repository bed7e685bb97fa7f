/* SPDX-License-Identifier: MIT */
/*
 * Writing a transaction to the log.
 *
 * The commit closes the transaction, waits for its handles, and copies its blocks
 * into images as they go into the log; from then on the next transaction may change
 * them.  If there is no memory for copies the transaction stays closed until the
 * blocks themselves are written: slower, and never wrong.
 *
 * In the log: descriptors each followed by the blocks they name, revoke blocks, a
 * flush (with which file data is durable, too), the commit block, a flush.
 */
#include "block/block.h"
#include "fs/ext4/journal.h"
#include "rt/time.h"

struct image {
	struct e4_buf *buf;		/* a reference: the transaction's */
	uint8_t *data;			/* the copy, or the block's own bytes */
	bool copied, escaped;
};

struct commit {
	struct e4_journal *j;
	struct e4_tx *tx;
	struct image *images;
	uint32_t count;
	uint32_t log;			/* where the next block goes */
	uint32_t used;			/* blocks of the log */
	/* Blocks staged and not written: a run in the log and on the device. */
	uint32_t staged;
	uint64_t staged_at;
};

/* -- writing runs of blocks */

static int write_staged(struct commit *c)
{
	struct e4_super *s = c->j->s;
	int err = 0;

	if (c->staged)
		err = lx_blkdev_write_direct(s->dev, c->staged_at << s->block_bits, c->j->staging,
					     (size_t)c->staged << s->block_bits);
	c->staged = 0;
	return err;
}

/* Room for the next block of the log, in the staging memory. */
static int next_block(struct commit *c, uint8_t **out)
{
	struct e4_super *s = c->j->s;
	uint64_t at = e4_journal_block(c->j, c->log, 1, NULL);
	int err = 0;

	if (!at)
		return -EIO;
	if (c->staged && (at != c->staged_at + c->staged ||
			  (c->staged + 1) << s->block_bits > E4_STAGING))
		err = write_staged(c);
	if (err)
		return err;
	if (!c->staged)
		c->staged_at = at;
	*out = c->j->staging + ((size_t)c->staged++ << s->block_bits);
	c->log = e4_journal_next(c->j, c->log);
	c->used++;
	return 0;
}

static uint8_t *header(uint8_t *block, uint32_t size, enum e4_j_type type, uint32_t tid)
{
	struct e4_j_header *h = (struct e4_j_header *)block;

	memset(block, 0, size);
	put_be32(h->magic, E4_J_MAGIC);
	put_be32(h->type, type);
	put_be32(h->sequence, tid);
	return block + sizeof(*h);
}

/* -- descriptors */

static void put_tag(struct commit *c, uint8_t *p, const struct image *i, uint32_t flags)
{
	struct e4_journal *j = c->j;
	uint32_t csum = j->csum ? e4_journal_data_csum(j, c->tx->tid, i->data) : 0;

	put_be32(p, (uint32_t)i->buf->block);
	if (j->incompat & E4_J_INCOMPAT_CSUM_V3) {
		struct e4_j_tag3 *t = (struct e4_j_tag3 *)p;

		put_be32(t->flags, flags);
		put_be32(t->checksum, csum);
		put_be32(t->block_hi, (uint32_t)(i->buf->block >> 32));
	} else {
		struct e4_j_tag *t = (struct e4_j_tag *)p;

		put_be16(t->flags, (uint16_t)flags);
		put_be16(t->checksum, (uint16_t)csum);
		if (j->incompat & E4_J_INCOMPAT_64BIT)
			put_be32(t->block_hi, (uint32_t)(i->buf->block >> 32));
	}
}

/* One descriptor for images from @first on, and the images: how many, or an error. */
static int write_group(struct commit *c, uint32_t first)
{
	struct e4_journal *j = c->j;
	struct e4_super *s = j->s;
	uint32_t tag = e4_journal_tag_size(j), n = 0;
	uint32_t end = s->block_size - (j->csum ? 4 : 0), at = sizeof(struct e4_j_header);
	uint8_t *block, *p;
	int err;

	/* a descriptor is finished before it is written: staging must not be, meanwhile */
	err = write_staged(c);
	if (!err)
		err = next_block(c, &block);
	if (err)
		return err;
	header(block, s->block_size, E4_J_DESCRIPTOR, c->tx->tid);
	while (first + n < c->count && at + tag + (n ? 0 : 16) <= end) {
		const struct image *i = &c->images[first + n];
		uint32_t flags = n ? E4_J_TAG_SAME_UUID : 0;
		uint32_t size = tag + (n ? 0 : 16), after = at + size;

		if (i->escaped)
			flags |= E4_J_TAG_ESCAPED;
		if (first + n + 1 == c->count || after + tag > end)
			flags |= E4_J_TAG_LAST;
		put_tag(c, block + at, i, flags);
		if (!n)
			memcpy(block + at + tag, ((struct e4_j_super *)j->super)->uuid, 16);
		at = after;
		n++;
	}
	if (j->csum)
		put_be32(block + s->block_size - 4, e4_journal_tail_csum(j, block));
	for (uint32_t i = 0; i < n; i++) {
		err = next_block(c, &p);
		if (err)
			return err;
		memcpy(p, c->images[first + i].data, s->block_size);
	}
	return (int)n;
}

static int write_revokes(struct commit *c)
{
	struct e4_journal *j = c->j;
	struct e4_super *s = j->s;
	uint32_t step = j->incompat & E4_J_INCOMPAT_64BIT ? 8 : 4, done = 0;
	uint32_t room = s->block_size - (j->csum ? 4 : 0);

	while (done < c->tx->revoked_count) {
		uint32_t at = sizeof(struct e4_j_revoke);
		uint8_t *block;
		int err = next_block(c, &block);

		if (err)
			return err;
		header(block, s->block_size, E4_J_REVOKE, c->tx->tid);
		for (; done < c->tx->revoked_count && at + step <= room; done++, at += step) {
			if (step == 8)
				put_be64(block + at, c->tx->revoked[done]);
			else
				put_be32(block + at, (uint32_t)c->tx->revoked[done]);
		}
		put_be32(((struct e4_j_revoke *)block)->bytes, at);
		if (j->csum)
			put_be32(block + s->block_size - 4, e4_journal_tail_csum(j, block));
	}
	return 0;
}

static int write_commit_block(struct commit *c)
{
	struct e4_journal *j = c->j;
	struct e4_j_commit *b;
	uint64_t now = rt_realtime_ns();
	uint8_t *block;
	int err = next_block(c, &block);

	if (err)
		return err;
	header(block, j->s->block_size, E4_J_COMMIT, c->tx->tid);
	b = (struct e4_j_commit *)block;
	put_be64(b->sec, now / 1000000000);
	put_be32(b->nsec, (uint32_t)(now % 1000000000));
	if (j->csum)
		put_be32(b->checksum[0], e4_journal_commit_csum(j, block));
	return write_staged(c);
}

static int write_log(struct commit *c)
{
	struct e4_journal *j = c->j;
	uint32_t start = c->log, done = 0;
	int err = 0;

	while (done < c->count) {
		int n = write_group(c, done);

		if (n < 0)
			return n;
		done += (uint32_t)n;
	}
	err = write_revokes(c);
	if (!err)
		err = write_staged(c);
	/* an empty log becomes one that begins here, before there is anything valid in it */
	if (!err && !j->start)
		err = e4_journal_write_super(j, start, c->tx->tid);
	else if (!err)
		err = lx_blkdev_flush(j->s->dev);
	if (!err)
		err = write_commit_block(c);
	return err ? err : lx_blkdev_flush(j->s->dev);
}

/* -- closing a transaction */

/* No new handles; wait for the open ones.  The journal's lock is held before and after. */
static void close_tx(struct e4_journal *j, struct e4_tx *tx)
{
	tx->closing = true;
	while (tx->handles) {
		uint32_t event = atomic_load(&j->event);

		rt_mutex_unlock(&j->lock);
		(void)!rt_wait(&j->event, event, K_DEADLINE_NEVER, false);
		rt_mutex_lock(&j->lock);
	}
}

/* Images of all blocks.  False: some are not copies, and the blocks must not change yet. */
static bool take_images(struct commit *c)
{
	uint32_t size = c->j->s->block_size;
	struct e4_buf *b;
	bool all = true;

	list_for_each_entry(b, &c->tx->bufs, tx_link) {
		struct image *i = &c->images[c->count];

		if (b->forgotten)
			continue;
		*i = (struct image){ .buf = b, .data = b->data };
		i->escaped = get_be32(b->data) == E4_J_MAGIC;
		i->data = rt_alloc(size);
		i->copied = i->data;
		if (i->copied)
			memcpy(i->data, b->data, size);
		else
			i->data = b->data;
		if (i->escaped && i->copied)
			put_be32(i->data, 0);
		all = all && i->copied;
		c->count++;
	}
	return all;
}

/* Without copies: blocks that need an escape cannot be written as they are. */
static bool can_do_without(const struct commit *c)
{
	for (uint32_t n = 0; n < c->count; n++)
		if (c->images[n].escaped && !c->images[n].copied)
			return false;
	return true;
}

/* The blocks are the journal's to write to their places from now on.  Lock held. */
static void hand_over(struct e4_journal *j, struct e4_tx *tx)
{
	struct e4_buf *b, *tmp;

	list_for_each_entry_safe(b, tmp, &tx->bufs, tx_link) {
		bool was_dirty = b->dirty;

		list_remove(&b->tx_link);
		b->tx = NULL;
		b->dirty_tid = tx->tid;
		if (was_dirty) {
			/* one reference is enough */
			e4_buf_put(b);
		} else {
			b->dirty = true;
			list_add_last(&j->dirty, &b->dirty_link);
			j->dirty_count++;
		}
	}
}

/* Blocks that this transaction freed: nobody wants them in their places any more.  Lock held. */
static void drop_forgotten(struct e4_journal *j, uint32_t tid)
{
	struct e4_buf *b, *tmp;

	list_for_each_entry_safe(b, tmp, &j->dirty, dirty_link) {
		if (!b->forgotten || b->tx || b->dirty_tid != tid)
			continue;
		b->dirty = b->forgotten = false;
		list_remove(&b->dirty_link);
		j->dirty_count--;
		e4_buf_put(b);
	}
}

static void free_tx(struct e4_super *s, struct e4_tx *tx, bool committed)
{
	while (tx->freed) {
		struct e4_freed *f = tx->freed;

		tx->freed = f->next;
		/* before somebody else may have them; a disk that cannot is as good */
		if (committed && atomic_load(&s->discards))
			(void)!e4_discard(s, f->block, f->count);
		if (committed)
			e4_free_committed(s, f->block, f->count);
		rt_free(f);
	}
	rt_free(tx->revoked);
	rt_free(tx);
}

int e4_commit_locked(struct e4_journal *j)
{
	struct commit c = { .j = j, .log = j->head };
	struct e4_logged *logged;
	struct e4_tx *tx;
	bool early;
	int err = atomic_load(&j->aborted) ? -EROFS : 0;

	rt_mutex_lock(&j->lock);
	tx = c.tx = j->running;
	if (!tx) {
		rt_mutex_unlock(&j->lock);
		return err;
	}
	close_tx(j, tx);
	if (!tx->count && !tx->revoked_count && !tx->freed) {
		/* nothing to write, so that it keeps its number */
		tx->closing = false;
		e4_journal_wake(j);
		rt_mutex_unlock(&j->lock);
		return err;
	}
	logged = rt_alloc(sizeof(*logged));
	c.images = rt_alloc((tx->count + 1) * sizeof(*c.images));
	if (!logged || !c.images) {
		/* nothing was done: the transaction goes on */
		err = -ENOMEM;
		tx->closing = false;
		e4_journal_wake(j);
		rt_mutex_unlock(&j->lock);
		goto out;
	}
	early = take_images(&c);
	if (!early && !can_do_without(&c)) {
		err = -ENOMEM;
		tx->closing = false;
		e4_journal_wake(j);
		rt_mutex_unlock(&j->lock);
		goto out;
	}
	if (early) {
		hand_over(j, tx);
		j->running = NULL;
		e4_journal_wake(j);
	}
	rt_mutex_unlock(&j->lock);

	if (!err)
		err = write_log(&c);
	rt_mutex_lock(&j->lock);
	if (!early) {
		hand_over(j, tx);
		j->running = NULL;
	}
	if (!err) {
		*logged = (struct e4_logged){ .tid = tx->tid, .start = j->head };
		list_add_last(&j->logged, &logged->link);
		logged = NULL;
		j->head = c.log;
		j->free -= c.used;
		atomic_store(&j->committed, tx->tid);
		drop_forgotten(j, tx->tid);
	}
	e4_journal_wake(j);
	rt_mutex_unlock(&j->lock);
	if (err)
		e4_abort(j->s, err);
	free_tx(j->s, tx, !err);
	if (!err && j->free < (j->len - j->first) / 2)
		err = e4_checkpoint_locked(j);
out:
	for (uint32_t i = 0; i < c.count; i++)
		if (c.images[i].copied)
			rt_free(c.images[i].data);
	rt_free(c.images);
	rt_free(logged);
	return err;
}
