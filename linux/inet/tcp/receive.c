/* SPDX-License-Identifier: MIT */
/*
 * What comes: the receive queue, what is out of order, the window that is offered, and when that is
 * acknowledged (RFC 9293, 3.8.6; RFC 5681, 4.2).
 *
 * Packets are queued as they came; of which of their bytes count, struct tcp_received says, so that an
 * overlap costs nothing.  Those out of order are in a tree of ranges that do not overlap.
 */
#include "inet/tcp/tcp_priv.h"

#define QUICK_ACKS	16u
#define ATO_MIN_MS	40u
#define ATO_MAX_MS	200u
#define COALESCE_MAX	512u		/* bytes that are copied behind those that wait already */

/* -- the window */

uint32_t tcp_space(uint32_t memory)
{
	return memory / 2;		/* tcp_adv_win_scale 1 */
}

void tcp_initial_window(struct tcp_context *x, uint32_t rcvbuf, uint32_t clamp, uint32_t mss, bool scale,
			uint32_t *window, uint8_t *wscale)
{
	uint32_t space = tcp_space(rcvbuf), most;

	if (clamp)
		space = MIN(space, clamp);
	if (space > mss)
		space -= space % mss;
	*window = MIN(space, (uint32_t)UINT16_MAX);
	*wscale = 0;
	if (!scale)
		return;
	most = MAX(space, conf(&x->conf.rmem[2]));
	if (clamp)
		most = MIN(most, clamp);
	if (most > UINT16_MAX)
		*wscale = (uint8_t)MIN(log2_u64(most) - 15, TCP_WSCALE_MAX);
}

/* What we would offer, were there no promises. */
static uint32_t free_window(const struct tcp_conn *c)
{
	uint32_t full = tcp_space(c->set.rcvbuf), mss = MIN((uint32_t)c->rcv_mss, full), now, space;

	space = c->rcv_charge < c->set.rcvbuf ? tcp_space(c->set.rcvbuf - c->rcv_charge) : 0;
	if (c->set.window_clamp) {
		full = MIN(full, c->set.window_clamp);
		space = MIN(space, c->set.window_clamp);
	}
	if (space < full / 2 && (space < full / 16 || space < mss))
		return 0;
	if (tcp_pressure(c->context) >= 2)
		space = MIN(space, MAX(4u * c->advmss, tcp_rcv_wnd(c)));
	space = MIN(space, c->rcv_limit);
	if (c->rcv_wscale)
		return ALIGN_UP(space, 1u << c->rcv_wscale);
	now = tcp_rcv_wnd(c);
	if (now > space || now + mss <= space)
		return mss ? space - space % mss : 0;
	return mss == full && space > now + full / 2 ? space : now;
}

uint32_t tcp_window(const struct tcp_conn *c)
{
	uint32_t now = seq_after(c->rcv_adv, c->rcv_nxt) ? tcp_rcv_wnd(c) : 0;
	uint32_t window = free_window(c);

	/* never back from what was promised (RFC 9293, 3.8.6) */
	if (window < now)
		window = ALIGN_UP(now, 1u << c->rcv_wscale);
	return MIN(window, (uint32_t)UINT16_MAX << c->rcv_wscale);
}

uint16_t tcp_window_field(struct tcp_conn *c, bool syn)
{
	uint32_t window = tcp_window(c);

	c->rcv_wup = c->rcv_nxt;
	c->rcv_adv = c->rcv_nxt + window;
	return (uint16_t)(window >> (syn ? 0 : c->rcv_wscale));
}

/* The window grows as bytes come whose memory is known: twice of what has come. */
static void grow_limit(struct tcp_conn *c, uint32_t len, uint32_t charge)
{
	uint32_t full = tcp_space(c->set.rcvbuf);

	if (c->rcv_limit >= full || tcp_pressure(c->context) >= 1)
		return;
	/* small segments in large memory do not earn it */
	if (tcp_space(charge) > len && charge > 4 * len)
		return;
	c->rcv_limit += MIN(full - c->rcv_limit, 2 * MAX((uint32_t)c->advmss, len));
}

