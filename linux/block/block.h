/* SPDX-License-Identifier: MIT */
/*
 * Block devices of the personality: links of class block, named vda, vdb... in
 * the order of the links.
 */
#pragma once

#include "lx/vfs.h"

struct blk;
struct lx_blkdev;

/* A link has come (linux/init): opens it in the background, makes /dev/vdX when it answers. */
int lx_blkdev_add(struct blk *blk);
/* The medium is another one: forget its pages and look at the size again. */
void lx_blkdev_changed(unsigned int index);
lx_dev_t lx_blkdev_by_name(const char *name);	/* "vda"; 0: none */
bool lx_blkdev_name(lx_dev_t dev, char *buf, size_t size);	/* "/dev/vda" */
void lx_blkdev_log_all(void);

/* -- for file systems */
/* The device that @source ("/dev/vda") names: a reference that lx_blkdev_put() drops. */
int lx_blkdev_open(const char *source, struct lx_blkdev **out);
void lx_blkdev_put(struct lx_blkdev *b);
lx_dev_t lx_blkdev_number(const struct lx_blkdev *b);
uint64_t lx_blkdev_size(const struct lx_blkdev *b);	/* bytes */
/* Straight from the device: offset and length multiples of 512.  0 or -EIO. */
int lx_blkdev_read_direct(struct lx_blkdev *b, uint64_t off, void *buf, size_t n);
/*
 * Straight to the device, which may keep it in a cache of its own until a flush:
 * offset and length multiples of the device's blocks.  What its page cache has of it
 * is dropped.  0, -EIO, -EROFS.
 */
int lx_blkdev_write_direct(struct lx_blkdev *b, uint64_t off, const void *buf, size_t n);
/* What was written before is durable.  0 or -EIO. */
int lx_blkdev_flush(struct lx_blkdev *b);
bool lx_blkdev_is_read_only(const struct lx_blkdev *b);
/* One file system at a time works on a device: -EBUSY.  Each claim needs a release. */
int lx_blkdev_claim(struct lx_blkdev *b);
void lx_blkdev_release(struct lx_blkdev *b);
/* Through the device's page cache: any offset and length. */
int lx_blkdev_read(struct lx_blkdev *b, uint64_t off, void *buf, size_t n);
/* /proc/partitions, /proc/diskstats. */
size_t lx_blkdev_show_partitions(char *buf, size_t size);
size_t lx_blkdev_show_stats(char *buf, size_t size);
