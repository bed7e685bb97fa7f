/* SPDX-License-Identifier: MIT */
/*
 * What the files of ext4 share.  The parts, from below:
 *
 *	buf.c		blocks of metadata in memory
 *	journal.c ...	transactions over them (journal.h)
 *	group.c		group descriptors; balloc.c, ialloc.c: allocation
 *	inode.c, istore.c	inodes from and to the inode tables
 *	map.c		where a file's blocks are: extents.c, extpath.c, extmod.c, blockmap.c
 *	dir.c, htree.c	finding names; dirmod.c, dxmod.c: changing them
 *	xattr.c, xattrmod.c	attributes; acl.c: those that are access control lists
 *	reserve.c, writeback.c	from the page cache to the disk; batch.c: many at once; sync.c: when
 *	truncate.c, orphan.c	shortening and deleting files
 *	discard.c	telling the disk of free blocks
 *	fallocate.c, extshift.c	blocks before there is data, holes; ranges that come and go
 *	namei.c, file.c, super.c	the operations that the VFS calls
 *
 * Locks, outermost first (ranks in lx/lock_rank.h):
 *
 *	lx_inode.lock		contents of a directory, attributes, size: by the VFS
 *	e4_inode.direct_lock	direct transfers under way (direct.c)
 *	e4_inode.wb_lock	writing back an inode's pages, or cutting them off
 *	e4_super.spare_lock	the buffer for that when memory has run out
 *	a handle of the journal	not a lock, but waited for: take nothing above within one
 *	e4_inode.map_lock	the extent tree of one inode
 *	e4_super.xattr_lock	attribute blocks, which inodes share
 *	e4_super.orphan_lock	the list of orphans
 *	e4_group.lock		bitmaps and descriptor of a group
 *	e4_super.slot_lock	bytes of inode tables
 *	journal, buffer cache	their own
 */
#pragma once

#include "base/byteorder.h"
#include "base/hash.h"
#include "base/rbtree.h"
#include "fs/ext4/buf.h"
#include "fs/ext4/disk.h"
#include "vfs/vfs_priv.h"

#define E4_SPARE		(64u * 1024)	/* bytes of e4_super.spare */
#define E4_RDONLY		1ul	/* SB_RDONLY in lx_super.flags */

struct e4_group {
	struct rt_mutex lock;		/* rank LX_LOCK_EXT4_GROUP */
	uint32_t number;		/* constant */
	struct e4_buf *table;		/* constant: the block with the descriptor, a reference */
	struct e4_disk_group *desc;	/* lock: in the table's bytes */
	uint8_t *freed;			/* lock: bitmap of blocks freed and not committed, or NULL */
	uint32_t freed_count;		/* lock: bits set in it */
	uint32_t trimmed;		/* lock: the disk knows of all free runs that are as long; 0: it does not */
	_Atomic(uint64_t) small_goal;	/* a hint: where the last small files of its inodes end, or 0 */
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
	struct e4_disk_super *super;	/* orphan_lock: in its bytes */
	struct rt_mutex xattr_lock;	/* rank LX_LOCK_EXT4_XATTR */
	struct rt_mutex orphan_lock;	/* rank LX_LOCK_EXT4_ORPHAN: the list on disk, the super block */
	struct rt_mutex slot_lock;	/* rank LX_LOCK_EXT4_SLOT: an inode's bytes in its table */
	_Atomic(uint32_t) errors;	/* seen since mounting */
	uint8_t errors_behaviour;	/* E4_ERRORS_* */

	/* Writable mounts only. */
	struct e4_journal *journal;	/* set while mounting and remounting, else constant */
	_Atomic(uint64_t) free_blocks;	/* by the bitmaps, without what waits for a commit */
	_Atomic(uint64_t) free_inodes;
	_Atomic(uint32_t) next_generation;	/* of new inodes: begins anywhere */
	_Atomic(uint64_t) reserved;	/* blocks promised to dirty pages: reserve.c */
	struct rt_mutex dirty_lock;	/* rank LX_LOCK_EXT4_DIRTY */
	struct list dirty;		/* dirty_lock: of e4_inode.dirty_link */
	struct list orphans;		/* orphan_lock: of e4_inode.orphan_link, as on disk */
	struct lx_task *flusher;	/* its thread, or NULL */
	struct lx_flusher wakes;	/* for memory's sake */
	_Atomic(uint32_t) flusher_word;	/* enum in sync.c: wakes it, and ends it */
	uint32_t commit_seconds;	/* constant */
	_Atomic(bool) discards;		/* mount option "discard" */
	struct rt_mutex spare_lock;	/* rank LX_LOCK_EXT4_SPARE */
	uint8_t *spare;			/* spare_lock: to write back with when there is no memory for a buffer */
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
	uint64_t disk_size;		/* map_lock: what the disk may show: data behind it is not written */

