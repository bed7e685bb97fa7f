/* SPDX-License-Identifier: MIT */
#include "inet/tcp/rack.h"

#include "base/util.h"

#define DUP_THRESH	3u		/* RFC 8985, 6.2, step 4 */
#define PERSIST		16u
#define MULT_MAX	255u		/* the smoothed round trip is the bound; this one is of the counter */
#define DELAYED_ACK_NS	200000000ull	/* the longest that a receiver may take (7.2) */
#define PROBE_FIRST_NS	1000000000ull

void tcp_rack_init(struct tcp_rack *r)
{
	*r = (struct tcp_rack){ .window_mult = 1 };
}

/* Was (@time, @to) sent after (@other_time, @other_to)?  Of the same moment: the higher one. */
static bool sent_after(uint64_t time, uint32_t to, uint64_t other_time, uint32_t other_to)
{
	return time != other_time ? time > other_time : seq_after(to, other_to);
}

void tcp_rack_delivered(struct tcp_rack *r, const struct tcp_sent *s, uint64_t now_ns,
			uint64_t min_rtt_ns, bool echo)
{
	uint64_t rtt = now_ns - s->sent_ns;

	/* Step 3.  What arrives late and was sent once has been overtaken. */
	if (!r->any || seq_after(s->to, r->fack))
		r->fack = s->to;
	else if (seq_before(s->to, r->fack) && !s->again)
		r->reordered = true;
	r->any = true;

	/* Step 2.  Of what was sent twice it may be the first copy that has arrived. */
	if (s->again && (!echo || rtt < min_rtt_ns))
		return;
	r->rtt_ns = rtt;
	if (!r->sent_ns || sent_after(s->sent_ns, s->to, r->sent_ns, r->to)) {
		r->sent_ns = s->sent_ns;
		r->to = s->to;
	}
}

void tcp_rack_window(struct tcp_rack *r, const struct tcp_rack_ack *a, uint32_t sacked)
{
	if (r->dsack_seen && !seq_before(a->una, r->dsack_round))
		r->dsack_seen = false;
	if (a->dsack && !r->dsack_seen) {
		r->dsack_seen = true;
		r->dsack_round = a->nxt;
		r->window_mult = MIN(r->window_mult + 1, MULT_MAX);
		r->window_persist = PERSIST;
	} else if (a->recovery_ends && r->window_persist && !--r->window_persist) {
		r->window_mult = 1;
	}
	if (!r->reordered && (a->in_recovery || sacked >= DUP_THRESH))
		r->window_ns = 0;
	else
		r->window_ns = MIN(r->window_mult * MIN(a->min_rtt_ns / 4, a->srtt_ns), a->srtt_ns);
}

/* When @s is lost if it has not arrived by then. */
static uint64_t lost_at(const struct tcp_rack *r, const struct tcp_sent *s)
{
	return s->sent_ns + r->rtt_ns + r->window_ns;
}

uint32_t tcp_rack_detect(const struct tcp_rack *r, struct tcp_scoreboard *b, uint64_t now_ns,
			 uint64_t *again_ns)
{
	struct tcp_sent *s, *next;
	uint64_t last = UINT64_MAX;
	uint32_t lost = 0;

	*again_ns = UINT64_MAX;
	if (!r->sent_ns)
		return 0;
	list_for_each_entry_safe(s, next, &b->by_time, time_link) {
		if (s->sent_ns > r->sent_ns)
			break;			/* all others were sent still later */
		if (!sent_after(r->sent_ns, r->to, s->sent_ns, s->to))
			continue;
		if (lost_at(r, s) > now_ns) {
			last = lost_at(r, s);	/* one timer for all of them, which are in order */
			continue;
		}
		tcp_sent_lost(b, s);
		lost++;
	}
	*again_ns = last;
	return lost;
}

uint32_t tcp_rack_timeout(const struct tcp_rack *r, struct tcp_scoreboard *b, uint64_t now_ns)
{
	struct tcp_sent *first = tcp_sent_head(b), *s, *next;
	uint32_t before = b->lost;

	/* The receiver has given up what it had (RFC 2018, 8): nothing that it said counts any more. */
	if (first && first->sacked)
		tcp_scoreboard_renege(b);
	list_for_each_entry_safe(s, next, &b->by_time, time_link)
		if (s == first || lost_at(r, s) <= now_ns)
			tcp_sent_lost(b, s);
	return b->lost - before;
}

uint64_t tcp_tlp_at(uint64_t now_ns, uint64_t srtt_ns, uint32_t segments, uint64_t rto_at_ns)
{
	uint64_t pto = PROBE_FIRST_NS;

	if (srtt_ns)
		pto = 2 * srtt_ns + (segments == 1 ? DELAYED_ACK_NS : 0);
	return MIN(now_ns + pto, rto_at_ns);
}
