/* SPDX-License-Identifier: MIT */
/* Runs the scripts of tcp_scripts.h with a connection of ours, in virtual time. */
#include "base/byteorder.h"
#include "inet/test/heap.h"
#include "inet/test/tcp_rig.h"
#include "inet/test/tcp_scripts.h"

enum { PEER_ISN = 0xfffffc00, SENT_MAX = 64 };	/* the peer's numbers wrap soon */

static struct tcp_conn c;
static struct tcp_context x;
static struct tcp_listener listener;
static struct tcp_request request;
static struct tcp_timewait timewait;
static bool half_open, in_timewait, listening;
static uint64_t now;
static uint32_t our_isn, first_stamp;
static struct lx_pbuf *sent[SENT_MAX];
static unsigned int nr_sent, next_sent;
static const char *script_name;
static const struct tcp_path path = { .mtu = 1500, .ip_header = 20 };
static char line[200];

static void fail(const char *what)
{
	unit_fail(script_name, 0, "%s: %s", line, what);
}

static void capture(struct lx_pbuf *p)
{
	if (p && nr_sent < SENT_MAX)
		sent[nr_sent++] = p;
	else
		lx_pbuf_free(p);
}

static int send_op(struct tcp_conn *conn, struct lx_pbuf *p, bool ect)
{
	(void)conn, (void)ect;
	capture(p);
	return 0;
}

static const struct tcp_ops ops = { .send = send_op };

static void settle(void)
{
	unsigned int events = tcp_take_events(&c);

	if (events & TCP_EV_TIMEWAIT) {
		tcp_timewait_init(&timewait, &c, now);
		in_timewait = true;
	}
	if (!tcp_check(&c))
		fail("an invariant does not hold");
}

/* -- fields: NAME=N of a line */

static const char *field(const char *name, unsigned int nth)
{
	size_t n = strlen(name);

	for (const char *p = strchr(line, ' '); p; p = strchr(p + 1, ' '))
		if (!strncmp(p + 1, name, n) && p[1 + n] == '=' && !nth--)
			return p + 2 + n;
	return NULL;
}

static uint32_t number(const char *name, uint32_t otherwise)
{
	const char *p = field(name, 0);

	return p ? (uint32_t)strtoul(p, NULL, 10) : otherwise;
}

static bool sack_field(unsigned int nth, uint32_t isn, struct seq_range *r)
{
	const char *p = field("sack", nth);
	char *end;

	if (!p)
		return false;
	r->from = isn + (uint32_t)strtoul(p, &end, 10);
	r->to = isn + (uint32_t)strtoul(end + 1, NULL, 10);
	return true;
}

static uint8_t flags_of(const char *p)
{
	static const char letters[] = "FSRPAUEW";
	uint8_t flags = 0;

	for (; *p && *p != ' '; p++)
		flags |= (uint8_t)(1u << (strchr(letters, *p) - letters));
	return flags;
}

/* -- in */

static struct lx_pbuf *segment(void)
{
	uint8_t flags = flags_of(line + 3), *h;
	struct tcp_options o = { .wscale = -1 };
	uint8_t options[TCP_OPTIONS_MAX];
	uint32_t n = number("len", 0);
	unsigned int len;
	struct lx_pbuf *p;

	o.mss = (uint16_t)number("mss", 0);
	o.wscale = (int8_t)number("ws", (uint32_t)-1);
	o.sack_permitted = number("sackok", 0);
	o.stamps = field("ts", 0);
	o.stamp = number("ts", 0);
	o.stamp_echo = first_stamp + number("ecr", 0);
	while (o.nr_sacks < 3 && sack_field(o.nr_sacks, our_isn, &o.sack[o.nr_sacks]))
		o.nr_sacks++;
	len = tcp_options_build(options, flags & TCP_FLAG_SYN, &o);
	p = lx_pbuf_alloc(x.pool, LX_PBUF_RX_HEADROOM, TCP_HEADER + len + n);
	h = lx_pbuf_put(p, TCP_HEADER + len + n);
	memset(h, 0, TCP_HEADER + len + n);
	put_u16(h, 2);
	put_u16(h + 2, 1);
	put_be32(h + 4, PEER_ISN + number("seq", 0));
	put_be32(h + 8, flags & TCP_FLAG_ACK ? our_isn + number("ack", 0) : 0);
	h[12] = (uint8_t)((TCP_HEADER + len) / 4 << 4);
	h[13] = flags;
	put_be16(h + 14, (uint16_t)number("win", 0));
	put_be16(h + 18, (uint16_t)number("urg", 0));
	memcpy(h + TCP_HEADER, options, len);
	for (uint32_t i = 0; i < n; i++)
		h[TCP_HEADER + len + i] = (uint8_t)('a' + i % 26);
	p->csum = LX_CSUM_VERIFIED;
	return p;
}

