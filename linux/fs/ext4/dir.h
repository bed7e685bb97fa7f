/* SPDX-License-Identifier: MIT */
/* Between the files that read and change directories. */
#pragma once

#include "fs/ext4/ext4.h"

/*
 * Does a record lie at @off of the block, that leads to the next one?  For walks through blocks that
 * were checked as a whole: also of one that a broken file system uses twice nothing else is touched.
 */
bool e4_dirent_fits(const struct e4_super *s, const uint8_t *data, uint32_t off);
/* And is what it says sound? */
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

/* -- changing: the directory's inode is locked; mtime and ctime are the caller's */
struct e4_handle;
#define E4_CREDITS_DIR_ADD 80u		/* the worst: leaf, nodes and root are split */
uint8_t e4_disk_type(const struct e4_super *s, lx_mode_t mode);
void e4_dirent_fill(struct e4_dirent *d, const struct e4_name *name, uint32_t ino, uint8_t type);
/* Add a name that is not there: -ENOSPC. */
int e4_dir_add(struct e4_handle *h, struct lx_inode *dir, const struct e4_name *name, uint32_t ino,
	       lx_mode_t mode);
int e4_dir_remove(struct e4_handle *h, struct lx_inode *dir, const struct e4_found *f);
/* The entry leads to another inode from now on. */
int e4_dir_set(struct e4_handle *h, struct lx_inode *dir, const struct e4_found *f, uint32_t ino,
	       lx_mode_t mode);
int e4_dir_set_parent(struct e4_handle *h, struct lx_inode *dir, uint32_t ino);
/* The first block of a new directory. */
int e4_dir_make(struct e4_handle *h, struct lx_inode *dir, uint32_t parent);
int e4_dir_empty(struct lx_inode *dir);	/* 0, -ENOTEMPTY, or what is wrong */
/* Add to one block: -ENOSPC if it is full. */
int e4_dir_add_to(struct e4_handle *h, struct lx_inode *dir, struct e4_buf *b,
		  const struct e4_name *name, uint32_t ino, uint8_t type);
/* One more block at the end, with nothing in it. */
int e4_dir_append(struct e4_handle *h, struct lx_inode *dir, uint32_t *lblock, struct e4_buf **out);
void e4_dir_init_block(struct lx_inode *dir, struct e4_buf *b);
int e4_dx_add(struct e4_handle *h, struct lx_inode *dir, const struct e4_name *name, uint32_t ino,
	      uint8_t type);
int e4_dx_make(struct e4_handle *h, struct lx_inode *dir);	/* of one block: give it an index */
