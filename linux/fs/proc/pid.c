/* SPDX-License-Identifier: MIT */
/*
 * proc: the directories of processes.
 */
#include "fs/proc/proc.h"

static int root_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	return -ENOENT;
}

static int root_iterate(struct lx_file *f, struct lx_dir_emit *ctx, lx_off_t base)
{
	return 0;
}

const struct pseudo_hooks proc_pid_hooks = { root_lookup, root_iterate };
