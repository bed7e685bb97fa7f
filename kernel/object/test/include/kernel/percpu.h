/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct thread;

extern struct thread *sim_current;
extern unsigned int sim_spinlocks_held;

static inline struct thread *current_thread(void)
{
	return sim_current;
}

static inline uint32_t preempt_count(void)
{
	return sim_spinlocks_held;
}
