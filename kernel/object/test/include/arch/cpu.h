/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

typedef uint64_t arch_irqflags_t;

static inline bool arch_random(uint64_t *value)
{
	*value = 42;
	return true;
}

static inline uint64_t arch_cycles(void)
{
	static uint64_t cycles;

	return cycles += 17;
}
