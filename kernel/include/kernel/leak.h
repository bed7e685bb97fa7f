/* SPDX-License-Identifier: MIT */
/*
 * Counting what lives, to see that tests leave nothing behind.
 */
#pragma once

#include "abi/types.h"

/* Settle what is deferred, give caches back, and count. */
void leak_count(struct k_object_counts *counts);
/* One line with all of it. */
void leak_log(const struct k_object_counts *counts);
/* Log what there is more of in @after; returns the number of kinds that grew. */
unsigned int leak_compare(const struct k_object_counts *before, const struct k_object_counts *after);
