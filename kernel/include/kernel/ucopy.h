/* SPDX-License-Identifier: MIT */
/*
 * The kernel's access to the memory of the caller: programs, components, and
 * personality processes.  Faults that the kernel can settle are invisible.
 *
 * Only with no spinlock held and no kmutex of rank LOCK_SPACE or above: the
 * fault handler takes the space's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"

/* Whether [addr, addr + n) lies in the program's half. */
static inline bool user_range_ok(uint64_t addr, uint64_t n)
{
	return addr <= K_PROGRAM_MAX && n <= K_PROGRAM_MAX - addr;
}

/*
 * Whether the current thread's own code may name [addr, addr + n): the lower
 * half for components, the slot too for a personality process.
 */
bool caller_range_ok(uint64_t addr, uint64_t n);

/* Copy from or to memory of the calling code (caller_range_ok is checked). */
k_status_t caller_read(void *dst, uint64_t addr, size_t n) __attribute__((warn_unused_result));
k_status_t caller_write(uint64_t addr, const void *src, size_t n)
	__attribute__((warn_unused_result));

/* The same for the bound program's memory; bytes NOT copied are returned. */
size_t user_copy_in(void *dst, uint64_t addr, size_t n);
size_t user_copy_out(uint64_t addr, const void *src, size_t n);
size_t user_clear(uint64_t addr, size_t n);
