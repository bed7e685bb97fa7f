/* SPDX-License-Identifier: MIT */
/*
 * x86-64 side of arch/cpu.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t arch_irqflags_t;

#define X86_RFLAGS_IF (1u << 9)

static inline arch_irqflags_t arch_irq_save(void)
{
	arch_irqflags_t flags;

	asm volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void arch_irq_disable(void)
{
	asm volatile("cli" : : : "memory");
}

static inline void arch_irq_enable(void)
{
	asm volatile("sti" : : : "memory");
}

static inline void arch_irq_restore(arch_irqflags_t flags)
{
	if (flags & X86_RFLAGS_IF)
		arch_irq_enable();
}

static inline bool arch_irq_enabled(void)
{
	arch_irqflags_t flags;

	asm volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags & X86_RFLAGS_IF;
}

static inline void arch_cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}

static inline uint64_t arch_cycles(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* a * b / c without overflow in between; the result must fit. */
static inline uint64_t arch_mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t low, high, quotient, rest;

	asm("mulq %3" : "=a"(low), "=d"(high) : "0"(a), "rm"(b) : "cc");
	asm("divq %4" : "=a"(quotient), "=d"(rest) : "0"(low), "1"(high), "rm"(c) : "cc");
	return quotient;
}
