/* SPDX-License-Identifier: MIT */
/*
 * Disks and their partitions, within linux/block.
 *
 * A disk (Linux: gendisk) is what a driver offers: a name, a size, limits, and operations
 * on ranges of bytes.  Block devices (lx_blkdev) are what programs and file systems open:
 * the whole disk (number 0) and its partitions, each with a node in /dev, a folder in
 * /sys, a page cache and counters of its own.
 *
 *	programs		file systems
 *	node.c ioctl.c direct.c	block.h
 *	       \		/
 *	      lx_blkdev		(blkdev.c: bounds, counting, page cache)
 *		   |
 *	       lx_disk		(disk.c: all of them; scan.c: the partitions of one)
 *	      /		\
 *	link_disk.c	loop.c
 *
 * Disks and block devices are never freed: a partition that goes leaves its lx_blkdev in
 * its disk's table, not alive, for the next one of that number; a loop device that is
 * removed waits for the next LOOP_CTL_ADD, and of a disk that was unplugged some KiB stay.  So a pointer is always good, and what is open
 * (lx_blkdev.openers) says how long the device behind it stays what it is.
 */
#pragma once

#include "block/block.h"
#include "block/stats.h"
#include "block/table.h"
#include "lx/lock_rank.h"
#include "rt/lock.h"

#define LX_DISK_PARTS	256u		/* with number 0, the disk itself */
#define LX_DISK_NAME	32u
#define LX_BLKEXT_MAJOR	259u

struct lx_disk;
struct lx_file;
struct pseudo_buf;

/*
 * What a driver does.  Ranges are whole logical blocks within the disk.  All sleep,
 * uninterruptible; 0 or a negative errno.  NULL: the disk cannot (discard, zero, serial),
 * need not (flush, idle), or has no such call (ioctl).
 *
 * Bytes are read to and written from iterators, which have at least as many left.  -EFAULT: not from or to
 * there, as program memory is not accessible just now, or the disk's operations are done by another
 * thread; it can be done with memory of ours.  How far the iterator is after a failure is not said.
 */
struct lx_disk_ops {
	int (*read)(struct lx_disk *d, uint64_t off, struct lx_iter *to, size_t n);
	int (*write)(struct lx_disk *d, uint64_t off, struct lx_iter *from, size_t n);
	int (*flush)(struct lx_disk *d);
	int (*discard)(struct lx_disk *d, uint64_t off, uint64_t n);
	int (*zero)(struct lx_disk *d, uint64_t off, uint64_t n);
	int (*serial)(struct lx_disk *d, char id[21]);
	/* Nobody has the disk or a partition of it open any more.  Without locks. */
	void (*idle)(struct lx_disk *d);
	/*
	 * It was deleted: fail what is asked from now on with -EIO, wait for the end of what was, and give back
	 * what is behind it.  NULL: the disk cannot be deleted.
	 */
	void (*release)(struct lx_disk *d);
	/* -ENOTTY: not one of the driver's. */
	long (*ioctl)(struct lx_disk *d, struct lx_file *f, unsigned int cmd, uint64_t arg);
};

struct lx_disk_limits {
	uint32_t logical_block, physical_block, io_min, io_opt;
	uint32_t alignment;		/* where the first physical block begins */
	uint32_t dma_alignment;		/* mask for addresses of O_DIRECT */
	uint32_t discard_granularity;
	uint64_t discard_max;		/* bytes at once; 0: no discard */
	uint32_t max_request;		/* bytes at once */
	uint32_t max_segments, depth;	/* for /sys */
	bool volatile_cache;		/* flushes mean something */
	bool rotational;
	bool geometry;			/* HDIO_GETGEO answers */
};

struct lx_disk {
	/* Constant after lx_disk_add(); of loop devices, limits change while nobody else has it open. */
	const struct lx_disk_ops *ops;
	void *private;
	char name[LX_DISK_NAME];	/* "vda" */
	char sysfs[64];			/* "devices/virtio-blk.0/block/vda" */
	const char *parent;		/* of the folder: "virtio-blk.0"; NULL: the device is virtual */
	uint32_t major, first_minor;
	uint32_t minors;		/* partitions from there on get numbers of major 259 */
	struct lx_disk_limits limits;

	/* What the disk is made of: partitions, and a loop device's file.  Rank LX_LOCK_DISK. */
	struct rt_mutex lock;
	bool no_scan;			/* lock: no partitions are looked for (loop without partscan) */

	/* disk.c's lock. */
	struct list link;
	bool live;			/* in the system: lx_disk_add() to lx_disk_remove() */
	struct lx_blkdev *part[LX_DISK_PARTS];	/* [0] is set for good; others once they were there */
	uint32_t open_parts;		/* openers of partitions */
	uint32_t claimed_parts;		/* partitions that have a holder */

	_Atomic(bool) write_protected;	/* by the device, with its partitions */
	_Atomic(uint32_t) read_ahead;	/* bytes */
	_Atomic(uint64_t) sequence;	/* which medium it is (diskseq) */
};

struct lx_blkdev {
	/* Constant. */
	struct lx_disk *disk;
	uint32_t number;		/* of the partition; 0: the whole disk */
	char name[LX_DISK_NAME + 4];
	struct lx_inode *inode;		/* the page cache */
	struct lx_attr_ref *attrs;	/* sysfs.c */

	/* Change while nobody has it open, but for sizes: disk.c's lock; read without. */
	_Atomic(uint64_t) start, sectors;	/* of 512 bytes, on the disk */
	lx_dev_t dev;
	char uuid[37], volume[37];	/* of the table, or "" */

