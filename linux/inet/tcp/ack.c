/* SPDX-License-Identifier: MIT */
/*
 * What an ACK says: how far the peer has everything, what it has besides (SACK), its window; and what
 * follows from that for recovery, congestion control and timers.
 */
#include "inet/tcp/tcp_priv.h"

/* All that one ACK changes, while it is worked on. */
struct ack {
	const struct tcp_segment *s;
	uint64_t now;
	uint64_t sample_ns;		/* of the round trip; 0: none */
	uint64_t echo_ns;		/* when at the latest what it echoes was sent; 0: not known */
	uint32_t acked;			/* records that SND.UNA has passed */
	uint32_t under_way;		/* records, before it */
	struct tcp_recovery_ack r;
};

/* -- challenge ACKs (RFC 5961): for what may be forged, at most so many */

static bool second_has_room(struct tcp_context *x, uint64_t now)
{
	uint64_t old = atomic_load_explicit(&x->challenge_second, memory_order_relaxed), next;
	uint32_t limit = conf(&x->conf.challenge_ack_limit), second = (uint32_t)(now / SECOND_NS);

	do {
		uint32_t count = old >> 32 == second ? (uint32_t)old : 0;

		if (count >= limit)
			return false;
		next = (uint64_t)second << 32 | (count + 1);
	} while (!atomic_compare_exchange_weak_explicit(&x->challenge_second, &old, next,
							memory_order_relaxed, memory_order_relaxed));
	return true;
}

void tcp_challenge(struct tcp_conn *c, uint64_t now)
{
	uint64_t pause = conf(&c->context->conf.invalid_ratelimit) * MS_NS;

	if (c->challenge_at && now - c->challenge_at < pause)
		return;
	if (!second_has_room(c->context, now))
		return;
	c->challenge_at = now;
	tcp_count(c->context, TCP_C_CHALLENGE_ACK);
	tcp_send_ack(c, now);
}

/* -- what has arrived */

/* Does the ACK echo a time stamp of the last copy of @t, or a later one? */
static bool echoes(const struct tcp_conn *c, const struct ack *a, const struct tcp_sent *t)
{
	return !c->use_stamps || !a->s->opt.stamps ||
	       !seq_before(a->s->opt.stamp_echo, stamp_of(t->sent_ns) + c->stamp_offset);
}

static void delivered(struct tcp_conn *c, struct ack *a, const struct tcp_sent *t)
{
	tcp_rack_delivered(&c->rack, t, a->now, tcp_rtt_min(&c->rtt), echoes(c, a, t));
	a->r.delivered++;
	c->delivered++;
}

/* A round trip, from what was sent once; else from the echo, in ms (RFC 7323, 4.1). */
static void take_sample(struct tcp_conn *c, struct ack *a)
{
	struct tcp_sent *t;
	bool again = false;
	uint32_t ms;

	for (t = tcp_sent_head(&c->board); t && !seq_after(t->to, a->s->ack);
	     t = tcp_sent_after(&c->board, t)) {
		again |= t->again;
		if (!t->sacked)
			a->sample_ns = MAX(a->now - t->sent_ns, 1ull);
	}
	/* what was behind a hole that had to be filled has waited for it */
	if (again)
		a->sample_ns = 0;
	if (!a->sample_ns && a->r.advances && c->use_stamps && a->s->opt.stamps && a->s->opt.stamp_echo) {
		ms = stamp_of(a->now) + c->stamp_offset - a->s->opt.stamp_echo;
		if (ms < TCP_RTO_MAX_NS / MS_NS)
			a->sample_ns = MAX(ms, 1u) * MS_NS;
	}
	if (a->sample_ns)
		tcp_rtt_sample(&c->rtt, a->sample_ns, a->now);
}

static void remove_acked(struct tcp_conn *c, struct ack *a)
{
	struct tcp_sent *t;

	for (; (t = tcp_sent_head(&c->board)) && !seq_after(t->to, a->s->ack); a->acked++) {
		if (!t->sacked)
			delivered(c, a, t);
		tcp_free_record(c, record_of(t));
	}
}

/* -- SACK */

/* Is the first block of what has come twice (RFC 2883, 4)? */
static bool is_dsack(const struct tcp_segment *s)
{
	const struct seq_range *b = s->opt.sack;

	if (!s->opt.nr_sacks)
		return false;
	if (!seq_after(b[0].to, s->ack))
		return true;
	return s->opt.nr_sacks > 1 && !seq_before(b[0].from, b[1].from) && !seq_after(b[0].to, b[1].to);
}

/* Where in @r that begins which was not told by the last ACK. */
static uint32_t news(const struct tcp_conn *c, const struct seq_range *r)
{
	uint32_t from = r->from;

	for (unsigned int i = 0; i < TCP_SACK_MAX; i++)
		if (!seq_after(c->sack_seen[i].from, from) && seq_after(c->sack_seen[i].to, from))
			from = c->sack_seen[i].to;
	return from;
}

