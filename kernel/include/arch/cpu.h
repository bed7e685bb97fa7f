/* SPDX-License-Identifier: MIT */
/*
 * The processor: interrupts flag, cycle counter, identification.
 *
 * The architecture provides in arch_impl/cpu.h, inline:
 *   arch_irqflags_t			what arch_irq_save() returns
 *   arch_irq_save(), arch_irq_restore(flags), arch_irq_disable(), arch_irq_enable()
 *   bool arch_irq_enabled(void)
 *   arch_cpu_relax()			in spin loops
 *   arch_cycles()			a counter of constant rate, the same on all CPUs
 *   arch_mul_div(a, b, c)		a * b / c with 128 bits in between
 */
#pragma once

#include "arch_impl/cpu.h"

#include "abi/types.h"
#include "base/util.h"

/* Wait for an interrupt with interrupts enabled; returns with them disabled.  Entered with
 * interrupts disabled, so that no wake-up is lost in between. */
void arch_cpu_idle(void);

/* Stop for ever, interrupts disabled. */
NORETURN void arch_cpu_halt(void);

/* Fill what the hardware knows about CPU @cpu; false: there is none. */
bool arch_cpu_info(uint32_t cpu, struct k_cpu_info *info);

/* CPUID words for k_system_info: features[4], xsave_size, xsave_mask. */
void arch_system_info(struct k_system_info *info);

/* Whether this runs under emulation, where "rep movsb" is slow. */
bool arch_cpu_is_emulated(void);

/* 64 random bits from the processor; false: it has no such instruction. */
bool arch_random(uint64_t *value);
