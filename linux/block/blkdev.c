/* SPDX-License-Identifier: MIT */
/*
 * Block devices over links.
 *
 * A device has an inode of its own in an internal file system, whose page cache
 * is the device's: every node with its number (/dev/vda), in whatever file
 * system, opens onto that inode, and file systems read their metadata through
 * it.  Writes go through to the device and then into the cache.
 */
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/hdreg.h>

#include "abi/calls.h"
#include "base/format.h"
#include "base/parse.h"
#include "block/block.h"
#include "link/blk.h"
#include "lx/iter.h"
#include "lx/mm.h"
#include "vfs/vfs_priv.h"

#define VIRTBLK_MAJOR	254u
#define MINORS		16u		/* per disk: partitions, once there are some */
#define MAX_DEVICES	26u

struct lx_blkdev {
	struct blk *blk;
	struct lx_inode *inode;		/* the page cache; a reference for good */
	lx_dev_t dev;
	char name[8];
	_Atomic(bool) claimed;		/* by a file system that writes: lx_blkdev_claim() */
	_Atomic(uint64_t) reads, sectors_read, writes, sectors_written;
};

static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct lx_blkdev *devices[MAX_DEVICES];	/* set once each: lock; never freed */
static struct lx_super *bdevs;			/* lock */

static const struct lx_fs_type bdev_type = { .name = "bdev", .flags = LX_FS_NODEV };

static struct lx_blkdev *device(unsigned int i)
{
	struct lx_blkdev *b;

	if (i >= MAX_DEVICES)
		return NULL;
	rt_mutex_lock(&lock);
	b = devices[i];
	rt_mutex_unlock(&lock);
	return b;
}

static struct lx_blkdev *by_number(lx_dev_t dev)
{
	if (LX_MAJOR(dev) != VIRTBLK_MAJOR || LX_MINOR(dev) % MINORS)
		return NULL;
	return device(LX_MINOR(dev) / MINORS);
}

/* -- transfers */

int lx_blkdev_read_direct(struct lx_blkdev *b, uint64_t off, void *buf, size_t n)
{
	uint64_t size = lx_blkdev_size(b), in;

	if (!range_within(off, n, ALIGN_UP(size, (uint64_t)K_PAGE_SIZE)))
		return -EIO;
	/* the last page of a device may stick out */
	in = off < size ? MIN((uint64_t)n, size - off) : 0;
	memset((char *)buf + in, 0, n - in);
	if (in && blk_read(b->blk, off / BLK_SECTOR, buf, in) != K_OK)
		return -EIO;
	atomic_fetch_add(&b->reads, 1);
	atomic_fetch_add(&b->sectors_read, in / BLK_SECTOR);
	return 0;
}

/*
 * The page cache reads again what was written past it.  A reader of the raw device
 * that does so at the same moment may still get the old bytes.
 */
static void forget_pages(struct lx_blkdev *b, uint64_t off, size_t n)
{
	uint64_t first = ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE);

	if (atomic_load_explicit(&b->inode->has_pages, memory_order_acquire))
		(void)!k_memory_discard(b->inode->pages.handle, first,
					ALIGN_UP(off + n, (uint64_t)K_PAGE_SIZE) - first);
}

int lx_blkdev_write_direct(struct lx_blkdev *b, uint64_t off, const void *buf, size_t n)
{
	k_status_t st;

	if (blk_is_read_only(b->blk))
		return -EROFS;
	if (!range_within(off, n, lx_blkdev_size(b)))
		return -EIO;
	st = blk_write(b->blk, off / BLK_SECTOR, buf, n);
	forget_pages(b, off, n);
	atomic_fetch_add(&b->writes, 1);
	atomic_fetch_add(&b->sectors_written, n / BLK_SECTOR);
	return st == K_OK ? 0 : -EIO;
}

int lx_blkdev_flush(struct lx_blkdev *b)
{
	return blk_flush(b->blk) == K_OK ? 0 : -EIO;
}

bool lx_blkdev_is_read_only(const struct lx_blkdev *b)
{
	return blk_is_read_only(b->blk);
}

int lx_blkdev_claim(struct lx_blkdev *b)
{
	return atomic_exchange(&b->claimed, true) ? -EBUSY : 0;
}

void lx_blkdev_release(struct lx_blkdev *b)
{
	atomic_store(&b->claimed, false);
}

int lx_blkdev_read(struct lx_blkdev *b, uint64_t off, void *buf, size_t n)
{
	int64_t got = lx_pages_read_kernel(b->inode, buf, n, off);

	return got == (int64_t)n ? 0 : got < 0 ? (int)got : -EIO;
}

static int bdev_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n)
{
	return lx_blkdev_read_direct(inode->private, off, buf, n);
}

static const struct lx_inode_ops bdev_iops = { .readpages = bdev_readpages };

uint64_t lx_blkdev_size(const struct lx_blkdev *b)
{
	return blk_sectors(b->blk) * BLK_SECTOR;
}

lx_dev_t lx_blkdev_number(const struct lx_blkdev *b)
{
	return b->dev;
}

/* -- the node */

