/* SPDX-License-Identifier: MIT */
/* Threads that were refused memory (rt/memory.h), the same source in both placements. */
#include <stddef.h>

#include "rt/held.h"
#include "rt/memory.h"

void rt_memory_refused(void)
{
	struct rt_held *h = rt_held();

	if (h)
		h->refused = true;
}

bool rt_memory_was_refused(void)
{
	struct rt_held *h = rt_held();
	bool refused = h && h->refused;

	if (refused)
		h->refused = false;
	return refused;
}
