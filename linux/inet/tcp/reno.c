/* SPDX-License-Identifier: MIT */
/* Congestion avoidance of RFC 5681: a segment more per round trip, half of the window on loss. */
#include "base/util.h"
#include "inet/tcp/cc.h"

static void reno_init(struct tcp_cc *cc)
{
	cc->reno_part = 0;
}

static void reno_ack(struct tcp_cc *cc, const struct tcp_cc_ack *a)
{
	uint32_t acked = a->acked;

	if (!a->limited)
		return;
	if (tcp_cc_in_slow_start(cc))
		acked = tcp_cc_slow_start(cc, a);
	cc->reno_part += acked;
	while (cc->reno_part >= cc->cwnd && cc->cwnd < TCP_CC_WINDOW_MAX) {
		cc->reno_part -= cc->cwnd;
		cc->cwnd++;
	}
}

static uint32_t reno_ssthresh(struct tcp_cc *cc)
{
	cc->reno_part = 0;
	return MAX(cc->cwnd / 2, 2u);
}

const struct tcp_cc_ops tcp_reno = { .name = "reno", .init = reno_init, .ack = reno_ack,
				     .ssthresh = reno_ssthresh };
