/* SPDX-License-Identifier: MIT */
/*
 * A segment arrives (RFC 9293, 3.10.7).
 *
 * Most are what was expected next: an ACK of what is in flight, or the bytes at rcv_nxt; they take the
 * short way.  Others are checked in the order of the RFC, with RFC 5961's answers to what may be forged
 * and RFC 7323's to what is old.
 */
#include "inet/tcp/tcp_priv.h"

#define PAWS_NS		(24ull * 24 * 3600 * SECOND_NS)	/* after that a time stamp is forgotten (RFC 7323, 5.5) */

#define SYN_SOON_NS	(8 * MS_NS)	/* two of Linux's ticks */

static void send_reset_for(struct tcp_conn *c, const struct tcp_segment *s)
{
	struct lx_pbuf *p = tcp_reset_for(c->context, s);

	if (p)
		c->ops->send(c, p, false);
}

/* A RST that is believed. */
static void take_reset(struct tcp_conn *c)
{
	int err = c->state == TCP_SYN_SENT ? ECONNREFUSED : c->state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;

	if (IN(c, S(ESTABLISHED) | S(CLOSE_WAIT)))
		tcp_count(c->context, TCP_C_ESTAB_RESETS);
	else if (IN(c, S(SYN_SENT) | S(SYN_RECV)))
		tcp_count(c->context, TCP_C_ATTEMPT_FAILS);
	tcp_done(c, err);
}

/* -- time stamps */

static void keep_stamp(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	/* RFC 7323, 4.3: of the segment that the next ACK is for */
	if (!c->use_stamps || !s->opt.stamps || seq_after(s->seq, c->rcv_wup))
		return;
	if (seq_before(s->opt.stamp, c->ts_recent) && now - c->ts_recent_at < PAWS_NS)
		return;
	c->ts_recent = s->opt.stamp;
	c->ts_recent_at = now;
}

/* Is it older than what we have?  An ACK that was overtaken is no harm (as Linux). */
static bool is_old(const struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	if (!c->use_stamps || !s->opt.stamps || !seq_before(s->opt.stamp, c->ts_recent) ||
	    now - c->ts_recent_at >= PAWS_NS)
		return false;
	return !(s->seq == c->rcv_nxt && s->end == s->seq && s->ack == c->snd_una &&
		 ((uint32_t)s->window << c->snd_wscale) == c->snd_wnd &&
		 (c->ts_recent - s->opt.stamp) * MS_NS <= tcp_rto(c));
}

/* -- acceptability */

/* An ACK for what is not acceptable, so that both sides agree again: not more often than one in a while. */
static void answer_stray(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	uint64_t pause = conf(&c->context->conf.invalid_ratelimit) * MS_NS;

	if (s->end != s->seq && c->use_sack && seq_before(s->seq, c->rcv_nxt))
		tcp_blocks_duplicate(&c->blocks, s->seq, seq_min(s->end, c->rcv_nxt));
	/* data is answered always; only what has none may be one of a storm */
	if (!s->len && c->challenge_at && now - c->challenge_at < pause)
		return;
	if (!s->len)
		c->challenge_at = now;
	tcp_send_ack(c, now);
}

static bool in_window(const struct tcp_conn *c, const struct tcp_segment *s)
{
	return !seq_before(s->end, c->rcv_wup) && !seq_after(s->seq, c->rcv_adv);
}

static bool reset_is_exact(const struct tcp_conn *c, const struct tcp_segment *s)
{
	/* beyond what is there: the peer may not have seen our ACK of all of it */
	return s->seq == c->rcv_nxt ||
	       (c->use_sack && c->blocks.nr && s->seq == c->blocks.block[0].to);
}

/* False: it goes no further. */
static bool validate(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	bool rst = s->flags & TCP_FLAG_RST;

	if (!rst && is_old(c, s, now)) {
		tcp_count(c->context, TCP_C_PAWS_ESTAB);
		answer_stray(c, s, now);
		return false;
	}
	if (!in_window(c, s)) {
		if (rst)
			return false;
		if (s->flags & TCP_FLAG_SYN)
			tcp_challenge(c, now);
		else
			answer_stray(c, s, now);
		return false;
	}
	if (rst) {
		if (reset_is_exact(c, s))
			take_reset(c);
		else
			tcp_challenge(c, now);
		return false;
	}
	if (s->flags & TCP_FLAG_SYN) {
		tcp_count(c->context, TCP_C_SYN_CHALLENGE);
		tcp_challenge(c, now);
		return false;
	}
	return s->flags & TCP_FLAG_ACK;
}

