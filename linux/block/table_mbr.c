/* SPDX-License-Identifier: MIT */
/*
 * The partition table of the MBR.  Its four entries are partitions 1 to 4; one of them may
 * be an "extended" one, which holds a chain of boot records, each with a logical
 * partition (5, 6...) and a pointer to the next.
 *
 * A chain ends at a record without a pointer, without a signature, that cannot be read,
 * or that was there before: Linux goes round such a loop until it has made as many
 * partitions as there can be.
 */
#include "base/byteorder.h"
#include "base/format.h"
#include "base/string.h"
#include "base/util.h"
#include "block/table.h"

#define FIRST_LOGICAL	5u
#define EXTENDED_SHOWN	2u		/* sectors: enough for a boot loader, too few for mkfs to ruin the chain */

static uint32_t sectors_of(const uint8_t *block, unsigned int i)
{
	return get_le32(block + MBR_ENTRIES + i * MBR_ENTRY_SIZE + 12);
}

static bool is_extended(const uint8_t *block, unsigned int i)
{
	uint8_t type = lx_mbr_type(block, i);

	return sectors_of(block, i) && (type == 0x05 || type == 0x0f || type == 0x85);
}

/*
 * The boot sector of a FAT or NTFS file system ends with the same signature; where a table
 * would be is code then.
 */
static bool looks_like_table(const uint8_t *block)
{
	for (unsigned int i = 0; i < 4; i++)
		if (block[MBR_ENTRIES + i * MBR_ENTRY_SIZE] & 0x7f)
			return false;
	return true;
}

struct chain {
	const struct lx_table_source *s;
	struct lx_table *t;
	uint64_t first, sectors;	/* the extended partition, in logical blocks */
	uint64_t at, length;		/* the record in t->block: where, and what it may describe */
	uint32_t disk_id, next_number;
};

static void set_uuid(struct lx_table_entry *e, uint32_t disk_id)
{
	if (e)
		snprintf(e->uuid, sizeof(e->uuid), "%08x-%02x", disk_id, e->number);
}

/* Entries 3 and 4 of a chained record are often garbage: only what fits is taken. */
static bool is_plausible(const struct chain *c, unsigned int i, uint64_t start, uint64_t n)
{
	if (i < 2)
		return true;
	return range_within(start, n, c->length) && c->at + start >= c->first &&
	       range_within(c->at + start - c->first, n, c->sectors);
}

static void add_logical(struct chain *c)
{
	const uint8_t *block = c->t->block;
	uint32_t scale = c->s->block_size / 512;

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t start = lx_mbr_start(block, i), n = sectors_of(block, i);

		if (!n || is_extended(block, i) || !is_plausible(c, i, start, n) ||
		    c->next_number > LX_TABLE_NUMBER_MAX)
			continue;
		set_uuid(lx_table_add(c->s, c->t, c->next_number, (c->at + start) * scale, n * scale),
			 c->disk_id);
		c->next_number++;
	}
}

/* Where the record in t->block points to: the next one's block, or 0. */
static uint64_t next_record(struct chain *c)
{
	for (unsigned int i = 0; i < 4; i++) {
		if (!is_extended(c->t->block, i))
			continue;
		c->length = sectors_of(c->t->block, i);
		return c->first + lx_mbr_start(c->t->block, i);
	}
	return 0;
}

static bool read_record(const struct chain *c, uint64_t at)
{
	uint32_t scale = c->s->block_size / 512;

	return at < c->s->sectors / scale && !c->s->read(c->s->arg, at, c->t->block) &&
	       lx_mbr_is_valid(c->t->block);
}

/* Note the record; false: it was there before, or there were too many. */
static bool is_new(struct lx_table *t, uint64_t at)
{
	for (unsigned int i = 0; i < t->visited_count; i++)
		if (t->visited[i] == at)
			return false;
	if (t->visited_count == ARRAY_SIZE(t->visited))
		return false;
	t->visited[t->visited_count++] = at;
	return true;
}

static void read_chain(struct chain *c)
{
	c->at = c->first;
	c->length = c->sectors;
	while (c->at && is_new(c->t, c->at) && read_record(c, c->at)) {
		add_logical(c);
		c->at = next_record(c);
	}
}

bool lx_table_read_mbr(const struct lx_table_source *s, struct lx_table *t)
{
	struct chain c = { .s = s, .t = t, .next_number = FIRST_LOGICAL };
	uint64_t extended[4], sizes[4];
	uint32_t scale = s->block_size / 512;
	unsigned int count = 0;

	if (!looks_like_table(t->block))
		return false;
	c.disk_id = get_le32(t->block + MBR_DISK_ID);
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t start = lx_mbr_start(t->block, i), n = sectors_of(t->block, i);

		if (!n)
			continue;
		if (is_extended(t->block, i)) {
			extended[count] = start;
			sizes[count++] = n;
			n = scale > EXTENDED_SHOWN ? 1 : MIN(n, (uint64_t)EXTENDED_SHOWN / scale);
		}
		set_uuid(lx_table_add(s, t, i + 1, start * scale, n * scale), c.disk_id);
	}
	t->visited_count = 0;
	for (unsigned int i = 0; i < count; i++) {
		c.first = extended[i];
		c.sectors = sizes[i];
		read_chain(&c);
	}
	return true;
}
