/* SPDX-License-Identifier: MIT */
/*
 * How long a round trip takes, and how long to wait for an ACK (RFC 6298).  Samples are from time
 * stamps, or from segments that were sent once (Karn).
 */
#pragma once

#include <stdint.h>

#define TCP_RTO_INITIAL_NS	1000000000ull		/* RFC 6298, 2.1 */
#define TCP_RTO_MIN_NS		200000000ull		/* Linux; RFC 6298 asks for 1 s */
#define TCP_RTO_MAX_NS		120000000000ull
#define TCP_RTT_MIN_WINDOW_NS	300000000000ull		/* tcp_min_rtt_wlen */

/* The owner of the connection locks. */
struct tcp_rtt {
	uint64_t srtt_ns, rttvar_ns;	/* srtt_ns 0: no sample yet */
	/* The least of the last TCP_RTT_MIN_WINDOW_NS: the best, the best of what came later, twice. */
	struct { uint64_t rtt_ns, at_ns; } min[3];
};

/* A sample; 0 counts as the shortest time there is. */
void tcp_rtt_sample(struct tcp_rtt *r, uint64_t rtt_ns, uint64_t now_ns);
/* The timeout after @backoff of them in a row (RFC 6298, 5.5). */
uint64_t tcp_rtt_rto(const struct tcp_rtt *r, unsigned int backoff);
/* The least sample of the window; UINT64_MAX: none. */
uint64_t tcp_rtt_min(const struct tcp_rtt *r);