/*
 * Records of one block, from @from on.  Blocks grow at their ends mostly, and near what has arrived
 * last: the walk begins there if it may, so that it is short however much is in flight.
 */
static void sack_block(struct tcp_conn *c, struct ack *a, const struct seq_range *r, uint32_t from)
{
	struct tcp_sent *t = c->board.high;

	if (!t || seq_before(from, t->from))
		t = tcp_sent_head(&c->board);
	while (t && !seq_after(t->to, from))
		t = tcp_sent_after(&c->board, t);
	for (; t && !seq_after(t->to, r->to); t = tcp_sent_after(&c->board, t)) {
		if (t->sacked || seq_before(t->from, r->from))
			continue;
		delivered(c, a, t);
		tcp_sent_sacked(&c->board, t);
	}
}

static void take_sacks(struct tcp_conn *c, struct ack *a)
{
	const struct tcp_options *o = &a->s->opt;

	for (unsigned int i = a->r.dsack; i < o->nr_sacks; i++) {
		struct seq_range r = o->sack[i];
		uint32_t from = news(c, &r);

		/* within what is in flight, and some of it (RFC 2018; hostile ones are anything) */
		if (!seq_before(r.from, r.to) || !seq_after(r.to, c->snd_una) || seq_after(r.to, c->snd_nxt) ||
		    seq_before(r.from, c->snd_una - c->max_wnd) || !seq_before(from, r.to))
			continue;
		sack_block(c, a, &r, seq_max(from, c->snd_una));
	}
	for (unsigned int i = 0; i < TCP_SACK_MAX; i++)
		c->sack_seen[i] = i < o->nr_sacks ? o->sack[i] : (struct seq_range){ 0, 0 };
}

/* Without SACK a duplicate ACK says that something behind the first has arrived: the next, say (RFC 6582). */
static void take_duplicate(struct tcp_conn *c, struct ack *a)
{
	struct tcp_sent *t = tcp_sent_head(&c->board);

	while (t && (t = tcp_sent_after(&c->board, t)) && (t->sacked || t->lost))
		;
	if (!t)
		return;
	delivered(c, a, t);
	tcp_sent_sacked(&c->board, t);
}

/* Part of what was in flight in an episode is acknowledged: what follows was lost, too. */
static void partial_ack(struct tcp_conn *c)
{
	struct tcp_sent *t;

	tcp_scoreboard_forget(&c->board);
	t = tcp_sent_head(&c->board);
	if (c->recovery.state != TCP_OPEN && t && !t->again && seq_before(c->snd_una, c->recovery.point))
		tcp_sent_lost(&c->board, t);
}

/* -- windows */

static void take_window(struct tcp_conn *c, const struct tcp_segment *s)
{
	uint32_t window = (uint32_t)s->window << c->snd_wscale;

	if (!seq_after(s->ack, c->snd_wl2) && !seq_after(s->seq, c->snd_wl1) &&
	    !(s->seq == c->snd_wl1 && (window > c->snd_wnd || !window)))
		return;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	c->snd_wnd = window;
	if (window <= c->max_wnd)
		return;
	c->max_wnd = window;
	tcp_sync_mss(c);
}

/* ECN (RFC 3168, 6.1.2): as a loss, once per round trip, and nothing is sent again. */
static void take_ece(struct tcp_conn *c, const struct tcp_segment *s)
{
	if (!c->use_ecn || !(s->flags & TCP_FLAG_ECE) || (s->flags & TCP_FLAG_SYN))
		return;
	c->delivered_ce++;
	if (c->recovery.state != TCP_OPEN || (c->ecn_reduced && seq_before(s->ack, c->ecn_point)))
		return;
	tcp_cc_loss(&c->cc);
	c->cc.cwnd = MIN(c->cc.cwnd, c->cc.ssthresh);
	tcp_cc_settle(&c->cc);
	c->cwr = c->ecn_reduced = true;
	c->ecn_point = c->snd_nxt;
}

/* -- recovery */

static void detect(struct tcp_conn *c, uint64_t now)
{
	uint64_t again;

	tcp_rack_detect(&c->rack, &c->board, now, &again);
	if (c->early_probe && again == TCP_NEVER)
		return;
	c->early_probe = false;
	c->early_at = again;
}

