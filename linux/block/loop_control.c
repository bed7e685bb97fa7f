/* SPDX-License-Identifier: MIT */
/*
 * Which loop devices there are: /dev/loop-control, and what /sys says of one that is bound.
 *
 * There are none at start; LOOP_CTL_GET_FREE, which losetup and mount ask, makes one.  One that is
 * removed is kept for its number, as all disks are.
 */
#include "base/format.h"
#include "block/loop.h"
#include "fs/pseudo/pseudo.h"

#define MISC_MAJOR	10u
#define CONTROL_MINOR	237u
#define LOOPS_MAX	1024u

/* Held while devices are made and removed: rank LX_LOCK_DISK_TABLE. */
static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_DISK_TABLE);
static struct list loops = LIST_INIT(loops);	/* lock */

static struct loop *find(uint32_t number)
{
	struct loop *l;

	list_for_each_entry(l, &loops, link)
		if (l->number == number)
			return l;
	return NULL;
}

static struct loop *alloc_loop(uint32_t number)
{
	struct loop *l = rt_zalloc(sizeof(*l));
	char name[LX_DISK_NAME];

	if (!l)
		return NULL;
	snprintf(name, sizeof(name), "loop%u", number);
	l->number = number;
	l->disk = lx_disk_alloc(name, &loop_ops, l);
	if (!l->disk) {
		rt_free(l);
		return NULL;
	}
	snprintf(l->disk->sysfs, sizeof(l->disk->sysfs), "devices/virtual/block/%s", name);
	l->disk->major = LOOP_MAJOR;
	l->disk->first_minor = number;
	l->disk->minors = 1;
	l->disk->no_scan = true;
	l->removed = true;
	loop_init_queue(l);
	return l;
}

/* The device @number, made or made again.  Its number, -EEXIST, -ENOMEM. */
static long add(uint32_t number)
{
	struct loop *l = find(number), *made = NULL;
	long err;

	if (l && !l->removed)
		return -EEXIST;
	if (!l)
		l = made = alloc_loop(number);
	if (!l)
		return -ENOMEM;
	err = lx_disk_add(l->disk, 0);
	if (err == -EEXIST && made) {
		lx_disk_free(made->disk);
		rt_free(made);
		return err;
	}
	if (made)
		list_add_last(&loops, &l->link);
	l->removed = err;
	return err ? err : (long)number;
}

static long add_lowest(void)
{
	for (uint32_t i = 0; i < LOOPS_MAX; i++) {
		struct loop *l = find(i);

		if (!l || l->removed)
			return add(i);
	}
	return -ENOSPC;
}

static long remove_loop(uint32_t number)
{
	struct loop *l = find(number);
	long err;

	if (!l || l->removed)
		return -ENODEV;
	if (loop_is_bound(l))
		return -EBUSY;
	err = lx_disk_remove(l->disk);
	if (!err)
		l->removed = true;
	return err;
}

static long get_free(void)
{
	uint32_t best = UINT32_MAX;
	struct loop *l;

	list_for_each_entry(l, &loops, link)
		if (!l->removed && l->number < best && !loop_is_bound(l))
			best = l->number;
	return best != UINT32_MAX ? (long)best : add_lowest();
}

static long control_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	int32_t number = (int32_t)arg;
	long ret;

	rt_mutex_lock(&lock);
	switch (cmd) {
	case LOOP_CTL_ADD:
		ret = number < 0 ? add_lowest() : number >= (int32_t)LOOPS_MAX ? -ENOSPC
									       : add((uint32_t)number);
		break;
	case LOOP_CTL_REMOVE:
		ret = number < 0 ? -EINVAL : remove_loop((uint32_t)number);
		break;
	case LOOP_CTL_GET_FREE:
		ret = get_free();
		break;
	default:
		ret = -ENOSYS;
	}
	rt_mutex_unlock(&lock);
	return ret;
}

static int control_open(struct lx_inode *inode, struct lx_file *f)
{
	return 0;
}

static const struct lx_file_ops control_ops = { .open = control_open, .ioctl = control_ioctl };

int lx_block_init(void)
{
	int err = lx_chrdev_register(MISC_MAJOR, CONTROL_MINOR, 1, "misc", &control_ops);

	return err ? err : lx_devtmpfs_create("loop-control", S_IFCHR | 0600,
					      LX_MKDEV(MISC_MAJOR, CONTROL_MINOR));
}

/* -- /sys/block/loopN/loop */

enum { BACKING_FILE, OFFSET, SIZELIMIT, AUTOCLEAR, PARTSCAN, DIO, FILES };

static const char *const names[FILES] = {
	[BACKING_FILE] = "backing_file", [OFFSET] = "offset", [SIZELIMIT] = "sizelimit",
	[AUTOCLEAR] = "autoclear", [PARTSCAN] = "partscan", [DIO] = "dio",
};

/* As who reads it sees the tree of mounts, whose lock comes before the disk's. */
static int show_path(struct pseudo_buf *b, struct loop *l)
{
	struct lx_path root, pwd;
	struct lx_file *file;
	char *buf, *s;

	rt_mutex_lock(&l->disk->lock);
	file = l->file ? lx_file_get(l->file) : NULL;
	rt_mutex_unlock(&l->disk->lock);
	if (!file)
		return -ENODEV;
	buf = rt_alloc(LX_PATH_MAX);
	if (buf) {
		lx_fs_paths(lx_self()->fs, &root, &pwd);
		s = lx_path_string(&file->path, &root, buf, LX_PATH_MAX);
		pseudo_printf(b, "%s\n", s ? s : "");
		lx_path_put(&root);
		lx_path_put(&pwd);
		rt_free(buf);
	}
	lx_file_put(file);
	return buf ? 0 : -ENOMEM;
}

/* With the disk's lock. */
static int show_locked(struct pseudo_buf *b, const struct loop *l, unsigned int which)
{
	if (!l->file)
		return -ENODEV;
	if (which == OFFSET)
		pseudo_printf(b, "%llu\n", (unsigned long long)l->info.lo_offset);
	else if (which == SIZELIMIT)
		pseudo_printf(b, "%llu\n", (unsigned long long)l->limit);
	else
		pseudo_printf(b, "%d\n", which == AUTOCLEAR ? !!(l->flags & LO_FLAGS_AUTOCLEAR)
				       : which == PARTSCAN ? !!(l->flags & LO_FLAGS_PARTSCAN) : 0);
	return 0;
}

struct loop_file {
	struct loop *loop;
	unsigned int which;
};

static int show(struct pseudo_buf *b, void *arg)
{
	const struct loop_file *f = arg;
	int err;

	if (f->which == BACKING_FILE)
		return show_path(b, f->loop);
	rt_mutex_lock(&f->loop->disk->lock);
	err = show_locked(b, f->loop, f->which);
	rt_mutex_unlock(&f->loop->disk->lock);
	return err;
}

int loop_sysfs_add(struct loop *l)
{
	char path[128];
	int err = 0;

	if (!l->files) {
		l->files = rt_zalloc(FILES * sizeof(*l->files));
		if (!l->files)
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < FILES && !err; i++) {
		l->files[i] = (struct loop_file){ l, i };
		scnprintf(path, sizeof(path), "%s/loop/%s", l->disk->sysfs, names[i]);
		err = pseudo_file(lx_sysfs_tree, path, 0444, show, NULL, &l->files[i]);
	}
	return err;
}

void loop_sysfs_remove(struct loop *l)
{
	char path[128];

	scnprintf(path, sizeof(path), "%s/loop", l->disk->sysfs);
	pseudo_remove(lx_sysfs_tree, path);
}
