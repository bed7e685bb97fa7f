/* SPDX-License-Identifier: MIT */
/*
 * Links of NETLINK_ROUTE: RTM_GETLINK, RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK, and notifications of
 * the group RTNLGRP_LINK (rtnetlink(7)).
 *
 * Devices cannot be made or removed by programs: -EOPNOTSUPP, as Linux says of kinds that it does not
 * know.  Settings that are not there (a master, a namespace to move to) are refused the same way, before
 * anything is changed.
 */
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "net/netlink.h"

/* -- attributes of requests */

struct attrs {
	const struct nlattr *of[IFLA_MAX + 1];	/* by type, or NULL; the last one of a type counts */
};

static uint32_t attr_len(const struct nlattr *a)
{
	return a->nla_len - (uint32_t)NLA_HDRLEN;
}

static const void *attr_data(const struct nlattr *a)
{
	return (const uint8_t *)a + NLA_HDRLEN;
}

/* The message's struct ifinfomsg, and what is behind it.  0 or -EINVAL. */
static int parse(const struct netlink_request *r, struct ifinfomsg *info, struct attrs *attrs)
{
	const uint8_t *p = r->payload;
	uint32_t left = r->len;

	memset(attrs, 0, sizeof(*attrs));
	if (left < sizeof(*info))
		return -EINVAL;
	memcpy(info, p, sizeof(*info));
	p += NLMSG_ALIGN(sizeof(*info));
	left -= sizeof(*info);
	while (left >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)p;
		uint32_t step;

		if (a->nla_len < NLA_HDRLEN || a->nla_len > left)
			return -EINVAL;
		if ((a->nla_type & NLA_TYPE_MASK) <= IFLA_MAX)
			attrs->of[a->nla_type & NLA_TYPE_MASK] = a;
		step = MIN(NLA_ALIGN((uint32_t)a->nla_len), left);
		p += step;
		left -= step;
	}
	return 0;
}

/* A name: 0, -ERANGE (too long), -EINVAL (no end). */
static int get_name(const struct nlattr *a, char name[LX_IFNAMSIZ])
{
	uint32_t len = attr_len(a);

	if (len && ((const char *)attr_data(a))[len - 1] == '\0')
		len--;
	if (len >= LX_IFNAMSIZ)
		return -ERANGE;
	memcpy(name, attr_data(a), len);
	name[len] = '\0';
	return 0;
}

/* Of an attribute that is long enough. */
static int int_of(const struct nlattr *a)
{
	int v;

	memcpy(&v, attr_data(a), sizeof(v));
	return v;
}

/* The device that a request is about, with a reference.  -EINVAL: it does not say; -ENODEV. */
static int find_device(const struct netlink_request *r, const struct ifinfomsg *info,
		       const struct attrs *attrs, struct lx_netdev **out)
{
	const struct nlattr *name = attrs->of[IFLA_IFNAME] ? attrs->of[IFLA_IFNAME] :
							     attrs->of[IFLA_ALT_IFNAME];
	char text[LX_IFNAMSIZ];
	int err;

	if (info->ifi_index < 0)
		return -EINVAL;
	if (info->ifi_index) {
		*out = lx_netdev_by_index(r->ns, info->ifi_index);
	} else {
		if (!name)
			return -EINVAL;
		err = get_name(name, text);
		if (err)
			return err;
		*out = lx_netdev_by_name(r->ns, text);
	}
	return *out ? 0 : -ENODEV;
}

/* -- describing a link */

/* The counters that were there before struct rtnl_link_stats64 was, cut to 32 bits. */
static void put_old_stats(struct netlink_msg *m, const struct rtnl_link_stats64 *s)
{
	struct rtnl_link_stats old;
	uint64_t wide[sizeof(old) / 4];
	uint32_t narrow[sizeof(old) / 4];

	_Static_assert(sizeof(wide) <= sizeof(*s), "the same counters in the same order");
	memcpy(wide, s, sizeof(wide));
	for (size_t i = 0; i < ARRAY_SIZE(wide); i++)
		narrow[i] = (uint32_t)wide[i];
	netlink_put(m, IFLA_STATS, narrow, sizeof(narrow));
}

static void put_address(struct netlink_msg *m, uint16_t type, const struct lx_netdev *dev, uint64_t address)
{
	uint8_t bytes[LX_NETDEV_ADDR];

	for (unsigned int i = 0; i < LX_NETDEV_ADDR; i++)
		bytes[i] = (uint8_t)(address >> 8 * i);
	netlink_put(m, type, bytes, dev->addr_len);
}

static void put_counters(struct netlink_msg *m, struct lx_netdev *dev)
{
	uint32_t changes = atomic_load(&dev->carrier_changes);
	struct rtnl_link_stats64 s;

	netlink_put_u32(m, IFLA_CARRIER_CHANGES, changes);
	netlink_put_u32(m, IFLA_CARRIER_UP_COUNT, (changes + 1) / 2);
	netlink_put_u32(m, IFLA_CARRIER_DOWN_COUNT, changes / 2);
	lx_netdev_stats(dev, &s);
	netlink_put(m, IFLA_STATS64, &s, sizeof(s));
	put_old_stats(m, &s);
}

