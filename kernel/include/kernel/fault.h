/* SPDX-License-Identifier: MIT */
/*
 * Page faults: making the page tables say what the regions mean.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"

struct space;

/*
 * Settle an access (K_PROT_*) to @addr of @space: demand zero, copy on write, a
 * resident page of the object, a growing stack.  OK: try the access again.
 * Otherwise the status is that of the fault (NOT_FOUND, ACCESS, NEED_PAGE,
 * BEYOND_END, NO_MEMORY), and *out, if not NULL, has been filled in.
 * Takes the space's lock; may sleep; no spinlocks held.
 */
k_status_t fault_handle(struct space *space, uint64_t addr, uint32_t access, struct k_fault *out);

/*
 * A fault of kernel code on a program's or component's address, in the space that is
 * loaded, or in the slot (user copies): true if it was settled.  False: the copy stops there.
 * Called by the arch's fault handler with interrupts on when the interrupted code
 * had them on.
 */
bool fault_handle_kernel(uint64_t addr, uint32_t access);
