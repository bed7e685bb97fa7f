/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/char.h"
#include "lx/file.h"

#define MEM_MAJOR	1u
#define NULL_MINOR	3u
#define ZERO_MINOR	5u
#define FULL_MINOR	7u
#define RANDOM_MINOR	8u
#define URANDOM_MINOR	9u
#define KMSG_MINOR	11u

/* /dev/concord, if this personality may control components.  0 or a negative errno. */
int concord_init(void);

extern const struct lx_file_ops random_file_ops, kmsg_file_ops;
