/* SPDX-License-Identifier: MIT */
/* Registers of a task that is not running its program, in Linux's order. */
#pragma once

#include "lx/types.h"

#define LX_NR_REGS 27			/* words of struct user_regs_struct */

void lx_regs_get(const struct lx_task *t, uint64_t regs[LX_NR_REGS]);
/* The XSAVE image (lx_xstate_size() bytes) with Linux's software bytes. */
int lx_xstate_get(const struct lx_task *t, uint8_t *buf);
