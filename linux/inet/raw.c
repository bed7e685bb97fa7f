/* SPDX-License-Identifier: MIT */
/*
 * Raw sockets (raw(7)): packets of one protocol of IP, with the IP header on the way in, and on
 * the way out if the program says so (IP_HDRINCL; always with IPPROTO_RAW, which receives
 * nothing).
 *
 * The "port" of a socket is its protocol; there are no conflicts.  A packet is for each socket
 * that fits.
 */
#include <linux/capability.h>
#include <linux/icmp.h>
#include <linux/in.h>
#include <linux/rtnetlink.h>

#include "inet/dgram.h"
#include "inet/ip4.h"
#include "lx/cred.h"

#define SOL_RAW		255

struct raw_sock {
	struct inet_dgram dgram;	/* first */
	_Atomic(uint32_t) icmp_filter;	/* ICMP_FILTER: bits of types that are not wanted */
};

static const struct lx_socket_ops raw_ops;
static const struct inet_sock_ops raw_inet_ops = { .destroy = inet_dgram_destroy };

static struct raw_sock *raw_sock(struct inet_sock *is)
{
	return container_of(is, struct raw_sock, dgram.inet);
}

int raw_create(int type, int protocol, struct lx_socket **out)
{
	const struct inet_addr any = { .q = { 0, 0 } };
	struct raw_sock *rs;
	struct inet_sock *is;
	int err;

	if (!lx_capable(lx_self(), CAP_NET_RAW))
		return -EPERM;
	rs = rt_zalloc(sizeof(*rs));
	if (!rs)
		return -ENOMEM;
	is = &rs->dgram.inet;
	inet_dgram_init(&rs->dgram, &raw_ops, &raw_inet_ops, type, protocol, INET_PORTS_RAW);
	inet_set_ip_flag(is, INET_HDRINCL, protocol == IPPROTO_RAW);
	inet_sock_lock(is);
	err = inet_port_bind(is, &any, (uint16_t)protocol);
	inet_sock_unlock(is);
	if (err) {
		inet_sock_release(is);
		return err;
	}
	*out = &is->base;
	return 0;
}

/* May be repeated, unless it is connected; the address only. */
static int raw_bind(struct lx_socket *s, const uint8_t *name, int len)
{
	struct inet_sock *is = inet_sock(s);
	struct inet_tables *t = inet_tables_of(is);
	struct inet_addr addr;
	uint16_t port_be;
	bool is_group;
	int err = inet_addr_load(name, len, true, &addr, &port_be);

	if (err)
		return err;
	inet_sock_lock(is);
	if (inet_has(is, INET_CONNECTED)) {
		err = -EINVAL;
	} else if (!inet_may_bind(is, &addr, &is_group)) {
		err = -EADDRNOTAVAIL;
	} else {
		inet_port_lock(t, INET_PORTS_RAW, (uint16_t)s->protocol);
		is->owner.entry.key.local = addr;
		inet_port_unlock(t, INET_PORTS_RAW, (uint16_t)s->protocol);
		inet_set_ip_flag(is, INET_BOUND_GROUP, is_group);
		inet_set_ip_flag(is, INET_BOUND_ADDRESS, !inet_addr_is_any(&addr));
		inet_sock_forget_route(is);
	}
	inet_sock_unlock(is);
	return err;
}

/* -- in */

static bool fits(struct inet_sock *is, const struct inet_addr *local,
		 const struct inet_addr *remote, int ifindex)
{
	const struct inet_entry *e = &is->owner.entry;

	if (e->ifindex && e->ifindex != ifindex)
		return false;
	if (!inet_addr_is_any(&e->key.local) && !inet_addr_equal(&e->key.local, local))
		return false;
	return !inet_has(is, INET_CONNECTED) || inet_addr_equal(&e->key.remote, remote);
}

