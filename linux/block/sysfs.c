/* SPDX-License-Identifier: MIT */
/*
 * Block devices in /sys: a folder, and links to it from class/block, dev/block and, for
 * disks, block/.  Files, modes and formats are those of Linux 6.1 with a virtio disk
 * (Documentation/ABI/stable/sysfs-block says what they mean).
 *
 * What a program may write on Linux and cannot be changed here takes its present value,
 * and refuses others.
 */
#include "base/format.h"
#include "base/parse.h"
#include "block/disk.h"
#include "fs/pseudo/pseudo.h"

struct attr {
	const char *name;
	lx_mode_t mode;
	void (*show)(struct pseudo_buf *out, struct lx_blkdev *b);
	const char *text;		/* without show: always this */
	int (*store)(struct lx_blkdev *b, uint64_t v);	/* NULL: only what it is already */
};

struct lx_attr_ref {			/* what a file's functions get */
	struct lx_blkdev *b;
	const struct attr *attr;
};

typedef unsigned long long ull;

static const struct lx_disk_limits *limits(const struct lx_blkdev *b)
{
	return &b->disk->limits;
}

/* -- of disks and partitions */

static void show_dev(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u:%u\n", LX_MAJOR(b->dev), LX_MINOR(b->dev));
}

static void show_size(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%llu\n", (ull)(lx_blkdev_size(b) / 512));
}

static void show_ro(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%d\n", lx_blkdev_is_read_only(b));
}

static void show_stat(struct pseudo_buf *out, struct lx_blkdev *b)
{
	char line[17 * 21 + 1];

	lx_io_show(&b->stats, true, line, sizeof(line));
	pseudo_printf(out, "%s\n", line);
}

static void show_inflight(struct pseudo_buf *out, struct lx_blkdev *b)
{
	struct lx_io_numbers n;

	lx_io_numbers(&b->stats, &n);
	pseudo_printf(out, "%8u %8u\n", n.reading, n.writing);
}

static void show_alignment(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->alignment);
}

static void show_uevent(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=%s\nDISKSEQ=%llu\n",
		      LX_MAJOR(b->dev), LX_MINOR(b->dev), b->name, b->number ? "partition" : "disk",
		      (ull)atomic_load(&b->disk->sequence));
	if (b->number)
		pseudo_printf(out, "PARTN=%u\n", b->number);
	if (b->volume[0])
		pseudo_printf(out, "PARTNAME=%s\n", b->volume);
}

/* -- of partitions */

static void show_start(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%llu\n", (ull)atomic_load(&b->start));
}

static void show_partition(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", b->number);
}

/* -- of disks */

static void show_range(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", b->disk->minors);
}

static void show_diskseq(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%llu\n", (ull)atomic_load(&b->disk->sequence));
}

static void show_cache(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%s\n", limits(b)->volatile_cache ? "write back" : "write through");
}

static void show_serial(struct pseudo_buf *out, struct lx_blkdev *b)
{
	char id[21] = "";

	if (b->disk->ops->serial && !b->disk->ops->serial(b->disk, id))
		pseudo_puts(out, id);
}

/* -- of their queues */

static void show_logical(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->logical_block);
}

static void show_physical(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->physical_block);
}

static void show_io_min(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->io_min);
}

static void show_io_opt(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->io_opt);
}

static void show_dma_alignment(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->dma_alignment);
}

static void show_granularity(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->discard_granularity);
}

static void show_discard_max(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%llu\n", (ull)limits(b)->discard_max);
}

static void show_max_request(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->max_request / 1024);
}

static void show_segments(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->max_segments);
}

static void show_depth(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->depth);
}

static void show_rotational(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", limits(b)->rotational);
}

static void show_read_ahead(struct pseudo_buf *out, struct lx_blkdev *b)
{
	pseudo_printf(out, "%u\n", atomic_load(&b->disk->read_ahead) / 1024);
}

static int store_read_ahead(struct lx_blkdev *b, uint64_t v)
{
	if (v > UINT32_MAX / 1024)
		return -EINVAL;
	atomic_store(&b->disk->read_ahead, (uint32_t)v * 1024);
	return 0;
}

static const struct attr common[] = {
	{ "dev", 0444, show_dev, NULL, NULL },
	{ "uevent", 0644, show_uevent, NULL, NULL },
	{ "size", 0444, show_size, NULL, NULL },
	{ "ro", 0444, show_ro, NULL, NULL },
	{ "stat", 0444, show_stat, NULL, NULL },
	{ "inflight", 0444, show_inflight, NULL, NULL },
	{ "alignment_offset", 0444, show_alignment, NULL, NULL },
	{ "discard_alignment", 0444, NULL, "0\n", NULL },
};

static const struct attr of_partitions[] = {
	{ "start", 0444, show_start, NULL, NULL },
	{ "partition", 0444, show_partition, NULL, NULL },
};

