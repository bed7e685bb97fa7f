/* SPDX-License-Identifier: MIT */
/* Between the files that read and change directories. */
#pragma once

#include "fs/ext4/ext4.h"

/* Does a sound record lie at @off of the block? */
bool e4_dirent_ok(const struct e4_super *s, const uint8_t *data, uint32_t off);
void e4_dir_set_csum(struct lx_inode *dir, uint8_t *data);
/* The result of a search of @b (the reference moves in) as e4_dir_find() gives it. */
int e4_dir_found(struct e4_buf *b, uint32_t lblock, int off, bool keep, struct e4_found *found);

/*
 * An index: per level the block, its entries, and which of them leads down.  The
 * entries' first one has limit and count in place of a hash.
 */
#define E4_DX_LEVELS 4u
struct e4_dx_path {
	struct e4_buf *buf[E4_DX_LEVELS];
	struct e4_dx_entry *entries[E4_DX_LEVELS];
	uint32_t at[E4_DX_LEVELS];
	unsigned int levels;		/* used above */
	unsigned int version;		/* of the hash */
};
uint32_t e4_dx_limit(const struct e4_super *s, bool root);
uint32_t e4_dx_count(const struct e4_super *s, const struct e4_dx_path *p, unsigned int level);
void e4_dx_put(struct e4_dx_path *p);
/* The way to the leaf that names with @hash are in; e4_dx_put() afterwards, also on error. */
int e4_dx_walk(struct lx_inode *dir, const struct e4_name *name, struct e4_hash *hash,
	       struct e4_dx_path *p);
uint32_t e4_dx_leaf(const struct e4_dx_path *p);
/* To the next leaf: 1, with the hash that it begins with; 0 at the end. */
int e4_dx_next(struct lx_inode *dir, struct e4_dx_path *p, uint32_t *hash);
void e4_dx_set_csum(struct lx_inode *dir, uint8_t *data, bool root);
