/* SPDX-License-Identifier: MIT */
/*
 * The one-shot event timer of each CPU, and wall-clock time at boot.
 */
#pragma once

#include <stdint.h>

/* Ask for an interrupt on this CPU at @deadline_ns (monotonic; past: at once), replacing the
 * last request.  UINT64_MAX: none.  Interrupts disabled.  Calls timer_interrupt(). */
void arch_timer_set(uint64_t deadline_ns);

/* Seconds since 1970 from the board's clock. */
uint64_t arch_rtc_seconds(void);

/* kernel/sched/timer.c: run what is due.  Interrupt context. */
void timer_interrupt(void);