/* -- SYN_SENT (3.10.7.3) */

static void agree(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	c->irs = s->seq;
	c->rcv_nxt = c->rcv_wup = c->copied = s->seq + 1;
	c->rcv_adv = c->rcv_nxt + MIN(c->rcv_limit, (uint32_t)UINT16_MAX);
	c->peer_mss = s->opt.mss ? s->opt.mss : 536;
	if (c->set.maxseg)
		c->peer_mss = MIN(c->peer_mss, c->set.maxseg);
	c->use_wscale &= s->opt.wscale >= 0;
	c->snd_wscale = c->use_wscale ? (uint8_t)s->opt.wscale : 0;
	if (!c->use_wscale)
		c->rcv_wscale = 0;
	c->use_sack &= s->opt.sack_permitted;
	c->use_stamps &= s->opt.stamps;
	c->ts_recent = s->opt.stamp;
	c->ts_recent_at = now;
	c->snd_wl1 = s->seq;
	c->snd_wnd = c->max_wnd = s->window;	/* that of a SYN is not scaled */
	tcp_sync_mss(c);
}

static bool echo_is_ours(const struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	uint32_t echo = s->opt.stamp_echo;

	if (!c->use_stamps || !s->opt.stamps || !echo)
		return true;
	return stamp_of(now) + c->stamp_offset - echo <= TCP_RTO_MAX_NS * 2 / MS_NS;
}

static void syn_sent(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	if (s->flags & TCP_FLAG_ACK && (s->ack != c->snd_nxt || !echo_is_ours(c, s, now))) {
		/* of an old connection, which this ends: the SYN may be tried again soon */
		if (s->ack != c->snd_nxt && !c->retries && !(s->flags & TCP_FLAG_RST))
			c->resend_at = now + SYN_SOON_NS;
		send_reset_for(c, s);
		return;
	}
	if (s->flags & TCP_FLAG_RST) {
		if (s->flags & TCP_FLAG_ACK)
			take_reset(c);
		return;
	}
	if (!(s->flags & TCP_FLAG_SYN))
		return;
	if (!(s->flags & TCP_FLAG_ACK)) {
		/* both have opened: ours again, with an ACK */
		agree(c, s, now);
		c->use_ecn = false;
		tcp_set_state(c, TCP_SYN_RECV);
		tcp_send_syn(c, now);
		return;
	}
	c->use_ecn = c->use_ecn && (s->flags & (TCP_FLAG_ECE | TCP_FLAG_CWR)) == TCP_FLAG_ECE;
	agree(c, s, now);
	c->snd_wl2 = s->ack;
	tcp_ack(c, s, now);
	/* (nor did it have a window that is scaled, as tcp_ack() took it) */
	c->snd_wnd = c->max_wnd = s->window;
	tcp_established(c, now);
	c->events |= TCP_EV_CONNECTED;
	c->ack_now = true;
	c->ping_pong = false;
	tcp_output(c, now);
	if (c->ack_now)
		tcp_send_ack(c, now);
}

/* -- the rest */

/* What an ACK makes of the state; false: the connection has gone. */
static bool move_on(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	switch (c->state) {
	case TCP_SYN_RECV:
		if (seq_before(c->snd_una, c->isn + 1))
			return false;
		tcp_established(c, now);
		c->snd_wnd = c->max_wnd = (uint32_t)s->window << c->snd_wscale;
		tcp_sync_mss(c);
		c->events |= TCP_EV_CONNECTED;
		break;
	case TCP_FIN_WAIT1:
		if (fin_acked(c))
			tcp_enter_fin_wait2(c, now);
		break;
	case TCP_CLOSING:
		if (fin_acked(c))
			tcp_enter_timewait(c);
		break;
	case TCP_LAST_ACK:
		if (fin_acked(c))
			tcp_done(c, 0);
		break;
	}
	return c->state != TCP_CLOSE;
}

