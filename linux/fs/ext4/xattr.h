/* SPDX-License-Identifier: MIT */
/*
 * A place for attributes: the end of an inode, or a block.  Entries grow from the
 * front, values from the end; offsets of values count from @base.
 */
#pragma once

#include "fs/ext4/ext4.h"

struct e4_xattr_area {
	struct e4_buf *buf;		/* a reference */
	uint8_t *base;			/* values' offsets count from here */
	uint8_t *first;			/* the first entry */
	uint8_t *end;			/* behind the last byte */
};

/* The area in the inode; first is NULL if there is none.  Put area->buf. */
int e4_xattr_ibody(struct lx_inode *inode, struct e4_xattr_area *a);
/* The inode's block of attributes; first is NULL if there is none.  Put area->buf.  xattr_lock. */
int e4_xattr_block(struct lx_inode *inode, struct e4_xattr_area *a);
/* The entry, or NULL; entries end with four zero bytes. */
struct e4_xattr_entry *e4_xattr_next(const struct e4_xattr_area *a, struct e4_xattr_entry *e);
struct e4_xattr_entry *e4_xattr_first(const struct e4_xattr_area *a);
/* Split "user.x" into its index and "x"; 0: no such name space. */
unsigned int e4_xattr_index(const char *name, const char **rest);
/* The entry of that name, or NULL. */
struct e4_xattr_entry *e4_xattr_find(const struct e4_xattr_area *a, unsigned int index,
				     const char *rest);
struct e4_handle;
/* The inode has no block of attributes any more; xattr_lock or alone.  4 credits. */
int e4_xattr_drop_block(struct e4_handle *h, struct lx_inode *inode);
/*
 * In @h: the attribute has this value from now on (@flags as setxattr(2)), or goes (@val NULL); the inode
 * is stored by the caller.  -ENODATA, -EEXIST, -ENOSPC (it does not fit): nothing was changed.
 */
int e4_xattr_change(struct e4_handle *h, struct lx_inode *inode, const char *name, const void *val,
		    size_t size, int flags);
#define E4_CREDITS_XATTR 15u
int e4_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags);
int e4_removexattr(struct lx_inode *inode, const char *name);
void e4_xattr_set_csum(struct e4_super *s, struct e4_buf *b);

/* -- acl.c: lx_inode_ops */
int e4_get_acl(struct lx_inode *inode, bool def, struct lx_acl **acl);
int e4_set_acl(struct lx_inode *inode, bool def, struct lx_acl *acl, lx_mode_t mode);
/* In @h, as e4_xattr_change(): the attribute that says @acl; none for NULL. */
int e4_acl_store(struct e4_handle *h, struct lx_inode *inode, bool def, struct lx_acl *acl);
