/* SPDX-License-Identifier: MIT */
/*
 * What is sent, and when: lost segments first, then new ones, as many as the windows of the peer and of
 * congestion take, full ones before others (RFC 9293, 3.8.6.2.1; RFC 896 with Minshall's rule).
 *
 * A segment's bytes are shared with the send queue.  Where the device cuts segments, one packet has as many
 * of them as may go, but each has its record.
 */
#include "inet/tcp/tcp_priv.h"

#define COPY_MAX	256u		/* bytes of data that are copied behind the header rather than shared */

/* -- building */

static void fill_options(struct tcp_conn *c, uint64_t now, struct tcp_options *o)
{
	*o = (struct tcp_options){ .wscale = -1, .stamps = c->use_stamps };
	if (c->use_stamps) {
		o->stamp = stamp_of(now) + c->stamp_offset;
		o->stamp_echo = c->ts_recent;
	}
	if (c->use_sack && (c->blocks.nr || c->blocks.twice))
		tcp_blocks_tell(&c->blocks, o);
}

static void fill_header(struct tcp_conn *c, struct tcp_header *h, uint8_t flags, uint32_t seq)
{
	*h = (struct tcp_header){ .source = c->local_port, .dest = c->remote_port, .seq = seq,
				  .flags = flags, .ack = flags & TCP_FLAG_ACK ? c->rcv_nxt : 0 };
	h->window = tcp_window_field(c, flags & TCP_FLAG_SYN);
	if (c->ece && !(flags & TCP_FLAG_SYN))
		h->flags |= TCP_FLAG_ECE;
	if (!c->snd_urgent || !seq_before(seq, c->snd_up))
		return;
	if (c->snd_up - seq <= UINT16_MAX) {
		h->urgent = (uint16_t)(c->snd_up - seq);
		h->flags |= TCP_FLAG_URG;
	} else if (seq_after(seq + UINT16_MAX, c->snd_nxt)) {
		h->urgent = UINT16_MAX;
		h->flags |= TCP_FLAG_URG;
	}
}

static void emit(struct tcp_conn *c, struct lx_pbuf *p, bool ect)
{
	c->segs_out++;
	c->ops->send(c, p, ect && c->use_ecn);
}

/* A segment without data (or with a SYN). */
static void send_bare(struct tcp_conn *c, uint8_t flags, uint32_t seq, uint64_t now)
{
	struct tcp_options o;
	struct tcp_header h;
	struct lx_pbuf *p;

	fill_options(c, now, &o);
	fill_header(c, &h, flags, seq);
	p = tcp_header_packet(c->context, &h, false, &o);
	if (p)
		emit(c, p, false);
}

void tcp_send_ack(struct tcp_conn *c, uint64_t now)
{
	/* a FIN or bytes that nobody has acknowledged: their numbers are used */
	send_bare(c, TCP_FLAG_ACK, c->snd_nxt, now);
	tcp_ack_sent(c);
}

void tcp_send_reset(struct tcp_conn *c, uint64_t now)
{
	struct tcp_options o = { .wscale = -1 };
	struct tcp_header h;
	struct lx_pbuf *p;

	fill_header(c, &h, TCP_FLAG_RST | TCP_FLAG_ACK, c->snd_nxt);
	h.window = 0;
	h.flags &= TCP_FLAG_RST | TCP_FLAG_ACK;
	h.urgent = 0;
	p = tcp_header_packet(c->context, &h, false, &o);
	tcp_count(c->context, TCP_C_OUT_RSTS);
	if (p)
		emit(c, p, false);
}

void tcp_send_empty_probe(struct tcp_conn *c, bool urgent, uint64_t now)
{
	send_bare(c, TCP_FLAG_ACK, c->snd_una - !urgent, now);
	tcp_ack_sent(c);
}

