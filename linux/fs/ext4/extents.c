/* SPDX-License-Identifier: MIT */
/*
 * Extent trees: looking up.
 *
 * The root is in the inode (four entries), nodes below fill a block.  A node is a
 * header and sorted entries of 12 bytes: indexes to nodes one level down, or at
 * depth 0 extents.  A block is checked as a whole when it is first used as a node;
 * walks clamp what they read nevertheless, because in a broken file system it can
 * be somebody else's block, too.
 */
#include "fs/ext4/ext4.h"
#include "fs/ext4/extents.h"

uint32_t e4_ext_room(uint32_t bytes)
{
	return (bytes - sizeof(struct e4_ext_header)) / sizeof(struct e4_ext);
}

uint32_t e4_ext_entries(const void *node, uint32_t bytes)
{
	const struct e4_ext_header *h = node;

	return MIN((uint32_t)get_le16(h->entries), e4_ext_room(bytes));
}

/* -- checks */

static int bad(struct e4_inode *e, const char *what)
{
	return e4_corrupt(e4_super_of(e->vfs), "extent tree of inode %u: %s", e->ino, what);
}

static int check_entries(struct e4_inode *e, const void *node, uint32_t bytes, unsigned int depth)
{
	struct e4_super *s = e4_super_of(e->vfs);
	uint32_t n = e4_ext_entries(node, bytes);
	uint64_t next = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct e4_ext *x = e4_ext_at((void *)(uintptr_t)node, i);
		uint32_t first = get_le32(x->block);

		if (first < next)
			return bad(e, "entries are not in order");
		if (depth) {
			if (!e4_blocks_valid(s, e4_index_block((const struct e4_ext_index *)x), 1))
				return bad(e, "an index points out of the file system");
			next = (uint64_t)first + 1;
		} else {
			uint32_t len = e4_ext_len(x);

			if (!len || (uint64_t)first + len - 1 > E4_MAX_LBLOCK)
				return bad(e, "an extent has no length, or too much");
			if (!e4_blocks_valid(s, e4_ext_start(x), len))
				return bad(e, "an extent points out of the file system");
			next = (uint64_t)first + len;
		}
	}
	return 0;
}

static int check_node(struct e4_inode *e, const void *node, uint32_t bytes, unsigned int depth)
{
	const struct e4_ext_header *h = node;

	if (get_le16(h->magic) != E4_EXT_MAGIC)
		return bad(e, "a node has no magic number");
	if (get_le16(h->depth) != depth)
		return bad(e, "a node has the wrong depth");
	if (!get_le16(h->max) || get_le16(h->max) > e4_ext_room(bytes) ||
	    get_le16(h->entries) > get_le16(h->max))
		return bad(e, "a node has too many entries");
	if (depth && !get_le16(h->entries))
		return bad(e, "an index node is empty");
	return check_entries(e, node, bytes, depth);
}

uint32_t e4_ext_root_room(struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	const struct e4_ext_header *h = (const struct e4_ext_header *)e->block;
	uint32_t room, used;

	rt_read_lock(&e->map_lock);
	room = get_le16(h->depth) ? 0 : MIN((uint32_t)get_le16(h->max), e4_ext_room(sizeof(e->block)));
	used = e4_ext_entries(h, sizeof(e->block));
	rt_read_unlock(&e->map_lock);
	return room > used ? room - used : 0;
}

int e4_ext_check_root(struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	unsigned int depth = get_le16(((struct e4_ext_header *)e->block)->depth);

	if (depth > E4_EXT_MAX_DEPTH)
		return bad(e, "too deep");
	return check_node(e, e->block, sizeof(e->block), depth);
}

/* The checksum lies behind the last possible entry. */
static uint8_t *checksum_of(struct e4_super *s, uint8_t *node)
{
	uint32_t max = get_le16(((struct e4_ext_header *)node)->max), at = 12 + max * 12;

	return max <= e4_ext_room(s->block_size) && at + 4 <= s->block_size ? node + at : NULL;
}

void e4_ext_set_csum(struct lx_inode *inode, uint8_t *node)
{
	struct e4_super *s = e4_super_of(inode);
	uint8_t *csum = s->csum ? checksum_of(s, node) : NULL;

	if (csum)
		put_le32(csum, crc32c(e4_inode(inode)->csum_seed, node, (size_t)(csum - node)));
}

