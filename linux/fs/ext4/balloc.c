/* SPDX-License-Identifier: MIT */
/*
 * Allocating blocks.  A group has a bitmap of its blocks; what it says changes within
 * transactions.  Blocks freed by one that is not durable yet must not be used: after a
 * crash they would belong to their old file, with new contents.  So each group has a
 * second bitmap, in memory, of those (e4_group.freed), and a block is free if it is in
 * neither.
 *
 * Places: near the goal if there is a run that is long enough, else the first run of
 * such a length in the following groups, else whatever there is.
 */
#include "base/bitmap.h"
#include "fs/ext4/bitmaps.h"
#include "fs/ext4/journal.h"

#define GOOD_RUN 64u			/* long enough not to look further in the first pass */

/* -- bitmaps */

static void mark(uint8_t *bitmap, struct e4_super *s, uint32_t group, uint64_t block, uint64_t n)
{
	uint64_t first = e4_group_first_block(s, group), count = e4_group_blocks(s, group);

	for (; n; n--, block++)
		if (block >= first && block - first < count)
			bitmap_set((uint64_t *)bitmap, block - first);
}

/* A group that was never used: only its own metadata is in it. */
static void init_block_bitmap(struct e4_super *s, struct e4_group *g, uint8_t *bitmap)
{
	uint32_t table = (uint32_t)DIV_ROUND_UP((uint64_t)s->inodes_per_group * s->inode_size,
						s->block_size);
	uint32_t blocks = e4_group_blocks(s, g->number), desc = 0;
	uint64_t first = e4_group_first_block(s, g->number);

	if (e4_group_has_super(s, g->number)) {
		desc = DIV_ROUND_UP(s->group_count, s->desc_per_block) +
		       get_le16(s->super->reserved_gdt_blocks);
		if (e4_has_incompat(s, E4_INCOMPAT_META_BG))
			desc = get_le32(s->super->first_meta_bg);
		mark(bitmap, s, g->number, first, 1 + desc);
	}
	if (e4_has_incompat(s, E4_INCOMPAT_META_BG)) {
		uint32_t in = g->number % s->desc_per_block;

		/* descriptors lie in the first, second and last group of each stretch */
		if (in <= 1 || in == s->desc_per_block - 1)
			mark(bitmap, s, g->number, first + e4_group_has_super(s, g->number), 1);
	}
	mark(bitmap, s, g->number, e4_group_block_bitmap(s, g), 1);
	mark(bitmap, s, g->number, e4_group_inode_bitmap(s, g), 1);
	mark(bitmap, s, g->number, e4_group_inode_table(s, g), table);
	bitmap_set_range((uint64_t *)bitmap, blocks, (size_t)s->block_size * 8 - blocks);
}

static void init_inode_bitmap(struct e4_super *s, uint8_t *bitmap)
{
	bitmap_set_range((uint64_t *)bitmap, s->inodes_per_group,
			 (size_t)s->block_size * 8 - s->inodes_per_group);
}

int e4_bitmap_load(struct e4_super *s, struct e4_group *g, bool inodes, struct e4_buf **out)
{
	uint64_t block = inodes ? e4_group_inode_bitmap(s, g) : e4_group_block_bitmap(s, g);
	bool uninit = get_le16(g->desc->flags) & (inodes ? E4_BG_INODE_UNINIT : E4_BG_BLOCK_UNINIT);
	struct e4_buf *b;
	int err;

	if (uninit && (s->csum || e4_has_ro(s, E4_RO_GDT_CSUM))) {
		err = e4_buf_new(&s->cache, block, &b);
		if (err)
			return err;
		if (inodes)
			init_inode_bitmap(s, b->data);
		else
			init_block_bitmap(s, g, b->data);
		atomic_store(&b->kind, E4_BITMAP);
		*out = b;
		return 0;
	}
	err = e4_read_vital(s, block, &b);
	if (err)
		return err;
	if (atomic_load(&b->kind) != E4_BITMAP) {
		if (!e4_group_bitmap_ok(s, g, inodes, b->data)) {
			e4_buf_put(b);
			e4_corrupt(s, "checksum of a bitmap of group %u is wrong", g->number);
			return -EBADMSG;
		}
		atomic_store(&b->kind, E4_BITMAP);
	}
	*out = b;
	return 0;
}

