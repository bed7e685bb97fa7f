/* SPDX-License-Identifier: MIT */
/* A connection as a whole: how it begins and ends, its settings, its memory, its invariants. */
#include "inet/tcp/tcp_priv.h"

#define MSS_LEAST	48u		/* tcp_min_snd_mss: options of 40 bytes leave 8 */
#define PAGE		4096u

void tcp_context_init(struct tcp_context *x, struct lx_pbuf_pool *pool)
{
	static const struct tcp_conf defaults = {
		.rmem = { 4096, 131072, 6291456 }, .wmem = { 4096, 16384, 4194304 },
		.mem = { 22746, 30330, 45492 },
		.keepalive_time = 7200, .keepalive_intvl = 75, .keepalive_probes = 9,
		.fin_timeout = 60, .syn_retries = 6, .synack_retries = 5, .retries1 = 3, .retries2 = 15,
		.orphan_retries = 0, .notsent_lowat = UINT32_MAX,
		.timestamps = 1, .sack = 1, .dsack = 1, .window_scaling = 1, .ecn = 2,
		.slow_start_after_idle = 1, .moderate_rcvbuf = 1, .rfc1337 = 0, .tw_reuse = 2,
		.early_retrans = 3, .challenge_ack_limit = INT32_MAX, .invalid_ratelimit = 500,
		.cc = &tcp_cubic,
	};

	memset(x, 0, sizeof(*x));
	x->pool = pool;
	memcpy(&x->conf, &defaults, sizeof(defaults));
}

static void queues_init(struct tcp_conn *c)
{
	list_init(&c->send_queue);
	list_init(&c->recv_queue);
	c->ooo = (struct rb_tree)RB_TREE_INIT;
	tcp_scoreboard_init(&c->board);
	tcp_rack_init(&c->rack);
	tcp_recovery_init(&c->recovery);
	c->resend_at = c->early_at = c->ack_at = c->keep_at = c->state_at = TCP_NEVER;
}

void tcp_init(struct tcp_conn *c, struct tcp_context *x, const struct tcp_ops *ops)
{
	memset(c, 0, sizeof(*c));
	c->ops = ops;
	c->context = x;
	c->state = TCP_CLOSE;
	c->set.sndbuf = conf(&x->conf.wmem[1]);
	c->set.rcvbuf = conf(&x->conf.rmem[1]);
	c->set.cc = atomic_load_explicit(&x->conf.cc, memory_order_relaxed);
	queues_init(c);
	tcp_cc_init(&c->cc, c->set.cc);
}

static void free_sent(struct tcp_conn *c)
{
	struct tcp_sent *s;

	while ((s = tcp_sent_head(&c->board)))
		tcp_free_record(c, record_of(s));
	lx_pbuf_free_list(&c->send_queue);
	c->send_next = NULL;
	c->snd_charge = 0;
	tcp_charge(c);
}

void tcp_destroy(struct tcp_conn *c)
{
	free_sent(c);
	tcp_free_received(c);
	tcp_charge(c);
	c->resend_at = c->early_at = c->ack_at = c->keep_at = c->state_at = TCP_NEVER;
}

void tcp_set_state(struct tcp_conn *c, enum tcp_state state)
{
	c->state = (uint8_t)state;
}

void tcp_done(struct tcp_conn *c, int err)
{
	if (c->state == TCP_CLOSE)
		return;
	tcp_set_state(c, TCP_CLOSE);
	c->resend_at = c->early_at = c->ack_at = c->keep_at = c->state_at = TCP_NEVER;
	free_sent(c);
	c->events |= TCP_EV_CLOSED | TCP_EV_READABLE | TCP_EV_WRITABLE;
	if (err && !c->orphan) {
		c->error = (uint16_t)err;
		c->events |= TCP_EV_ERROR;
	}
	if (c->orphan)
		tcp_free_received(c);
	tcp_charge(c);
}

/* -- memory */

/* In steps, and nothing for a few small messages: so a busy connection rarely writes the shared word. */
void tcp_charge(struct tcp_conn *c)
{
	uint64_t used = (uint64_t)c->snd_charge + c->rcv_charge, want;

	if (used <= c->charged && used && used + 2 * TCP_MEMORY_STEP > c->charged)
		return;
	want = used <= TCP_MEMORY_STEP / 4 ? 0 : ALIGN_UP(used, (uint64_t)TCP_MEMORY_STEP);
	if (want == c->charged)
		return;
	atomic_fetch_add_explicit(&c->context->memory, (int64_t)want - (int64_t)c->charged,
				  memory_order_relaxed);
	c->charged = (uint32_t)want;
}

