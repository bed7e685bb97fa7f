/* SPDX-License-Identifier: MIT */
/*
 * IPv4 on its way in: headers, options, fragments, ICMP.  The input is packets, each behind a byte
 * and its length: bit 0 makes the header's checksum right and the addresses ours, or nothing
 * behind it would be reached; bit 1 the length; bit 2 lets the timers run; bit 3 hands the packet over in two pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "inet/ip4.h"
#include "lx/timer.h"

#define US	BE32(0x0a000002u)
#define THEM	BE32(0x0a000009u)

static struct lx_netns ns;
static struct inet inet;
static struct lx_netdev *dev;
static struct lx_timer *timer;
static uint64_t now = 1000000000000;

/* -- the runtime */

void *rt_alloc(size_t n) { return malloc(n); }
void *rt_zalloc(size_t n) { return calloc(1, n); }
void rt_free(void *p) { free(p); }
uint64_t rt_now_ns(void) { return now; }
uint64_t rt_realtime_ns(void) { return now; }
void rt_mutex_init(struct rt_mutex *m, uint32_t rank) { }
void rt_mutex_lock(struct rt_mutex *m) { }
void rt_mutex_unlock(struct rt_mutex *m) { }
size_t lx_iter_put(struct lx_iter *it, const void *p, size_t n) { return 0; }
size_t lx_iter_get(struct lx_iter *it, void *p, size_t n) { return 0; }

void lx_timer_init(struct lx_timer *t, void (*fn)(struct lx_timer *t), uint32_t clock)
{
	t->fn = fn;
	timer = t;
}

void lx_timer_set(struct lx_timer *t, uint64_t ns_abs) { t->deadline = ns_abs; }
bool lx_timer_cancel(struct lx_timer *t) { return false; }

/* -- what is around: one device, an address, nobody else */

struct lx_netdev *lx_netdev_get(struct lx_netdev *d) { return d; }
void lx_netdev_put(struct lx_netdev *d) { }
struct lx_netdev *lx_netdev_by_index(struct lx_netns *n, int index) { return dev; }
void lx_net_deliver(struct lx_netns *n) { }
struct lx_netdev *inet_address_device(struct inet *i, uint32_t be) { return NULL; }
bool inet_is_member(struct inet *i, struct lx_netdev *d, uint32_t be) { return true; }
void inet_dst_release(struct inet_dst *d) { }

uint8_t ip4_addr_type(struct inet *i, uint32_t be)
{
	if (be == US)
		return RTN_LOCAL;
	return be == IP4_BROADCAST || ip4_is_zeronet(be) ? RTN_BROADCAST :
	       ip4_is_multicast(be) ? RTN_MULTICAST : RTN_UNICAST;
}

int inet_route_output(struct inet *i, const struct inet_flow *flow, struct inet_dst *out)
{
	*out = (struct inet_dst){ .dev = dev, .src = inet_addr_v4(US), .hop = flow->dst, .mtu = 1500,
				  .type = RTN_UNICAST };
	return 0;
}

static void touch(const struct lx_pbuf *p)
{
	uint32_t len = 0;

	for (unsigned int n = 0; n < p->nr_pieces; n++) {
		fuzz_touch(p->piece[n].data, p->piece[n].len);
		len += p->piece[n].len;
	}
	fuzz_assert(len == p->len);
}

int ip_send(struct inet *i, const struct inet_dst *d, struct lx_pbuf *p, const struct ip_tx *t)
{
	touch(p);
	fuzz_assert(!lx_csum_fold(lx_pbuf_csum(p, 0, p->len, 0)));
	lx_pbuf_free(p);
	return 0;
}

int ip4_xmit(struct inet *i, const struct inet_dst *d, struct lx_pbuf *p)
{
	lx_pbuf_free(p);
	return 0;
}

void ip4_header_csum(struct iphdr *h)
{
	h->check = 0;
	h->check = lx_csum_fold(lx_csum_add(0, h, h->ihl * 4u));
}

static void receive(struct inet *i, struct lx_netdev *d, struct lx_pbuf *p)
{
	fuzz_assert(lx_pbuf_offset(p, p->transport_at) == 0);
	touch(p);
	icmp4_send_error(i, d, p, 3, 3, 0);
	lx_pbuf_free(p);
}

static void error(struct inet *i, struct lx_netdev *d, const struct ip_error *e)
{
	fuzz_assert(e->transport_len >= 8 && e->err > 0);
	fuzz_touch(e->transport, e->transport_len);
	touch(e->packet);
}

const struct inet_protocol udp_protocol = { receive, error }, tcp_protocol = { receive, error };
const struct inet_protocol igmp_protocol;

bool raw_receive(struct inet *i, struct lx_netdev *d, const struct lx_pbuf *p)
{
	touch(p);
	return false;
}

void raw_error(struct inet *i, const struct ip_error *e) { error(i, NULL, e); }
bool ping_receive(struct inet *i, struct lx_netdev *d, const struct lx_pbuf *p) { return false; }
void ping_error(struct inet *i, const struct ip_error *e) { error(i, NULL, e); }

/* -- input */

static void put_right(uint8_t *packet, size_t n, uint8_t how)
{
	struct iphdr *h = (struct iphdr *)packet;

	if (n < IP4_HEADER)
		return;
	if (how & 2)
		h->tot_len = BE16((uint16_t)n);
	if (!(how & 1))
		return;
	h->version = 4;
	if (h->daddr & 1)
		h->daddr = US;
	if (h->saddr & 1)
		h->saddr = THEM;
	if (h->ihl * 4u >= IP4_HEADER && h->ihl * 4u <= n)
		ip4_header_csum(h);
}

static void feed(uint8_t how, const uint8_t *data, size_t n)
{
	struct lx_pbuf *p = lx_pbuf_alloc_large(ns.pool, 64, how & 8 ? (uint32_t)n / 2 : (uint32_t)n,
						(uint32_t)n);
	uint8_t packet[4096];

	memcpy(packet, data, n);
	put_right(packet, n, how);
	lx_pbuf_write(p, 0, packet, (uint32_t)n);
	p->ifindex = 2;
	p->pkttype = LX_PKT_HOST;
	p->network_at = lx_pbuf_place(p);
	ip4_receive(&inet, dev, p);
	if (how & 4) {
		now += 31000000000;
		timer->fn(timer);
	}
}

static void begin(void)
{
	ns.pool = lx_pbuf_pool_create(64 << 20);
	ns.inet = &inet;
	ns.loopback = calloc(1, sizeof(*dev));
	dev = calloc(1, sizeof(*dev));
	dev->ns = &ns;
	dev->ifindex = 2;
	inet.ns = &ns;
#define INET_CONF(name, value, least, most)	inet.conf.name = value;
	INET_CONF_WORDS(INET_CONF)
#undef INET_CONF
	fuzz_assert(!icmp4_limits_create(&inet));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint32_t datagrams;
	uint64_t bytes;

	if (!dev)
		begin();
	fuzz_assert(!ip4_fragments_create(&inet));
	while (n > 3) {
		size_t len = (size_t)(data[1] << 8 | data[2]) % 4096;

		len = MIN(len, n - 3);
		feed(data[0], data + 3, len);
		data += 3 + len;
		n -= 3 + len;
	}
	now += 31000000000;
	timer->fn(timer);
	ip4_fragments_count(&inet, &datagrams, &bytes);
	fuzz_assert(!datagrams && !bytes && !lx_pbuf_pool_used(ns.pool));
	ip4_fragments_destroy(&inet);
	inet.fragments = NULL;
	return 0;
}
