/* SPDX-License-Identifier: MIT */
/*
 * Group descriptors.  The blocks of the table are read when the file system is
 * mounted and kept; what they say is checked then, so that nobody has to doubt
 * the places of bitmaps and inode tables later.
 */
#include "fs/ext4/ext4.h"

uint64_t e4_group_first_block(const struct e4_super *s, uint32_t group)
{
	return s->first_data_block + (uint64_t)group * s->blocks_per_group;
}

uint32_t e4_group_blocks(const struct e4_super *s, uint32_t group)
{
	uint64_t left = s->blocks - e4_group_first_block(s, group);

	return (uint32_t)MIN(left, (uint64_t)s->blocks_per_group);
}

static bool is_power(uint32_t n, uint32_t base)
{
	uint64_t p = base;

	while (p < n)
		p *= base;
	return p == n;
}

bool e4_group_has_super(const struct e4_super *s, uint32_t group)
{
	return group <= 1 || !e4_has_ro(s, E4_RO_SPARSE_SUPER) || is_power(group, 3) ||
	       is_power(group, 5) || is_power(group, 7);
}

bool e4_blocks_valid(const struct e4_super *s, uint64_t block, uint64_t n)
{
	return block > s->first_data_block && range_within(block, n, s->blocks);
}

/* -- fields: the high halves are there only in large descriptors */

static bool large(const struct e4_super *s)
{
	return s->desc_size >= sizeof(struct e4_disk_group);
}