/* Data for somebody who has gone: RFC 1122, 4.2.2.13. */
static bool nobody_reads(const struct tcp_conn *c, const struct tcp_segment *s)
{
	return c->orphan && s->len && seq_after(s->end - !!(s->flags & TCP_FLAG_FIN), c->rcv_nxt) &&
	       IN(c, S(FIN_WAIT1) | S(FIN_WAIT2) | S(CLOSING) | S(LAST_ACK));
}

static void finish(struct tcp_conn *c, uint64_t now)
{
	if (c->state == TCP_CLOSE)
		return;
	tcp_output(c, now);
	tcp_ack_check(c, now);
}

/* Takes the packet over if it returns true. */
static bool synchronized(struct tcp_conn *c, struct lx_pbuf *p, const struct tcp_segment *s, uint64_t now)
{
	enum tcp_ack_result result;

	if (!validate(c, s, now))
		return false;
	result = tcp_ack(c, s, now);
	if (result == TCP_ACK_BAD) {
		if (c->state == TCP_SYN_RECV)
			send_reset_for(c, s);
		return false;
	}
	keep_stamp(c, s, now);
	if (!move_on(c, s, now))
		return false;
	if (nobody_reads(c, s)) {
		tcp_count(c->context, TCP_C_ABORT_ON_DATA);
		send_reset_for(c, s);
		tcp_done(c, ECONNRESET);
		return false;
	}
	if (c->use_ecn) {
		if (s->flags & TCP_FLAG_CWR)
			c->ece = false;
		if (s->ce && s->len) {
			c->ece = true;
			c->ack_now = true;
		}
	}
	if (s->flags & TCP_FLAG_URG)
		tcp_urgent(c, s);
	if (s->end == s->seq) {
		finish(c, now);
		return false;
	}
	tcp_data(c, p, s, now);
	finish(c, now);
	return true;
}

/* The short way: what was expected, and nothing besides. */
static bool is_expected(const struct tcp_conn *c, const struct tcp_segment *s)
{
	return c->state == TCP_ESTABLISHED && s->seq == c->rcv_nxt &&
	       (s->flags & ~(uint8_t)TCP_FLAG_PSH) == TCP_FLAG_ACK && !c->ooo.root &&
	       s->opt.stamps == c->use_stamps && !s->opt.nr_sacks &&
	       ((uint32_t)s->window << c->snd_wscale) == c->snd_wnd && c->snd_wnd &&
	       !seq_before(s->ack, c->snd_una) && !seq_after(s->ack, c->snd_nxt) &&
	       !seq_before(c->rcv_adv, s->end) && !c->use_ecn &&
	       !(c->use_stamps && seq_before(s->opt.stamp, c->ts_recent));
}

static bool expected(struct tcp_conn *c, struct lx_pbuf *p, const struct tcp_segment *s, uint64_t now)
{
	/* of data an ACK that says nothing new need not be looked at */
	if (!s->len || s->ack != c->snd_una)
		tcp_ack(c, s, now);
	else
		c->last_ack_at = now;
	keep_stamp(c, s, now);
	if (s->len)
		tcp_data(c, p, s, now);
	if (s->ack != c->snd_una || c->snd_nxt != send_limit(c) || !s->len)
		tcp_output(c, now);
	tcp_ack_check(c, now);
	return s->len;
}

void tcp_receive(struct tcp_conn *c, struct lx_pbuf *p, bool ce, uint64_t now)
{
	struct tcp_segment s;
	bool taken = false;

	if (!tcp_parse(p, &s)) {
		lx_pbuf_free(p);
		return;
	}
	s.ce = ce;
	c->segs_in++;
	if (is_expected(c, &s))
		taken = expected(c, p, &s, now);
	else if (c->state == TCP_CLOSE)
		send_reset_for(c, &s);
	else if (c->state == TCP_SYN_SENT)
		syn_sent(c, &s, now);
	else
		taken = synchronized(c, p, &s, now);
	if (!taken)
		lx_pbuf_free(p);
}

void tcp_icmp_error(struct tcp_conn *c, uint32_t seq, int err, bool fatal, uint64_t now)
{
	(void)now;
	if (c->state == TCP_CLOSE || !seq_within(seq, c->snd_una, c->snd_nxt))
		return;
	if (fatal && IN(c, S(SYN_SENT) | S(SYN_RECV)))
		tcp_done(c, err);
	else
		c->soft_error = (uint16_t)err;
}