unsigned int tcp_pressure(const struct tcp_context *x)
{
	int64_t pages = atomic_load_explicit(&x->memory, memory_order_relaxed) / PAGE;
	unsigned int level = 0;

	while (level < 3 && pages > (int64_t)conf(&x->conf.mem[level]))
		level++;
	return level;
}

/* -- the path */

/* Bytes of a segment behind IP's and TCP's headers, all options of the former left to it. */
static uint32_t path_mss(const struct tcp_conn *c)
{
	uint32_t headers = c->ip_header + TCP_HEADER;

	return c->mtu > headers ? c->mtu - headers : 0;
}

void tcp_sync_mss(struct tcp_conn *c)
{
	uint32_t mss = MIN(path_mss(c), (uint32_t)c->peer_mss);
	uint32_t half = c->max_wnd > 536 ? c->max_wnd / 2 : c->max_wnd;

	mss = MAX(mss, MSS_LEAST) - (c->use_stamps ? 12 : 0);
	/* half of a small window, so that two segments are under way (Linux's bound) */
	if (half && mss > half)
		mss = MAX(half, 68u - TCP_HEADER);
	c->mss = (uint16_t)MIN(mss, 65535u);
}

static void take_path(struct tcp_conn *c, const struct tcp_path *path)
{
	c->mtu = MIN(path->mtu, 65535u + path->ip_header);
	c->ip_header = (uint8_t)path->ip_header;
	c->gso = path->gso;
	c->gso_max = MIN(path->gso_max, 65536u);
}

void tcp_set_path(struct tcp_conn *c, const struct tcp_path *path, uint64_t now)
{
	uint32_t before = c->mss;
	struct tcp_sent *s;

	take_path(c, path);
	if (!IN(c, S_SYNCHRONIZED))
		return;
	tcp_sync_mss(c);
	if (c->mss >= before)
		return;
	/* what was too large is lost, and is sent again in smaller pieces */
	for (s = tcp_sent_head(&c->board); s; s = tcp_sent_after(&c->board, s))
		if (s->to - s->from > c->mss)
			tcp_sent_lost(&c->board, s);
	tcp_output(c, now);
}

/* -- opening */

static uint16_t our_mss(const struct tcp_conn *c)
{
	uint32_t mss = CLAMP(path_mss(c), MSS_LEAST, 65535u);

	return (uint16_t)(c->set.maxseg ? MIN(mss, (uint32_t)c->set.maxseg) : mss);
}

static void start(struct tcp_conn *c, const struct tcp_path *path, uint32_t isn, uint32_t stamp_offset)
{
	struct tcp_settings set = c->set;
	uint16_t local = c->local_port, remote = c->remote_port;
	const struct tcp_ops *ops = c->ops;
	struct tcp_context *x = c->context;
	uint16_t events = c->events;

	tcp_destroy(c);
	tcp_init(c, x, ops);
	c->set = set;
	c->local_port = local;
	c->remote_port = remote;
	c->events = events;
	take_path(c, path);
	c->stamp_offset = stamp_offset;
	c->isn = c->snd_una = c->snd_nxt = isn;
	c->snd_end = isn + 1;
	c->snd_small = c->snd_up = isn;
	c->advmss = our_mss(c);
	c->peer_mss = 536;
	tcp_cc_init(&c->cc, set.cc);
}

int tcp_connect(struct tcp_conn *c, const struct tcp_path *path, uint32_t isn, uint32_t stamp_offset,
		uint64_t now)
{
	struct tcp_conf *k = &c->context->conf;
	struct tcp_record *r;
	uint32_t window;

	start(c, path, isn, stamp_offset);
	r = rt_alloc(sizeof(*r));
	if (!r)
		return -ENOBUFS;
	c->use_stamps = conf_flag(&k->timestamps);
	c->use_sack = conf_flag(&k->sack);
	c->use_wscale = conf_flag(&k->window_scaling);
	c->use_ecn = atomic_load_explicit(&k->ecn, memory_order_relaxed) == 1;
	tcp_initial_window(c->context, c->set.rcvbuf, c->set.window_clamp, c->advmss, c->use_wscale,
			   &window, &c->rcv_wscale);
	c->rcv_limit = window;
	c->rcv_mss = (uint16_t)MIN(c->advmss, 536u);
	c->rcv_adv = window;
	c->last_ack_at = c->last_data_at = now;
	r->chunk = NULL;
	tcp_sent_first(&c->board, &r->s, isn, isn + 1, now);
	c->snd_nxt++;
	tcp_set_state(c, TCP_SYN_SENT);
	tcp_count(c->context, TCP_C_ACTIVE_OPENS);
	tcp_send_syn(c, now);
	c->resend_at = now + tcp_rto(c);
	c->resend = TCP_RESEND_RTO;
	return 0;
}

