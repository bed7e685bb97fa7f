/* SPDX-License-Identifier: MIT */
/*
 * From blocks of a file to blocks of the device, and reading through that.
 *
 * File data goes from the device straight into the file's pages; directories,
 * symlinks and trees go through the buffer cache.
 */
#include "block/block.h"
#include "fs/ext4/ext4.h"

int e4_map(struct lx_inode *inode, uint32_t lblock, uint32_t max, struct e4_map *map)
{
	struct e4_inode *e = e4_inode(inode);
	int err;

	rt_read_lock(&e->map_lock);
	if (e->flags & E4_FL_EXTENTS)
		err = e4_ext_map(inode, lblock, max, map);
	else
		err = e4_ind_map(inode, lblock, max, map);
	rt_read_unlock(&e->map_lock);
	return err;
}

int e4_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n)
{
	struct e4_super *s = e4_super_of(inode);
	uint64_t size = inode->size, end;
	char *p = buf;

	/* whole blocks: the rest of the last one is cleared below */
	end = MIN(off + n, ALIGN_UP(size, (uint64_t)s->block_size));
	while (off < end) {
		struct e4_map map;
		uint64_t len;
		int err = e4_map(inode, (uint32_t)(off >> s->block_bits),
				 (uint32_t)((end - off) >> s->block_bits), &map);

		if (err)
			return err == -EUCLEAN || err == -EBADMSG ? -EIO : err;
		len = (uint64_t)map.len << s->block_bits;
		if (!map.block || map.unwritten)
			memset(p, 0, len);
		else
			err = lx_blkdev_read_direct(s->dev, map.block << s->block_bits, p, len);
		if (err)
			return err;
		off += len;
		p += len;
	}
	memset(p, 0, n - (size_t)(p - (char *)buf));
	if (size < off)
		memset(p - MIN(off - size, (uint64_t)(p - (char *)buf)), 0,
		       MIN(off - size, (uint64_t)(p - (char *)buf)));
	return 0;
}

int e4_read_block(struct lx_inode *inode, uint32_t lblock, struct e4_buf **out)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_map map;
	int err = e4_map(inode, lblock, 1, &map);

	if (err)
		return err;
	if (!map.block || map.unwritten)
		return e4_corrupt(s, "inode %u has a hole at block %u", e4_inode(inode)->ino, lblock);
	return e4_read_vital(s, map.block, out);
}
