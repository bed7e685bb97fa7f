/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t arch_irqflags_t;

static inline arch_irqflags_t arch_irq_save(void) { return 0; }
static inline void arch_irq_restore(arch_irqflags_t flags) { (void)flags; }
static inline bool arch_irq_enabled(void) { return true; }
static inline void arch_cpu_relax(void) {}
