/* SPDX-License-Identifier: MIT */
/*
 * Which kind of partition table a disk has.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "block/table.h"

bool lx_mbr_is_valid(const uint8_t *block)
{
	return get_le16(block + MBR_SIGNATURE) == 0xaa55;
}

uint8_t lx_mbr_type(const uint8_t *block, unsigned int i)
{
	return block[MBR_ENTRIES + i * MBR_ENTRY_SIZE + 4];
}

uint32_t lx_mbr_start(const uint8_t *block, unsigned int i)
{
	return get_le32(block + MBR_ENTRIES + i * MBR_ENTRY_SIZE + 8);
}

struct lx_table_entry *lx_table_add(const struct lx_table_source *s, struct lx_table *t,
				    uint32_t number, uint64_t start, uint64_t sectors)
{
	struct lx_table_entry *e;

	if (!sectors || start >= s->sectors || t->count >= LX_TABLE_NUMBER_MAX)
		return NULL;
	e = &t->entries[t->count++];
	*e = (struct lx_table_entry){ .number = number, .start = start,
				      .sectors = MIN(sectors, s->sectors - start) };
	return e;
}

/* An entry of the protective MBR that covers the GPT's header. */
static bool is_protective(const uint8_t *block)
{
	for (unsigned int i = 0; i < 4; i++)
		if (lx_mbr_type(block, i) == MBR_TYPE_GPT && lx_mbr_start(block, i) == 1)
			return true;
	return false;
}

static bool names_gpt(const uint8_t *block)
{
	for (unsigned int i = 0; i < 4; i++)
		if (lx_mbr_type(block, i) == MBR_TYPE_GPT)
			return true;
	return false;
}

int lx_table_read(const struct lx_table_source *s, struct lx_table *t)
{
	int err;

	t->kind = NULL;
	t->damaged = false;
	t->count = 0;
	if (s->sectors < s->block_size / 512)
		return 0;
	err = s->read(s->arg, 0, t->block);
	if (err || !lx_mbr_is_valid(t->block))
		return err;
	if (names_gpt(t->block)) {
		/* a disk that says it has a GPT, and has none that is whole, has no partitions */
		if (is_protective(t->block) && lx_table_read_gpt(s, t))
			t->kind = "gpt";
		return 0;
	}
	if (lx_table_read_mbr(s, t))
		t->kind = "dos";
	return 0;
}
