/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

extern unsigned int heap_refuse_one_in;		/* allocations, at random; 0: none */
extern long heap_used;				/* pieces of memory that are not freed */
extern uint64_t heap_random;			/* not 0: where the numbers that decide begin */
