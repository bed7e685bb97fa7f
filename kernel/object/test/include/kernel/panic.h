/* SPDX-License-Identifier: MIT */
#pragma once

#include <assert.h>

#include "base/util.h"

NORETURN void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define kassert(cond)		assert(cond)
#define kassert_checks(cond)	assert(cond)
