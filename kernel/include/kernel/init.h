/* SPDX-License-Identifier: MIT */
/*
 * The first process.
 */
#pragma once

#include "kernel/boot_info.h"

/* Make what has no other place to be made: groups, log and power objects, the housekeeper. */
void object_layer_start(const struct boot_info *boot);

/* Load `init` from the boot bundle and start it; at the end of boot, in a kernel thread. */
void init_start(const struct boot_info *boot);
