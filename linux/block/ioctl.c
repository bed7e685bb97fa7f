/* SPDX-License-Identifier: MIT */
/*
 * ioctls of block devices (linux/fs.h, linux/blkpg.h, linux/hdreg.h).
 */
#include <linux/blkpg.h>
#include <linux/blkzoned.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/hdreg.h>

#include "block/disk.h"
#include "lx/mm.h"
#include "vfs/vfs_priv.h"

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

#define SECTOR		512u
#define HEADS		16u		/* of the geometry that nothing has */
#define TRACK		63u

static bool may_administrate(void)
{
	return lx_capable(lx_self(), CAP_SYS_ADMIN);
}

static long put(uint64_t arg, const void *v, size_t n)
{
	return lx_copy_to_user(uaddr(arg), v, n);
}

static long put_int(uint64_t arg, uint32_t v)
{
	return put(arg, &v, sizeof(v));
}

static long put_long(uint64_t arg, uint64_t v)
{
	return put(arg, &v, sizeof(v));
}

static long put_short(uint64_t arg, uint32_t v)
{
	uint16_t s = (uint16_t)MIN(v, (uint32_t)UINT16_MAX);

	return put(arg, &s, sizeof(s));
}

/* -- what it is */

/* Of questions about the device; -ENOTTY: it is none. */
static long get_limits(struct lx_blkdev *b, unsigned int cmd, uint64_t arg)
{
	const struct lx_disk_limits *l = &b->disk->limits;

	switch (cmd) {
	case BLKSSZGET:
		return put_int(arg, l->logical_block);
	case BLKPBSZGET:
		return put_int(arg, l->physical_block);
	case BLKIOMIN:
		return put_int(arg, l->io_min);
	case BLKIOOPT:
		return put_int(arg, l->io_opt);
	case BLKALIGNOFF:
		return put_int(arg, l->alignment);
	case BLKDISCARDZEROES:
		return put_int(arg, 0);
	case BLKSECTGET:
		return put_short(arg, l->max_request / SECTOR);
	case BLKROTATIONAL:
		return put_short(arg, l->rotational);
	case BLKGETZONESZ:
	case BLKGETNRZONES:
		return put_int(arg, 0);
	default:
		return -ENOTTY;
	}
}

static long get_geometry(struct lx_blkdev *b, uint64_t arg)
{
	uint64_t cylinders = atomic_load(&b->disk->part[0]->sectors) / (HEADS * TRACK);
	struct hd_geometry g = { .heads = HEADS, .sectors = TRACK,
				 .cylinders = (unsigned short)CLAMP(cylinders, 2ull, 16383ull),
				 .start = (unsigned long)atomic_load(&b->start) };

	if (!arg)
		return -EINVAL;
	return b->disk->limits.geometry ? put(arg, &g, sizeof(g)) : -ENOTTY;
}

static long get_state(struct lx_blkdev *b, unsigned int cmd, uint64_t arg)
{
	switch (cmd) {
	case BLKGETSIZE64:
		return put_long(arg, lx_blkdev_size(b));
	case BLKGETSIZE:
		return put_long(arg, lx_blkdev_size(b) / SECTOR);
	case BLKROGET:
		return put_int(arg, lx_blkdev_is_read_only(b));
	case BLKBSZGET:
		return put_int(arg, atomic_load(&b->block_size));
	case BLKRAGET:
	case BLKFRAGET:
		return put_long(arg, atomic_load(&b->disk->read_ahead) / SECTOR);
	case BLKGETDISKSEQ:
		return put_long(arg, atomic_load(&b->disk->sequence));
	case HDIO_GETGEO:
		return get_geometry(b, arg);
	default:
		return get_limits(b, cmd, arg);
	}
}

/* -- what it is to be */

static long set_read_only(struct lx_blkdev *b, uint64_t arg)
{
	int on;

	if (!may_administrate())
		return -EACCES;
	if (lx_copy_from_user(&on, uaddr(arg), sizeof(on)))
		return -EFAULT;
	atomic_store(&b->read_only, on != 0);
	return 0;
}

static long set_block_size(struct lx_blkdev *b, uint64_t arg)
{
	int v;

	if (!may_administrate())
		return -EACCES;
	if (!arg)
		return -EINVAL;
	if (lx_copy_from_user(&v, uaddr(arg), sizeof(v)))
		return -EFAULT;
	if (v < (int)lx_blkdev_block_size(b) || v > (int)K_PAGE_SIZE || !IS_POWER_OF_2(v))
		return -EINVAL;
	atomic_store(&b->block_size, (uint32_t)v);
	return 0;
}