	/* Held for reading by each direct transfer: e4_direct_drain().  Rank LX_LOCK_EXT4_DIRECT. */
	struct rt_rwlock direct_lock;
	struct rt_mutex wb_lock;	/* rank LX_LOCK_EXT4_WRITEBACK */
	struct rb_tree reserved;	/* map_lock: pages that wait for blocks: reserve.c */
	uint64_t reserved_pages;	/* map_lock */
	_Atomic(bool) dirty;		/* attributes changed that the table does not have */
	struct list dirty_link;		/* dirty_lock */
	bool dirty_ref;			/* dirty_lock: the list holds a reference */
	struct list orphan_link;	/* orphan_lock */
	_Atomic(uint32_t) sync_tid, datasync_tid;	/* to be committed by fsync, fdatasync; 0: none */
	/* Of a directory that could not be read when it was looked up: where that was; else 0. */
	_Atomic(uint32_t) presumed_parent;
	uint64_t goal;			/* map_lock: where to allocate next, or 0 */
	uint32_t goal_lblock;
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
/*
 * e4_buf_read() of what the file system cannot do without: inode tables, bitmaps, directories.  As on
 * Linux, not being able to read them (-EIO) is an error of the file system, with what errors= asks for.
 */
int e4_read_vital(struct e4_super *s, uint64_t block, struct e4_buf **out);

/* -- discard.c */
int e4_trim(struct lx_super *sb, struct fstrim_range *range);	/* lx_super_ops.trim */
/* Tell the disk that nobody needs [block, block + n) any more; -EOPNOTSUPP, -EIO. */
int e4_discard(struct e4_super *s, uint64_t block, uint64_t n);

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
/* With the group's lock held; the descriptor's checksum last. */
void e4_group_set_free_blocks(struct e4_super *s, struct e4_group *g, uint32_t n);
void e4_group_set_free_inodes(struct e4_super *s, struct e4_group *g, uint32_t n);
uint32_t e4_group_used_dirs(const struct e4_super *s, const struct e4_group *g);
void e4_group_set_used_dirs(struct e4_super *s, struct e4_group *g, uint32_t n);
uint32_t e4_group_itable_unused(const struct e4_super *s, const struct e4_group *g);
void e4_group_set_itable_unused(struct e4_super *s, struct e4_group *g, uint32_t n);
bool e4_group_bitmap_ok(const struct e4_super *s, const struct e4_group *g, bool inodes,
			const uint8_t *bitmap);
void e4_group_set_bitmap_csum(const struct e4_super *s, struct e4_group *g, bool inodes,
			      const uint8_t *bitmap);
void e4_group_set_csum(struct e4_super *s, struct e4_group *g);
/* Do [block, block + n) lie in the file system, beyond the super block? */
bool e4_blocks_valid(const struct e4_super *s, uint64_t block, uint64_t n);

/* -- inode.c */
/* The inode, a reference: -EUCLEAN, -EBADMSG (checksum), -ESTALE (free), -EIO, -ENOMEM. */
int e4_iget(struct lx_super *sb, uint32_t ino, bool special, struct lx_inode **out);
/* An inode that is not read: *@out has number, locks and operations for special files. */
int e4_inode_alloc(struct lx_super *sb, uint32_t ino, struct lx_inode **out);
void e4_set_ops(struct lx_inode *inode);	/* by its type */
void e4_evict(struct lx_inode *inode);
/* The block of the inode table that holds @ino, and where in it. */
int e4_inode_slot(struct e4_super *s, uint32_t ino, struct e4_buf **out, struct e4_disk_inode **di);
/* The same for the first inode to be used of its block: what the disk has there is not needed.  -ENOMEM. */
int e4_inode_slot_first(struct e4_super *s, uint32_t ino, struct e4_buf **out, struct e4_disk_inode **di);
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
/* Is it listed by hashes: does it have an index, or would the next block bring one? */
bool e4_dir_hash_order(const struct lx_inode *dir);
int e4_dx_find(struct lx_inode *dir, const struct e4_name *name, bool keep, struct e4_found *found);
int e4_dx_iterate(struct lx_inode *dir, struct lx_dir_emit *ctx);

/* -- xattr.c */
int e4_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size);
int e4_listxattr(struct lx_inode *inode, char *buf, size_t size);

/* -- changing (all within a handle) */
struct e4_handle;
struct e4_journal;

/* balloc.c */
/*
 * Allocate up to *@n blocks in a row near @goal: *@n says how many.  -ENOSPC.  The
 * bitmap, the descriptor: 2 credits.
 */
