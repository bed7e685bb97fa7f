/* SPDX-License-Identifier: MIT */
/*
 * x86-64 side of arch/percpu.h: struct cpu is at the GS base while the CPU runs
 * kernel code; user code's GS base waits in MSR_KERNEL_GS_BASE then (SWAPGS).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thread;
struct k_user_frame;

struct x86_tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap_base;
} __attribute__((packed));

#define X86_GDT_ENTRIES 10

/* All fields are the owner's.  Offsets of the first ones: asm_offsets.h. */
struct arch_cpu {
	uint64_t scratch;		/* the user's stack pointer for a few instructions */
	struct k_user_frame *frame;	/* registers of the program inside user_run(); NULL: none,
					 * ring 3 is a component's own code */
	struct thread *fpu_owner;	/* whose state the FPU holds and may change; NULL: nobody's */
	struct thread *fpu_last;	/* whose memory image equals what the FPU holds */
	uint32_t pad;
	struct x86_tss tss;		/* tss.rsp[0] is where entries from ring 3 find their stack */
	uint64_t gdt[X86_GDT_ENTRIES];
	uint64_t fs_loaded, gs_loaded;	/* ring 3's bases as they are in the registers */
	uint32_t apic_id;		/* constant */
	uint64_t system_cycles;		/* of threads that ran here, idle ones left out */
	uint8_t *ist_stacks;		/* constant */
	bool debug_loaded;		/* breakpoints of the running thread are in the registers */
};

static inline uint64_t arch_percpu_read64(size_t offset)
{
	uint64_t v;

	asm volatile("movq %%gs:%c1, %0" : "=r"(v) : "i"(offset));
	return v;
}

/* What is the same on every CPU that the thread moves to: may be kept in a register. */
static inline uint64_t arch_percpu_read64_stable(size_t offset)
{
	uint64_t v;

	asm("movq %%gs:%c1, %0" : "=r"(v) : "i"(offset));
	return v;
}

static inline uint32_t arch_percpu_read32(size_t offset)
{
	uint32_t v;

	asm volatile("movl %%gs:%c1, %0" : "=r"(v) : "i"(offset));
	return v;
}

static inline void arch_percpu_inc32(size_t offset)
{
	asm volatile("incl %%gs:%c0" : : "i"(offset) : "memory", "cc");
}

static inline bool arch_percpu_dec32_is_zero(size_t offset)
{
	bool zero;

	asm volatile("decl %%gs:%c1" : "=@ccz"(zero) : "i"(offset) : "memory");
	return zero;
}

static inline void arch_percpu_and32(size_t offset, uint32_t mask)
{
	asm volatile("andl %1, %%gs:%c0" : : "i"(offset), "r"(mask) : "memory", "cc");
}

static inline void arch_percpu_or32(size_t offset, uint32_t mask)
{
	asm volatile("orl %1, %%gs:%c0" : : "i"(offset), "r"(mask) : "memory", "cc");
}

static inline void arch_percpu_add32(size_t offset, uint32_t value)
{
	asm volatile("addl %1, %%gs:%c0" : : "i"(offset), "r"(value) : "memory", "cc");
}
