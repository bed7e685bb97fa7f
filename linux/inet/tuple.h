/* SPDX-License-Identifier: MIT */
/*
 * The two ends of a connection, or of a packet, and the secrets of a network namespace with which
 * they are made into numbers.
 */
#pragma once

#include "inet/address.h"
#include "inet/siphash.h"

struct inet_tuple {
	struct inet_addr local, remote;
	uint16_t local_port, remote_port;	/* network byte order */
};

/* A key for each use, so that one kind of number says nothing about another. */
struct inet_secret {
	struct siphash_key table;	/* places in hash tables */
	struct siphash_key port;	/* inet_port_choose() */
	struct siphash_key isn;		/* tcp_isn() */
	struct siphash_key stamp;	/* tcp_stamp_offset() */
	struct siphash_key cookie;	/* tcp_cookie_make() */
};

static inline uint64_t inet_tuple_hash(const struct siphash_key *key, const struct inet_tuple *t,
				       uint64_t more)
{
	uint64_t word[] = { t->local.q[0], t->local.q[1], t->remote.q[0], t->remote.q[1],
			    (uint64_t)t->local_port << 16 | t->remote_port, more };

	return siphash(key, word, 6);
}