/* Linux makes room for twice the initial window, or what is under way. */
static void grow_sndbuf(struct tcp_conn *c)
{
	uint32_t each = (1u << log2_up_u64(c->mss + 640u)) + 256u;
	uint64_t want = 2ull * MAX(c->cc.cwnd, TCP_CC_INITIAL_WINDOW) * each;

	if (!c->set.sndbuf_locked && want > c->set.sndbuf)
		c->set.sndbuf = (uint32_t)MIN(want, (uint64_t)MAX(conf(&c->context->conf.wmem[2]),
								   c->set.sndbuf));
}

/* Both sides have agreed: sizes are known. */
void tcp_established(struct tcp_conn *c, uint64_t now)
{
	tcp_set_state(c, TCP_ESTABLISHED);
	tcp_sync_mss(c);
	grow_sndbuf(c);
	c->drs_copied = c->copied;
	c->drs_space = MIN(tcp_rcv_wnd(c), TCP_CC_INITIAL_WINDOW * c->advmss);
	c->drs_at = now;
	c->last_ack_at = c->last_data_at = now;
	c->events |= TCP_EV_WRITABLE;
	tcp_keep_restart(c, now);
}

void tcp_accept(struct tcp_conn *c, const struct tcp_request *r, const struct tcp_path *path, uint64_t now)
{
	c->local_port = r->local_port;
	c->remote_port = r->remote_port;
	start(c, path, r->isn, r->stamp_offset);
	c->use_stamps = r->use_stamps;
	c->use_sack = r->use_sack;
	c->use_wscale = r->use_wscale;
	c->use_ecn = r->use_ecn;
	c->snd_wscale = r->snd_wscale;
	c->rcv_wscale = r->rcv_wscale;
	c->peer_mss = r->peer_mss;
	c->advmss = r->advmss;
	c->ts_recent = r->ts_recent;
	c->ts_recent_at = now;
	c->irs = r->irs;
	c->rcv_nxt = c->copied = c->rcv_wup = r->irs + 1;
	c->rcv_adv = c->rcv_nxt + r->rcv_wnd;
	c->rcv_limit = r->rcv_wnd;
	c->rcv_mss = (uint16_t)MIN(c->advmss, 536u);
	c->snd_una = c->snd_nxt = c->snd_small = c->snd_up = r->isn + 1;
	c->snd_wl1 = r->irs;
	c->snd_wl2 = r->isn + 1;
	c->snd_wnd = c->max_wnd = r->snd_wnd;
	if (r->sent_at)
		tcp_rtt_sample(&c->rtt, now - r->sent_at, now);
	tcp_count(c->context, TCP_C_PASSIVE_OPENS);
	tcp_established(c, now);
}

/* -- settings */

void tcp_set_buffers(struct tcp_conn *c, uint32_t sndbuf, uint32_t rcvbuf, uint64_t now)
{
	c->set.sndbuf = sndbuf;
	c->set.rcvbuf = rcvbuf;
	if (c->want_room && tcp_is_writable(c)) {
		c->want_room = false;
		c->events |= TCP_EV_WRITABLE;
	}
	if (IN(c, S_SYNCHRONIZED))
		tcp_output(c, now);
}

void tcp_set_cc(struct tcp_conn *c, const struct tcp_cc_ops *cc)
{
	c->set.cc = cc;
	if (c->cc.ops != cc)
		tcp_cc_change(&c->cc, cc);
}

uint64_t tcp_rto(const struct tcp_conn *c)
{
	return tcp_rtt_rto(&c->rtt, c->backoff);
}

/* -- sending, from the program's side */

bool tcp_may_send(const struct tcp_conn *c)
{
	return IN(c, S(ESTABLISHED) | S(CLOSE_WAIT) | S(SYN_SENT) | S(SYN_RECV)) && !c->fin_queued;
}

static uint32_t unsent(const struct tcp_conn *c)
{
	return seq_before(c->snd_nxt, c->snd_end) ? c->snd_end - c->snd_nxt : 0;
}

bool tcp_is_writable(const struct tcp_conn *c)
{
	uint32_t lowat = c->set.notsent_lowat ? c->set.notsent_lowat :
						conf(&c->context->conf.notsent_lowat);

	return c->snd_charge < c->set.sndbuf &&
	       c->set.sndbuf - c->snd_charge >= c->snd_charge / 2 && unsent(c) < lowat;
}

static struct lx_pbuf *queue_tail(const struct tcp_conn *c)
{
	return list_last_entry(&c->send_queue, struct lx_pbuf, link);
}

static void queue_chunk(struct tcp_conn *c, struct lx_pbuf *p)
{
	chunk_of(p)->seq = c->snd_end;
	list_add_last(&c->send_queue, &p->link);
	c->snd_charge += p->charge;
	tcp_charge(c);
}

