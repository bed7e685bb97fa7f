/* SPDX-License-Identifier: MIT */
/*
 * A connection of TCP between a hostile peer and a program that does anything in any order.  Random bytes
 * would be dropped at the first check, so each step of four bytes is a segment that is made from what the
 * connection expects (its windows, time stamps, what is in flight), a little beside it, or a call.
 */
#include "base/byteorder.h"
#include "fuzz.h"
#include "inet/tcp/tcp.h"
#include "inet/test/heap.h"

#define MS	1000000ull

static struct tcp_conn c;
static struct tcp_context x;
static struct tcp_listener listener;
static struct tcp_request request;
static struct tcp_timewait timewait;
static bool half_open, in_timewait;
static uint64_t now;
static unsigned int answers;

static void capture(struct lx_pbuf *p)
{
	struct tcp_segment s;

	if (!p)
		return;
	answers++;
	fuzz_assert(p->len <= 65535 + 60);
	fuzz_assert(tcp_parse(p, &s) || heap_refuse_one_in);
	lx_pbuf_free(p);
}

static int send_op(struct tcp_conn *conn, struct lx_pbuf *p, bool ect)
{
	capture(p);
	return 0;
}

static const struct tcp_ops ops = { .send = send_op };

static const struct tcp_path paths[] = {
	{ .mtu = 1500, .ip_header = 20 }, { .mtu = 576, .ip_header = 20 }, { .mtu = 68, .ip_header = 20 },
	{ .mtu = 1500, .ip_header = 20, .gso = LX_GSO_TCPV4, .gso_max = 65536 },
	{ .mtu = 65536, .ip_header = 20 }, { .mtu = 1280, .ip_header = 40 },
};

/* Numbers near those that matter. */
static uint32_t near(uint8_t which, uint8_t by)
{
	static const int32_t off[] = { 0, 1, -1, 2, 100, -100, 1000, 1448, 5000, -5000, 70000, -70000,
				       0x7fffffff, -0x7fffffff, 536, 3 };
	uint32_t base[] = { c.rcv_nxt, c.rcv_adv, c.rcv_wup, c.copied, c.snd_una, c.snd_nxt, c.snd_end,
			    c.blocks.block[0].from, c.blocks.block[0].to, request.irs + 1, request.isn + 1,
			    timewait.rcv_nxt, timewait.snd_nxt, c.recovery.point, c.isn, c.irs };

	return base[which & 15] + (uint32_t)off[by & 15];
}

static uint32_t expected_seq(void)
{
	return half_open ? request.irs + 1 : in_timewait ? timewait.rcv_nxt : c.rcv_nxt;
}

static uint32_t expected_ack(void)
{
	return half_open ? request.isn + 1 : in_timewait ? timewait.snd_nxt : c.snd_nxt;
}

static struct lx_pbuf *segment(const uint8_t *b)
{
	static const uint32_t lens[] = { 0, 0, 0, 1, 10, 536, 1448, 1460, 4000, 2, 100, 20000, 0, 3, 1000, 60000 };
	static const uint8_t flags_of[] = { 0x10, 0x10, 0x10, 0x18, 0x11, 0x02, 0x12, 0x04, 0x14, 0x30, 0x19,
					    0x50, 0x90, 0x00, 0xff, 0x29 };
	uint32_t n = lens[b[1] & 15];
	struct tcp_options o = { .wscale = -1 };
	uint8_t options[TCP_OPTIONS_MAX], *h;
	struct lx_pbuf *p;
	unsigned int len;
	uint32_t seq, ack;

