/* SPDX-License-Identifier: MIT */
#include "inet/test/tcp_rig.h"

#include "base/byteorder.h"
#include "inet/test/heap.h"

enum { QUEUE = 100, FRAME = 1514 };

uint64_t rig_now;
struct rig_end rig_a, rig_b;
const struct rig_path *rig_path_now;
unsigned int rig_wrong, rig_check_every = 1;
static uint64_t random_state;
static struct inet_secret secret;
static bool started;

uint64_t rig_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 16;
}

static bool chance(uint64_t per_million)
{
	return rig_random() % 1000000 < per_million;
}

/* -- what programs write: a pattern that repeats after a prime number of bytes */

enum { PERIOD = 65521 };
static uint8_t pattern[2][PERIOD];

static void make_pattern(void)
{
	for (unsigned int i = 0; i < PERIOD; i++) {
		pattern[0][i] = (uint8_t)(i * 31 + (i >> 8) * 7);
		pattern[1][i] = (uint8_t)(pattern[0][i] + 1);
	}
}

/* Bytes of @writer from @at on, which are in one place; *@n: how many at most. */
static const uint8_t *written_at(const struct rig_end *writer, uint64_t at, uint32_t *n)
{
	uint32_t place = (uint32_t)(at % PERIOD);

	*n = MIN(*n, PERIOD - place);
	return &pattern[writer == &rig_b][place];
}

/* -- the link */

static bool lost(struct rig_way *w, uint32_t loss)
{
	const struct rig_path *path = rig_path_now;

	if (!path->burst)
		return chance(loss);
	/* a burst is of packets, but it does not outlast a pause: timeouts that double would never see its end */
	if (w->losing && rig_now - w->lost_at > SEC)
		w->losing = false;
	w->lost_at = rig_now;
	if (chance(w->losing ? 1000000u / path->burst : loss / path->burst))
		w->losing = !w->losing;
	return w->losing;
}

static void arrive(struct rig_way *w, struct lx_pbuf *p, uint64_t at, bool ce)
{
	struct rig_packet *n = malloc(sizeof(*n)), **place = &w->head;

	*n = (struct rig_packet){ .at = at, .p = p, .ce = ce };
	while (*place && (*place)->at <= at)
		place = &(*place)->next;
	n->next = *place;
	*place = n;
}

static struct lx_pbuf *copy_of(struct rig_end *to, const struct lx_pbuf *p, uint32_t from, uint32_t n,
			       uint32_t header)
{
	struct lx_pbuf *c;
	unsigned int refuse = heap_refuse_one_in;

	heap_refuse_one_in = 0;
	c = lx_pbuf_alloc(to->x.pool, LX_PBUF_RX_HEADROOM, header + n);
	heap_refuse_one_in = refuse;
	lx_pbuf_read(p, 0, lx_pbuf_put(c, header), header);
	if (n)
		lx_pbuf_read(p, from, lx_pbuf_put(c, n), n);
	c->csum = LX_CSUM_VERIFIED;
	return c;
}

/* One segment on the wire: takes @p over. */
static void wire(struct rig_end *to, struct lx_pbuf *p, bool ect)
{
	const struct rig_path *path = rig_path_now;
	uint32_t rate = path->ns_per_byte ? path->ns_per_byte : 80;
	struct rig_way *w = &to->in;
	bool data = p->len > 100;
	uint64_t at;

	if (w->busy_until > rig_now + (uint64_t)QUEUE * FRAME * rate) {
		lx_pbuf_free(p);
		return;
	}
	w->busy_until = MAX(w->busy_until, rig_now) + (p->len + 34) * rate;
	if (lost(w, data ? path->loss : path->ack_loss ? path->ack_loss : path->loss)) {
		lx_pbuf_free(p);
		return;
	}
	at = w->busy_until + path->rtt_ns / 2;
	if (data && chance(path->late))
		at += MS / 2 + rig_random() % (5 * MS / 2);
	if (chance(path->twice))
		arrive(w, copy_of(to, p, 0, 0, p->len), at + rig_random() % (2 * MS), false);
	arrive(w, p, at, ect && path->ce && chance(100000));
}

/* Cut what the device would. */
static void cut(struct rig_end *to, struct lx_pbuf *p, bool ect)
{
	uint32_t header = p->gso_header, mss = p->gso_size, off = header, seq = get_be32(lx_pbuf_data(p) + 4);

	for (; off < p->len; off += mss) {
		uint32_t n = MIN(mss, p->len - off);
		struct lx_pbuf *s = copy_of(to, p, off, n, header);
		uint8_t *h = lx_pbuf_data(s);

		put_be32(h + 4, seq + off - header);
		if (off + n < p->len)
			h[13] &= (uint8_t)~(TCP_FLAG_FIN | TCP_FLAG_PSH);
		if (off != header)
			h[13] &= (uint8_t)~TCP_FLAG_CWR;
		wire(to, s, ect);
	}
	lx_pbuf_free(p);
}

