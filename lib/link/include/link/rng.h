/* SPDX-License-Identifier: MIT */
/* Entropy sources over a link (virtio entropy device protocol). */
#pragma once

#include "link/link.h"

struct rng;

/* The link belongs to it from then on.  Does not wait for the driver. */
k_status_t rng_open(struct link *l, struct rng **out);
void rng_close(struct rng *r);

/*
 * Sleep for at least one and at most @n random bytes; *@done says how many.
 * IO: the driver died.  KICKED (interruptible only), TIMED_OUT.
 */
k_status_t rng_read(struct rng *r, void *buf, size_t n, uint64_t deadline_ns, bool interruptible,
		    size_t *done);
