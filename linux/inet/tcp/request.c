/* SPDX-License-Identifier: MIT */
/*
 * Half-open connections of a listener (state SYN_RECV): what has to be known between a SYN and the ACK of
 * our answer, in as little memory as can be; or in none, as a cookie.
 */
#include "inet/tcp/tcp_priv.h"

#define MSS_DEFAULT	536u
#define FIRST_WAIT_NS	SECOND_NS

static uint64_t wait_of(unsigned int retries)
{
	return MIN(FIRST_WAIT_NS << MIN(retries, 7u), TCP_RTO_MAX_NS);
}

/* SYN-ACKs for which a listener with TCP_DEFER_ACCEPT waits for data: 1, 3, 7... seconds. */
static uint8_t defer_of(uint32_t seconds)
{
	uint8_t n = 0;

	for (uint32_t sum = 0, wait = 1; sum < seconds && n < 255; n++) {
		sum += wait;
		wait = MIN(2 * wait, (uint32_t)(TCP_RTO_MAX_NS / SECOND_NS));
	}
	return n;
}

static uint16_t mss_of_path(const struct tcp_path *path, uint16_t maxseg)
{
	uint32_t headers = path->ip_header + TCP_HEADER;
	uint32_t mss = MIN(path->mtu > headers + 48 ? path->mtu - headers : 48u, 65535u);

	return (uint16_t)(maxseg ? MIN(mss, (uint32_t)maxseg) : mss);
}

void tcp_request_init(struct tcp_request *r, const struct tcp_listener *l, const struct tcp_path *path,
		      const struct tcp_segment *s, uint32_t isn, uint32_t stamp_offset, uint64_t now)
{
	const struct tcp_conf *k = &l->context->conf;
	uint8_t ecn = atomic_load_explicit(&k->ecn, memory_order_relaxed);

	*r = (struct tcp_request){ .isn = isn, .irs = s->seq, .stamp_offset = stamp_offset,
				   .local_port = s->dest, .remote_port = s->source,
				   .snd_wnd = s->window, .sent_at = now };
	r->peer_mss = s->opt.mss ? s->opt.mss : MSS_DEFAULT;
	if (l->maxseg)
		r->peer_mss = MIN(r->peer_mss, l->maxseg);
	r->advmss = mss_of_path(path, l->maxseg);
	r->use_stamps = s->opt.stamps && conf_flag(&k->timestamps);
	r->ts_recent = s->opt.stamp;
	r->use_sack = s->opt.sack_permitted && conf_flag(&k->sack);
	r->use_wscale = s->opt.wscale >= 0 && conf_flag(&k->window_scaling);
	r->snd_wscale = r->use_wscale ? (uint8_t)s->opt.wscale : 0;
	r->use_ecn = ecn && (s->flags & (TCP_FLAG_ECE | TCP_FLAG_CWR)) == (TCP_FLAG_ECE | TCP_FLAG_CWR);
	tcp_initial_window(l->context, l->rcvbuf, l->window_clamp, r->advmss - (r->use_stamps ? 12u : 0u),
			   r->use_wscale, &r->rcv_wnd, &r->rcv_wscale);
	r->max_retries = l->syn_retries ? l->syn_retries : (uint8_t)MIN(conf(&k->synack_retries), 255u);
	r->defer = defer_of(l->defer_accept);
	r->at = now + wait_of(0);
}

struct lx_pbuf *tcp_request_answer(const struct tcp_request *r, const struct tcp_listener *l, uint64_t now)
{
	struct tcp_header h = { .source = r->local_port, .dest = r->remote_port, .seq = r->isn,
				.ack = r->irs + 1, .flags = TCP_FLAG_SYN | TCP_FLAG_ACK };
	struct tcp_options o = { .mss = r->advmss, .wscale = -1, .sack_permitted = r->use_sack,
				 .stamps = r->use_stamps };

	if (r->use_ecn)
		h.flags |= TCP_FLAG_ECE;
	h.window = (uint16_t)MIN(r->rcv_wnd, (uint32_t)UINT16_MAX);
	if (r->use_wscale)
		o.wscale = (int8_t)r->rcv_wscale;
	/* of a cookie the stamp says what the SYN asked for: it is in sent_at's place */
	o.stamp = r->from_cookie ? (uint32_t)r->sent_at : stamp_of(now) + r->stamp_offset;
	o.stamp_echo = r->ts_recent;
	return tcp_header_packet(l->context, &h, true, &o);
}

/* An empty ACK for what is not acceptable, not more than one in a while. */
static struct lx_pbuf *stray_answer(struct tcp_request *r, const struct tcp_listener *l, uint64_t now)
{
	struct tcp_header h = { .source = r->local_port, .dest = r->remote_port, .seq = r->isn + 1,
				.ack = r->irs + 1, .flags = TCP_FLAG_ACK };
	struct tcp_options o = { .wscale = -1, .stamps = r->use_stamps };

	if (r->challenge_at && now - r->challenge_at < conf(&l->context->conf.invalid_ratelimit) * MS_NS)
		return NULL;
	r->challenge_at = now;
	h.window = (uint16_t)(MIN(r->rcv_wnd, (uint32_t)UINT16_MAX << r->rcv_wscale) >> r->rcv_wscale);
	o.stamp = stamp_of(now) + r->stamp_offset;
	o.stamp_echo = r->ts_recent;
	return tcp_header_packet(l->context, &h, false, &o);
}

