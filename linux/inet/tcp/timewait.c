/* SPDX-License-Identifier: MIT */
/*
 * TIME_WAIT (RFC 9293, 3.10.7.4; RFC 1337), and FIN_WAIT2 of a connection whose program has gone: all
 * that is left is to answer, for a minute, what the peer sends again.
 */
#include "inet/tcp/tcp_priv.h"

#define NEW_ISN_GAP	(65535u + 2u)	/* beyond anything that the old connection has in the network */

void tcp_timewait_init(struct tcp_timewait *t, const struct tcp_conn *c, uint64_t now)
{
	uint64_t lasts = TCP_TIMEWAIT_NS;

	*t = (struct tcp_timewait){ .rcv_nxt = c->rcv_nxt, .snd_nxt = c->snd_nxt, .ts_recent = c->ts_recent,
				    .ts_recent_at = c->ts_recent_at, .stamp_offset = c->stamp_offset,
				    .local_port = c->local_port, .remote_port = c->remote_port,
				    .use_stamps = c->use_stamps, .in_fin_wait2 = !c->fin_received };
	t->rcv_wnd = tcp_rcv_wnd(c) >> c->rcv_wscale;
	if (t->in_fin_wait2) {
		lasts = (c->set.linger2 > 0 ? (uint32_t)c->set.linger2 :
					      conf(&c->context->conf.fin_timeout)) * SECOND_NS;
		lasts = MIN(MAX(lasts, tcp_rto(c) * 7 / 2), TCP_TIMEWAIT_NS);
	}
	t->expires_at = now + lasts;
}

static struct lx_pbuf *answer_of(const struct tcp_timewait *t, struct tcp_context *x, uint64_t now)
{
	struct tcp_header h = { .source = t->local_port, .dest = t->remote_port, .seq = t->snd_nxt,
				.ack = t->rcv_nxt, .flags = TCP_FLAG_ACK,
				.window = (uint16_t)MIN(t->rcv_wnd, (uint32_t)UINT16_MAX) };
	struct tcp_options o = { .wscale = -1, .stamps = t->use_stamps,
				 .stamp = stamp_of(now) + t->stamp_offset, .stamp_echo = t->ts_recent };

	return tcp_header_packet(x, &h, false, &o);
}

static void restart(struct tcp_timewait *t, uint64_t now)
{
	t->expires_at = now + TCP_TIMEWAIT_NS;
}

/* Is it older than what came last? */
static bool is_old(const struct tcp_timewait *t, const struct tcp_segment *s)
{
	return t->use_stamps && s->opt.stamps && seq_before(s->opt.stamp, t->ts_recent);
}

static void keep_stamp(struct tcp_timewait *t, const struct tcp_segment *s, uint64_t now)
{
	if (!t->use_stamps || !s->opt.stamps)
		return;
	t->ts_recent = s->opt.stamp;
	t->ts_recent_at = now;
}

static enum tcp_verdict in_fin_wait2(struct tcp_timewait *t, struct tcp_context *x,
				     const struct tcp_segment *s, uint64_t now, struct lx_pbuf **answer)
{
	bool fin = s->flags & TCP_FLAG_FIN;

	if (is_old(t, s) || !(s->seq == t->rcv_nxt || (!seq_before(s->end, t->rcv_nxt) &&
						       !seq_after(s->seq, t->rcv_nxt + t->rcv_wnd)))) {
		if (!(s->flags & TCP_FLAG_RST))
			*answer = answer_of(t, x, now);
		return TCP_DROP;
	}
	if (s->flags & TCP_FLAG_RST)
		return TCP_END;
	if (s->flags & TCP_FLAG_SYN && !seq_before(s->seq, t->rcv_nxt)) {
		*answer = tcp_reset_for(x, s);
		return TCP_DROP;
	}
	if (!(s->flags & TCP_FLAG_ACK) || !seq_after(s->end, t->rcv_nxt) || s->end == s->seq)
		return TCP_DROP;
	/* data, for which nobody is there; or the FIN that was waited for */
	if (!fin || s->end != t->rcv_nxt + 1) {
		*answer = tcp_reset_for(x, s);
		return TCP_END;
	}
	t->in_fin_wait2 = false;
	t->rcv_nxt = s->end;
	keep_stamp(t, s, now);
	restart(t, now);
	*answer = answer_of(t, x, now);
	return TCP_DROP;
}

/* A SYN beyond all that was received, by its number or by its time stamp, begins anew (RFC 6191). */
static bool is_new(const struct tcp_timewait *t, const struct tcp_segment *s)
{
	if ((s->flags & (TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK)) != TCP_FLAG_SYN)
		return false;
	return seq_after(s->seq, t->rcv_nxt) ||
	       (t->use_stamps && s->opt.stamps && seq_after(s->opt.stamp, t->ts_recent));
}

static uint32_t least_isn(const struct tcp_timewait *t)
{
	uint32_t isn = t->snd_nxt + NEW_ISN_GAP;

	return isn ? isn : 1;
}

enum tcp_verdict tcp_timewait_receive(struct tcp_timewait *t, struct tcp_context *x,
				      const struct tcp_segment *s, uint64_t now, struct lx_pbuf **answer,
				      uint32_t *isn)
{
	bool old = is_old(t, s);

	*answer = NULL;
	if (t->in_fin_wait2)
		return in_fin_wait2(t, x, s, now, answer);
	/* an ACK of what we sent last, or a RST that is exact */
	if (!old && s->seq == t->rcv_nxt && (s->end == s->seq || s->flags & TCP_FLAG_RST)) {
		if (s->flags & TCP_FLAG_RST) {
			if (!conf_flag(&x->conf.rfc1337))
				return TCP_END;
		} else {
			restart(t, now);
		}
		keep_stamp(t, s, now);
		return TCP_DROP;
	}
	if (!old && is_new(t, s)) {
		*isn = least_isn(t);
		tcp_count(x, TCP_C_TW_RECYCLED);
		return TCP_NEW;
	}
	if (old)
		tcp_count(x, TCP_C_PAWS_ESTAB);
	if (s->flags & TCP_FLAG_RST)
		return TCP_DROP;
	if (old || s->flags & TCP_FLAG_ACK)
		restart(t, now);
	if (t->challenge_at && now - t->challenge_at < conf(&x->conf.invalid_ratelimit) * MS_NS && !s->len)
		return TCP_DROP;
	t->challenge_at = now;
	*answer = answer_of(t, x, now);
	return TCP_DROP;
}

bool tcp_timewait_may_connect(const struct tcp_timewait *t, uint64_t now, uint32_t *isn)
{
	if (t->in_fin_wait2 || !t->use_stamps || now - t->ts_recent_at < SECOND_NS)
		return false;
	*isn = least_isn(t);
	return true;
}
