/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: write committed blocks to their places, and free the log up to the
 * oldest transaction that still has blocks which are not there.
 *
 * A block that the running transaction has changed again cannot be written, because
 * its old contents are gone: it has to wait for that transaction's commit, and the
 * log keeps what it has of it until then.  Blocks are copied under the journal's lock
 * and written without it.
 */
#include "block/block.h"
#include "fs/ext4/journal.h"

#define BATCH 256u

struct batch {
	struct e4_buf *bufs[BATCH];	/* references */
	uint32_t tids[BATCH];
	uint32_t count;
};

static void sort(struct batch *b)
{
	for (uint32_t gap = b->count / 2; gap; gap = gap == 2 ? 1 : gap * 5 / 11) {
		for (uint32_t i = gap; i < b->count; i++) {
			struct e4_buf *x = b->bufs[i];
			uint32_t j = i;

			for (; j >= gap && b->bufs[j - gap]->block > x->block; j -= gap)
				b->bufs[j] = b->bufs[j - gap];
			b->bufs[j] = x;
		}
	}
}

/* Blocks that can be written now; they go to the end of the list. */
static void collect(struct e4_journal *j, struct batch *b)
{
	struct e4_buf *x, *tmp;

	b->count = 0;
	rt_mutex_lock(&j->lock);
	list_for_each_entry_safe(x, tmp, &j->dirty, dirty_link) {
		if (b->count == BATCH)
			break;
		if (!x->tx)
			b->bufs[b->count++] = e4_buf_get(x);
	}
	rt_mutex_unlock(&j->lock);
	sort(b);
}

/* Copy as many neighbours from @first on as fit: how many; 0 if the first one is busy again. */
static uint32_t stage(struct e4_journal *j, struct batch *b, uint32_t first)
{
	uint32_t size = j->s->block_size, n = 0;

	rt_mutex_lock(&j->lock);
	while (first + n < b->count && (n + 1) * size <= E4_STAGING) {
		struct e4_buf *x = b->bufs[first + n];

		if (x->tx || x->block != b->bufs[first]->block + n)
			break;
		memcpy(j->staging + (size_t)n * size, x->data, size);
		b->tids[first + n] = x->dirty_tid;
		n++;
	}
	rt_mutex_unlock(&j->lock);
	return n;
}

static void written(struct e4_journal *j, struct batch *b, uint32_t first, uint32_t n)
{
	rt_mutex_lock(&j->lock);
	for (uint32_t i = first; i < first + n; i++) {
		struct e4_buf *x = b->bufs[i];

		if (!x->dirty || x->dirty_tid != b->tids[i])
			continue;
		x->dirty = false;
		list_remove(&x->dirty_link);
		j->dirty_count--;
		e4_buf_put(x);
	}
	rt_mutex_unlock(&j->lock);
}

static int write_batch(struct e4_journal *j, struct batch *b, uint32_t *done)
{
	struct e4_super *s = j->s;
	int err = 0;

	for (uint32_t i = 0; !err && i < b->count;) {
		uint32_t n = stage(j, b, i);

		if (!n) {
			i++;
			continue;
		}
		err = lx_blkdev_write_direct(s->dev, b->bufs[i]->block << s->block_bits, j->staging,
					     (size_t)n << s->block_bits);
		if (!err) {
			written(j, b, i, n);
			*done += n;
		}
		i += n;
	}
	for (uint32_t i = 0; i < b->count; i++)
		e4_buf_put(b->bufs[i]);
	return err;
}

/* The log up to the oldest transaction with dirty blocks is free. */
static int free_log(struct e4_journal *j)
{
	struct e4_logged *l, *tmp;
	uint32_t oldest, start, used;
	struct e4_buf *b;
	int err;

	rt_mutex_lock(&j->lock);
	oldest = atomic_load(&j->committed) + 1;
	list_for_each_entry(b, &j->dirty, dirty_link)
		if ((int32_t)(oldest - b->dirty_tid) > 0)
			oldest = b->dirty_tid;
	rt_mutex_unlock(&j->lock);
	list_for_each_entry_safe(l, tmp, &j->logged, link) {
		if ((int32_t)(oldest - l->tid) <= 0)
			break;
		list_remove(&l->link);
		rt_free(l);
	}
	start = list_is_empty(&j->logged) ? 0
		: list_first_entry(&j->logged, struct e4_logged, link)->start;
	if (start == j->start && oldest == j->sequence)
		return 0;
	err = e4_journal_write_super(j, start, oldest);
	if (err)
		return err;
	used = !start ? 0 : j->head >= start ? j->head - start : j->head + (j->len - j->first) - start;
	rt_mutex_lock(&j->lock);
	j->free = j->len - j->first - 1 - used;
	rt_mutex_unlock(&j->lock);
	return 0;
}

int e4_checkpoint_locked(struct e4_journal *j)
{
	struct batch *b;
	uint32_t done;
	int err = 0;

	if (atomic_load(&j->aborted))
		return -EROFS;
	b = rt_alloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	do {
		done = 0;
		collect(j, b);
		err = write_batch(j, b, &done);
	} while (!err && done);
	rt_free(b);
	if (!err)
		err = lx_blkdev_flush(j->s->dev);
	if (!err)
		err = free_log(j);
	if (err && err != -ENOMEM)
		e4_abort(j->s, err);
	return err;
}
