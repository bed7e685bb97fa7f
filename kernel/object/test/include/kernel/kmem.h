/* SPDX-License-Identifier: MIT */
/* The heap is the C library's; sim_fail_allocation makes one of the next calls fail. */
#pragma once

#include <stddef.h>

void *kmalloc(size_t size);
void *kzalloc(size_t size);
void *kcalloc(size_t n, size_t size);
void kfree(void *p);
