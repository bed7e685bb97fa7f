/* SPDX-License-Identifier: MIT */
/*
 * tmpfs's parts: super blocks and inodes (tmpfs.c), entries of directories (dir.c), what
 * files count for (charge.c).
 */
#pragma once

#include "base/rbtree.h"
#include "fs/tmpfs/tmpfs.h"

#define PAGE ((uint64_t)K_PAGE_SIZE)
#define ENTRY_SIZE 20			/* what an entry adds to st_size of its directory */
#define FIRST_COOKIE 2			/* 0 and 1 are "." and ".." */

struct tmpfs_super {
	_Atomic(uint64_t) used_blocks, used_inodes;
	uint64_t max_blocks, max_inodes;	/* 0: no limit; changed by remount */
	bool default_size, default_inodes;
	lx_mode_t mode;
	lx_uid_t uid;
	lx_gid_t gid;
};

struct tmpfs_node {
	struct lx_xattrs xattrs;
	uint32_t flags;			/* FS_*_FL: the inode's lock */
	struct rb_tree names, cookies;	/* directories */
	uint64_t next_cookie;
	struct lx_inode *parent;	/* directories: not a reference; itself at the root */
	char *target;			/* symlinks */
	uint64_t charged, dense_end;	/* regular files: pages */
	uint64_t prepared;		/* charged by the last prepare_write(), if sparse */
	bool sparse;
};

extern const struct lx_inode_ops tmpfs_dir_iops, tmpfs_link_iops, tmpfs_reg_iops;
extern const struct lx_file_ops tmpfs_dir_fops;

static inline struct tmpfs_node *tmpfs_node(const struct lx_inode *inode)
{
	return inode->private;
}

static inline struct tmpfs_super *tmpfs_super(const struct lx_super *sb)
{
	return sb->private;
}

/* -- charge.c */

/* Count @n more against @max (0: no limit); false: there is no room. */
bool tmpfs_take(_Atomic(uint64_t) *used, uint64_t max, uint64_t n);

/* -- tmpfs.c */

/* An inode of @mode, made in @dir (NULL: none); NULL: out of memory, or of inodes. */
struct lx_inode *tmpfs_new_inode(struct lx_super *sb, struct lx_inode *dir, lx_mode_t mode,
				 lx_dev_t rdev);

/* The same with what @dir's default list says: 0, -ENOSPC (as Linux has it for all reasons). */
int tmpfs_new_child(struct lx_inode *dir, lx_mode_t mode, lx_dev_t rdev, struct lx_inode **out);

int tmpfs_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size);
int tmpfs_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags);
int tmpfs_listxattr(struct lx_inode *inode, char *buf, size_t size);
int tmpfs_removexattr(struct lx_inode *inode, const char *name);

int tmpfs_set_acl(struct lx_inode *inode, bool def, struct lx_acl *acl, lx_mode_t mode);

uint32_t tmpfs_get_flags(struct lx_inode *inode);
int tmpfs_set_flags(struct lx_inode *inode, uint32_t flags);
#define TMPFS_FLAG_OPS .get_flags = tmpfs_get_flags, .set_flags = tmpfs_set_flags

#define TMPFS_XATTR_OPS \
	.getxattr = tmpfs_getxattr, .setxattr = tmpfs_setxattr, \
	.listxattr = tmpfs_listxattr, .removexattr = tmpfs_removexattr

/* -- dir.c */

/* The super block goes: put the files of directories that are still linked. */
void tmpfs_shutdown(struct lx_super *sb);
