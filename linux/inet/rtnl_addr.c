/* SPDX-License-Identifier: MIT */
/*
 * Addresses of NETLINK_ROUTE: RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, the group RTNLGRP_IPV4_IFADDR;
 * and what requests of IPv4 have in common.
 *
 * Lifetimes are kept and shown as they run out, but nothing is done at their end: who gave an
 * address for a time (a DHCP client) takes it away.
 */
#include <linux/if_addr.h>

#include "inet/addr.h"
#include "inet/rtnl.h"
#include "rt/time.h"

/* -- requests */

static int parse(const uint8_t *p, uint32_t left, struct rtnl_attrs *attrs)
{
	memset(attrs, 0, sizeof(*attrs));
	while (left >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)p;
		uint32_t type, step;

		if (a->nla_len < NLA_HDRLEN || a->nla_len > left)
			return -EINVAL;
		type = a->nla_type & NLA_TYPE_MASK;
		if (type < RTNL_ATTRS)
			attrs->of[type] = a;
		step = MIN(NLA_ALIGN((uint32_t)a->nla_len), left);
		p += step;
		left -= step;
	}
	return 0;
}

int rtnl_parse(const struct netlink_request *r, void *head, uint32_t head_len,
	       struct rtnl_attrs *attrs)
{
	if (r->len < head_len)
		return -EINVAL;
	memcpy(head, r->payload, head_len);
	head_len = MIN(NLMSG_ALIGN(head_len), r->len);
	return parse(r->payload + head_len, r->len - head_len, attrs);
}

int rtnl_parse_nested(const struct nlattr *a, struct rtnl_attrs *attrs)
{
	return parse((const uint8_t *)a + NLA_HDRLEN, a->nla_len - (uint32_t)NLA_HDRLEN, attrs);
}

bool rtnl_u32(const struct rtnl_attrs *attrs, unsigned int type, uint32_t *out, int *err)
{
	const struct nlattr *a = attrs->of[type];

	if (!a)
		return false;
	if (a->nla_len < NLA_HDRLEN + sizeof(*out)) {
		*err = -EINVAL;
		return false;
	}
	memcpy(out, (const uint8_t *)a + NLA_HDRLEN, sizeof(*out));
	return true;
}

bool rtnl_is_strict(const struct netlink_request *r)
{
	return netlink_has(r->nl, NETLINK_GET_STRICT_CHK);
}

/* -- describing */

/* Hundredths of seconds since the machine began. */
static uint32_t stamp(uint64_t ns)
{
	return (uint32_t)(ns / 10000000);
}

static uint32_t left_of(uint32_t s, uint64_t passed_s)
{
	if (s == UINT32_MAX)
		return s;
	return s > passed_s ? s - (uint32_t)passed_s : 0;
}

static bool describe(struct netlink_msg *m, struct lx_netdev *dev, const struct inet_address *a,
		     uint16_t type, uint16_t flags, uint32_t seq, uint32_t portid)
{
	uint64_t passed = (rt_now_ns() - a->updated_ns) / 1000000000;
	struct ifa_cacheinfo times = {
		.ifa_prefered = left_of(a->preferred_s, passed), .ifa_valid = left_of(a->valid_s, passed),
		.cstamp = stamp(a->created_ns), .tstamp = stamp(a->updated_ns),
	};
	uint32_t start = m->len;
	struct ifaddrmsg *h = netlink_begin(m, type, flags, seq, portid, sizeof(*h));

	if (h) {
		h->ifa_family = AF_INET;
		h->ifa_prefixlen = a->prefix_len;
		h->ifa_flags = (uint8_t)a->flags;
		h->ifa_scope = a->scope;
		h->ifa_index = (uint32_t)dev->ifindex;
	}
	netlink_put_u32(m, IFA_ADDRESS, a->peer_be);
	netlink_put_u32(m, IFA_LOCAL, a->local_be);
	if (a->broadcast_be)
		netlink_put_u32(m, IFA_BROADCAST, a->broadcast_be);
	if (a->label[0])
		netlink_put_string(m, IFA_LABEL, a->label);
	if (a->proto)
		netlink_put_u8(m, 11 /* IFA_PROTO */, a->proto);
	netlink_put_u32(m, IFA_FLAGS, a->flags);
	if (a->metric)
		netlink_put_u32(m, IFA_RT_PRIORITY, a->metric);
	netlink_put(m, IFA_CACHEINFO, &times, sizeof(times));
	return netlink_end(m, start);
}

