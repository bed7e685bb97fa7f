/* SPDX-License-Identifier: MIT */
/*
 * Addresses of devices, and the routes that come of them: which ones is Linux's custom, as `ip route
 * show table all` shows it.
 *
 *	always		local	ADDRESS			host scope; it stays while the device is down
 *	device is up	broadcast BROADCAST		if it has one
 *			NETWORK/LEN			of a primary address that is not all of its network
 *			broadcast NETWORK's last	shorter than /31
 *
 * Whatever is taken away, routes that another address of the device stands for stay.
 */
#include "inet/addr.h"

#include <linux/if.h>
#include <linux/if_addr.h>

#include "inet/igmp.h"
#include "inet/neigh.h"
#include "inet/route.h"
#include "rt/time.h"

struct inet_dev *inet_dev_find(struct inet *inet, int ifindex)
{
	struct inet_dev *d;

	list_for_each_entry(d, &inet->devices, link)
		if (d->dev->ifindex == ifindex)
			return d;
	return NULL;
}

/* config_lock held.  NULL: no memory. */
static struct inet_dev *dev_get(struct inet *inet, struct lx_netdev *dev)
{
	struct inet_dev *d = inet_dev_find(inet, dev->ifindex), *other;
	struct list *before = &inet->devices;

	if (d)
		return d;
	d = rt_zalloc(sizeof(*d));
	if (!d)
		return NULL;
	d->dev = lx_netdev_get(dev);
	list_init(&d->addresses);
	list_init(&d->groups);
	list_for_each_entry(other, &inet->devices, link)
		if (other->dev->ifindex > dev->ifindex) {
			before = &other->link;
			break;
		}
	rt_write_lock(&inet->lock);
	list_add_last(before, &d->link);
	rt_write_unlock(&inet->lock);
	return d;
}

/* -- which routes an address has */

#define ROUTES_MAX	4u

static void add_route(struct route *out, unsigned int *n, const struct inet_address *a,
		      struct lx_netdev *dev, uint8_t type, uint32_t dst_be, unsigned int len,
		      uint32_t prefsrc_be)
{
	struct inet_addr dst = inet_addr_v4(dst_be);

	out[(*n)++] = (struct route){
		.entry = { .prefix = dst, .prefix_len = (uint8_t)(INET_V4_BITS + len) },
		.dev = dev, .prefsrc_be = prefsrc_be, .type = type,
		.table = type == RTN_UNICAST ? RT_TABLE_MAIN : RT_TABLE_LOCAL,
		.scope = type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK,
		.protocol = RTPROT_KERNEL,
	};
	if (len < 32 && a->metric)
		out[*n - 1].entry.metric = a->metric;
}

/* The primary address of the network of @a: itself perhaps. */
static const struct inet_address *primary_of(const struct inet_dev *d, const struct inet_address *a)
{
	uint32_t mask = inet_mask_be(a->prefix_len);
	const struct inet_address *p;

	list_for_each_entry(p, &d->addresses, link)
		if (!(p->flags & IFA_F_SECONDARY) && p->prefix_len == a->prefix_len &&
		    !((p->peer_be ^ a->peer_be) & mask))
			return p;
	return a;
}

/* How many; @out has no references. */
static unsigned int routes_of(const struct inet_dev *d, const struct inet_address *a,
			      struct route out[ROUTES_MAX])
{
	uint32_t mask = inet_mask_be(a->prefix_len), net = a->peer_be & mask;
	uint32_t src = a->flags & IFA_F_SECONDARY ? primary_of(d, a)->local_be : a->local_be;
	bool is_lo = atomic_load(&d->dev->flags) & IFF_LOOPBACK;
	unsigned int n = 0;

	add_route(out, &n, a, d->dev, RTN_LOCAL, a->local_be, 32, src);
	if (!lx_netdev_is_up(d->dev))
		return n;
	if (a->broadcast_be && a->broadcast_be != IP4_BROADCAST)
		add_route(out, &n, a, d->dev, RTN_BROADCAST, a->broadcast_be, 32, src);
	if (ip4_is_zeronet(net) || a->flags & IFA_F_SECONDARY ||
	    (net == a->local_be && a->prefix_len == 32))
		return n;
	if (!(a->flags & IFA_F_NOPREFIXROUTE))
		add_route(out, &n, a, d->dev, is_lo ? RTN_LOCAL : RTN_UNICAST, net, a->prefix_len, src);
	if (a->prefix_len < 31 && (net | ~mask) != a->broadcast_be)
		add_route(out, &n, a, d->dev, RTN_BROADCAST, net | ~mask, 32, src);
	return n;
}