int e4_ext_node(struct lx_inode *inode, uint64_t block, unsigned int depth, struct e4_buf **out)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	struct e4_buf *b;
	uint8_t *csum;
	int err;

	if (!e4_blocks_valid(s, block, 1))
		return bad(e, "an index points out of the file system");
	err = e4_buf_read(&s->cache, block, &b);
	if (err)
		return err;
	if (atomic_load(&b->kind) != E4_EXTENTS) {
		err = check_node(e, b->data, s->block_size, depth);
		csum = s->csum && !err ? checksum_of(s, b->data) : NULL;
		if (csum && get_le32(csum) != crc32c(e->csum_seed, b->data, (size_t)(csum - b->data))) {
			bad(e, "checksum of a node is wrong");
			err = -EBADMSG;
		}
		if (!err)
			atomic_store(&b->kind, E4_EXTENTS);
	} else if (get_le16(((struct e4_ext_header *)b->data)->depth) != depth) {
		err = bad(e, "a node has the wrong depth");
	}
	if (err) {
		e4_buf_put(b);
		return err;
	}
	*out = b;
	return 0;
}

/* -- walking */

int e4_ext_search(const void *node, uint32_t bytes, uint32_t lblock)
{
	uint32_t lo = 0, hi = e4_ext_entries(node, bytes);

	/* the last entry that does not begin behind it */
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (get_le32(e4_ext_at((void *)(uintptr_t)node, mid)->block) <= lblock)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (int)lo - 1;
}

/* What a leaf says about @lblock; @limit: the first block that the leaf is not about. */
static void map_in_leaf(const void *node, uint32_t bytes, uint32_t lblock, uint64_t limit,
			uint32_t max, struct e4_map *map)
{
	int i = e4_ext_search(node, bytes, lblock);
	uint64_t next = limit;

	if ((uint32_t)(i + 1) < e4_ext_entries(node, bytes))
		next = MIN(next, (uint64_t)get_le32(e4_ext_at((void *)(uintptr_t)node,
							      (uint32_t)i + 1)->block));
	if (i >= 0) {
		const struct e4_ext *x = e4_ext_at((void *)(uintptr_t)node, (uint32_t)i);
		uint32_t in = lblock - get_le32(x->block), len = e4_ext_len(x);

		if (in < len) {
			map->block = e4_ext_start(x) + in;
			map->len = MIN(len - in, max);
			map->unwritten = e4_ext_unwritten(x);
			return;
		}
	}
	*map = (struct e4_map){ .len = (uint32_t)MIN(next > lblock ? next - lblock : 1,
						     (uint64_t)max) };
}

int e4_ext_map(struct lx_inode *inode, uint32_t lblock, uint32_t max, struct e4_map *map)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	uint8_t *node = e->block;
	uint32_t bytes = sizeof(e->block);
	unsigned int depth = get_le16(((struct e4_ext_header *)node)->depth);
	uint64_t limit = (uint64_t)E4_MAX_LBLOCK + 1;
	struct e4_buf *b = NULL;
	int err = 0;

	max = MAX(max, 1u);
	if (depth > E4_EXT_MAX_DEPTH)
		return bad(e, "too deep");
	while (depth) {
		int i = e4_ext_search(node, bytes, lblock);
		struct e4_buf *below;

		if ((uint32_t)(i + 1) < e4_ext_entries(node, bytes))
			limit = MIN(limit, (uint64_t)get_le32(e4_ext_at(node, (uint32_t)i + 1)->block));
		if (i < 0) {
			*map = (struct e4_map){ .len = (uint32_t)MIN(limit > lblock ? limit - lblock : 1,
								     (uint64_t)max) };
			goto out;
		}
		err = e4_ext_node(inode, e4_index_block((struct e4_ext_index *)
							e4_ext_at(node, (uint32_t)i)),
				  --depth, &below);
		if (err)
			goto out;
		e4_buf_put(b);
		b = below;
		node = b->data;
		bytes = s->block_size;
	}
	map_in_leaf(node, bytes, lblock, limit, max, map);
	if (map->block && !e4_blocks_valid(s, map->block, map->len))
		err = bad(e, "an extent points out of the file system");
out:
	e4_buf_put(b);
	return err;
}
