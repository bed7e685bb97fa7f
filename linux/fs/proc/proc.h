/* SPDX-License-Identifier: MIT */
#pragma once

#include "fs/pseudo/pseudo.h"

int lx_proc_init(void);
/* system.c: after lx_vfs_init() */
int lx_proc_system_init(void);

/* pid.c: entries of the root directory */
extern const struct pseudo_hooks proc_pid_hooks;
