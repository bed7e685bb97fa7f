/* SPDX-License-Identifier: MIT */
#pragma once

/* Register the file system and make /dev/fuse.  0, or -ENOMEM. */
int lx_fuse_init(void);
