/* SPDX-License-Identifier: MIT */
/* The character devices that need no hardware. */
#pragma once

#include "lx/types.h"

/* null, zero, full, random, urandom, kmsg, concord: register them and make their nodes. */
int lx_char_init(void);

/* Show a device in sysfs: class/@class/@name, with its number.  0 or a negative errno. */
int lx_class_device(const char *class, const char *name, lx_dev_t dev);