static void transmit(struct rig_end *from, struct lx_pbuf *p, bool ect)
{
	struct rig_end *to = from->peer;

	if (rig_path_now->loopback) {
		arrive(&to->in, p, rig_now, false);
	} else if (p->gso) {
		cut(to, p, ect);
	} else {
		wire(to, copy_of(to, p, 0, 0, p->len), ect);
		lx_pbuf_free(p);
	}
}

static int send_op(struct tcp_conn *c, struct lx_pbuf *p, bool ect)
{
	transmit(container_of(c, struct rig_end, c), p, ect);
	return 0;
}

static const struct tcp_ops ops = { .send = send_op };

/* -- ends */

static struct tcp_path path_of(void)
{
	const struct rig_path *p = rig_path_now;

	return (struct tcp_path){ .mtu = p->mtu ? p->mtu : p->loopback ? 65536 : 1500, .ip_header = 20,
				  .gso = p->gso || p->loopback ? LX_GSO_TCPV4 : LX_GSO_NONE,
				  .gso_max = 65536 };
}

static void answer(struct rig_end *e, struct lx_pbuf *p)
{
	if (p)
		transmit(e, p, false);
}

static void settle(struct rig_end *e)
{
	static unsigned int count;
	unsigned int events = tcp_take_events(&e->c);

	if (count++ % rig_check_every == 0)
		CHECK(tcp_check(&e->c));
	e->events |= events;
	if (events & TCP_EV_TIMEWAIT) {
		tcp_timewait_init(&e->tw, &e->c, rig_now);
		e->in_timewait = true;
	}
}

static bool read_some(struct rig_end *e)
{
	uint32_t n = tcp_readable(&e->c), done = 0, off;

	if (e->read_rate)
		n = MIN(n, e->read_rate);
	while (done < n) {
		struct lx_pbuf *p = tcp_recv_at(&e->c, e->c.copied + done, &off);
		uint8_t buf[4096];
		const uint8_t *want;
		uint32_t part;

		if (!p) {
			CHECK(p);
			break;
		}
		part = MIN(MIN(n - done, tcp_recv_len(p, off)), (uint32_t)sizeof(buf));
		want = written_at(e->peer, e->read + done, &part);
		lx_pbuf_read(p, off, buf, part);
		rig_wrong += memcmp(buf, want, part) != 0;
		done += part;
	}
	e->read += n;
	if (n)
		tcp_recv_take(&e->c, n, rig_now);
	return n;
}

static bool write_some(struct rig_end *e)
{
	uint64_t before = e->written;
	const uint8_t *what;
	uint32_t room;

	if (!tcp_may_send(&e->c))
		return false;
	while (e->written < e->to_write) {
		uint8_t *at = tcp_send_room(&e->c, (size_t)(e->to_write - e->written), &room);

		if (!at)
			break;
		what = written_at(e, e->written, &room);
		memcpy(at, what, room);
		tcp_send_put(&e->c, room);
		e->written += room;
		if (e->written % (64 << 10) < room)
			tcp_send_push(&e->c, 0, rig_now);
	}
	if (e->written != before)
		tcp_send_push(&e->c, 0, rig_now);
	return e->written != before;
}

void rig_program(struct rig_end *e)
{
	if (e->closed)
		return;
	if (!e->lazy)
		read_some(e);
	write_some(e);
	settle(e);
	e->saw_fin |= e->c.fin_received && !tcp_readable(&e->c);
	if (e->halves && e->written == e->to_write && tcp_may_send(&e->c) && e->c.state != TCP_SYN_SENT) {
		tcp_shutdown(&e->c, rig_now);
		settle(e);
	}
	if (e->closes && e->written == e->to_write && e->c.state != TCP_SYN_SENT &&
	    (e->accepted || e->c.state != TCP_CLOSE) && (!e->halves || e->saw_fin)) {
		e->closed = true;
		tcp_close(&e->c, rig_now);
		settle(e);
	}
}

static void accept_one(struct rig_end *e, struct lx_pbuf *p)
{
	struct tcp_path path = path_of();

	tcp_accept(&e->c, &e->r, &path, rig_now);
	e->half_open = false;
	e->accepted = true;
	tcp_receive(&e->c, p, false, rig_now);
}

