/* SPDX-License-Identifier: MIT */
/*
 * A kernel without a machine: what the object and IPC layers need, for host tests.
 *
 * There is one thread of execution.  When the code under test blocks, the function
 * in sim_on_block runs once, and does what another thread would have done meanwhile;
 * if nobody was woken by it, the block ends with sim_block_status.
 */
#pragma once

#include "abi/status.h"
#include "abi/types.h"
#include "kernel/group.h"
#include "kernel/object.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/thread.h"

extern struct thread *sim_current;
extern struct thread sim_thread[4];
extern struct process sim_process;
extern struct space sim_space;

extern void (*sim_on_block)(void);
extern k_status_t sim_block_status;
extern unsigned int sim_blocks;			/* how often a thread blocked */

extern unsigned int sim_fail_allocation;	/* n: the n-th allocation from now on fails; 0: none */
extern uint64_t sim_allocated;			/* blocks that are not freed */
extern uint64_t sim_free_pages;

/* Fresh state; at the start of each test. */
void sim_reset(void);
/* CHECK that nothing is left of what the test made; at its end. */
void sim_check_clean(void);

/* An object that counts its ends. */
struct sim_object {
	struct object object;
};
extern unsigned int sim_closed, sim_destroyed;
struct object *sim_object_create(void);
