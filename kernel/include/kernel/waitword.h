/* SPDX-License-Identifier: MIT */
/*
 * Waiting words: sleep while a word in memory has a value, until somebody wakes
 * those who wait on it.  Theory: ipc/waitword.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/object.h"

struct space;

/*
 * @space NULL: @addr is a kernel address (a personality in the kernel image).
 * Statuses are those of the call `wait`.  Waiting needs a space that the calling
 * thread has loaded (its own or its program's): BAD_ARGUMENT otherwise.
 */
k_status_t waitword_wait(struct space *space, uint64_t addr, uint32_t expected, uint32_t bitset,
			 uint64_t deadline_ns, uint32_t flags) MUST_CHECK;
k_status_t waitword_wake(struct space *space, uint64_t addr, uint32_t count, uint32_t bitset,
			 uint32_t flags, uint64_t *woken) MUST_CHECK;
k_status_t waitword_requeue(struct space *space, struct k_requeue *requeue) MUST_CHECK;

void waitword_start(void);
