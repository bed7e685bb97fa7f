/* SPDX-License-Identifier: MIT */
/*
 * AF_PACKET: options at SOL_PACKET (packet(7)), memberships, filters.
 *
 * Not there, and refused as unknown: rings (PACKET_RX_RING, PACKET_TX_RING and what belongs to
 * them), PACKET_FANOUT, PACKET_VNET_HDR, PACKET_TIMESTAMP, SO_ATTACH_BPF.
 */
#include "net/packet.h"

/* One that the socket has joined: counted in the device. */
struct packet_membership {
	struct list link;		/* ps->memberships: ns->config_lock */
	int ifindex;
	uint16_t type, alen;
	uint8_t address[8];
	uint32_t count;
};

/* -- memberships: config_lock held */

/* Tell the device that one more, or one less, wants it. */
static void change(struct lx_netdev *dev, unsigned int type, int by)
{
	switch (type) {
	case PACKET_MR_MULTICAST:
		lx_netdev_multicast(dev, by);
		break;
	case PACKET_MR_PROMISC:
	case PACKET_MR_UNICAST:		/* devices here have no lists of addresses */
		lx_netdev_promiscuity(dev, by);
		break;
	case PACKET_MR_ALLMULTI:
		lx_netdev_allmulti(dev, by);
		break;
	default:			/* Linux takes any, too */
		break;
	}
}

static struct packet_membership *find(struct packet_sock *ps, const struct packet_mreq *mr)
{
	struct packet_membership *m;

	list_for_each_entry(m, &ps->memberships, link)
		if (m->ifindex == mr->mr_ifindex && m->type == mr->mr_type && m->alen == mr->mr_alen &&
		    !memcmp(m->address, mr->mr_address, m->alen))
			return m;
	return NULL;
}

static int join_device(struct packet_sock *ps, struct lx_netdev *dev, const struct packet_mreq *mr)
{
	struct packet_membership *m;

	if (mr->mr_alen > dev->addr_len)
		return -EINVAL;
	m = find(ps, mr);
	if (m) {
		m->count++;
		return 0;
	}
	m = rt_alloc(sizeof(*m));
	if (!m)
		return -ENOBUFS;
	change(dev, mr->mr_type, 1);
	m->ifindex = mr->mr_ifindex;
	m->type = mr->mr_type;
	m->alen = mr->mr_alen;
	m->count = 1;
	memcpy(m->address, mr->mr_address, sizeof(m->address));
	list_add_last(&ps->memberships, &m->link);
	return 0;
}

static int join(struct packet_sock *ps, const struct packet_mreq *mr)
{
	struct lx_netdev *dev = lx_netdev_by_index(ps->base.ns, mr->mr_ifindex);
	int err = dev ? join_device(ps, dev, mr) : -ENODEV;

	lx_netdev_put(dev);
	return err;
}

static void leave(struct packet_sock *ps, struct packet_membership *m)
{
	struct lx_netdev *dev = lx_netdev_by_index(ps->base.ns, m->ifindex);

	/* a device that is gone needs nothing, and its number is nobody else's */
	if (dev)
		change(dev, m->type, -1);
	lx_netdev_put(dev);
	list_remove(&m->link);
	rt_free(m);
}

static int drop_one(struct packet_sock *ps, const struct packet_mreq *mr)
{
	struct packet_membership *m = find(ps, mr);

	/* as on Linux: it is not a member afterwards, whether it was before or not */
	if (m && !--m->count)
		leave(ps, m);
	return 0;
}

void packet_leave_all(struct packet_sock *ps)
{
	struct packet_membership *m;

	while ((m = list_first_entry(&ps->memberships, struct packet_membership, link)))
		leave(ps, m);
}

static int set_membership(struct packet_sock *ps, int name, uaddr_t value, int length)
{
	struct lx_netns *ns = ps->base.ns;
	struct packet_mreq mr;
	int err;

	if (length < (int)sizeof(mr))
		return -EINVAL;
	if (lx_copy_from_user(&mr, value, sizeof(mr)))
		return -EFAULT;
	/* a longer one has longer addresses, which no device here has */
	if (length < (int)offsetof(struct packet_mreq, mr_address) + mr.mr_alen ||
	    mr.mr_alen > sizeof(mr.mr_address))
		return -EINVAL;
	rt_mutex_lock(&ns->config_lock);
	err = name == PACKET_ADD_MEMBERSHIP ? join(ps, &mr) : drop_one(ps, &mr);
	rt_mutex_unlock(&ns->config_lock);
	return err;
}

