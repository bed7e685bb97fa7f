/* SPDX-License-Identifier: MIT */
/*
 * AF_PACKET: sending frames.  RAW: the program's bytes are the frame; DGRAM: the link's header is made
 * from the address.
 */
#include <asm/poll.h>
#include <linux/if.h>

#include "base/byteorder.h"
#include "net/packet.h"

#define VLAN_TAG 4u			/* bytes that a frame of ETH_P_8021Q may be longer */

/* Where a message goes, from its address or what the socket is bound to. */
struct destination {
	struct lx_netdev *dev;		/* a reference */
	uint16_t protocol;
	uint8_t addr[LX_NETDEV_ADDR];
	bool has_addr;
};

static int address_of(struct packet_sock *ps, const struct net_msg *m, struct destination *d)
{
	struct sockaddr_ll a;

	memcpy(&a, m->name, sizeof(a));
	if (m->namelen < PACKET_ADDR_SIZE || m->namelen < PACKET_ADDR_HEADER + a.sll_halen)
		return -EINVAL;
	d->protocol = BE16(a.sll_protocol);
	d->dev = lx_netdev_by_index(ps->base.ns, a.sll_ifindex);
	memcpy(d->addr, a.sll_addr, sizeof(d->addr));
	d->has_addr = true;
	return 0;
}

static int find_destination(struct packet_sock *ps, const struct net_msg *m, struct destination *d)
{
	int err = 0;

	d->dev = NULL;
	d->has_addr = false;
	if (m->namelen) {
		err = address_of(ps, m, d);
	} else {
		rt_mutex_lock(&ps->lock);
		d->dev = ps->dev ? lx_netdev_get(ps->dev) : NULL;
		d->protocol = ps->protocol;
		rt_mutex_unlock(&ps->lock);
	}
	if (err)
		return err;
	if (!d->dev)
		return -ENXIO;
	if (lx_netdev_is_up(d->dev))
		return 0;
	lx_netdev_put(d->dev);
	return -ENETDOWN;
}

/* -- room */

static bool has_room(struct packet_sock *ps)
{
	return (int64_t)atomic_load(&ps->wmem) < atomic_load(&ps->base.sndbuf);
}

static int wait_for_room(struct packet_sock *ps, unsigned int flags)
{
	uint64_t deadline = socket_deadline(ps->base.sndtimeo_ns);
	int err = socket_take_error(&ps->base);

	if (err || likely(has_room(ps)))
		return err;
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	err = lx_wait_event(lx_self(), &ps->wait, has_room(ps) || atomic_load(&ps->base.error),
			    deadline, LX_WAIT_INTERRUPTIBLE);
	return err ? socket_wait_errno(err, deadline) : socket_take_error(&ps->base);
}

/* lx_pbuf_owner.release */
void packet_sent(struct lx_pbuf_owner *owner, uint32_t charge)
{
	struct packet_sock *ps = container_of(owner, struct packet_sock, owner);

	atomic_fetch_sub(&ps->wmem, charge);
	if (!lx_waitq_empty(&ps->wait))
		lx_wake(&ps->wait, POLLOUT | POLLWRNORM | POLLWRBAND | LX_WAKE_SPACE, ~0u);
	packet_put(ps);
}

static void charge(struct packet_sock *ps, struct lx_pbuf *p)
{
	atomic_fetch_add_explicit(&ps->refs, 1, memory_order_relaxed);
	atomic_fetch_add(&ps->wmem, p->charge);
	lx_pbuf_set_owner(p, &ps->owner);
}

/* -- frames */

/* May a frame of @len bytes, with its header, go out there? */
static int check_length(const struct packet_sock *ps, const struct destination *d, uint64_t len)
{
	uint64_t max = atomic_load_explicit(&d->dev->mtu, memory_order_relaxed);

	if (ps->base.type == SOCK_RAW) {
		max += d->dev->header_len;
		if (len < d->dev->header_len)
			return -EINVAL;
	}
	return len <= max + VLAN_TAG ? 0 : -EMSGSIZE;
}

/* One that is longer than the MTU has a tag. */
static bool is_too_long(const struct lx_netdev *dev, const struct lx_pbuf *p)
{
	const uint8_t *header = lx_pbuf_data(p);

	return p->len > atomic_load_explicit(&dev->mtu, memory_order_relaxed) + dev->header_len &&
	       get_be16(header + 12) != ETH_P_8021Q;
}

static int copy_in(struct lx_pbuf *p, struct lx_iter *from)
{
	uint32_t done = 0, n = p->len;

	while (done < n) {
		done += (uint32_t)lx_pbuf_from_iter(p, done, from, n - done);
		if (done < n && lx_iter_fault_in(from, false))
			return -EFAULT;
	}
	return 0;
}

/* The link's header: the program's own, or made for it. */
static int finish_header(struct packet_sock *ps, const struct destination *d, struct lx_pbuf *p)
{
	static const uint8_t nobody[LX_NETDEV_ADDR];
	const uint8_t *header = lx_pbuf_data(p);

	if (ps->base.type == SOCK_DGRAM) {
		/* without an address only to where addresses say nothing */
		if (!d->has_addr && !(lx_netdev_flags(d->dev) & (IFF_LOOPBACK | IFF_NOARP)))
			return -EINVAL;
		return lx_netdev_push_header(d->dev, p, d->protocol, d->has_addr ? d->addr : nobody,
					     NULL);
	}
	p->link_at = lx_pbuf_place(p);
	p->network_at = (uint16_t)(p->link_at + d->dev->header_len);
	p->protocol = d->protocol;
	if (!p->protocol || p->protocol == ETH_P_ALL)
		p->protocol = get_be16(header + 12);
	return is_too_long(d->dev, p) ? -EMSGSIZE : 0;
}

static int send_to(struct packet_sock *ps, const struct destination *d, struct net_msg *m)
{
	/* the size of a frame is bounded by now */
	uint32_t len = (uint32_t)m->iter->count;
	struct lx_pbuf *p = lx_pbuf_alloc_large(ps->base.ns->pool, LX_PBUF_HEADROOM,
						MIN(len, 2048u), len);
	int err;

	if (!p)
		return -ENOBUFS;
	charge(ps, p);
	err = copy_in(p, m->iter);
	if (!err)
		err = finish_header(ps, d, p);
	if (err) {
		lx_pbuf_free(p);
		return err;
	}
	return lx_netdev_xmit(d->dev, p);
}

int64_t packet_send(struct lx_socket *s, struct net_msg *m)
{
	struct packet_sock *ps = packet_of(s);
	int64_t len = (int64_t)m->iter->count;
	struct destination d;
	int err = find_destination(ps, m, &d);

	if (err)
		return err;
	err = check_length(ps, &d, m->iter->count);
	if (!err)
		err = wait_for_room(ps, m->flags);
	if (!err)
		err = send_to(ps, &d, m);
	lx_netdev_put(d.dev);
	lx_net_deliver(s->ns);
	return err ? err : len;
}
