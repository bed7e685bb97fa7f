/* SPDX-License-Identifier: MIT */
/* The character devices that need no hardware. */
#pragma once

#include "lx/types.h"

/* null, zero, full, random, urandom, kmsg: register them and make their nodes. */
int lx_char_init(void);
