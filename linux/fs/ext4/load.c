/* SPDX-License-Identifier: MIT */
/*
 * The super block: is it an ext4 file system, is it one that we know, and does it
 * make sense?  What passes here can be computed with elsewhere without doubt.
 */
#include "block/block.h"
#include "fs/ext4/load.h"

static int no(struct e4_super *s, bool silent, const char *what)
{
	if (!silent)
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): %s", s->name, what);
	return -EINVAL;
}

static uint32_t super_csum(const struct e4_disk_super *d)
{
	return crc32c(~0u, d, offsetof(struct e4_disk_super, checksum));
}

void e4_super_set_csum(struct e4_super *s)
{
	if (s->csum)
		put_le32(s->super->checksum, super_csum(s->super));
}

static uint64_t wide(const struct e4_super *s, const uint8_t *lo, const uint8_t *hi)
{
	uint64_t v = get_le32(lo);

	return e4_has_incompat(s, E4_INCOMPAT_64BIT) ? v | (uint64_t)get_le32(hi) << 32 : v;
}

static int decode_features(struct e4_super *s, const struct e4_disk_super *d, bool silent)
{
	uint32_t unknown;

	s->compat = get_le32(d->feature_compat);
	s->incompat = get_le32(d->feature_incompat);
	s->ro_compat = get_le32(d->feature_ro_compat);
	unknown = s->incompat & ~E4_INCOMPAT_KNOWN;
	if (unknown) {
		if (!silent)
			rt_log(RT_LOG_ERR, "EXT4-fs (%s): couldn't mount because of unsupported "
			       "optional features (%x)", s->name, unknown);
		return -EINVAL;
	}
	s->csum = e4_has_ro(s, E4_RO_METADATA_CSUM);
	if (!s->csum)
		return 0;
	if (d->checksum_type != 1)
		return no(s, silent, "unknown kind of checksum");
	if (get_le32(d->checksum) != super_csum(d)) {
		no(s, silent, "checksum of the super block is wrong");
		return -EBADMSG;
	}
	s->csum_seed = e4_has_incompat(s, E4_INCOMPAT_CSUM_SEED)
			       ? get_le32(d->checksum_seed)
			       : crc32c(~0u, d->uuid, sizeof(d->uuid));
	return 0;
}

static int decode_sizes(struct e4_super *s, const struct e4_disk_super *d, bool silent)
{
	uint32_t log = get_le32(d->log_block_size);
	uint64_t groups, device = lx_blkdev_size(s->dev);

	if (log > 2)
		return no(s, silent, "blocks are larger than pages");
	if (get_le32(d->log_cluster_size) != log)
		return no(s, silent, "clusters are not blocks");
	s->block_bits = 10 + log;
	s->block_size = 1u << s->block_bits;
	s->first_data_block = get_le32(d->first_data_block);
	if (s->first_data_block != (log ? 0 : 1))
		return no(s, silent, "wrong first data block");
	s->blocks = wide(s, d->blocks_count_lo, d->blocks_count_hi);
	s->reserved_blocks = wide(s, d->r_blocks_count_lo, d->r_blocks_count_hi);
	if (s->blocks > device >> s->block_bits) {
		if (!silent)
			rt_log(RT_LOG_ERR, "EXT4-fs (%s): bad geometry: block count %llu exceeds size "
			       "of device (%llu blocks)", s->name, (unsigned long long)s->blocks,
			       (unsigned long long)(device >> s->block_bits));
		return -EINVAL;
	}
	s->blocks_per_group = get_le32(d->blocks_per_group);
	s->inodes_per_group = get_le32(d->inodes_per_group);
	if (s->blocks_per_group < 256 || s->blocks_per_group > s->block_size * 8 ||
	    s->blocks_per_group % 8 || s->blocks <= s->first_data_block ||
	    s->reserved_blocks > s->blocks)
		return no(s, silent, "wrong number of blocks");
	if (get_le32(d->rev_level) == 0) {
		s->inode_size = E4_INODE_GOOD_OLD;
		s->first_ino = 11;
	} else {
		s->inode_size = get_le16(d->inode_size);
		s->first_ino = get_le32(d->first_ino);
	}
	if (s->inode_size < E4_INODE_GOOD_OLD || !IS_POWER_OF_2(s->inode_size) ||
	    s->inode_size > s->block_size || s->first_ino < 11)
		return no(s, silent, "wrong size of inodes");
	if (s->inodes_per_group < s->block_size / s->inode_size ||
	    s->inodes_per_group > s->block_size * 8 || s->inodes_per_group % 8)
		return no(s, silent, "wrong number of inodes");
	s->desc_size = E4_GROUP_SMALL;
	if (e4_has_incompat(s, E4_INCOMPAT_64BIT))
		s->desc_size = get_le16(d->desc_size);
	if (s->desc_size < E4_GROUP_SMALL || !IS_POWER_OF_2(s->desc_size) || s->desc_size > 1024 ||
	    (e4_has_incompat(s, E4_INCOMPAT_64BIT) && s->desc_size < sizeof(struct e4_disk_group)))
		return no(s, silent, "wrong size of group descriptors");
	s->desc_per_block = s->block_size / s->desc_size;
	groups = DIV_ROUND_UP(s->blocks - s->first_data_block, s->blocks_per_group);
	if (groups * s->inodes_per_group > UINT32_MAX ||
	    groups * s->inodes_per_group != get_le32(d->inodes_count))
		return no(s, silent, "wrong number of groups");
	s->group_count = (uint32_t)groups;
	s->inodes = get_le32(d->inodes_count);
	return 0;
}

