/* SPDX-License-Identifier: MIT */
/*
 * IPv4 on its way out: the header, and which frame carries it (RFC 791, 1112).
 *
 * What is sent to all or to a group of the link is also for this machine if it is a member: a clone
 * comes back by lo, and ip4_in.c finds out by the source which device it belongs to.
 */
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include "inet/ip4.h"
#include "inet/neigh.h"

uint32_t ip_pseudo_csum(const struct inet_addr *src, const struct inet_addr *dst, uint8_t protocol,
			uint32_t len)
{
	bool is_v4 = inet_addr_is_v4(dst);
	const uint8_t *s = (const uint8_t *)src, *d = (const uint8_t *)dst;
	uint32_t tail[2] = { BE32(len), BE32((uint32_t)protocol) }, sum;

	/* the sum of the two forms is one, as lengths of IPv4 have 16 bits */
	sum = is_v4 ? lx_csum_add(0, s + 12, 4) : lx_csum_add(0, s, 16);
	sum = is_v4 ? lx_csum_add(sum, d + 12, 4) : lx_csum_add(sum, d, 16);
	return lx_csum_add(sum, tail, sizeof(tail));
}

void ip4_header_csum(struct iphdr *h)
{
	h->check = 0;
	h->check = lx_csum_fold(lx_csum_add(0, h, h->ihl * 4u));
}

/* -- frames */

static void multicast_address(uint32_t group_be, uint8_t to[6])
{
	uint32_t group = BE32(group_be);

	to[0] = 0x01;
	to[1] = 0x00;
	to[2] = 0x5e;
	to[3] = (uint8_t)(group >> 16 & 0x7f);
	to[4] = (uint8_t)(group >> 8);
	to[5] = (uint8_t)group;
}

static int xmit_to(struct lx_netdev *dev, struct lx_pbuf *p, const uint8_t *to)
{
	int err = lx_netdev_push_header(dev, p, ETH_P_IP, to, NULL);

	if (err) {
		lx_pbuf_free(p);
		return err;
	}
	return lx_netdev_xmit(dev, p);
}

int ip4_xmit(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p)
{
	uint32_t flags = atomic_load_explicit(&d->dev->flags, memory_order_relaxed);
	uint8_t to[LX_NETDEV_ADDR] = { 0 };

	p->protocol = ETH_P_IP;
	if (p->gso != LX_GSO_NONE)
		p->gso_header = (uint16_t)(p->gso_header + d->dev->header_len);
	if (flags & IFF_LOOPBACK)
		return xmit_to(d->dev, p, to);
	if (d->type == RTN_BROADCAST) {
		for (unsigned int i = 0; i < d->dev->addr_len; i++)
			to[i] = (uint8_t)(d->dev->broadcast >> 8 * i);
		return xmit_to(d->dev, p, to);
	}
	if (d->type == RTN_MULTICAST) {
		multicast_address(inet_addr_to_v4(&d->hop), to);
		return xmit_to(d->dev, p, to);
	}
	if (flags & IFF_NOARP)
		return xmit_to(d->dev, p, to);
	return inet_neighbour_send(inet, d->dev, inet_addr_to_v4(&d->hop), p);
}

/* Our own copy of what goes to many. */
static void loop(struct inet *inet, const struct inet_dst *d, const struct lx_pbuf *p)
{
	struct inet_dst lo = { .dev = inet->ns->loopback, .type = RTN_LOCAL };
	struct lx_pbuf *copy = lx_pbuf_clone(p);

	if (copy)
		(void)ip4_xmit(inet, &lo, copy);
}

static bool wants_copy(struct inet *inet, const struct inet_dst *d, const struct ip_tx *t)
{
	if (d->dev == inet->ns->loopback)
		return false;
	if (d->type == RTN_BROADCAST)
		return true;
	return d->type == RTN_MULTICAST && !t->no_loop &&
	       inet_is_member(inet, d->dev, inet_addr_to_v4(&t->dst));
}

/* -- the header */

static uint16_t next_ident(struct inet *inet, const struct ip_tx *t)
{
	uint64_t key[] = { t->src.q[1], t->dst.q[1], 0x6964 };

	/* RFC 7739: where strangers' numbers begin says nothing about anybody else's */
	return (uint16_t)(siphash(&inet->secret.stamp, key, 3) +
			  atomic_fetch_add_explicit(&inet->ident, 1, memory_order_relaxed));
}

