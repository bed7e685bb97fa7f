/* SPDX-License-Identifier: MIT */
/*
 * Block devices of the personality, as the rest of it uses them: disks of drivers behind
 * links, their partitions, loop devices.  disk.h says what lies below.
 */
#pragma once

#include "lx/vfs.h"

struct blk;
struct lx_iter;
struct lx_blkdev;
struct pseudo_buf;

/* A disk's link was opened (linux/init): makes it and its partitions appear in /dev.  0, -ENOMEM, -EEXIST. */
int lx_blkdev_add(struct blk *blk);
/*
 * The block link of that index is used no more: its disk, if there is one yet, is deleted (lx_disk_delete()), and
 * one that comes later is at once.  Sleeps, for as long as a sync takes.
 */
void lx_blkdev_remove(uint32_t index);
/* At start: /dev/loop-control. */
int lx_block_init(void);
/* The medium behind the @index-th link is another one: forget its pages and look at the size again. */
void lx_blkdev_changed(unsigned int index);
lx_dev_t lx_blkdev_by_name(const char *name);	/* "vda1"; 0: none */
lx_dev_t lx_blkdev_by_uuid(const char *uuid);	/* a partition's, as its table has it (PARTUUID) */
bool lx_blkdev_name(lx_dev_t dev, char *buf, size_t size);	/* "/dev/vda1" */
void lx_blkdev_log_all(void);
/* Trust the second header of a GPT whose first one is broken: "gpt" on the command line. */
extern bool lx_block_force_gpt;

/* -- for file systems */
/* The device that @source ("/dev/vda") names, open; lx_blkdev_put() closes it.  -ENOENT..., -ENOTBLK, -ENXIO. */
int lx_blkdev_open(const char *source, struct lx_blkdev **out);
void lx_blkdev_put(struct lx_blkdev *b);
lx_dev_t lx_blkdev_number(const struct lx_blkdev *b);
uint64_t lx_blkdev_size(const struct lx_blkdev *b);	/* bytes */
/* Straight from the device: offset and length multiples of its blocks.  0 or -EIO. */
int lx_blkdev_read_direct(struct lx_blkdev *b, uint64_t off, void *buf, size_t n);
/*
 * Straight to the device, which may keep it in a cache of its own until a flush:
 * offset and length multiples of the device's blocks.  What the page caches of the
 * disk and its partitions have of it is dropped.  0, -EIO, -EROFS.
 */
int lx_blkdev_write_direct(struct lx_blkdev *b, uint64_t off, const void *buf, size_t n);
/*
 * The same between the device and an iterator, which has @n bytes left at least and moves on by @n; after an
 * error it is where it was.  Reads: within the device.  -EFAULT: program memory was not accessible at once,
 * or cannot be reached by this disk: it can be done with memory of ours (lx_direct_io()).
 */
int lx_blkdev_read_iter(struct lx_blkdev *b, uint64_t off, struct lx_iter *to, size_t n);
int lx_blkdev_write_iter(struct lx_blkdev *b, uint64_t off, struct lx_iter *from, size_t n);
/* Nobody needs what is there any more: multiples of the device's blocks.  0, -EIO, -EROFS, -EOPNOTSUPP. */
int lx_blkdev_discard(struct lx_blkdev *b, uint64_t off, uint64_t n);
uint32_t lx_blkdev_discard_granularity(const struct lx_blkdev *b);	/* bytes; 0: it cannot */
/* What was written before is durable.  0 or -EIO. */
int lx_blkdev_flush(struct lx_blkdev *b);
bool lx_blkdev_is_read_only(const struct lx_blkdev *b);
/* The smallest unit of transfers, and what addresses of O_DIRECT have to be multiples of. */
uint32_t lx_blkdev_block_size(const struct lx_blkdev *b);
uint32_t lx_blkdev_dma_alignment(const struct lx_blkdev *b);
uint32_t lx_blkdev_read_ahead(const struct lx_blkdev *b);	/* bytes: as administrators set it (read_ahead_kb) */
/*
 * One file system at a time works on a device, or on each partition of one: -EBUSY.  Each
 * claim needs a release.
 */
int lx_blkdev_claim(struct lx_blkdev *b);
void lx_blkdev_release(struct lx_blkdev *b);
/* Through the device's page cache: any offset and length. */
int lx_blkdev_read(struct lx_blkdev *b, uint64_t off, void *buf, size_t n);

/* /proc/partitions, /proc/diskstats, and the block devices of /proc/devices. */
void lx_blkdev_show_partitions(struct pseudo_buf *out);
void lx_blkdev_show_stats(struct pseudo_buf *out);
void lx_blkdev_show_majors(struct pseudo_buf *out);
