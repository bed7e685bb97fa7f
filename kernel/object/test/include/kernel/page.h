/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "abi/types.h"

uint64_t page_free_count(void);
void page_set_low_watch(uint64_t pages, void (*fn)(void));
