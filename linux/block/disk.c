/* SPDX-License-Identifier: MIT */
/*
 * Which disks and block devices there are, who has them open, and who holds them.
 *
 * One lock, of the lowest rank: nothing sleeps under it.  What makes a device appear or
 * go (nodes, /sys) is done outside, under the disk's own lock, after it was published here
 * and after it was retracted: a device that is open cannot be retracted, so that who
 * opens one knows what it opens.
 */
#include "base/bitmap.h"
#include "base/format.h"
#include "block/disk.h"
#include "vfs/vfs_priv.h"

#define EXT_MINORS	4096u
#define READ_AHEAD	(128u * 1024)

static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct list disks = LIST_INIT(disks);	/* lock: lx_disk.link, in the order of their numbers */
static DECLARE_BITMAP(ext_minors, EXT_MINORS);	/* lock: minors of major 259 in use */
static _Atomic(uint64_t) last_sequence;
static struct rt_mutex super_lock = RT_MUTEX_INIT(LX_LOCK_DISK);
static struct lx_super *bdevs;			/* of the inodes; super_lock */

static const struct lx_fs_type bdev_type = { .name = "bdev", .flags = LX_FS_NODEV };
extern const struct lx_inode_ops lx_bdev_iops;	/* blkdev.c */

static struct lx_super *bdev_super(void)
{
	struct lx_super *sb;

	rt_mutex_lock_nested(&super_lock);
	if (!bdevs)
		bdevs = lx_super_alloc(&bdev_type);
	sb = bdevs;
	rt_mutex_unlock(&super_lock);
	return sb;
}

struct lx_blkdev *lx_blkdev_alloc(struct lx_disk *d, uint32_t number)
{
	size_t n = strlen(d->name);
	struct lx_super *sb = bdev_super();
	struct lx_blkdev *b = sb ? rt_zalloc(sizeof(*b)) : NULL;

	if (!b)
		return NULL;
	b->inode = lx_inode_create(sb, S_IFBLK | 0600);
	if (!b->inode) {
		rt_free(b);
		return NULL;
	}
	b->disk = d;
	b->number = number;
	if (number)
		snprintf(b->name, sizeof(b->name), "%s%s%u", d->name,
			 d->name[n - 1] >= '0' && d->name[n - 1] <= '9' ? "p" : "", number);
	else
		strlcpy(b->name, d->name, sizeof(b->name));
	b->inode->ops = &lx_bdev_iops;
	b->inode->private = b;
	atomic_store(&b->block_size, K_PAGE_SIZE);
	lx_io_stats_init(&b->stats);
	return b;
}

struct lx_disk *lx_disk_alloc(const char *name, const struct lx_disk_ops *ops, void *private)
{
	struct lx_disk *d = rt_zalloc(sizeof(*d));

	if (!d)
		return NULL;
	d->ops = ops;
	d->private = private;
	strlcpy(d->name, name, sizeof(d->name));
	rt_mutex_init(&d->lock, LX_LOCK_DISK);
	list_init(&d->link);
	atomic_store(&d->read_ahead, READ_AHEAD);
	d->limits = (struct lx_disk_limits){ .logical_block = 512, .physical_block = 512, .io_min = 512,
					     .dma_alignment = 511, .max_request = 1280u * 1024,
					     .max_segments = 128, .depth = 128 };
	return d;
}

void lx_disk_free(struct lx_disk *d)
{
	if (d->part[0]) {
		lx_inode_put(d->part[0]->inode);
		rt_free(d->part[0]);
	}
	rt_free(d);
}

static bool name_is_taken(const char *name)
{
	struct lx_disk *d;

	list_for_each_entry(d, &disks, link)
		if (str_equal(d->name, name))
			return true;
	return false;
}

static void insert(struct lx_disk *d)
{
	struct lx_disk *other;
	struct list *at = &disks;

	list_for_each_entry(other, &disks, link) {
		if (other->major < d->major ||
		    (other->major == d->major && other->first_minor < d->first_minor))
			continue;
		at = &other->link;
		break;
	}
	list_add_last(at, &d->link);
}

