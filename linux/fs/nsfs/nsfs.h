/* SPDX-License-Identifier: MIT */
/*
 * nsfs: files that are namespaces, /proc/PID/ns/.  An open one, or one that is bound
 * to a name, keeps its namespace.
 */
#pragma once

#include "lx/ns.h"
#include "vfs/vfs_priv.h"

#define LX_NSFS_MAGIC 0x6e736673

int lx_nsfs_init(void);
/* Is @m the mount that namespaces are on?  It is in no tree, and may be bound all the same. */
bool lx_nsfs_is_mount(const struct lx_mount *m);