static bool is_same_place(const struct route *a, const struct route *b)
{
	return a->type == b->type && a->entry.prefix_len == b->entry.prefix_len &&
	       inet_addr_equal(&a->entry.prefix, &b->entry.prefix);
}

/* Routes of @a, where they are not there yet. */
static void make_routes(struct inet *inet, struct inet_dev *d, const struct inet_address *a)
{
	struct route want[ROUTES_MAX];
	unsigned int n = routes_of(d, a, want);

	for (unsigned int i = 0; i < n; i++) {
		struct route *r;

		lx_netdev_get(want[i].dev);
		r = route_create(&want[i]);
		if (r)
			(void)route_add(inet, r, NLM_F_CREATE | NLM_F_APPEND, 0, 0);
	}
}

/* Does another address of @d stand for the route? */
static bool is_wanted(const struct inet_dev *d, const struct route *r)
{
	struct route have[ROUTES_MAX];
	struct inet_address *a;

	list_for_each_entry(a, &d->addresses, link) {
		unsigned int n = routes_of(d, a, have);

		for (unsigned int i = 0; i < n; i++)
			if (is_same_place(&have[i], r) && have[i].prefsrc_be == r->prefsrc_be)
				return true;
	}
	return false;
}

static void drop_route(struct inet *inet, const struct inet_dev *d, struct route *like)
{
	struct route *r;

	like->entry.metric = 0;		/* whichever it had */
	r = route_match(inet, like, d->dev->ifindex);
	if (!r)
		return;
	rtnl_route_event(inet, RTM_DELROUTE, r, 0, 0, 0);
	route_remove(inet, r);
}

static bool is_from(const struct route *r, const void *arg)
{
	return r->prefsrc_be == *(const uint32_t *)arg;
}

/* @a is in no list any more. */
static void remove_routes(struct inet *inet, struct inet_dev *d, const struct inet_address *a)
{
	struct route had[ROUTES_MAX];
	unsigned int n = routes_of(d, a, had);

	for (unsigned int i = n; i--;)
		if (!is_wanted(d, &had[i]))
			drop_route(inet, d, &had[i]);
	if (ip4_addr_type(inet, a->local_be) != RTN_LOCAL)
		route_flush(inet, is_from, &a->local_be);
}

/* -- addresses */

/* As Linux: one of a network that has one is secondary, and the two have one scope. */
static int check_new(const struct inet_dev *d, struct inet_address *a, struct list **before)
{
	uint32_t mask = inet_mask_be(a->prefix_len);
	struct inet_address *other;

	a->flags &= ~(uint32_t)IFA_F_SECONDARY;
	*before = (struct list *)&d->addresses;
	list_for_each_entry(other, &d->addresses, link) {
		bool is_same = other->prefix_len == a->prefix_len &&
			       !((other->peer_be ^ a->peer_be) & mask);

		if (is_same && other->local_be == a->local_be)
			return -EEXIST;
		if (is_same && other->scope != a->scope)
			return -EINVAL;
		if (is_same)
			a->flags |= IFA_F_SECONDARY;
	}
	if (a->flags & IFA_F_SECONDARY)
		return 0;
	/* a primary one comes before those of a narrower scope, and before all secondary ones */
	list_for_each_entry(other, &d->addresses, link)
		if (other->flags & IFA_F_SECONDARY || other->scope > a->scope) {
			*before = &other->link;
			break;
		}
	return 0;
}

int inet_address_add(struct inet *inet, struct lx_netdev *dev, const struct inet_address *like)
{
	struct inet_dev *d = dev_get(inet, dev);
	struct inet_address *a = rt_alloc(sizeof(*a));
	struct list *before;
	int err;

	if (!d || !a) {
		rt_free(a);
		return -ENOMEM;
	}
	*a = *like;
	a->created_ns = a->updated_ns = rt_now_ns();
	err = check_new(d, a, &before);
	if (err) {
		rt_free(a);
		return err;
	}
	rt_write_lock(&inet->lock);
	list_add_last(before, &a->link);
	rt_write_unlock(&inet->lock);
	inet_changed(inet);
	rtnl_address_event(inet, RTM_NEWADDR, dev, a, 0, 0);
	make_routes(inet, d, a);
	return 0;
}

