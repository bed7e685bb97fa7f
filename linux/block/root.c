/* SPDX-License-Identifier: MIT */
/*
 * Mounting the root file system, as the command line says.
 *
 * The initramfs is the root to begin with.  A root device is mounted on /root of
 * it, becomes the working directory, is moved over "/", and becomes the root:
 * the same steps as Linux, so that programs see the same tree of mounts.
 */
#include <linux/mount.h>

#include "base/format.h"
#include "base/parse.h"
#include "block/block.h"
#include "rt/lock.h"
#include "rt/time.h"
#include "vfs/vfs_priv.h"

/* Tried in this order when rootfstype= does not say. */
static const char *const types[] = { "ext4", "erofs", "squashfs", NULL };

static void sleep_ms(uint64_t ms)
{
	_Atomic(uint32_t) word = 0;

	rt_wait(&word, 0, rt_now_ns() + ms * 1000000, false);
}

/* "/dev/vda1", "vda", "254:0", "PARTUUID=...": the number of the device, 0 if there is none. */
static lx_dev_t find_device(const char *root)
{
	const char *name = str_has_prefix(root, "/dev/") ? root + 5 : root;
	const char *colon = strchr(name, ':');
	uint64_t ma, mi;

	if (colon && parse_u64(name, (size_t)(colon - name), 10, &ma) == (size_t)(colon - name) &&
	    parse_u64(colon + 1, strlen(colon + 1), 10, &mi) == strlen(colon + 1))
		return LX_MKDEV(ma, mi);
	if (str_has_prefix(root, "PARTUUID="))
		return lx_blkdev_by_uuid(root + strlen("PARTUUID="));
	return lx_blkdev_by_name(name);
}

static int try_mount(struct lx_task *self, const char *source, const char *type,
		     unsigned long flags, const char *options)
{
	if (!lx_fs_find(type))
		return -ENODEV;
	return lx_do_mount(self, source, "/root", type, flags | MS_SILENT, options);
}

/* The new root is the working directory: put it over "/" and stand in it. */
static int switch_to(struct lx_task *self)
{
	struct lx_path p;
	int err = lx_path_at(self, AT_FDCWD, "/root", LX_LOOKUP_FOLLOW | LX_LOOKUP_DIRECTORY, &p);

	if (err)
		return err;
	lx_fs_set_path(self->fs, &self->fs->pwd, &p);
	err = lx_do_mount(self, ".", "/", NULL, MS_MOVE, NULL);
	if (err)
		return err;
	err = lx_path_at(self, AT_FDCWD, ".", LX_LOOKUP_FOLLOW, &p);
	if (!err)
		lx_fs_set_path(self->fs, &self->fs->root, &p);
	return err;
}

/*
 * concord.overlay=tmpfs: what is mounted on /root becomes the lower layer of an
 * overlay whose upper one is in memory.
 */
static int add_overlay(struct lx_task *self)
{
	static const char *const dirs[] = { "/overlay", "/overlay/lower", "/overlay/rw",
					    "/overlay/rw/upper", "/overlay/rw/work" };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && !err; i++) {
		if (i == 3)
			err = lx_do_mount(self, "tmpfs", "/overlay/rw", "tmpfs", 0, "mode=755");
		if (!err)
			err = lx_do_mkdir(self, dirs[i], 0755);
		if (err == -EEXIST)
			err = 0;
	}
	if (!err)
		err = lx_do_mount(self, "/root", "/overlay/lower", NULL, MS_MOVE, NULL);
	if (!err)
		err = lx_do_mount(self, "overlay", "/root", "overlay", 0,
				  "lowerdir=/overlay/lower,upperdir=/overlay/rw/upper,"
				  "workdir=/overlay/rw/work");
	return err;
}

int lx_mount_root(struct lx_task *self, const struct lx_root_args *args, char name[64])
{
	unsigned long flags = args->ro ? MS_RDONLY : 0;
	char node[64];
	lx_dev_t dev;
	int err;

	if (args->rootdelay)
		sleep_ms(args->rootdelay * 1000ull);
	dev = args->root ? find_device(args->root) : 0;
	while (args->root && !dev && args->rootwait) {
		sleep_ms(20);
		dev = find_device(args->root);
	}
	if (args->root)
		snprintf(name, 64, "\"%.40s\" or unknown-block(%u,%u)", args->root, LX_MAJOR(dev),
			 LX_MINOR(dev));
	else
		snprintf(name, 64, "unknown-block(%u,%u)", LX_MAJOR(dev), LX_MINOR(dev));
	lx_do_mkdir(self, "/root", 0700);
	lx_do_mkdir(self, "/dev", 0755);
	if (!dev || !lx_blkdev_name(dev, node, sizeof(node))) {
		rt_log(RT_LOG_ERR, "VFS: Cannot open root device \"%s\" or unknown-block(%u,%u): error %d",
		       args->root ? args->root : "", LX_MAJOR(dev), LX_MINOR(dev), -ENXIO);
		rt_log(RT_LOG_ERR, "Please append a correct \"root=\" boot option; here are the "
		       "available partitions:");
		lx_blkdev_log_all();
		return -ENXIO;
	}

	err = -ENODEV;
	if (args->fstype) {
		err = try_mount(self, node, args->fstype, flags, args->flags);
	} else {
		for (size_t i = 0; types[i] && err; i++) {
			int e = try_mount(self, node, types[i], flags, args->flags);

			if (e != -ENODEV)
				err = e;
		}
	}
	if (err) {
		rt_log(RT_LOG_ERR, "VFS: Cannot mount root device \"%s\" (%s): error %d", node,
		       args->fstype ? args->fstype : "any file system", err);
		return err;
	}
	if (args->overlay && str_equal(args->overlay, "tmpfs"))
		err = add_overlay(self);
	else if (args->overlay)
		rt_log(RT_LOG_WARNING, "concord.overlay=%s: only tmpfs is known", args->overlay);
	if (!err)
		err = switch_to(self);
	if (!err)
		rt_log(RT_LOG_INFO, "VFS: Mounted root (%s filesystem) %s on device %u:%u.",
		       self->fs->root.dentry->sb->type->name, args->ro ? "readonly" : "read-write",
		       LX_MAJOR(dev), LX_MINOR(dev));
	return err;
}
