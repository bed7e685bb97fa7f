/* SPDX-License-Identifier: MIT */
/*
 * Numbers of a connection that strangers must not guess: initial sequence numbers, offsets of time
 * stamps, and SYN cookies.  Sequence numbers and time stamps are in the machine's byte order.
 */
#pragma once

#include "inet/tuple.h"

/*
 * The initial sequence number of a connection that begins at @now_ns, a monotonic time (RFC 6528):
 * it rises by one in 64 ns, so that a new connection of the same ends begins beyond what an old one
 * has sent; the clock wraps in 275 s.
 */
uint32_t tcp_isn(const struct siphash_key *key, const struct inet_tuple *t, uint64_t now_ns);

/* Added to the clock of time stamps: the same for all connections of two hosts (RFC 7323, 5.4). */
uint32_t tcp_stamp_offset(const struct siphash_key *key, const struct inet_tuple *t);

/* What a SYN asked for that has to be known when its cookie comes back. */
struct tcp_cookie {
	uint16_t mss;			/* bytes that the peer takes in a segment */
	/* Only where both sides use time stamps: */
	bool sack, ecn;
	int8_t wscale;			/* the peer's, 0 to 14; negative: no scaling */
};

/*
 * SYN cookies: instead of remembering a half-open connection, its SYN's facts are put into the
 * initial sequence number of the answer, with a proof that we have made it for these ends and the
 * peer's initial sequence number @peer_isn not long ago.  The MSS is rounded down to one of eight.
 */
uint32_t tcp_cookie_make(const struct siphash_key *key, const struct inet_tuple *t,
			 uint32_t peer_isn, uint16_t mss, uint64_t now_ns);
/* Is @cookie one of ours, and not older than one to two minutes?  Then its MSS is in *@mss. */
bool tcp_cookie_check(const struct siphash_key *key, const struct inet_tuple *t, uint32_t peer_isn,
		      uint32_t cookie, uint64_t now_ns, uint16_t *mss);

/* The other facts travel in the low bits of the time stamp we send: @stamp or a little less. */
uint32_t tcp_cookie_stamp_make(uint32_t stamp, const struct tcp_cookie *c);
/* From the time stamp that came back, without the offset: all but c->mss. */
void tcp_cookie_stamp_read(uint32_t stamp, struct tcp_cookie *c);
