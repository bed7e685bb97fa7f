/* SPDX-License-Identifier: MIT */
/*
 * Ping sockets (icmp(7)): echo requests and their replies for programs without CAP_NET_RAW,
 * within ping_group_range.  The identifier of the requests is the socket's local port.
 */
#include <linux/icmp.h>
#include <linux/in.h>

#include "inet/dgram.h"
#include "inet/ip4.h"
#include "lx/cred.h"
#include "lx/ns.h"

#define ICMP_HEADER	8u

static const struct lx_socket_ops ping_ops;
static const struct inet_sock_ops ping_inet_ops = { .destroy = inet_dgram_destroy };

/* One of the program's groups is in the namespace's range. */
static bool is_allowed(struct inet *inet)
{
	int64_t low = inet_conf(&inet->conf.ping_group_low), high = inet_conf(&inet->conf.ping_group_high);
	const struct lx_cred *c = lx_self()->cred;

	if (c->egid >= low && c->egid <= high)
		return true;
	for (uint32_t i = 0; i < c->ngroups; i++)
		if (c->groups[i] >= low && c->groups[i] <= high)
			return true;
	return false;
}

int ping_create(int type, int protocol, struct lx_socket **out)
{
	struct inet_dgram *d;

	if (!is_allowed(lx_self()->ns->net->inet))
		return -EACCES;
	d = rt_zalloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	inet_dgram_init(d, &ping_ops, &ping_inet_ops, type, protocol, INET_PORTS_PING);
	*out = &d->inet.base;
	return 0;
}

/* -- in */

/* The socket of an identifier: a reference, or NULL. */
static struct inet_sock *find(struct inet *inet, uint16_t ident_be, const struct inet_addr *local,
			      int ifindex)
{
	uint16_t number = BE16(ident_be);
	struct inet_port *port = inet_port_lock(inet->tables, INET_PORTS_PING, number);
	struct inet_sock *found = NULL;
	struct inet_owner *o;

	if (port)
		list_for_each_entry(o, &port->owners, port_link) {
			const struct inet_entry *e = &o->entry;

			if (found || (e->ifindex && e->ifindex != ifindex) ||
			    (!inet_addr_is_any(&e->key.local) &&
			     !inet_addr_equal(&e->key.local, local)))
				continue;
			found = inet_sock_get(inet_sock_of(&o->entry));
		}
	inet_port_unlock(inet->tables, INET_PORTS_PING, number);
	return found;
}

bool ping_receive(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p)
{
	const struct ip_rx *rx = (const struct ip_rx *)p->cb;
	uint8_t header[ICMP_HEADER];
	struct inet_sock *is;
	struct lx_pbuf *c;

	if (!lx_pbuf_read(p, 0, header, sizeof(header)))
		return false;
	is = find(inet, get_u16(header + 4), &rx->dst, p->ifindex);
	if (!is)
		return false;
	c = lx_pbuf_clone(p);
	if (c)
		inet_dgram_queue(inet_dgram_of(is), dev, c, ICMP_HEADER);
	inet_sock_put(is);
	return true;
}

void ping_error(struct inet *inet, const struct ip_error *e)
{
	struct inet_sock *is;
	bool fatal, ignore;

	if (e->transport[0] != ICMP_ECHO)
		return;
	is = find(inet, get_u16(e->transport + 4), &e->src, e->packet->ifindex);
	if (!is)
		return;
	fatal = inet_error_is_fatal(is, e, &ignore);
	if (!ignore)
		inet_sock_error(is, e, ICMP_HEADER, fatal && inet_has(is, INET_CONNECTED));
	inet_sock_put(is);
}

static int64_t ping_recv(struct lx_socket *s, struct net_msg *m)
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

/* The program's header says what it wants; the identifier and the checksum are ours. */
static int fill_header(struct inet_sock *is, struct lx_pbuf *p)
{
	uint8_t *header = lx_pbuf_data(p);

	if (header[0] != ICMP_ECHO || header[1])
		return -EINVAL;
	put_u16(header + 2, 0);
	put_u16(header + 4, is->owner.entry.key.local_port);
	put_u16(header + 2, lx_csum_fold(lx_pbuf_csum(p, 0, p->len, 0)));
	return 0;
}

/* Takes @p over.  lock held. */
static int send_packet(struct inet_sock *is, struct lx_pbuf *p, const struct inet_tx *tx)
{
	struct ip_tx ip;
	int err = inet_autobind(is);

	if (!err)
		err = fill_header(is, p);
	if (!err)
		err = inet_tx_route(is, tx, &ip);
	if (!err)
		err = inet_tx_fits(is, tx, &ip, p->len);
	if (err) {
		lx_pbuf_free(p);
		return err;
	}
	err = ip_send(inet_of(is), &is->dst, p, &ip);
	if (!err)
		icmp4_count_out(inet_of(is), ICMP_ECHO);
	return err == -ENOBUFS && !inet_has(is, INET_RECVERR) ? 0 : err;
}

static int64_t ping_send(struct lx_socket *s, struct net_msg *m)
{
	struct inet_sock *is = inet_sock(s);
	uint64_t len = m->iter->count;
	struct lx_pbuf *p;
	struct inet_tx tx;
	int err;

	if (len > 0xffff)
		return -EMSGSIZE;
	if (len < ICMP_HEADER)
		return -EINVAL;
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

static long ping_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg)
{
	return inet_dgram_ioctl(s, cmd, arg, 0);
}

static const struct lx_socket_ops ping_ops = {
	.attach = inet_sock_attach,
	.bind = inet_bind,
	.connect = inet_dgram_connect,
	.listen = inet_dgram_listen,
	.accept = inet_dgram_accept,
	.getname = inet_getname,
	.send = ping_send,
	.recv = ping_recv,
	.shutdown = inet_dgram_shutdown,
	.poll = inet_dgram_poll,
	.ioctl = ping_ioctl,
	.getopt = inet_getopt,
	.setopt = inet_setopt,
	.release = inet_dgram_release,
};