static int node_open(struct lx_inode *inode, struct lx_file *f)
{
	struct lx_blkdev *b = by_number(inode->rdev);

	if (!b)
		return -ENXIO;
	if ((f->mode & LX_FMODE_WRITE) && blk_is_read_only(b->blk))
		return -EROFS;
	f->private = b;
	return 0;
}

static int64_t node_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct lx_blkdev *b = f->private;
	struct lx_file shadow = { .inode = b->inode, .flags = O_NOATIME };
	int64_t n;

	/* the device's own inode has the pages, whatever node was opened */
	rt_mutex_init(&shadow.lock, LX_LOCK_FILE);
	n = lx_generic_read(&shadow, to, pos);
	return n;
}

/* Write-through, in pieces of whole sectors: edges are read first. */
static int64_t node_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct lx_blkdev *b = f->private;
	uint64_t size = lx_blkdev_size(b);
	char *buf = rt_alloc(64 * 1024);
	int64_t total = 0;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	while (from->count && !err) {
		uint64_t off = (uint64_t)*pos, start = ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE), len, end;
		size_t got;

		if (off >= size) {
			err = -ENOSPC;
			break;
		}
		len = MIN(from->count, 64 * 1024 - (off - start));
		len = MIN(len, size - off);
		end = MIN(ALIGN_UP(off + len, (uint64_t)K_PAGE_SIZE), size);
		rt_mutex_lock(&b->inode->lock);
		err = lx_blkdev_read(b, start, buf, end - start);
		got = err ? 0 : lx_iter_get(from, buf + (off - start), len);
		if (got) {
			if (blk_write(b->blk, start / BLK_SECTOR, buf, end - start) != K_OK)
				err = -EIO;
			else if (lx_pages_open(b->inode) == 0) {
				size_t done;

				rt_memory_write(&b->inode->pages, start, buf, end - start, &done);
			}
			atomic_fetch_add(&b->writes, 1);
			atomic_fetch_add(&b->sectors_written, (end - start) / BLK_SECTOR);
		}
		rt_mutex_unlock(&b->inode->lock);
		if (err)
			break;
		*pos += (lx_off_t)got;
		total += (int64_t)got;
		if (got < len)
			err = lx_iter_fault_in(from, false);
	}
	rt_free(buf);
	return total ? total : err;
}

static lx_off_t node_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	lx_off_t size = (lx_off_t)lx_blkdev_size(f->private);

	if (whence == 1)
		off += atomic_load(&f->pos);
	else if (whence == 2)
		off += size;
	else if (whence != 0)
		return -EINVAL;
	if (off < 0 || off > size)
		return -EINVAL;
	atomic_store(&f->pos, off);
	return off;
}

static int node_mmap(struct lx_file *f, struct lx_mmap *m)
{
	struct lx_blkdev *b = f->private;
	int err = lx_pages_open(b->inode);

	if (err)
		return err;
	/* changes would not reach the device */
	if ((m->flags & 1) && (m->prot & K_PROT_WRITE))
		return -EACCES;
	if (m->flags & 1)
		m->max_prot &= ~K_PROT_WRITE;
	m->memory = b->inode->pages.handle;
	return 0;
}

static int node_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync)
{
	struct lx_blkdev *b = f->private;

	return blk_flush(b->blk) == K_OK ? 0 : -EIO;
}

static long node_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct lx_blkdev *b = f->private;
	uint64_t size = lx_blkdev_size(b);
	int v;

	switch (cmd) {
	case BLKGETSIZE64:
		return lx_copy_to_user(uaddr(arg), &size, sizeof(size));
	case BLKGETSIZE: {
		unsigned long sectors = size / BLK_SECTOR;

		return lx_copy_to_user(uaddr(arg), &sectors, sizeof(sectors));
	}
	case BLKSSZGET:
	case BLKPBSZGET:
		v = (int)blk_block_size(b->blk);
		break;
	case BLKBSZGET:
		v = (int)K_PAGE_SIZE;
		break;
	case BLKROGET:
		v = blk_is_read_only(b->blk);
		break;
	case BLKRAGET:
	case BLKFRAGET: {
		long ra = 256;

		return lx_copy_to_user(uaddr(arg), &ra, sizeof(ra));
	}
	case BLKFLSBUF:
	case BLKRRPART:
		return 0;
	case HDIO_GETGEO: {
		struct hd_geometry g = { .heads = 16, .sectors = 63,
					 .cylinders = (unsigned short)(size / BLK_SECTOR / (16 * 63)) };

		return lx_copy_to_user(uaddr(arg), &g, sizeof(g));
	}
	default:
		return -ENOTTY;
	}
	return lx_copy_to_user(uaddr(arg), &v, sizeof(v));
}

static const struct lx_file_ops node_fops = {
	.open = node_open,
	.read = node_read,
	.write = node_write,
	.llseek = node_llseek,
	.mmap = node_mmap,
	.fsync = node_fsync,
	.ioctl = node_ioctl,
};

const struct lx_file_ops *lx_blkdev_fops(void)
{
	return &node_fops;
}

struct lx_inode *lx_blkdev_pages(lx_dev_t dev)
{
	struct lx_blkdev *b = by_number(dev);

