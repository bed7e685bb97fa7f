/* SPDX-License-Identifier: MIT */
#include "inet/tcp/recovery.h"

#include "base/util.h"

void tcp_recovery_init(struct tcp_recovery *r)
{
	*r = (struct tcp_recovery){ .state = TCP_OPEN };
}

void tcp_recovery_sent(struct tcp_recovery *r, bool again, uint64_t now_ns)
{
	r->out++;
	if (!again)
		return;
	r->again++;
	if (!r->first_again_ns)
		r->first_again_ns = now_ns;
}

void tcp_recovery_probe(struct tcp_recovery *r, bool again, uint32_t nxt)
{
	r->probe = true;
	r->probe_again = again;
	r->probe_to = nxt;
}

bool tcp_recovery_ends(const struct tcp_recovery *r, uint32_t una)
{
	return r->state != TCP_OPEN && !seq_before(una, r->point);
}

static void begin(struct tcp_recovery *r, struct tcp_cc *cc, uint32_t nxt)
{
	tcp_cc_settle(cc);		/* the last one was one, if it has not turned out yet */
	r->point = nxt;
	r->again = 0;
	r->first_again_ns = 0;
}

void tcp_recovery_timeout(struct tcp_recovery *r, struct tcp_cc *cc, uint32_t nxt)
{
	bool in_episode = r->state != TCP_OPEN;

	if (!in_episode)
		begin(r, cc, nxt);
	tcp_cc_timeout(cc, in_episode);
	r->state = TCP_TIMEOUT;
	r->point = nxt;
	r->probe = false;
}

/* RFC 8985, 7.4: a probe that was a retransmission and was needed has hidden a loss. */
static void probe_answered(struct tcp_recovery *r, struct tcp_cc *cc,
			   const struct tcp_recovery_ack *a)
{
	if (!r->probe || seq_before(a->una, r->probe_to))
		return;
	r->probe = false;
	if (!r->probe_again || a->dsack || r->state != TCP_OPEN)
		return;
	tcp_cc_settle(cc);
	tcp_cc_loss(cc);
	cc->cwnd = MIN(cc->cwnd, cc->ssthresh);
	tcp_cc_settle(cc);
}

/*
 * Nothing was lost if the segment that fills the first hole was sent before anything was sent
 * again (RFC 3522), or if everything that was sent again has arrived twice (RFC 2883, 5).
 */
static bool was_none(struct tcp_recovery *r, const struct tcp_cc *cc,
		     const struct tcp_recovery_ack *a)
{
	if (!cc->prior_cwnd || !r->first_again_ns)
		return false;
	if (a->dsack && r->again && !--r->again)
		return true;
	return r->state != TCP_OPEN && a->advances && a->echo_ns && a->echo_ns < r->first_again_ns;
}

/* RFC 6937 with SSRB: in proportion to what arrives down to ssthresh; then, as slow start, up to it. */
static void reduce(struct tcp_recovery *r, const struct tcp_scoreboard *b, struct tcp_cc *cc,
		   const struct tcp_recovery_ack *a)
{
	uint32_t pipe = tcp_scoreboard_pipe(b), may;

	r->delivered += a->delivered;
	if (pipe > cc->ssthresh) {
		uint64_t share = ((uint64_t)r->delivered * cc->ssthresh + r->flight - 1) / r->flight;

		may = share > r->out ? (uint32_t)(share - r->out) : 0;
	} else {
		may = r->delivered > r->out ? r->delivered - r->out : 0;
		may = MAX(may, a->delivered) + a->advances;
		may = MIN(may, cc->ssthresh - pipe);
	}
	if (!r->out)
		may = MAX(may, 1u);	/* the retransmission that begins it */
	cc->cwnd = MAX(pipe + may, 1u);
}

bool tcp_recovery_ack(struct tcp_recovery *r, struct tcp_scoreboard *b, struct tcp_cc *cc,
		      const struct tcp_recovery_ack *a)
{
	probe_answered(r, cc, a);
	if (was_none(r, cc, a)) {
		tcp_cc_undo(cc);
		tcp_scoreboard_found(b);
		r->state = TCP_OPEN;
	} else if (tcp_recovery_ends(r, a->una)) {
		if (r->state == TCP_FAST)
			cc->cwnd = cc->ssthresh;
		r->state = TCP_OPEN;
	}
	if (r->state == TCP_OPEN && b->lost) {
		begin(r, cc, a->nxt);
		tcp_cc_loss(cc);
		r->state = TCP_FAST;
		r->flight = b->segments;
		r->delivered = r->out = 0;
	}
	if (r->state != TCP_FAST)
		return true;
	reduce(r, b, cc, a);
	return false;
}