int e4_alloc_blocks(struct e4_handle *h, uint64_t goal, uint32_t *n, uint64_t *block);
/* Allocate exactly @n blocks in a row, not more than a group has, at or behind @goal if possible.  As above. */
int e4_alloc_run(struct e4_handle *h, uint64_t goal, uint32_t n, uint64_t *block);
/* A block of metadata, in the cache and joined: zeros.  3 credits. */
int e4_alloc_meta(struct e4_handle *h, uint64_t goal, struct e4_buf **out);
/* Free [block, block + n); @meta: they held metadata, which is forgotten.  2 credits per group. */
int e4_free_blocks(struct e4_handle *h, uint64_t block, uint32_t n, bool meta);
/* What was allocated in this operation, which fails, is not needed. */
void e4_unalloc_blocks(struct e4_handle *h, uint64_t block, uint32_t n, bool meta);
uint64_t e4_inode_goal(const struct lx_inode *inode);	/* in the inode's own group */
#define E4_CREDITS_ALLOC 2u

/* ialloc.c */
/* A new inode in the tables, not hashed, nlink 1, one reference, stored: e4_store() later. */
int e4_new_inode(struct e4_handle *h, struct lx_inode *dir, lx_mode_t mode, struct lx_inode **out);
int e4_free_inode(struct e4_handle *h, struct lx_inode *inode);
#define E4_CREDITS_NEW_INODE 6u
uint64_t e4_count_free_blocks(struct e4_super *s);
uint64_t e4_count_free_inodes(struct e4_super *s);

/* istore.c */
/* Write the inode to its table: 1 credit.  _locked: map_lock is held for writing. */
int e4_store(struct e4_handle *h, struct lx_inode *inode);
int e4_store_locked(struct e4_handle *h, struct lx_inode *inode);
/*
 * Change the place of @e in the inode table, in @h: *@di until e4_slot_end(), with slot_lock held.
 * Negative errno: nothing is held.
 */
int e4_slot_begin(struct e4_handle *h, struct e4_inode *e, struct e4_buf **b,
		  struct e4_disk_inode **di);
void e4_slot_end(struct e4_handle *h, struct e4_inode *e, struct e4_buf *b,
		 struct e4_disk_inode *di);
void e4_inode_set_csum(struct e4_super *s, struct e4_inode *e, struct e4_disk_inode *di);
/* Attributes changed in memory only: they are stored at the next sync.  Inode locked. */
void e4_mark_dirty(struct lx_inode *inode);
/* It got its first name (the list of dirty ones has to keep it), or lost the last.  The caller has a reference. */
void e4_dirty_keep(struct lx_inode *inode, bool keep);
/* Take the next one off the list: a reference, or NULL. */
struct lx_inode *e4_dirty_next(struct e4_super *s);
void e4_dirty_forget(struct lx_inode *inode);	/* the last reference went */

/* extmod.c: map_lock is held for writing, the inode is stored by the caller */
/* Put an extent into a hole. */
int e4_ext_insert(struct e4_handle *h, struct lx_inode *inode, uint32_t lblock, uint32_t n,
		  uint64_t block, bool unwritten);
/* Make blocks of an unwritten extent written ones. */
int e4_ext_convert(struct e4_handle *h, struct lx_inode *inode, uint32_t lblock, uint32_t n);
/*
 * Remove and free what is mapped in [*@from, @to), from the end; *@to says how far it
 * came when the handle's credits were not enough (-EAGAIN: go on with another).
 */
int e4_ext_remove(struct e4_handle *h, struct lx_inode *inode, uint32_t from, uint64_t *to);
/*
 * extshift.c: move the extents that begin at or behind *@from down by @n blocks, where a hole is; or make a
 * hole of @n blocks at @at by moving what is there and behind it up, but for what begins at *@to or behind it.
 * *@from and *@to say how far it came (-EAGAIN: go on with another handle).  E4_CREDITS_SHIFT.  -ENOSPC (a hole
 * in the middle of an extent): everything has moved but the end of that extent: e4_ext_lower() undoes it.
 */
int e4_ext_lower(struct e4_handle *h, struct lx_inode *inode, uint64_t *from, uint32_t n);
int e4_ext_raise(struct e4_handle *h, struct lx_inode *inode, uint32_t at, uint64_t *to, uint32_t n);
/* Put the part of an extent that begins before @at and goes beyond it @n blocks higher up.  E4_CREDITS_INSERT. */
int e4_ext_part(struct e4_handle *h, struct lx_inode *inode, uint32_t at, uint32_t n);
/* Behind the last block that is mapped. */
int e4_ext_end(struct lx_inode *inode, uint64_t *end);
#define E4_CREDITS_SHIFT (E4_EXT_MAX_DEPTH + 2u)
int e4_ind_remove(struct e4_handle *h, struct lx_inode *inode, uint32_t from, uint64_t *to);
void e4_ext_init(struct e4_inode *e);	/* an empty tree */
#define E4_CREDITS_INSERT 24u

/* -- checksums */
static inline uint32_t e4_csum_u32(uint32_t crc, uint32_t v)
{
	uint8_t b[4];

	put_le32(b, v);
	return crc32c(crc, b, sizeof(b));
}
