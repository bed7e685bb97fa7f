/* SPDX-License-Identifier: MIT */
/*
 * A scheduler that does what it is allowed to do, and nothing that it usually does.
 *
 * With the boot word sched.shuffle=SEED, in builds with CONFIG_CHECKS, orders of events
 * that are rare otherwise become common:
 *
 *	- threads are preempted at random moments, after spin-locked sections, after waking
 *	  or starting others;
 *	- the next thread is any of those that are near the front of the queue, a woken or
 *	  new one goes to any CPU that it may use;
 *	- requests to reschedule reach other CPUs late, by up to SHUFFLE_TICK_NS;
 *	- a CPU stands still for some time, as one does whose hypervisor runs something else.
 *
 * Real-time threads keep their order and every thread its CPUs: what programs rely on
 * holds.  SEED chooses another sequence of decisions; it does not repeat a run, as time
 * is not repeated.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

extern bool shuffle_enabled;		/* constant once other CPUs run */

static inline bool shuffle_is_on(void)
{
	return CONFIG_CHECKS && unlikely(shuffle_enabled);
}

/* Before other CPUs are started. */
void shuffle_configure(const char *command_line);

/* On each CPU, when it begins to run threads.  Interrupts disabled. */
void shuffle_start_cpu(void);

/* True once in @n calls; any context. */
bool shuffle_one_in(uint32_t n);
uint64_t shuffle_random(void);

/* A place where preemption may be wanted; preemption is disabled. */
void shuffle_point(void);

/* Whether to put off interrupting @cpu: it will be, by this CPU's next tick.  Interrupts disabled. */
bool shuffle_puts_off(uint32_t cpu);