/* What Linux calls the way to the device's queue: none for what has no queue that fills. */
static const char *queueing(const struct lx_netdev *dev)
{
	if (!lx_netdev_is_up(dev))
		return "noop";
	return dev->is_virtual ? "noqueue" : "pfifo_fast";
}

/* config_lock held.  False: it did not fit. */
static bool describe(struct netlink_msg *m, struct lx_netdev *dev, uint16_t type, uint16_t flags,
		     uint32_t seq, uint32_t portid, uint32_t changed)
{
	uint32_t start = m->len, queues = dev->is_virtual ? 1 : dev->nr_queues;
	struct ifinfomsg *info = netlink_begin(m, type, flags, seq, portid, sizeof(*info));

	if (info) {
		info->ifi_type = dev->type;
		info->ifi_index = dev->ifindex;
		info->ifi_flags = lx_netdev_flags(dev);
		info->ifi_change = changed;
	}
	netlink_put_string(m, IFLA_IFNAME, dev->name);
	netlink_put_u32(m, IFLA_TXQLEN, atomic_load(&dev->tx_queue_len));
	netlink_put_u8(m, IFLA_OPERSTATE, lx_netdev_operstate(dev));
	netlink_put_u8(m, IFLA_LINKMODE, 0);
	netlink_put_u32(m, IFLA_MTU, atomic_load(&dev->mtu));
	netlink_put_u32(m, IFLA_MIN_MTU, dev->mtu_min);
	netlink_put_u32(m, IFLA_MAX_MTU, dev->mtu_max);
	netlink_put_u32(m, IFLA_GROUP, 0);
	netlink_put_u32(m, IFLA_PROMISCUITY, dev->promiscuity);
	netlink_put_u32(m, IFLA_NUM_TX_QUEUES, queues);
	netlink_put_u32(m, IFLA_NUM_RX_QUEUES, queues);
	netlink_put_u8(m, IFLA_CARRIER, lx_netdev_has_carrier(dev));
	netlink_put_string(m, IFLA_QDISC, queueing(dev));
	netlink_put_u8(m, IFLA_PROTO_DOWN, 0);
	put_address(m, IFLA_ADDRESS, dev, atomic_load(&dev->address));
	put_address(m, IFLA_BROADCAST, dev, dev->broadcast);
	put_counters(m, dev);
	return netlink_end(m, start);
}

/* -- asking */

int rtnetlink_get_link(const struct netlink_request *r)
{
	struct ifinfomsg info;
	struct lx_netdev *dev;
	struct netlink_msg *m;
	struct attrs attrs;
	int err = parse(r, &info, &attrs);

	if (!err)
		err = find_device(r, &info, &attrs, &dev);
	if (err)
		return err;
	m = netlink_msg_alloc(NETLINK_MSG_SIZE);
	if (!m) {
		lx_netdev_put(dev);
		return -ENOBUFS;
	}
	rt_mutex_lock(&r->ns->config_lock);
	(void)describe(m, dev, RTM_NEWLINK, 0, r->h->nlmsg_seq, atomic_load(&r->nl->portid), 0);
	rt_mutex_unlock(&r->ns->config_lock);
	lx_netdev_put(dev);
	netlink_queue(r->nl, m);
	return 0;
}

/* netlink_dump.fill: state is the number of the last device that is in the list. */
static void fill_links(struct netlink_dump *dump, struct netlink_msg *m)
{
	struct lx_netdev *dev;
	bool fits = true;

	rt_mutex_lock(&dump->ns->config_lock);
	while (fits && (dev = lx_netdev_after(dump->ns, dump->state))) {
		fits = describe(m, dev, RTM_NEWLINK, NLM_F_MULTI, dump->seq, dump->portid, 0);
		if (fits)
			dump->state = dev->ifindex;
		lx_netdev_put(dev);
	}
	rt_mutex_unlock(&dump->ns->config_lock);
}

static void fill_nothing(struct netlink_dump *dump, struct netlink_msg *m)
{
}

int rtnetlink_dump_links(const struct netlink_request *r)
{
	struct ifinfomsg info;
	struct attrs attrs;

	/* devices with a master, or of a kind: there are none.  (A request may have no more than a family.) */
	if (!parse(r, &info, &attrs) && (attrs.of[IFLA_MASTER] || attrs.of[IFLA_LINKINFO]))
		return netlink_start_dump(r, fill_nothing);
	return netlink_start_dump(r, fill_links);
}

/* -- changing: config_lock held */