void lx_disk_new_medium(struct lx_disk *d)
{
	atomic_store(&d->sequence, atomic_fetch_add(&last_sequence, 1) + 1);
}

/* Between publishing and its node and folder the disk can be found, which harms nobody. */
int lx_disk_add(struct lx_disk *d, uint64_t sectors)
{
	int err = 0;

	if (!d->part[0])
		d->part[0] = lx_blkdev_alloc(d, 0);
	if (!d->part[0])
		return -ENOMEM;
	rt_mutex_lock(&lock);
	if (name_is_taken(d->name)) {
		err = -EEXIST;
	} else {
		d->live = true;
		insert(d);
	}
	rt_mutex_unlock(&lock);
	if (err)
		return err;
	lx_disk_new_medium(d);
	/* Whoever finds it and deletes it waits until all of it is there. */
	rt_mutex_lock(&d->lock);
	err = lx_blkdev_publish(d->part[0], 0, sectors, false);
	if (!err)
		err = lx_blkdev_sysfs_add(d->part[0]);
	if (!err)
		err = lx_devtmpfs_create(d->name, S_IFBLK | 0600, d->part[0]->dev);
	if (!err && !d->no_scan && sectors)
		(void)lx_disk_scan(d);
	rt_mutex_unlock(&d->lock);
	if (err)
		(void)lx_disk_remove(d);
	return err;
}

static void retract(struct lx_blkdev *b)
{
	b->live = false;
	if (LX_MAJOR(b->dev) == LX_BLKEXT_MAJOR && b->number >= b->disk->minors)
		bitmap_clear(ext_minors, LX_MINOR(b->dev));
}

/* The disk; its partitions are its own. */
static int take_out(struct lx_disk *d, bool open_too)
{
	int err;

	rt_mutex_lock(&lock);
	err = !open_too && (d->part[0]->openers || d->open_parts) ? -EBUSY : 0;
	if (!err) {
		d->live = false;
		retract(d->part[0]);
		list_remove(&d->link);
		list_init(&d->link);
	}
	rt_mutex_unlock(&lock);
	if (err)
		return err;
	lx_blkdev_sysfs_remove(d->part[0]);
	(void)lx_devtmpfs_remove(d->name, d->part[0]->dev);
	return 0;
}

int lx_disk_remove(struct lx_disk *d)
{
	return take_out(d, false);
}

/* -- numbers and sizes: with the lock */

static int number_device(struct lx_blkdev *b)
{
	struct lx_disk *d = b->disk;
	size_t minor;

	if (b->number < d->minors) {
		b->dev = LX_MKDEV(d->major, d->first_minor + b->number);
		return 0;
	}
	minor = bitmap_next_clear(ext_minors, EXT_MINORS, 0);
	if (minor == EXT_MINORS)
		return -EBUSY;
	bitmap_set(ext_minors, minor);
	b->dev = LX_MKDEV(LX_BLKEXT_MAJOR, minor);
	return 0;
}

static bool overlaps(const struct lx_disk *d, const struct lx_blkdev *self, uint64_t start,
		     uint64_t sectors)
{
	for (unsigned int i = 1; i < LX_DISK_PARTS; i++) {
		const struct lx_blkdev *b = d->part[i];

		if (b && b != self && b->live && start < b->start + b->sectors &&
		    b->start < start + sectors)
			return true;
	}
	return false;
}

static void set_size(struct lx_blkdev *b, uint64_t start, uint64_t sectors)
{
	atomic_store(&b->start, start);
	atomic_store(&b->sectors, sectors);
}

int lx_blkdev_publish(struct lx_blkdev *b, uint64_t start, uint64_t sectors, bool exclusive)
{
	struct lx_disk *d = b->disk;
	int err;

	rt_mutex_lock(&lock);
	if (b->live || (exclusive && overlaps(d, b, start, sectors))) {
		err = -EBUSY;
	} else {
		err = number_device(b);
	}
	if (!err) {
		set_size(b, start, sectors);
		b->inode->rdev = b->dev;
		d->part[b->number] = b;
		b->live = true;
	}
	rt_mutex_unlock(&lock);
	if (!err)
		lx_blkdev_forget(b);
	return err;
}

