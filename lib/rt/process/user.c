/* SPDX-License-Identifier: MIT */
/*
 * Access to program memory in placement process (rt/user.h): plain loads and
 * stores of user_copy.S, whose unsettled faults the kernel continues where the
 * table below says.  Addresses are checked here to lie in the program's half:
 * otherwise a program could name this process's own memory.
 */
#include "abi/calls.h"
#include "base/util.h"
#include "rt/log.h"
#include "rt/user.h"
#include "user_priv.h"

size_t rt_uc_copy(void *dst, const void *src, size_t n);
size_t rt_uc_clear(void *dst, int zero, size_t n);
size_t rt_uc_string(char *dst, const void *src, size_t n);
long rt_uc_cmpxchg_u32(void *addr, uint32_t expected, uint32_t desired, uint32_t *seen);

/* Hidden: reached without a table of addresses. */
#pragma GCC visibility push(hidden)
extern const char rt_uc_copy_words[], rt_uc_copy_bytes[], rt_uc_clear_words[],
	rt_uc_clear_bytes[], rt_uc_string_bytes[], rt_uc_single[], rt_uc_end[], rt_uc_short[], rt_uc_fail[];
#pragma GCC visibility pop

static uint64_t at(const char *label)
{
	return (uint64_t)(uintptr_t)label;
}

void rt_user_start(void)
{
	const struct k_fixup fixups[] = {
		{ at(rt_uc_copy_words), at(rt_uc_copy_bytes), at(rt_uc_copy_bytes) },
		{ at(rt_uc_copy_bytes), at(rt_uc_clear_words), at(rt_uc_short) },
		{ at(rt_uc_clear_words), at(rt_uc_clear_bytes), at(rt_uc_clear_bytes) },
		{ at(rt_uc_clear_bytes), at(rt_uc_string_bytes), at(rt_uc_short) },
		{ at(rt_uc_string_bytes), at(rt_uc_single), at(rt_uc_short) },
		{ at(rt_uc_single), at(rt_uc_end), at(rt_uc_fail) },
	};

	if (k_process_fixups(fixups, sizeof(fixups)) != K_OK)
		rt_panic("the kernel does not take the table of user copies");
}

/* How many of @n bytes at @a lie in the program's half. */
static size_t within(uaddr_t a, size_t n)
{
	return a.v < K_PROGRAM_MAX ? MIN(n, K_PROGRAM_MAX - a.v) : 0;
}

size_t rt_copy_from_user(void *dst, uaddr_t src, size_t n)
{
	size_t ok = within(src, n);

	return n - ok + rt_uc_copy(dst, (const void *)src.v, ok);
}

size_t rt_copy_to_user(uaddr_t dst, const void *src, size_t n)
{
	size_t ok = within(dst, n);

	return n - ok + rt_uc_copy((void *)dst.v, src, ok);
}

size_t rt_clear_user(uaddr_t dst, size_t n)
{
	size_t ok = within(dst, n);

	return n - ok + rt_uc_clear((void *)dst.v, 0, ok);
}

long rt_strncpy_from_user(char *dst, uaddr_t src, size_t n, size_t *done)
{
	size_t ok = within(src, n);
	size_t copied = ok - rt_uc_string(dst, (const void *)src.v, ok);

	*done = copied;
	if (copied && !dst[copied - 1]) {
		*done = copied - 1;
		return (long)*done;
	}
	return copied == n ? (long)n : -1;
}

bool rt_cmpxchg_user_u32(uaddr_t addr, uint32_t expected, uint32_t desired, uint32_t *seen)
{
	return within(addr, 4) == 4 && (addr.v & 3) == 0 &&
	       rt_uc_cmpxchg_u32((void *)addr.v, expected, desired, seen) == 0;
}
