/* SPDX-License-Identifier: MIT */
/*
 * x86-64 side of arch/thread.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"

/* The thread's own while it runs, else constant; offsets of the first ones: asm_offsets.h. */
struct arch_thread {
	uint64_t rsp;			/* kernel stack pointer while it does not run */
	uint64_t fs_base, gs_base;	/* ring 3's, as loaded while it runs */
	struct k_user_frame *frame;	/* arch_cpu.frame while it does not run */
	uint64_t rsp0;			/* arch_cpu.tss.rsp[0], likewise */
	uint64_t stamp;			/* cycles: start of the present stretch of user or system time */
	uint64_t user_cycles, system_cycles;

	uint64_t system_seen;		/* of system_cycles: added to a CPU's count already */
	void *stack;			/* lowest address; constant until it has ended */
	void *xsave;			/* register area (aligned to 64), or NULL: never in ring 3 */
	struct k_debug_state debug;	/* K_STATE_DEBUG; written while it does not run, or by itself */
	uint32_t fpu_cpu;		/* where it was last loaded: may still be there; ~0: nowhere */
	uint32_t pad;
};

/* What an entry to the kernel leaves on the stack. */
struct arch_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};
