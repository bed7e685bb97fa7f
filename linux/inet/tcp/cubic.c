/* SPDX-License-Identifier: MIT */
/*
 * CUBIC (RFC 9438).  After loss the window is a function of time and not of round trips:
 *
 *	W(t) = C (t - K)^3 + W_max,  K = cbrt((W_max - W_epoch) / C),  C = 0.4
 *
 * It rises fast at first, hardly around W_max, where loss came last, and fast again beyond.  Where
 * that is slower than a Reno would be (short round trips, small windows), it does as Reno would
 * (W_est).
 *
 * No floating point here: times are milliseconds, windows of the curve 1/256 of a segment.
 * A part of a segment is kept as the numerator over the window, so that nothing is lost in rounding
 * however large the window is.
 */
#include "base/util.h"
#include "inet/tcp/cc.h"

#define UNIT		256u		/* of the curve, in a segment */
#define BETA(w)		((w) * 7 / 10)	/* 4.6 */
#define NS_PER_MS	1000000u
/* Beyond, the curve is above TCP_CC_WINDOW_MAX: 0.4 * (2^18 ms)^3 is 7.2 million segments. */
#define MS_MAX		(1u << 18)
/* 4.3: a Reno with our beta grows by 3 (1 - beta) / (1 + beta) = 9/17 segments in a round trip. */
#define ALPHA		9u
#define ALPHA_OF	17u

/* The root of a number below 2^54, rounded down: K of the largest window is less than 2^18 ms. */
static uint64_t cbrt_of(uint64_t v)
{
	uint64_t root = 0;

	for (uint64_t bit = 1u << 17; bit; bit >>= 1)
		if ((root | bit) * (root | bit) * (root | bit) <= v)
			root |= bit;
	return root;
}

static void cubic_init(struct tcp_cc *cc)
{
	cc->cubic = (struct tcp_cubic){ .epoch_ns = 0 };
}

/* 4.8, 4.10: from here on the curve counts. */
static void epoch_begin(struct tcp_cc *cc, uint64_t now_ns)
{
	struct tcp_cubic *c = &cc->cubic;

	c->epoch_ns = now_ns;
	c->part = c->est_part = 0;
	c->w_est = cc->cwnd;
	if (c->w_max <= cc->cwnd) {
		c->w_max = cc->cwnd;
		c->k_ms = 0;
	} else {
		/* K^3 in ms^3 is the difference / 0.4 * 10^9 */
		c->k_ms = cbrt_of((uint64_t)(c->w_max - cc->cwnd) * 2500000000u);
	}
}

/* W(t), in UNITs. */
static uint64_t curve(const struct tcp_cubic *c, uint64_t t_ms)
{
	uint64_t d = MIN(t_ms < c->k_ms ? c->k_ms - t_ms : t_ms - c->k_ms, (uint64_t)MS_MAX);
	/* 0.4 * (d / 1000)^3 * 256 */
	uint64_t delta = d * d * d * 2 / (5000000000u / UNIT), top = (uint64_t)c->w_max * UNIT;

	if (t_ms >= c->k_ms)
		return top + delta;
	return top > delta ? top - delta : 0;
}

static void grow_estimate(struct tcp_cc *cc, uint32_t acked)
{
	struct tcp_cubic *c = &cc->cubic;

	c->est_part += (uint64_t)acked * (c->w_est >= c->w_prior ? ALPHA_OF : ALPHA);
	while (c->est_part >= (uint64_t)ALPHA_OF * cc->cwnd) {
		c->est_part -= (uint64_t)ALPHA_OF * cc->cwnd;
		c->w_est++;
	}
}

static void grow(struct tcp_cc *cc, const struct tcp_cc_ack *a, uint32_t acked)
{
	struct tcp_cubic *c = &cc->cubic;
	uint64_t t_ms = (a->now_ns - c->epoch_ns) / NS_PER_MS;
	uint64_t target = curve(c, t_ms + a->srtt_ns / NS_PER_MS);
	uint64_t cwnd = (uint64_t)cc->cwnd * UNIT;

	grow_estimate(cc, acked);
	if (curve(c, t_ms) < (uint64_t)c->w_est * UNIT) {
		cc->cwnd = MIN(MAX(cc->cwnd, c->w_est), TCP_CC_WINDOW_MAX);
		return;
	}
	target = MIN(MAX(target, cwnd), cwnd + cwnd / 2);	/* 4.2 */
	c->part += (uint64_t)acked * (target - cwnd);
	while (c->part >= (uint64_t)cc->cwnd * UNIT && cc->cwnd < TCP_CC_WINDOW_MAX) {
		c->part -= (uint64_t)cc->cwnd * UNIT;
		cc->cwnd++;
	}
}

static void cubic_ack(struct tcp_cc *cc, const struct tcp_cc_ack *a)
{
	uint32_t acked = a->acked;

	if (!a->limited)
		return;
	if (tcp_cc_in_slow_start(cc)) {
		acked = tcp_cc_slow_start(cc, a);
		if (tcp_cc_in_slow_start(cc))
			return;
	}
	if (!cc->cubic.epoch_ns)
		epoch_begin(cc, a->now_ns);
	/* More than a window's worth can be acknowledged only if it was larger: it counts once. */
	grow(cc, a, MIN(acked, cc->cwnd));
}

static uint32_t cubic_ssthresh(struct tcp_cc *cc)
{
	struct tcp_cubic *c = &cc->cubic;

	c->epoch_ns = 0;
	c->w_prior = cc->cwnd;
	c->prior_last_max = c->w_last_max;
	/* 4.7, fast convergence: loss came earlier than last time, so leave room for who came. */
	c->w_max = cc->cwnd < c->w_last_max ? cc->cwnd * 17 / 20 : cc->cwnd;
	c->w_last_max = cc->cwnd;
	return MAX(BETA(cc->cwnd), 2u);
}

/* The curve starts again from the window that is restored, as after slow start. */
static void cubic_undo(struct tcp_cc *cc)
{
	struct tcp_cubic *c = &cc->cubic;

	c->epoch_ns = 0;
	c->w_last_max = c->prior_last_max;
	c->w_max = MAX(c->w_last_max, cc->cwnd);
}

/* 5.8: the time in which there was nothing to send is none of the curve's. */
static void cubic_resume(struct tcp_cc *cc, uint64_t idle_ns)
{
	if (cc->cubic.epoch_ns)
		cc->cubic.epoch_ns += idle_ns;
}

const struct tcp_cc_ops tcp_cubic = { .name = "cubic", .init = cubic_init, .ack = cubic_ack,
				      .ssthresh = cubic_ssthresh, .undo = cubic_undo,
				      .resume = cubic_resume };