	seq = b[2] & 0x80 ? near(b[2] >> 3, b[3]) : expected_seq();
	ack = b[3] & 0x80 ? near(b[3] >> 3, b[2]) : expected_ack();
	o.stamps = b[0] & 0x40 ? !c.use_stamps : c.use_stamps;
	o.stamp = c.ts_recent + (uint32_t)(int8_t)(b[3] << 1);
	o.stamp_echo = (uint32_t)(now / MS) + c.stamp_offset - (b[2] & 0x3f);
	o.mss = (uint16_t)(b[2] << (b[3] & 7));
	o.sack_permitted = b[2] & 1;
	o.wscale = (int8_t)((b[3] & 31) - 8);
	for (o.nr_sacks = 0; o.nr_sacks < (b[1] >> 4 & 3); o.nr_sacks++)
		o.sack[o.nr_sacks] = (struct seq_range){ near(4 + (b[2] >> 1) % 3, b[3] + o.nr_sacks),
							 near(4 + (b[3] >> 1) % 3, b[2] >> 2) };
	len = tcp_options_build(options, flags_of[b[0] & 15] & TCP_FLAG_SYN, &o);
	p = lx_pbuf_alloc(x.pool, LX_PBUF_RX_HEADROOM, TCP_HEADER + len + n);
	if (!p)
		return NULL;
	h = lx_pbuf_put(p, TCP_HEADER + len + n);
	memset(h, 0, TCP_HEADER + len);
	put_be32(h + 4, seq);
	put_be32(h + 8, ack);
	h[12] = (uint8_t)((TCP_HEADER + len) / 4 << 4);
	h[13] = flags_of[b[0] & 15];
	put_be16(h + 14, b[1] & 0x80 ? (uint16_t)(b[3] * (b[2] & 3)) : 30000);
	put_be16(h + 18, b[2]);
	memcpy(h + TCP_HEADER, options, len);
	return p;
}

static void settle(void)
{
	if (tcp_take_events(&c) & TCP_EV_TIMEWAIT) {
		tcp_timewait_init(&timewait, &c, now);
		in_timewait = true;
	}
	fuzz_assert(tcp_check(&c));
	/* a segment or two beyond the buffer at most */
	fuzz_assert(c.rcv_charge <= MAX(c.set.rcvbuf, 8u << 20) + 2 * 66000);
}

static void receive(struct lx_pbuf *p)
{
	struct lx_pbuf *answer = NULL;
	struct tcp_segment s;
	uint32_t isn;

	if (!p)
		return;
	if (c.state != TCP_CLOSE) {
		tcp_receive(&c, p, p->len & 1, now);
		return;
	}
	if (!tcp_parse(p, &s)) {
		lx_pbuf_free(p);
		return;
	}
	if (in_timewait) {
		in_timewait = tcp_timewait_receive(&timewait, &x, &s, now, &answer, &isn) == TCP_DROP;
	} else if (half_open) {
		enum tcp_verdict v = tcp_request_receive(&request, &listener, &s, now, &answer);

		half_open = v == TCP_DROP;
		if (v == TCP_ACCEPT) {
			tcp_accept(&c, &request, &paths[0], now);
			tcp_receive(&c, p, false, now);
			return;
		}
	} else if ((s.flags & 0x16) == TCP_FLAG_SYN) {
		tcp_request_init(&request, &listener, &paths[s.len % 6], &s, 1000, 0, now);
		half_open = true;
		answer = tcp_request_answer(&request, &listener, now);
	} else {
		answer = tcp_reset_for(&x, &s);
	}
	capture(answer);
	lx_pbuf_free(p);
}

static void advance(uint64_t ns)
{
	uint64_t end = now + ns;
	struct lx_pbuf *answer;

	for (unsigned int i = 0; tcp_deadline(&c) <= end; i++) {
		fuzz_assert(i < 10000);
		now = MAX(now, tcp_deadline(&c));
		tcp_timer(&c, now);
		settle();
	}
	now = end;
	if (half_open && now >= request.at) {
		half_open = tcp_request_timer(&request, &listener, now, &answer) == TCP_DROP;
		capture(answer);
	}
	in_timewait = in_timewait && now < timewait.expires_at;
}

