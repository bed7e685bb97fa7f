/* SPDX-License-Identifier: MIT */
/*
 * The architecture's part of a thread (struct arch_thread in arch_impl/thread.h),
 * and the switch between threads.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"
#include "arch_impl/thread.h"
#include "base/util.h"

struct cpu;
struct thread;
struct thread_params;

/* Stack, first context and register area of a new thread.  NO_MEMORY: nothing was made. */
MUST_CHECK k_status_t arch_thread_init(struct thread *t, const struct thread_params *params);
void arch_thread_free(struct thread *t);

/*
 * Switch stacks and registers from @prev to @next, interrupts disabled.  Returns
 * when @prev runs again, with the thread that ran before it; new threads start at
 * their function after sched_finish_switch().
 */
struct thread *arch_context_switch(struct thread *prev, struct thread *next);

/*
 * Time in the kernel: of a thread, and of all threads that ran on a CPU.  What is not
 * accounted yet is time in ring 3 more likely than not: stretches there can be long.
 */
uint64_t arch_thread_system_ns(struct thread *t);
uint64_t arch_cpu_system_ns(const struct cpu *cpu);

/* Free bytes of the calling thread's stack. */
size_t arch_stack_left(void);

/*
 * A program's registers that are not in the frame (K_STATE_XSAVE): copy out or in,
 * of a thread that does not run (or the caller).  *@length is the capacity, then
 * the size.  TOO_BIG, BAD_ARGUMENT (an image that the hardware would refuse).
 */
MUST_CHECK k_status_t arch_thread_xsave_read(struct thread *t, void *dst, uint64_t *length);
MUST_CHECK k_status_t arch_thread_xsave_write(struct thread *t, const void *src, uint64_t length);
/* The state that an execve() starts with. */
void arch_thread_xsave_reset(struct thread *t);

/*
 * K_STATE_XSAVE_PROGRAM: the calling thread's, to and from user memory in one
 * instruction.  The range lies in the program's half.  Any context that may be
 * interrupted; no fault is settled.  @reset: leave the initial state, if it was stored.
 */
MUST_CHECK k_status_t arch_xsave_to_user(uint64_t addr, uint64_t *length, bool reset);
MUST_CHECK k_status_t arch_xsave_from_user(uint64_t addr, uint64_t length);

/*
 * Its hardware breakpoints (K_STATE_DEBUG), from its next run on.  BAD_ARGUMENT: one
 * that is enabled is no breakpoint on the program's memory.
 */
MUST_CHECK k_status_t arch_thread_debug_write(struct thread *t, const struct k_debug_state *state);
