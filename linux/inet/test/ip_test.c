/* SPDX-License-Identifier: MIT */
/*
 * IPv4 from devices up, on the host: ways and sources, neighbours, fragments, and packets of people
 * who mean no good.  A card keeps what it is given to send; a protocol keeps what it receives.
 */
#include "test/host/rig_test.h"

#include <linux/icmp.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include "inet/hash.h"
#include "inet/ip4.h"
#include "inet/neigh.h"
#include "inet/pmtu.h"
#include "inet/sysctl.h"
#include "lx/timer.h"

#define SENT_MAX	64u

static struct lx_pbuf *sent[SENT_MAX], *received;
static unsigned int nr_sent, nr_received, nr_errors;
static struct ip_error last_error;
static struct lx_timer *timers[8];
static unsigned int nr_timers;

/* -- what IP asks for, and is not there */

void lx_timer_init(struct lx_timer *t, void (*fn)(struct lx_timer *t), uint32_t clock)
{
	*t = (struct lx_timer){ .fn = fn, .clock = clock };
	timers[nr_timers++ % ARRAY_SIZE(timers)] = t;
}

void lx_timer_set(struct lx_timer *t, uint64_t abs_ns)
{
	t->deadline = abs_ns;
}

bool lx_timer_cancel(struct lx_timer *t)
{
	bool was_set = t->deadline;

	t->deadline = 0;
	return was_set;
}

/* All that are set, whatever the time. */
static void run_timers(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(timers); i++)
		if (timers[i] && lx_timer_cancel(timers[i]))
			timers[i]->fn(timers[i]);
}

static void keep(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	lx_pbuf_free(received);
	received = p;
	nr_received++;
}

static void keep_error(struct inet *inet, struct lx_netdev *dev, const struct ip_error *e)
{
	last_error = *e;
	nr_errors++;
}

const struct inet_protocol udp_protocol = { .receive = keep, .error = keep_error };
const struct inet_protocol tcp_protocol;

bool raw_receive(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p)
{
	return false;
}

void raw_error(struct inet *inet, const struct ip_error *e)
{
}

bool ping_receive(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p)
{
	return false;
}

void ping_error(struct inet *inet, const struct ip_error *e)
{
}

void rtnl_address_event(struct inet *inet, uint16_t type, struct lx_netdev *dev,
			const struct inet_address *a, uint32_t seq, uint32_t portid)
{
}

void rtnl_route_event(struct inet *inet, uint16_t type, const struct route *r, uint16_t flags,
		      uint32_t seq, uint32_t portid)
{
}

int inet_tables_create(struct inet *inet)
{
	return 0;
}

void inet_tables_destroy(struct inet *inet)
{
}

int tcp_ns_create(struct inet *inet)
{
	return 0;
}

void tcp_ns_destroy(struct inet *inet)
{
}

int inet_sysctl_init(void)
{
	return 0;
}

/* -- a card, and a network around it */

static int card_open(struct lx_netdev *dev)
{
	return 0;
}

static void card_stop(struct lx_netdev *dev)
{
}

static void card_xmit(struct lx_netdev *dev, unsigned int q, struct lx_pbuf *p, bool more)
{
	if (nr_sent == SENT_MAX)
		lx_pbuf_free(p);
	else
		sent[nr_sent++] = p;
}

static const struct lx_netdev_ops card_ops = {
	.open = card_open, .stop = card_stop, .xmit = card_xmit,
};

#define US	BE32(0x0a000002u)	/* 10.0.0.2/24 */
#define THEM	BE32(0x0a000009u)
#define ROUTER	BE32(0x0a000001u)
#define FAR	BE32(0xc0000201u)

static const uint8_t our_mac[6] = { 2, 0, 0, 0, 0, 1 }, their_mac[6] = { 2, 0, 0, 0, 0, 9 };

static void forget_sent(void)
{
	while (nr_sent)
		lx_pbuf_free(sent[--nr_sent]);
}

static void change(struct lx_netdev *dev, uint32_t flags)
{
	rt_mutex_lock(&dev->ns->config_lock);
	CHECK_EQ(lx_netdev_change_flags(dev, flags, IFF_UP), 0);
	rt_mutex_unlock(&dev->ns->config_lock);
}