	return b ? b->inode : NULL;
}

/* -- registration and lookup */

/*
 * Disks are lettered by the instance of their driver ("virtio-blk.0"), which init
 * numbers in the order of the bus; they open in any order.
 */
static unsigned int instance(const struct blk *blk)
{
	const char *dot = strrchr(blk_name(blk), '.');
	uint64_t n;

	return dot && parse_u64_all(dot + 1, &n) && n < MAX_DEVICES ? (unsigned int)n
								     : blk_index(blk);
}

int lx_blkdev_add(struct blk *blk)
{
	unsigned int i = instance(blk);
	struct lx_blkdev *b;
	struct lx_super *sb;

	while (i < MAX_DEVICES && device(i))
		i++;			/* two drivers with an instance of that number */
	if (i >= MAX_DEVICES)
		return -ENOSPC;
	b = rt_zalloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	rt_mutex_lock(&lock);
	sb = bdevs;
	rt_mutex_unlock(&lock);
	if (!sb) {
		sb = lx_super_alloc(&bdev_type);
		rt_mutex_lock(&lock);
		bdevs = sb;
		rt_mutex_unlock(&lock);
	}
	b->inode = sb ? lx_inode_create(sb, S_IFBLK | 0600) : NULL;
	if (!b->inode) {
		rt_free(b);
		return -ENOMEM;
	}
	b->blk = blk;
	b->dev = LX_MKDEV(VIRTBLK_MAJOR, i * MINORS);
	snprintf(b->name, sizeof(b->name), "vd%c", 'a' + (int)i);
	b->inode->ops = &bdev_iops;
	b->inode->private = b;
	b->inode->rdev = b->dev;
	atomic_store(&b->inode->size, lx_blkdev_size(b));
	rt_mutex_lock(&lock);
	devices[i] = b;
	rt_mutex_unlock(&lock);
	rt_log(RT_LOG_INFO, "%s: %llu 512-byte logical blocks (%llu MiB)%s", b->name,
	       (unsigned long long)blk_sectors(blk),
	       (unsigned long long)(lx_blkdev_size(b) >> 20), blk_is_read_only(blk) ? ", read only" : "");
	return lx_devtmpfs_create(b->name, S_IFBLK | 0660, b->dev);
}

void lx_blkdev_changed(unsigned int index)
{
	struct lx_blkdev *b = device(index);

	if (!b)
		return;
	rt_mutex_lock(&b->inode->lock);
	lx_pages_close(b->inode);
	atomic_store(&b->inode->size, lx_blkdev_size(b));
	rt_mutex_unlock(&b->inode->lock);
}

lx_dev_t lx_blkdev_by_name(const char *name)
{
	for (unsigned int i = 0; i < MAX_DEVICES; i++) {
		struct lx_blkdev *b = device(i);

		if (b && str_equal(b->name, name))
			return b->dev;
	}
	return 0;
}

bool lx_blkdev_name(lx_dev_t dev, char *buf, size_t size)
{
	struct lx_blkdev *b = by_number(dev);

	if (b)
		snprintf(buf, size, "/dev/%s", b->name);
	return b != NULL;
}

void lx_blkdev_log_all(void)
{
	for (unsigned int i = 0; i < MAX_DEVICES; i++) {
		struct lx_blkdev *b = device(i);

		if (b)
			rt_log(RT_LOG_ERR, "%02x%02x %10llu %s", LX_MAJOR(b->dev), LX_MINOR(b->dev),
			       (unsigned long long)(lx_blkdev_size(b) / 1024), b->name);
	}
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
	*out = by_number(dev);
	return *out ? 0 : -ENXIO;
}

void lx_blkdev_put(struct lx_blkdev *b)
{
	/* devices stay */
}

size_t lx_blkdev_show_partitions(char *buf, size_t size)
{
	size_t n = (size_t)scnprintf(buf, size, "major minor  #blocks  name\n\n");

	for (unsigned int i = 0; i < MAX_DEVICES; i++) {
		struct lx_blkdev *b = device(i);

		if (b)
			n += (size_t)scnprintf(buf + n, size - n, "%4u  %7u %10llu %s\n",
					       LX_MAJOR(b->dev), LX_MINOR(b->dev),
					       (unsigned long long)(lx_blkdev_size(b) / 1024), b->name);
	}
	return n;
}

size_t lx_blkdev_show_stats(char *buf, size_t size)
{
	size_t n = 0;

	for (unsigned int i = 0; i < MAX_DEVICES; i++) {
		struct lx_blkdev *b = device(i);

		if (b)
			n += (size_t)scnprintf(buf + n, size - n,
				"%4u %7u %s %llu 0 %llu 0 %llu 0 %llu 0 0 0 0 0 0 0 0 0 0\n",
				LX_MAJOR(b->dev), LX_MINOR(b->dev), b->name,
				(unsigned long long)atomic_load(&b->reads),
				(unsigned long long)atomic_load(&b->sectors_read),
				(unsigned long long)atomic_load(&b->writes),
				(unsigned long long)atomic_load(&b->sectors_written));
	}
	return n;
}
