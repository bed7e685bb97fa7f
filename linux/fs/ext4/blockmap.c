/* SPDX-License-Identifier: MIT */
/*
 * The block maps of ext2 and ext3: twelve direct blocks, then blocks of block
 * numbers, of one, two and three levels.  Files that an older kernel made, and the
 * inode with the reserved descriptors, have them; nothing new is made with them.
 */
#include "fs/ext4/journal.h"

#define DIRECT 12u

/* The indexes on the way to @lblock: how many, or 0 if it is too large. */
static unsigned int path_to(const struct e4_super *s, uint64_t lblock, uint32_t index[4])
{
	unsigned int bits = s->block_bits - 2;
	uint64_t per = 1ull << bits;

	if (lblock < DIRECT) {
		index[0] = (uint32_t)lblock;
		return 1;
	}
	lblock -= DIRECT;
	for (unsigned int level = 1; level <= 3; level++) {
		uint64_t span = 1ull << (bits * level);

		if (lblock < span) {
			index[0] = DIRECT + level - 1;
			for (unsigned int i = 1; i <= level; i++)
				index[i] = (uint32_t)(lblock >> (bits * (level - i)) & (per - 1));
			return level + 1;
		}
		lblock -= span;
	}
	return 0;
}

/* How many of the pointers from @at on continue the first one (or are holes as it is). */
static uint32_t run(const uint8_t *pointers, uint32_t at, uint32_t end, uint32_t max)
{
	uint32_t first = get_le32(pointers + at * 4), n = 1;

	while (n < max && at + n < end &&
	       get_le32(pointers + (at + n) * 4) == (first ? first + n : 0))
		n++;
	return n;
}

int e4_ind_map(struct lx_inode *inode, uint32_t lblock, uint32_t max, struct e4_map *map)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	const uint8_t *pointers = e->block;
	uint32_t index[4], count = DIRECT;
	unsigned int depth = path_to(s, lblock, index);
	struct e4_buf *b = NULL;
	int err = 0;

	*map = (struct e4_map){ .len = 1 };
	max = MAX(max, 1u);
	if (!depth)
		return 0;
	for (unsigned int i = 0; i < depth; i++) {
		uint32_t block = get_le32(pointers + index[i] * 4);
		struct e4_buf *below;

		if (block && !e4_blocks_valid(s, block, 1)) {
			err = e4_corrupt(s, "inode %u points out of the file system", e->ino);
			break;
		}
		if (i + 1 == depth) {
			map->len = run(pointers, index[i], count, max);
			map->block = block;
			if (block && !e4_blocks_valid(s, block, map->len))
				map->len = 1;
			break;
		}
		if (!block)
			break;		/* a hole; its end is not looked for */
		err = e4_buf_read(&s->cache, block, &below);
		if (err)
			break;
		e4_buf_put(b);
		b = below;
		pointers = b->data;
		count = s->block_size / 4;
	}
	e4_buf_put(b);
	return err;
}

/* -- removing: from the end, as far as the handle's credits go */

#define CREDITS_ONE 8u			/* a data block, pointer blocks on the way, their groups */

/* Free what is at or behind @from below @pointers[@count], whose first one is for block @base. */
static int remove_below(struct e4_handle *h, struct lx_inode *inode, struct e4_buf *b,
			uint8_t *pointers, uint32_t count, unsigned int level, uint64_t base,
			uint64_t from, uint64_t *to)
{
	struct e4_super *s = h->s;
	uint64_t span = 1ull << ((s->block_bits - 2) * level);

	for (uint32_t i = count; i-- > 0;) {
		uint32_t block = get_le32(pointers + i * 4);
		uint64_t first = base + i * span;
		int err = 0;

		if (!block || first + span <= from || first >= *to)
			continue;
		if (level) {
			struct e4_buf *below;

			err = e4_blocks_valid(s, block, 1)
				      ? e4_buf_read(&s->cache, block, &below)
				      : e4_corrupt(s, "inode %u points out of the file system",
						   e4_inode(inode)->ino);
			if (err)
				return err;
			err = remove_below(h, inode, below, below->data, s->block_size / 4, level - 1,
					   first, from, to);
			e4_buf_put(below);
		}
		if (err)
			return err;
		if (first < from)
			continue;	/* the pointer block is needed still */
		if (!e4_extend(h, CREDITS_ONE))
			return -EAGAIN;
		err = e4_free_blocks(h, block, 1, level);
		if (!err && b)
			err = e4_change(h, b);
		if (err)
			return err;
		put_le32(pointers + i * 4, 0);
		inode->blocks -= s->block_size / 512;
		if (!level)
			*to = first;
	}
	return 0;
}

int e4_ind_remove(struct e4_handle *h, struct lx_inode *inode, uint32_t from, uint64_t *to)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(inode);
	unsigned int bits = s->block_bits - 2;
	uint64_t base[4] = { 0, DIRECT };
	int err = 0;

	base[2] = base[1] + (1ull << bits);
	base[3] = base[2] + (1ull << 2 * bits);
	for (unsigned int level = 3; !err && level; level--)
		err = remove_below(h, inode, NULL, e->block + (DIRECT + level - 1) * 4, 1, level,
				   base[level], from, to);
	if (!err)
		err = remove_below(h, inode, NULL, e->block, DIRECT, 0, 0, from, to);
	return err;
}