static void write_some(uint32_t n, unsigned int flags)
{
	uint32_t room;
	uint8_t *at;

	if (!tcp_may_send(&c))
		return;
	while (n && (at = tcp_send_room(&c, n, &room))) {
		memset(at, 'x', room);
		tcp_send_put(&c, room);
		n -= room;
	}
	tcp_send_push(&c, flags, now);
}

static void read_some(uint32_t n)
{
	uint32_t off;
	uint8_t byte;

	n = MIN(n, tcp_readable(&c));
	for (uint32_t i = 0; i < n; i += 997) {
		struct lx_pbuf *p = tcp_recv_at(&c, c.copied + i, &off);

		fuzz_assert(p && tcp_recv_len(p, off) && lx_pbuf_read(p, off, &byte, 1));
	}
	tcp_recv_take(&c, n, now);
	tcp_urgent_byte(&c, &byte, n & 1);
}

static void call(const uint8_t *b)
{
	static const uint64_t times[] = { 1, 5, 40, 200, 300, 1000, 10000, 100000 };

	switch (b[1] & 15) {
	case 0: case 1: case 2:
		write_some(b[2] << (b[3] & 15), b[3] >> 4 & 3);
		break;
	case 3: case 4:
		read_some(b[2] << (b[3] & 15));
		break;
	case 5: case 6: case 7:
		advance(times[b[2] & 7] * MS);
		break;
	case 8:
		tcp_shutdown(&c, now);
		break;
	case 9:
		if (!c.orphan)
			tcp_close(&c, now);
		break;
	case 10:
		if (c.state == TCP_CLOSE && !c.orphan && !half_open)
			tcp_connect(&c, &paths[b[2] % 6], near(b[2], b[3]), b[3], now);
		break;
	case 11:
		tcp_set_path(&c, &paths[b[2] % 6], now);
		break;
	case 12:
		c.set.nodelay = b[2] & 1;
		c.set.cork = b[2] & 2;
		c.set.user_timeout = b[2] & 4 ? b[3] * 10u : 0;
		tcp_set_quickack(&c, b[2] & 8, now);
		tcp_set_keepalive(&c, b[2] & 16, now);
		break;
	case 13:
		tcp_set_buffers(&c, 4608u << (b[2] & 7), 2304u << (b[3] & 7), now);
		break;
	case 14:
		tcp_icmp_error(&c, near(b[2], b[3]), EHOSTUNREACH, b[3] & 16, now);
		break;
	case 15:
		if (b[2] & 1)
			tcp_disconnect(&c, now);
		else if (b[2] & 2)
			tcp_abort(&c, ECONNABORTED, now);
		else
			heap_refuse_one_in = b[3];
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 4)
		return 0;
	heap_refuse_one_in = 0;
	heap_random = 88172645463325252ull;
	now = 1000 * MS;
	half_open = in_timewait = false;
	memset(&request, 0, sizeof(request));
	memset(&timewait, 0, sizeof(timewait));
	tcp_context_init(&x, lx_pbuf_pool_create(1ull << 30));
	atomic_store(&x.conf.ecn, data[0] & 1);
	atomic_store(&x.conf.sack, data[0] >> 1 & 1);
	atomic_store(&x.conf.timestamps, data[0] >> 2 & 1);
	tcp_init(&c, &x, &ops);
	listener = (struct tcp_listener){ .context = &x, .rcvbuf = c.set.rcvbuf,
					  .defer_accept = data[0] >> 3 & 3 };
	for (size_t i = 4; i + 4 <= MIN(n, (size_t)4096); i += 4) {
		if (data[i] & 0x80)
			call(data + i);
		else
			receive(segment(data + i));
		settle();
	}
	heap_refuse_one_in = 0;
	tcp_destroy(&c);
	fuzz_assert(lx_pbuf_pool_used(x.pool) == 0);
	lx_pbuf_pool_put(x.pool);
	fuzz_assert(heap_used == 0);
	return 0;
}
