/* SPDX-License-Identifier: MIT */
/*
 * Other processors: starting them, interrupting them.
 */
#pragma once

#include <stdint.h>

enum arch_ipi {
	IPI_RESCHEDULE,		/* sched_ipi() */
	IPI_SHOOTDOWN,		/* shootdown_interrupt() (kernel/shootdown.h) */
	IPI_STOP,		/* panic: halt; not maskable */
};

/* Any context; does not wait.  @cpu may be the caller's own. */
void arch_ipi_send(uint32_t cpu, enum arch_ipi ipi);
void arch_ipi_send_mask(uint64_t mask, enum arch_ipi ipi);

/* Start all processors that the firmware lists, at most @max. */
void arch_smp_start(uint32_t max);
