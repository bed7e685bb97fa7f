/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/* Nanoseconds since boot; never goes back.  No kernel call where the TSC is usable. */
uint64_t rt_now_ns(void);
/* Nanoseconds since 1970 (UTC), may be set. */
uint64_t rt_realtime_ns(void);
