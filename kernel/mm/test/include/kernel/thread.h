/* SPDX-License-Identifier: MIT */
#pragma once

struct space;

struct thread {
	struct space *run_space, *own_space;
};

extern struct thread sim_thread;

static inline struct thread *current_thread(void) { return &sim_thread; }