static void remove_one(struct inet *inet, struct inet_dev *d, struct inet_address *a)
{
	rt_write_lock(&inet->lock);
	list_remove(&a->link);
	rt_write_unlock(&inet->lock);
	inet_changed(inet);
	rtnl_address_event(inet, RTM_DELADDR, d->dev, a, 0, 0);
	remove_routes(inet, d, a);
	rt_free(a);
}

static bool is_on(const struct route *r, const void *arg)
{
	return r->dev == arg;
}

void inet_address_remove(struct inet *inet, struct inet_dev *d, struct inet_address *a)
{
	uint32_t mask = inet_mask_be(a->prefix_len), net = a->peer_be & mask;
	bool is_primary = !(a->flags & IFA_F_SECONDARY);
	uint8_t len = a->prefix_len;
	struct inet_address *other, *next;

	list_for_each_entry_safe(other, next, &d->addresses, link)
		if (is_primary && other->flags & IFA_F_SECONDARY && other->prefix_len == len &&
		    (other->peer_be & mask) == net)
			remove_one(inet, d, other);
	remove_one(inet, d, a);
	if (list_is_empty(&d->addresses))
		route_flush(inet, is_on, d->dev);
}

static bool may_select(const struct inet_address *a, uint8_t scope)
{
	return !(a->flags & IFA_F_SECONDARY) && a->scope <= scope;
}

static uint32_t select_of(const struct inet_dev *d, uint32_t to_be, uint8_t scope)
{
	const struct inet_address *a;
	uint32_t first = 0;

	list_for_each_entry(a, &d->addresses, link) {
		if (!may_select(a, scope))
			continue;
		if (!to_be || !((a->peer_be ^ to_be) & inet_mask_be(a->prefix_len)))
			return a->local_be;
		if (!first)
			first = a->local_be;
	}
	return first;
}

uint32_t inet_address_select(struct inet *inet, struct lx_netdev *dev, uint32_t to_be, uint8_t scope)
{
	struct inet_dev *d = inet_dev_find(inet, dev->ifindex);
	uint32_t found = d ? select_of(d, to_be, scope) : 0;
	const struct inet_address *a;

	if (found)
		return found;
	list_for_each_entry(d, &inet->devices, link)
		list_for_each_entry(a, &d->addresses, link)
			if (may_select(a, scope) && a->scope != RT_SCOPE_LINK)
				return a->local_be;
	return 0;
}

struct lx_netdev *inet_address_device(struct inet *inet, uint32_t be)
{
	struct lx_netdev *found = NULL;
	struct inet_address *a;
	struct inet_dev *d;

	rt_read_lock(&inet->lock);
	list_for_each_entry(d, &inet->devices, link)
		list_for_each_entry(a, &d->addresses, link)
			if (a->local_be == be && !found)
				found = lx_netdev_get(d->dev);
	rt_read_unlock(&inet->lock);
	if (!found && ip4_is_loopback(be))
		found = lx_netdev_get(inet->ns->loopback);
	return found;
}

/* -- groups */

static struct inet_group *group_find(const struct inet_dev *d, uint32_t group_be)
{
	struct inet_group *g;

	list_for_each_entry(g, &d->groups, link)
		if (g->addr_be == group_be)
			return g;
	return NULL;
}

bool inet_is_member(struct inet *inet, struct lx_netdev *dev, uint32_t group_be)
{
	struct inet_dev *d;
	bool is_member;

	if (group_be == BE32(0xe0000001u))	/* all systems of the link */
		return true;
	rt_read_lock(&inet->lock);
	d = inet_dev_find(inet, dev->ifindex);
	is_member = d && group_find(d, group_be);
	rt_read_unlock(&inet->lock);
	return is_member;
}

