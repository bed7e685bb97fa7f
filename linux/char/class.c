/* SPDX-License-Identifier: MIT */
/*
 * Character devices in sysfs: a directory in devices/virtual with their number,
 * and links to it from class/ and dev/char/, as udev and others look for them.
 */

#include "base/format.h"
#include "char_priv.h"
#include "fs/pseudo/pseudo.h"

struct class_device {
	char name[32];
	lx_dev_t dev;
};

static int show_dev(struct pseudo_buf *b, void *arg)
{
	const struct class_device *c = arg;

	pseudo_printf(b, "%u:%u\n", LX_MAJOR(c->dev), LX_MINOR(c->dev));
	return 0;
}

static int show_uevent(struct pseudo_buf *b, void *arg)
{
	const struct class_device *c = arg;

	pseudo_printf(b, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n", LX_MAJOR(c->dev), LX_MINOR(c->dev),
		      c->name);
	return 0;
}

/* Asking for events to be sent again: nobody listens yet. */
static int store_uevent(const char *text, size_t n, void *arg)
{
	return 0;
}

int lx_class_device(const char *class, const char *name, lx_dev_t dev)
{
	struct class_device *c = rt_zalloc(sizeof(*c));
	char path[96], target[96];
	int err;

	if (!c)
		return -ENOMEM;
	strlcpy(c->name, name, sizeof(c->name));
	c->dev = dev;
	scnprintf(path, sizeof(path), "devices/virtual/%s/%s/dev", class, name);
	err = pseudo_file(lx_sysfs_tree, path, 0444, show_dev, NULL, c);
	if (err) {
		rt_free(c);
		return err;
	}
	scnprintf(path, sizeof(path), "devices/virtual/%s/%s/uevent", class, name);
	err = pseudo_file(lx_sysfs_tree, path, 0644, show_uevent, store_uevent, c);
	scnprintf(target, sizeof(target), "../../devices/virtual/%s/%s", class, name);
	scnprintf(path, sizeof(path), "class/%s/%s", class, name);
	if (!err)
		err = pseudo_symlink(lx_sysfs_tree, path, target);
	scnprintf(path, sizeof(path), "dev/char/%u:%u", LX_MAJOR(dev), LX_MINOR(dev));
	if (!err)
		err = pseudo_symlink(lx_sysfs_tree, path, target);
	scnprintf(path, sizeof(path), "devices/virtual/%s/%s/subsystem", class, name);
	scnprintf(target, sizeof(target), "../../../../class/%s", class);
	return err ? err : pseudo_symlink(lx_sysfs_tree, path, target);
}