void rtnl_address_event(struct inet *inet, uint16_t type, struct lx_netdev *dev,
			const struct inet_address *a, uint32_t seq, uint32_t portid)
{
	struct netlink_msg *m = inet->ns->netlink ? netlink_msg_alloc(512) : NULL;

	if (!m)
		return;
	if (describe(m, dev, a, type, 0, seq, portid))
		netlink_multicast(inet->ns, RTNLGRP_IPV4_IFADDR, m);
	rt_free(m);
}

/* netlink_dump.fill: state counts addresses; filter: the device's number, or 0. */
static void fill(struct netlink_dump *dump, struct netlink_msg *m)
{
	struct inet *inet = dump->ns->inet;
	uint16_t flags = NLM_F_MULTI | (dump->filter[0] ? NLM_F_DUMP_FILTERED : 0);
	struct inet_address *a;
	struct inet_dev *d;
	int n = 0;

	rt_mutex_lock(&dump->ns->config_lock);
	list_for_each_entry(d, &inet->devices, link) {
		if (dump->filter[0] && d->dev->ifindex != (int)dump->filter[0])
			continue;
		list_for_each_entry(a, &d->addresses, link) {
			if (n++ < dump->state)
				continue;
			if (!describe(m, d->dev, a, RTM_NEWADDR, flags, dump->seq, dump->portid))
				goto out;
			dump->state = n;
		}
	}
out:
	rt_mutex_unlock(&dump->ns->config_lock);
}

static void fill_nothing(struct netlink_dump *dump, struct netlink_msg *m)
{
}

int rtnl_dump_addresses(const struct netlink_request *r)
{
	uint32_t filter[NETLINK_FILTER] = { 0 };
	struct rtnl_attrs attrs;
	struct ifaddrmsg h;

	if (r->len < sizeof(h) || rtnl_parse(r, &h, sizeof(h), &attrs)) {
		h.ifa_family = r->payload[0];
		h.ifa_index = 0;
	}
	if (h.ifa_family && h.ifa_family != AF_INET)
		return netlink_start_dump(r, fill_nothing);
	if (rtnl_is_strict(r) && h.ifa_index) {
		struct lx_netdev *dev = lx_netdev_by_index(r->ns, (int)h.ifa_index);

		if (!dev)
			return -ENODEV;
		lx_netdev_put(dev);
		filter[0] = h.ifa_index;
	}
	return netlink_start_dump_of(r, fill, filter);
}

/* -- changing */

static int get_label(const struct nlattr *a, char label[LX_IFNAMSIZ])
{
	uint32_t len = a->nla_len - (uint32_t)NLA_HDRLEN;
	const char *text = (const char *)a + NLA_HDRLEN;

	if (len && !text[len - 1])
		len--;
	if (len >= LX_IFNAMSIZ)
		return -ERANGE;
	memset(label, 0, LX_IFNAMSIZ);
	memcpy(label, text, len);
	return 0;
}

static int get_times(const struct nlattr *info, struct inet_address *a)
{
	struct ifa_cacheinfo times;

	a->valid_s = a->preferred_s = UINT32_MAX;
	a->flags |= IFA_F_PERMANENT;
	if (!info)
		return 0;
	if (info->nla_len < NLA_HDRLEN + sizeof(times))
		return -EINVAL;
	memcpy(&times, (const uint8_t *)info + NLA_HDRLEN, sizeof(times));
	if (!times.ifa_valid || times.ifa_prefered > times.ifa_valid)
		return -EINVAL;
	a->valid_s = times.ifa_valid;
	a->preferred_s = times.ifa_prefered;
	if (a->valid_s != UINT32_MAX)
		a->flags &= ~(uint32_t)IFA_F_PERMANENT;
	if (!a->preferred_s)
		a->flags |= IFA_F_DEPRECATED;
	return 0;
}

static int get_address(const struct netlink_request *r, struct ifaddrmsg *h, struct inet_address *a)
{
	struct rtnl_attrs attrs;
	int err = rtnl_parse(r, h, sizeof(*h), &attrs);

	if (err)
		return err;
	if (h->ifa_family != AF_INET)
		return -EOPNOTSUPP;
	*a = (struct inet_address){ .prefix_len = h->ifa_prefixlen, .scope = h->ifa_scope,
				    .flags = h->ifa_flags };
	if (h->ifa_prefixlen > 32 || !rtnl_u32(&attrs, IFA_LOCAL, &a->local_be, &err))
		return -EINVAL;
	if (!rtnl_u32(&attrs, IFA_ADDRESS, &a->peer_be, &err))
		a->peer_be = a->local_be;
	(void)rtnl_u32(&attrs, IFA_BROADCAST, &a->broadcast_be, &err);
	(void)rtnl_u32(&attrs, IFA_FLAGS, &a->flags, &err);
	(void)rtnl_u32(&attrs, IFA_RT_PRIORITY, &a->metric, &err);
	a->flags &= ~(uint32_t)(IFA_F_SECONDARY | IFA_F_PERMANENT);
	if (attrs.of[IFA_LABEL] && !err)
		err = get_label(attrs.of[IFA_LABEL], a->label);
	return err ? err : get_times(attrs.of[IFA_CACHEINFO], a);
}

