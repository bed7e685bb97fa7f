/* SPDX-License-Identifier: MIT */
/*
 * ext4 on disk, as far as we read and write it (kernel documentation,
 * filesystems/ext4).  Fields are arrays of bytes, little endian, to be used with
 * base/byteorder.h: get_le32(d->size_lo).  The journal's are big endian: jdisk.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint8_t le16[2], le32[4], le64[8];

#define E4_SUPER_OFFSET	1024u
#define E4_SUPER_SIZE	1024u
#define E4_MAGIC	0xef53u

struct e4_disk_super {
	le32 inodes_count, blocks_count_lo, r_blocks_count_lo, free_blocks_lo;
	le32 free_inodes, first_data_block, log_block_size, log_cluster_size;
	le32 blocks_per_group, clusters_per_group, inodes_per_group, mtime;
	le32 wtime;
	le16 mnt_count, max_mnt_count, magic, state, errors, minor_rev;
	le32 lastcheck, checkinterval, creator_os, rev_level;
	le16 def_resuid, def_resgid;
	le32 first_ino;
	le16 inode_size, block_group_nr;
	le32 feature_compat, feature_incompat, feature_ro_compat;
	uint8_t uuid[16];
	char volume_name[16];
	char last_mounted[64];
	le32 algorithm_usage;
	uint8_t prealloc_blocks, prealloc_dir_blocks;
	le16 reserved_gdt_blocks;
	uint8_t journal_uuid[16];
	le32 journal_inum, journal_dev, last_orphan;
	le32 hash_seed[4];
	uint8_t def_hash_version, jnl_backup_type;
	le16 desc_size;
	le32 default_mount_opts, first_meta_bg, mkfs_time;
	le32 jnl_blocks[17];
	le32 blocks_count_hi, r_blocks_count_hi, free_blocks_hi;
	le16 min_extra_isize, want_extra_isize;
	le32 flags;
	le16 raid_stride, mmp_interval;
	le64 mmp_block;
	le32 raid_stripe_width;
	uint8_t log_groups_per_flex, checksum_type, encryption_level, pad1;
	le64 kbytes_written;
	le32 snapshot_inum, snapshot_id;
	le64 snapshot_r_blocks;
	le32 snapshot_list, error_count, first_error_time, first_error_ino;
	le64 first_error_block;
	char first_error_func[32];
	le32 first_error_line, last_error_time, last_error_ino, last_error_line;
	le64 last_error_block;
	char last_error_func[32];
	char mount_opts[64];
	le32 usr_quota_inum, grp_quota_inum, overhead_blocks, backup_bgs[2];
	uint8_t encrypt_algos[4], encrypt_pw_salt[16];
	le32 lpf_ino, prj_quota_inum, checksum_seed;
	uint8_t reserved[392];
	le32 checksum;
};
_Static_assert(sizeof(struct e4_disk_super) == E4_SUPER_SIZE, "super block");

/* state */
#define E4_VALID_FS		1u
#define E4_ERROR_FS		2u
#define E4_ORPHAN_FS		4u
/* flags */
#define E4_FLAGS_SIGNED_HASH	1u
#define E4_FLAGS_UNSIGNED_HASH	2u
/* errors */
#define E4_ERRORS_CONTINUE	1u
#define E4_ERRORS_RO		2u
#define E4_ERRORS_PANIC		3u

#define E4_COMPAT_HAS_JOURNAL	0x4u
#define E4_COMPAT_DIR_INDEX	0x20u

#define E4_INCOMPAT_FILETYPE	0x2u
#define E4_INCOMPAT_RECOVER	0x4u
#define E4_INCOMPAT_JOURNAL_DEV	0x8u
#define E4_INCOMPAT_META_BG	0x10u
#define E4_INCOMPAT_EXTENTS	0x40u
#define E4_INCOMPAT_64BIT	0x80u
#define E4_INCOMPAT_FLEX_BG	0x200u
#define E4_INCOMPAT_CSUM_SEED	0x2000u
#define E4_INCOMPAT_LARGEDIR	0x4000u
#define E4_INCOMPAT_KNOWN                                                                          \
	(E4_INCOMPAT_FILETYPE | E4_INCOMPAT_RECOVER | E4_INCOMPAT_META_BG |                        \
	 E4_INCOMPAT_EXTENTS | E4_INCOMPAT_64BIT | E4_INCOMPAT_FLEX_BG | E4_INCOMPAT_CSUM_SEED |   \
	 E4_INCOMPAT_LARGEDIR)

#define E4_RO_SPARSE_SUPER	0x1u
#define E4_RO_LARGE_FILE	0x2u
#define E4_RO_HUGE_FILE		0x8u
#define E4_RO_GDT_CSUM		0x10u
#define E4_RO_DIR_NLINK		0x20u
#define E4_RO_EXTRA_ISIZE	0x40u
#define E4_RO_METADATA_CSUM	0x400u
#define E4_RO_KNOWN                                                                                \
	(E4_RO_SPARSE_SUPER | E4_RO_LARGE_FILE | E4_RO_HUGE_FILE | E4_RO_GDT_CSUM |                \
	 E4_RO_DIR_NLINK | E4_RO_EXTRA_ISIZE | E4_RO_METADATA_CSUM)

