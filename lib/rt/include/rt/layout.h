/* SPDX-License-Identifier: MIT */
/*
 * Where things lie in a process: shared by the runtime and by the loader in init,
 * which makes the first thread's stack.  Addresses are relative to the base of
 * the process: 0 for a component, K_PERSONALITY_BASE for the personality.
 */
#pragma once

#include <stdint.h>

#define RT_IMAGE	0x00400000ull		/* linked there */
#define RT_STACKS	0x01000000ull		/* thread blocks */
#define RT_STACKS_SIZE	0x40000000ull
#define RT_HEAP		0x100000000ull
#define RT_HEAP_SIZE	0x400000000ull		/* 16 GiB of addresses */

/*
 * A thread's block: RT_BLOCK bytes, aligned to that, so that a thread finds its
 * block from its stack pointer.
 *
 *	0			guard page, never mapped
 *	RT_GUARD		stack, growing down from RT_FRAME
 *	RT_FRAME		frame page: struct k_user_frame first, the runtime's
 *				struct rt_thread at RT_THREAD
 */
#define RT_BLOCK	0x8000ull
#define RT_GUARD	0x1000ull
#define RT_FRAME	(RT_BLOCK - 0x1000ull)
#define RT_THREAD	(RT_FRAME + 0x800ull)

/* The first thread has block 0. */
