/* SPDX-License-Identifier: MIT */
/*
 * Copies to and from the lower half of the loaded address space that survive
 * faults.  The callers (kernel/ucopy.h) have checked the range to lie below
 * K_PROGRAM_MAX or in the personality's slot; a fault that the fault handler can
 * settle is settled (it may sleep: preemption enabled), any other ends the copy.
 *
 * Each returns the number of bytes not copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t arch_copy_from_user(void *dst, uint64_t src, size_t n);
size_t arch_copy_to_user(uint64_t dst, const void *src, size_t n);
size_t arch_clear_user(uint64_t dst, size_t n);

/*
 * Copy up to and with a NUL, at most @n bytes.  The length without NUL; @n: there
 * was none; -1: inaccessible after *@done bytes.
 */
long arch_strncpy_from_user(char *dst, uint64_t src, size_t n, size_t *done);

/* Aligned words; false: inaccessible. */
bool arch_load_user_u32(uint64_t addr, uint32_t *value);
bool arch_cmpxchg_user_u32(uint64_t addr, uint32_t expected, uint32_t desired, uint32_t *seen);

/* Fast copies between kernel addresses: whole pages. */
void arch_copy_page(void *dst, const void *src);
void arch_clear_page(void *page);
