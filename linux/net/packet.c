/* SPDX-License-Identifier: MIT */
/*
 * AF_PACKET sockets: making them, what they are bound to, their end.
 *
 * A socket with a protocol has a tap in its namespace from the start, for all devices until it is
 * bound to one.  While the device that it is bound to is down it has none; it gets it back when
 * the device goes up.  Everything about that happens under the namespace's config_lock, which
 * is also held when devices change, so that no change is missed.
 *
 * Not there: SOCK_PACKET (the interface of Linux 2.0).
 */
#include <asm/poll.h>
#include <linux/capability.h>

#include "base/byteorder.h"
#include "lx/cred.h"
#include "net/packet.h"

static const struct lx_socket_ops packet_ops;

void packet_put(struct packet_sock *ps)
{
	if (atomic_fetch_sub_explicit(&ps->refs, 1, memory_order_acq_rel) != 1)
		return;
	rt_free(ps);
}

void packet_report(struct packet_sock *ps, int err)
{
	atomic_store(&ps->base.error, err);
	lx_wake(&ps->wait, POLLERR | POLLIN | POLLRDNORM, ~0u);
}

/* -- what it is bound to: config_lock held */

static void tap_off(struct packet_sock *ps)
{
	if (ps->is_tapping)
		net_tap_remove(ps->base.ns, &ps->tap);
	ps->is_tapping = false;
}

/* If it is to see anything, and its device is up. */
static void tap_on(struct packet_sock *ps)
{
	if (ps->is_tapping || !ps->protocol || ps->ifindex < 0)
		return;
	if (ps->dev && !lx_netdev_is_up(ps->dev))
		return;
	ps->tap.protocol = ps->protocol;
	ps->tap.ifindex = ps->ifindex;
	net_tap_add(ps->base.ns, &ps->tap);
	ps->is_tapping = true;
}

/* The reference to @dev moves in; the one to the device before moves out. */
static struct lx_netdev *set_binding(struct packet_sock *ps, struct lx_netdev *dev, int ifindex,
				     uint16_t protocol)
{
	struct lx_netdev *old;

	rt_mutex_lock(&ps->lock);
	old = ps->dev;
	ps->dev = dev;
	ps->ifindex = ifindex;
	ps->protocol = protocol;
	rt_mutex_unlock(&ps->lock);
	return old;
}

static void device_changed(struct lx_netdev_listener *l, struct lx_netdev *dev, enum lx_netdev_event e)
{
	struct packet_sock *ps = container_of(l, struct packet_sock, listener);

	if (ps->dev != dev)
		return;
	switch (e) {
	case LX_NETDEV_UP:
		tap_on(ps);
		return;
	case LX_NETDEV_DOWN:
		if (ps->is_tapping)
			packet_report(ps, ENETDOWN);
		tap_off(ps);
		return;
	case LX_NETDEV_UNREGISTERED:
		tap_off(ps);
		packet_report(ps, ENETDOWN);
		lx_netdev_put(set_binding(ps, NULL, -1, ps->protocol));
		return;
	default:
		return;
	}
}

static int bind_locked(struct packet_sock *ps, const struct sockaddr_ll *a)
{
	uint16_t protocol = a->sll_protocol ? BE16(a->sll_protocol) : ps->protocol;
	struct lx_netdev *dev = NULL;

	if (a->sll_ifindex) {
		dev = lx_netdev_by_index(ps->base.ns, a->sll_ifindex);
		if (!dev)
			return -ENODEV;
	}
	tap_off(ps);
	lx_netdev_put(set_binding(ps, dev, a->sll_ifindex, protocol));
	tap_on(ps);
	if (dev && protocol && !ps->is_tapping)
		packet_report(ps, ENETDOWN);
	return 0;
}

static int packet_bind(struct lx_socket *s, const uint8_t *addr, int len)
{
	struct sockaddr_ll a;
	int err;

	memcpy(&a, addr, sizeof(a));
	if (len < PACKET_ADDR_SIZE || a.sll_family != AF_PACKET)
		return -EINVAL;
	rt_mutex_lock(&s->ns->config_lock);
	err = bind_locked(packet_of(s), &a);
	rt_mutex_unlock(&s->ns->config_lock);
	return err;
}