#define WIDE32(s, d, field)                                                                        \
	(get_le32((d)->field##_lo) | (large(s) ? (uint64_t)get_le32((d)->field##_hi) << 32 : 0))
#define WIDE16(s, d, field)                                                                        \
	(get_le16((d)->field##_lo) | (large(s) ? (uint32_t)get_le16((d)->field##_hi) << 16 : 0))

uint64_t e4_group_block_bitmap(const struct e4_super *s, const struct e4_group *g)
{
	return WIDE32(s, g->desc, block_bitmap);
}

uint64_t e4_group_inode_bitmap(const struct e4_super *s, const struct e4_group *g)
{
	return WIDE32(s, g->desc, inode_bitmap);
}

uint64_t e4_group_inode_table(const struct e4_super *s, const struct e4_group *g)
{
	return WIDE32(s, g->desc, inode_table);
}

uint32_t e4_group_free_blocks(const struct e4_super *s, const struct e4_group *g)
{
	return WIDE16(s, g->desc, free_blocks);
}

uint32_t e4_group_free_inodes(const struct e4_super *s, const struct e4_group *g)
{
	return WIDE16(s, g->desc, free_inodes);
}

static void put_wide16(const struct e4_super *s, uint8_t *lo, uint8_t *hi, uint32_t v)
{
	put_le16(lo, (uint16_t)v);
	if (large(s))
		put_le16(hi, (uint16_t)(v >> 16));
}

#define PUT16(s, d, field, v) put_wide16(s, (d)->field##_lo, (d)->field##_hi, v)

void e4_group_set_free_blocks(struct e4_super *s, struct e4_group *g, uint32_t n)
{
	PUT16(s, g->desc, free_blocks, n);
}

void e4_group_set_free_inodes(struct e4_super *s, struct e4_group *g, uint32_t n)
{
	PUT16(s, g->desc, free_inodes, n);
}

uint32_t e4_group_used_dirs(const struct e4_super *s, const struct e4_group *g)
{
	return WIDE16(s, g->desc, used_dirs);
}

void e4_group_set_used_dirs(struct e4_super *s, struct e4_group *g, uint32_t n)
{
	PUT16(s, g->desc, used_dirs, n);
}

uint32_t e4_group_itable_unused(const struct e4_super *s, const struct e4_group *g)
{
	return WIDE16(s, g->desc, itable_unused);
}

void e4_group_set_itable_unused(struct e4_super *s, struct e4_group *g, uint32_t n)
{
	PUT16(s, g->desc, itable_unused, n);
}

/* Checksums of bitmaps: 32 bits of them only in large descriptors. */
static bool csum_equal(const struct e4_super *s, const uint8_t *lo, const uint8_t *hi, uint32_t c)
{
	return get_le16(lo) == (uint16_t)c && (!large(s) || get_le16(hi) == c >> 16);
}

bool e4_group_bitmap_ok(const struct e4_super *s, const struct e4_group *g, bool inodes,
			const uint8_t *bitmap)
{
	uint32_t bits = inodes ? s->inodes_per_group : s->blocks_per_group, c;

	if (!s->csum)
		return true;
	c = crc32c(s->csum_seed, bitmap, bits / 8);
	return inodes ? csum_equal(s, g->desc->inode_bitmap_csum_lo, g->desc->inode_bitmap_csum_hi, c)
		      : csum_equal(s, g->desc->block_bitmap_csum_lo, g->desc->block_bitmap_csum_hi, c);
}

void e4_group_set_bitmap_csum(const struct e4_super *s, struct e4_group *g, bool inodes,
			      const uint8_t *bitmap)
{
	uint32_t bits = inodes ? s->inodes_per_group : s->blocks_per_group, c;

	if (!s->csum)
		return;
	c = crc32c(s->csum_seed, bitmap, bits / 8);
	if (inodes)
		PUT16(s, g->desc, inode_bitmap_csum, c);
	else
		PUT16(s, g->desc, block_bitmap_csum, c);
}

/* -- checksums: CRC-32C with metadata_csum, else CRC-16 if there is one at all */

static uint16_t crc16(uint16_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	return crc;
}

static uint16_t checksum(struct e4_super *s, uint32_t group, const struct e4_disk_group *d)
{
	static const uint8_t zeros[2];
	const uint8_t *p = (const uint8_t *)d;
	size_t at = offsetof(struct e4_disk_group, checksum), behind = at + sizeof(d->checksum);
	uint8_t number[4];

	put_le32(number, group);
	if (s->csum) {
		uint32_t c = crc32c(s->csum_seed, number, sizeof(number));

		c = crc32c(c, p, at);
		c = crc32c(c, zeros, sizeof(zeros));
		if (s->desc_size > behind)
			c = crc32c(c, p + behind, s->desc_size - behind);
		return (uint16_t)c;
	} else {
		uint16_t c = crc16(0xffff, s->super->uuid, sizeof(s->super->uuid));

		c = crc16(c, number, sizeof(number));
		c = crc16(c, p, at);
		if (e4_has_incompat(s, E4_INCOMPAT_64BIT) && s->desc_size > behind)
			c = crc16(c, p + behind, s->desc_size - behind);
		return c;
	}
}

static bool has_checksum(const struct e4_super *s)
{
	return s->csum || e4_has_ro(s, E4_RO_GDT_CSUM);
}

void e4_group_set_csum(struct e4_super *s, struct e4_group *g)
{
	struct e4_disk_group *d = g->desc;

	if (has_checksum(s))
		put_le16(d->checksum, checksum(s, g->number, d));
}

/* -- loading */

/* The block with the descriptors of table block @i. */
static uint64_t table_block(const struct e4_super *s, uint32_t i)
{
	uint32_t group = i * s->desc_per_block;

	if (!e4_has_incompat(s, E4_INCOMPAT_META_BG) || i < get_le32(s->super->first_meta_bg))
		return s->first_data_block + 1 + i;
	return e4_group_first_block(s, group) + e4_group_has_super(s, group);
}

static int check(struct e4_super *s, uint32_t group)
{
	struct e4_group *g = &s->groups[group];
	uint32_t table = (uint32_t)DIV_ROUND_UP((uint64_t)s->inodes_per_group * s->inode_size,
						s->block_size);

	if (has_checksum(s) && get_le16(g->desc->checksum) != checksum(s, group, g->desc))
		return e4_corrupt(s, "checksum of group descriptor %u is wrong", group);
	if (!e4_blocks_valid(s, e4_group_block_bitmap(s, g), 1) ||
	    !e4_blocks_valid(s, e4_group_inode_bitmap(s, g), 1) ||
	    !e4_blocks_valid(s, e4_group_inode_table(s, g), table))
		return e4_corrupt(s, "group descriptor %u points out of the file system", group);
	return 0;
}

int e4_groups_load(struct e4_super *s)
{
	s->groups = rt_zalloc(s->group_count * sizeof(*s->groups));
	if (!s->groups)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->group_count; i++) {
		struct e4_group *g = &s->groups[i];
		uint64_t block = table_block(s, i / s->desc_per_block);
		int err;

		if (i % s->desc_per_block) {
			g->table = e4_buf_get(g[-1].table);
		} else {
			if (!range_within(block, 1, s->blocks))
				return e4_corrupt(s, "no place for group descriptor %u", i);
			err = e4_buf_read(&s->cache, block, &g->table);
			if (err)
				return err;
		}
		rt_mutex_init(&g->lock, LX_LOCK_EXT4_GROUP);
		g->number = i;
		g->desc = (struct e4_disk_group *)(g->table->data +
						   i % s->desc_per_block * s->desc_size);
		err = check(s, i);
		if (err)
			return err;
	}
	return 0;
}

void e4_groups_free(struct e4_super *s)
{
	for (uint32_t i = 0; s->groups && i < s->group_count; i++) {
		e4_buf_put(s->groups[i].table);
		rt_free(s->groups[i].freed);
	}
	rt_free(s->groups);
	s->groups = NULL;
}
