/* SPDX-License-Identifier: MIT */
#pragma once

#include "vfs/vfs_priv.h"

#define OVL_MAX_LOWER 16u

struct ovl_super {
	struct lx_path upper, work;	/* references; no upper: dentry NULL, read-only */
	unsigned int nr_lower;
	struct lx_path lower[OVL_MAX_LOWER];
	char *lower_text, *upper_text, *work_text;	/* for /proc/mounts */

	/*
	 * Rank LX_LOCK_INODE; taken after inodes of the overlay, before those of the
	 * layers: copying up, and everything that changes names in the upper layer.
	 */
	struct rt_mutex lock;
	uint64_t next_temp;		/* lock: names in the work directory */
};

struct ovl_inode {
	_Atomic(struct lx_dentry *) upper;	/* a reference; NULL, then set once */
	struct lx_dentry *dentry;	/* the overlay's own: of directories and files without upper the only one */
	struct lx_dentry *lower0;	/* a reference: what is copied up, or the topmost lower directory */
	unsigned int layer0;		/* its layer */
	unsigned int nr_lower;		/* directories: lower ones that are merged */
	struct { struct lx_dentry *dentry; unsigned int layer; } *lowers;	/* references */
	uint64_t ino;			/* what stat shows */
	bool gone;			/* the name was removed: super's lock */
};

static inline struct ovl_super *ovl_super(const struct lx_super *sb)
{
	return sb->private;
}

static inline struct ovl_inode *ovl_inode(const struct lx_inode *inode)
{
	return inode->private;
}

static inline struct lx_dentry *ovl_upper(const struct lx_inode *inode)
{
	/* acquire: pairs with the release where it is set */
	return atomic_load_explicit(&ovl_inode(inode)->upper, memory_order_acquire);
}

/* The inode that has the data and attributes now. */
static inline struct lx_inode *ovl_real(const struct lx_inode *inode)
{
	struct lx_dentry *upper = ovl_upper(inode);

	return lx_d_inode(upper ? upper : ovl_inode(inode)->lower0);
}

/* Numbers of the layers do not collide: the upper layer is 1, lower ones 0, 2, 3... */
static inline uint64_t ovl_ino(uint64_t real, unsigned int layer)
{
	return real | (uint64_t)layer << 40;
}
#define OVL_UPPER_LAYER 1u
static inline unsigned int ovl_lower_layer(unsigned int i)
{
	return i ? i + 1 : 0;
}

#define OVL_XATTR_PREFIX	"trusted.overlay."
#define OVL_XATTR_OPAQUE	"trusted.overlay.opaque"
#define OVL_XATTR_ORIGIN	"trusted.overlay.origin"

static inline bool ovl_is_whiteout(const struct lx_inode *real)
{
	return (real->mode & S_IFMT) == S_IFCHR && !real->rdev;
}

/* inode.c */
/* The overlay's inode for what was found; references move in, also on failure (NULL). */
struct lx_inode *ovl_new_inode(struct lx_super *sb, struct lx_dentry *upper, struct ovl_inode *found);
void ovl_sync_attributes(struct lx_inode *inode);
bool ovl_is_opaque(struct lx_inode *real);
/* The number that stat shows for an inode of the upper layer. */
uint64_t ovl_upper_ino(struct lx_inode *real);
void ovl_evict_inode(struct lx_inode *inode);
extern const struct lx_inode_ops ovl_reg_iops, ovl_link_iops, ovl_special_iops;
extern const struct lx_file_ops ovl_reg_fops;
int ovl_getattr(struct lx_inode *inode, struct lx_kstat *st);
int ovl_setattr(struct lx_inode *inode, const struct lx_attr *a);
int ovl_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size);
int ovl_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags);
int ovl_listxattr(struct lx_inode *inode, char *buf, size_t size);
int ovl_removexattr(struct lx_inode *inode, const char *name);
struct lx_inode *ovl_acl_of(struct lx_inode *inode);
int ovl_set_acl(struct lx_inode *inode, bool def, struct lx_acl *acl, lx_mode_t mode);
#define OVL_ACL_OPS .acl_of = ovl_acl_of, .set_acl = ovl_set_acl
#define OVL_ATTR_OPS \
	.getattr = ovl_getattr, .setattr = ovl_setattr, .getxattr = ovl_getxattr, \
	.setxattr = ovl_setxattr, .listxattr = ovl_listxattr, .removexattr = ovl_removexattr

/* copy_up.c */
/* Have @inode in the upper layer. */
int ovl_copy_up(struct lx_inode *inode);

/* sync.c */
/*
 * fsync of an object of the upper layer, under no name or some; @seen: lx_file.wb_seen of who asks, or NULL.
 * Errors as the upper file system's.
 */
int ovl_sync_upper(struct ovl_super *s, struct lx_dentry *upper, _Atomic(uint32_t) *seen, bool datasync);
int ovl_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync);
int ovl_sync_fs(struct lx_super *sb);

/* dir.c */
extern const struct lx_inode_ops ovl_dir_iops;
/* readdir.c */
extern const struct lx_file_ops ovl_dir_fops;
/* Does the merged directory have nothing but "." and ".."?  -ENOTEMPTY. */
int ovl_check_empty(struct lx_inode *dir);