static const struct attr of_disks[] = {
	{ "range", 0444, show_range, NULL, NULL },
	{ "ext_range", 0444, NULL, "256\n", NULL },
	{ "removable", 0444, NULL, "0\n", NULL },
	{ "hidden", 0444, NULL, "0\n", NULL },
	{ "capability", 0444, NULL, "0\n", NULL },
	{ "events", 0444, NULL, "", NULL },
	{ "events_async", 0444, NULL, "", NULL },
	{ "events_poll_msecs", 0644, NULL, "-1\n", NULL },
	{ "diskseq", 0444, show_diskseq, NULL, NULL },
	{ "queue/logical_block_size", 0444, show_logical, NULL, NULL },
	{ "queue/physical_block_size", 0444, show_physical, NULL, NULL },
	{ "queue/hw_sector_size", 0444, show_logical, NULL, NULL },
	{ "queue/minimum_io_size", 0444, show_io_min, NULL, NULL },
	{ "queue/optimal_io_size", 0444, show_io_opt, NULL, NULL },
	{ "queue/dma_alignment", 0444, show_dma_alignment, NULL, NULL },
	{ "queue/discard_granularity", 0444, show_granularity, NULL, NULL },
	{ "queue/discard_max_bytes", 0644, show_discard_max, NULL, NULL },
	{ "queue/discard_max_hw_bytes", 0444, show_discard_max, NULL, NULL },
	{ "queue/discard_zeroes_data", 0444, NULL, "0\n", NULL },
	{ "queue/write_zeroes_max_bytes", 0444, NULL, "0\n", NULL },
	{ "queue/write_same_max_bytes", 0444, NULL, "0\n", NULL },
	{ "queue/max_sectors_kb", 0644, show_max_request, NULL, NULL },
	{ "queue/max_hw_sectors_kb", 0444, show_max_request, NULL, NULL },
	{ "queue/max_segments", 0444, show_segments, NULL, NULL },
	{ "queue/max_segment_size", 0444, NULL, "4294967295\n", NULL },
	{ "queue/max_discard_segments", 0444, NULL, "1\n", NULL },
	{ "queue/max_integrity_segments", 0444, NULL, "0\n", NULL },
	{ "queue/nr_requests", 0644, show_depth, NULL, NULL },
	{ "queue/read_ahead_kb", 0644, show_read_ahead, NULL, store_read_ahead },
	{ "queue/rotational", 0644, show_rotational, NULL, NULL },
	{ "queue/write_cache", 0644, show_cache, NULL, NULL },
	{ "queue/scheduler", 0644, NULL, "[none] \n", NULL },
	{ "queue/add_random", 0644, NULL, "0\n", NULL },
	{ "queue/iostats", 0644, NULL, "1\n", NULL },
	{ "queue/nomerges", 0644, NULL, "0\n", NULL },
	{ "queue/rq_affinity", 0644, NULL, "1\n", NULL },
	{ "queue/io_poll", 0644, NULL, "0\n", NULL },
	{ "queue/io_poll_delay", 0644, NULL, "-1\n", NULL },
	{ "queue/stable_writes", 0644, NULL, "0\n", NULL },
	{ "queue/chunk_sectors", 0444, NULL, "0\n", NULL },
	{ "queue/fua", 0444, NULL, "0\n", NULL },
	{ "queue/dax", 0444, NULL, "0\n", NULL },
	{ "queue/virt_boundary_mask", 0444, NULL, "0\n", NULL },
	{ "queue/zoned", 0444, NULL, "none\n", NULL },
	{ "queue/nr_zones", 0444, NULL, "0\n", NULL },
	{ "queue/zone_append_max_bytes", 0444, NULL, "0\n", NULL },
	{ "queue/zone_write_granularity", 0444, NULL, "0\n", NULL },
};

/* Of disks behind links. */
static const struct attr of_devices[] = {
	{ "cache_type", 0644, show_cache, NULL, NULL },
	{ "serial", 0444, show_serial, NULL, NULL },
};

#define ATTRS_MAX (ARRAY_SIZE(common) + ARRAY_SIZE(of_disks) + ARRAY_SIZE(of_devices))

/* -- files */

static int show(struct pseudo_buf *out, void *arg)
{
	const struct lx_attr_ref *r = arg;

	if (!lx_blkdev_is_live(r->b))
		return -ENODEV;
	if (r->attr->show)
		r->attr->show(out, r->b);
	else
		pseudo_puts(out, r->attr->text);
	return 0;
}

/* Is the text what the file says, or marks as chosen, already? */
static int same_as_now(const struct lx_attr_ref *r, const char *text, size_t n)
{
	struct pseudo_buf now = { 0 };
	int err = show(&now, (void *)(uintptr_t)r);

	while (n && char_is_space(text[n - 1]))
		n--;
	while (now.len && char_is_space(now.data[now.len - 1]))
		now.len--;
	if (!err && now.len > 2 && now.data[0] == '[' && now.data[now.len - 1] == ']') {
		now.len -= 2;
		memmove(now.data, now.data + 1, now.len);
	}
	if (!err && (now.failed || n != now.len || memcmp(text, now.data, n) != 0))
		err = -EINVAL;
	rt_free(now.data);
	return err;
}

