/* SPDX-License-Identifier: MIT */
/*
 * Telling the disk which blocks nobody uses: when it is asked for (FITRIM), or after each commit for those
 * that it freed (mount option "discard").
 *
 * A block is told when no file could need it after a crash: its bitmap is clear, and what freed it is durable
 * (e4_group.freed).  The group is locked from the look at the bitmaps until the disk has answered, so that
 * nobody gets a block, and writes to it, before that.
 */
#include <linux/fs.h>

#include "block/block.h"
#include "fs/ext4/bitmaps.h"
#include "lx/signal.h"
#include "lx/task.h"

int e4_discard(struct e4_super *s, uint64_t block, uint64_t n)
{
	return lx_blkdev_discard(s->dev, block << s->block_bits, n << s->block_bits);
}

struct trim {
	struct e4_super *s;
	uint64_t first, last;		/* blocks of the file system, both included */
	uint32_t least;			/* shorter runs are left alone */
	uint64_t done;
};

/* Runs of free blocks [at, end) of @g; lock held. */
static int trim_runs(struct trim *t, struct e4_group *g, const uint64_t *map, uint32_t at, uint32_t end)
{
	uint64_t base = e4_group_first_block(t->s, g->number);
	int err = 0;

	while (!err && (at = e4_next_free(g, map, end, at)) < end) {
		uint32_t n = e4_run_end(g, map, end, at) - at;

		if (n >= t->least) {
			err = e4_discard(t->s, base + at, n);
			if (!err)
				t->done += n;
			if (!err && lx_fatal_signal_pending(lx_self()))
				err = -EINTR;
		}
		at += n;
	}
	return err;
}

static int trim_group(struct trim *t, struct e4_group *g)
{
	struct e4_super *s = t->s;
	uint64_t base = e4_group_first_block(s, g->number);
	uint32_t bits = e4_group_blocks(s, g->number);
	uint32_t at = t->first > base ? (uint32_t)(t->first - base) : 0;
	uint32_t end = t->last - base < bits ? (uint32_t)(t->last - base) + 1 : bits;
	struct e4_buf *b;
	int err = 0;

	rt_mutex_lock(&g->lock);
	if (e4_group_free_blocks(s, g) >= t->least && (!g->trimmed || t->least < g->trimmed)) {
		err = e4_bitmap_load(s, g, false, &b);
		if (!err) {
			err = trim_runs(t, g, (const uint64_t *)b->data, at, end);
			e4_buf_put(b);
		}
		if (!err && !at && end == bits)
			g->trimmed = t->least;
	}
	rt_mutex_unlock(&g->lock);
	return err;
}

static int trim_groups(struct trim *t)
{
	struct e4_super *s = t->s;
	uint32_t g = (uint32_t)((t->first - s->first_data_block) / s->blocks_per_group);
	uint32_t last = (uint32_t)((t->last - s->first_data_block) / s->blocks_per_group);
	int err = 0;

	for (; !err && g <= last; g++)
		err = trim_group(t, &s->groups[g]);
	return err;
}

int e4_trim(struct lx_super *sb, struct fstrim_range *range)
{
	struct e4_super *s = e4_super(sb);
	uint64_t granularity = lx_blkdev_discard_granularity(s->dev), least = range->minlen >> s->block_bits;
	struct trim t = { .s = s, .first = range->start >> s->block_bits };
	int err;

	if (!granularity)
		return -EOPNOTSUPP;
	if (e4_has_incompat(s, E4_INCOMPAT_RECOVER) && !s->journal)
		return -EROFS;		/* the bitmaps are not up to date (noload) */
	if (least > s->blocks_per_group || t.first >= s->blocks || range->len < s->block_size)
		return -EINVAL;
	t.last = MIN(t.first + (range->len >> s->block_bits), s->blocks) - 1;
	t.first = MAX(t.first, (uint64_t)s->first_data_block);
	range->len = 0;
	if (range->minlen < granularity)
		least = granularity >> s->block_bits;
	if (least > s->blocks_per_group || t.last <= s->first_data_block)
		return 0;
	t.least = (uint32_t)MAX(least, 1ull);
	err = trim_groups(&t);
	range->len = t.done << s->block_bits;
	return err;
}
