/* SPDX-License-Identifier: MIT */
/*
 * HyStart++ (RFC 9406).  Slow start doubles the window in each round trip, so the last doubling
 * sends twice what the path holds.  But a queue makes round trips longer before it is full: when
 * the least of a round exceeds that of the last one by an eighth, growth goes on at a quarter of
 * its speed (conservative slow start, CSS), and ends after five such rounds, unless the delay was
 * a passing one.
 */
#include "base/util.h"
#include "inet/tcp/cc.h"
#include "inet/tcp/seq.h"

enum {
	SAMPLES = 8,			/* of a round, before it says anything */
	DIVISOR = 8,			/* of the round trip: the threshold */
	CSS_DIVISOR = 4,		/* of growth */
	CSS_ROUNDS = 5,
	BURST = 8,			/* segments of one ACK that count: we do not pace */
};

#define THRESH_MIN_NS	(4ull * 1000 * 1000)
#define THRESH_MAX_NS	(16ull * 1000 * 1000)

static void round_begin(struct tcp_hystart *h, const struct tcp_cc_ack *a)
{
	h->last_min_ns = h->started ? h->min_ns : UINT64_MAX;
	h->min_ns = UINT64_MAX;
	h->samples = 0;
	h->round_end = a->nxt;
	h->started = true;
}

static void sample(struct tcp_hystart *h, uint64_t rtt_ns)
{
	uint64_t thresh;

	h->min_ns = MIN(h->min_ns, rtt_ns);
	h->samples++;
	if (h->samples < SAMPLES)
		return;
	if (h->css_rounds) {
		if (h->min_ns < h->base_ns)
			h->css_rounds = 0;		/* it had been a passing delay */
		return;
	}
	if (h->last_min_ns == UINT64_MAX)
		return;
	thresh = MIN(MAX(h->last_min_ns / DIVISOR, THRESH_MIN_NS), THRESH_MAX_NS);
	if (h->min_ns >= h->last_min_ns + thresh) {
		h->base_ns = h->min_ns;
		h->css_rounds = 1;
		h->fraction = 0;
	}
}

uint32_t tcp_hystart_growth(struct tcp_cc *cc, const struct tcp_cc_ack *a)
{
	struct tcp_hystart *h = &cc->hystart;
	uint32_t growth = MIN(a->acked, (uint32_t)BURST);

	/* Only the first slow start: later ones know where to stop. */
	if (cc->ssthresh < TCP_CC_SSTHRESH_MAX)
		return a->acked;
	if (!h->started) {
		round_begin(h, a);
	} else if (!seq_before(a->una, h->round_end)) {
		if (h->css_rounds && h->css_rounds++ >= CSS_ROUNDS) {
			cc->ssthresh = cc->cwnd;
			return growth;
		}
		round_begin(h, a);
	}
	if (a->rtt_ns)
		sample(h, a->rtt_ns);
	if (!h->css_rounds)
		return growth;
	h->fraction += growth;
	growth = h->fraction / CSS_DIVISOR;
	h->fraction %= CSS_DIVISOR;
	return growth;
}
