/* SPDX-License-Identifier: MIT */
/*
 * Partition tables: what they say, from the bytes of a disk.  No allocation, no
 * locks, nothing of the rest of the personality: the unit test and the fuzzer run
 * this code on bytes of theirs.
 *
 * What is accepted is what Linux accepts, and numbers are as Linux gives them: the
 * GUID table (UEFI specification 2.10, chapter 5) behind a protective MBR, else the
 * table of the MBR with its chain of logical partitions, which are 5, 6...
 *
 * Every byte is hostile.  What comes out has: numbers between 1 and
 * LX_TABLE_NUMBER_MAX, each once; a start within the disk, at least one sector, and
 * an end that is not behind the disk's.  Partitions may overlap, as on Linux.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LX_TABLE_NUMBER_MAX	255u
#define LX_TABLE_BLOCK_MAX	4096u

struct lx_table_source {
	/* Read the logical block @lba into @buf.  0, or what lx_table_read() is to return. */
	int (*read)(void *arg, uint64_t lba, void *buf);
	void *arg;
	uint64_t sectors;		/* of 512 bytes */
	uint32_t block_size;		/* logical: a power of two, 512 to LX_TABLE_BLOCK_MAX */
	bool force_gpt;			/* "gpt" on the command line: trust the second header, too */
};

struct lx_table_entry {
	uint32_t number;
	uint64_t start, sectors;	/* of 512 bytes */
	char uuid[37];			/* PARTUUID, NUL-terminated */
	char name[37];			/* of GPT: printable ASCII, NUL-terminated */
};

struct lx_table {
	const char *kind;		/* "gpt", "dos"; NULL: none was found */
	bool damaged;			/* GPT: one of the headers or tables is broken */
	unsigned int count;
	struct lx_table_entry *entries;	/* the caller's: room for LX_TABLE_NUMBER_MAX */
	/* The parser's own. */
	uint8_t block[LX_TABLE_BLOCK_MAX];
	unsigned int visited_count;	/* records of the chain of logical partitions */
	uint64_t visited[LX_TABLE_NUMBER_MAX + 1];
};

/*
 * Fill @t (entries set by the caller, everything else is overwritten).  0, also
 * when there is no table (kind NULL, count 0); else what read() returned, if the
 * first blocks of the disk cannot be read.
 */
int lx_table_read(const struct lx_table_source *s, struct lx_table *t);

/* -- the kinds, for lx_table_read(): true if the table was of that kind */
bool lx_table_read_gpt(const struct lx_table_source *s, struct lx_table *t);
/* The MBR is in t->block. */
bool lx_table_read_mbr(const struct lx_table_source *s, struct lx_table *t);

/* Add what lies within the disk of [@start, @start + @sectors); NULL: nothing does, or no room. */
struct lx_table_entry *lx_table_add(const struct lx_table_source *s, struct lx_table *t,
				    uint32_t number, uint64_t start, uint64_t sectors);

/* The boot record, on disk. */
#define MBR_ENTRIES		446u
#define MBR_SIGNATURE		510u
#define MBR_DISK_ID		440u
#define MBR_ENTRY_SIZE		16u
#define MBR_TYPE_GPT		0xeeu
bool lx_mbr_is_valid(const uint8_t *block);
uint8_t lx_mbr_type(const uint8_t *block, unsigned int i);
uint32_t lx_mbr_start(const uint8_t *block, unsigned int i);