static void accept_one(struct lx_pbuf *p)
{
	tcp_accept(&c, &request, &path, now);
	half_open = false;
	tcp_receive(&c, p, false, now);
}

static void not_connected(struct lx_pbuf *p)
{
	struct lx_pbuf *answer = NULL;
	struct tcp_segment s;
	uint32_t isn;

	if (!tcp_parse(p, &s)) {
		lx_pbuf_free(p);
		return;
	}
	if (in_timewait) {
		in_timewait = tcp_timewait_receive(&timewait, &x, &s, now, &answer, &isn) == TCP_DROP;
	} else if (half_open) {
		enum tcp_verdict v = tcp_request_receive(&request, &listener, &s, now, &answer);

		if (v == TCP_ACCEPT) {
			accept_one(p);
			return;
		}
		half_open = v == TCP_DROP;
	} else if (listening && s.flags == TCP_FLAG_SYN) {
		tcp_request_init(&request, &listener, &path, &s, our_isn, 0, now);
		half_open = true;
		answer = tcp_request_answer(&request, &listener, now);
	} else {
		answer = tcp_reset_for(&x, &s);
	}
	capture(answer);
	lx_pbuf_free(p);
}

static void step_in(void)
{
	struct lx_pbuf *p = segment();

	if (c.state == TCP_CLOSE)
		not_connected(p);
	else
		tcp_receive(&c, p, false, now);
	settle();
}

/* -- out */

static void expect(const char *name, uint32_t is)
{
	char what[80];

	if (!field(name, 0) || number(name, 0) == is)
		return;
	snprintf(what, sizeof(what), "%s is %u", name, is);
	fail(what);
}

static void expect_sacks(const struct tcp_options *o)
{
	struct seq_range r;

	for (unsigned int i = 0; i < 4; i++) {
		bool want = sack_field(i, PEER_ISN, &r);

		if (want != (i < o->nr_sacks) ||
		    (want && (r.from != o->sack[i].from || r.to != o->sack[i].to))) {
			fail(i < o->nr_sacks ? "other SACK blocks" : "a SACK block is missing");
			return;
		}
	}
}

static void step_out(void)
{
	const uint8_t others = (uint8_t)~TCP_FLAG_PSH;
	struct tcp_segment s;
	struct lx_pbuf *p;

	if (next_sent == nr_sent) {
		fail("nothing was sent");
		return;
	}
	p = sent[next_sent++];
	if (!tcp_parse(p, &s)) {
		fail("no header");
		return;
	}
	if ((s.flags & others) != (flags_of(line + 4) & others)) {
		char what[40];

		snprintf(what, sizeof(what), "flags are %#x", s.flags);
		fail(what);
	}
	expect("seq", s.seq - our_isn);
	expect("ack", s.ack - PEER_ISN);
	expect("len", s.len);
	expect("win", s.window);
	expect("urg", s.urgent);
	expect("mss", s.opt.mss);
	expect("ws", (uint32_t)s.opt.wscale);
	expect("sackok", s.opt.sack_permitted);
	if (s.flags & TCP_FLAG_SYN)
		first_stamp = s.opt.stamp;
	expect("ts", s.opt.stamp - first_stamp);
	expect("ecr", s.opt.stamp_echo);
	if (!(s.flags & TCP_FLAG_SYN))
		expect_sacks(&s.opt);
	lx_pbuf_free(p);
}

/* -- calls */

static void step_write(uint32_t n, unsigned int flags)
{
	uint32_t room;

	while (n) {
		uint8_t *at = tcp_send_room(&c, n, &room);

		if (!at) {
			fail("no room");
			return;
		}
		memset(at, 'x', room);
		tcp_send_put(&c, room);
		n -= room;
	}
	tcp_send_push(&c, flags, now);
}

static void step_set(void)
{
	c.set.nodelay = number("nodelay", c.set.nodelay);
	c.set.cork = number("cork", c.set.cork);
	c.set.keep_idle = (uint16_t)number("keepidle", c.set.keep_idle);
	c.set.keep_interval = (uint16_t)number("keepintvl", c.set.keep_interval);
	c.set.keep_probes = (uint8_t)number("keepcnt", c.set.keep_probes);
	c.set.user_timeout = number("user_timeout", c.set.user_timeout);
	c.set.rcvbuf = number("rcvbuf", c.set.rcvbuf);
	c.set.rcvbuf_locked |= field("rcvbuf", 0) != NULL;
	listener.rcvbuf = c.set.rcvbuf;
	c.use_sack = number("sack", c.use_sack);
	if (field("keepalive", 0))
		tcp_set_keepalive(&c, number("keepalive", 0), now);
}