static bool is_wanted_icmp(struct raw_sock *rs, const struct lx_pbuf *p)
{
	uint32_t filter = atomic_load_explicit(&rs->icmp_filter, memory_order_relaxed);
	uint8_t type;

	if (rs->dgram.inet.owner.entry.protocol != IPPROTO_ICMP || !filter)
		return true;
	return lx_pbuf_read(p, 0, &type, 1) && (type >= 32 || !(filter >> type & 1));
}

/* A clone of @p that begins with the IP header, which lies in front. */
static struct lx_pbuf *with_header(const struct lx_pbuf *p)
{
	struct lx_pbuf *c = lx_pbuf_clone(p);

	if (c)
		lx_pbuf_push(c, (uint32_t)-lx_pbuf_offset(c, c->network_at));
	return c;
}

/* Clones are queued with the port locked: nobody is left out, and nobody has it twice. */
bool raw_receive(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p)
{
	const struct ip_rx *rx = (const struct ip_rx *)p->cb;
	struct inet_port *port;
	struct inet_owner *o;
	bool any = false;

	if (likely(!atomic_load_explicit(&inet->tables->sockets[INET_PORTS_RAW],
					 memory_order_relaxed)))
		return false;
	port = inet_port_lock(inet->tables, INET_PORTS_RAW, rx->protocol);
	if (port)
		list_for_each_entry(o, &port->owners, port_link) {
			struct inet_sock *is = inet_sock_of(&o->entry);
			struct lx_pbuf *c;

			if (!fits(is, &rx->dst, &rx->src, p->ifindex) ||
			    !is_wanted_icmp(raw_sock(is), p) ||
			    !inet_wants_group(is, &rx->dst, &rx->src, p->ifindex))
				continue;
			any = true;
			c = with_header(p);
			if (c)
				inet_dgram_queue(inet_dgram_of(is), dev, c, rx->header_len);
		}
	inet_port_unlock(inet->tables, INET_PORTS_RAW, rx->protocol);
	return any;
}

void raw_error(struct inet *inet, const struct ip_error *e)
{
	struct inet_port *port = inet_port_lock(inet->tables, INET_PORTS_RAW, e->protocol);
	struct inet_owner *o;

	if (port)
		list_for_each_entry(o, &port->owners, port_link) {
			struct inet_sock *is = inet_sock_of(&o->entry);
			bool fatal, ignore;

			if (!fits(is, &e->src, &e->dst, is->owner.entry.ifindex))
				continue;
			fatal = inet_error_is_fatal(is, e, &ignore);
			if (!ignore)
				inet_sock_error(is, e, 0, fatal && inet_has(is, INET_CONNECTED));
		}
	inet_port_unlock(inet->tables, INET_PORTS_RAW, e->protocol);
}

static int64_t raw_recv(struct lx_socket *s, struct net_msg *m)
{
	struct inet_dgram *d = inet_dgram(s);
	struct lx_pbuf *p;
	int64_t ret;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->flags & MSG_ERRQUEUE)
		return inet_recv_error(&d->inet, m);
	ret = inet_dgram_take(d, m->flags, &p);
	if (ret || !p)
		return ret;
	ret = inet_dgram_copy_out(d, p, 0, m);
	if (m->want_name)
		m->namelen = inet_addr_store(m->name, &ip_rx(p)->src, 0);
	lx_pbuf_free(p);
	return ret;
}

/* -- out */

/*
 * The program's own header: length, identifier and checksum are ours, and the source if it has
 * none.
 */
static int finish_header(struct inet_sock *is, struct lx_pbuf *p, const struct ip_tx *ip)
{
	struct iphdr *h;
	uint32_t header_len;

	if (p->len > atomic_load_explicit(&is->dst.dev->mtu, memory_order_relaxed))
		return -EMSGSIZE;
	if (p->len < IP4_HEADER || lx_pbuf_pull_up(p, IP4_HEADER))
		return -EINVAL;
	header_len = (lx_pbuf_data(p)[0] & 0xfu) * 4;
	if (header_len > p->len || header_len < IP4_HEADER || lx_pbuf_pull_up(p, header_len))
		return -EINVAL;
	h = (struct iphdr *)lx_pbuf_data(p);
	if (!h->saddr)
		h->saddr = inet_addr_to_v4(&ip->src);
	h->tot_len = BE16((uint16_t)p->len);
	if (!h->id)
		h->id = BE16((uint16_t)atomic_fetch_add_explicit(&inet_of(is)->ident, 1,
								 memory_order_relaxed));
	ip4_header_csum(h);
	p->network_at = lx_pbuf_place(p);
	p->transport_at = (uint16_t)(p->network_at + header_len);
	return 0;
}

