/* SPDX-License-Identifier: MIT */
#pragma once

#include "abi/types.h"
#include "kernel/object.h"

struct process;
struct space;

struct thread {
	struct object object;
	struct object_reaper reaper;
	struct process *process;
	struct space *space, *own_space;
	bool blocking, woken;
	uint32_t block_flags;
};