/* SYN, or SYN-ACK when both sides have opened. */
void tcp_send_syn(struct tcp_conn *c, uint64_t now)
{
	bool answer = c->state == TCP_SYN_RECV;
	struct tcp_options o = { .wscale = -1, .mss = c->advmss, .sack_permitted = c->use_sack,
				 .stamps = c->use_stamps };
	struct tcp_header h;
	struct lx_pbuf *p;

	if (c->use_wscale)
		o.wscale = (int8_t)c->rcv_wscale;
	o.stamp = stamp_of(now) + c->stamp_offset;
	o.stamp_echo = answer ? c->ts_recent : 0;
	h = (struct tcp_header){ .source = c->local_port, .dest = c->remote_port, .seq = c->isn,
				 .flags = TCP_FLAG_SYN, .ack = answer ? c->rcv_nxt : 0 };
	if (answer)
		h.flags |= TCP_FLAG_ACK | (c->use_ecn ? TCP_FLAG_ECE : 0);
	else if (c->use_ecn)
		h.flags |= TCP_FLAG_ECE | TCP_FLAG_CWR;
	h.window = (uint16_t)MIN(c->rcv_limit, (uint32_t)UINT16_MAX);
	p = tcp_header_packet(c->context, &h, true, &o);
	if (p)
		emit(c, p, false);
}

/* The chunk with byte @seq, at or behind @p. */
static struct lx_pbuf *chunk_at(struct tcp_conn *c, struct lx_pbuf *p, uint32_t seq)
{
	while (!seq_before(seq, chunk_of(p)->seq + p->len)) {
		if (p->link.next == &c->send_queue)
			return NULL;
		p = container_of(p->link.next, struct lx_pbuf, link);
	}
	return p;
}

static uint32_t pieces_of(struct tcp_conn *c, struct lx_pbuf *p, uint32_t seq, uint32_t n)
{
	uint32_t pieces = 0;

	for (; n && p; p = chunk_at(c, p, seq)) {
		uint32_t off = seq - chunk_of(p)->seq, part = MIN(n, p->len - off);

		pieces += lx_pbuf_count_pieces(p, off, part);
		seq += part;
		n -= part;
		if (!n)
			break;
	}
	return pieces;
}

/* The bytes [@seq, @seq + @n), of which the first is in @chunk, behind a header: copied, or shared. */
static struct lx_pbuf *with_bytes(struct tcp_conn *c, struct lx_pbuf *chunk, uint32_t seq, uint32_t n,
				  uint32_t header)
{
	bool copy = n <= COPY_MAX;
	struct lx_pbuf *p, *from = chunk;

	p = copy ? lx_pbuf_alloc(c->context->pool, LX_PBUF_HEADROOM, header + n) :
		   lx_pbuf_alloc_shared(c->context->pool, LX_PBUF_HEADROOM, header,
					pieces_of(c, chunk, seq, n));
	if (!p)
		return NULL;
	lx_pbuf_put(p, header);
	while (n) {
		uint32_t off = seq - chunk_of(from)->seq, part = MIN(n, from->len - off);

		if (copy)
			lx_pbuf_read(from, off, lx_pbuf_put(p, part), part);
		else if (!lx_pbuf_share(p, from, off, part))
			break;
		seq += part;
		n -= part;
		if (n)
			from = chunk_at(c, from, seq);
	}
	return p;
}

/* A segment, or several of @mss bytes: [@from, @to), with a FIN if that is in it. */
static bool send_range(struct tcp_conn *c, struct lx_pbuf *chunk, uint32_t from, uint32_t to,
		       uint32_t mss, bool again, uint64_t now)
{
	bool fin = c->fin_queued && to == c->snd_end + 1;
	uint32_t n = to - from - fin, segments = MAX(DIV_ROUND_UP(n, mss), 1u);
	uint8_t options[TCP_OPTIONS_MAX], flags = TCP_FLAG_ACK;
	unsigned int len;
	struct tcp_options o;
	struct tcp_header h;
	struct lx_pbuf *p;

	fill_options(c, now, &o);
	len = tcp_options_build(options, false, &o);
	p = with_bytes(c, chunk, from, n, TCP_HEADER + len);
	if (!p)
		return false;
	if (fin)
		flags |= TCP_FLAG_FIN;
	if (n && from + n == c->snd_end)
		flags |= TCP_FLAG_PSH;
	fill_header(c, &h, flags, from);
	if (c->cwr && n && !again) {
		h.flags |= TCP_FLAG_CWR;
		c->cwr = false;
	}
	tcp_header_put(lx_pbuf_data(p), &h, options, len);
	lx_pbuf_set_csum(p, 0, 16);
	if (segments > 1) {
		p->gso = (uint8_t)(c->gso | (h.flags & TCP_FLAG_CWR ? LX_GSO_ECN : 0));
		p->gso_size = (uint16_t)mss;
		p->gso_header = (uint16_t)(TCP_HEADER + len);
	}
	c->segs_out += segments - 1;
	if (n) {
		c->data_segs_out += segments;
		c->bytes_sent += n;
		c->last_sent_at = now;
	}
	emit(c, p, n && !again);
	tcp_ack_sent(c);
	return true;
}

