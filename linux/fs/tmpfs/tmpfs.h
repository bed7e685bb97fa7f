/* SPDX-License-Identifier: MIT */
#pragma once

#include "vfs/vfs_priv.h"

/* Register the types and make the rootfs. */
int lx_tmpfs_init(struct lx_super **rootfs);
/* A new tmpfs; one reference. */
int lx_tmpfs_make(const struct lx_fs_type *type, const char *options, bool limits,
		  struct lx_super **out);
