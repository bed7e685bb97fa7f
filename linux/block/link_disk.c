/* SPDX-License-Identifier: MIT */
/*
 * Disks of drivers behind links.  The driver's component says what kind of disk it is, and so
 * what its name and number are: programs, and fstab, know /dev/vda, /dev/nvme0n1, /dev/sda.
 */
#include "base/bitmap.h"
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

/* What lx_disk.private is. */
struct link_disk {
	uint32_t index;			/* of the link; constant */
	struct blk *blk;		/* for users */
	/*
	 * Who sets is_gone and then finds no users knows that there are none any more: both are sequentially
	 * consistent, and users count themselves before they look.
	 */
	_Atomic(uint32_t) users;	/* calls under way; whoever takes the last one away wakes */
	_Atomic(bool) is_gone;
};

/*
 * Links that are used no more, by index: the disk of one may still be on its way in.  Of indices beyond it is
 * forgotten.  The mutex is a leaf.
 */
#define REMOVED_MAX 1024u
static struct rt_mutex removed_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static DECLARE_BITMAP(removed, REMOVED_MAX);

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

/* The link, until unuse(); NULL: there is none any more. */
static struct blk *use(struct lx_disk *d)
{
	struct link_disk *l = d->private;

	atomic_fetch_add(&l->users, 1);
	if (likely(!atomic_load(&l->is_gone)))
		return l->blk;
	if (atomic_fetch_sub(&l->users, 1) == 1)
		rt_wake(&l->users, UINT32_MAX);
	return NULL;
}

static int unuse(struct lx_disk *d, k_status_t st)
{
	struct link_disk *l = d->private;

	if (atomic_fetch_sub(&l->users, 1) == 1 && unlikely(atomic_load(&l->is_gone)))
		rt_wake(&l->users, UINT32_MAX);
	return errno_of(st);
}

static int disk_read(struct lx_disk *d, uint64_t off, struct lx_iter *to, size_t n)
{
	struct blk *blk = use(d);

	return blk ? unuse(d, blk_transfer(blk, BLK_READ, off / BLK_SECTOR, n, put, to)) : -EIO;
}

static int disk_write(struct lx_disk *d, uint64_t off, struct lx_iter *from, size_t n)
{
	struct blk *blk = use(d);

	return blk ? unuse(d, blk_transfer(blk, BLK_WRITE, off / BLK_SECTOR, n, get, from)) : -EIO;
}

static int disk_flush(struct lx_disk *d)
{
	struct blk *blk = use(d);

	return blk ? unuse(d, blk_flush(blk)) : -EIO;
}

static int disk_discard(struct lx_disk *d, uint64_t off, uint64_t n)
{
	struct blk *blk = use(d);

	return blk ? unuse(d, blk_discard(blk, off / BLK_SECTOR, n / BLK_SECTOR)) : -EIO;
}

static int disk_serial(struct lx_disk *d, char id[21])
{
	struct blk *blk = use(d);

	return blk ? unuse(d, blk_serial(blk, id)) : -EIO;
}

/* Requests of a link always end: with an answer of the disk, or as init closes the link. */
static void disk_release(struct lx_disk *d)
{
	struct link_disk *l = d->private;
	uint32_t users;

	atomic_store(&l->is_gone, true);
	while ((users = atomic_load(&l->users)))
		(void)rt_wait(&l->users, users, K_DEADLINE_NEVER, false);
	d->parent = NULL;		/* its name was the link's */
	blk_close(l->blk);
	l->blk = NULL;
}

static const struct lx_disk_ops ops = {
	.read = disk_read, .write = disk_write, .flush = disk_flush, .discard = disk_discard,
	.serial = disk_serial, .release = disk_release,
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

/* One of that name and number; -EEXIST: there is one. */
static int add_disk(struct blk *blk, const struct kind *k, unsigned int n)
{
	struct link_disk *l = rt_zalloc(sizeof(*l));
	char name[LX_DISK_NAME];
	struct lx_disk *d;
	int err;

	name_disk(k, n, name);
	d = l ? lx_disk_alloc(name, &ops, l) : NULL;
	if (!d) {
		rt_free(l);
		return -ENOMEM;
	}
	l->blk = blk;
	l->index = blk_index(blk);
	d->major = k->major;
	d->first_minor = k->minors ? n * k->minors : n;	/* orders them, too */
	d->minors = k->minors;
	d->parent = blk_name(blk);
	snprintf(d->sysfs, sizeof(d->sysfs), "devices/%s/block/%s", blk_name(blk), name);
	set_limits(d, blk);
	d->limits.rotational = k->rotational;
	atomic_store(&d->write_protected, blk_is_read_only(blk));
	err = lx_disk_add(d, blk_sectors(blk));
	if (err == -EEXIST) {
		lx_disk_free(d);
		rt_free(l);
	}
	return err;
}

/* The disk that is in the system for that link, or NULL. */
static struct lx_disk *find_disk(uint32_t index)
{
	struct lx_blkdev *b = NULL;

	while ((b = lx_blkdev_next(b))) {
		const struct link_disk *l = b->disk->private;

		if (!b->number && b->disk->ops == &ops && l->index == index)
			return b->disk;
	}
	return NULL;
}

static void delete_disk(uint32_t index)
{
	struct lx_disk *d = find_disk(index);

	if (!d)
		return;
	rt_log(RT_LOG_NOTICE, "%s: the disk is removed", d->name);
	lx_disk_delete(d);
}

static bool is_removed(uint32_t index)
{
	bool is;

	rt_mutex_lock(&removed_lock);
	is = index < REMOVED_MAX && bitmap_test(removed, index);
	rt_mutex_unlock(&removed_lock);
	return is;
}

int lx_blkdev_add(struct blk *blk)
{
	const struct kind *k = kind_of(blk);
	uint32_t index = blk_index(blk);
	int err = -EEXIST;

	/* two drivers can have an instance of that number */
	for (unsigned int n = instance(blk); err == -EEXIST && n < NUMBERS_MAX; n++)
		err = add_disk(blk, k, n);
	if (!err && is_removed(index))
		delete_disk(index);
	return err;
}

void lx_blkdev_remove(uint32_t index)
{
	rt_mutex_lock(&removed_lock);
	if (index < REMOVED_MAX)
		bitmap_set(removed, index);
	rt_mutex_unlock(&removed_lock);
	delete_disk(index);
}

void lx_blkdev_changed(unsigned int index)
{
	struct lx_disk *d = find_disk(index);
	struct blk *blk = d ? use(d) : NULL;

	if (!blk)
		return;
	atomic_store(&d->write_protected, blk_is_read_only(blk));
	rt_mutex_lock(&d->lock);
	if (lx_blkdev_is_live(d->part[0]))
		lx_disk_set_size(d, blk_sectors(blk));
	rt_mutex_unlock(&d->lock);
	(void)unuse(d, K_OK);
}