/* The same address in the same network, or NULL. */
static struct inet_address *find_same(struct inet *inet, struct lx_netdev *dev,
				      const struct inet_address *like)
{
	struct inet_dev *d = inet_dev_find(inet, dev->ifindex);
	uint32_t mask = inet_mask_be(like->prefix_len);
	struct inet_address *a;

	if (!d)
		return NULL;
	list_for_each_entry(a, &d->addresses, link)
		if (a->local_be == like->local_be && a->prefix_len == like->prefix_len &&
		    !((a->peer_be ^ like->peer_be) & mask))
			return a;
	return NULL;
}

/* config_lock held. */
static int add(const struct netlink_request *r, struct lx_netdev *dev, struct inet_address *a)
{
	struct inet_address *old = find_same(r->ns->inet, dev, a);
	uint16_t how = r->h->nlmsg_flags;

	if (!dev->registered)
		return -ENODEV;
	if (!a->label[0])
		memcpy(a->label, dev->name, sizeof(a->label));
	if (!old)
		return inet_address_add(r->ns->inet, dev, a);
	if (how & NLM_F_EXCL || !(how & NLM_F_REPLACE))
		return -EEXIST;
	old->valid_s = a->valid_s;
	old->preferred_s = a->preferred_s;
	old->updated_ns = rt_now_ns();
	old->flags = a->flags | (old->flags & IFA_F_SECONDARY);
	rtnl_address_event(r->ns->inet, RTM_NEWADDR, dev, old, r->h->nlmsg_seq,
			   atomic_load(&r->nl->portid));
	return 0;
}

int rtnl_new_address(const struct netlink_request *r)
{
	struct inet_address a;
	struct lx_netdev *dev;
	struct ifaddrmsg h;
	int err = get_address(r, &h, &a);

	if (err)
		return err;
	dev = lx_netdev_by_index(r->ns, (int)h.ifa_index);
	if (!dev)
		return -ENODEV;
	rt_mutex_lock(&r->ns->config_lock);
	err = add(r, dev, &a);
	rt_mutex_unlock(&r->ns->config_lock);
	lx_netdev_put(dev);
	return err;
}

struct wanted {
	bool has_local, has_address;
	uint32_t local_be, address_be;
	uint8_t prefix_len;
	char label[LX_IFNAMSIZ];	/* empty: any */
};

static bool is_wanted(const struct inet_address *a, const struct wanted *w)
{
	if (w->has_local && a->local_be != w->local_be)
		return false;
	if (w->label[0] && strncmp(a->label, w->label, sizeof(a->label)))
		return false;
	return !w->has_address || (a->prefix_len == w->prefix_len &&
				   !((a->peer_be ^ w->address_be) & inet_mask_be(w->prefix_len)));
}

static int remove(struct inet *inet, int ifindex, const struct wanted *w)
{
	struct inet_dev *d = inet_dev_find(inet, ifindex);
	struct inet_address *a;

	if (!d)
		return -EADDRNOTAVAIL;
	list_for_each_entry(a, &d->addresses, link)
		if (is_wanted(a, w)) {
			inet_address_remove(inet, d, a);
			return 0;
		}
	return -EADDRNOTAVAIL;
}

int rtnl_del_address(const struct netlink_request *r)
{
	struct rtnl_attrs attrs;
	struct lx_netdev *dev;
	struct ifaddrmsg h;
	struct wanted w = { .has_local = false };
	int err = rtnl_parse(r, &h, sizeof(h), &attrs);

	if (err)
		return err;
	if (h.ifa_family != AF_INET)
		return -EOPNOTSUPP;
	w.prefix_len = MIN(h.ifa_prefixlen, (uint8_t)32);
	w.has_local = rtnl_u32(&attrs, IFA_LOCAL, &w.local_be, &err);
	w.has_address = rtnl_u32(&attrs, IFA_ADDRESS, &w.address_be, &err);
	if (attrs.of[IFA_LABEL] && !err)
		err = get_label(attrs.of[IFA_LABEL], w.label);
	if (err)
		return err;
	dev = lx_netdev_by_index(r->ns, (int)h.ifa_index);
	if (!dev)
		return -ENODEV;
	lx_netdev_put(dev);
	rt_mutex_lock(&r->ns->config_lock);
	err = remove(r->ns->inet, (int)h.ifa_index, &w);
	rt_mutex_unlock(&r->ns->config_lock);
	return err;
}
