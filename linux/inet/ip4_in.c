/* SPDX-License-Identifier: MIT */
/*
 * IPv4 on its way in (RFC 1122, 3.2.1): checks, is it for us, options, fragments, and then raw
 * sockets and the protocol.  Work per packet is bounded, and no lock is taken but for addresses that
 * were not seen lately, for groups and for fragments.
 */
#include <linux/icmp.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include "inet/igmp.h"
#include "inet/ip4.h"

const struct inet_protocol *ip4_protocol(uint8_t number)
{
	const struct inet_protocol *found;

	switch (number) {
	case IPPROTO_ICMP:
		found = &icmp4_protocol;
		break;
	case IPPROTO_IGMP:
		found = &igmp_protocol;
		break;
	case IPPROTO_TCP:
		found = &tcp_protocol;
		break;
	case IPPROTO_UDP:
		found = &udp_protocol;
		break;
	default:
		return NULL;
	}
	return found->receive ? found : NULL;
}

/* -- checks */

/* The header, contiguous, and the packet without what the link put behind it; NULL: not IPv4. */
static const struct iphdr *check_header(struct inet *inet, struct lx_pbuf *p)
{
	const struct iphdr *h;
	uint32_t total;

	if (lx_pbuf_linear(p) < IP4_HEADER && lx_pbuf_pull_up(p, IP4_HEADER))
		return NULL;
	h = (const struct iphdr *)lx_pbuf_data(p);
	if (h->version != 4 || h->ihl < 5)
		return NULL;
	if (lx_pbuf_linear(p) < h->ihl * 4u && lx_pbuf_pull_up(p, h->ihl * 4u))
		return NULL;
	h = (const struct iphdr *)lx_pbuf_data(p);
	if (lx_csum_fold(lx_csum_add(0, h, h->ihl * 4u))) {
		inet_count(inet, ip[IPSTATS_MIB_CSUMERRORS]);
		return NULL;
	}
	total = BE16(h->tot_len);
	if (total < h->ihl * 4u)
		return NULL;
	if (p->len < total) {
		inet_count(inet, ip[IPSTATS_MIB_INTRUNCATEDPKTS]);
		return NULL;
	}
	lx_pbuf_trim(p, total);
	return h;
}

/* May anybody send from this address, by a link? */
static bool is_source_good(struct inet *inet, const struct lx_netdev *dev, const struct iphdr *h)
{
	uint8_t type;

	if (ip4_is_multicast(h->saddr) || h->saddr == IP4_BROADCAST)
		return false;
	if (dev == inet->ns->loopback)
		return true;		/* our own, checked on their way out */
	if (ip4_is_loopback(h->saddr) || ip4_is_loopback(h->daddr))
		return false;
	if (ip4_is_zeronet(h->saddr))	/* who asks for an address has none */
		return !h->saddr && (h->daddr == IP4_BROADCAST || ip4_is_multicast(h->daddr));
	type = ip4_addr_type(inet, h->saddr);
	return type != RTN_LOCAL && type != RTN_BROADCAST;
}

/* To many, and back by lo: where it was sent.  A reference, or NULL. */
static struct lx_netdev *true_device(struct inet *inet, struct lx_netdev *dev, const struct iphdr *h,
				     uint8_t type)
{
	struct lx_netdev *found = NULL;

	if (dev == inet->ns->loopback && type != RTN_LOCAL)
		found = inet_address_device(inet, h->saddr);
	return found ? found : lx_netdev_get(dev);
}

static bool is_for_us(struct inet *inet, struct lx_netdev *dev, const struct iphdr *h, uint8_t type)
{
	switch (type) {
	case RTN_LOCAL:
		return true;
	case RTN_BROADCAST:		/* of all, or of a network; not 0.0.0.0/8 */
		return !ip4_is_zeronet(h->daddr) || (!h->daddr && !h->saddr);
	case RTN_MULTICAST:
		return inet_is_member(inet, dev, h->daddr);
	default:
		return false;
	}
}

static void note(struct lx_pbuf *p, const struct iphdr *h, uint8_t type)
{
	*ip_rx(p) = (struct ip_rx){
		.src = inet_addr_v4(h->saddr), .dst = inet_addr_v4(h->daddr), .protocol = h->protocol,
		.tos = h->tos, .ttl = h->ttl, .type = type, .header_len = (uint16_t)(h->ihl * 4u),
	};
}