static void decode_rest(struct e4_super *s, const struct e4_disk_super *d)
{
	for (int i = 0; i < 4; i++)
		s->hash_seed[i] = get_le32(d->hash_seed[i]);
	s->hash_unsigned = get_le32(d->flags) & E4_FLAGS_UNSIGNED_HASH;
	s->def_hash = d->def_hash_version;
	s->want_extra_isize = s->inode_size > E4_INODE_GOOD_OLD ? E4_EXTRA_NOW : 0;
	s->sb->block_size = s->block_size;
	s->sb->max_bytes = (lx_off_t)((uint64_t)UINT32_MAX << s->block_bits);
	s->sb->time_gran_ns = s->inode_size > E4_INODE_GOOD_OLD ? 1 : 1000000000;
}

/* Blocks that are the file system's own, for statfs. */
static uint64_t count_overhead(struct e4_super *s)
{
	uint32_t table = (uint32_t)DIV_ROUND_UP((uint64_t)s->inodes_per_group * s->inode_size,
						s->block_size);
	uint32_t desc = DIV_ROUND_UP(s->group_count, s->desc_per_block) +
			get_le16(s->super->reserved_gdt_blocks);
	uint64_t n = s->first_data_block;

	if (get_le32(s->super->overhead_blocks))
		return get_le32(s->super->overhead_blocks);
	for (uint32_t i = 0; i < s->group_count; i++)
		n += table + 2 + (e4_group_has_super(s, i) ? 1 + desc : 0);
	return n;
}

int e4_super_load(struct e4_super *s, bool silent)
{
	struct e4_disk_super d;
	uint64_t block;
	int err;

	if (lx_blkdev_size(s->dev) < E4_SUPER_OFFSET + E4_SUPER_SIZE)
		return no(s, silent, "the device is too small");
	/* Not directly: it is less than a block of many disks. */
	err = lx_blkdev_read(s->dev, E4_SUPER_OFFSET, &d, sizeof(d));
	if (err)
		return err;
	if (get_le16(d.magic) != E4_MAGIC)
		return no(s, silent, "VFS: Can't find ext4 filesystem");
	err = decode_features(s, &d, silent);
	if (!err)
		err = decode_sizes(s, &d, silent);
	if (err)
		return err;
	decode_rest(s, &d);
	err = e4_cache_init(&s->cache, s->dev, s->block_size);
	if (err)
		return err;
	block = E4_SUPER_OFFSET >> s->block_bits;
	err = e4_buf_read(&s->cache, block, &s->super_buf);
	if (err)
		return err;
	s->super = (struct e4_disk_super *)(s->super_buf->data +
					    (E4_SUPER_OFFSET - (block << s->block_bits)));
	s->overhead = count_overhead(s);
	return e4_groups_load(s);
}

void e4_super_unload(struct e4_super *s)
{
	e4_groups_free(s);
	e4_buf_put(s->super_buf);
	s->super_buf = NULL;
	s->super = NULL;
	e4_cache_free(&s->cache);
}

int e4_super_write(struct e4_super *s)
{
	int err;

	e4_super_set_csum(s);
	err = lx_blkdev_write_direct(s->dev, s->super_buf->block << s->block_bits, s->super_buf->data,
				     s->block_size);
	return err ? err : lx_blkdev_flush(s->dev);
}
