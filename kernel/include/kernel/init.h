/* SPDX-License-Identifier: MIT */
/*
 * The first process.
 */
#pragma once

#include "kernel/boot_info.h"

/* Make what has no other place to be made: the root group, the log, power and root device
 * objects, the housekeeper thread.  In a kernel thread. */
void object_layer_start(const struct boot_info *boot);

/* Load `init` from the boot bundle and start it; at the end of boot, in a kernel thread. */
void init_start(const struct boot_info *boot);