static int add_address(struct lx_netdev *dev, uint32_t be, uint8_t len)
{
	struct inet_address a = { .local_be = be, .peer_be = be, .prefix_len = len,
				  .flags = IFA_F_PERMANENT, .broadcast_be = be | ~inet_mask_be(len) };
	int err;

	rt_mutex_lock(&dev->ns->config_lock);
	err = inet_address_add(dev->ns->inet, dev, &a);
	rt_mutex_unlock(&dev->ns->config_lock);
	return err;
}

static int add_route(struct lx_netns *ns, uint32_t dst, uint8_t len, uint32_t gateway, uint32_t metric)
{
	struct route r = {
		.entry = { .prefix = inet_addr_v4(dst), .prefix_len = (uint8_t)(INET_V4_BITS + len),
			   .metric = metric },
		.gateway_be = gateway, .table = RT_TABLE_MAIN, .type = RTN_UNICAST,
		.protocol = RTPROT_BOOT,
	};
	int err;

	rt_mutex_lock(&ns->config_lock);
	err = route_check(ns->inet, &r);
	if (!err)
		err = route_add(ns->inet, route_create(&r), NLM_F_CREATE | NLM_F_EXCL, 0, 0);
	rt_mutex_unlock(&ns->config_lock);
	return err;
}

static struct lx_netdev *begin(void)
{
	static bool started;
	struct lx_netdev *dev;
	struct lx_netns *ns;

	if (!started) {
		rig_start();
		CHECK_EQ(lx_net_init(), 0);
	}
	started = true;
	rig_reset();
	nr_timers = 0;
	nr_received = nr_errors = 0;
	ns = lx_netns_create();
	dev = lx_netdev_alloc("eth0", &card_ops, 0, 1);
	lx_netdev_set_address(dev, our_mac);
	CHECK_EQ(lx_netdev_register(ns, dev), 0);
	change(ns->loopback, IFF_UP);
	change(dev, IFF_UP);
	CHECK_EQ(add_address(dev, US, 24), 0);
	return dev;
}

static void end(struct lx_netdev *dev)
{
	struct lx_netns *ns = dev->ns;
	uint32_t datagrams;
	uint64_t bytes;

	forget_sent();
	lx_pbuf_free(received);
	received = NULL;
	lx_netdev_unregister(dev);
	for (unsigned int i = 0; i < INET_TABLES; i++)
		CHECK(route_table_check(&ns->inet->table[i]));
	CHECK_EQ(ns->inet->table[1].entries, 0);
	ip4_fragments_count(ns->inet, &datagrams, &bytes);
	if (!datagrams)
		CHECK_EQ(lx_pbuf_pool_used(ns->pool), 0);
	lx_netdev_put(dev);
	lx_netns_put(ns);
}

static struct inet_dst way(struct inet *inet, uint32_t dst, int wanted)
{
	struct inet_flow flow = { .dst = inet_addr_v4(dst) };
	struct inet_dst d;

	CHECK_EQ(inet_route_output(inet, &flow, &d), wanted);
	return d;
}

/* From the network: a frame from @from to us, of @n bytes of IP. */
static void arrive(struct lx_netdev *dev, uint16_t protocol, const void *data, uint32_t n)
{
	struct lx_pbuf *p = lx_pbuf_alloc(dev->ns->pool, LX_PBUF_RX_HEADROOM, ETH_HLEN + n);
	uint8_t *f = lx_pbuf_put(p, ETH_HLEN + n);

	memcpy(f, our_mac, 6);
	memcpy(f + 6, their_mac, 6);
	put_be16(f + 12, protocol);
	memcpy(f + ETH_HLEN, data, n);
	lx_netdev_receive(dev, 0, p);
}

static void arp_says(struct lx_netdev *dev, uint16_t op, const uint8_t *mac, uint32_t ip, uint32_t target)
{
	uint8_t a[28] = { 0, 1, 8, 0, 6, 4 };

	put_be16(a + 6, op);
	memcpy(a + 8, mac, 6);
	memcpy(a + 14, &ip, 4);
	memcpy(a + 18, our_mac, 6);
	memcpy(a + 24, &target, 4);
	arrive(dev, ETH_P_ARP, a, sizeof(a));
}