/* -- filters */

static int attach_filter(struct packet_sock *ps, uaddr_t value, int length)
{
	struct packet_filter *f, *old;
	int err;

	if (length != 16)		/* sizeof(struct sock_fprog) */
		return -EINVAL;
	if (socket_has(&ps->base, SOCKET_FILTER_LOCKED))
		return -EPERM;
	err = packet_filter_load(value, &f);
	if (err)
		return err;
	rt_mutex_lock(&ps->lock);
	old = ps->filter;
	ps->filter = f;
	rt_mutex_unlock(&ps->lock);
	packet_filter_free(old);
	return 0;
}

static int detach_filter(struct packet_sock *ps)
{
	struct packet_filter *old;

	if (socket_has(&ps->base, SOCKET_FILTER_LOCKED))
		return -EPERM;
	rt_mutex_lock(&ps->lock);
	old = ps->filter;
	ps->filter = NULL;
	rt_mutex_unlock(&ps->lock);
	packet_filter_free(old);
	return old ? 0 : -ENOENT;
}

static int lock_filter(struct packet_sock *ps, bool on)
{
	if (socket_has(&ps->base, SOCKET_FILTER_LOCKED) && !on)
		return -EPERM;
	if (on)
		atomic_fetch_or(&ps->base.options, SOCKET_FILTER_LOCKED);
	return 0;
}

static int set_socket_option(struct packet_sock *ps, int name, uaddr_t value, int length)
{
	int v;

	switch (name) {
	case SO_ATTACH_FILTER:
		return attach_filter(ps, value, length);
	case SO_DETACH_FILTER:
		return detach_filter(ps);
	case SO_LOCK_FILTER:
		if (lx_copy_from_user(&v, value, sizeof(v)))
			return -EFAULT;
		return lock_filter(ps, v);
	}
	return -ENOPROTOOPT;
}

/* -- SOL_PACKET */

static bool is_switch(int name)
{
	return name == PACKET_AUXDATA || name == PACKET_ORIGDEV || name == PACKET_IGNORE_OUTGOING ||
	       name == PACKET_QDISC_BYPASS;
}

static int set_switch(struct packet_sock *ps, int name, uaddr_t value, int length)
{
	int v;

	if (length < (int)sizeof(v))
		return -EINVAL;
	if (lx_copy_from_user(&v, value, sizeof(v)))
		return -EFAULT;
	if (name == PACKET_IGNORE_OUTGOING && v != 0 && v != 1)
		return -EINVAL;
	if (v)
		atomic_fetch_or(&ps->packet_options, (uint32_t)BIT(name));
	else
		atomic_fetch_and(&ps->packet_options, ~(uint32_t)BIT(name));
	return 0;
}

int packet_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length)
{
	struct packet_sock *ps = packet_of(s);

	if (level == SOL_SOCKET)
		return set_socket_option(ps, name, value, length);
	if (level != SOL_PACKET)
		return -ENOPROTOOPT;
	if (name == PACKET_ADD_MEMBERSHIP || name == PACKET_DROP_MEMBERSHIP)
		return set_membership(ps, name, value, length);
	return is_switch(name) ? set_switch(ps, name, value, length) : -ENOPROTOOPT;
}

/* Packets since it was asked for last: the dropped ones are among tp_packets. */
static void take_statistics(struct packet_sock *ps, struct tpacket_stats *st)
{
	rt_mutex_lock(&ps->lock);
	st->tp_drops = ps->drops;
	st->tp_packets = ps->packets + ps->drops;
	ps->packets = ps->drops = 0;
	rt_mutex_unlock(&ps->lock);
}

int packet_getopt(struct lx_socket *s, int level, int name, void *buf, int *len)
{
	struct packet_sock *ps = packet_of(s);
	int v;

	if (level == SOL_SOCKET && name == SO_LOCK_FILTER) {
		v = socket_has(s, SOCKET_FILTER_LOCKED) != 0;
	} else if (level == SOL_PACKET && name == PACKET_STATISTICS) {
		take_statistics(ps, buf);
		*len = sizeof(struct tpacket_stats);
		return 0;
	} else if (level == SOL_PACKET && is_switch(name)) {
		v = packet_has(ps, (uint32_t)BIT(name)) != 0;
	} else {
		return -ENOPROTOOPT;
	}
	memcpy(buf, &v, sizeof(v));
	*len = sizeof(v);
	return 0;
}