static void recover(struct tcp_conn *c, struct ack *a)
{
	struct tcp_recovery *r = &c->recovery;
	bool was_open = r->state == TCP_OPEN;
	struct tcp_cc_ack grow = { .now_ns = a->now, .rtt_ns = a->sample_ns, .srtt_ns = c->rtt.srtt_ns,
				   .acked = a->acked, .una = c->snd_una, .nxt = c->snd_nxt };

	tcp_rack_window(&c->rack,
			&(struct tcp_rack_ack){ .now_ns = a->now, .min_rtt_ns = tcp_rtt_min(&c->rtt),
						.srtt_ns = c->rtt.srtt_ns, .una = c->snd_una,
						.nxt = c->snd_nxt, .dsack = a->r.dsack,
						.in_recovery = !was_open,
						.recovery_ends = tcp_recovery_ends(r, c->snd_una) },
			c->board.sacked);
	detect(c, a->now);
	grow.limited = c->cc_limited || a->under_way + 2 >= c->cc.cwnd ||
		       (tcp_cc_in_slow_start(&c->cc) && c->cc.cwnd < 2 * a->under_way);
	if (tcp_recovery_ack(r, &c->board, &c->cc, &a->r) && grow.acked)
		tcp_cc_ack(&c->cc, &grow);
	if (was_open && r->state == TCP_FAST)
		tcp_count(c->context, TCP_C_FAST_RETRANS);
	c->cc_limited = false;
}

void tcp_lost_again(struct tcp_conn *c, uint64_t now)
{
	c->early_at = TCP_NEVER;
	detect(c, now);
	tcp_recovery_ack(&c->recovery, &c->board, &c->cc,
			 &(struct tcp_recovery_ack){ .una = c->snd_una, .nxt = c->snd_nxt });
	tcp_output(c, now);
}

/* -- the ACK */

static void advance(struct tcp_conn *c, struct ack *a)
{
	uint32_t bytes = a->s->ack - c->snd_una;

	take_sample(c, a);
	remove_acked(c, a);
	c->bytes_acked += bytes;
	c->snd_una = a->s->ack;
	if (c->snd_urgent && !seq_before(c->snd_una, c->snd_up))
		c->snd_urgent = false;
	c->backoff = c->retries = 0;
	c->stalled_at = 0;
	tcp_free_acked_chunks(c);
	if (fin_acked(c))
		c->events |= TCP_EV_SHUTDOWN_DONE;
	if (c->want_room && tcp_is_writable(c)) {
		c->want_room = false;
		c->events |= TCP_EV_WRITABLE;
	}
}

/* When what it echoes was sent, at the latest: our clock of stamps counts ms. */
static uint64_t echo_time(const struct tcp_conn *c, const struct ack *a)
{
	uint32_t ago;

	if (!c->use_stamps || !a->s->opt.stamps || !a->s->opt.stamp_echo)
		return 0;
	ago = stamp_of(a->now) + c->stamp_offset - a->s->opt.stamp_echo;
	if (ago > a->now / MS_NS)
		return 0;
	return (a->now / MS_NS - ago + 1) * MS_NS - 1;
}

static bool is_duplicate(const struct tcp_conn *c, const struct tcp_segment *s, uint32_t window)
{
	return s->ack == c->snd_una && !s->len && !(s->flags & (TCP_FLAG_SYN | TCP_FLAG_FIN)) &&
	       c->board.segments && window == c->snd_wnd;
}

enum tcp_ack_result tcp_ack(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	struct ack a = { .s = s, .now = now, .under_way = tcp_scoreboard_pipe(&c->board) };
	uint32_t window = c->snd_wnd;

	if (seq_before(s->ack, c->snd_una)) {
		/* too old to be of a peer that has seen what it has (RFC 5961, 5.2) */
		if (seq_before(s->ack, c->snd_una - MAX(c->max_wnd, 1u))) {
			tcp_challenge(c, now);
			return TCP_ACK_BAD;
		}
		a.r.advances = false;
	} else if (seq_after(s->ack, c->snd_nxt)) {
		if (c->state != TCP_SYN_RECV)
			tcp_challenge(c, now);
		return TCP_ACK_BAD;
	} else {
		a.r.advances = s->ack != c->snd_una;
		take_window(c, s);
	}
	c->last_ack_at = now;
	c->probes = 0;
	if (c->resend == TCP_RESEND_PERSIST && c->snd_wnd) {
		c->resend = TCP_RESEND_RTO;
		c->backoff = 0;
		c->stalled_at = 0;
		c->resend_at = TCP_NEVER;	/* output sets it anew */
	}
	if (!c->board.segments)
		return seq_before(s->ack, c->snd_una) ? TCP_ACK_OLD : TCP_ACK_OK;
	take_ece(c, s);
	a.r.dsack = c->use_sack && is_dsack(s);
	if (a.r.dsack) {
		c->dsack_dups++;
		tcp_count(c->context, TCP_C_DSACK_RECV);
	}
	a.r.echo_ns = echo_time(c, &a);
	if (a.r.advances)
		advance(c, &a);
	if (c->use_sack && s->opt.nr_sacks)
		take_sacks(c, &a);
	else if (!c->use_sack && a.r.advances)
		partial_ack(c);
	else if (!c->use_sack && is_duplicate(c, s, window))
		take_duplicate(c, &a);
	a.r.una = c->snd_una;
	a.r.nxt = c->snd_nxt;
	recover(c, &a);
	if (a.r.advances)
		tcp_arm(c, now);
	return a.r.advances || !seq_before(s->ack, c->snd_una) ? TCP_ACK_OK : TCP_ACK_OLD;
}