/* Takes @p over.  lock held. */
static int send_packet(struct inet_sock *is, struct lx_pbuf *p, const struct inet_tx *tx)
{
	bool has_header = inet_has(is, INET_HDRINCL);
	struct ip_tx ip;
	int err = inet_tx_route(is, tx, &ip);

	if (!err)
		err = has_header ? finish_header(is, p, &ip) : inet_tx_fits(is, tx, &ip, p->len);
	if (err) {
		if (err == -EMSGSIZE && has_header)
			inet_sock_local_error(is, EMSGSIZE, &tx->dst, tx->port_be, is->dst.mtu);
		lx_pbuf_free(p);
		return err;
	}
	if (has_header)
		err = ip4_xmit(inet_of(is), &is->dst, p);
	else
		err = ip_send(inet_of(is), &is->dst, p, &ip);
	return err == -ENOBUFS && !inet_has(is, INET_RECVERR) ? 0 : err;
}

static int64_t raw_send(struct lx_socket *s, struct net_msg *m)
{
	struct inet_sock *is = inet_sock(s);
	uint64_t len = m->iter->count;
	struct inet_tx tx;
	struct lx_pbuf *p;
	int err;

	if (len > 0xffff)
		return -EMSGSIZE;
	err = inet_tx_begin(is, m, &tx);
	if (!err)
		err = inet_tx_wait(is, m->flags);
	if (!err)
		err = inet_tx_packet(is, m->iter, 0, (uint32_t)len, &p);
	if (err)
		return err;
	inet_sock_lock(is);
	err = send_packet(is, p, &tx);
	inet_sock_unlock(is);
	lx_net_deliver(s->ns);
	return err ? err : (int64_t)len;
}

static long raw_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg)
{
	return inet_dgram_ioctl(s, cmd, arg, 0);
}

/* -- options */

static int raw_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length)
{
	struct raw_sock *rs = raw_sock(inet_sock(s));
	uint32_t filter = atomic_load(&rs->icmp_filter);

	if (level != SOL_RAW)
		return inet_setopt(s, level, name, value, length);
	if (name != ICMP_FILTER)
		return -ENOPROTOOPT;
	if (s->protocol != IPPROTO_ICMP)
		return -EOPNOTSUPP;
	if (lx_copy_from_user(&filter, value, MIN((size_t)length, sizeof(filter))))
		return -EFAULT;
	atomic_store(&rs->icmp_filter, filter);
	return 0;
}

static int raw_getopt(struct lx_socket *s, int level, int name, void *buf, int *len)
{
	uint32_t filter = atomic_load(&raw_sock(inet_sock(s))->icmp_filter);

	if (level != SOL_RAW)
		return inet_getopt(s, level, name, buf, len);
	if (name != ICMP_FILTER)
		return -ENOPROTOOPT;
	if (s->protocol != IPPROTO_ICMP)
		return -EOPNOTSUPP;
	memcpy(buf, &filter, sizeof(filter));
	*len = sizeof(filter);
	return 0;
}

static const struct lx_socket_ops raw_ops = {
	.attach = inet_sock_attach,
	.bind = raw_bind,
	.connect = inet_dgram_connect,
	.listen = inet_dgram_listen,
	.accept = inet_dgram_accept,
	.getname = inet_getname,
	.send = raw_send,
	.recv = raw_recv,
	.shutdown = inet_dgram_shutdown,
	.poll = inet_dgram_poll,
	.ioctl = raw_ioctl,
	.getopt = raw_getopt,
	.setopt = raw_setopt,
	.release = inet_dgram_release,
};