static int send_udp(struct inet *inet, uint32_t dst, uint32_t n, uint8_t fill, uint8_t pmtudisc)
{
	struct lx_pbuf *p = lx_pbuf_alloc_large(inet->ns->pool, LX_PBUF_HEADROOM, MIN(n, 64u), n);
	struct inet_dst d = way(inet, dst, 0);
	struct ip_tx t = { .src = d.src, .dst = inet_addr_v4(dst), .protocol = IPPROTO_UDP, .ttl = -1,
			   .pmtudisc = pmtudisc };
	int err;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t b = (uint8_t)(fill + i * 7 + i / 256);

		lx_pbuf_write(p, i, &b, 1);
	}
	err = ip_send(inet, &d, p, &t);
	inet_dst_release(&d);
	lx_net_deliver(inet->ns);
	return err;
}

static uint16_t sent_protocol(unsigned int i)
{
	uint8_t type[2];

	CHECK(i < nr_sent);
	lx_pbuf_read(sent[i], 12, type, 2);
	return get_be16(type);
}

/* -- ways */

TEST(ways_and_sources_are_chosen_as_linux_does)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	struct inet_flow flow = { .dst = inet_addr_v4(FAR), .oif = 77 };
	struct inet_dst d;

	d = way(inet, THEM, 0);
	CHECK(d.dev == dev && d.type == RTN_UNICAST && d.mtu == 1500);
	CHECK_EQ(inet_addr_to_v4(&d.src), US);
	CHECK_EQ(inet_addr_to_v4(&d.hop), THEM);
	CHECK(inet_dst_is_valid(inet, &d));
	(void)way(inet, FAR, -ENETUNREACH);
	CHECK_EQ(add_route(dev->ns, 0, 0, FAR, 0), -ENETUNREACH);
	CHECK_EQ(add_route(dev->ns, 0, 0, ROUTER, 0), 0);
	CHECK(!inet_dst_is_valid(inet, &d));
	inet_dst_release(&d);
	d = way(inet, FAR, 0);
	CHECK_EQ(inet_addr_to_v4(&d.hop), ROUTER);
	inet_dst_release(&d);
	d = way(inet, US, 0);
	CHECK(d.dev == dev->ns->loopback && d.type == RTN_LOCAL && d.mtu == 65536);
	inet_dst_release(&d);
	d = way(inet, US | BE32(0xff), 0);
	CHECK(d.dev == dev && d.type == RTN_BROADCAST);
	inet_dst_release(&d);
	d = way(inet, 0, 0);
	CHECK(d.type == RTN_LOCAL && inet_addr_to_v4(&d.src) == BE32(0x7f000001));
	inet_dst_release(&d);
	CHECK_EQ(inet_route_output(inet, &flow, &d), -ENODEV);
	flow.oif = 0;
	flow.src = inet_addr_v4(THEM);
	CHECK_EQ(inet_route_output(inet, &flow, &d), -ENETUNREACH);
	flow.src = inet_addr_v4(0);
	flow.direct = true;
	CHECK_EQ(inet_route_output(inet, &flow, &d), -ENETUNREACH);
	change(dev, 0);
	(void)way(inet, THEM, -ENETUNREACH);
	CHECK_EQ(ip4_addr_type(inet, US), RTN_LOCAL);
	change(dev, IFF_UP);
	d = way(inet, THEM, 0);
	inet_dst_release(&d);
	(void)way(inet, FAR, -ENETUNREACH);	/* that route was an administrator's */
	end(dev);
}

TEST(paths_are_remembered_to_be_narrow)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	struct inet_addr them = inet_addr_v4(THEM);
	struct inet_dst d = way(inet, THEM, 0), e;

	inet_pmtu_update(inet, &them, 1000);
	CHECK(!inet_dst_is_valid(inet, &d));
	inet_dst_release(&d);
	d = way(inet, THEM, 0);
	CHECK_EQ(d.mtu, 1000);
	inet_pmtu_update(inet, &them, 1200);
	inet_dst_release(&d);
	d = way(inet, THEM, 0);
	CHECK_EQ(d.mtu, 1000);
	inet_pmtu_update(inet, &them, 0);
	inet_dst_release(&d);
	d = way(inet, THEM, 0);
	CHECK_EQ(d.mtu, 552);
	e = way(inet, ROUTER, 0);
	CHECK_EQ(e.mtu, 1500);
	inet_dst_release(&d);
	inet_dst_release(&e);
	end(dev);
}

/* -- neighbours */

