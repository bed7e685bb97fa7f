/* SPDX-License-Identifier: MIT */
/*
 * The block maps of ext2 and ext3: twelve direct blocks, then blocks of block
 * numbers, of one, two and three levels.  Files that an older kernel made, and the
 * inode with the reserved descriptors, have them; nothing new is made with them.
 */
#include "fs/ext4/ext4.h"

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
