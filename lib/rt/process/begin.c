/* SPDX-License-Identifier: MIT */
/* From _start to rt_main(), and the end. */
#include "rt/process.h"
#include "rt/user.h"
#include "thread_priv.h"
#include "user_priv.h"

void rt_begin(k_handle_t bootstrap, void *own_block) __attribute__((noreturn));

uint64_t rt_base(void)
{
	return (uint64_t)(uintptr_t)&rt_base & ~(RT_STACKS_SIZE - 1);
}

/* @own_block: the block in our own image when the starter gave none, else NULL. */
void rt_begin(k_handle_t bootstrap, void *own_block)
{
	uint64_t reap;

	if (own_block)
		(void)!k_space_unmap(0, (uint64_t)own_block, RT_GUARD, &reap);
	if (rt_base())
		rt_user_start();
	k_process_exit((uint32_t)rt_main(bootstrap) & 0xff);
}