TEST(packets_wait_for_their_neighbour)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	struct inet_neighbour_info n;

	for (uint8_t i = 0; i < 3; i++)
		CHECK_EQ(send_udp(inet, THEM, 100, i, IP_PMTUDISC_WANT), 0);
	CHECK_EQ(nr_sent, 1);
	CHECK_EQ(sent_protocol(0), ETH_P_ARP);
	CHECK(inet_neighbour_find(inet, dev, THEM, &n) && n.state == NUD_INCOMPLETE);
	arp_says(dev, 2, their_mac, THEM, US);
	CHECK_EQ(nr_sent, 4);
	for (unsigned int i = 1; i < 4; i++) {
		uint8_t head[ETH_HLEN + IP4_HEADER + 1];

		CHECK_EQ(sent_protocol(i), ETH_P_IP);
		lx_pbuf_read(sent[i], 0, head, sizeof(head));
		CHECK(!memcmp(head, their_mac, 6));
		CHECK_EQ(head[ETH_HLEN + IP4_HEADER], i - 1);	/* in order */
	}
	CHECK(inet_neighbour_find(inet, dev, THEM, &n) && n.state == NUD_REACHABLE);
	end(dev);
}

TEST(who_does_not_answer_is_unreachable)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	struct inet_neighbour_info n;

	atomic_store(&inet->conf.neigh_retrans_ms, 0);
	CHECK_EQ(send_udp(inet, THEM, 100, 0, IP_PMTUDISC_WANT), 0);
	CHECK_EQ(nr_sent, 1);
	run_timers();
	run_timers();
	CHECK_EQ(nr_sent, 3);
	CHECK_EQ(nr_errors, 0);
	run_timers();
	CHECK_EQ(nr_sent, 3);
	CHECK_EQ(nr_errors, 1);
	CHECK_EQ(last_error.err, EHOSTUNREACH);
	CHECK_EQ(inet_addr_to_v4(&last_error.dst), THEM);
	CHECK(inet_neighbour_find(inet, dev, THEM, &n) && n.state == NUD_FAILED);
	/* and is asked again */
	CHECK_EQ(send_udp(inet, THEM, 100, 0, IP_PMTUDISC_WANT), 0);
	CHECK_EQ(nr_sent, 4);
	end(dev);
}

TEST(what_waits_for_a_neighbour_is_bounded)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	uint64_t used;

	for (unsigned int i = 0; i < 1000; i++)
		CHECK_EQ(send_udp(inet, THEM, 1000, 0, IP_PMTUDISC_WANT), 0);
	used = lx_pbuf_pool_used(dev->ns->pool);
	CHECK(used < 80000);
	atomic_store(&inet->conf.neigh_gc_thresh3, 16);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t be = BE32(0x0a000010u + i);

		(void)send_udp(inet, be, 10, 0, IP_PMTUDISC_WANT);
		/* those who speak to us find no room either, and are answered nevertheless */
		arp_says(dev, 1, their_mac, be, US);
	}
	CHECK(lx_pbuf_pool_used(dev->ns->pool) < 400000);
	end(dev);
}

TEST(questions_for_our_addresses_are_answered)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	struct inet_neighbour_info n;
	uint8_t reply[ETH_HLEN + 28];

	arp_says(dev, 1, their_mac, THEM, ROUTER);	/* not ours */
	arp_says(dev, 1, their_mac, THEM, BE32(0x7f000001));
	CHECK_EQ(nr_sent, 0);
	CHECK(!inet_neighbour_find(inet, dev, THEM, &n));
	arp_says(dev, 1, their_mac, THEM, US);
	CHECK_EQ(nr_sent, 1);
	lx_pbuf_read(sent[0], 0, reply, sizeof(reply));
	CHECK(!memcmp(reply, their_mac, 6) && !memcmp(reply + ETH_HLEN + 8, our_mac, 6));
	CHECK_EQ(get_be16(reply + ETH_HLEN + 6), 2);
	CHECK(inet_neighbour_find(inet, dev, THEM, &n) && n.state == NUD_STALE);
	/* nobody takes an address of ours */
	arp_says(dev, 2, their_mac, US, US);
	CHECK(!inet_neighbour_find(inet, dev, US, &n));
	end(dev);
}

/* -- fragments */

