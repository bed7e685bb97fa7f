/* SPDX-License-Identifier: MIT */
/*
 * The GUID partition table: a header in block 1 and one in the last block, each with a
 * checksum of its own, of its table's place, and of the table.  The first header is
 * used if it and its table are whole; the second, which the first names, only when
 * asked for ("gpt" on the command line), as on Linux: a disk with a broken first
 * header may have been partitioned anew by something that knows nothing of GPT.
 */
#include "base/byteorder.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/string.h"
#include "base/util.h"
#include "block/table.h"

enum {
	H_SIGNATURE = 0, H_SIZE = 12, H_CRC = 16, H_MY_LBA = 24, H_OTHER_LBA = 32, H_FIRST = 40,
	H_LAST = 48, H_TABLE = 72, H_COUNT = 80, H_ENTRY_SIZE = 84, H_TABLE_CRC = 88,
	HEADER_MIN = 92,
	E_TYPE = 0, E_UUID = 16, E_START = 32, E_END = 40, E_NAME = 56, ENTRY = 128, NAME_UNITS = 36,
};

#define TABLE_BYTES_MAX		(4u << 20)

struct header {
	uint64_t other, table;
	uint32_t count, table_crc;
};

static uint64_t last_block(const struct lx_table_source *s)
{
	return s->sectors / (s->block_size / 512) - 1;
}

static bool header_is_valid(const struct lx_table_source *s, uint8_t *block, uint64_t lba)
{
	uint64_t first = get_le64(block + H_FIRST), last = get_le64(block + H_LAST);
	uint32_t size = get_le32(block + H_SIZE), crc = get_le32(block + H_CRC);
	uint32_t count = get_le32(block + H_COUNT);

	if (memcmp(block + H_SIGNATURE, "EFI PART", 8) != 0 || size < HEADER_MIN ||
	    size > s->block_size)
		return false;
	put_le32(block + H_CRC, 0);
	if (crc32(0, block, size) != crc || get_le64(block + H_MY_LBA) != lba)
		return false;
	return first <= last && last <= last_block(s) &&
	       get_le32(block + H_ENTRY_SIZE) == ENTRY && count <= TABLE_BYTES_MAX / ENTRY;
}

static bool read_header(const struct lx_table_source *s, struct lx_table *t, uint64_t lba,
			struct header *h)
{
	if (lba > last_block(s) || s->read(s->arg, lba, t->block) ||
	    !header_is_valid(s, t->block, lba))
		return false;
	h->other = get_le64(t->block + H_OTHER_LBA);
	h->table = get_le64(t->block + H_TABLE);
	h->count = get_le32(t->block + H_COUNT);
	h->table_crc = get_le32(t->block + H_TABLE_CRC);
	return true;
}

static void show_guid(char text[37], const uint8_t *g)
{
	snprintf(text, 37, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", get_le32(g),
		 get_le16(g + 4), get_le16(g + 6), g[8], g[9], g[10], g[11], g[12], g[13], g[14],
		 g[15]);
}

static void show_name(char text[NAME_UNITS + 1], const uint8_t *units)
{
	unsigned int i;

	for (i = 0; i < NAME_UNITS && get_le16(units + 2 * i); i++) {
		uint16_t c = get_le16(units + 2 * i) & 0xff;

		text[i] = c >= ' ' && c <= '~' ? (char)c : '!';
	}
	text[i] = '\0';
}

static void add_entry(const struct lx_table_source *s, struct lx_table *t, uint32_t number,
		      const uint8_t *e)
{
	static const uint8_t unused[16];
	uint64_t start = get_le64(e + E_START), end = get_le64(e + E_END);
	uint32_t scale = s->block_size / 512;
	struct lx_table_entry *added;

	if (!memcmp(e + E_TYPE, unused, sizeof(unused)) || start > end || end > last_block(s) ||
	    number > LX_TABLE_NUMBER_MAX)
		return;
	added = lx_table_add(s, t, number, start * scale, (end - start + 1) * scale);
	if (!added)
		return;
	show_guid(added->uuid, e + E_UUID);
	show_name(added->name, e + E_NAME);
}

/* The table, block by block: entries are taken as they come, and all dropped if the sum is wrong. */
static bool read_entries(const struct lx_table_source *s, struct lx_table *t,
			 const struct header *h)
{
	uint32_t crc = 0, per_block = s->block_size / ENTRY;

	t->count = 0;
	for (uint32_t i = 0; i < h->count; i += per_block) {
		uint32_t n = MIN(per_block, h->count - i);
		uint64_t lba = h->table + i / per_block;

		if (h->table > last_block(s) || lba > last_block(s) ||
		    s->read(s->arg, lba, t->block))
			goto broken;
		crc = crc32(crc, t->block, (size_t)n * ENTRY);
		for (uint32_t k = 0; k < n; k++)
			add_entry(s, t, i + k + 1, t->block + k * ENTRY);
	}
	if (crc == h->table_crc)
		return true;
broken:
	t->count = 0;
	return false;
}

bool lx_table_read_gpt(const struct lx_table_source *s, struct lx_table *t)
{
	struct header first, second;
	bool good = read_header(s, t, 1, &first);

	if (good)
		t->damaged = !read_header(s, t, first.other, &second);
	if (good && read_entries(s, t, &first))
		return true;
	t->damaged = true;
	return s->force_gpt && read_header(s, t, last_block(s), &second) &&
	       read_entries(s, t, &second);
}
