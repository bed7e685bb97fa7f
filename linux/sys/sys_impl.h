/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/types.h"

/* task/capability.c: the options of prctl that are about capabilities. */
long lx_cred_prctl(struct lx_task *self, int option, uint64_t arg2, uint64_t arg3);