static long set_read_ahead(struct lx_blkdev *b, uint64_t arg)
{
	if (!may_administrate())
		return -EACCES;
	if (arg > UINT32_MAX / SECTOR)
		return -EINVAL;
	atomic_store(&b->disk->read_ahead, (uint32_t)arg * SECTOR);
	return 0;
}

/* Nothing is dirty: what is clean goes. */
static long flush_buffers(struct lx_blkdev *b)
{
	if (!may_administrate())
		return -EACCES;
	lx_blkdev_forget(b);
	return lx_blkdev_flush(b);
}

static long clear_range(struct lx_file *f, struct lx_blkdev *b, unsigned int cmd, uint64_t arg)
{
	uint32_t block = lx_blkdev_block_size(b);
	uint64_t range[2];
	long err;

	if (!(f->mode & LX_FMODE_WRITE))
		return -EBADF;
	if (cmd == BLKSECDISCARD || (cmd == BLKDISCARD && !b->disk->limits.discard_max))
		return -EOPNOTSUPP;
	if (lx_copy_from_user(range, uaddr(arg), sizeof(range)))
		return -EFAULT;
	if (range[0] % block || range[1] % block || !range[1] ||
	    !range_within(range[0], range[1], lx_blkdev_size(b)))
		return -EINVAL;
	rt_mutex_lock(&b->inode->lock);
	err = cmd == BLKDISCARD ? lx_blkdev_discard(b, range[0], range[1])
				: lx_blkdev_zero(b, range[0], range[1]);
	rt_mutex_unlock(&b->inode->lock);
	return err == -EROFS ? -EPERM : err;
}

/* -- partitions */

/* While it is scanned nobody holds the disk or a part of it, but who asks. */
static long rescan(struct lx_file *f, struct lx_blkdev *b)
{
	struct lx_disk *d = b->disk;
	bool claim = !(f->mode & LX_FMODE_EXCL);
	long err = 0;

	if (!may_administrate())
		return -EACCES;
	if (b->number || d->no_scan)
		return -EINVAL;
	if (claim)
		err = lx_blkdev_claim(b);
	if (err)
		return err;
	rt_mutex_lock(&d->lock);
	err = lx_disk_scan(d);
	rt_mutex_unlock(&d->lock);
	if (claim)
		lx_blkdev_release(b);
	return err;
}

static long change_partition(struct lx_disk *d, int op, const struct blkpg_partition *p)
{
	uint64_t start = (uint64_t)p->start / SECTOR, sectors = (uint64_t)p->length / SECTOR;
	uint32_t block = d->limits.logical_block;

	if (op == BLKPG_DEL_PARTITION)
		return lx_partition_remove(d, (uint32_t)p->pno);
	if (p->start < 0 || p->length <= 0 || p->start > INT64_MAX - p->length ||
	    p->start % block || p->length % block)
		return -EINVAL;
	if (op == BLKPG_ADD_PARTITION)
		return lx_partition_add(d, (uint32_t)p->pno, start, sectors);
	return lx_partition_resize(d, (uint32_t)p->pno, start, sectors);
}

static long partition_call(struct lx_blkdev *b, uint64_t arg)
{
	struct blkpg_ioctl_arg a;
	struct blkpg_partition p;
	long err;

	if (lx_copy_from_user(&a, uaddr(arg), sizeof(a)))
		return -EFAULT;
	if (!may_administrate())
		return -EACCES;
	if (lx_copy_from_user(&p, uaddr((uint64_t)(uintptr_t)a.data), sizeof(p)))
		return -EFAULT;
	if (b->number || p.pno <= 0 ||
	    (a.op != BLKPG_ADD_PARTITION && a.op != BLKPG_DEL_PARTITION &&
	     a.op != BLKPG_RESIZE_PARTITION))
		return -EINVAL;
	rt_mutex_lock(&b->disk->lock);
	err = change_partition(b->disk, a.op, &p);
	rt_mutex_unlock(&b->disk->lock);
	return err;
}

long lx_blkdev_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct lx_blkdev *b = f->private;

	switch (cmd) {
	case BLKROSET:
		return set_read_only(b, arg);
	case BLKBSZSET:
		return set_block_size(b, arg);
	case BLKRASET:
	case BLKFRASET:
		return set_read_ahead(b, arg);
	case BLKFLSBUF:
		return flush_buffers(b);
	case BLKDISCARD:
	case BLKSECDISCARD:
	case BLKZEROOUT:
		return clear_range(f, b, cmd, arg);
	case BLKRRPART:
		return rescan(f, b);
	case BLKPG:
		return partition_call(b, arg);
	default: {
		long ret = b->disk->ops->ioctl ? b->disk->ops->ioctl(b->disk, f, cmd, arg) : -ENOTTY;

		return ret == -ENOTTY ? get_state(b, cmd, arg) : ret;
	}
	}
}
