/* SPDX-License-Identifier: MIT */
/* The real page-table entries, over a pretended memory. */
#pragma once

#include_next "arch/pte.h"

extern uint64_t sim_memory, sim_page_array;

#undef ARCH_DIRECT_MAP
#undef ARCH_PAGE_ARRAY
#define ARCH_DIRECT_MAP	sim_memory
#define ARCH_PAGE_ARRAY	sim_page_array
