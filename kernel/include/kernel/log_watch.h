/* SPDX-License-Identifier: MIT */
#pragma once

#include "abi/types.h"
#include "base/util.h"

struct bell;

/* Ring @bell (NULL: no more) for process @owner (koid) when the log grows.  NO_MEMORY: too many. */
k_status_t log_watch(uint64_t owner, struct bell *bell, uint64_t bits) MUST_CHECK;
