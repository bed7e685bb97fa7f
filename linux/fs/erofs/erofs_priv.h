/* SPDX-License-Identifier: MIT */
/* erofs's parts: images, inodes and data (erofs.c), directories (dir.c), attributes (xattr.c). */
#pragma once

#include "base/byteorder.h"
#include "block/block.h"
#include "fs/erofs/disk.h"
#include "fs/erofs/erofs.h"
#include "vfs/vfs_priv.h"

/* Constant, both. */
struct erofs_super {
	struct lx_blkdev *dev;
	unsigned int block_bits;
	uint64_t size;			/* of the image, by its super block, and not more than the device */
	uint64_t meta, xattrs;		/* byte offsets of the areas */
	uint64_t inodes;
	struct lx_time build_time;
};

struct erofs_inode {
	uint64_t offset;		/* in the image */
	uint32_t inode_size, xattr_size;
	enum erofs_layout layout;
	uint64_t data;			/* byte offset of the blocks */
	uint64_t inline_at;		/* byte offset of the inline end, or 0 */
	uint64_t in_blocks;		/* bytes of the file that lie in blocks */
};

static inline struct erofs_super *erofs_super_of(const struct lx_super *sb)
{
	return sb->private;
}

static inline struct erofs_inode *erofs_info_of(const struct lx_inode *inode)
{
	return inode->private;
}

static inline uint64_t erofs_block_size(const struct erofs_super *s)
{
	return 1ull << s->block_bits;
}

/* @n bytes of the image from @off on, by the device's page cache.  -EUCLEAN: not within it. */
int erofs_read_meta(struct erofs_super *s, uint64_t off, void *buf, size_t n);
/* The inode of that number, a reference in *@out.  -EUCLEAN... */
int erofs_get_inode(struct lx_super *sb, uint64_t nid, struct lx_inode **out);
/* Whole pages of a file, or of a directory. */
int erofs_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n);

/* -- dir.c */
int erofs_lookup(struct lx_inode *dir, struct lx_dentry *d);
int erofs_iterate(struct lx_file *f, struct lx_dir_emit *ctx);

/* -- xattr.c */
int erofs_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size);
int erofs_listxattr(struct lx_inode *inode, char *buf, size_t size);
int erofs_get_acl(struct lx_inode *inode, bool def, struct lx_acl **acl);