int lx_blkdev_retract(struct lx_blkdev *b)
{
	int err = 0;

	rt_mutex_lock(&lock);
	if (!b->live)
		err = -ENXIO;
	else if (b->openers)
		err = -EBUSY;
	else
		retract(b);
	rt_mutex_unlock(&lock);
	return err;
}

int lx_blkdevs_retract_all(struct lx_disk *d, bool open_too, uint64_t *numbers)
{
	int err;

	memset(numbers, 0, BITMAP_WORDS(LX_DISK_PARTS) * sizeof(uint64_t));
	rt_mutex_lock(&lock);
	err = d->open_parts && !open_too ? -EBUSY : 0;
	for (unsigned int i = 1; i < LX_DISK_PARTS && !err; i++) {
		if (!d->part[i] || !d->part[i]->live)
			continue;
		retract(d->part[i]);
		bitmap_set(numbers, i);
	}
	rt_mutex_unlock(&lock);
	return err;
}

int lx_blkdev_resize(struct lx_blkdev *b, uint64_t sectors)
{
	int err = 0;

	rt_mutex_lock(&lock);
	if (b->number && overlaps(b->disk, b, b->start, sectors))
		err = -EBUSY;
	else
		set_size(b, b->start, sectors);
	rt_mutex_unlock(&lock);
	if (!err)
		lx_blkdev_forget(b);
	return err;
}

/* -- opening */

static struct lx_blkdev *find(lx_dev_t dev)
{
	struct lx_disk *d;

	list_for_each_entry(d, &disks, link) {
		if (LX_MAJOR(dev) == d->major && LX_MINOR(dev) - d->first_minor < d->minors) {
			struct lx_blkdev *b = d->part[LX_MINOR(dev) - d->first_minor];

			return b && b->live ? b : NULL;
		}
		for (unsigned int i = d->minors; LX_MAJOR(dev) == LX_BLKEXT_MAJOR && i < LX_DISK_PARTS;
		     i++)
			if (d->part[i] && d->part[i]->live && d->part[i]->dev == dev)
				return d->part[i];
	}
	return NULL;
}

static void count_opener(struct lx_blkdev *b)
{
	b->openers++;
	if (b->number)
		b->disk->open_parts++;
}

struct lx_blkdev *lx_blkdev_get(lx_dev_t dev)
{
	struct lx_blkdev *b;

	rt_mutex_lock(&lock);
	b = find(dev);
	if (b)
		count_opener(b);
	rt_mutex_unlock(&lock);
	return b;
}

void lx_blkdev_get_again(struct lx_blkdev *b)
{
	rt_mutex_lock(&lock);
	count_opener(b);
	rt_mutex_unlock(&lock);
}

void lx_blkdev_put(struct lx_blkdev *b)
{
	struct lx_disk *d = b->disk;
	bool idle;

	rt_mutex_lock(&lock);
	b->openers--;
	if (b->number)
		d->open_parts--;
	idle = !d->part[0]->openers && !d->open_parts;
	rt_mutex_unlock(&lock);
	if (idle && d->ops->idle)
		d->ops->idle(d);
}

/* -- deletion */

static bool has_device(struct lx_disk *d, lx_dev_t dev)
{
	struct lx_blkdev *b;

	rt_mutex_lock(&lock);
	b = find(dev);
	rt_mutex_unlock(&lock);
	return b && b->disk == d;
}

static void sync_if_on(struct lx_super *sb, void *disk)
{
	if (has_device(disk, sb->dev) && sb->ops && sb->ops->sync)
		(void)sb->ops->sync(sb);
}

void lx_disk_delete(struct lx_disk *d)
{
	bool was_live;

	lx_for_each_super(sync_if_on, d);
	rt_mutex_lock(&d->lock);
	was_live = lx_blkdev_is_live(d->part[0]);
	if (was_live) {
		(void)lx_partitions_drop(d, true);
		lx_disk_set_size(d, 0);
		(void)take_out(d, true);
	}
	rt_mutex_unlock(&d->lock);
	if (was_live)
		d->ops->release(d);
}