int e4_bitmap_join(struct e4_handle *h, struct e4_group *g, bool inodes, struct e4_buf *b)
{
	int err = e4_change(h, b);

	if (!err)
		err = e4_change(h, g->table);
	if (!err)
		put_le16(g->desc->flags,
			 (uint16_t)(get_le16(g->desc->flags) &
				    ~(inodes ? E4_BG_INODE_UNINIT : E4_BG_BLOCK_UNINIT)));
	return err;
}

void e4_bitmap_done(struct e4_super *s, struct e4_group *g, bool inodes, const struct e4_buf *b)
{
	e4_group_set_bitmap_csum(s, g, inodes, b->data);
	e4_group_set_csum(s, g);
}

/* -- searching: lock held */

uint32_t e4_next_free(const struct e4_group *g, const uint64_t *map, uint32_t bits, uint32_t from)
{
	for (;;) {
		from = (uint32_t)bitmap_next_clear(map, bits, from);
		if (from >= bits || !g->freed || !bitmap_test((uint64_t *)g->freed, from))
			return from;
		from = (uint32_t)bitmap_next_clear((uint64_t *)g->freed, bits, from);
	}
}

uint32_t e4_run_end(const struct e4_group *g, const uint64_t *map, uint32_t bits, uint32_t from)
{
	uint32_t end = (uint32_t)bitmap_next_set(map, bits, from);

	if (g->freed)
		end = MIN(end, (uint32_t)bitmap_next_set((uint64_t *)g->freed, bits, from));
	return end;
}

/* The first run of @want free blocks from @goal on, around the end; else the longest one. */
static uint32_t search(const struct e4_group *g, const uint64_t *map, uint32_t bits, uint32_t goal,
		       uint32_t want, uint32_t *at)
{
	uint32_t best = 0, limit = bits, i = goal;

	for (int turn = 0; turn < 2; turn++) {
		while ((i = e4_next_free(g, map, bits, i)) < limit) {
			uint32_t end = e4_run_end(g, map, bits, i);

			if (end - i > best) {
				best = end - i;
				*at = i;
			}
			if (best >= want)
				return best;
			i = end;
		}
		i = 0;
		limit = goal;
	}
	return best;
}

/* -- allocating */

/* Up to *@n blocks of one group, at least @least in a row: 0 and *@n, -ENOSPC, or an error. */
static int alloc_in(struct e4_handle *h, struct e4_group *g, uint32_t goal, uint32_t least, uint32_t *n,
		    uint64_t *block)
{
	struct e4_super *s = h->s;
	uint32_t bits = e4_group_blocks(s, g->number), at = 0, run, free;
	struct e4_buf *b;
	int err;

	rt_mutex_lock(&g->lock);
	free = e4_group_free_blocks(s, g);
	if (!free || free <= g->freed_count) {
		rt_mutex_unlock(&g->lock);
		return -ENOSPC;
	}
	err = e4_bitmap_load(s, g, false, &b);
	if (err)
		goto out;
	run = search(g, (uint64_t *)b->data, bits, goal < bits ? goal : 0, *n, &at);
	err = run && run >= least ? e4_bitmap_join(h, g, false, b) : -ENOSPC;
	if (!err) {
		*n = MIN(*n, run);
		*block = e4_group_first_block(s, g->number) + at;
		bitmap_set_range((uint64_t *)b->data, at, *n);
		e4_group_set_free_blocks(s, g, free > *n ? free - *n : 0);
		e4_bitmap_done(s, g, false, b);
		atomic_fetch_sub(&s->free_blocks, *n);
	}
	e4_buf_put(b);
out:
	rt_mutex_unlock(&g->lock);
	return err;
}

/* In the first group from that of @goal on that has @least in a row. */
static int alloc_near(struct e4_handle *h, uint64_t goal, uint32_t least, uint32_t *n, uint64_t *block)
{
	struct e4_super *s = h->s;
	uint32_t first, want = *n;

	if (goal <= s->first_data_block || goal >= s->blocks)
		goal = s->first_data_block + 1;
	first = (uint32_t)((goal - s->first_data_block) / s->blocks_per_group);
	for (uint32_t i = 0; i < s->group_count; i++) {
		struct e4_group *g = &s->groups[(first + i) % s->group_count];
		uint32_t in = i ? 0 : (uint32_t)(goal - e4_group_first_block(s, first));
		int err;

		*n = want;
		err = alloc_in(h, g, in, least, n, block);
		if (!err && !e4_blocks_valid(s, *block, *n))
			return e4_corrupt(s, "the bitmap of group %u frees the super block", g->number);
		if (!err || (err != -ENOSPC && err != -EBADMSG))
			return err;
	}
	return -ENOSPC;
}

