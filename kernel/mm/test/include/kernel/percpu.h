/* SPDX-License-Identifier: MIT */
/* Processors that take turns, and nobody who preempts. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

#define MAX_CPUS 4u

struct cpu {
	_Atomic(uint32_t) online;
};

extern struct cpu *cpus[MAX_CPUS];
extern uint32_t cpu_count, sim_cpu;

static inline uint32_t cpu_id(void) { return sim_cpu; }
static inline void preempt_disable(void) {}
static inline void preempt_enable(void) {}