/* -- when to acknowledge */

static void quick_mode(struct tcp_conn *c, unsigned int most)
{
	uint32_t n = tcp_rcv_wnd(c) / (2u * MAX(c->rcv_mss, 1u));

	c->quick_acks = (uint8_t)MAX(c->quick_acks, MIN(MAX(n, 2u), most));
}

void tcp_ack_sent(struct tcp_conn *c)
{
	if (c->quick_acks)
		c->quick_acks--;
	c->ack_now = false;
	c->ack_at = TCP_NEVER;
}

bool tcp_quickack(const struct tcp_conn *c)
{
	return !c->ping_pong;
}

void tcp_set_quickack(struct tcp_conn *c, bool on, uint64_t now)
{
	c->ping_pong = !on;
	if (!on)
		return;
	quick_mode(c, QUICK_ACKS);
	if (c->ack_at != TCP_NEVER)
		tcp_send_ack(c, now);
}

/* Data of @len bytes has come: how fast do they, and how large are they? */
static void note_data(struct tcp_conn *c, uint32_t len, uint64_t now)
{
	uint64_t gap = now - c->last_data_at;

	if (len >= c->rcv_mss)
		c->rcv_mss = (uint16_t)MIN(len, (uint32_t)MAX(c->advmss, c->rcv_mss));
	if (!c->ato_ms) {
		quick_mode(c, QUICK_ACKS);
		c->ato_ms = ATO_MIN_MS;
	} else if (gap <= ATO_MIN_MS * MS_NS / 2) {
		c->ato_ms = (uint8_t)(c->ato_ms / 2 + ATO_MIN_MS / 2);
	} else if (gap < c->ato_ms * MS_NS) {
		c->ato_ms = (uint8_t)MIN(c->ato_ms / 2 + gap / MS_NS, (uint64_t)ATO_MAX_MS);
	} else if (gap > tcp_rto(c)) {
		quick_mode(c, QUICK_ACKS);
	}
	c->last_data_at = now;
}

/* Something was received that wants an answer: now, or a little later. */
void tcp_ack_check(struct tcp_conn *c, uint64_t now)
{
	uint32_t waiting = c->rcv_nxt - c->rcv_wup;

	if (!c->ack_now && c->ack_at == TCP_NEVER)
		return;
	if (c->ack_now || c->ooo.root || (c->quick_acks && !c->ping_pong) ||
	    (waiting > c->rcv_mss && tcp_window(c) >= tcp_rcv_wnd(c))) {
		tcp_send_ack(c, now);
		return;
	}
	if (now >= c->ack_at)
		tcp_send_ack(c, now);
}

static void want_ack(struct tcp_conn *c, uint64_t now)
{
	uint64_t most = c->rtt.srtt_ns ? MAX(c->rtt.srtt_ns, ATO_MIN_MS * MS_NS) : ATO_MAX_MS * MS_NS;

	if (c->ack_at == TCP_NEVER)
		c->ack_at = now + MIN(CLAMP(c->ato_ms, ATO_MIN_MS, ATO_MAX_MS) * MS_NS, most);
}

/* -- growth of the buffer: what is read in a round trip, twice, fits (Linux's "dynamic right sizing") */

static void measure_rtt(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now)
{
	if (c->use_stamps && s->opt.stamps && s->opt.stamp_echo && s->len >= c->rcv_mss) {
		uint64_t rtt = (uint64_t)(stamp_of(now) + c->stamp_offset - s->opt.stamp_echo) * MS_NS;

		if (rtt < 60 * SECOND_NS)
			c->rcv_rtt_ns = MAX(c->rcv_rtt_ns ? MIN(c->rcv_rtt_ns, rtt) : rtt, MS_NS);
		return;
	}
	if (c->use_stamps)
		return;
	if (c->rcv_rtt_at && seq_before(c->rcv_nxt, c->rcv_rtt_seq))
		return;
	if (c->rcv_rtt_at)
		c->rcv_rtt_ns = MAX(now - c->rcv_rtt_at, MS_NS);
	c->rcv_rtt_at = now;
	c->rcv_rtt_seq = c->rcv_nxt + tcp_rcv_wnd(c);
}

