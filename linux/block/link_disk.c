/* SPDX-License-Identifier: MIT */
/*
 * Disks of drivers behind links.  The driver's component says what kind of disk it is, and so
 * what its name and number are: programs, and fstab, know /dev/vda, /dev/nvme0n1, /dev/sda.
 */
#include "base/format.h"
#include "base/parse.h"
#include "block/disk.h"
#include "link/blk.h"
#include "lx/iter.h"

struct kind {
	const char *component;		/* what its name begins with: "virtio-blk.0" */
	const char *prefix, *suffix;	/* of the disk: "vd" and a letter, "nvme", a number and "n1" */
	uint32_t major, minors;		/* minors 0: all numbers are of major 259 */
	bool numbered;			/* else lettered */
	bool rotational;		/* what Linux's driver says when the device says nothing */
};

static const struct kind kinds[] = {
	{ .component = "nvme", .prefix = "nvme", .suffix = "n1", .major = LX_BLKEXT_MAJOR,
	  .numbered = true },
	{ .component = "ahci", .prefix = "sd", .suffix = "", .major = 8, .minors = 16,
	  .rotational = true },
	/* the others, too */
	{ .component = "", .prefix = "vd", .suffix = "", .major = 254, .minors = 16,
	  .rotational = true },
};

#define NUMBERS_MAX 702u		/* "zz" */

static int errno_of(k_status_t st)
{
	switch (st) {
	case K_OK:
		return 0;
	case K_ERR_NOT_SUPPORTED:
		return -EOPNOTSUPP;
	case K_ERR_NO_MEMORY:
		return -ENOMEM;
	case K_ERR_BAD_ADDRESS:
		return -EFAULT;
	default:
		return -EIO;
	}
}

/* Copies between iterators and link memory do not sleep. */
static bool put(void *to, void *data, size_t n)
{
	return lx_iter_put(to, data, n) == n;
}

static bool get(void *from, void *data, size_t n)
{
	return lx_iter_get(from, data, n) == n;
}

static int disk_read(struct lx_disk *d, uint64_t off, struct lx_iter *to, size_t n)
{
	return errno_of(blk_transfer(d->private, BLK_READ, off / BLK_SECTOR, n, put, to));
}

static int disk_write(struct lx_disk *d, uint64_t off, struct lx_iter *from, size_t n)
{
	return errno_of(blk_transfer(d->private, BLK_WRITE, off / BLK_SECTOR, n, get, from));
}

static int disk_flush(struct lx_disk *d)
{
	return errno_of(blk_flush(d->private));
}

static int disk_discard(struct lx_disk *d, uint64_t off, uint64_t n)
{
	return errno_of(blk_discard(d->private, off / BLK_SECTOR, n / BLK_SECTOR));
}

static int disk_serial(struct lx_disk *d, char id[21])
{
	return errno_of(blk_serial(d->private, id));
}

static const struct lx_disk_ops ops = {
	.read = disk_read, .write = disk_write, .flush = disk_flush, .discard = disk_discard,
	.serial = disk_serial,
};

/* -- names */

static const struct kind *kind_of(const struct blk *blk)
{
	const struct kind *k = kinds;

	while (!str_has_prefix(blk_name(blk), k->component))
		k++;
	return k;
}

/* a, b... z, aa, ab...: @n is below NUMBERS_MAX. */
static void letters(unsigned int n, char out[3])
{
	if (n >= 26)
		*out++ = (char)('a' + n / 26 - 1);
	*out++ = (char)('a' + n % 26);
	*out = '\0';
}

static void name_disk(const struct kind *k, unsigned int n, char name[LX_DISK_NAME])
{
	char text[8];

	if (k->numbered)
		snprintf(text, sizeof(text), "%u", n);
	else
		letters(n, text);
	snprintf(name, LX_DISK_NAME, "%s%s%s", k->prefix, text, k->suffix);
}

/*
 * Disks are counted by the instance of their driver ("virtio-blk.0"), which init
 * numbers in the order of the bus; they open in any order.
 */
static unsigned int instance(const struct blk *blk)
{
	const char *dot = strrchr(blk_name(blk), '.');
	uint64_t n;

	return dot && parse_u64_all(dot + 1, &n) && n < NUMBERS_MAX ? (unsigned int)n
								     : blk_index(blk);
}

static void set_limits(struct lx_disk *d, const struct blk *blk)
{
	struct blk_limits l;

	blk_limits(blk, &l);
	d->limits.logical_block = l.logical_block;
	d->limits.physical_block = l.physical_block;
	d->limits.io_min = l.io_min;
	d->limits.io_opt = l.io_opt;
	d->limits.alignment = l.alignment;
	d->limits.discard_granularity = l.discard_max ? l.discard_granularity : 0;
	d->limits.discard_max = l.discard_max;
	d->limits.volatile_cache = l.volatile_cache;
	d->limits.max_request = BLK_REQUEST_MAX;
	d->limits.depth = l.depth;
	d->limits.dma_alignment = 511;
	d->limits.geometry = true;
}

int lx_blkdev_add(struct blk *blk)
{
	const struct kind *k = kind_of(blk);
	unsigned int n = instance(blk);
	char name[LX_DISK_NAME];
	struct lx_disk *d;
	int err = -EEXIST;

	for (; err == -EEXIST && n < NUMBERS_MAX; n++) {
		name_disk(k, n, name);
		d = lx_disk_alloc(name, &ops, blk);
		if (!d)
			return -ENOMEM;
		d->major = k->major;
		d->first_minor = k->minors ? n * k->minors : n;	/* orders them, too */
		d->minors = k->minors;
		d->parent = blk_name(blk);
		snprintf(d->sysfs, sizeof(d->sysfs), "devices/%s/block/%s", blk_name(blk), name);
		set_limits(d, blk);
		d->limits.rotational = k->rotational;
		atomic_store(&d->write_protected, blk_is_read_only(blk));
		err = lx_disk_add(d, blk_sectors(blk));
		/* two drivers with an instance of that number */
		if (err == -EEXIST)
			lx_disk_free(d);
	}
	return err;
}

void lx_blkdev_changed(unsigned int index)
{
	struct lx_blkdev *b = NULL;

	while ((b = lx_blkdev_next(b))) {
		struct lx_disk *d = b->disk;

		if (b->number || d->ops != &ops || blk_index(d->private) != index)
			continue;
		atomic_store(&d->write_protected, blk_is_read_only(d->private));
		rt_mutex_lock(&d->lock);
		lx_disk_set_size(d, blk_sectors(d->private));
		rt_mutex_unlock(&d->lock);
	}
}