static uint8_t ttl_of(struct inet *inet, const struct inet_dst *d, const struct ip_tx *t)
{
	if (t->ttl >= 0)
		return (uint8_t)t->ttl;
	return d->type == RTN_MULTICAST ? 1 : (uint8_t)inet_conf(&inet->conf.ip_default_ttl);
}

static bool is_df(const struct ip_tx *t, bool fits)
{
	return t->pmtudisc == IP_PMTUDISC_DO || t->pmtudisc == IP_PMTUDISC_PROBE ||
	       (t->pmtudisc == IP_PMTUDISC_WANT && fits);
}

/* What the path takes of this kind of packet. */
static uint32_t limit_of(const struct inet_dst *d, const struct ip_tx *t)
{
	if (t->pmtudisc == IP_PMTUDISC_PROBE || t->pmtudisc == IP_PMTUDISC_INTERFACE ||
	    t->pmtudisc == IP_PMTUDISC_OMIT)
		return MIN(atomic_load_explicit(&d->dev->mtu, memory_order_relaxed), IP4_MAX);
	return MIN(d->mtu, IP4_MAX);
}

static int push_header(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p,
		       const struct ip_tx *t, bool df)
{
	unsigned int len = IP4_HEADER + t->options_len;
	struct iphdr *h;

	if (lx_pbuf_headroom(p) < len)
		return -ENOMEM;
	if (!lx_pbuf_is_private(p) && lx_pbuf_pull_up(p, lx_pbuf_linear(p)))
		return -ENOMEM;
	p->transport_at = lx_pbuf_place(p);
	h = lx_pbuf_push(p, len);
	p->network_at = lx_pbuf_place(p);
	if (p->gso != LX_GSO_NONE)
		p->gso_header = (uint16_t)(p->gso_header + len);
	*h = (struct iphdr){
		.version = 4, .ihl = len / 4 & 15, .tos = t->tos, .tot_len = BE16((uint16_t)p->len),
		.frag_off = df ? BE16(IP4_DF) : 0, .ttl = ttl_of(inet, d, t), .protocol = t->protocol,
		.saddr = inet_addr_to_v4(&t->src), .daddr = inet_addr_to_v4(&t->dst),
	};
	h->id = BE16(next_ident(inet, t));
	if (t->options_len)
		memcpy(h + 1, t->options, t->options_len);
	ip4_header_csum(h);
	return 0;
}

static int refuse(struct inet *inet, struct lx_pbuf *p, int err)
{
	inet_count(inet, ip[IPSTATS_MIB_OUTDISCARDS]);
	lx_pbuf_free(p);
	return err;
}

int ip_send(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p, const struct ip_tx *t)
{
	uint32_t total = p->len + IP4_HEADER + t->options_len, limit = limit_of(d, t);
	bool fits = total <= limit || p->gso != LX_GSO_NONE;
	bool df = is_df(t, fits);
	int err;

	inet_count(inet, ip[IPSTATS_MIB_OUTPKTS]);
	if (total > IP4_MAX || (!fits && df)) {
		inet_count(inet, ip[IPSTATS_MIB_FRAGFAILS]);
		lx_pbuf_free(p);
		return -EMSGSIZE;
	}
	err = push_header(inet, d, p, t, df);
	if (err)
		return refuse(inet, p, err);
	inet_count_n(inet, ip[IPSTATS_MIB_OUTOCTETS], p->len);
	if (d->type == RTN_MULTICAST)
		inet_count(inet, ip[IPSTATS_MIB_OUTMCASTPKTS]);
	else if (d->type == RTN_BROADCAST)
		inet_count(inet, ip[IPSTATS_MIB_OUTBCASTPKTS]);
	if (d->type != RTN_UNICAST && wants_copy(inet, d, t))
		loop(inet, d, p);
	if (d->type == RTN_MULTICAST && !ttl_of(inet, d, t)) {
		lx_pbuf_free(p);	/* for this machine only */
		return 0;
	}
	return fits ? ip4_xmit(inet, d, p) : ip4_fragment(inet, d, p, limit);
}