static void grow_buffer(struct tcp_conn *c, uint32_t read)
{
	uint32_t most = conf(&c->context->conf.rmem[2]);
	uint64_t want = 2ull * read + 16ull * c->advmss;

	/* slow start on the other side doubles it once more */
	want += want * (read - c->drs_space) / MAX(c->drs_space, 1u);
	want = MIN(2 * want, (uint64_t)most);
	if (want <= c->set.rcvbuf || tcp_pressure(c->context) >= 1)
		return;
	c->set.rcvbuf = (uint32_t)want;
	if (!c->set.window_clamp)
		c->rcv_limit = MAX(c->rcv_limit, tcp_space((uint32_t)want) / 2);
}

static void note_read(struct tcp_conn *c, uint64_t now)
{
	uint32_t read = c->copied - c->drs_copied;

	if (!c->rcv_rtt_ns || now - c->drs_at < c->rcv_rtt_ns)
		return;
	if (read > c->drs_space) {
		if (conf_flag(&c->context->conf.moderate_rcvbuf) && !c->set.rcvbuf_locked)
			grow_buffer(c, read);
		c->drs_space = read;
	}
	c->drs_copied = c->copied;
	c->drs_at = now;
}

/* -- queues */

static void drop_packet(struct tcp_conn *c, struct lx_pbuf *p)
{
	c->rcv_charge -= p->charge;
	lx_pbuf_free(p);
}

static void free_ooo(struct tcp_conn *c)
{
	struct rb_node *n;

	while ((n = c->ooo.root)) {
		rb_remove(&c->ooo, n);
		drop_packet(c, packet_of(rb_entry(n, struct tcp_received, node)));
	}
}

void tcp_free_received(struct tcp_conn *c)
{
	struct lx_pbuf *p;

	while ((p = list_pop_entry(&c->recv_queue, struct lx_pbuf, link)))
		drop_packet(c, p);
	free_ooo(c);
	c->copied = c->rcv_nxt - c->fin_received;
	tcp_charge(c);
}

/* Copy a small one behind the last that waits, if that has room which nobody shares. */
static bool coalesce(struct tcp_conn *c, struct lx_pbuf *p)
{
	struct lx_pbuf *last = list_last_entry(&c->recv_queue, struct lx_pbuf, link);
	struct tcp_received *r = received_of(p), *l;
	uint32_t n = r->end - r->seq;

	if (!last || n > COALESCE_MAX || lx_pbuf_tailroom(last) < n || !lx_pbuf_is_private(last))
		return false;
	l = received_of(last);
	if (l->end != r->seq || l->off + (l->end - l->seq) != last->len)
		return false;
	lx_pbuf_read(p, r->off, lx_pbuf_put(last, n), n);
	l->end = r->end;
	lx_pbuf_free(p);
	return true;
}

static void append(struct tcp_conn *c, struct lx_pbuf *p)
{
	struct tcp_received *r = received_of(p);

	c->rcv_nxt = r->end + r->fin;
	if (r->end == r->seq || coalesce(c, p)) {
		if (r->end == r->seq)
			lx_pbuf_free(p);
		return;
	}
	c->rcv_charge += p->charge;
	list_add_last(&c->recv_queue, &p->link);
}

static void take_fin(struct tcp_conn *c, uint64_t now)
{
	c->fin_received = true;
	c->events |= TCP_EV_FIN | TCP_EV_READABLE;
	c->ack_now = true;
	if (c->state == TCP_ESTABLISHED || c->state == TCP_SYN_RECV) {
		tcp_set_state(c, TCP_CLOSE_WAIT);
		c->ping_pong = true;
	} else if (c->state == TCP_FIN_WAIT1) {
		tcp_set_state(c, TCP_CLOSING);
	} else if (c->state == TCP_FIN_WAIT2) {
		tcp_send_ack(c, now);
		tcp_enter_timewait(c);
	}
}

