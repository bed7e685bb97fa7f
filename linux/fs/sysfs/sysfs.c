/* SPDX-License-Identifier: MIT */
/*
 * sysfs: the tree itself.  What is in it, its owners add to lx_sysfs_tree.
 */
#include "fs/pseudo/pseudo.h"
#include "fs/sysfs/sysfs.h"

#define SYSFS_MAGIC 0x62656572

struct pseudo_tree *lx_sysfs_tree;

static int mount_sysfs(const struct lx_fs_type *type, const char *source, unsigned long flags,
		       const char *options, struct lx_super **out)
{
	*out = pseudo_super(lx_sysfs_tree);
	return 0;
}

static struct lx_fs_type type = { .name = "sysfs", .flags = LX_FS_NODEV, .mount = mount_sysfs };

int lx_sysfs_init(void)
{
	static const char *const dirs[] = {
		"block", "bus", "class", "dev/block", "dev/char", "devices/system/cpu",
		"firmware", "fs/cgroup", "kernel", "module", "power",
	};

	lx_fs_register(&type);
	lx_sysfs_tree = pseudo_tree_create(&type, SYSFS_MAGIC, NULL);
	if (!lx_sysfs_tree)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int err = pseudo_dir(lx_sysfs_tree, dirs[i]);

		if (err)
			return err;
	}
	return 0;
}