/* What the card was given of IP comes in, from them to us, in an order of @seed. */
static void turn_round(struct lx_netdev *dev, unsigned int seed)
{
	struct lx_pbuf *frames[SENT_MAX];
	unsigned int n = nr_sent;

	memcpy(frames, sent, sizeof(frames));
	nr_sent = 0;
	for (unsigned int i = n; i > 1; i--) {
		unsigned int j = (seed = seed * 1103515245u + 12345u) / 65536 % i;
		struct lx_pbuf *p = frames[i - 1];

		frames[i - 1] = frames[j];
		frames[j] = p;
	}
	for (unsigned int i = 0; i < n; i++) {
		uint8_t ip[2048];
		struct iphdr *h = (struct iphdr *)ip;
		uint32_t len = frames[i]->len - ETH_HLEN;

		lx_pbuf_read(frames[i], ETH_HLEN, ip, len);
		h->saddr = THEM;
		h->daddr = US;
		ip4_header_csum(h);
		arrive(dev, ETH_P_IP, ip, len);
		lx_pbuf_free(frames[i]);
	}
}

TEST(datagrams_are_cut_and_put_together)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	uint32_t datagrams;
	uint64_t bytes;

	arp_says(dev, 1, their_mac, THEM, US);
	forget_sent();
	CHECK_EQ(send_udp(inet, THEM, 4000, 1, IP_PMTUDISC_DO), -EMSGSIZE);
	CHECK_EQ(send_udp(inet, THEM, 65600, 1, IP_PMTUDISC_DONT), -EMSGSIZE);
	for (unsigned int n = 1480; n <= 65500; n = n * 2 + 13) {
		nr_received = 0;
		CHECK_EQ(send_udp(inet, THEM, n, (uint8_t)n, IP_PMTUDISC_WANT), 0);
		CHECK_EQ(nr_sent, DIV_ROUND_UP(n, 1480u));
		turn_round(dev, n);
		CHECK_EQ(nr_received, 1);
		CHECK_EQ(received->len, n);
		for (uint32_t i = 0; i < n; i++) {
			uint8_t b;

			lx_pbuf_read(received, i, &b, 1);
			CHECK_EQ(b, (uint8_t)(n + i * 7 + i / 256));
		}
	}
	ip4_fragments_count(inet, &datagrams, &bytes);
	CHECK_EQ(datagrams, 0);
	CHECK_EQ(bytes, 0);
	end(dev);
}

static void piece(struct lx_netdev *dev, uint16_t id, uint32_t src, uint16_t frag, uint32_t n)
{
	uint8_t ip[IP4_HEADER + 1480] = { 0 };
	struct iphdr *h = (struct iphdr *)ip;

	*h = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .saddr = src,
			     .daddr = US, .id = BE16(id), .frag_off = BE16(frag),
			     .tot_len = BE16((uint16_t)(IP4_HEADER + n)) };
	ip4_header_csum(h);
	arrive(dev, ETH_P_IP, ip, IP4_HEADER + n);
}

TEST(fragments_are_bounded)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	uint32_t datagrams;
	uint64_t bytes;

	for (uint32_t i = 0; i < 1000; i++)
		piece(dev, (uint16_t)i, THEM, IP4_MF, 8);
	ip4_fragments_count(inet, &datagrams, &bytes);
	CHECK(datagrams && datagrams <= 128);
	for (uint32_t i = 0; i < 20000; i++)
		piece(dev, (uint16_t)i, BE32(0x0b000000u + i), IP4_MF, 1480);
	ip4_fragments_count(inet, &datagrams, &bytes);
	CHECK(bytes < (4u << 20) + 8192);
	end(dev);
}

TEST(fragments_that_make_no_sense_are_dropped)
{
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	uint32_t datagrams;
	uint64_t bytes;

	piece(dev, 1, THEM, IP4_MF, 16);	/* overlaps */
	piece(dev, 1, THEM, 1, 16);
	piece(dev, 2, THEM, IP4_MF, 12);	/* no multiple of 8 */
	piece(dev, 3, THEM, 8191, 1480);	/* ends behind 65535 */
	piece(dev, 4, THEM, 4, 8);		/* goes on behind its end */
	piece(dev, 4, THEM, IP4_MF | 5, 8);
	piece(dev, 5, THEM, 4, 8);		/* two ends */
	piece(dev, 5, THEM, 6, 8);
	piece(dev, 6, THEM, IP4_MF, 0);		/* nothing in it */
	ip4_fragments_count(inet, &datagrams, &bytes);
	CHECK_EQ(datagrams, 0);
	CHECK_EQ(nr_received, 0);
	end(dev);
}

/* -- hostile packets */

