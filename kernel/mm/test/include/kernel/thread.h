/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

struct space;

struct thread {
	struct space *run_space, *own_space;
};

extern struct thread sim_thread;

static inline bool thread_is_killed(void) { return false; }
static inline struct thread *current_thread(void) { return &sim_thread; }