/* Attributes that say how to answer, or what is so anyway. */
static bool is_harmless(unsigned int type)
{
	return type == IFLA_EXT_MASK || type == IFLA_IFNAME || type == IFLA_ALT_IFNAME ||
	       type == IFLA_MTU || type == IFLA_TXQLEN || type == IFLA_ADDRESS || type == IFLA_LINKMODE ||
	       type == IFLA_NUM_TX_QUEUES || type == IFLA_NUM_RX_QUEUES;
}

static int check_attrs(const struct lx_netdev *dev, const struct attrs *attrs)
{
	for (unsigned int i = 0; i <= IFLA_MAX; i++)
		if (attrs->of[i] && !is_harmless(i))
			return -EOPNOTSUPP;
	if (attrs->of[IFLA_MTU] && attr_len(attrs->of[IFLA_MTU]) < sizeof(int))
		return -ERANGE;
	if (attrs->of[IFLA_TXQLEN] && attr_len(attrs->of[IFLA_TXQLEN]) < sizeof(int))
		return -ERANGE;
	if (attrs->of[IFLA_ADDRESS] && attr_len(attrs->of[IFLA_ADDRESS]) < dev->addr_len)
		return -EINVAL;
	return 0;
}

static int set_flags(struct lx_netdev *dev, const struct ifinfomsg *info)
{
	if (!info->ifi_flags && !info->ifi_change)
		return 0;
	/* old programs leave ifi_change alone, and mean all */
	return lx_netdev_change_flags(dev, info->ifi_flags, info->ifi_change ? info->ifi_change : UINT32_MAX);
}

static int apply(struct lx_netdev *dev, const struct ifinfomsg *info, const struct attrs *attrs)
{
	char name[LX_IFNAMSIZ];
	int err = check_attrs(dev, attrs);

	if (!err && attrs->of[IFLA_ADDRESS])
		err = lx_netdev_change_address(dev, attr_data(attrs->of[IFLA_ADDRESS]));
	if (!err && attrs->of[IFLA_MTU])
		err = lx_netdev_change_mtu(dev, int_of(attrs->of[IFLA_MTU]));
	if (!err && info->ifi_index && attrs->of[IFLA_IFNAME]) {
		err = get_name(attrs->of[IFLA_IFNAME], name);
		if (!err && name[0])
			err = lx_netdev_change_name(dev, name);
	}
	if (!err && attrs->of[IFLA_TXQLEN])
		err = lx_netdev_change_tx_queue_len(dev, int_of(attrs->of[IFLA_TXQLEN]));
	return err ? err : set_flags(dev, info);
}

int rtnetlink_set_link(const struct netlink_request *r)
{
	bool may_make = r->h->nlmsg_type == RTM_NEWLINK && r->h->nlmsg_flags & NLM_F_CREATE;
	struct ifinfomsg info;
	struct lx_netdev *dev;
	struct attrs attrs;
	int err = parse(r, &info, &attrs);

	if (err)
		return err;
	err = find_device(r, &info, &attrs, &dev);
	if (err)
		return may_make && (err == -EINVAL || !info.ifi_index) ? -EOPNOTSUPP : err;
	if (r->h->nlmsg_type == RTM_NEWLINK && r->h->nlmsg_flags & NLM_F_EXCL)
		err = -EEXIST;
	else if (r->h->nlmsg_type == RTM_NEWLINK && r->h->nlmsg_flags & NLM_F_REPLACE)
		err = -EOPNOTSUPP;
	rt_mutex_lock(&r->ns->config_lock);
	if (!err)
		err = dev->registered ? apply(dev, &info, &attrs) : -ENODEV;
	rt_mutex_unlock(&r->ns->config_lock);
	lx_netdev_put(dev);
	return err;
}

int rtnetlink_del_link(const struct netlink_request *r)
{
	struct ifinfomsg info;
	struct lx_netdev *dev;
	struct attrs attrs;
	int err = parse(r, &info, &attrs);

	if (!err)
		err = find_device(r, &info, &attrs, &dev);
	if (err)
		return err;
	lx_netdev_put(dev);
	return -EOPNOTSUPP;
}

/* -- notifications */

void rtnetlink_device_event(struct lx_netdev_listener *l, struct lx_netdev *dev, enum lx_netdev_event e)
{
	uint16_t type = e == LX_NETDEV_UNREGISTERED ? RTM_DELLINK : RTM_NEWLINK;
	uint32_t changed = e == LX_NETDEV_UP || e == LX_NETDEV_DOWN ? IFF_UP : 0;
	struct netlink_msg *m = netlink_msg_alloc(NETLINK_MSG_SIZE);

	if (!m)
		return;
	if (e == LX_NETDEV_REGISTERED || e == LX_NETDEV_UNREGISTERED)
		changed = UINT32_MAX;
	if (describe(m, dev, type, 0, 0, 0, changed))
		netlink_multicast(dev->ns, RTNLGRP_LINK, m);
	rt_free(m);
}
