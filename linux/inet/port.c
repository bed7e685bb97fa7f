/* SPDX-License-Identifier: MIT */
/*
 * The double-hash algorithm (RFC 6056, 3.3.4): for one destination ports come one after the other,
 * so that none is used again soon; where they begin, and how far they have come, differs from
 * destination to destination in a way that strangers cannot foresee.
 */
#include "inet/port.h"

#include <asm/errno.h>

int inet_port_choose(const struct siphash_key *key, struct inet_port_counters *counters,
		     const struct inet_port_range *range, const struct inet_tuple *t,
		     bool (*is_free)(uint16_t port, void *arg), void *arg)
{
	struct inet_tuple to = { .local = t->local, .remote = t->remote,
				 .remote_port = t->remote_port };
	uint64_t hash = inet_tuple_hash(key, &to, 0);
	_Atomic(uint32_t) *next = &counters->next[(hash >> 32) % INET_PORT_COUNTERS];
	uint32_t begin = (uint32_t)hash + atomic_load_explicit(next, memory_order_relaxed);
	uint32_t count = (uint32_t)range->high - range->low + 1;

	for (uint32_t parity = 0; parity < 2; parity++) {
		uint32_t pairs = (count + 1 - parity) / 2;	/* ports of this parity */

		for (uint32_t i = 0; i < pairs; i++) {
			uint32_t port = range->low + parity + (begin + i) % pairs * 2;

			if (!is_free((uint16_t)port, arg))
				continue;
			atomic_fetch_add_explicit(next, i + 1, memory_order_relaxed);
			return (int)port;
		}
	}
	return -EADDRNOTAVAIL;
}

int inet_port_choose_random(const struct inet_port_range *range, uint32_t seed,
			    bool (*is_free)(uint16_t port, void *arg), void *arg)
{
	uint32_t count = (uint32_t)range->high - range->low + 1;

	for (uint32_t turn = 0; turn < 2; turn++) {
		uint32_t parity = 1 - turn;
		uint32_t pairs = (count + 1 - parity) / 2;

		for (uint32_t i = 0; i < pairs; i++) {
			uint32_t port = range->low + parity + (seed + i) % pairs * 2;

			if (is_free((uint16_t)port, arg))
				return (int)port;
		}
	}
	return -EADDRNOTAVAIL;
}
