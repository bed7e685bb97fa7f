/* SPDX-License-Identifier: MIT */
/*
 * A pretended machine for the host tests: memory, two processors with TLBs that
 * forget only what they are told to, and the parts of the kernel that mm/ calls.
 * Programs run on either processor, as it happens.
 */
#pragma once

#include "../mm_priv.h"

#define SIM_MEMORY (64ull << 20)
#define SIM_CPUS 2u
#define SIM_ASIDS_MAX 3u

extern uint32_t arch_asids;		/* arch/mmu.h: 0 to SIM_ASIDS_MAX here */
extern uint64_t sim_kept_loads;		/* of roots, that forgot nothing */

/* Start over with fresh memory.  Once per program: the allocators keep static state. */
void sim_start(void);

/* What program code at @va of @space would see: reads or writes 8 bytes through the TLB,
 * with faults handled. */
k_status_t sim_read(struct space *space, uint64_t va, uint64_t *value);
k_status_t sim_write(struct space *space, uint64_t va, uint64_t value);
/* The same, and what fault_handle() said. */
k_status_t sim_access(struct space *space, uint64_t va, bool write, uint64_t *value,
		      struct k_fault *fault);

/* Whether code that runs on a root of @space, on either processor, gets to a page at @va. */
bool sim_reaches(struct space *space, bool unified, uint64_t va);

/* One in @n charges to a group fails from now on; 0: none does. */
void sim_fail_charges(unsigned n);
extern struct group *sim_group;
extern uint64_t sim_charged;		/* bytes */
extern uint64_t sim_objects;		/* alive */
extern unsigned sim_bells_rung;

/* Free pages, with all caches drained. */
uint64_t sim_free_pages(void);
