/* SPDX-License-Identifier: MIT */
/*
 * proc: the tree of what does not belong to a process.  Its owners add to
 * lx_proc_tree; the directories of processes are in pid.c.
 */
#include <linux/magic.h>

#include "fs/proc/proc.h"

struct pseudo_tree *lx_proc_tree;

static int mount_proc(const struct lx_fs_type *type, const char *source, unsigned long flags,
		      const char *options, struct lx_super **out)
{
	*out = pseudo_super(lx_proc_tree);
	return 0;
}

static struct lx_fs_type type = { .name = "proc", .flags = LX_FS_NODEV, .mount = mount_proc };

int lx_proc_init(void)
{
	int err;

	lx_fs_register(&type);
	lx_proc_tree = pseudo_tree_create(&type, PROC_SUPER_MAGIC, &proc_pid_hooks);
	if (!lx_proc_tree)
		return -ENOMEM;
	err = pseudo_symlink(lx_proc_tree, "mounts", "self/mounts");
	if (!err)
		err = pseudo_symlink(lx_proc_tree, "net", "self/net");
	return err;
}