TEST(random_packets_do_no_harm)
{
	static const uint8_t protocols[] = { IPPROTO_ICMP, IPPROTO_UDP, IPPROTO_TCP, 253 };
	struct lx_netdev *dev = begin();
	uint32_t seed = 1;

#define NEXT()	((seed = seed * 1664525u + 1013904223u) >> 8)
	for (unsigned int i = 0; i < 50000; i++) {
		uint8_t ip[200];
		struct iphdr *h = (struct iphdr *)ip;
		uint32_t n = NEXT() % sizeof(ip);

		for (uint32_t j = 0; j < sizeof(ip); j++)
			ip[j] = (uint8_t)NEXT();
		if (NEXT() % 8) {
			h->version = 4;
			h->ihl = (NEXT() % 4 ? 5 : 5 + NEXT() % 11) & 15;
			h->tot_len = BE16((uint16_t)(NEXT() % 4 ? n : NEXT()));
			h->protocol = protocols[NEXT() % 4];
			h->saddr = NEXT() % 4 ? BE32(0x0a000003u + NEXT() % 200) : h->saddr;
			h->daddr = NEXT() % 4 ? US : NEXT() % 2 ? IP4_BROADCAST : BE32(0xe0000001u);
			h->frag_off = NEXT() % 2 ? 0 : BE16((uint16_t)(NEXT() & 0x2007));
			if (n >= h->ihl * 4u && h->ihl >= 5)
				ip4_header_csum(h);
		}
		arrive(dev, NEXT() % 16 ? ETH_P_IP : ETH_P_ARP, ip, n);
		if (nr_sent > SENT_MAX / 2)
			forget_sent();
		if (!(i % 1000))
			run_timers();
	}
#undef NEXT
	end(dev);
}

/* -- groups */

static const uint8_t *last_report(uint8_t ip[256])
{
	struct lx_pbuf *p;
	uint32_t n;

	CHECK(nr_sent > 0);
	p = sent[nr_sent - 1];
	n = MIN(p->len - ETH_HLEN, 256u);
	lx_pbuf_read(p, ETH_HLEN, ip, n);
	CHECK_EQ(((struct iphdr *)ip)->protocol, IPPROTO_IGMP);
	CHECK_EQ(((struct iphdr *)ip)->ttl, 1);
	CHECK_EQ(lx_csum_fold(lx_csum_add(0, ip + 24, n - 24)), 0);
	return ip + 24;
}

TEST(groups_are_reported)
{
	const uint32_t group_be = BE32(0xe9010203u);
	struct inet_addr group = inet_addr_v4(group_be);
	struct lx_netdev *dev = begin();
	struct inet *inet = dev->ns->inet;
	uint8_t ip[256], query[IP4_HEADER + 12] = { 0 };
	struct iphdr *h = (struct iphdr *)query;
	const uint8_t *m;

	CHECK(!inet_is_member(inet, dev, group_be));
	CHECK_EQ(inet_multicast_join(inet, dev, &group), 0);
	CHECK_EQ(inet_multicast_join(inet, dev, &group), 0);
	CHECK(inet_is_member(inet, dev, group_be));
	CHECK_EQ(nr_sent, 1);
	m = last_report(ip);
	CHECK(m[0] == 0x22 && m[7] == 1 && m[8] == 4 && !memcmp(m + 12, &group_be, 4));
	/* a router asks */
	*h = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 1, .protocol = IPPROTO_IGMP, .saddr = ROUTER,
			     .daddr = BE32(0xe0000001u), .tot_len = BE16(sizeof(query)) };
	ip4_header_csum(h);
	query[20] = 0x11;
	put_u16(query + 22, lx_csum_fold(lx_csum_add(0, query + 20, 12)));
	arrive(dev, ETH_P_IP, query, sizeof(query));
	rt_read_lock(&inet->lock);
	atomic_store(&inet_dev_find(inet, dev->ifindex)->igmp_due_ns, 1);
	rt_read_unlock(&inet->lock);
	run_timers();
	CHECK_EQ(nr_sent, 2);
	m = last_report(ip);
	CHECK(m[0] == 0x22 && m[7] == 1 && m[8] == 2 && !memcmp(m + 12, &group_be, 4));
	inet_multicast_leave(inet, dev, &group);
	CHECK_EQ(nr_sent, 2);
	inet_multicast_leave(inet, dev, &group);
	CHECK_EQ(nr_sent, 3);
	m = last_report(ip);
	CHECK(m[0] == 0x22 && m[8] == 3);
	end(dev);
}
