/* SPDX-License-Identifier: MIT */
/*
 * Counting what lives, to see that tests leave nothing behind.
 */
#pragma once

#include <stdbool.h>

#include "abi/types.h"

/* Settle what is deferred, give caches back, and count. */
void leak_count(struct k_object_counts *counts);
/* One line with all of it. */
void leak_log(const struct k_object_counts *counts);
/* How many kinds there are more of in @after; they are logged if @tell. */
unsigned int leak_compare(const struct k_object_counts *before, const struct k_object_counts *after,
			  bool tell);
