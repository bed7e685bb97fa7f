/* SPDX-License-Identifier: MIT */
/* Shared by the files of linux/mm. */
#pragma once

#include "lx/mm.h"

/* k_space_map of @memory through the backing of @f; map->backing is filled in. */
k_status_t lx_backing_map(k_handle_t space, struct lx_file *f, k_handle_t memory,
			  struct k_map *map);

uint32_t lx_prot_to_kernel(uint32_t prot);

/* Programs only wait for each other's pages: end the largest, if that would help (mm/oom.c). */
void lx_oom_thrash(void);
