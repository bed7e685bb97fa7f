/* SPDX-License-Identifier: MIT */
/*
 * Threads of the personality (and of components), the same in both placements.
 */
#pragma once

#include <stdatomic.h>

#include "abi/types.h"

/* The pointer that rt_thread_create was given for the calling thread (struct lx_task *, say). */
void *rt_self(void);
void rt_set_self(void *self);

/*
 * The frame of the calling thread: where k_user_run takes the program's
 * registers from.  One per thread, constant for the thread's life.
 */
struct k_user_frame *rt_frame(void);

/*
 * Start a thread of this process at @fn(@self), with rt_self() == @self, its
 * frame a copy of *@frame (or zero), and @space as its program space (or 0).
 * @flags: K_THREAD_*.  *@thread gets a handle that the caller owns, before the thread
 * runs: both may rely on it.  NO_MEMORY or LIMIT: no thread was made, *@thread is as
 * it was.
 */
k_status_t rt_thread_create(void (*fn)(void *self), void *self, const struct k_user_frame *frame,
			    k_handle_t space, uint32_t flags, const char *name,
			    _Atomic(k_handle_t) *thread);

/* End the calling thread; frees its stack. */
void rt_thread_exit(void) __attribute__((noreturn));

/* Bytes of stack still free below the caller: a check for deep recursion. */
uint64_t rt_stack_left(void);