/* Small writes, one at a time, need little; those that queue up get whole blocks. */
static struct lx_pbuf *new_chunk(struct tcp_conn *c, size_t want)
{
	uint32_t whole = LX_PBUF_BLOCK - sizeof(struct lx_pbuf) - sizeof(struct lx_piece);
	uint32_t room = whole;

	if (list_is_empty(&c->send_queue) && want <= 1024)
		room = want <= 256 ? 256 : 1024;
	return lx_pbuf_alloc(c->context->pool, 0, room);
}

static bool has_room(struct tcp_conn *c)
{
	if (c->snd_charge < c->set.sndbuf && tcp_pressure(c->context) < 3)
		return true;
	/* one chunk always */
	return list_is_empty(&c->send_queue);
}

void *tcp_send_room(struct tcp_conn *c, size_t want, uint32_t *room)
{
	struct lx_pbuf *p = queue_tail(c);

	*room = p ? lx_pbuf_tailroom(p) : 0;
	if (!*room) {
		if (!has_room(c) && tcp_pressure(c->context) == 0 && c->board.segments < c->cc.cwnd)
			grow_sndbuf(c);
		if (!has_room(c)) {
			c->want_room = true;
			return NULL;
		}
		*room = 1;
		p = new_chunk(c, want);
		if (!p)
			return NULL;
		queue_chunk(c, p);
		*room = lx_pbuf_tailroom(p);
	}
	*room = (uint32_t)MIN((size_t)*room, MAX(want, (size_t)1));
	return lx_pbuf_data(p) + p->len;
}

void tcp_send_put(struct tcp_conn *c, uint32_t n)
{
	struct lx_pbuf *p = queue_tail(c);

	if (!n)
		return;
	lx_pbuf_put(p, n);
	c->snd_end += n;
	if (!c->send_next)
		c->send_next = p;
}

void tcp_send_append(struct tcp_conn *c, struct lx_pbuf *p)
{
	queue_chunk(c, p);
	c->snd_end += p->len;
	if (!c->send_next)
		c->send_next = p;
}

void tcp_send_push(struct tcp_conn *c, unsigned int flags, uint64_t now)
{
	if (flags & TCP_SEND_URGENT) {
		c->snd_up = c->snd_end;
		c->snd_urgent = true;
	}
	c->pushed = !(flags & TCP_SEND_MORE);
	tcp_output(c, now);
}

/* -- invariants */

static bool check_sent(const struct tcp_conn *c)
{
	uint32_t next = c->snd_una, limit = send_limit(c);
	struct tcp_sent *s;

	if (seq_after(c->snd_una, c->snd_nxt) || seq_after(c->snd_nxt, limit) ||
	    !tcp_scoreboard_check(&c->board))
		return false;
	for (s = tcp_sent_head(&c->board); s; s = tcp_sent_after(&c->board, s)) {
		if (s->from != next)
			return false;
		next = s->to;
	}
	return next == c->snd_nxt;
}

static bool check_queue(const struct tcp_conn *c)
{
	struct lx_pbuf *p;
	uint32_t charge = 0, next = 0;
	bool first = true;

	list_for_each_entry(p, &c->send_queue, link) {
		if (!first && chunk_of(p)->seq != next)
			return false;
		first = false;
		next = chunk_of(p)->seq + p->len;
		charge += p->charge;
	}
	if (charge != c->snd_charge || (!first && next != c->snd_end))
		return false;
	if (IN(c, S(CLOSE) | S(SYN_SENT)))
		return true;
	return !c->send_next == !seq_before(c->snd_nxt, c->snd_end);
}

static bool check_received(const struct tcp_conn *c)
{
	uint32_t next = c->copied, charge = 0;
	struct tcp_received *r;
	struct lx_pbuf *p;

	list_for_each_entry(p, &c->recv_queue, link) {
		r = received_of(p);
		if (next == c->copied ? seq_after(r->seq, next) : r->seq != next)
			return false;
		next = r->end;
		charge += p->charge;
	}
	if (tcp_readable(c) && next != c->rcv_nxt - c->fin_received)
		return false;
	next = c->rcv_nxt;
	rb_for_each_entry(r, &c->ooo, node) {
		if (!seq_after(r->seq, next - (next != c->rcv_nxt)) || !(seq_after(r->end, r->seq) || r->fin))
			return false;
		next = r->end;
		charge += packet_of(r)->charge;
	}
	return charge == c->rcv_charge;
}

bool tcp_check(const struct tcp_conn *c)
{
	if (c->state == TCP_CLOSE)
		return c->board.segments == 0 && c->snd_charge == 0;
	if (!check_sent(c) || !check_queue(c) || !check_received(c))
		return false;
	if (c->snd_una != c->snd_nxt && c->resend_at == TCP_NEVER)
		return false;
	return c->cc.cwnd >= 1;
}
