/* SPDX-License-Identifier: MIT */
/*
 * What a component's own code is called by and may ask of its runtime
 * (processes only, not placement kernel).
 */
#pragma once

#include "abi/calls.h"

/* The component's main function.  Returning ends the process with that status. */
int rt_main(k_handle_t bootstrap);

/* Close a handle that is known to be good; 0 is fine. */
static inline void rt_close(k_handle_t handle)
{
	if (handle)
		(void)!k_handle_close(handle);
}
