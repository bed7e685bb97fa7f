/* SPDX-License-Identifier: MIT */
/*
 * What loaders hand over: the parts of the PVH and Linux boot protocols that are
 * read here, as their specifications lay them out.
 */
#pragma once

#include <stdint.h>

#include "base/util.h"

/* -- PVH ------------------------------------------------------------------------ */

#define HVM_START_MAGIC 0x336ec578u

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr;
	/* version 1 */
	uint64_t memmap_paddr;
	uint32_t memmap_entries, reserved;
};

struct hvm_modlist_entry {
	uint64_t paddr, size, cmdline_paddr, reserved;
};

struct hvm_memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

/* -- Linux ------------------------------------------------------------------------ */

#define LINUX_HEADER_MAGIC	0x53726448u	/* "HdrS" */

#define LINUX_EXT_RAMDISK_IMAGE 0x0c0
#define LINUX_EXT_RAMDISK_SIZE	0x0c4
#define LINUX_EXT_CMDLINE	0x0c8
#define LINUX_RSDP		0x070
#define LINUX_E820_ENTRIES	0x1e8
#define LINUX_MAGIC		0x202
#define LINUX_RAMDISK_IMAGE	0x218
#define LINUX_RAMDISK_SIZE	0x21c
#define LINUX_CMDLINE		0x228
#define LINUX_E820_TABLE	0x2d0
#define LINUX_E820_MAX		128u

struct linux_e820_entry {
	uint64_t addr, size;
	uint32_t type;
} PACKED;
