/* SPDX-License-Identifier: MIT */
/*
 * The kernel's access to the memory of its callers.  The copies themselves, with
 * their recovery from faults, are the architecture's.
 */

#include "kernel/ucopy.h"

#include "arch/ucopy.h"
#include "kernel/thread.h"
#include "mm_priv.h"

bool caller_range_ok(uint64_t addr, uint64_t n)
{
	const struct space *own = current_thread()->own_space;

	if (user_range_ok(addr, n))
		return true;
	return own && addr >= K_PERSONALITY_BASE &&
	       range_within(addr - K_PERSONALITY_BASE, n, K_PERSONALITY_SIZE);
}

k_status_t caller_read(void *dst, uint64_t addr, size_t n)
{
	if (!caller_range_ok(addr, n) || arch_copy_from_user(dst, addr, n))
		return K_ERR_BAD_ADDRESS;
	return K_OK;
}

k_status_t caller_write(uint64_t addr, const void *src, size_t n)
{
	if (!caller_range_ok(addr, n) || arch_copy_to_user(addr, src, n))
		return K_ERR_BAD_ADDRESS;
	return K_OK;
}

size_t user_copy_in(void *dst, uint64_t addr, size_t n)
{
	return user_range_ok(addr, n) ? arch_copy_from_user(dst, addr, n) : n;
}

size_t user_copy_out(uint64_t addr, const void *src, size_t n)
{
	return user_range_ok(addr, n) ? arch_copy_to_user(addr, src, n) : n;
}

size_t user_clear(uint64_t addr, size_t n)
{
	return user_range_ok(addr, n) ? arch_clear_user(addr, n) : n;
}
