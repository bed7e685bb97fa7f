/* SPDX-License-Identifier: MIT */
#pragma once

extern unsigned int heap_refuse_one_in;		/* allocations, at random; 0: none */
extern long heap_used;				/* pieces of memory that are not freed */
