/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* Fill with bytes from the kernel's generator (k_random). */
void rt_random(void *dst, size_t n);
