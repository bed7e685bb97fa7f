/* SPDX-License-Identifier: MIT */
/*
 * The journal on disk (kernel documentation, filesystems/ext4, "Journal (jbd2)").
 * Big endian, unlike the rest.  The journal is a file; its first block holds its
 * own super block, the rest is a ring of transactions: descriptor blocks that say
 * where the blocks behind them belong, revoke blocks, and a commit block at the end.
 */
#pragma once

#include <stdint.h>

typedef uint8_t be16[2], be32[4], be64[8];

#define E4_J_MAGIC		0xc03b3998u

enum e4_j_type {
	E4_J_DESCRIPTOR = 1, E4_J_COMMIT = 2, E4_J_SUPER_V1 = 3, E4_J_SUPER_V2 = 4, E4_J_REVOKE = 5,
};

struct e4_j_header {
	be32 magic, type, sequence;
};

struct e4_j_super {
	struct e4_j_header header;
	be32 blocksize, maxlen, first;	/* of the ring */
	be32 sequence, start;		/* the first transaction in the log; start 0: none */
	be32 error;
	be32 feature_compat, feature_incompat, feature_ro_compat;
	uint8_t uuid[16];
	be32 nr_users, dynsuper, max_transaction, max_trans_data;
	uint8_t checksum_type, pad[3];
	be32 num_fc_blocks, head;
	uint8_t padding[40 * 4];
	be32 checksum;
	uint8_t users[16 * 48];
};
_Static_assert(sizeof(struct e4_j_super) == 1024, "journal super block");

#define E4_J_COMPAT_CHECKSUM	0x1u
#define E4_J_INCOMPAT_REVOKE	0x1u
#define E4_J_INCOMPAT_64BIT	0x2u
#define E4_J_INCOMPAT_CSUM_V2	0x8u
#define E4_J_INCOMPAT_CSUM_V3	0x10u
#define E4_J_INCOMPAT_KNOWN                                                                        \
	(E4_J_INCOMPAT_REVOKE | E4_J_INCOMPAT_64BIT | E4_J_INCOMPAT_CSUM_V2 | E4_J_INCOMPAT_CSUM_V3)
#define E4_J_CHECKSUM_CRC32C	4u

/* Tags of a descriptor block: with CSUM_V3 as here, else shorter (recovery.c). */
struct e4_j_tag3 {
	be32 block, flags, block_hi, checksum;
};
struct e4_j_tag {
	be32 block;
	be16 checksum, flags;
	be32 block_hi;			/* only with 64BIT */
};
#define E4_J_TAG_ESCAPED	1u	/* the block began with the magic number: zeros in the log */
#define E4_J_TAG_SAME_UUID	2u	/* else 16 bytes follow */
#define E4_J_TAG_DELETED	4u
#define E4_J_TAG_LAST		8u

struct e4_j_commit {
	struct e4_j_header header;
	uint8_t checksum_type, checksum_size, pad[2];
	be32 checksum[8];
	be64 sec;
	be32 nsec;
};

struct e4_j_revoke {
	struct e4_j_header header;
	be32 bytes;			/* used, with this header; then block numbers of 4 or 8 bytes */
};