static void passive(struct rig_end *e, struct lx_pbuf *p, const struct tcp_segment *s)
{
	struct tcp_path path = path_of();
	struct lx_pbuf *reply = NULL;
	struct inet_tuple t = { .local_port = s->dest, .remote_port = s->source };
	uint32_t isn = tcp_isn(&secret.isn, &t, rig_now);

	if (e->in_timewait) {
		enum tcp_verdict v = tcp_timewait_receive(&e->tw, &e->x, s, rig_now, &reply, &isn);

		answer(e, reply);
		e->in_timewait = v == TCP_DROP;
	} else if (e->half_open) {
		switch (tcp_request_receive(&e->r, &e->l, s, rig_now, &reply)) {
		case TCP_ACCEPT:
			accept_one(e, p);
			return;
		case TCP_END:
			e->half_open = false;
			break;
		default:
			break;
		}
		answer(e, reply);
	} else if (e->listening && !e->accepted &&
		   (s->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST)) == TCP_FLAG_SYN) {
		tcp_request_init(&e->r, &e->l, &path, s, isn, tcp_stamp_offset(&secret.stamp, &t), rig_now);
		e->half_open = true;
		answer(e, tcp_request_answer(&e->r, &e->l, rig_now));
	} else {
		answer(e, tcp_reset_for(&e->x, s));
	}
	lx_pbuf_free(p);
}

static void deliver(struct rig_end *e, struct lx_pbuf *p, bool ce)
{
	struct tcp_segment s;

	if (e->c.state != TCP_CLOSE)
		tcp_receive(&e->c, p, ce, rig_now);
	else if (tcp_parse(p, &s))
		passive(e, p, &s);
	else
		lx_pbuf_free(p);
	settle(e);
	rig_program(e);
}

static void timers(struct rig_end *e)
{
	struct lx_pbuf *p;

	if (e->half_open && rig_now >= e->r.at) {
		e->half_open = tcp_request_timer(&e->r, &e->l, rig_now, &p) == TCP_DROP;
		answer(e, p);
	}
	if (e->in_timewait && rig_now >= e->tw.expires_at)
		e->in_timewait = false;
	if (rig_now >= tcp_deadline(&e->c)) {
		tcp_timer(&e->c, rig_now);
		settle(e);
		rig_program(e);
	}
}

static uint64_t deadline(const struct rig_end *e)
{
	uint64_t at = tcp_deadline(&e->c);

	if (e->half_open)
		at = MIN(at, e->r.at);
	if (e->in_timewait)
		at = MIN(at, e->tw.expires_at);
	return e->in.head ? MIN(at, e->in.head->at) : at;
}

static bool take(struct rig_end *e)
{
	struct rig_packet *n = e->in.head;
	struct lx_pbuf *p;
	bool ce;

	if (!n || n->at > rig_now)
		return false;
	e->in.head = n->next;
	p = n->p;
	ce = n->ce;
	free(n);
	deliver(e, p, ce);
	return true;
}

void rig_run(uint64_t time, bool (*done)(void))
{
	while (!done || !done()) {
		uint64_t next = MIN(deadline(&rig_a), deadline(&rig_b));

		if (next > time) {
			rig_now = time;
			return;
		}
		rig_now = MAX(rig_now, next);
		if (!take(&rig_b))
			take(&rig_a);
		timers(&rig_a);
		timers(&rig_b);
	}
}

static void end_init(struct rig_end *e, struct rig_end *peer)
{
	*e = (struct rig_end){ .peer = peer };
	tcp_context_init(&e->x, lx_pbuf_pool_create(1ull << 40));
	tcp_init(&e->c, &e->x, &ops);
	e->c.set.nodelay = false;
	e->l = (struct tcp_listener){ .context = &e->x, .rcvbuf = e->c.set.rcvbuf };
}

static void end_free(struct rig_end *e)
{
	struct rig_packet *n;

	while ((n = e->in.head)) {
		e->in.head = n->next;
		lx_pbuf_free(n->p);
		free(n);
	}
	tcp_destroy(&e->c);
	CHECK_EQ(e->c.charged, 0);
}

void rig_end_all(void)
{
	if (!started)
		return;
	started = false;
	end_free(&rig_a);
	end_free(&rig_b);
	CHECK_EQ(lx_pbuf_pool_used(rig_a.x.pool), 0);
	lx_pbuf_pool_put(rig_a.x.pool);
	lx_pbuf_pool_put(rig_b.x.pool);
	CHECK_EQ(heap_used, 0);
}

void rig_begin(const struct rig_path *path, uint64_t seed)
{
	rig_end_all();
	started = true;
	make_pattern();
	rig_path_now = path;
	rig_now = 1000 * MS;
	rig_wrong = 0;
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned int i = 0; i < 20; i++)
		rig_random();
	heap_random = random_state;
	for (unsigned int i = 0; i < sizeof(secret); i++)
		((uint8_t *)&secret)[i] = (uint8_t)rig_random();
	end_init(&rig_a, &rig_b);
	end_init(&rig_b, &rig_a);
	rig_b.listening = true;
}

void rig_connect(void)
{
	struct tcp_path path = path_of();
	struct inet_tuple t = { .local_port = 1, .remote_port = 2 };

	rig_a.c.local_port = 1;
	rig_a.c.remote_port = 2;
	CHECK_EQ(tcp_connect(&rig_a.c, &path, tcp_isn(&secret.isn, &t, rig_now), (uint32_t)rig_random(), rig_now), 0);
	settle(&rig_a);
}
