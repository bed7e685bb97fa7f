/* SPDX-License-Identifier: MIT */
/* What lies in a thread's block (rt/layout.h), for lib/rt/process. */
#pragma once

#include "abi/types.h"
#include "rt/held.h"
#include "rt/layout.h"

struct rt_thread {
	struct rt_thread *next_free;	/* of a free block, see thread.c */
	void *self;			/* rt_self(); the thread itself, its creator before */
	void (*fn)(void *self);		/* creator's, constant once it runs */
	struct rt_held held;		/* the thread itself */
};

/* The runtime's record of the calling thread. */
static inline struct rt_thread *rt_thread_own(void)
{
	uint64_t sp = (uint64_t)__builtin_frame_address(0);

	return (struct rt_thread *)((sp & ~(RT_BLOCK - 1)) + RT_THREAD);
}

/* Base of the process: 0, or K_PERSONALITY_BASE.  From where this code runs. */
uint64_t rt_base(void);
