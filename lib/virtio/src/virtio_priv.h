/* SPDX-License-Identifier: MIT */
#pragma once

/* A point between two stores at which a test may end the process. */
static inline void vq_step(void (*step)(void))
{
	if (CONFIG_CHECKS && step)
		step();
}
