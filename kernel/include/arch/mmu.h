/* SPDX-License-Identifier: MIT */
/*
 * Loading page tables and flushing what the processor remembers of them.
 * Layout of entries and of the kernel half: arch/pte.h; walking: kernel/mm.
 *
 * After boot the kernel half of arch_kernel_root() has all its top-level entries:
 * the direct map of all memory, the page array, vmalloc, the image.  Every other
 * root copies entries 256..511 from it.
 */
#pragma once

#include <stdint.h>

#include "arch/pte.h"

paddr_t arch_kernel_root(void);

/* Load @root on this CPU, forgetting all translations that are not global. */
void arch_root_load(paddr_t root);
paddr_t arch_root_current(void);

void arch_tlb_flush_page(uint64_t va);	/* this CPU; also global ones */
void arch_tlb_flush_all(void);		/* this CPU; global ones too */

/* The end of the direct map: physical addresses below it are reachable. */
paddr_t arch_direct_map_end(void);
