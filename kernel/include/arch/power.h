/* SPDX-License-Identifier: MIT */
/*
 * The ends of the machine.  None returns; each tries what the board offers in turn
 * and halts when nothing works.  Any context; other CPUs are stopped first.
 */
#pragma once

#include <stdint.h>

#include "base/util.h"

NORETURN void arch_power_off(uint32_t status);	/* status: QEMU's exit through debugexit */
NORETURN void arch_reboot(void);
NORETURN void arch_halt(void);

/* End QEMU with status << 1 | 1 if concord.debugexit allows; returns if it does not. */
void arch_power_exit(uint32_t status);