/* What was out of order follows now; but nothing follows a FIN, whatever a peer says. */
static void take_ooo(struct tcp_conn *c, uint64_t now)
{
	struct tcp_received *r;
	bool fin = false;

	while ((r = rb_first_entry(&c->ooo, struct tcp_received, node)) && !seq_after(r->seq, c->rcv_nxt)) {
		struct lx_pbuf *p = packet_of(r);

		rb_remove(&c->ooo, &r->node);
		c->rcv_charge -= p->charge;
		if (c->use_sack && seq_before(r->seq, c->rcv_nxt))
			tcp_blocks_duplicate(&c->blocks, r->seq, seq_min(r->end, c->rcv_nxt));
		if (seq_before(c->rcv_nxt, r->end + r->fin)) {
			uint32_t skip = c->rcv_nxt - r->seq;

			r->seq += skip;
			r->off += skip;
			fin |= r->fin;
			append(c, p);
		} else {
			lx_pbuf_free(p);
		}
		if (fin)
			free_ooo(c);
	}
	tcp_blocks_advance(&c->blocks, c->rcv_nxt);
	if (!fin)
		return;
	c->blocks.nr = 0;
	take_fin(c, now);
}

/* Out-of-order ranges from the far end on are given up until @need bytes more fit. */
static bool prune(struct tcp_conn *c, uint32_t need)
{
	struct tcp_received *r;

	while (c->rcv_charge + need > c->set.rcvbuf &&
	       (r = rb_last_entry(&c->ooo, struct tcp_received, node))) {
		tcp_blocks_renege(&c->blocks, r->seq);
		rb_remove(&c->ooo, &r->node);
		drop_packet(c, packet_of(r));
		tcp_count(c->context, TCP_C_OFO_PRUNED);
	}
	return c->rcv_charge + need <= c->set.rcvbuf;
}

/* Is there memory for @p?  One packet may always wait. */
static bool admit(struct tcp_conn *c, const struct lx_pbuf *p, bool in_order)
{
	if (list_is_empty(&c->recv_queue) && in_order && !c->ooo.root)
		return true;
	if (c->rcv_charge <= c->set.rcvbuf && tcp_pressure(c->context) < 3)
		return true;
	if (prune(c, p->charge) || (in_order && list_is_empty(&c->recv_queue)))
		return true;
	tcp_count(c->context, in_order ? TCP_C_RCV_PRUNED : TCP_C_OFO_DROP);
	return false;
}

/* -- out of order */

/* Cut the range of @r to what no other has; false: nothing is left.  *@parent, *@link: its place. */
static bool ooo_place(struct tcp_conn *c, struct tcp_received *r, struct rb_node **parent,
		      struct rb_node ***link)
{
	struct rb_node **at = &c->ooo.root;

	*parent = NULL;
	while (*at) {
		struct tcp_received *o = rb_entry(*at, struct tcp_received, node);

		if (!seq_before(r->seq, o->seq) && !seq_after(r->end, o->end) &&
		    (!r->fin || o->fin || seq_before(r->end, o->end))) {
			tcp_blocks_duplicate(&c->blocks, r->seq, r->end + r->fin);
			return false;
		}
		if (!seq_after(o->seq, r->seq) && seq_after(o->end, r->seq)) {
			uint32_t skip = o->end - r->seq;

			tcp_blocks_duplicate(&c->blocks, r->seq, o->end);
			r->seq += skip;
			r->off += skip;
		}
		*parent = *at;
		at = seq_before(r->seq, o->seq) ? &(*at)->left : &(*at)->right;
	}
	*link = at;
	return true;
}

