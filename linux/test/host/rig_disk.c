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
	char *writable;			/* the same, or NULL */
	size_t size;
	uint32_t index;
};

static struct blk disks[4];
static rig_disk_hook hook;

static void set_disk(unsigned int index, const void *data, void *writable, size_t n)
{
	bool known = disks[index].data;

	disks[index] = (struct blk){ data, writable, n, index };
	if (!known && lx_blkdev_add(&disks[index]))
		abort();
	if (known)
		lx_blkdev_changed(index);
}

void rig_disk(unsigned int index, const void *data, size_t n)
{
	set_disk(index, data, NULL, n);
}

void rig_disk_rw(unsigned int index, void *data, size_t n)
{
	set_disk(index, data, data, n);
}

void rig_disk_watch(rig_disk_hook fn)
{
	hook = fn;
}

uint64_t blk_sectors(const struct blk *b)
{
	return b->size / BLK_SECTOR;
}

uint32_t blk_block_size(const struct blk *b)
{
	return BLK_SECTOR;
}

void blk_limits(const struct blk *b, struct blk_limits *l)
{
	*l = (struct blk_limits){ .logical_block = BLK_SECTOR, .physical_block = BLK_SECTOR,
				  .io_min = BLK_SECTOR, .depth = 1, .volatile_cache = true };
}

bool blk_is_read_only(const struct blk *b)
{
	return !b->writable;
}

const char *blk_name(const struct blk *b)
{
	return "disk";
}

uint32_t blk_index(const struct blk *b)
{
	return b->index;
}

void blk_close(struct blk *b)
{
	*b = (struct blk){ .index = b->index };
}

static k_status_t write_disk(struct blk *b, uint64_t off, size_t n, blk_copy_fn *copy, void *arg)
{
	k_status_t st = K_OK;
	uint8_t *buf;

	if (!b->writable)
		return K_ERR_ACCESS;
	buf = malloc(n);
	if (!buf)
		abort();
	if (!copy(arg, buf, n))
		st = K_ERR_BAD_ADDRESS;
	else if (hook && !hook(b->index, off, buf, n))
		st = K_ERR_IO;
	else
		memcpy(b->writable + off, buf, n);
	free(buf);
	return st;
}

k_status_t blk_transfer(struct blk *b, enum blk_op op, uint64_t sector, size_t n, blk_copy_fn *copy,
			void *arg)
{
	uint64_t off = sector * BLK_SECTOR;

	if (off + n > b->size || n % BLK_SECTOR)
		return K_ERR_BEYOND_END;
	if (op == BLK_WRITE)
		return write_disk(b, off, n, copy, arg);
	return copy(arg, (void *)(uintptr_t)(b->data + off), n) ? K_OK : K_ERR_BAD_ADDRESS;
}

k_status_t blk_discard(struct blk *b, uint64_t sector, uint64_t sectors)
{
	return K_ERR_NOT_SUPPORTED;
}

k_status_t blk_serial(struct blk *b, char id[21])
{
	return K_ERR_NOT_SUPPORTED;
}

k_status_t blk_flush(struct blk *b)
{
	return hook && !hook(b->index, 0, NULL, 0) ? K_ERR_IO : K_OK;
}
