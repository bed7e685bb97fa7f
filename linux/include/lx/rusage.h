/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/task.h"

/* As struct rusage; 0 or -EFAULT. */
int lx_rusage_to_user(uaddr_t dst, const struct lx_rusage_sum *sum);