/* -- timers of what is in flight */

/* A tail-loss probe, where it makes sense: with SACK, when nothing is known to be missing. */
static bool may_probe(const struct tcp_conn *c)
{
	return c->use_sack && c->recovery.state == TCP_OPEN && !c->board.sacked && !c->board.lost &&
	       !c->recovery.probe && !c->stalled_at &&
	       atomic_load_explicit(&c->context->conf.early_retrans, memory_order_relaxed) >= 3 &&
	       !IN(c, S(SYN_SENT) | S(SYN_RECV));
}

void tcp_arm(struct tcp_conn *c, uint64_t now)
{
	if (c->early_probe)
		c->early_at = TCP_NEVER;
	c->early_probe = false;
	if (!c->board.segments) {
		c->resend_at = c->early_at = TCP_NEVER;
		return;
	}
	c->resend = TCP_RESEND_RTO;
	c->resend_at = now + tcp_rto(c);
	if (c->early_at != TCP_NEVER || !may_probe(c))
		return;
	c->early_probe = true;
	c->early_at = tcp_tlp_at(now, c->rtt.srtt_ns, c->board.segments, c->resend_at);
	if (c->early_at == c->resend_at)
		c->early_at = TCP_NEVER;
}

/* -- segments that are in flight */

void tcp_free_record(struct tcp_conn *c, struct tcp_record *r)
{
	tcp_sent_remove(&c->board, &r->s);
	rt_free(r);
}

/* Part of the first segment is acknowledged: its record is of the rest, whose bytes are kept. */
static void trim_head(struct tcp_conn *c)
{
	struct tcp_sent *s = tcp_sent_head(&c->board);

	if (!s || !seq_before(s->from, c->snd_una))
		return;
	s->from = c->snd_una;
	record_of(s)->chunk = chunk_at(c, record_of(s)->chunk, s->from);
}

void tcp_free_acked_chunks(struct tcp_conn *c)
{
	struct lx_pbuf *p, *next;

	trim_head(c);

	list_for_each_entry_safe(p, next, &c->send_queue, link) {
		if (seq_after(chunk_of(p)->seq + p->len, c->snd_una) || p == c->send_next)
			break;
		list_remove(&p->link);
		c->snd_charge -= p->charge;
		lx_pbuf_free(p);
	}
	tcp_charge(c);
}

/* Of @r only the first @n numbers: the rest becomes a record behind it, with the same history. */
static bool split(struct tcp_conn *c, struct tcp_record *r, uint32_t n)
{
	struct tcp_record *rest = rt_alloc(sizeof(*rest));

	if (!rest)
		return false;
	tcp_sent_split(&c->board, &r->s, &rest->s, r->s.from + n);
	rest->chunk = rest->s.from == c->snd_end ? NULL : chunk_at(c, r->chunk, rest->s.from);
	return true;
}

static uint32_t mss_now(const struct tcp_conn *c)
{
	struct tcp_options o = { .wscale = -1, .stamps = c->use_stamps };
	uint32_t sacks = c->blocks.nr + c->blocks.twice;

	if (!c->use_sack || !sacks)
		return c->mss;
	o.nr_sacks = (uint8_t)MIN(sacks, TCP_SACK_MAX);
	return c->mss - (tcp_options_size(false, &o) - (c->use_stamps ? 12 : 0));
}

