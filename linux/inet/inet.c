/* SPDX-License-Identifier: MIT */
/*
 * The life of a namespace's protocols, and the way of packets to them.
 *
 * A namespace is taken apart when nobody has a socket or a task in it, so nothing but timers and
 * devices' threads can be at work: devices are gone first, and each part stops its own timers.
 */
#include "inet/inet.h"

#include <linux/if_ether.h>

#include "inet/arp.h"
#include "inet/hash.h"
#include "inet/igmp.h"
#include "inet/ip4.h"
#include "inet/neigh.h"
#include "inet/pmtu.h"
#include "rt/random.h"

/* In the order of making; freed in the opposite one. */
static const struct inet_part {
	int (*create)(struct inet *inet);	/* 0 or -ENOMEM */
	void (*destroy)(struct inet *inet);	/* also of what was not made */
} parts[] = {
	{ inet_pmtu_create, inet_pmtu_destroy },
	{ icmp4_limits_create, icmp4_limits_destroy },
	{ inet_neighbours_create, inet_neighbours_destroy },
	{ ip4_fragments_create, ip4_fragments_destroy },
	{ igmp_create, igmp_destroy },
	{ inet_tables_create, inet_tables_destroy },
	{ tcp_ns_create, tcp_ns_destroy },
};

static void conf_init(struct inet_conf *c)
{
#define INET_CONF(name, value, least, most)	atomic_init(&c->name, value);
	INET_CONF_WORDS(INET_CONF)
#undef INET_CONF
	atomic_init(&c->ping_group_low, 1);
	atomic_init(&c->ping_group_high, 0);
	atomic_init(&c->port_range, 60999u << 16 | 32768u);
	atomic_init(&c->neigh_retrans_ms, 1000);
	atomic_init(&c->neigh_reachable_ms, 30000);
	atomic_init(&c->neigh_stale_s, 60);
	atomic_init(&c->neigh_delay_s, 5);
	atomic_init(&c->neigh_ucast_probes, 3);
	atomic_init(&c->neigh_mcast_probes, 3);
	atomic_init(&c->neigh_queue_bytes, 65536);
	atomic_init(&c->neigh_gc_thresh3, 1024);
}

struct inet *inet_create(struct lx_netns *ns)
{
	struct inet *inet = rt_zalloc(sizeof(*inet));

	if (!inet)
		return NULL;
	inet->ns = ns;
	rt_random(&inet->secret, sizeof(inet->secret));
	rt_random(&inet->ports, sizeof(inet->ports));
	conf_init(&inet->conf);
	rt_rwlock_init(&inet->lock, LX_LOCK_INET_ROUTE);
	list_init(&inet->devices);
	inet->listener.event = inet_device_event;
	list_init(&inet->listener.link);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].create(inet)) {
			inet_destroy(inet);
			return NULL;
		}
	/* nobody else knows the namespace yet */
	list_add_last(&ns->listeners, &inet->listener.link);
	return inet;
}

static bool is_any(const struct route *r, const void *arg)
{
	return true;
}

void inet_destroy(struct inet *inet)
{
	if (!inet)
		return;
	list_remove(&inet->listener.link);
	route_flush(inet, is_any, NULL);
	for (size_t i = ARRAY_SIZE(parts); i--;)
		parts[i].destroy(inet);
	rt_free(inet);
}

bool inet_receive(struct lx_netdev *dev, struct lx_pbuf *p)
{
	struct inet *inet = dev->ns->inet;

	switch (p->protocol) {
	case ETH_P_IP:
		ip4_receive(inet, dev, p);
		return true;
	case ETH_P_ARP:
		arp_receive(inet, dev, p);
		return true;
	}
	return false;
}
