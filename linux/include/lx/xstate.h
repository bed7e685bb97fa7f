/* SPDX-License-Identifier: MIT */
/* The extended state (XSAVE) of programs, and alternate stacks. */
#pragma once

#include "lx/types.h"

/* Larger than any state that the kernel switches (AVX-512, PKRU); on the stack, so not much larger. */
#define LX_XSTATE_MAX	2816

struct lx_task;

void lx_xstate_init(const struct k_system_info *info);
uint64_t lx_xstate_size(void);
uint64_t lx_xstate_mask(void);
/* The caller's program gets the initial state (exec). */
int lx_xstate_clear(void);
/* Would the processor accept this image (of lx_xstate_size() bytes)? */
bool lx_xstate_valid(const uint8_t *image);

/* SS_DISABLE, SS_ONSTACK or 0 */
uint32_t lx_altstack_status(const struct lx_task *self, uint64_t sp);
/* sigreturn: the frame's alternate stack, if it makes sense.  @ss: stack_t */
void lx_altstack_restore(struct lx_task *self, const void *ss, uint64_t sp);
