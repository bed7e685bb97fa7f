/* SPDX-License-Identifier: MIT */
/*
 * Addresses and routes by ioctl(2), as ifconfig(8) and route(8) have them: netdevice(7), and struct
 * rtentry.  Neighbours (arp(7)) are in arp_ioctl.c.
 */
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/in.h>
#include <linux/route.h>
#include <linux/sockios.h>

#include "inet/addr.h"
#include "inet/ioctl.h"
#include "inet/route.h"
#include "lx/cred.h"
#include "lx/task.h"
#include "net/net_priv.h"

/* Bits of the network of an address without a mask: RFC 791's classes; -1: none. */
static int class_len(uint32_t be)
{
	uint32_t a = BE32(be);

	if (ip4_is_zeronet(be) || be == IP4_BROADCAST)
		return 0;
	if (ip4_is_multicast(be))
		return -1;
	if (a >> 28 == 15)
		return 32;
	return !(a >> 31) ? 8 : a >> 30 == 2 ? 16 : 24;
}

/* The length of a mask; -1: it is none. */
static int mask_len(uint32_t be)
{
	uint32_t mask = BE32(be);

	if (~mask & (~mask + 1))
		return -1;
	return mask ? 32 - __builtin_ctz(mask) : 0;
}

static uint32_t addr_of(const struct sockaddr *s)
{
	struct sockaddr_in in;

	memcpy(&in, s, sizeof(in));
	return in.sin_addr.s_addr;
}

static void put_addr(struct sockaddr *s, uint32_t be)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = be };

	memcpy(s, &in, sizeof(in));
}

/* -- addresses: config_lock held */

/* The address that a name with or without a colon means; one that was asked for by itself first. */
static struct inet_address *find(struct inet_dev *d, const char *label, const struct ifreq *r,
				 bool by_addr)
{
	struct inet_address *a;

	if (!d)
		return NULL;
	list_for_each_entry(a, &d->addresses, link)
		if (by_addr && !strncmp(a->label, label, LX_IFNAMSIZ) &&
		    a->local_be == addr_of(&r->ifr_addr))
			return a;
	list_for_each_entry(a, &d->addresses, link)
		if (!strncmp(a->label, label, LX_IFNAMSIZ))
			return a;
	return NULL;
}

static int get(const struct inet_address *a, unsigned int cmd, struct ifreq *r)
{
	if (!a)
		return -EADDRNOTAVAIL;
	switch (cmd) {
	case SIOCGIFADDR:
		put_addr(&r->ifr_addr, a->local_be);
		break;
	case SIOCGIFBRDADDR:
		put_addr(&r->ifr_addr, a->broadcast_be);
		break;
	case SIOCGIFDSTADDR:
		put_addr(&r->ifr_addr, a->peer_be);
		break;
	default:
		put_addr(&r->ifr_addr, inet_mask_be(a->prefix_len));
		break;
	}
	return 0;
}

/* As it is by itself: class, broadcast. */
static int new_address(struct lx_netdev *dev, const char *label, uint32_t be, struct inet_address *a)
{
	uint32_t flags = atomic_load(&dev->flags);
	int len = class_len(be);

	if (len < 0)
		return -EINVAL;
	if (flags & IFF_POINTOPOINT)
		len = 32;
	*a = (struct inet_address){
		.local_be = be, .peer_be = be, .prefix_len = (uint8_t)len, .flags = IFA_F_PERMANENT,
		.scope = ip4_is_loopback(be) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
		.valid_s = UINT32_MAX, .preferred_s = UINT32_MAX,
	};
	if (flags & IFF_BROADCAST && len < 31)
		a->broadcast_be = be | ~inet_mask_be((unsigned int)len);
	memcpy(a->label, label, sizeof(a->label));
	return 0;
}

static int change(struct lx_netdev *dev, const struct inet_address *old, unsigned int cmd, uint32_t be,
		  struct inet_address *a)
{
	int len;

	*a = *old;
	switch (cmd) {
	case SIOCSIFBRDADDR:
		a->broadcast_be = be;
		return 0;
	case SIOCSIFDSTADDR:
		if (class_len(be) < 0)
			return -EINVAL;
		a->peer_be = be;
		return 0;
	}
	len = mask_len(be);
	if (len < 0)
		return -EINVAL;
	a->prefix_len = (uint8_t)len;
	/* a broadcast address that nobody chose follows the mask */
	if (atomic_load(&dev->flags) & IFF_BROADCAST && old->prefix_len < 31 &&
	    old->broadcast_be == (old->local_be | ~inet_mask_be(old->prefix_len)))
		a->broadcast_be = a->local_be | ~be;
	return 0;
}