/* Those behind @r that it covers go; one that it only touches cuts its end. */
static void ooo_trim(struct tcp_conn *c, struct tcp_received *r)
{
	struct tcp_received *next;

	while ((next = rb_next_entry(r, node)) && seq_before(next->seq, r->end)) {
		if (seq_before(r->end, next->end) || (next->fin && !r->fin)) {
			tcp_blocks_duplicate(&c->blocks, next->seq, r->end);
			r->end = next->seq;
			r->fin = false;
			return;
		}
		tcp_blocks_duplicate(&c->blocks, next->seq, next->end);
		rb_remove(&c->ooo, &next->node);
		drop_packet(c, packet_of(next));
	}
}

static void out_of_order(struct tcp_conn *c, struct lx_pbuf *p, uint64_t now)
{
	struct tcp_received *r = received_of(p);
	struct rb_node *parent, **link;
	uint32_t from = r->seq, to = r->end + r->fin;

	c->ack_now = true;
	if (!admit(c, p, false) || !ooo_place(c, r, &parent, &link)) {
		lx_pbuf_free(p);
		return;
	}
	c->ooo_packets++;
	tcp_count(c->context, TCP_C_OFO_QUEUE);
	rb_insert(&c->ooo, &r->node, parent, link);
	c->rcv_charge += p->charge;
	ooo_trim(c, r);
	/* two others have all of it between them */
	if (r->end == r->seq && !r->fin) {
		rb_remove(&c->ooo, &r->node);
		drop_packet(c, p);
		return;
	}
	if (c->use_sack)
		tcp_blocks_add(&c->blocks, from, to);
	tcp_charge(c);
}

/* -- a segment's data */

/* Received before, all of it: the peer has not got our ACK. */
static void old_data(struct tcp_conn *c, const struct tcp_segment *s)
{
	if (c->use_sack && conf_flag(&c->context->conf.dsack)) {
		tcp_blocks_duplicate(&c->blocks, s->seq, seq_min(s->end, c->rcv_nxt));
		tcp_count(c->context, TCP_C_DSACK_SENT);
	}
	quick_mode(c, QUICK_ACKS);
	c->ack_now = true;
}

static void in_order(struct tcp_conn *c, struct lx_pbuf *p, const struct tcp_segment *s, uint64_t now)
{
	struct tcp_received *r = received_of(p);
	bool fin = r->fin, filled = c->ooo.root;
	uint32_t charge = p->charge, len = r->end - r->seq;

	append(c, p);
	want_ack(c, now);
	if (len) {
		c->events |= TCP_EV_READABLE;
		grow_limit(c, len, charge);
		measure_rtt(c, s, now);
	}
	if (fin) {
		free_ooo(c);
		c->blocks.nr = 0;
	}
	if (filled) {
		c->ack_now = true;		/* RFC 5681, 4.2: it fills a gap */
		take_ooo(c, now);
	}
	if (fin)
		take_fin(c, now);
	tcp_charge(c);
}

void tcp_data(struct tcp_conn *c, struct lx_pbuf *p, const struct tcp_segment *s, uint64_t now)
{
	struct tcp_received *r = received_of(p);
	uint32_t limit = c->rcv_adv, skip;

	*r = (struct tcp_received){ .seq = s->seq, .end = s->seq + s->len, .off = s->header,
				    .fin = s->flags & TCP_FLAG_FIN };
	if (c->fin_received || !seq_after(s->end, c->rcv_nxt)) {
		old_data(c, s);
		lx_pbuf_free(p);
		return;
	}
	if (s->len)
		note_data(c, s->len, now);
	if (seq_before(s->seq, c->rcv_nxt)) {
		skip = c->rcv_nxt - s->seq;
		if (c->use_sack)
			tcp_blocks_duplicate(&c->blocks, s->seq, c->rcv_nxt);
		c->ack_now = true;
		r->seq += skip;
		r->off += skip;
	}
	/* beyond the window, but a FIN that is next needs no room */
	if (!seq_before(r->seq, limit) && (s->len || r->seq != c->rcv_nxt)) {
		tcp_count(c->context, TCP_C_ZERO_WINDOW_DROP);
		quick_mode(c, QUICK_ACKS);
		c->ack_now = true;
		lx_pbuf_free(p);
		return;
	}
	if (seq_after(r->end, limit)) {
		r->end = limit;
		r->fin = false;
	}
	c->bytes_received += r->end - r->seq;
	c->data_segs_in++;
	if (r->seq != c->rcv_nxt) {
		out_of_order(c, p, now);
	} else if (admit(c, p, true)) {
		in_order(c, p, s, now);
	} else {
		c->ack_now = true;
		lx_pbuf_free(p);
	}
}

