/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/types.h"

int lx_timeval_from_user(uint64_t *ns, uaddr_t utv);
/* The realtime clock was set. */
void lx_clock_changed(void);