static int set(struct inet *inet, struct lx_netdev *dev, const char *label, unsigned int cmd,
	       const struct ifreq *r)
{
	struct inet_dev *d = inet_dev_find(inet, dev->ifindex);
	struct inet_address *old = find(d, label, r, false), a;
	uint32_t be = addr_of(&r->ifr_addr);
	int err;

	if (!old && cmd != SIOCSIFADDR)
		return -EADDRNOTAVAIL;
	if (old && cmd == SIOCSIFADDR && old->local_be == be)
		return 0;
	err = cmd == SIOCSIFADDR ? new_address(dev, label, be, &a) : change(dev, old, cmd, be, &a);
	if (err)
		return err;
	if (old)
		inet_address_remove(inet, d, old);
	/* 0.0.0.0 takes away only */
	return cmd == SIOCSIFADDR && !be ? 0 : inet_address_add(inet, dev, &a);
}

static bool is_setting(unsigned int cmd)
{
	return cmd == SIOCSIFADDR || cmd == SIOCSIFBRDADDR || cmd == SIOCSIFDSTADDR ||
	       cmd == SIOCSIFNETMASK;
}

static int do_address(struct lx_netns *ns, unsigned int cmd, struct ifreq *r)
{
	bool by_addr = r->ifr_addr.sa_family == AF_INET;
	char name[LX_IFNAMSIZ], label[LX_IFNAMSIZ] = { 0 };
	struct lx_netdev *dev;
	int err = -ENODEV;

	for (unsigned int i = 0; i < LX_IFNAMSIZ - 1 && r->ifr_name[i]; i++)
		label[i] = r->ifr_name[i];
	memcpy(name, label, sizeof(name));
	for (char *c = name; *c; c++)
		if (*c == ':')
			*c = '\0';
	if (is_setting(cmd) && !lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	if (is_setting(cmd) && !by_addr)
		return -EINVAL;
	rt_mutex_lock(&ns->config_lock);
	dev = lx_netdev_by_name(ns, name);
	if (dev && is_setting(cmd))
		err = set(ns->inet, dev, label, cmd, r);
	else if (dev)
		err = get(find(inet_dev_find(ns->inet, dev->ifindex), label, r, by_addr), cmd, r);
	rt_mutex_unlock(&ns->config_lock);
	lx_netdev_put(dev);
	return err;
}

static long address(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	struct ifreq r;
	long err;

	if (lx_copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	err = do_address(ns, cmd, &r);
	if (err || is_setting(cmd))
		return err;
	return lx_copy_to_user(arg, &r, sizeof(r));
}

/* -- the list */

/* At most @max of them into @list; how many there are.  config_lock held. */
static uint32_t collect(struct inet *inet, struct ifreq *list, uint32_t max)
{
	struct inet_address *a;
	struct inet_dev *d;
	uint32_t n = 0;

	list_for_each_entry(d, &inet->devices, link)
		list_for_each_entry(a, &d->addresses, link) {
			if (n < max) {
				list[n] = (struct ifreq){ .ifr_ifindex = 0 };
				memcpy(list[n].ifr_name, a->label, sizeof(a->label));
				put_addr(&list[n].ifr_addr, a->local_be);
			}
			n++;
		}
	return n;
}

long inet_list_addresses(struct lx_netns *ns, uaddr_t arg)
{
	struct ifreq *list = NULL;
	uint32_t n, room;
	struct ifconf c;
	long err = 0;

	if (lx_copy_from_user(&c, arg, sizeof(c)))
		return -EFAULT;
	if (c.ifc_len < 0)
		return -EINVAL;
	rt_mutex_lock(&ns->config_lock);
	room = collect(ns->inet, NULL, 0);
	if (c.ifc_buf)
		room = MIN(room, (uint32_t)c.ifc_len / (uint32_t)sizeof(*list));
	if (c.ifc_buf && room)
		list = rt_alloc(room * sizeof(*list));
	n = list ? MIN(collect(ns->inet, list, room), room) : room;
	rt_mutex_unlock(&ns->config_lock);
	if (c.ifc_buf && room && !list)
		return -ENOMEM;
	if (list)
		err = lx_copy_to_user(uaddr((uintptr_t)c.ifc_buf), list, n * sizeof(*list));
	rt_free(list);
	c.ifc_len = (int)(n * sizeof(*list));
	return err ? err : lx_copy_to_user(arg, &c, sizeof(c));
}

/* -- routes */

static int get_mask(const struct rtentry *e, uint32_t *dst_be, uint8_t *len)
{
	uint32_t mask = addr_of(&e->rt_genmask);

	*dst_be = addr_of(&e->rt_dst);
	*len = 32;
	if (e->rt_dst.sa_family != AF_INET)
		return -EAFNOSUPPORT;
	if (e->rt_flags & RTF_HOST)
		return 0;
	if (e->rt_genmask.sa_family != AF_INET && (mask || e->rt_genmask.sa_family))
		return -EAFNOSUPPORT;
	if (mask_len(mask) < 0 || *dst_be & ~mask)
		return -EINVAL;
	*len = (uint8_t)mask_len(mask);
	return 0;
}

static void get_metrics(const struct rtentry *e, struct route *r)
{
	if (e->rt_flags & RTF_MTU && e->rt_mtu > 40)
		r->metric[RTAX_ADVMSS] = (uint32_t)e->rt_mtu - 40;
	if (e->rt_flags & RTF_WINDOW)
		r->metric[RTAX_WINDOW] = (uint32_t)e->rt_window;
	if (e->rt_flags & RTF_IRTT)
		r->metric[RTAX_RTT] = (uint32_t)e->rt_irtt << 3;
}

/* What is asked for; @name: of the device, or empty.  config_lock held; the device is found here. */
static int get_route(struct lx_netns *ns, unsigned int cmd, const struct rtentry *e, const char *name,
		     struct route *r)
{
	uint32_t dst = 0;
	uint8_t len = 0;
	int err = get_mask(e, &dst, &len);

	if (err)
		return err;
	*r = (struct route){
		.entry = { .prefix = inet_addr_v4(dst), .prefix_len = (uint8_t)(INET_V4_BITS + len) },
		.table = RT_TABLE_MAIN, .type = RTN_UNICAST, .scope = RT_SCOPE_NOWHERE,
		.protocol = cmd == SIOCADDRT ? RTPROT_BOOT : 0,
	};
	if (e->rt_metric)
		r->entry.metric = (uint32_t)(e->rt_metric - 1);
	if (e->rt_flags & RTF_REJECT) {
		r->scope = RT_SCOPE_HOST;
		r->type = RTN_UNREACHABLE;
		return 0;
	}
	if (*name) {
		r->dev = lx_netdev_by_name(ns, name);
		if (!r->dev)
			return -ENODEV;
	}
	if (e->rt_gateway.sa_family == AF_INET && addr_of(&e->rt_gateway)) {
		r->gateway_be = addr_of(&e->rt_gateway);
		if (e->rt_flags & RTF_GATEWAY && ip4_addr_type(ns->inet, r->gateway_be) == RTN_UNICAST)
			r->scope = RT_SCOPE_UNIVERSE;
	}
	if (cmd == SIOCDELRT)
		return 0;
	if (e->rt_flags & RTF_GATEWAY && !r->gateway_be)
		return -EINVAL;
	if (r->scope == RT_SCOPE_NOWHERE)
		r->scope = RT_SCOPE_LINK;
	get_metrics(e, r);
	return 0;
}

static int do_route(struct lx_netns *ns, unsigned int cmd, const struct rtentry *e, const char *name)
{
	struct route r = { .dev = NULL }, *new;
	int err = get_route(ns, cmd, e, name, &r);

	if (!err && cmd == SIOCDELRT) {
		struct route *old = route_match(ns->inet, &r, r.dev ? r.dev->ifindex : 0);

		if (old) {
			rtnl_route_event(ns->inet, RTM_DELROUTE, old, 0, 0, 0);
			route_remove(ns->inet, old);
		}
		lx_netdev_put(r.dev);
		return old ? 0 : -ESRCH;
	}
	if (!err)
		err = route_check(ns->inet, &r);
	if (err) {
		lx_netdev_put(r.dev);
		return err;
	}
	new = route_create(&r);
	return new ? route_add(ns->inet, new, NLM_F_CREATE, 0, 0) : -ENOBUFS;
}

static long route(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	char name[LX_IFNAMSIZ] = { 0 };
	struct rtentry e;
	int err;

	if (!lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	if (lx_copy_from_user(&e, arg, sizeof(e)))
		return -EFAULT;
	for (unsigned int i = 0; e.rt_dev && i < LX_IFNAMSIZ - 1; i++) {
		if (lx_copy_from_user(&name[i], uaddr((uintptr_t)e.rt_dev + i), 1))
			return -EFAULT;
		if (!name[i])
			break;
	}
	rt_mutex_lock(&ns->config_lock);
	err = do_route(ns, cmd, &e, name);
	rt_mutex_unlock(&ns->config_lock);
	return err;
}

long inet_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	switch (cmd) {
	case SIOCGIFADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFDSTADDR:
	case SIOCSIFADDR:
	case SIOCSIFBRDADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFDSTADDR:
		return address(ns, cmd, arg);
	case SIOCADDRT:
	case SIOCDELRT:
		return route(ns, cmd, arg);
	case SIOCSARP:
	case SIOCGARP:
	case SIOCDARP:
		return arp_ioctl(ns, cmd, arg);
	}
	return -ENOTTY;
}