/* 0; 1 and -1: to be dropped, and counted as an error or not. */
static int check_options(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p,
			 const struct iphdr *h)
{
	unsigned int len = h->ihl * 4u - IP4_HEADER;
	struct ip4_options o;

	if (!len)
		return 0;
	if (!ip4_options_parse((const uint8_t *)(h + 1), len, &o))
		return o.source_route ? -1 : 0;
	lx_pbuf_pull(p, h->ihl * 4u);
	icmp4_send_error(inet, dev, p, ICMP_PARAMETERPROB, 0, BE32((IP4_HEADER + o.bad_at) << 24));
	return 1;
}

/* -- delivery */

static void count_received(struct inet *inet, const struct lx_pbuf *p, uint8_t type)
{
	if (type == RTN_MULTICAST) {
		inet_count(inet, ip[IPSTATS_MIB_INMCASTPKTS]);
		inet_count_n(inet, ip[IPSTATS_MIB_INMCASTOCTETS], p->len);
	} else if (type == RTN_BROADCAST) {
		inet_count(inet, ip[IPSTATS_MIB_INBCASTPKTS]);
		inet_count_n(inet, ip[IPSTATS_MIB_INBCASTOCTETS], p->len);
	}
}

/* Whole, and for us. */
static void deliver(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	const struct inet_protocol *protocol = ip4_protocol(ip_rx(p)->protocol);
	bool was_taken;

	lx_pbuf_pull(p, ip_rx(p)->header_len);
	p->transport_at = lx_pbuf_place(p);
	was_taken = raw_receive(inet, dev, p);
	if (protocol) {
		inet_count(inet, ip[IPSTATS_MIB_INDELIVERS]);
		protocol->receive(inet, dev, p);
		return;
	}
	if (was_taken) {
		inet_count(inet, ip[IPSTATS_MIB_INDELIVERS]);
	} else {
		inet_count(inet, ip[IPSTATS_MIB_INUNKNOWNPROTOS]);
		icmp4_send_error(inet, dev, p, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
	}
	lx_pbuf_free(p);
}

/* For us; it may be a piece. */
static void receive_ours(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p, uint8_t type)
{
	const struct iphdr *h = (const struct iphdr *)lx_pbuf_data(p);

	if (BE16(h->frag_off) & (IP4_MF | IP4_OFFSET)) {
		p = ip4_reassemble(inet, dev, p);
		if (!p)
			return;
		h = (const struct iphdr *)lx_pbuf_data(p);
		note(p, h, type);
	}
	deliver(inet, dev, p);
}

/* As its device is known. */
static void receive_by(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p,
		       const struct iphdr *h, uint8_t type)
{
	int bad;

	if (!is_for_us(inet, dev, h, type)) {
		/* nobody here forwards; groups are heard that nobody joined */
		if (type != RTN_MULTICAST)
			inet_count(inet, ip[IPSTATS_MIB_INADDRERRORS]);
		lx_pbuf_free(p);
		return;
	}
	count_received(inet, p, type);
	note(p, h, type);
	bad = check_options(inet, dev, p, h);
	if (!bad) {
		receive_ours(inet, dev, p, type);
		return;
	}
	if (bad > 0)
		inet_count(inet, ip[IPSTATS_MIB_INHDRERRORS]);
	lx_pbuf_free(p);
}

void ip4_receive(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	const struct iphdr *h;
	struct lx_netdev *by;
	uint8_t type;

	inet_count(inet, ip[IPSTATS_MIB_INPKTS]);
	inet_count_n(inet, ip[IPSTATS_MIB_INOCTETS], p->len);
	h = p->pkttype == LX_PKT_OTHERHOST ? NULL : check_header(inet, p);
	if (!h) {
		if (p->pkttype != LX_PKT_OTHERHOST)
			inet_count(inet, ip[IPSTATS_MIB_INHDRERRORS]);
		lx_pbuf_free(p);
		return;
	}
	type = ip4_addr_type(inet, h->daddr);
	if (!is_source_good(inet, dev, h)) {
		inet_count(inet, ip[IPSTATS_MIB_INADDRERRORS]);
		lx_pbuf_free(p);
		return;
	}
	by = true_device(inet, dev, h, type);
	p->ifindex = by->ifindex;
	receive_by(inet, by, p, h, type);
	lx_netdev_put(by);
}
