/* SPDX-License-Identifier: MIT */
/*
 * sysfs: the tree itself.  What is in it, its owners add to lx_sysfs_tree.
 *
 * A mount shows the network of who made it: each namespace's devices are nodes of their own.
 */
#include "fs/pseudo/pseudo.h"
#include "fs/sysfs/sysfs.h"

#define SYSFS_MAGIC 0x62656572

struct pseudo_tree *lx_sysfs_tree;

static const struct sysfs_owners *owners;	/* set once, at the start */

void lx_sysfs_set_owners(const struct sysfs_owners *o)
{
	owners = o;
}

static int mount_sysfs(const struct lx_fs_type *type, const char *source, unsigned long flags,
		       const char *options, struct lx_super **out)
{
	void *owner = owners ? owners->get() : NULL;

	if (!owner) {
		*out = pseudo_super(lx_sysfs_tree);
		return 0;
	}
	*out = pseudo_super_of(lx_sysfs_tree, owner, owners->put);
	if (*out)
		return 0;
	owners->put(owner);
	return -ENOMEM;
}

static struct lx_fs_type type = { .name = "sysfs", .flags = LX_FS_NODEV, .mount = mount_sysfs };

int lx_sysfs_init(void)
{
	static const char *const dirs[] = {
		"block", "bus", "class/net", "dev/block", "dev/char", "devices/system/cpu",
		"devices/virtual/net", "firmware", "fs/cgroup", "kernel", "module", "power",
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
