/* SPDX-License-Identifier: MIT */
/*
 * Control messages of AF_INET sockets: what programs say of a datagram to be sent, and hear of
 * one received (ip(7)).
 */
#include <linux/capability.h>
#include <linux/in.h>
#include <linux/rtnetlink.h>
#include <linux/udp.h>

#include "inet/dgram.h"
#include "lx/cred.h"

#define CMSG_ALIGNED(n)	ALIGN_UP((uint64_t)(n), 8)
#define CMSG_HEADER	CMSG_ALIGNED(sizeof(struct net_cmsghdr))
#define CMSG_SMALL	16u		/* bytes of the largest that means something */

/* -- sending */

static int load_pktinfo(const uint8_t *data, uint64_t len, struct inet_tx *tx)
{
	struct in_pktinfo info;

	if (len != sizeof(info))
		return -EINVAL;
	memcpy(&info, data, sizeof(info));
	if (info.ipi_ifindex)
		tx->oif = info.ipi_ifindex;
	if (info.ipi_spec_dst.s_addr)
		tx->src = inet_addr_v4(info.ipi_spec_dst.s_addr);
	return 0;
}

/* A number of one byte or four; negative: it is neither, or not in @min to 255. */
static int load_byte(const uint8_t *data, uint64_t len, int min, bool may_be_byte)
{
	int v;

	if (len == sizeof(v))
		memcpy(&v, data, sizeof(v));
	else if (len == 1 && may_be_byte)
		v = data[0];
	else
		return -EINVAL;
	return v < min || v > 255 ? -EINVAL : v;
}

static int load_ip(const struct net_cmsghdr *h, const uint8_t *data, uint64_t len,
		   struct inet_tx *tx)
{
	int v;

	switch (h->type) {
	case IP_PKTINFO:
		return load_pktinfo(data, len, tx);
	case IP_TTL:
		v = load_byte(data, len, 1, false);
		tx->ttl = (int16_t)v;
		return v < 0 ? v : 0;
	case IP_TOS:
		v = load_byte(data, len, 0, true);
		tx->tos = (int16_t)v;
		return v < 0 ? v : 0;
	}
	return -EINVAL;
}

static int load_socket(const struct net_cmsghdr *h, const uint8_t *data, uint64_t len,
		       struct inet_tx *tx)
{
	switch (h->type) {
	case SCM_RIGHTS:
	case SCM_CREDENTIALS:
		return 0;		/* they mean nothing here, as on Linux */
	case SO_MARK:
		if (!lx_capable(lx_self(), CAP_NET_RAW) && !lx_capable(lx_self(), CAP_NET_ADMIN))
			return -EPERM;
		if (len != sizeof(tx->mark))
			return -EINVAL;
		memcpy(&tx->mark, data, sizeof(tx->mark));
		tx->has_mark = true;
		return 0;
	}
	return -EINVAL;
}

static int load_udp(const struct inet_sock *is, const struct net_cmsghdr *h, const uint8_t *data,
		    uint64_t len,
		    struct inet_tx *tx)
{
	if (is->owner.entry.protocol != IPPROTO_UDP)
		return 0;
	if (h->type != UDP_SEGMENT || len != sizeof(tx->gso_size))
		return -EINVAL;
	memcpy(&tx->gso_size, data, sizeof(tx->gso_size));
	return 0;
}

int inet_load_control(struct inet_sock *is, struct net_msg *m, struct inet_tx *tx)
{
	uint64_t at = 0;

	while (m->controllen - at >= sizeof(struct net_cmsghdr)) {
		struct net_cmsghdr h;
		uint8_t data[CMSG_SMALL] = { 0 };
		uint64_t len;
		int err = 0;

		if (lx_copy_from_user(&h, uaddr_add(m->control, at), sizeof(h)))
			return -EFAULT;
		if (h.len < sizeof(h) || h.len > m->controllen - at)
			return -EINVAL;
		len = h.len - CMSG_HEADER;
		if (lx_copy_from_user(data, uaddr_add(m->control, at + CMSG_HEADER),
				      MIN(len, sizeof(data))))
			return -EFAULT;
		if (h.level == SOL_SOCKET)
			err = load_socket(&h, data, len, tx);
		else if (h.level == IPPROTO_IP)
			err = load_ip(&h, data, len, tx);
		else if (h.level == IPPROTO_UDP)
			err = load_udp(is, &h, data, len, tx);
		if (err)
			return err;
		if (CMSG_ALIGNED(h.len) >= m->controllen - at)
			break;
		at += CMSG_ALIGNED(h.len);
	}
	return 0;
}

/* -- receiving */

/* Which address of ours would answer: that which it was sent to, if that is one. */
static struct inet_addr answering(struct inet_sock *is, const struct ip_rx *rx)
{
	struct inet_flow flow = { .dst = rx->src };
	struct inet_addr src = rx->dst;
	struct inet_dst dst;

	if (rx->type == RTN_LOCAL || inet_route_output(inet_of(is), &flow, &dst))
		return src;
	src = dst.src;
	inet_dst_release(&dst);
	return src;
}

static void add_pktinfo(struct inet_sock *is, struct net_msg *m, const struct lx_pbuf *p,
			const struct ip_rx *rx)
{
	struct inet_addr spec = answering(is, rx);
	struct in_pktinfo info = {
		.ipi_ifindex = p->ifindex, .ipi_spec_dst.s_addr = inet_addr_to_v4(&spec),
		.ipi_addr.s_addr = inet_addr_to_v4(&rx->dst),
	};

	net_msg_add(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

static void add_options(struct net_msg *m, const struct lx_pbuf *p, const struct ip_rx *rx)
{
	const uint8_t *header = lx_pbuf_data(p) + lx_pbuf_offset(p, p->network_at);

	if (rx->header_len > 20 && rx->header_len <= 60)
		net_msg_add(m, IPPROTO_IP, IP_RECVOPTS, header + 20, rx->header_len - 20u);
}

static void add_orig_dst(struct net_msg *m, const struct lx_pbuf *p, const struct ip_rx *rx)
{
	uint8_t name[NET_NAME_MAX], ports[4] = { 0 };
	int len;

	(void)lx_pbuf_read(p, rx->protocol == IPPROTO_UDP ? 0 : p->len, ports, sizeof(ports));
	len = inet_addr_store(name, &rx->dst, get_u16(ports + 2));
	net_msg_add(m, IPPROTO_IP, IP_ORIGDSTADDR, name, (uint32_t)len);
}

void inet_add_control(struct inet_sock *is, struct net_msg *m, const struct lx_pbuf *p)
{
	uint32_t flags = atomic_load_explicit(&is->ip_flags, memory_order_relaxed);
	const struct ip_rx *rx = (const struct ip_rx *)p->cb;
	int ttl = rx->ttl;

	if (likely(!(flags & (INET_PKTINFO | INET_RECVTTL | INET_RECVTOS | INET_RECVOPTS |
			      INET_RECVORIGDSTADDR))))
		return;
	if (flags & INET_PKTINFO)
		add_pktinfo(is, m, p, rx);
	if (flags & INET_RECVTTL)
		net_msg_add(m, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	if (flags & INET_RECVTOS)
		net_msg_add(m, IPPROTO_IP, IP_TOS, &rx->tos, 1);
	if (flags & INET_RECVOPTS)
		add_options(m, p, rx);
	if (flags & INET_RECVORIGDSTADDR)
		add_orig_dst(m, p, rx);
}