int e4_alloc_blocks(struct e4_handle *h, uint64_t goal, uint32_t *n, uint64_t *block)
{
	uint32_t want = *n;
	int err = alloc_near(h, goal, MIN(want, GOOD_RUN), n, block);

	if (err == -ENOSPC) {
		*n = want;
		err = alloc_near(h, goal, 1, n, block);
	}
	return err;
}

int e4_alloc_run(struct e4_handle *h, uint64_t goal, uint32_t n, uint64_t *block)
{
	return alloc_near(h, goal, n, &n, block);
}

int e4_alloc_meta(struct e4_handle *h, uint64_t goal, struct e4_buf **out)
{
	uint64_t block;
	uint32_t n = 1;
	int err = e4_alloc_blocks(h, goal, &n, &block);

	if (err)
		return err;
	err = e4_buf_new(&h->s->cache, block, out);
	if (!err) {
		err = e4_change(h, *out);
		if (!err)
			return 0;
		e4_buf_put(*out);
	}
	e4_unalloc_blocks(h, block, 1, false);
	return err;
}

uint64_t e4_inode_goal(const struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	uint32_t group = (e4_inode(inode)->ino - 1) / s->inodes_per_group;

	/* files of a directory begin in different places of its group */
	return e4_group_first_block(s, group) +
	       (e4_inode(inode)->ino % 16) * (s->blocks_per_group / 16);
}

/* -- freeing */

static int free_in(struct e4_handle *h, struct e4_group *g, uint32_t at, uint32_t n)
{
	struct e4_super *s = h->s;
	struct e4_buf *b;
	int err;

	rt_mutex_lock(&g->lock);
	if (!g->freed)
		g->freed = rt_zalloc(s->block_size);
	err = g->freed ? e4_bitmap_load(s, g, false, &b) : -ENOMEM;
	if (err)
		goto out;
	if (bitmap_next_clear((uint64_t *)b->data, at + n, at) != at + n)
		err = e4_corrupt(s, "a block of group %u is freed twice", g->number);
	if (!err)
		err = e4_bitmap_join(h, g, false, b);
	if (!err) {
		bitmap_clear_range((uint64_t *)b->data, at, n);
		bitmap_set_range((uint64_t *)g->freed, at, n);
		g->freed_count += n;
		g->trimmed = 0;
		e4_group_set_free_blocks(s, g, e4_group_free_blocks(s, g) + n);
		e4_bitmap_done(s, g, false, b);
	}
	e4_buf_put(b);
out:
	rt_mutex_unlock(&g->lock);
	return err;
}

int e4_free_blocks(struct e4_handle *h, uint64_t block, uint32_t n, bool meta)
{
	struct e4_super *s = h->s;
	int err = 0;

	if (!e4_blocks_valid(s, block, n))
		return e4_corrupt(s, "blocks out of the file system are freed");
	for (uint32_t i = 0; meta && !err && i < n; i++)
		err = e4_forget(h, block + i);
	while (!err && n) {
		uint64_t in = block - s->first_data_block;
		struct e4_group *g = &s->groups[in / s->blocks_per_group];
		uint32_t at = (uint32_t)(in % s->blocks_per_group);
		uint32_t part = MIN(n, s->blocks_per_group - at);

		err = free_in(h, g, at, part);
		if (!err)
			e4_note_freed(h, block, part);
		block += part;
		n -= part;
	}
	return err;
}

void e4_unalloc_blocks(struct e4_handle *h, uint64_t block, uint32_t n, bool meta)
{
	if (e4_free_blocks(h, block, n, meta))
		h->spoiled = true;
}

void e4_free_committed(struct e4_super *s, uint64_t block, uint32_t n)
{
	uint64_t in = block - s->first_data_block;
	struct e4_group *g = &s->groups[in / s->blocks_per_group];

	rt_mutex_lock(&g->lock);
	if (g->freed) {
		bitmap_clear_range((uint64_t *)g->freed, in % s->blocks_per_group, n);
		g->freed_count -= n;
		if (!g->freed_count) {
			rt_free(g->freed);
			g->freed = NULL;
		}
	}
	rt_mutex_unlock(&g->lock);
	atomic_fetch_add(&s->free_blocks, n);
}

uint64_t e4_count_free_blocks(struct e4_super *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->group_count; i++) {
		rt_mutex_lock(&s->groups[i].lock);
		n += e4_group_free_blocks(s, &s->groups[i]);
		rt_mutex_unlock(&s->groups[i].lock);
	}
	return n;
}