	_Atomic(bool) read_only;	/* BLKROSET, of this one alone */
	_Atomic(uint32_t) block_size;	/* BLKBSZSET: for programs, means nothing here */

	/* disk.c's lock. */
	bool live;
	uint32_t openers;
	bool claimed;			/* by a file system, or an open with O_EXCL */

	struct lx_io_stats stats;
};

/* -- disk.c: which disks there are */

/* A disk to fill in and add; NULL: no memory. */
struct lx_disk *lx_disk_alloc(const char *name, const struct lx_disk_ops *ops, void *private);
/* Of one that was never added, or whose adding ended with -EEXIST. */
void lx_disk_free(struct lx_disk *d);
/*
 * Make it appear: node, /sys, partitions.  @sectors of 512 bytes.  -EEXIST: the name is taken,
 * nobody has seen the disk.  -ENOMEM: it may have been seen, so it must not be freed; it
 * can be added again.  Sleeps; no lock above LX_LOCK_DISK held.
 */
int lx_disk_add(struct lx_disk *d, uint64_t sectors);
/* Take it out of the system, unless somebody has it open: -EBUSY. */
int lx_disk_remove(struct lx_disk *d);
/*
 * What is behind it goes, or has gone (Linux: del_gendisk).  File systems on it are synced, which fails if
 * it has gone; then the disk and its partitions are not in the system any more, and its driver's release() has
 * been called.  Who has them open keeps them, and gets -EIO.  Sleeps; no lock above LX_LOCK_DISK held.
 */
void lx_disk_delete(struct lx_disk *d);
/* The live device of that number, as opened; NULL: there is none.  lx_blkdev_put() closes. */
struct lx_blkdev *lx_blkdev_get(lx_dev_t dev);
/* One more opener of what is open. */
void lx_blkdev_get_again(struct lx_blkdev *b);
uint32_t lx_disk_openers(struct lx_disk *d);	/* of the disk and its partitions */
/*
 * Each live device in order, disks before their partitions, for lists: those that come and go
 * meanwhile may be missed.  NULL at the end; begins with NULL.
 */
struct lx_blkdev *lx_blkdev_next(struct lx_blkdev *after);
bool lx_blkdev_is_live(struct lx_blkdev *b);
static inline bool lx_blkdev_is_partition(const struct lx_blkdev *b) { return b->number; }

/* -- scan.c: partitions; the disk's lock is held */

/* Look for partitions anew.  -EBUSY if one is open; the reader's error. */
int lx_disk_scan(struct lx_disk *d);
/* As BLKPG does: -EINVAL (not within the disk), -EBUSY (there, or overlaps another), -ENOMEM. */
int lx_partition_add(struct lx_disk *d, uint32_t number, uint64_t start, uint64_t sectors);
int lx_partition_remove(struct lx_disk *d, uint32_t number);	/* -ENXIO, -EBUSY */
/* -ENXIO, -EINVAL (another start, not within the disk), -EBUSY (overlaps). */
int lx_partition_resize(struct lx_disk *d, uint32_t number, uint64_t start, uint64_t sectors);
/* All of them, or -EBUSY: one is open, and it is not said that this does not matter. */
int lx_partitions_drop(struct lx_disk *d, bool open_too);
/* What is behind it is something else: BLKGETDISKSEQ. */
void lx_disk_new_medium(struct lx_disk *d);
/* The disk has another size: caches too. */
void lx_disk_set_size(struct lx_disk *d, uint64_t sectors);

/* -- disk.c, for scan.c */
struct lx_blkdev *lx_blkdev_alloc(struct lx_disk *d, uint32_t number);
/* Alive from here on: -EBUSY if it overlaps another (@exclusive) or is there already. */
int lx_blkdev_publish(struct lx_blkdev *b, uint64_t start, uint64_t sectors, bool exclusive);
/* Not alive from here on: -EBUSY if open, -ENXIO if it was not there. */
int lx_blkdev_retract(struct lx_blkdev *b);
/* The partitions; bitmap of which.  -EBUSY: one is open, and not @open_too. */
int lx_blkdevs_retract_all(struct lx_disk *d, bool open_too, uint64_t *numbers);
int lx_blkdev_resize(struct lx_blkdev *b, uint64_t sectors);	/* -EBUSY: overlaps */

/* -- blkdev.c: transfers, see block.h */
/* Zeros, by the disk's own means or written. */
int lx_blkdev_zero(struct lx_blkdev *b, uint64_t off, uint64_t n);
/* The page cache forgets everything; pages that are mapped stay what they are. */
void lx_blkdev_forget(struct lx_blkdev *b);
/* For writers that hold no lock of the page cache or behind it: nobody fills it meanwhile. */
int lx_blkdev_write_sync(struct lx_blkdev *b, uint64_t off, const void *buf, size_t n);

/* For writers without such locks, too, to whom it is enough that the cache has no old bytes afterwards. */
int lx_blkdev_write_past_cache(struct lx_blkdev *b, uint64_t off, struct lx_iter *from, size_t n);

/* -- node.c, ioctl.c, direct.c */
long lx_blkdev_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg);
int64_t lx_blkdev_direct(struct lx_file *f, struct lx_iter *it, lx_off_t *pos, bool write);

/* -- sysfs.c: folder and links of a device; -ENOMEM */
int lx_blkdev_sysfs_add(struct lx_blkdev *b);
void lx_blkdev_sysfs_remove(struct lx_blkdev *b);
/* "devices/virtual/block/loop0/loop0p1" */
void lx_blkdev_sysfs_path(const struct lx_blkdev *b, char *buf, size_t size);
