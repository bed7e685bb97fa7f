/* SPDX-License-Identifier: MIT */
/*
 * What the files of ext4 share.  The parts, from below:
 *
 *	buf.c		blocks of metadata in memory
 *	jsuper.c, recovery.c	the journal (journal.h)
 *	group.c		group descriptors; balloc.c, ialloc.c: allocation
 *	inode.c		inodes to and from the inode tables
 *	map.c		where a file's blocks are: extents.c, blockmap.c
 *	dir.c, htree.c	names; xattr.c: attributes
 *	namei.c, file.c, super.c	the operations that the VFS calls
 *
 * Locks, outermost first (ranks in lx/lock_rank.h):
 *
 *	lx_inode.lock		contents of a directory, attributes, size: by the VFS
 *	a handle of the journal	not a lock, but waited for: never take an inode's lock within
 *	e4_inode.map_lock	the extent tree of one inode
 *	e4_super.xattr_lock	attribute blocks, which inodes share
 *	e4_super.orphan_lock	the list of orphans
 *	e4_group.lock		bitmaps and descriptor of a group
 *	e4_super.super_lock	the super block's counters
 *	journal, buffer cache	their own
 */
#pragma once

#include "base/byteorder.h"
#include "base/hash.h"
#include "fs/ext4/buf.h"
#include "fs/ext4/disk.h"
#include "vfs/vfs_priv.h"

#define E4_RDONLY		1ul	/* SB_RDONLY in lx_super.flags */

struct e4_group {
	struct rt_mutex lock;		/* rank LX_LOCK_EXT4_GROUP */
	struct e4_buf *table;		/* constant: the block with the descriptor, a reference */
	struct e4_disk_group *desc;	/* lock: in the table's bytes */
	uint8_t *freed;			/* lock: bitmap of blocks freed and not committed, or NULL */
	uint32_t freed_tid;		/* lock: the last transaction that added to it */
};

struct e4_super {
	/* Constant after mounting. */
	struct lx_super *sb;
	struct lx_blkdev *dev;
	char name[16];			/* of the device, for messages */
	unsigned int block_bits;
	uint32_t block_size, blocks_per_group, inodes_per_group, group_count, first_data_block;
	uint32_t inode_size, desc_size, desc_per_block, first_ino, inodes;
	uint64_t blocks, reserved_blocks;
	uint32_t compat, incompat, ro_compat;
	bool csum;			/* metadata_csum */
	uint32_t csum_seed;
	uint32_t hash_seed[4];
	bool hash_unsigned;
	uint8_t def_hash;
	uint32_t want_extra_isize;
	uint64_t overhead;		/* blocks that statfs does not count */
	struct e4_group *groups;
	struct e4_cache cache;
	struct e4_buf *super_buf;	/* the block with the super block */
	struct e4_disk_super *super;	/* super_lock: in its bytes */
	struct rt_mutex super_lock;	/* rank LX_LOCK_EXT4_SUPER */
	struct rt_mutex xattr_lock;	/* rank LX_LOCK_EXT4_XATTR */
	_Atomic(uint32_t) errors;	/* seen since mounting */
};

struct e4_inode {
	struct lx_inode *vfs;		/* constant */
	uint32_t ino, generation, csum_seed;	/* constant */
	uint16_t extra_isize;		/* constant once written */
	uint32_t flags;			/* E4_FL_*: vfs->lock */
	uint32_t projid;		/* vfs->lock */
	uint64_t file_acl;		/* xattr_lock: block of attributes, or 0 */
	struct rt_rwlock map_lock;	/* rank LX_LOCK_EXT4_MAP */
	uint8_t block[E4_I_BLOCK];	/* map_lock: root of the extent tree, short target, device */
};

static inline struct e4_super *e4_super(const struct lx_super *sb)
{
	return sb->private;
}

static inline struct e4_inode *e4_inode(const struct lx_inode *inode)
{
	return inode->private;
}

static inline struct e4_super *e4_super_of(const struct lx_inode *inode)
{
	return inode->sb->private;
}

static inline bool e4_has_incompat(const struct e4_super *s, uint32_t f)
{
	return s->incompat & f;
}

static inline bool e4_has_ro(const struct e4_super *s, uint32_t f)
{
	return s->ro_compat & f;
}

/*
 * The file system is inconsistent: say so, mark it, go read-only if it was writable.
 * Evaluates to the errno of it (Linux's EFSCORRUPTED).
 */
