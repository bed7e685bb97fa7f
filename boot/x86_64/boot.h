/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "kernel/boot_info.h"

enum boot_protocol { BOOT_PROTOCOL_PVH, BOOT_PROTOCOL_LINUX };	/* as entry.S passes them */

/* The first GiB of physical memory. */
struct boot_memory {
	const uint8_t *base;
};

/*
 * Fill @b (all zero before) from what is at the physical address @addr.  NULL, or
 * what is wrong with it.
 */
const char *boot_info_read(struct boot_info *b, const struct boot_memory *m,
			   enum boot_protocol protocol, uint64_t addr);
