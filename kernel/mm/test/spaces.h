/* SPDX-License-Identifier: MIT */
/* A space to try single properties in. */
#pragma once

#include "sim.h"

#include "kernel/backing.h"
#include "kernel/memory.h"
#include "kernel/space.h"
#include "unit/unit.h"

#define BASE	0x7ffe00000ull		/* across the border of a last-level table */

static inline uint64_t pick(uint64_t n)
{
	return unit_random() % n;
}

static inline struct space *new_space(void)
{
	struct space *space = NULL;

	sim_start();
	CHECK_EQ(space_create(sim_group, K_SPACE_PROGRAM, 0, &space), K_OK);
	return space;
}

static inline k_status_t map_at(struct space *space, uint64_t addr, uint64_t pages, uint32_t flags,
			 struct memory *memory, struct backing *backing)
{
	struct k_map map = { .addr = addr, .length = pages * K_PAGE_SIZE,
			     .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC,
			     .flags = flags | K_MAP_FIXED, .limit = 64 * K_PAGE_SIZE };

	return space_map(space, &map, memory, backing);
}
