/* SPDX-License-Identifier: MIT */
/*
 * Clocks: monotonic nanoseconds since boot from the TSC, the realtime offset from
 * the RTC at boot, and the page that programs read both from.
 */
#pragma once

#include <stdint.h>

#include "abi/types.h"

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

/* Never goes back, on any CPU. */
uint64_t time_now_ns(void);

uint64_t time_realtime_ns(void);
void time_set_realtime_ns(uint64_t ns);

/* The page-aligned, page-sized clock page (in the kernel image) to be mapped read-only. */
struct k_clock_page *time_clock_page(void);

/* Cycles of arch_cycles() <-> nanoseconds. */
uint64_t time_cycles_to_ns(uint64_t cycles);
uint64_t time_ns_to_cycles(uint64_t ns);
uint64_t time_cycles_khz(void);

/* Boot: the rate of arch_cycles(), and where it stands now. */
void time_init(uint64_t khz, uint64_t realtime_ns);

/* A better measurement of the rate: time goes on from where it is. */
void time_adjust_rate(uint64_t khz);

/* Busy wait; boot and panic only. */
void time_delay_ns(uint64_t ns);
