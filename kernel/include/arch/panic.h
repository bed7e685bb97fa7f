/* SPDX-License-Identifier: MIT */
/*
 * What panic() needs of the architecture, and gives to it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct arch_regs;

/* Stop the other CPUs for good, also those with interrupts disabled. */
void arch_stop_others(void);

void arch_panic_registers(const struct arch_regs *regs);

/* From @regs (NULL: the caller), to the end of the stack. */
void arch_panic_backtrace(const struct arch_regs *regs);

/* kernel/base/panic.c, for these two. */
void panic_write_address(uint64_t addr);
void panic_write_register(const char *name, uint64_t value, bool last);
