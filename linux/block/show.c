/* SPDX-License-Identifier: MIT */
/*
 * Block devices in /proc, and in the log when there is no root.
 */
#include "block/disk.h"
#include "fs/pseudo/pseudo.h"

void lx_blkdev_log_all(void)
{
	struct lx_blkdev *b = NULL;

	while ((b = lx_blkdev_next(b)))
		rt_log(RT_LOG_ERR, "%02x%02x %10llu %s %s", LX_MAJOR(b->dev), LX_MINOR(b->dev),
		       (unsigned long long)(lx_blkdev_size(b) / 1024), b->name, b->uuid);
}

void lx_blkdev_show_partitions(struct pseudo_buf *out)
{
	struct lx_blkdev *b = NULL;

	pseudo_puts(out, "major minor  #blocks  name\n\n");
	while ((b = lx_blkdev_next(b)))
		if (lx_blkdev_size(b))
			pseudo_printf(out, "%4u  %7u %10llu %s\n", LX_MAJOR(b->dev), LX_MINOR(b->dev),
				      (unsigned long long)(lx_blkdev_size(b) / 1024), b->name);
}

void lx_blkdev_show_stats(struct pseudo_buf *out)
{
	struct lx_blkdev *b = NULL;
	char line[17 * 21 + 1];

	while ((b = lx_blkdev_next(b))) {
		lx_io_show(&b->stats, false, line, sizeof(line));
		pseudo_printf(out, "%4u %7u %s %s\n", LX_MAJOR(b->dev), LX_MINOR(b->dev), b->name, line);
	}
}

void lx_blkdev_show_majors(struct pseudo_buf *out)
{
	static const struct { uint32_t major; const char *name; } majors[] = {
		{ 7, "loop" }, { 8, "sd" }, { 254, "virtblk" }, { LX_BLKEXT_MAJOR, "blkext" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(majors); i++)
		pseudo_printf(out, "%3u %s\n", majors[i].major, majors[i].name);
}