bool tcp_retransmit(struct tcp_conn *c, struct tcp_record *r, uint64_t now)
{
	uint32_t mss = mss_now(c), n = r->s.to - r->s.from;
	bool syn = r->s.from == c->isn;

	if (!syn && n > mss && r->s.from + mss != c->snd_end && !split(c, r, mss))
		return false;
	n = r->s.to - r->s.from;
	if (syn)
		tcp_send_syn(c, now);
	else if (!send_range(c, r->chunk, r->s.from, r->s.to, MAX(mss, n), true, now))
		return false;
	tcp_sent_again(&c->board, &r->s, now);
	tcp_recovery_sent(&c->recovery, true, now);
	c->total_retrans++;
	c->bytes_retrans += n;
	tcp_count(c->context, TCP_C_RETRANS_SEGS);
	return true;
}

/* Records of [snd_nxt, snd_nxt + @n) (and FIN), each of @mss bytes at most: as many bytes as got one. */
static uint32_t record_range(struct tcp_conn *c, uint32_t n, uint32_t mss, uint64_t now)
{
	uint32_t from = c->snd_nxt, end = from + n;
	struct lx_pbuf *chunk = c->send_next;

	while (from != end) {
		struct tcp_record *r = rt_alloc(sizeof(*r));
		uint32_t bytes = MIN(end - from, mss);

		/* a FIN that follows the last byte of a full segment is in it */
		if (end - from == mss + 1 && end == c->snd_end + 1)
			bytes++;
		if (!r)
			break;
		if (from != c->snd_end)
			chunk = chunk_at(c, chunk, from);
		r->chunk = from == c->snd_end ? NULL : chunk;
		tcp_sent_first(&c->board, &r->s, from, from + bytes, now);
		tcp_recovery_sent(&c->recovery, false, now);
		from += bytes;
	}
	return from - c->snd_nxt;
}

static void advance_next(struct tcp_conn *c, uint32_t n)
{
	c->snd_nxt += n;
	if (!c->send_next)
		return;
	c->send_next = seq_before(c->snd_nxt, c->snd_end) ? chunk_at(c, c->send_next, c->snd_nxt) : NULL;
}

/* -- new data */

/* Were bytes idle so long that the window of congestion says nothing any more? */
static void resume(struct tcp_conn *c, uint64_t now)
{
	uint64_t idle = now - c->last_sent_at;

	if (c->board.segments || !c->last_sent_at || c->snd_nxt == c->isn + 1)
		return;
	tcp_cc_resume(&c->cc, idle, tcp_rto(c), conf_flag(&c->context->conf.slow_start_after_idle));
}

/* Is it an answer to what came lately?  Then ACKs may wait for such. */
static void note_answer(struct tcp_conn *c, uint64_t now)
{
	if (c->ato_ms && now - c->last_data_at < c->ato_ms * MS_NS)
		c->ping_pong = true;
}

/* Bytes of the peer's window that are left. */
static uint32_t window_room(const struct tcp_conn *c)
{
	uint32_t used = c->snd_nxt - c->snd_una;

	return c->snd_wnd > used ? c->snd_wnd - used : 0;
}

/* May a segment go that is not full?  Nagle with Minshall's rule: none such is in flight. */
static bool part_may_go(const struct tcp_conn *c)
{
	if (c->set.cork || !c->pushed)
		return false;
	return c->set.nodelay || c->snd_una == c->snd_nxt || !seq_after(c->snd_small, c->snd_una);
}

/* The same of the last of what there is. */
static bool last_may_go(const struct tcp_conn *c)
{
	return c->fin_queued || (c->snd_urgent && seq_before(c->snd_nxt, c->snd_up)) || part_may_go(c);
}

/* How many numbers (bytes and FIN) may go now in @segments segments at most: 0: none. */
static uint32_t may_go(const struct tcp_conn *c, uint32_t mss, uint32_t segments)
{
	uint32_t bytes = seq_before(c->snd_nxt, c->snd_end) ? c->snd_end - c->snd_nxt : 0;
	uint32_t room = window_room(c), n = MIN(bytes, room);
	bool fin = c->fin_queued && c->snd_nxt + bytes == c->snd_end;

	if (!bytes)
		return fin && send_limit(c) != c->snd_nxt && room ? 1 : 0;
	if (n >= segments * (uint64_t)mss) {
		n = segments * mss;
		return n == bytes && fin && room > n ? n + 1 : n;
	}
	if (n == bytes) {
		if (n % mss == 0 || last_may_go(c))
			return n + (fin && room > n);
		return n - n % mss;
	}
	/*
	 * The window ends within it.  A window is filled only from more than a segment's worth, as on Linux;
	 * segments are half of the largest window at most, so that none is silly (3.8.6.2.1).
	 */
	return bytes > mss && part_may_go(c) ? n : n - n % mss;
}

