/* SPDX-License-Identifier: MIT */
#include "inet/tcp/rtt.h"

#include "base/util.h"

static void min_set(struct tcp_rtt *r, unsigned int from, uint64_t rtt_ns, uint64_t now_ns)
{
	for (unsigned int i = from; i < 3; i++) {
		r->min[i].rtt_ns = rtt_ns;
		r->min[i].at_ns = now_ns;
	}
}

/*
 * The least of a window that moves, in the space of three samples (Nichols' filter): [0] is it; [1]
 * and [2] are the least of what came after [0] and [1].  When [0] is too old, [1] takes its place.
 * So that they are not all of one moment, a quarter of the window without a better sample puts one
 * into [1], half of it one into [2].
 */
static void min_sample(struct tcp_rtt *r, uint64_t rtt_ns, uint64_t now_ns)
{
	uint64_t age;

	if (rtt_ns <= r->min[0].rtt_ns) {
		min_set(r, 0, rtt_ns, now_ns);
		return;
	}
	if (rtt_ns <= r->min[1].rtt_ns)
		min_set(r, 1, rtt_ns, now_ns);
	else if (rtt_ns <= r->min[2].rtt_ns)
		min_set(r, 2, rtt_ns, now_ns);
	while (now_ns - r->min[0].at_ns > TCP_RTT_MIN_WINDOW_NS) {
		r->min[0] = r->min[1];
		r->min[1] = r->min[2];
		min_set(r, 2, rtt_ns, now_ns);
	}
	age = now_ns - r->min[0].at_ns;
	if (r->min[1].at_ns == r->min[0].at_ns && age > TCP_RTT_MIN_WINDOW_NS / 4)
		min_set(r, 1, rtt_ns, now_ns);
	else if (r->min[2].at_ns == r->min[1].at_ns && age > TCP_RTT_MIN_WINDOW_NS / 2)
		min_set(r, 2, rtt_ns, now_ns);
}

void tcp_rtt_sample(struct tcp_rtt *r, uint64_t rtt_ns, uint64_t now_ns)
{
	uint64_t off;

	rtt_ns = MAX(rtt_ns, 1ull);
	if (!r->srtt_ns) {
		r->srtt_ns = rtt_ns;
		r->rttvar_ns = rtt_ns / 2;
		min_set(r, 0, rtt_ns, now_ns);
		return;
	}
	off = rtt_ns < r->srtt_ns ? r->srtt_ns - rtt_ns : rtt_ns - r->srtt_ns;
	r->rttvar_ns = r->rttvar_ns - r->rttvar_ns / 4 + off / 4;
	r->srtt_ns = MAX(r->srtt_ns - r->srtt_ns / 8 + rtt_ns / 8, 1ull);
	min_sample(r, rtt_ns, now_ns);
}

uint64_t tcp_rtt_rto(const struct tcp_rtt *r, unsigned int backoff)
{
	uint64_t rto = TCP_RTO_INITIAL_NS;

	/* As Linux: the least is one of the variance's part, so that it is never below the round trip. */
	if (r->srtt_ns)
		rto = r->srtt_ns + MAX(4 * r->rttvar_ns, TCP_RTO_MIN_NS);
	for (; backoff && rto < TCP_RTO_MAX_NS; backoff--)
		rto *= 2;
	return MIN(rto, TCP_RTO_MAX_NS);
}

uint64_t tcp_rtt_min(const struct tcp_rtt *r)
{
	return r->srtt_ns ? r->min[0].rtt_ns : UINT64_MAX;
}
