/* SPDX-License-Identifier: MIT */
/*
 * The erofs format on disk, as far as we read it.  Little endian; fields are read
 * with the functions of base/byteorder.h from copies, never in place.
 *
 * An inode lies at meta_blkaddr * block size + nid * 32.  After it come its
 * extended attributes, after them (inline layout) the end of its data that does
 * not fill a block.
 */
#pragma once

#define EROFS_SUPER_OFFSET	1024u
#define EROFS_SUPER_SIZE	128u
#define EROFS_MAGIC		0xe0f5e1e2u

/* Offsets in the super block. */
#define SB_MAGIC		0	/* u32 */
#define SB_COMPAT		8	/* u32 */
#define SB_BLOCK_BITS		12	/* u8 */
#define SB_ROOT_NID		14	/* u16 */
#define SB_INODES		16	/* u64 */
#define SB_BUILD_TIME		24	/* u64 */
#define SB_BUILD_NSEC		32	/* u32 */
#define SB_BLOCKS		36	/* u32 */
#define SB_META_BLOCK		40	/* u32 */
#define SB_XATTR_BLOCK		44	/* u32 */
#define SB_INCOMPAT		80	/* u32 */

/* Incompatible features that only matter for files that use them: those are refused one by one. */
#define EROFS_INCOMPAT_ZERO_PADDING	0x1u
#define EROFS_INCOMPAT_CHUNKED		0x4u
#define EROFS_INCOMPAT_KNOWN		(EROFS_INCOMPAT_ZERO_PADDING | EROFS_INCOMPAT_CHUNKED)

/* Offsets in an inode. */
#define EROFS_SLOT		32u
#define EROFS_COMPACT_SIZE	32u
#define EROFS_EXTENDED_SIZE	64u
#define I_FORMAT		0	/* u16: bit 0 extended; bits 1..3 layout */
#define I_XATTR_COUNT		2	/* u16 */
#define I_MODE			4	/* u16 */
#define IC_NLINK		6	/* u16 */
#define IC_SIZE			8	/* u32 */
#define IE_SIZE			8	/* u64 */
#define I_UNION			16	/* u32: first block, device number */
#define IC_UID			24	/* u16 */
#define IC_GID			26	/* u16 */
#define IE_UID			24	/* u32 */
#define IE_GID			28	/* u32 */
#define IE_MTIME		32	/* u64 */
#define IE_MTIME_NSEC		40	/* u32 */
#define IE_NLINK		44	/* u32 */

enum erofs_layout { EROFS_PLAIN = 0, EROFS_INLINE = 2, EROFS_CHUNKED = 4 };

/* Directory block: entries, then names; the first name's offset tells how many there are. */
#define EROFS_DIRENT		12u
#define D_NID			0	/* u64 */
#define D_NAME			8	/* u16 */
#define D_TYPE			10	/* u8 */

/* Extended attributes: a header, ids of shared ones, then entries; all in units of 4 bytes. */
#define EROFS_XATTR_HEADER	12u
#define XH_SHARED		4	/* u8 */
#define EROFS_XATTR_ENTRY	4u
#define XE_NAME_LEN		0	/* u8 */
#define XE_PREFIX		1	/* u8 */
#define XE_VALUE_SIZE		2	/* u16 */