static int store(const char *text, size_t n, void *arg)
{
	const struct lx_attr_ref *r = arg;
	uint64_t v;
	size_t len;

	/* asking for events to be sent again: nobody listens */
	if (str_equal(r->attr->name, "uevent"))
		return 0;
	if (!r->attr->store)
		return same_as_now(r, text, n);
	len = parse_u64(text, n, 0, &v);
	while (len && len < n && char_is_space(text[len]))
		len++;
	return len && len == n ? r->attr->store(r->b, v) : -EINVAL;
}

static int add_attrs(struct lx_blkdev *b, const char *folder, struct lx_attr_ref **ref,
		     const struct attr *attrs, size_t count)
{
	char path[160];
	int err = 0;

	for (size_t i = 0; i < count && !err; i++, (*ref)++) {
		**ref = (struct lx_attr_ref){ b, &attrs[i] };
		scnprintf(path, sizeof(path), "%s/%s", folder, attrs[i].name);
		err = pseudo_file(lx_sysfs_tree, path, attrs[i].mode, show,
				  attrs[i].mode & 0200 ? store : NULL, *ref);
	}
	return err;
}

/* -- folders and links */

void lx_blkdev_sysfs_path(const struct lx_blkdev *b, char *buf, size_t size)
{
	if (b->number)
		scnprintf(buf, size, "%s/%s", b->disk->sysfs, b->name);
	else
		strlcpy(buf, b->disk->sysfs, size);
}

/* @path/@name points to @target, @up folders higher. */
static int add_link(const char *path, const char *name, unsigned int up, const char *target)
{
	char from[160], to[160];
	size_t n = 0;

	scnprintf(from, sizeof(from), "%s/%s", path, name);
	for (unsigned int i = 0; i < up; i++)
		n += (size_t)scnprintf(to + n, sizeof(to) - n, "../");
	scnprintf(to + n, sizeof(to) - n, "%s", target);
	return pseudo_symlink(lx_sysfs_tree, from, to);
}

static unsigned int depth(const char *path)
{
	unsigned int n = 1;

	while ((path = strchr(path, '/'))) {
		path++;
		n++;
	}
	return n;
}

static void number_name(const struct lx_blkdev *b, char buf[24])
{
	scnprintf(buf, 24, "%u:%u", LX_MAJOR(b->dev), LX_MINOR(b->dev));
}

static int add_links(struct lx_blkdev *b, const char *folder)
{
	char number[24];
	int err;

	number_name(b, number);
	err = add_link(folder, "subsystem", depth(folder), "class/block");
	if (!err)
		err = add_link("class/block", b->name, 2, folder);
	if (!err)
		err = add_link("dev/block", number, 2, folder);
	if (!err && !b->number)
		err = add_link("block", b->name, 1, folder);
	if (!err && !b->number && b->disk->parent)
		err = add_link(folder, "device", 3, b->disk->parent);
	return err;
}

static int add_folders(struct lx_blkdev *b, const char *folder)
{
	static const char *const names[] = { "holders", "power", "slaves" };
	char path[160];
	int err = 0;

	/* a partition has no slaves */
	for (size_t i = 0; i < (b->number ? 2u : ARRAY_SIZE(names)) && !err; i++) {
		scnprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		err = pseudo_dir(lx_sysfs_tree, path);
	}
	return err;
}

int lx_blkdev_sysfs_add(struct lx_blkdev *b)
{
	struct lx_attr_ref *ref;
	char folder[128];
	int err;

	if (!b->attrs)
		b->attrs = rt_zalloc(ATTRS_MAX * sizeof(*b->attrs));
	if (!b->attrs)
		return -ENOMEM;
	ref = b->attrs;
	lx_blkdev_sysfs_path(b, folder, sizeof(folder));
	err = add_attrs(b, folder, &ref, common, ARRAY_SIZE(common));
	if (!err && b->number)
		err = add_attrs(b, folder, &ref, of_partitions, ARRAY_SIZE(of_partitions));
	if (!err && !b->number)
		err = add_attrs(b, folder, &ref, of_disks, ARRAY_SIZE(of_disks));
	if (!err && !b->number && b->disk->parent)
		err = add_attrs(b, folder, &ref, of_devices, ARRAY_SIZE(of_devices));
	if (!err)
		err = add_folders(b, folder);
	if (!err)
		err = add_links(b, folder);
	if (err)
		lx_blkdev_sysfs_remove(b);
	return err;
}

void lx_blkdev_sysfs_remove(struct lx_blkdev *b)
{
	char path[128], number[24];

	number_name(b, number);
	scnprintf(path, sizeof(path), "dev/block/%s", number);
	pseudo_remove(lx_sysfs_tree, path);
	scnprintf(path, sizeof(path), "class/block/%s", b->name);
	pseudo_remove(lx_sysfs_tree, path);
	if (!b->number) {
		scnprintf(path, sizeof(path), "block/%s", b->name);
		pseudo_remove(lx_sysfs_tree, path);
	}
	lx_blkdev_sysfs_path(b, path, sizeof(path));
	pseudo_remove(lx_sysfs_tree, path);
	if (!b->number && b->disk->parent) {
		scnprintf(path, sizeof(path), "devices/%s", b->disk->parent);
		pseudo_remove(lx_sysfs_tree, path);
	}
}