/* -- urgent data (RFC 6093: the pointer is the byte behind the urgent one) */

void tcp_urgent(struct tcp_conn *c, const struct tcp_segment *s)
{
	uint32_t at = s->seq + s->urgent - 1;

	if (!s->urgent || seq_before(at, c->copied) || seq_before(at, c->rcv_nxt))
		return;
	if (c->rcv_urgent && !seq_after(at, c->rcv_up))
		return;
	c->rcv_urgent = true;
	c->urgent_read = false;
	c->rcv_up = at;
	c->events |= TCP_EV_URGENT;
}

bool tcp_at_mark(const struct tcp_conn *c)
{
	return c->rcv_urgent && c->copied == c->rcv_up;
}

int tcp_urgent_byte(struct tcp_conn *c, uint8_t *byte, bool peek)
{
	struct lx_pbuf *p;
	uint32_t off = 0;

	if (!c->rcv_urgent || c->set.oobinline || c->urgent_read)
		return -EINVAL;
	if (!seq_within(c->rcv_up, c->copied, c->copied + tcp_readable(c)))
		return -EAGAIN;
	p = tcp_recv_at(c, c->rcv_up, &off);
	if (!p || !lx_pbuf_read(p, off, byte, 1))
		return -EAGAIN;
	if (!peek)
		c->urgent_read = true;
	return 0;
}

/* -- the reader */

struct lx_pbuf *tcp_recv_at(const struct tcp_conn *c, uint32_t seq, uint32_t *off)
{
	struct lx_pbuf *p;

	list_for_each_entry(p, &c->recv_queue, link) {
		struct tcp_received *r = received_of(p);

		if (!seq_within(seq, r->seq, r->end))
			continue;
		*off = r->off + (seq - r->seq);
		return p;
	}
	return NULL;
}

uint32_t tcp_recv_len(const struct lx_pbuf *p, uint32_t off)
{
	const struct tcp_received *r = (const struct tcp_received *)p->cb;

	return r->off + (r->end - r->seq) - off;
}

/* Is it worth an ACK that the reader has made room? */
static bool worth_telling(const struct tcp_conn *c)
{
	uint32_t now = tcp_rcv_wnd(c), window;

	if (c->ack_at != TCP_NEVER && (c->rcv_nxt - c->rcv_wup > c->rcv_mss ||
				       (!c->ping_pong && list_is_empty(&c->recv_queue))))
		return true;
	if (c->rcv_shutdown || 2 * (uint64_t)now > tcp_space(c->set.rcvbuf))
		return false;
	window = tcp_window(c);
	return window && window >= 2 * now;
}

void tcp_recv_take(struct tcp_conn *c, uint32_t n, uint64_t now)
{
	struct lx_pbuf *p, *next;

	c->copied += n;
	list_for_each_entry_safe(p, next, &c->recv_queue, link) {
		if (seq_after(received_of(p)->end, c->copied))
			break;
		list_remove(&p->link);
		drop_packet(c, p);
	}
	tcp_charge(c);
	if (c->rcv_urgent && seq_after(c->copied, c->rcv_up))
		c->rcv_urgent = false;
	note_read(c, now);
	if (IN(c, S(ESTABLISHED) | S(FIN_WAIT1) | S(FIN_WAIT2)) && worth_telling(c))
		tcp_send_ack(c, now);
}