#define e4_corrupt(s, fmt, ...)                                                                    \
	({                                                                                         \
		struct e4_super *s_ = (s);                                                         \
		if (e4_note_error(s_))                                                             \
			rt_log(RT_LOG_ERR, "EXT4-fs error (device %s): " fmt, s_->name,            \
			       ##__VA_ARGS__);                                                     \
		-EUCLEAN;                                                                          \
	})
bool e4_note_error(struct e4_super *s);	/* whether to log it: not more than a few */

/* -- group.c */
int e4_groups_load(struct e4_super *s);		/* -EUCLEAN, -EIO, -ENOMEM */
void e4_groups_free(struct e4_super *s);
uint64_t e4_group_first_block(const struct e4_super *s, uint32_t group);
uint32_t e4_group_blocks(const struct e4_super *s, uint32_t group);
bool e4_group_has_super(const struct e4_super *s, uint32_t group);
uint64_t e4_group_block_bitmap(const struct e4_super *s, const struct e4_group *g);
uint64_t e4_group_inode_bitmap(const struct e4_super *s, const struct e4_group *g);
uint64_t e4_group_inode_table(const struct e4_super *s, const struct e4_group *g);
uint32_t e4_group_free_blocks(const struct e4_super *s, const struct e4_group *g);
uint32_t e4_group_free_inodes(const struct e4_super *s, const struct e4_group *g);
void e4_group_set_csum(struct e4_super *s, uint32_t group);	/* lock held */
/* Do [block, block + n) lie in the file system, beyond the super block? */
bool e4_blocks_valid(const struct e4_super *s, uint64_t block, uint64_t n);

/* -- inode.c */
/* The inode, a reference: -EUCLEAN, -EBADMSG (checksum), -ESTALE (free), -EIO, -ENOMEM. */
int e4_iget(struct lx_super *sb, uint32_t ino, bool special, struct lx_inode **out);
void e4_evict(struct lx_inode *inode);
/* The block of the inode table that holds @ino, and where in it. */
int e4_inode_slot(struct e4_super *s, uint32_t ino, struct e4_buf **out, struct e4_disk_inode **di);
extern const struct lx_inode_ops e4_dir_iops, e4_reg_iops, e4_link_iops, e4_special_iops;
extern const struct lx_file_ops e4_dir_fops, e4_reg_fops;

/* -- map.c: file block to disk block */
struct e4_map {
	uint64_t block;			/* on the device; 0: a hole */
	uint32_t len;			/* blocks for which this holds, at least 1 */
	bool unwritten;			/* allocated, reads as zeros */
};
#define E4_MAX_LBLOCK	0xfffffffeu
/* What holds @lblock, and at most @max blocks from there on.  Takes map_lock. */
int e4_map(struct lx_inode *inode, uint32_t lblock, uint32_t max, struct e4_map *map);
int e4_ext_map(struct lx_inode *inode, uint32_t lblock, uint32_t max, struct e4_map *map);
int e4_ind_map(struct lx_inode *inode, uint32_t lblock, uint32_t max, struct e4_map *map);
int e4_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n);
/* Block @lblock of a directory or symlink, checked as @kind; -EUCLEAN for a hole. */
int e4_read_block(struct lx_inode *inode, uint32_t lblock, struct e4_buf **out);

/* -- dir.c: blocks of names */
struct e4_name {
	const char *s;
	uint32_t len;
};
struct e4_found {
	uint32_t ino;
	uint8_t type;			/* as on disk */
	uint32_t lblock, offset;	/* where the entry is */
	struct e4_buf *buf;		/* its block, if the caller asked for it: a reference */
};
/* A block of entries, checked: every record lies in it.  -EUCLEAN, -EBADMSG, ... */
int e4_dir_block(struct lx_inode *dir, uint32_t lblock, struct e4_buf **out);
uint32_t e4_dir_blocks(const struct lx_inode *dir);
/* Bytes of a directory block that hold entries (without the checksum). */
uint32_t e4_dir_room(const struct e4_super *s);
/* Search one block: the offset of the entry, or -ENOENT. */
int e4_dir_search(const struct e4_super *s, const struct e4_buf *b, const struct e4_name *name);
/* Find the name in the whole directory: -ENOENT.  @keep: leave found->buf to the caller. */
int e4_dir_find(struct lx_inode *dir, const struct e4_name *name, bool keep, struct e4_found *found);
/* The inode that ".." of @dir names. */
int e4_dir_parent(struct lx_inode *dir, uint32_t *ino);
int e4_iterate(struct lx_file *f, struct lx_dir_emit *ctx);
unsigned int e4_dtype(const struct e4_super *s, uint8_t type);

/* -- htree.c, hash.c */
struct e4_hash {
	uint32_t major, minor;
};
/* @version: as in the index's root.  -EINVAL: not known. */
int e4_name_hash(const struct e4_super *s, unsigned int version, const char *name, uint32_t len,
		 struct e4_hash *hash);
bool e4_dir_indexed(const struct lx_inode *dir);
int e4_dx_find(struct lx_inode *dir, const struct e4_name *name, bool keep, struct e4_found *found);
int e4_dx_iterate(struct lx_inode *dir, struct lx_dir_emit *ctx);

/* -- xattr.c */
int e4_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size);
int e4_listxattr(struct lx_inode *inode, char *buf, size_t size);

/* -- checksums */
static inline uint32_t e4_csum_u32(uint32_t crc, uint32_t v)
{
	uint8_t b[4];

	put_le32(b, v);
	return crc32c(crc, b, sizeof(b));
}
