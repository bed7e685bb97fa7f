/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"
#include "kernel/thread.h"

#define BLOCK_KICKABLE	(1u << 0)
#define BLOCK_KILLABLE	(1u << 1)

void sched_prepare(uint32_t block_flags);
k_status_t sched_block(uint64_t deadline_ns);
void sched_cancel(void);
bool sched_wake(struct thread *t);
bool sched_wake_sync(struct thread *t);
