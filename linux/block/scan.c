/* SPDX-License-Identifier: MIT */
/*
 * The partitions of a disk: from its table, or as a program says (BLKPG).  All with the
 * disk's lock.
 */
#include "base/bitmap.h"
#include "base/format.h"
#include "block/disk.h"
#include "vfs/vfs_priv.h"

bool lx_block_force_gpt;

/* -- one */

static int make_visible(struct lx_blkdev *b)
{
	int err = lx_blkdev_sysfs_add(b);

	if (!err)
		err = lx_devtmpfs_create(b->name, S_IFBLK | 0600, b->dev);
	/* a node that a program made is the program's */
	return err == -EEXIST ? 0 : err;
}

static void make_invisible(struct lx_blkdev *b)
{
	(void)lx_devtmpfs_remove(b->name, b->dev);
	lx_blkdev_sysfs_remove(b);
}

static int add(struct lx_disk *d, const struct lx_table_entry *e, bool exclusive)
{
	/* changes under this lock alone */
	struct lx_blkdev *b = d->part[e->number];
	int err;

	if (!b)
		b = lx_blkdev_alloc(d, e->number);
	if (!b)
		return -ENOMEM;
	if (!lx_blkdev_is_live(b)) {
		strlcpy(b->uuid, e->uuid, sizeof(b->uuid));
		strlcpy(b->volume, e->name, sizeof(b->volume));
		atomic_store(&b->read_only, false);
		lx_io_stats_init(&b->stats);
	}
	err = lx_blkdev_publish(b, e->start, e->sectors, exclusive);
	if (err && !d->part[e->number]) {
		lx_inode_put(b->inode);
		rt_free(b);
	}
	if (err)
		return err;
	err = make_visible(b);
	if (err && !lx_blkdev_retract(b))
		make_invisible(b);
	return err;
}

int lx_partition_add(struct lx_disk *d, uint32_t number, uint64_t start, uint64_t sectors)
{
	struct lx_table_entry e = { .number = number, .start = start, .sectors = sectors };
	uint64_t size = atomic_load(&d->part[0]->sectors);

	if (!number || number >= LX_DISK_PARTS || !sectors || !range_within(start, sectors, size))
		return -EINVAL;
	return add(d, &e, true);
}

static struct lx_blkdev *partition(struct lx_disk *d, uint32_t number)
{
	return number && number < LX_DISK_PARTS ? d->part[number] : NULL;
}

int lx_partition_remove(struct lx_disk *d, uint32_t number)
{
	struct lx_blkdev *b = partition(d, number);
	int err = b ? lx_blkdev_retract(b) : -ENXIO;

	if (!err)
		make_invisible(b);
	return err;
}

int lx_partition_resize(struct lx_disk *d, uint32_t number, uint64_t start, uint64_t sectors)
{
	struct lx_blkdev *b = partition(d, number);

	if (!b || !lx_blkdev_is_live(b))
		return -ENXIO;
	if (start != atomic_load(&b->start) || !sectors ||
	    !range_within(start, sectors, atomic_load(&d->part[0]->sectors)))
		return -EINVAL;
	return lx_blkdev_resize(b, sectors);
}

/* -- all */

int lx_partitions_drop(struct lx_disk *d, bool open_too)
{
	DECLARE_BITMAP(were, LX_DISK_PARTS);
	int err = lx_blkdevs_retract_all(d, open_too, were);

	for (size_t i = 0; !err && (i = bitmap_next_set(were, LX_DISK_PARTS, i)) < LX_DISK_PARTS; i++)
		make_invisible(d->part[i]);
	return err;
}

/*
 * The table of a GPT is read block by block, and fits in one request: what follows a block
 * is read with it, except behind the first, which is all there is on most disks.
 */
#define AHEAD (16u * 1024)

struct reader {
	struct lx_disk *disk;
	uint64_t at;			/* bytes of the disk that are in data: from here */
	size_t length;
	uint8_t data[AHEAD];
};

static int read_block(void *arg, uint64_t lba, void *buf)
{
	struct reader *r = arg;
	uint32_t block = r->disk->limits.logical_block;
	uint64_t off = lba * block, size = lx_blkdev_size(r->disk->part[0]);
	int err;

	if (!range_within(off, block, size))
		return -EIO;
	if (off < r->at || !range_within(off - r->at, block, r->length)) {
		size_t n = lba ? (size_t)MIN((uint64_t)AHEAD, ALIGN_DOWN(size - off, (uint64_t)block))
			       : block;

		r->length = 0;
		err = lx_blkdev_read_direct(r->disk->part[0], off, r->data, n);
		if (err && n > block) {
			n = block;	/* the others may be bad */
			err = lx_blkdev_read_direct(r->disk->part[0], off, r->data, n);
		}
		if (err)
			return err;
		r->at = off;
		r->length = n;
	}
	memcpy(buf, r->data + (off - r->at), block);
	return 0;
}

static void log_table(const struct lx_disk *d, const struct lx_table *t)
{
	char line[200];
	size_t n;

	if (t->damaged)
		rt_log(RT_LOG_WARNING, "%s: the partition table (GPT) or its second copy is damaged; "
		       "GNU Parted can mend it", d->name);
	if (!t->kind)
		return;
	n = (size_t)scnprintf(line, sizeof(line), " %s:", d->name);
	for (unsigned int i = 0; i < t->count; i++)
		n += (size_t)scnprintf(line + n, sizeof(line) - n, " %s",
				       d->part[t->entries[i].number]->name);
	rt_log(RT_LOG_INFO, "%s", line);
}

struct scan {				/* too large for a stack */
	struct reader reader;
	struct lx_table table;
	struct lx_table_entry entries[LX_TABLE_NUMBER_MAX];
};

static int read_table(struct lx_disk *d, struct scan *scan)
{
	struct lx_table_source s = { .read = read_block, .arg = &scan->reader,
				     .sectors = atomic_load(&d->part[0]->sectors),
				     .block_size = d->limits.logical_block,
				     .force_gpt = lx_block_force_gpt };
	int err;

	scan->reader.disk = d;
	scan->table.entries = scan->entries;
	err = lx_table_read(&s, &scan->table);
	for (unsigned int i = 0; !err && i < scan->table.count; i++)
		err = add(d, &scan->entries[i], false);
	return err;
}

int lx_disk_scan(struct lx_disk *d)
{
	struct scan *scan;
	int err = lx_partitions_drop(d, false);

	if (err)
		return err;
	scan = rt_zalloc(sizeof(*scan));
	if (!scan)
		return -ENOMEM;
	err = read_table(d, scan);
	if (err)
		rt_log(RT_LOG_ERR, "%s: reading the partition table failed: error %d", d->name, err);
	else
		log_table(d, &scan->table);
	rt_free(scan);
	return err;
}

void lx_disk_set_size(struct lx_disk *d, uint64_t sectors)
{
	(void)lx_blkdev_resize(d->part[0], sectors);
}