static void send_new(struct tcp_conn *c, uint32_t n, uint32_t mss, uint64_t now)
{
	struct lx_pbuf *chunk = c->send_next;
	uint32_t from = c->snd_nxt, data;

	n = record_range(c, n, mss, now);
	if (!n)
		return;
	data = n - (from + n == c->snd_end + 1);
	advance_next(c, n);
	if (data % mss)
		c->snd_small = c->snd_nxt;
	note_answer(c, now);
	/* what finds no memory is lost before it is sent: the timer will find it */
	send_range(c, chunk, from, from + n, mss, false, now);
}

bool tcp_send_fresh(struct tcp_conn *c, uint64_t now)
{
	uint32_t mss = mss_now(c), n = may_go(c, mss, 1);

	if (!n)
		return false;
	send_new(c, n, mss, now);
	return true;
}

/* Segments that one packet may have. */
static uint32_t burst_max(const struct tcp_conn *c, uint32_t mss)
{
	if (c->gso == LX_GSO_NONE || c->gso_max < 2 * mss)
		return 1;
	return (c->gso_max - c->ip_header - TCP_HEADER - TCP_OPTIONS_MAX) / mss;
}

/* A lost segment or new ones: false if nothing may go. */
static bool send_some(struct tcp_conn *c, uint64_t now)
{
	uint32_t pipe = tcp_scoreboard_pipe(&c->board), mss = mss_now(c), before = c->snd_nxt;
	uint32_t segments = c->cc.cwnd > pipe ? c->cc.cwnd - pipe : 0, n;
	struct tcp_sent *lost = segments ? tcp_sent_next_lost(&c->board) : NULL;

	if (lost) {
		/* beyond the window nothing is sent but the first */
		if (lost->from != c->snd_una && !seq_before(lost->from, c->snd_una + c->snd_wnd))
			return false;
		return tcp_retransmit(c, record_of(lost), now);
	}
	c->cc_limited |= !segments && may_go(c, mss, 1);
	/* a FIN by itself is not held up by congestion */
	if (!segments && c->fin_queued && c->snd_nxt == c->snd_end)
		segments = 1;
	n = segments ? may_go(c, mss, MIN(segments, burst_max(c, mss))) : 0;
	if (!n)
		return false;
	send_new(c, n, mss, now);
	return c->snd_nxt != before;
}

/* Nothing is in flight, and something is held back: by the window, or by us. */
static void check_persist(struct tcp_conn *c, uint64_t now)
{
	bool held = send_limit(c) != c->snd_nxt;

	if (c->board.segments)
		return;
	if (!held) {
		c->resend_at = TCP_NEVER;
	} else if (c->resend_at == TCP_NEVER) {
		c->resend = TCP_RESEND_PERSIST;
		c->resend_at = now + MAX(tcp_rto(c), TCP_RTO_MIN_NS);
	}
}

void tcp_output(struct tcp_conn *c, uint64_t now)
{
	bool any = false;

	if (!IN(c, S(ESTABLISHED) | S(CLOSE_WAIT) | S_ENDING))
		return;
	if (may_go(c, mss_now(c), 1))
		resume(c, now);
	while (send_some(c, now))
		any = true;
	if (any)
		tcp_arm(c, now);
	check_persist(c, now);
}

void tcp_send_window_probe(struct tcp_conn *c, uint64_t now)
{
	uint32_t mss = mss_now(c), room = window_room(c);
	uint32_t bytes = seq_before(c->snd_nxt, c->snd_end) ? c->snd_end - c->snd_nxt : 0;
	uint32_t n = MIN(MIN(bytes, room), mss);

	if (!n && !bytes && room && send_limit(c) != c->snd_nxt)
		n = 1;
	if (!n) {
		tcp_send_empty_probe(c, false, now);
		return;
	}
	send_new(c, n, mss, now);
	tcp_arm(c, now);
}