static int packet_getname(struct lx_socket *s, uint8_t *addr, bool peer)
{
	struct packet_sock *ps = packet_of(s);
	struct sockaddr_ll a = { .sll_family = AF_PACKET };

	if (peer)
		return -EOPNOTSUPP;
	rt_mutex_lock(&s->ns->config_lock);
	a.sll_ifindex = ps->ifindex;
	a.sll_protocol = BE16(ps->protocol);
	if (ps->dev) {
		uint8_t own[LX_NETDEV_ADDR];

		lx_netdev_address(ps->dev, own);
		a.sll_hatype = ps->dev->type;
		a.sll_halen = ps->dev->addr_len;
		memcpy(a.sll_addr, own, a.sll_halen);
	}
	rt_mutex_unlock(&s->ns->config_lock);
	memcpy(addr, &a, sizeof(a));
	return PACKET_ADDR_HEADER + a.sll_halen;
}

/* -- what it cannot do */

static int packet_connect(struct lx_socket *s, const uint8_t *addr, int len, bool nonblock)
{
	return -EOPNOTSUPP;
}

static int packet_listen(struct lx_socket *s, int backlog)
{
	return -EOPNOTSUPP;
}

static int packet_accept(struct lx_socket *s, bool nonblock, struct lx_socket **out)
{
	return -EOPNOTSUPP;
}

static int packet_shutdown(struct lx_socket *s, unsigned int how)
{
	return -EOPNOTSUPP;
}

/* -- life */

int packet_create(int type, int protocol, struct lx_socket **out)
{
	struct lx_task *self = lx_self();
	struct packet_sock *ps;
	struct lx_netns *ns;

	if (!lx_capable(self, CAP_NET_RAW))
		return -EPERM;
	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	ps = rt_zalloc(sizeof(*ps));
	if (!ps)
		return -ENOMEM;
	socket_init(&ps->base, &packet_ops, AF_PACKET, type, protocol);
	atomic_init(&ps->refs, 1);
	lx_waitq_init(&ps->wait);
	ps->uid = self->cred->fsuid;
	ps->owner.release = packet_sent;
	ps->listener.event = device_changed;
	ps->tap.deliver = packet_deliver;
	ps->tap.self = &ps->owner;
	ps->protocol = BE16((uint16_t)protocol);
	list_init(&ps->tap.link);
	list_init(&ps->memberships);
	rt_mutex_init(&ps->lock, LX_LOCK_PACKET);
	list_init(&ps->queue);
	ns = ps->base.ns;
	rt_mutex_lock(&ns->config_lock);
	list_add_last(&ns->packet_sockets, &ps->ns_link);
	list_add_last(&ns->listeners, &ps->listener.link);
	tap_on(ps);
	rt_mutex_unlock(&ns->config_lock);
	*out = &ps->base;
	return 0;
}

static void packet_attach(struct lx_socket *s, struct lx_file *f)
{
	atomic_store(&packet_of(s)->ino, f->inode ? f->inode->ino : 0);
}

static void packet_release(struct lx_socket *s)
{
	struct packet_sock *ps = packet_of(s);
	struct lx_netdev *dev;

	rt_mutex_lock(&s->ns->config_lock);
	tap_off(ps);
	packet_leave_all(ps);
	list_remove(&ps->listener.link);
	list_remove(&ps->ns_link);
	dev = set_binding(ps, NULL, 0, 0);
	rt_mutex_unlock(&s->ns->config_lock);
	lx_netdev_put(dev);
	/* no tap, no file: nobody else looks at these; packets being sent only count themselves out */
	socket_fini(s);
	lx_pbuf_free_list(&ps->queue);
	packet_filter_free(ps->filter);
	packet_put(ps);
}

static const struct lx_socket_ops packet_ops = {
	.attach = packet_attach,
	.bind = packet_bind,
	.connect = packet_connect,
	.listen = packet_listen,
	.accept = packet_accept,
	.getname = packet_getname,
	.send = packet_send,
	.recv = packet_recv,
	.shutdown = packet_shutdown,
	.poll = packet_poll,
	.ioctl = packet_ioctl,
	.getopt = packet_getopt,
	.setopt = packet_setopt,
	.release = packet_release,
};
