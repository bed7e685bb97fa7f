/* SPDX-License-Identifier: MIT */
/*
 * rt/user.h inside the kernel image: the copies are the architecture's; the range
 * is checked here, because a personality passes on what programs say.
 */

#include "rt/user.h"

#include "arch/ucopy.h"
#include "base/util.h"
#include "kernel/ucopy.h"

size_t rt_copy_from_user(void *dst, uaddr_t src, size_t n)
{
	return user_copy_in(dst, src.v, n);
}

size_t rt_copy_to_user(uaddr_t dst, const void *src, size_t n)
{
	return user_copy_out(dst.v, src, n);
}

size_t rt_clear_user(uaddr_t dst, size_t n)
{
	return user_clear(dst.v, n);
}

long rt_strncpy_from_user(char *dst, uaddr_t src, size_t n, size_t *done)
{
	size_t room = src.v < K_PROGRAM_MAX ? MIN(n, K_PROGRAM_MAX - src.v) : 0;
	long length;

	*done = 0;
	if (!n)
		return 0;
	if (!room)
		return -1;
	length = arch_strncpy_from_user(dst, src.v, room, done);
	if (length == (long)room && room < n) {	/* ran into the end of the program's half */
		*done = room;
		return -1;
	}
	return length;
}

bool rt_cmpxchg_user_u32(uaddr_t addr, uint32_t expected, uint32_t desired, uint32_t *seen)
{
	return IS_ALIGNED(addr.v, sizeof(uint32_t)) && user_range_ok(addr.v, sizeof(uint32_t)) &&
	       arch_cmpxchg_user_u32(addr.v, expected, desired, seen);
}
