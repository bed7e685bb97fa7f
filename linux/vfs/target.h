/* SPDX-License-Identifier: MIT */
/* What a call that changes a directory is about: sys_dir.c, sys_rename.c. */
#pragma once

#include "vfs/vfs_priv.h"

/* A directory, and the entry there (maybe negative). */
struct lx_target {
	struct lx_name name;
	struct lx_parent parent;
	struct lx_inode *dir;		/* locked, while @d is known */
	struct lx_dentry *d;
};

/*
 * Resolve the path at @user in the program's memory but for its last component: name and
 * parent are known then, and lx_target_put() is due.  0 or what path resolution says.
 */
int lx_target_find(struct lx_task *self, int dfd, uaddr_t user, struct lx_target *t);
void lx_target_put(struct lx_target *t);
