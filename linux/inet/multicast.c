/* SPDX-License-Identifier: MIT */
/*
 * Multicast groups of sockets: IP_ADD_MEMBERSHIP and what else ip(7) has of them.
 *
 * A device receives a group as long as somebody is its member (inet_multicast_join()); which
 * sockets get a packet is looked up here.  Not there: filters by source.
 */
#include <linux/in.h>
#include <linux/rtnetlink.h>

#include "inet/socket.h"

#define MEMBERSHIPS_MAX	20u		/* net.ipv4.igmp_max_memberships */

struct inet_membership {
	struct list link;		/* extra->memberships: memberships_lock */
	struct inet_addr group;
	struct inet_addr address;	/* that it was asked for with; zeros: none */
	struct lx_netdev *dev;		/* a reference */
};

/* What a program asks for, in whatever form. */
struct wish {
	struct inet_addr group, address;
	int ifindex;
};

static struct inet_addr address_or_none(uint32_t be)
{
	return be ? inet_addr_v4(be) : (struct inet_addr){ .q = { 0, 0 } };
}

static int load_mreq(uaddr_t value, int length, struct wish *w)
{
	struct ip_mreqn mr = { .imr_ifindex = 0 };

	if (length < (int)sizeof(struct ip_mreq))
		return -EINVAL;
	if (lx_copy_from_user(&mr, value,
			      length >= (int)sizeof(mr) ? sizeof(mr) : sizeof(struct ip_mreq)))
		return -EFAULT;
	w->group = inet_addr_v4(mr.imr_multiaddr.s_addr);
	w->address = address_or_none(mr.imr_address.s_addr);
	w->ifindex = mr.imr_ifindex;
	return 0;
}

/* struct group_req: the device's number, and an address that is aligned to 8 bytes. */
static int load_group_req(uaddr_t value, int length, struct wish *w)
{
	struct { uint32_t ifindex, pad; struct sockaddr_in group; } gr;

	if (length < 8 + NET_NAME_MAX)
		return -EINVAL;
	if (lx_copy_from_user(&gr, value, sizeof(gr)))
		return -EFAULT;
	if (gr.group.sin_family != AF_INET)
		return -EINVAL;
	w->group = inet_addr_v4(gr.group.sin_addr.s_addr);
	w->address = address_or_none(0);
	w->ifindex = (int)gr.ifindex;
	return 0;
}

/* The device that has the address @a: a reference. */
static struct lx_netdev *device_of(struct inet_sock *is, const struct inet_addr *a)
{
	struct lx_netdev *dev;
	int index = 0;

	while ((dev = lx_netdev_after(is->base.ns, index))) {
		if (inet_addr_type(inet_of(is), a, dev->ifindex) == RTN_LOCAL)
			return dev;
		index = dev->ifindex;
		lx_netdev_put(dev);
	}
	return NULL;
}

struct lx_netdev *inet_multicast_device(struct inet_sock *is, const struct inet_addr *group,
					int ifindex,
					const struct inet_addr *address)
{
	struct inet_flow flow = { .dst = *group };
	struct lx_netdev *dev;
	struct inet_dst dst;

	if (ifindex)
		return lx_netdev_by_index(is->base.ns, ifindex);
	if (!inet_addr_is_any(address))
		return device_of(is, address);
	if (inet_route_output(inet_of(is), &flow, &dst))
		return NULL;
	dev = lx_netdev_get(dst.dev);
	inet_dst_release(&dst);
	return dev;
}

/* -- joining and leaving */

static void leave(struct inet_sock *is, struct inet_membership *m)
{
	inet_multicast_leave(inet_of(is), m->dev, &m->group);
	lx_netdev_put(m->dev);
	rt_free(m);
}

