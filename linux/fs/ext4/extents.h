/* SPDX-License-Identifier: MIT */
/* Nodes of extent trees: the root in an inode (60 bytes), or a block. */
#pragma once

#include "fs/ext4/ext4.h"

static inline struct e4_ext *e4_ext_at(void *node, uint32_t i)
{
	return (struct e4_ext *)((uint8_t *)node + sizeof(struct e4_ext_header)) + i;
}

static inline uint64_t e4_index_block(const struct e4_ext_index *x)
{
	return get_le32(x->leaf_lo) | (uint64_t)get_le16(x->leaf_hi) << 32;
}

static inline uint64_t e4_ext_start(const struct e4_ext *x)
{
	return get_le32(x->start_lo) | (uint64_t)get_le16(x->start_hi) << 32;
}

static inline bool e4_ext_unwritten(const struct e4_ext *x)
{
	return get_le16(x->len) > E4_EXT_INIT_MAX;
}

static inline uint32_t e4_ext_len(const struct e4_ext *x)
{
	uint32_t len = get_le16(x->len);

	return len > E4_EXT_INIT_MAX ? len - E4_EXT_INIT_MAX : len;
}

uint32_t e4_ext_room(uint32_t bytes);	/* entries that a node of so many bytes can have */
/* Entries of the node, not more than there is room for. */
uint32_t e4_ext_entries(const void *node, uint32_t bytes);
/* Index of the last entry that begins at or before @lblock, or -1. */
int e4_ext_search(const void *node, uint32_t bytes, uint32_t lblock);
/* A node at @depth in @block, checked: a reference. */
int e4_ext_node(struct lx_inode *inode, uint64_t block, unsigned int depth, struct e4_buf **out);
/* Entries that the root has room for; 0 if it is not a leaf.  Takes map_lock. */
uint32_t e4_ext_root_room(struct lx_inode *inode);
int e4_ext_check_root(struct lx_inode *inode);
void e4_ext_set_csum(struct lx_inode *inode, uint8_t *node);	/* of a block */
