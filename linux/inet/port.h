/* SPDX-License-Identifier: MIT */
/*
 * Which port a socket gets that asked for none: RFC 6056.
 */
#pragma once

#include <stdatomic.h>

#include "inet/tuple.h"

#define INET_PORT_COUNTERS	1024u

struct inet_port_range {
	uint16_t low, high;		/* both included, low <= high (ip_local_port_range) */
};

/* A namespace's; all zeros at first, better random. */
struct inet_port_counters {
	_Atomic(uint32_t) next[INET_PORT_COUNTERS];	/* relaxed: hints */
};

/*
 * A port for a connection from @t->local to @t->remote and @t->remote_port (@t->local_port is not
 * looked at) that @is_free likes: a number in the machine's byte order, or -EADDRNOTAVAIL.  Ports
 * with the parity of @range->low come first, as on Linux, where the others are bind's first choice.
 */
int inet_port_choose(const struct siphash_key *key, struct inet_port_counters *counters,
		     const struct inet_port_range *range, const struct inet_tuple *t,
		     bool (*is_free)(uint16_t port, void *arg), void *arg);

/*
 * The same for bind(2) without a port: wherever @seed says, which is random (RFC 6056, 3.3.1), and those of the other
 * parity first.
 */
int inet_port_choose_random(const struct inet_port_range *range, uint32_t seed,
			    bool (*is_free)(uint16_t port, void *arg), void *arg);
