/* SPDX-License-Identifier: MIT */
/* UDP sockets (udp(7)): making them, receiving, their options. */
#include <linux/in.h>
#include <linux/udp.h>

#include "inet/udp.h"

static const struct lx_socket_ops udp_ops;

static void udp_destroy(struct inet_sock *is)
{
	udp_cork_free(container_of(is, struct udp_sock, dgram.inet)->cork);
	inet_dgram_destroy(is);
}

static const struct inet_sock_ops udp_inet_ops = { .destroy = udp_destroy };

int udp_create(int type, int protocol, struct lx_socket **out)
{
	struct udp_sock *us = rt_zalloc(sizeof(*us));

	if (!us)
		return -ENOMEM;
	inet_dgram_init(&us->dgram, &udp_ops, &udp_inet_ops, type, protocol, INET_PORTS_UDP);
	*out = &us->dgram.inet.base;
	return 0;
}

static int64_t udp_recv(struct lx_socket *s, struct net_msg *m)
{
	struct inet_dgram *d = inet_dgram(s);
	struct lx_pbuf *p;
	uint16_t port_be = 0;
	int64_t ret;

	if (m->flags & MSG_ERRQUEUE)
		return inet_recv_error(&d->inet, m);
	ret = inet_dgram_take(d, m->flags, &p);
	if (ret || !p)
		return ret;
	ret = inet_dgram_copy_out(d, p, UDP_HEADER, m);
	if (m->want_name) {
		(void)lx_pbuf_read(p, 0, &port_be, sizeof(port_be));
		m->namelen = inet_addr_store(m->name, &ip_rx(p)->src, port_be);
	}
	lx_pbuf_free(p);
	return ret;
}

static long udp_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg)
{
	return inet_dgram_ioctl(s, cmd, arg, UDP_HEADER);
}

/* -- options */

static int set_cork(struct udp_sock *us, bool on)
{
	struct inet_sock *is = &us->dgram.inet;

	inet_sock_lock(is);
	atomic_store(&us->is_corked, on);
	/* errors of what is sent now are nobody's, as on Linux */
	if (!on)
		(void)udp_push(us);
	inet_sock_unlock(is);
	lx_net_deliver(is->base.ns);
	return 0;
}

static int udp_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length)
{
	struct udp_sock *us = udp_sock(s);
	int v;

	if (level != IPPROTO_UDP)
		return inet_setopt(s, level, name, value, length);
	if (length < (int)sizeof(v))
		return -EINVAL;
	if (lx_copy_from_user(&v, value, sizeof(v)))
		return -EFAULT;
	switch (name) {
	case UDP_CORK:
		return set_cork(us, v);
	case UDP_SEGMENT:
		if (v < 0 || v > 0xffff)
			return -EINVAL;
		atomic_store(&us->gso_size, (uint16_t)v);
		return 0;
	}
	return -ENOPROTOOPT;
}

static int udp_getopt(struct lx_socket *s, int level, int name, void *buf, int *len)
{
	struct udp_sock *us = udp_sock(s);
	int v;

	if (level != IPPROTO_UDP)
		return inet_getopt(s, level, name, buf, len);
	switch (name) {
	case UDP_CORK:
		v = atomic_load(&us->is_corked);
		break;
	case UDP_SEGMENT:
		v = atomic_load(&us->gso_size);
		break;
	default:
		return -ENOPROTOOPT;
	}
	memcpy(buf, &v, sizeof(v));
	*len = sizeof(v);
	return 0;
}

static const struct lx_socket_ops udp_ops = {
	.attach = inet_sock_attach,
	.bind = inet_bind,
	.connect = inet_dgram_connect,
	.listen = inet_dgram_listen,
	.accept = inet_dgram_accept,
	.getname = inet_getname,
	.send = udp_send,
	.recv = udp_recv,
	.shutdown = inet_dgram_shutdown,
	.poll = inet_dgram_poll,
	.ioctl = udp_ioctl,
	.getopt = udp_getopt,
	.setopt = udp_setopt,
	.release = inet_dgram_release,
};
