/* SPDX-License-Identifier: MIT */
/*
 * The journal.
 */
#pragma once

#include "fs/ext4/ext4.h"
#include "fs/ext4/jdisk.h"

struct e4_journal {
	/* Constant after loading. */
	struct e4_super *s;
	struct lx_inode *inode;		/* a reference */
	uint32_t first, len;		/* the ring is [first, len) */
	uint32_t compat, incompat;
	bool csum;			/* blocks have checksums (v2 or v3) */
	uint32_t seed;
	/* As on disk; recovery's, before anybody else works with the journal. */
	uint32_t start, sequence;
	uint8_t *super;			/* block 0 */
};

/*
 * Open the journal: -EUCLEAN (broken), -EOPNOTSUPP (features that we lack), -EIO,
 * -ENOMEM.  Reads only.
 */
int e4_journal_load(struct e4_super *s, struct e4_journal **out);
void e4_journal_free(struct e4_journal *j);
/*
 * Bring what was committed to its place, and mark the log as empty.  The caches of
 * the file system are stale afterwards.  -EIO: also a block whose checksum is wrong.
 */
int e4_journal_recover(struct e4_journal *j);
/* Write the journal's super block with @start and @sequence, durably. */
int e4_journal_write_super(struct e4_journal *j, uint32_t start, uint32_t sequence);
/* Where block @n of the journal is on the device; 0: nowhere. */
uint64_t e4_journal_block(struct e4_journal *j, uint32_t n, uint32_t max, uint32_t *run);
static inline uint32_t e4_journal_next(const struct e4_journal *j, uint32_t n)
{
	return n + 1 >= j->len ? j->first : n + 1;
}
uint32_t e4_journal_tag_size(const struct e4_journal *j);
uint32_t e4_journal_tail_csum(const struct e4_journal *j, const uint8_t *block);
uint32_t e4_journal_data_csum(const struct e4_journal *j, uint32_t sequence, const uint8_t *block);
uint32_t e4_journal_commit_csum(const struct e4_journal *j, const uint8_t *block);
