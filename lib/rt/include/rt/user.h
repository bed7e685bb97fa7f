/* SPDX-License-Identifier: MIT */
/*
 * Access to the memory of the Linux program that the calling thread runs
 * (its space was set by k_thread_use_space).
 *
 * Both placements reach program memory directly; a fault that the kernel can
 * settle by itself (demand zero, copy on write, a resident page) is invisible.
 * Any other makes the copy stop short.  These functions never call back into
 * the personality and never sleep for a page's owner, so they may be used with
 * locks held; whoever gets a short count drops its locks, has the page supplied
 * (lx_fault_in) and tries again.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/* An address in a program: cannot be dereferenced, does not mix with numbers. */
typedef struct { uint64_t v; } uaddr_t;

#define UADDR_NULL ((uaddr_t){ 0 })

static inline uaddr_t uaddr(uint64_t v)
{
	return (uaddr_t){ v };
}

static inline uaddr_t uaddr_add(uaddr_t a, uint64_t n)
{
	return (uaddr_t){ a.v + n };
}

/* Each returns the number of bytes NOT copied (0: all), counted from the end. */
size_t rt_copy_from_user(void *dst, uaddr_t src, size_t n);
size_t rt_copy_to_user(uaddr_t dst, const void *src, size_t n);
size_t rt_clear_user(uaddr_t dst, size_t n);

/*
 * Copy a string of at most @n bytes with its NUL.  Returns its length without
 * the NUL; @n if there was no NUL in @n bytes; -1 if memory was inaccessible
 * before a NUL.  *@done: bytes copied, the NUL not counted, in each case.
 */
long rt_strncpy_from_user(char *dst, uaddr_t src, size_t n, size_t *done);

/*
 * Atomically: if the aligned word at @addr is @expected, make it @desired.
 * Either way *@seen is what it was.  False if the word was inaccessible.
 */
bool rt_cmpxchg_user_u32(uaddr_t addr, uint32_t expected, uint32_t desired, uint32_t *seen);