/* Group descriptor: 32 bytes, or 64 with the 64bit feature. */
struct e4_disk_group {
	le32 block_bitmap_lo, inode_bitmap_lo, inode_table_lo;
	le16 free_blocks_lo, free_inodes_lo, used_dirs_lo, flags;
	le32 exclude_bitmap_lo;
	le16 block_bitmap_csum_lo, inode_bitmap_csum_lo, itable_unused_lo, checksum;
	le32 block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
	le16 free_blocks_hi, free_inodes_hi, used_dirs_hi, itable_unused_hi;
	le32 exclude_bitmap_hi;
	le16 block_bitmap_csum_hi, inode_bitmap_csum_hi;
	le32 reserved;
};
_Static_assert(sizeof(struct e4_disk_group) == 64, "group descriptor");
#define E4_GROUP_SMALL		32u

#define E4_BG_INODE_UNINIT	1u
#define E4_BG_BLOCK_UNINIT	2u
#define E4_BG_INODE_ZEROED	4u

/* Inode: 128 bytes, and what extra_isize says of the rest. */
#define E4_INODE_GOOD_OLD	128u
#define E4_I_BLOCK		60u

struct e4_disk_inode {
	le16 mode, uid;
	le32 size_lo, atime, ctime, mtime, dtime;
	le16 gid, links;
	le32 blocks_lo, flags, version;
	uint8_t block[E4_I_BLOCK];
	le32 generation, file_acl_lo, size_hi, obso_faddr;
	le16 blocks_hi, file_acl_hi, uid_hi, gid_hi, checksum_lo, pad;
	/* from here on only if extra_isize covers it */
	le16 extra_isize, checksum_hi;
	le32 ctime_extra, mtime_extra, atime_extra, crtime, crtime_extra, version_hi, projid;
};
_Static_assert(sizeof(struct e4_disk_inode) == 160, "inode");
#define E4_EXTRA_NOW		32u	/* extra_isize that covers all of the above */
/* Does the field lie within the inode's extra size? */
#define E4_FITS(extra, field)                                                                      \
	(E4_INODE_GOOD_OLD + (extra) >=                                                            \
	 offsetof(struct e4_disk_inode, field) + sizeof(((struct e4_disk_inode *)0)->field))

#define E4_ROOT_INO		2u
#define E4_RESIZE_INO		7u
#define E4_JOURNAL_INO		8u

#define E4_FL_IMMUTABLE		0x10u
#define E4_FL_APPEND		0x20u
#define E4_FL_NODUMP		0x40u
#define E4_FL_NOATIME		0x80u
#define E4_FL_ENCRYPT		0x800u
#define E4_FL_INDEX		0x1000u
#define E4_FL_JOURNAL_DATA	0x4000u
#define E4_FL_DIRSYNC		0x10000u
#define E4_FL_TOPDIR		0x20000u
#define E4_FL_HUGE_FILE		0x40000u
#define E4_FL_EXTENTS		0x80000u
#define E4_FL_VERITY		0x100000u
#define E4_FL_EA_INODE		0x200000u
#define E4_FL_INLINE_DATA	0x10000000u
#define E4_FL_PROJINHERIT	0x20000000u
#define E4_FL_CASEFOLD		0x40000000u
#define E4_FL_USER_VISIBLE	0x604bdfffu	/* FS_IOC_GETFLAGS */
#define E4_FL_USER_MODIFIABLE	0x604bc0ffu	/* FS_IOC_SETFLAGS; the others are left alone */
#define E4_FL_DIR_ONLY		0x60030000u	/* DIRSYNC, TOPDIR, PROJINHERIT, CASEFOLD */
#define E4_FL_INHERITED		0x200180c8u	/* by what is made in a directory */

/* Extent trees. */
#define E4_EXT_MAGIC		0xf30au
#define E4_EXT_MAX_DEPTH	5u
#define E4_EXT_INIT_MAX		32768u	/* blocks of an initialised extent; longer: unwritten */

struct e4_ext_header {
	le16 magic, entries, max, depth;
	le32 generation;
};
struct e4_ext_index {
	le32 block, leaf_lo;
	le16 leaf_hi, unused;
};
struct e4_ext {
	le32 block;
	le16 len, start_hi;
	le32 start_lo;
};
_Static_assert(sizeof(struct e4_ext_header) == 12 && sizeof(struct e4_ext) == 12 &&
	       sizeof(struct e4_ext_index) == 12, "extents");

/* Directory entries. */
struct e4_dirent {
	le32 inode;
	le16 rec_len;
	uint8_t name_len, file_type;
	char name[];
};
#define E4_DIRENT_HEAD		8u
#define E4_DIRENT_SIZE(len)	((E4_DIRENT_HEAD + (uint32_t)(len) + 3) & ~3u)
#define E4_DIR_TAIL		12u	/* a dead entry with the block's checksum */
#define E4_FT_TAIL		0xdeu

/* Hash trees: the root lies behind "." and "..", a node behind a dead entry. */
#define E4_DX_ROOT_INFO		24u
#define E4_DX_NODE_ENTRIES	8u
#define E4_DX_TAIL		8u
struct e4_dx_info {
	le32 reserved;
	uint8_t hash_version, info_length, levels, unused_flags;
};
struct e4_dx_entry {
	le32 hash, block;		/* of the first one: limit (16), count (16), block */
};

/* Extended attributes. */
#define E4_XATTR_MAGIC		0xea020000u
struct e4_xattr_header {
	le32 magic, refcount, blocks, hash, checksum, reserved[3];
};
struct e4_xattr_entry {
	uint8_t name_len, name_index;
	le16 value_offs;
	le32 value_inum, value_size, hash;
	char name[];
};
_Static_assert(sizeof(struct e4_xattr_header) == 32 && sizeof(struct e4_xattr_entry) == 16,
	       "attributes");
#define E4_XATTR_LEN(name_len)	((16u + (uint32_t)(name_len) + 3) & ~3u)