enum tcp_verdict tcp_request_receive(struct tcp_request *r, const struct tcp_listener *l,
				     const struct tcp_segment *s, uint64_t now, struct lx_pbuf **answer)
{
	bool old = r->use_stamps && s->opt.stamps && seq_before(s->opt.stamp, r->ts_recent);

	*answer = NULL;
	/* the SYN again: our answer was lost */
	if (s->seq == r->irs && (s->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST)) == TCP_FLAG_SYN &&
	    !old) {
		if (r->challenge_at && now - r->challenge_at < conf(&l->context->conf.invalid_ratelimit) * MS_NS)
			return TCP_DROP;
		r->challenge_at = now;
		r->sent_at = 0;
		*answer = tcp_request_answer(r, l, now);
		return TCP_DROP;
	}
	if (s->flags & TCP_FLAG_ACK && !(s->flags & TCP_FLAG_RST) && s->ack != r->isn + 1) {
		*answer = tcp_reset_for(l->context, s);
		return TCP_DROP;
	}
	if (old || seq_before(s->end, r->irs + 1) || seq_after(s->seq, r->irs + 1 + r->rcv_wnd)) {
		if (!(s->flags & TCP_FLAG_RST))
			*answer = stray_answer(r, l, now);
		return TCP_DROP;
	}
	if (s->flags & TCP_FLAG_RST) {
		if (s->seq == r->irs + 1) {
			tcp_count(l->context, TCP_C_ATTEMPT_FAILS);
			return TCP_END;
		}
		*answer = stray_answer(r, l, now);
		return TCP_DROP;
	}
	if (s->flags & TCP_FLAG_SYN) {
		*answer = stray_answer(r, l, now);
		return TCP_DROP;
	}
	if (!(s->flags & TCP_FLAG_ACK))
		return TCP_DROP;
	if (r->use_stamps && s->opt.stamps && !seq_after(s->seq, r->irs + 1))
		r->ts_recent = s->opt.stamp;
	r->snd_wnd = (uint32_t)s->window << r->snd_wscale;
	/* TCP_DEFER_ACCEPT: an ACK alone is not worth waking anybody */
	if (r->retries < r->defer && s->end == r->irs + 1) {
		r->acked = true;
		return TCP_DROP;
	}
	return TCP_ACCEPT;
}

enum tcp_verdict tcp_request_timer(struct tcp_request *r, const struct tcp_listener *l, uint64_t now,
				   struct lx_pbuf **answer)
{
	bool deferred = r->acked && r->retries < r->defer;

	*answer = NULL;
	if (r->retries >= r->max_retries && (!deferred || r->retries >= r->defer)) {
		tcp_count(l->context, TCP_C_ATTEMPT_FAILS);
		return TCP_END;
	}
	/* who has acknowledged it need not hear it again, but for the last time of waiting for data */
	if (!r->acked || r->retries + 1 >= r->defer) {
		*answer = tcp_request_answer(r, l, now);
		r->sent_at = 0;
		if (*answer)
			tcp_count(l->context, TCP_C_RETRANS_SEGS);
	}
	r->retries++;
	r->at = now + wait_of(r->retries);
	return TCP_DROP;
}

/* -- cookies */

void tcp_request_to_cookie(struct tcp_request *r, const struct inet_secret *secret,
			   const struct inet_tuple *t, uint64_t now)
{
	struct tcp_cookie facts = { .mss = r->peer_mss, .sack = r->use_sack, .ecn = r->use_ecn,
				    .wscale = r->use_wscale ? (int8_t)r->snd_wscale : -1 };

	r->isn = tcp_cookie_make(&secret->cookie, t, r->irs, r->peer_mss, now);
	r->from_cookie = true;
	if (r->use_stamps) {
		r->sent_at = tcp_cookie_stamp_make(stamp_of(now), &facts) + r->stamp_offset;
		return;
	}
	/* there is no place for what is not in the number */
	r->use_sack = r->use_wscale = r->use_ecn = false;
	r->snd_wscale = r->rcv_wscale = 0;
}

bool tcp_request_from_cookie(struct tcp_request *r, const struct tcp_listener *l,
			     const struct tcp_path *path, const struct tcp_segment *s,
			     const struct inet_secret *secret, const struct inet_tuple *t, uint64_t now)
{
	struct tcp_cookie facts = { .wscale = -1 };
	uint16_t mss;

	if ((s->flags & (TCP_FLAG_ACK | TCP_FLAG_SYN | TCP_FLAG_RST)) != TCP_FLAG_ACK)
		return false;
	if (!tcp_cookie_check(&secret->cookie, t, s->seq - 1, s->ack - 1, now, &mss)) {
		tcp_count(l->context, TCP_C_SYNCOOKIES_FAILED);
		return false;
	}
	*r = (struct tcp_request){ .isn = s->ack - 1, .irs = s->seq - 1, .local_port = s->dest,
				   .remote_port = s->source, .peer_mss = mss };
	r->stamp_offset = tcp_stamp_offset(&secret->stamp, t);
	r->advmss = mss_of_path(path, l->maxseg);
	if (s->opt.stamps && s->opt.stamp_echo) {
		tcp_cookie_stamp_read(s->opt.stamp_echo - r->stamp_offset, &facts);
		r->use_stamps = true;
		r->ts_recent = s->opt.stamp;
	}
	r->use_sack = facts.sack && conf_flag(&l->context->conf.sack);
	r->use_ecn = facts.ecn;
	r->use_wscale = facts.wscale >= 0;
	r->snd_wscale = r->use_wscale ? (uint8_t)facts.wscale : 0;
	tcp_initial_window(l->context, l->rcvbuf, l->window_clamp, r->advmss - (r->use_stamps ? 12u : 0u),
			   r->use_wscale, &r->rcv_wnd, &r->rcv_wscale);
	r->snd_wnd = (uint32_t)s->window << r->snd_wscale;
	tcp_count(l->context, TCP_C_SYNCOOKIES_RECV);
	return true;
}