/* 0; -EADDRINUSE: it is a member already; -ENOBUFS: of too many. */
static int add(struct inet_extra *extra, struct inet_membership *m)
{
	struct inet_membership *other;
	unsigned int count = 0;
	int err = 0;

	rt_write_lock(&extra->memberships_lock);
	list_for_each_entry(other, &extra->memberships, link) {
		count++;
		if (inet_addr_equal(&other->group, &m->group) && other->dev == m->dev)
			err = -EADDRINUSE;
	}
	if (!err && count >= MEMBERSHIPS_MAX)
		err = -ENOBUFS;
	if (!err)
		list_add_last(&extra->memberships, &m->link);
	rt_write_unlock(&extra->memberships_lock);
	return err;
}

static int join(struct inet_sock *is, const struct wish *w)
{
	struct inet_extra *extra;
	struct inet_membership *m;
	int err;

	if (!inet_addr_is_multicast(&w->group))
		return -EINVAL;
	extra = inet_extra_make(is);
	m = rt_alloc(sizeof(*m));
	if (!extra || !m) {
		rt_free(m);
		return -ENOBUFS;
	}
	m->group = w->group;
	m->address = w->address;
	m->dev = inet_multicast_device(is, &w->group, w->ifindex, &w->address);
	if (!m->dev) {
		rt_free(m);
		return -ENODEV;
	}
	err = inet_multicast_join(inet_of(is), m->dev, &m->group);
	if (err) {
		lx_netdev_put(m->dev);
		rt_free(m);
		return err;
	}
	err = add(extra, m);
	if (err)
		leave(is, m);
	return err;
}

static bool is_meant(const struct inet_membership *m, const struct wish *w)
{
	if (!inet_addr_equal(&m->group, &w->group))
		return false;
	if (w->ifindex)
		return m->dev->ifindex == w->ifindex;
	return inet_addr_is_any(&w->address) || inet_addr_equal(&m->address, &w->address);
}

static int drop(struct inet_sock *is, const struct wish *w)
{
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);
	struct inet_membership *m, *found = NULL;

	if (!extra)
		return -EADDRNOTAVAIL;
	rt_write_lock(&extra->memberships_lock);
	list_for_each_entry(m, &extra->memberships, link)
		if (!found && is_meant(m, w))
			found = m;
	if (found)
		list_remove(&found->link);
	rt_write_unlock(&extra->memberships_lock);
	if (!found)
		return -EADDRNOTAVAIL;
	leave(is, found);
	return 0;
}

int inet_set_membership(struct inet_sock *is, int name, uaddr_t value, int length)
{
	bool is_group_req = name == MCAST_JOIN_GROUP || name == MCAST_LEAVE_GROUP;
	struct wish w;
	int err;

	if (is->base.type == SOCK_STREAM)
		return -EPROTO;
	err = is_group_req ? load_group_req(value, length, &w) : load_mreq(value, length, &w);
	if (err)
		return err;
	return name == IP_ADD_MEMBERSHIP || name == MCAST_JOIN_GROUP ? join(is, &w) : drop(is, &w);
}

void inet_leave_groups(struct inet_sock *is)
{
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);
	struct inet_membership *m;
	struct list gone;

	if (!extra)
		return;
	list_init(&gone);
	rt_write_lock(&extra->memberships_lock);
	list_splice_last(&gone, &extra->memberships);
	rt_write_unlock(&extra->memberships_lock);
	while ((m = list_pop_entry(&gone, struct inet_membership, link)))
		leave(is, m);
}

bool inet_wants_group(struct inet_sock *is, const struct inet_addr *group,
		      const struct inet_addr *src, int ifindex)
{
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);
	bool wants = inet_has(is, INET_MC_ALL);
	struct inet_membership *m;

	if (!inet_addr_is_multicast(group) || wants || !extra)
		return wants || !inet_addr_is_multicast(group);
	rt_read_lock(&extra->memberships_lock);
	list_for_each_entry(m, &extra->memberships, link)
		if (m->dev->ifindex == ifindex && inet_addr_equal(&m->group, group))
			wants = true;
	rt_read_unlock(&extra->memberships_lock);
	return wants;
}