static void step_time(uint64_t ms)
{
	uint64_t end = now + ms * MS;
	struct lx_pbuf *p;

	for (;;) {
		uint64_t at = tcp_deadline(&c);

		if (half_open)
			at = MIN(at, request.at);
		if (in_timewait)
			at = MIN(at, timewait.expires_at);
		if (at > end)
			break;
		now = MAX(now, at);
		if (half_open && now >= request.at) {
			half_open = tcp_request_timer(&request, &listener, now, &p) == TCP_DROP;
			capture(p);
		}
		if (in_timewait && now >= timewait.expires_at)
			in_timewait = false;
		tcp_timer(&c, now);
		settle();
	}
	now = end;
}

static const char *state_name(void)
{
	static const char *const names[] = { "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1",
					     "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
					     "LISTEN", "CLOSING" };

	return in_timewait ? "TIME_WAIT" : half_open ? "SYN_RECV" : names[c.state];
}

static const char *error_name(void)
{
	switch (c.error) {
	case 0: return "none";
	case ECONNREFUSED: return "ECONNREFUSED";
	case ECONNRESET: return "ECONNRESET";
	case ETIMEDOUT: return "ETIMEDOUT";
	case EPIPE: return "EPIPE";
	default: return "another";
	}
}

static void expect_word(const char *is)
{
	if (strcmp(strchr(line, ' ') + 1, is))
		fail(is);
}

static bool word(const char *w)
{
	size_t n = strlen(w);

	return !strncmp(line, w, n) && (!line[n] || line[n] == ' ');
}

static void step(void)
{
	uint32_t n = strchr(line, ' ') ? (uint32_t)strtoul(strchr(line, ' ') + 1, NULL, 10) : 0;
	uint8_t byte;

	if (line[0] == '+')
		step_time(strtoul(line + 1, NULL, 10));
	else if (word("in"))
		step_in();
	else if (word("out"))
		step_out();
	else if (word("none"))
		next_sent == nr_sent ? (void)0 : fail("something was sent");
	else if (word("connect"))
		CHECK_EQ(tcp_connect(&c, &path, our_isn, 0, now), 0);
	else if (word("listen"))
		listening = true;
	else if (word("write"))
		step_write(n, 0);
	else if (word("urgent"))
		step_write(n, TCP_SEND_URGENT);
	else if (word("oob"))
		CHECK_EQ(tcp_urgent_byte(&c, &byte, false), 0);
	else if (word("read"))
		tcp_readable(&c) >= n ? tcp_recv_take(&c, n, now) : fail("not so many");
	else if (word("readable"))
		tcp_readable(&c) == n ? (void)0 : fail("another number");
	else if (word("close"))
		tcp_close(&c, now);
	else if (word("shut"))
		tcp_shutdown(&c, now);
	else if (word("abort"))
		tcp_abort(&c, 0, now);
	else if (word("set"))
		step_set();
	else if (word("state"))
		expect_word(state_name());
	else if (word("error"))
		expect_word(error_name());
	else
		fail("no such step");
	settle();
}

static void run(const struct tcp_script *s)
{
	const char *p = s->lines;

	script_name = s->name;
	now = 5000 * MS;
	our_isn = 0x7ffffff0;
	nr_sent = next_sent = 0;
	half_open = in_timewait = listening = false;
	first_stamp = 0;
	tcp_context_init(&x, lx_pbuf_pool_create(1u << 30));
	tcp_init(&c, &x, &ops);
	c.local_port = 1;
	c.remote_port = 2;
	listener = (struct tcp_listener){ .context = &x, .rcvbuf = c.set.rcvbuf };
	atomic_store(&x.conf.timestamps, strstr(s->lines, "ts=") != NULL);
	while (*p) {
		size_t n = strcspn(p, "\n");

		while (*p == ' ')
			p++, n--;
		snprintf(line, sizeof(line), "%.*s", (int)n, p);
		step();
		p += n + (p[n] == '\n');
	}
	while (next_sent < nr_sent)
		lx_pbuf_free(sent[next_sent++]);
	tcp_destroy(&c);
	CHECK_EQ(lx_pbuf_pool_used(x.pool), 0);
	lx_pbuf_pool_put(x.pool);
	CHECK_EQ(heap_used, 0);
}

TEST(scripts)
{
	const char *only = getenv("SCRIPT");

	for (unsigned int i = 0; i < ARRAY_SIZE(tcp_scripts); i++)
		if (!only || !strcmp(only, tcp_scripts[i].name))
			run(&tcp_scripts[i]);
}