uint32_t lx_disk_openers(struct lx_disk *d)
{
	uint32_t n;

	rt_mutex_lock(&lock);
	n = d->part[0]->openers + d->open_parts;
	rt_mutex_unlock(&lock);
	return n;
}

/* A disk and its partitions have one holder, or each partition one of its own. */
int lx_blkdev_claim(struct lx_blkdev *b)
{
	struct lx_disk *d = b->disk;
	int err = 0;

	rt_mutex_lock(&lock);
	if (b->claimed || (b->number ? d->part[0]->claimed : d->claimed_parts > 0))
		err = -EBUSY;
	else
		b->claimed = true;
	if (!err && b->number)
		d->claimed_parts++;
	rt_mutex_unlock(&lock);
	return err;
}

void lx_blkdev_release(struct lx_blkdev *b)
{
	rt_mutex_lock(&lock);
	b->claimed = false;
	if (b->number)
		b->disk->claimed_parts--;
	rt_mutex_unlock(&lock);
}

struct lx_inode *lx_blkdev_pages(lx_dev_t dev)
{
	struct lx_blkdev *b;

	rt_mutex_lock(&lock);
	b = find(dev);
	rt_mutex_unlock(&lock);
	return b ? b->inode : NULL;
}

/* -- lists and names */

static struct lx_blkdev *first_live(struct lx_disk *d, unsigned int from)
{
	for (unsigned int i = from; i < LX_DISK_PARTS; i++)
		if (d->part[i] && d->part[i]->live)
			return d->part[i];
	return NULL;
}

struct lx_blkdev *lx_blkdev_next(struct lx_blkdev *after)
{
	struct lx_blkdev *found = NULL;
	struct lx_disk *d;

	rt_mutex_lock(&lock);
	if (after && after->disk->live)
		found = first_live(after->disk, after->number + 1);
	list_for_each_entry(d, &disks, link) {
		if (found)
			break;
		/* behind the one it was, whether that is there still or not */
		if (!after || d->major > after->disk->major ||
		    (d->major == after->disk->major && d->first_minor > after->disk->first_minor))
			found = first_live(d, 0);
	}
	rt_mutex_unlock(&lock);
	return found;
}

bool lx_blkdev_is_live(struct lx_blkdev *b)
{
	bool live;

	rt_mutex_lock(&lock);
	live = b->live;
	rt_mutex_unlock(&lock);
	return live;
}

lx_dev_t lx_blkdev_by_name(const char *name)
{
	struct lx_blkdev *b = NULL;

	while ((b = lx_blkdev_next(b)))
		if (str_equal(b->name, name))
			return b->dev;
	return 0;
}

lx_dev_t lx_blkdev_by_uuid(const char *uuid)
{
	struct lx_blkdev *b = NULL;

	while ((b = lx_blkdev_next(b)))
		if (b->number && *uuid && str_equal(b->uuid, uuid))
			return b->dev;
	return 0;
}

bool lx_blkdev_name(lx_dev_t dev, char *buf, size_t size)
{
	struct lx_blkdev *b;

	rt_mutex_lock(&lock);
	b = find(dev);
	rt_mutex_unlock(&lock);
	if (b)
		snprintf(buf, size, "/dev/%s", b->name);
	return b != NULL;
}

int lx_blkdev_open(const char *source, struct lx_blkdev **out)
{
	struct lx_path p;
	struct lx_inode *inode;
	lx_dev_t dev;
	int err;

	if (!source || !*source)
		return -EINVAL;
	/* at boot, before /dev is mounted, the name alone has to do */
	err = lx_path_at(lx_self(), AT_FDCWD, source, LX_LOOKUP_FOLLOW, &p);
	if (err) {
		dev = str_has_prefix(source, "/dev/") ? lx_blkdev_by_name(source + 5) : 0;
		if (!dev)
			return err;
	} else {
		inode = lx_d_inode(p.dentry);
		dev = inode->rdev;
		err = (inode->mode & S_IFMT) == S_IFBLK ? 0 : -ENOTBLK;
		lx_path_put(&p);
		if (err)
			return err;
	}
	*out = lx_blkdev_get(dev);
	return *out ? 0 : -ENXIO;
}
