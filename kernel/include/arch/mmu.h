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

#include <stdbool.h>
#include <stdint.h>

#include "arch/pte.h"

paddr_t arch_kernel_root(void);

/*
 * How many identifiers a CPU has to tag translations with, besides 0; 0: none, and each load
 * of a root forgets all translations that are not global.  Constant once the first CPU is set up.
 */
extern uint32_t arch_asids;

/*
 * Load @root on this CPU.  Its translations are tagged with @asid, 0 to arch_asids;
 * those that were remembered under it are used again if @keep, and else forgotten.
 */
void arch_root_load(paddr_t root, uint32_t asid, bool keep);

/* On this CPU.  Of other identifiers than the loaded root's, only the last forgets anything. */
void arch_tlb_flush_page(uint64_t va);	/* also a global one, and that of all identifiers */
void arch_tlb_flush_root(void);		/* all but global ones */
void arch_tlb_flush_all(void);		/* global ones too */

/* The end of the direct map: physical addresses below it are reachable. */
paddr_t arch_direct_map_end(void);
