/* SPDX-License-Identifier: MIT */
/*
 * ARP for Ethernet.  As Linux without arp_ignore, arp_announce and arp_accept: any address of this
 * machine is answered for by any device, who asks us is remembered, and what is said without a question
 * changes what is known but adds nothing.
 */
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>

#include "inet/addr.h"
#include "inet/arp.h"
#include "inet/neigh.h"
#include "inet/route.h"

struct PACKED arp_packet {
	uint16_t hw_be, protocol_be;
	uint8_t hw_len, protocol_len;
	uint16_t op_be;
	uint8_t sender[6];
	uint32_t sender_be;
	uint8_t target[6];
	uint32_t target_be;
};

static void send_arp(struct inet *inet, struct lx_netdev *dev, uint16_t op, const uint8_t *to,
		     uint32_t src_be, uint32_t target_be, const uint8_t *target)
{
	struct lx_pbuf *p = lx_pbuf_alloc(inet->ns->pool, LX_PBUF_HEADROOM, sizeof(struct arp_packet));
	uint8_t own[LX_NETDEV_ADDR], all[LX_NETDEV_ADDR];
	struct arp_packet *a;

	if (!p)
		return;
	lx_netdev_address(dev, own);
	for (unsigned int i = 0; i < LX_NETDEV_ADDR; i++)
		all[i] = (uint8_t)(dev->broadcast >> 8 * i);
	a = lx_pbuf_put(p, sizeof(*a));
	*a = (struct arp_packet){
		.hw_be = BE16(ARPHRD_ETHER), .protocol_be = BE16(ETH_P_IP), .hw_len = 6,
		.protocol_len = 4, .op_be = BE16(op), .sender_be = src_be, .target_be = target_be,
	};
	memcpy(a->sender, own, 6);
	if (target)
		memcpy(a->target, target, 6);
	if (lx_netdev_push_header(dev, p, ETH_P_ARP, to ? to : all, NULL))
		lx_pbuf_free(p);
	else
		(void)lx_netdev_xmit(dev, p);
}

void arp_ask(struct inet *inet, struct lx_netdev *dev, uint32_t target_be, uint32_t src_be,
	     const uint8_t *to)
{
	send_arp(inet, dev, ARPOP_REQUEST, to, src_be, target_be, to);
}

/* Who asked for an address of ours: remembered, as we shall want to answer more than this. */
static void answer(struct inet *inet, struct lx_netdev *dev, const struct arp_packet *a)
{
	if (a->sender_be && ip4_addr_type(inet, a->sender_be) == RTN_UNICAST)
		(void)inet_neighbour_update(inet, dev, a->sender_be, a->sender, NUD_STALE,
					    NEIGHBOUR_OVERRIDE | NEIGHBOUR_CREATE);
	send_arp(inet, dev, ARPOP_REPLY, a->sender, a->target_be, a->sender_be, a->sender);
}

static void learn(struct inet *inet, struct lx_netdev *dev, const struct arp_packet *a, bool to_us)
{
	bool is_reply = a->op_be == BE16(ARPOP_REPLY);
	bool is_gratuitous = a->sender_be == a->target_be;

	if (ip4_addr_type(inet, a->sender_be) != RTN_UNICAST)
		return;			/* one of ours, which somebody else claims */
	(void)inet_neighbour_update(inet, dev, a->sender_be, a->sender,
				    is_reply && to_us ? NUD_REACHABLE : NUD_STALE,
				    is_gratuitous ? NEIGHBOUR_OVERRIDE : 0);
}

static bool is_good(const struct lx_netdev *dev, const struct arp_packet *a)
{
	return a->hw_be == BE16(ARPHRD_ETHER) && a->protocol_be == BE16(ETH_P_IP) &&
	       a->hw_len == 6 && a->protocol_len == 4 && dev->addr_len == 6 &&
	       (a->op_be == BE16(ARPOP_REQUEST) || a->op_be == BE16(ARPOP_REPLY)) &&
	       !ip4_is_multicast(a->target_be) && !ip4_is_loopback(a->target_be) &&
	       !(a->sender[0] & 1);
}

void arp_receive(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	uint32_t flags = atomic_load_explicit(&dev->flags, memory_order_relaxed);
	bool to_us = p->pkttype == LX_PKT_HOST;
	struct arp_packet a;

	if (flags & (IFF_NOARP | IFF_LOOPBACK) || p->pkttype == LX_PKT_OTHERHOST ||
	    !lx_pbuf_read(p, 0, &a, sizeof(a)) || !is_good(dev, &a)) {
		lx_pbuf_free(p);
		return;
	}
	lx_pbuf_free(p);
	if (a.op_be == BE16(ARPOP_REQUEST) && ip4_addr_type(inet, a.target_be) == RTN_LOCAL)
		answer(inet, dev, &a);
	else if (a.sender_be)
		learn(inet, dev, &a, to_us);
}
