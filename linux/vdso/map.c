/* SPDX-License-Identifier: MIT */
/*
 * Mapping the vDSO.  Its image is copied into a memory object once; every program
 * maps that object, with the kernel's clock page before it.
 */

#include "lx/vdso.h"

#include <linux/elf.h>

#include "abi/calls.h"
#include "lx/system.h"
#include "rt/log.h"
#include "rt/memory.h"

extern const char vdso_image_start[], vdso_image_end[];

static struct rt_memory image;		/* handle 0: there is no vDSO.  Constant after start */
static uint64_t image_size;		/* in pages */

void lx_vdso_init(void)
{
	uint64_t size = (uint64_t)(vdso_image_end - vdso_image_start);
	size_t done;

	image_size = (size + K_PAGE_SIZE - 1) & ~(uint64_t)(K_PAGE_SIZE - 1);
	if (k_clock_page(&lx_system.clock_page) != K_OK)
		return;
	if (rt_memory_create(&image, lx_system.group, image_size, 0) != K_OK)
		return;
	if (rt_memory_write(&image, 0, vdso_image_start, size, &done) != K_OK) {
		rt_log(RT_LOG_WARNING, "linux: no memory for the vDSO");
		rt_memory_close(&image);
		image.handle = K_HANDLE_NONE;
	}
}

static k_status_t map_at(struct lx_mm *mm, uint64_t addr, k_handle_t memory, uint64_t length,
			 uint32_t prot, uint32_t max_prot, uint64_t tag)
{
	struct k_map map = {
		.addr = addr, .length = length, .prot = prot, .max_prot = max_prot,
		.flags = K_MAP_FIXED | (max_prot & K_PROT_WRITE ? 0 : K_MAP_SHARED),
		.memory = memory, .tag = tag,
	};

	return k_space_map(mm->space, &map);
}

void lx_vdso_map(struct lx_mm *mm)
{
	uint64_t all = K_PAGE_SIZE + image_size, reap;
	struct k_map gap = {
		.length = all, .flags = K_MAP_TOP_DOWN, .min = K_PROGRAM_MIN, .max = mm->mmap_top,
	};

	if (!image.handle)
		return;
	/* Find the gap by mapping it, then replace what is there. */
	if (k_space_map(mm->space, &gap) != K_OK)
		return;
	if (map_at(mm, gap.addr, lx_system.clock_page, K_PAGE_SIZE, K_PROT_READ, K_PROT_READ,
		   LX_TAG_VVAR) == K_OK &&
	    map_at(mm, gap.addr + K_PAGE_SIZE, image.handle, image_size, K_PROT_READ | K_PROT_EXEC,
		   K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC, LX_TAG_VDSO) == K_OK)
		mm->vdso = gap.addr + K_PAGE_SIZE;
	else
		(void)!k_space_unmap(mm->space, gap.addr, all, &reap);
}
