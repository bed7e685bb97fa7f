/* SPDX-License-Identifier: MIT */
#pragma once
/* Register the file system type. */
void lx_ext4_init(void);