static int join(struct inet *inet, struct lx_netdev *dev, uint32_t group_be)
{
	struct inet_dev *d = dev->registered ? dev_get(inet, dev) : NULL;
	struct inet_group *g;

	if (!d)
		return dev->registered ? -ENOMEM : -ENODEV;
	g = group_find(d, group_be);
	if (g) {
		g->users++;
		return 0;
	}
	g = rt_zalloc(sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->addr_be = group_be;
	g->users = 1;
	rt_write_lock(&inet->lock);
	list_add_last(&d->groups, &g->link);
	rt_write_unlock(&inet->lock);
	lx_netdev_multicast(dev, 1);
	igmp_joined(inet, d, group_be);
	return 0;
}

int inet_multicast_join(struct inet *inet, struct lx_netdev *dev, const struct inet_addr *group)
{
	uint32_t be = inet_addr_to_v4(group);
	int err;

	if (!inet_addr_is_v4(group) || !ip4_is_multicast(be))
		return -EINVAL;
	rt_mutex_lock(&inet->ns->config_lock);
	err = join(inet, dev, be);
	rt_mutex_unlock(&inet->ns->config_lock);
	return err;
}

static void group_free(struct inet *inet, struct inet_dev *d, struct inet_group *g)
{
	rt_write_lock(&inet->lock);
	list_remove(&g->link);
	rt_write_unlock(&inet->lock);
	lx_netdev_multicast(d->dev, -1);
	igmp_left(inet, d, g->addr_be);
	rt_free(g);
}

void inet_multicast_leave(struct inet *inet, struct lx_netdev *dev, const struct inet_addr *group)
{
	struct inet_dev *d;
	struct inet_group *g;

	rt_mutex_lock(&inet->ns->config_lock);
	d = inet_dev_find(inet, dev->ifindex);
	g = d ? group_find(d, inet_addr_to_v4(group)) : NULL;
	if (g && !--g->users)
		group_free(inet, d, g);
	rt_mutex_unlock(&inet->ns->config_lock);
}

/* -- devices: config_lock held */

static void device_up(struct inet *inet, struct lx_netdev *dev)
{
	struct inet_dev *d = inet_dev_find(inet, dev->ifindex);
	struct inet_address *a, lo = {
		.local_be = BE32(0x7f000001u), .peer_be = BE32(0x7f000001u), .prefix_len = 8,
		.scope = RT_SCOPE_HOST, .flags = IFA_F_PERMANENT, .proto = 1 /* IFAPROT_KERNEL_LO */,
		.valid_s = UINT32_MAX, .preferred_s = UINT32_MAX,
	};

	if (atomic_load(&dev->flags) & IFF_LOOPBACK && (!d || list_is_empty(&d->addresses))) {
		memcpy(lo.label, dev->name, sizeof(lo.label));
		(void)inet_address_add(inet, dev, &lo);
		return;
	}
	if (!d)
		return;
	list_for_each_entry(a, &d->addresses, link)
		make_routes(inet, d, a);
	igmp_up(inet, d);
}

/* A device that is down has routes to its own addresses only. */
static bool goes_down(const struct route *r, const void *arg)
{
	return r->dev == arg && r->scope != RT_SCOPE_HOST;
}

static void device_gone(struct inet *inet, struct lx_netdev *dev)
{
	struct inet_dev *d = inet_dev_find(inet, dev->ifindex);

	while (d && !list_is_empty(&d->addresses))
		inet_address_remove(inet, d, container_of(d->addresses.next, struct inet_address,
							   link));
	while (d && !list_is_empty(&d->groups))
		group_free(inet, d, container_of(d->groups.next, struct inet_group, link));
	route_flush(inet, is_on, dev);
	if (!d)
		return;
	rt_write_lock(&inet->lock);
	list_remove(&d->link);
	rt_write_unlock(&inet->lock);
	lx_netdev_put(d->dev);
	rt_free(d);
}

void inet_device_event(struct lx_netdev_listener *l, struct lx_netdev *dev, enum lx_netdev_event e)
{
	struct inet *inet = container_of(l, struct inet, listener);

	switch (e) {
	case LX_NETDEV_UP:
		device_up(inet, dev);
		break;
	case LX_NETDEV_DOWN:
		route_flush(inet, goes_down, dev);
		inet_neighbours_flush(inet, dev);
		break;
	case LX_NETDEV_UNREGISTERED:
		device_gone(inet, dev);
		inet_neighbours_flush(inet, dev);
		break;
	case LX_NETDEV_CHANGED:		/* its MTU, perhaps */
	case LX_NETDEV_CARRIER:
	case LX_NETDEV_REGISTERED:
		break;
	}
	inet_changed(inet);
}
