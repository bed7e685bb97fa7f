/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "abi/types.h"

struct page_stats {
	uint64_t managed, free;
};

void page_stats(struct page_stats *out);
void page_set_low_watch(uint64_t pages, void (*fn)(void));
