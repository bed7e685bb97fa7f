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

/*
 * Whether the image, [start, end) in physical memory, lies in RAM and under nothing that
 * the loader put there: NULL, or what is wrong.  NULL too where the loader's data cannot
 * be read; boot_info_read() has the words for that.  *@line: where the command line is, or 0.
 */
const char *boot_image_fits(const struct boot_memory *m, enum boot_protocol protocol,
			    uint64_t addr, uint64_t start, uint64_t end, uint64_t *line);

/* The same for this image, before anything else of it is used; says so and stops if not. */
void boot_check_image(enum boot_protocol protocol, uint64_t addr);
