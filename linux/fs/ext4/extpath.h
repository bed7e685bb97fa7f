/* SPDX-License-Identifier: MIT */
/*
 * Ways from the root of an extent tree to a leaf, along which it is changed: map_lock is held for writing.
 *
 * The first block of an index entry is always that of the node it leads to.
 */
#pragma once

#include "fs/ext4/extents.h"
#include "fs/ext4/journal.h"

struct e4_level {
	struct e4_buf *buf;		/* NULL: the root, in the inode */
	uint8_t *node;
	uint32_t bytes;
	int at;				/* the entry that leads down, or begins at or before the block */
};

struct e4_path {
	struct e4_handle *h;
	struct lx_inode *inode;
	unsigned int depth;
	struct e4_level l[E4_EXT_MAX_DEPTH + 1];
};

static inline struct e4_ext_header *e4_level_head(const struct e4_level *l)
{
	return (struct e4_ext_header *)l->node;
}

static inline uint32_t e4_level_entries(const struct e4_level *l)
{
	return e4_ext_entries(l->node, l->bytes);
}

static inline void e4_level_set_entries(struct e4_level *l, uint32_t n)
{
	put_le16(e4_level_head(l)->entries, (uint16_t)n);
}

static inline uint32_t e4_level_room(const struct e4_level *l)
{
	return MIN((uint32_t)get_le16(e4_level_head(l)->max), e4_ext_room(l->bytes));
}

static inline struct e4_ext *e4_level_entry(const struct e4_level *l, int i)
{
	return e4_ext_at(l->node, (uint32_t)i);
}

int e4_ext_bad(struct lx_inode *inode, const char *what);	/* e4_corrupt() */
/* To the leaf that @lblock belongs into; e4_path_put() after success.  -EUCLEAN, -EBADMSG, -EIO, -ENOMEM. */
int e4_path_walk(struct e4_handle *h, struct lx_inode *inode, uint32_t lblock, struct e4_path *p);
void e4_path_put(struct e4_path *p);
/* The node at level @i is about to be changed: as e4_change(). */
int e4_path_join(struct e4_path *p, unsigned int i);
void e4_path_seal(struct e4_path *p, unsigned int i);	/* it was */
/* The first entry of the node at level @i changed: so does what leads to it. */
int e4_path_fix_keys(struct e4_path *p, unsigned int i);
