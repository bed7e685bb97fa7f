/* SPDX-License-Identifier: MIT */
/*
 * Block links that are bytes in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "link/blk.h"
#include "test/host/rig.h"

struct blk {
	const char *data;
	size_t size;
	uint32_t index;
};

static struct blk disks[4];

void rig_disk(unsigned int index, const void *data, size_t n)
{
	bool known = disks[index].data;

	disks[index] = (struct blk){ data, n, index };
	if (!known && lx_blkdev_add(&disks[index]))
		abort();
	if (known)
		lx_blkdev_changed(index);
}

uint64_t blk_sectors(const struct blk *b)
{
	return b->size / BLK_SECTOR;
}

uint32_t blk_block_size(const struct blk *b)
{
	return BLK_SECTOR;
}

bool blk_is_read_only(const struct blk *b)
{
	return true;
}

const char *blk_name(const struct blk *b)
{
	return "disk";
}

uint32_t blk_index(const struct blk *b)
{
	return b->index;
}

k_status_t blk_read(struct blk *b, uint64_t sector, void *buf, size_t n)
{
	if (sector * BLK_SECTOR + n > b->size || n % BLK_SECTOR)
		return K_ERR_BEYOND_END;
	memcpy(buf, b->data + sector * BLK_SECTOR, n);
	return K_OK;
}

k_status_t blk_write(struct blk *b, uint64_t sector, const void *buf, size_t n)
{
	return K_ERR_ACCESS;
}

k_status_t blk_flush(struct blk *b)
{
	return K_OK;
}
