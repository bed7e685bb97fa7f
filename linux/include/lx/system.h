/* SPDX-License-Identifier: MIT */
/*
 * What this personality was given at its start, and facts about the machine that
 * do not change.  Written by lx_main() before anything else runs.
 */
#pragma once

#include "lx/types.h"

struct lx_system {
	k_handle_t process, group, power, log, space;
	k_handle_t control;		/* channel to init, or 0: it may not control components */
	bool in_process;		/* placement process */
	char name[32];
	char command_line[1024];
	struct k_system_info info;	/* at start */
	k_handle_t clock_page;		/* memory, or 0 */
};

extern struct lx_system lx_system;

/* The load averages over one, five and fifteen minutes, in units of 1 / 65536 (sysinfo(2)). */
#define LX_LOADS 3
void lx_load_averages(unsigned long loads[LX_LOADS]);
void lx_loadavg_start(void);		/* after the timers */

/* sysctls that more than one place looks at */
extern _Atomic(uint32_t) lx_overcommit_memory, lx_overcommit_ratio, lx_randomize_va_space;
extern _Atomic(uint64_t) lx_mmap_min_addr;
extern char lx_core_pattern[128];	/* a torn read gives an odd name, no more */
