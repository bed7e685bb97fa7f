/* SPDX-License-Identifier: MIT */
/* Datagram sockets of AF_INET: what sending has in common. */
#include <asm/poll.h>
#include <linux/in.h>
#include <linux/rtnetlink.h>

#include "inet/dgram.h"
#include "inet/neigh.h"

#define IP_HEADER	20u

int inet_tx_begin(struct inet_sock *is, struct net_msg *m, struct inet_tx *tx)
{
	int err = 0;

	*tx = (struct inet_tx){ .ttl = -1, .tos = -1, .direct = m->flags & MSG_DONTROUTE,
				.confirms = m->flags & MSG_CONFIRM };
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->namelen) {
		err = inet_addr_load(m->name, m->namelen, true, &tx->dst, &tx->port_be);
	} else {
		inet_sock_lock(is);
		tx->dst = is->owner.entry.key.remote;
		tx->port_be = is->owner.entry.key.remote_port;
		if (!inet_has(is, INET_CONNECTED))
			err = -EDESTADDRREQ;
		inet_sock_unlock(is);
	}
	if (!err && m->controllen)
		err = inet_load_control(is, m, tx);
	return err;
}

static bool may_go_on(struct inet_sock *is)
{
	return inet_sock_has_room(is) || atomic_load(&is->base.error) ||
		atomic_load(&is->shutdown) & SHUTDOWN_SEND;
}

int inet_tx_wait(struct inet_sock *is, unsigned int flags)
{
	uint64_t deadline = socket_deadline(is->base.sndtimeo_ns);

	for (;;) {
		int err = socket_take_error(&is->base);

		if (err)
			return err;
		if (atomic_load_explicit(&is->shutdown, memory_order_relaxed) & SHUTDOWN_SEND)
			return -EPIPE;
		if (likely(inet_sock_has_room(is)))
			return 0;
		atomic_store(&is->wants_room, true);
		if (flags & MSG_DONTWAIT)
			return -EAGAIN;
		err = lx_wait_event(lx_self(), &is->wait, may_go_on(is), deadline,
				    LX_WAIT_INTERRUPTIBLE);
		if (err)
			return socket_wait_errno(err, deadline);
	}
}

int inet_tx_packet(struct inet_sock *is, struct lx_iter *from, uint32_t header, uint32_t len,
		   struct lx_pbuf **out)
{
	uint32_t done = 0, total = header + len;
	struct lx_pbuf *p = lx_pbuf_alloc_large(is->base.ns->pool, LX_PBUF_HEADROOM,
						MIN(total, 2048u), total);

	if (!p)
		return -ENOBUFS;
	inet_sock_charge(is, p);
	while (done < len) {
		done += (uint32_t)lx_pbuf_from_iter(p, header + done, from, len - done);
		if (done < len && lx_iter_fault_in(from, false)) {
			lx_pbuf_free(p);
			return -EFAULT;
		}
	}
	*out = p;
	return 0;
}

/* IP_OPTIONS of the socket. */
static void add_options(struct inet_sock *is, struct ip_tx *ip)
{
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);

	if (!extra)
		return;
	ip->options = extra->options;
	ip->options_len = extra->options_len;
}

int inet_tx_route(struct inet_sock *is, const struct inet_tx *tx, struct ip_tx *ip)
{
	bool is_multicast = inet_addr_is_multicast(&tx->dst);
	struct inet_flow flow;
	int err;

	inet_sock_flow(is, &tx->dst, &flow);
	if (tx->oif)
		flow.oif = tx->oif;
	if (tx->tos >= 0)
		flow.tos = (uint8_t)tx->tos;
	if (tx->has_mark)
		flow.mark = (uint32_t)tx->mark;
	if (!inet_addr_is_any(&tx->src))
		flow.src = tx->src;
	flow.direct |= tx->direct;
	err = inet_sock_route(is, &flow);
	if (err)
		return err;
	if (is->dst.type == RTN_BROADCAST && !socket_has(&is->base, SOCKET_FLAG(SO_BROADCAST)))
		return -EACCES;
	*ip = (struct ip_tx){
		.src = is->dst.src, .dst = flow.dst, .protocol = is->owner.entry.protocol, .tos = flow.tos,
		.ttl = atomic_load_explicit(&is->ttl, memory_order_relaxed),
		.pmtudisc = atomic_load_explicit(&is->pmtudisc, memory_order_relaxed),
		.no_loop = is_multicast && !inet_has(is, INET_MC_LOOP),
	};
	if (is_multicast)
		ip->ttl = atomic_load_explicit(&is->mc_ttl, memory_order_relaxed);
	if (tx->ttl >= 0)
		ip->ttl = tx->ttl;
	add_options(is, ip);
	if (tx->confirms && is->dst.type == RTN_UNICAST)
		inet_neighbour_confirm(inet_of(is), is->dst.dev, inet_addr_to_v4(&is->dst.hop));
	return 0;
}

int inet_tx_fits(struct inet_sock *is, const struct inet_tx *tx, const struct ip_tx *ip,
		 uint32_t len)
{
	uint32_t mtu = is->dst.mtu, header = IP_HEADER + ip->options_len;
	bool may_cut = ip->pmtudisc < IP_PMTUDISC_DO || ip->pmtudisc == IP_PMTUDISC_OMIT;

	/* those who look for the path's MTU themselves are not held up by what is known of it */
	if (ip->pmtudisc == IP_PMTUDISC_PROBE || ip->pmtudisc == IP_PMTUDISC_INTERFACE)
		mtu = atomic_load_explicit(&is->dst.dev->mtu, memory_order_relaxed);
	if (len + header <= (may_cut ? 65535u : MIN(mtu, 65535u)))
		return 0;
	inet_sock_local_error(is, EMSGSIZE, &tx->dst, tx->port_be, mtu - ip->options_len);
	return -EMSGSIZE;
}
