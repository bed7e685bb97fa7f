/* SPDX-License-Identifier: MIT */
/*
 * Routes of NETLINK_ROUTE: RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE, the group RTNLGRP_IPV4_ROUTE.
 *
 * Several ways of one route, next hops with numbers, encapsulation and routes by type of service are
 * refused (-EOPNOTSUPP), as are tables but local, main and default.
 */
#include "inet/addr.h"
#include "inet/rtnl.h"
#include "inet/route.h"
#include "lx/cred.h"

/* RTCF_* of Linux, in the upper half of rtm_flags of what was looked up. */
#define WAY_LOCAL	0x80000000u
#define WAY_BROADCAST	0x10000000u
#define WAY_MULTICAST	0x20000000u

/* -- describing */

static void put_metrics(struct netlink_msg *m, const struct route *r)
{
	struct {
		struct nlattr head;
		uint32_t value;
	} list[RTAX_MAX];
	uint32_t n = 0;

	for (uint16_t i = 1; i <= RTAX_MAX; i++)
		if (r->metric[i]) {
			list[n].head = (struct nlattr){ .nla_len = sizeof(list[0]), .nla_type = i };
			list[n++].value = r->metric[i];
		}
	if (n)
		netlink_put(m, RTA_METRICS, list, n * (uint32_t)sizeof(list[0]));
}

static bool describe(struct netlink_msg *m, const struct route *r, uint16_t type, uint16_t flags,
		     uint32_t seq, uint32_t portid)
{
	uint32_t start = m->len;
	struct rtmsg *h = netlink_begin(m, type, flags, seq, portid, sizeof(*h));

	if (h) {
		h->rtm_family = AF_INET;
		h->rtm_dst_len = (uint8_t)route_len(r);
		h->rtm_table = (uint8_t)r->table;
		h->rtm_protocol = r->protocol;
		h->rtm_scope = r->scope;
		h->rtm_type = r->type;
		h->rtm_flags = r->flags;
		if (r->dev && lx_netdev_is_up(r->dev) && !lx_netdev_has_carrier(r->dev))
			h->rtm_flags |= RTNH_F_LINKDOWN;
	}
	netlink_put_u32(m, RTA_TABLE, r->table);
	if (route_len(r))
		netlink_put_u32(m, RTA_DST, route_dst_be(r));
	if (r->entry.metric)
		netlink_put_u32(m, RTA_PRIORITY, r->entry.metric);
	put_metrics(m, r);
	if (r->prefsrc_be)
		netlink_put_u32(m, RTA_PREFSRC, r->prefsrc_be);
	if (r->gateway_be)
		netlink_put_u32(m, RTA_GATEWAY, r->gateway_be);
	if (r->dev)
		netlink_put_u32(m, RTA_OIF, (uint32_t)r->dev->ifindex);
	return netlink_end(m, start);
}

void rtnl_route_event(struct inet *inet, uint16_t type, const struct route *r, uint16_t flags,
		      uint32_t seq, uint32_t portid)
{
	struct netlink_msg *m = inet->ns->netlink ? netlink_msg_alloc(512) : NULL;

	if (!m)
		return;
	flags &= NLM_F_REPLACE | NLM_F_EXCL | NLM_F_CREATE | NLM_F_APPEND;
	if (describe(m, r, type, flags, seq, portid))
		netlink_multicast(inet->ns, RTNLGRP_IPV4_ROUTE, m);
	rt_free(m);
}

/* -- lists */

enum { FILTER_TABLE, FILTER_OIF, FILTER_PROTOCOL, FILTER_TYPE };

static bool is_listed(const struct route *r, const uint32_t *filter)
{
	if (filter[FILTER_TABLE] && r->table != filter[FILTER_TABLE])
		return false;
	if (filter[FILTER_OIF] && (!r->dev || (uint32_t)r->dev->ifindex != filter[FILTER_OIF]))
		return false;
	if (filter[FILTER_PROTOCOL] && r->protocol != filter[FILTER_PROTOCOL])
		return false;
	return !filter[FILTER_TYPE] || r->type == filter[FILTER_TYPE];
}

/* netlink_dump.fill: state counts routes. */
static void fill(struct netlink_dump *dump, struct netlink_msg *m)
{
	struct inet *inet = dump->ns->inet;
	int n = 0;

	rt_mutex_lock(&dump->ns->config_lock);
	for (unsigned int i = INET_TABLES; i--;) {	/* by ascending number, as Linux's */
		struct route_entry *e = route_table_next(&inet->table[i], NULL);

		for (; e; e = route_table_next(&inet->table[i], e)) {
			const struct route *r = container_of(e, struct route, entry);

			if (n++ < dump->state || !is_listed(r, dump->filter))
				continue;
			if (!describe(m, r, RTM_NEWROUTE, NLM_F_MULTI, dump->seq, dump->portid))
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

int rtnl_dump_routes(const struct netlink_request *r)
{
	uint32_t filter[NETLINK_FILTER] = { 0 };
	struct rtnl_attrs attrs;
	struct rtmsg h = { .rtm_family = r->payload[0] };
	int err = 0;

	if (h.rtm_family && h.rtm_family != AF_INET)
		return netlink_start_dump(r, fill_nothing);
	if (r->len < sizeof(h) || rtnl_parse(r, &h, sizeof(h), &attrs))
		return netlink_start_dump(r, fill);
	if (h.rtm_flags & RTM_F_CLONED)	/* there is no cache of what was looked up */
		return netlink_start_dump(r, fill_nothing);
	if (!rtnl_is_strict(r))
		return netlink_start_dump(r, fill);
	filter[FILTER_TABLE] = h.rtm_table;
	(void)rtnl_u32(&attrs, RTA_TABLE, &filter[FILTER_TABLE], &err);
	(void)rtnl_u32(&attrs, RTA_OIF, &filter[FILTER_OIF], &err);
	filter[FILTER_PROTOCOL] = h.rtm_protocol;
	filter[FILTER_TYPE] = h.rtm_type;
	if (err)
		return err;
	if (filter[FILTER_TABLE] && !inet_table(r->ns->inet, filter[FILTER_TABLE]))
		return h.rtm_family ? -ENOENT : netlink_start_dump(r, fill_nothing);
	return netlink_start_dump_of(r, fill, filter);
}

/* -- one */

static void put_answer(struct netlink_msg *m, const struct netlink_request *r,
		       const struct inet_flow *flow, const struct inet_dst *d, const struct route *found)
{
	struct rta_cacheinfo cache = { .rta_error = 0 };
	struct rtmsg *h = netlink_begin(m, RTM_NEWROUTE, 0, r->h->nlmsg_seq,
					atomic_load(&r->nl->portid), sizeof(*h));

	h->rtm_family = AF_INET;
	h->rtm_dst_len = 32;
	h->rtm_src_len = inet_addr_to_v4(&flow->src) ? 32 : 0;
	h->rtm_table = RT_TABLE_MAIN;
	h->rtm_type = d->type;
	h->rtm_flags = RTM_F_CLONED;
	if (found->table)
		h->rtm_table = (uint8_t)found->table;
	if (d->type == RTN_LOCAL)
		h->rtm_flags |= WAY_LOCAL;
	else if (d->type == RTN_BROADCAST)
		h->rtm_flags |= WAY_BROADCAST | WAY_LOCAL;
	else if (d->type == RTN_MULTICAST)
		h->rtm_flags |= WAY_MULTICAST;
	netlink_put_u32(m, RTA_TABLE, h->rtm_table);
	netlink_put_u32(m, RTA_DST, inet_addr_to_v4(&flow->dst));
	if (h->rtm_src_len)
		netlink_put_u32(m, RTA_SRC, inet_addr_to_v4(&flow->src));
	netlink_put_u32(m, RTA_OIF, (uint32_t)d->dev->ifindex);
	if (!h->rtm_src_len && inet_addr_to_v4(&d->src))
		netlink_put_u32(m, RTA_PREFSRC, inet_addr_to_v4(&d->src));
	if (!inet_addr_equal(&d->hop, &flow->dst))
		netlink_put_u32(m, RTA_GATEWAY, inet_addr_to_v4(&d->hop));
	put_metrics(m, found);
	netlink_put_u32(m, RTA_UID, lx_self()->cred->uid);
	netlink_put(m, RTA_CACHEINFO, &cache, sizeof(cache));
	(void)netlink_end(m, 0);
}

static int get_flow(const struct netlink_request *r, struct rtmsg *h, struct inet_flow *flow)
{
	uint32_t dst = 0, src = 0, oif = 0;
	struct rtnl_attrs attrs;
	int err = rtnl_parse(r, h, sizeof(*h), &attrs);

	if (err)
		return err;
	if (h->rtm_family != AF_INET)
		return -EOPNOTSUPP;
	if (attrs.of[RTA_IIF])
		return -EOPNOTSUPP;	/* the way of what comes in: nobody forwards */
	(void)rtnl_u32(&attrs, RTA_DST, &dst, &err);
	(void)rtnl_u32(&attrs, RTA_SRC, &src, &err);
	(void)rtnl_u32(&attrs, RTA_OIF, &oif, &err);
	(void)rtnl_u32(&attrs, RTA_MARK, &flow->mark, &err);
	flow->dst = inet_addr_v4(dst);
	flow->src = inet_addr_v4(src);
	flow->oif = (int)oif;
	flow->tos = h->rtm_tos;
	return err;
}

int rtnl_get_route(const struct netlink_request *r)
{
	struct inet_flow flow = { .oif = 0 };
	struct route found = { .table = 0 };
	struct netlink_msg *m;
	struct inet_dst d;
	struct rtmsg h;
	int err = get_flow(r, &h, &flow);

	if (err)
		return err;
	m = netlink_msg_alloc(NETLINK_MSG_SIZE);
	if (!m)
		return -ENOBUFS;
	/* with the lock the route that was found stays */
	rt_mutex_lock(&r->ns->config_lock);
	err = inet_route_explain(r->ns->inet, &flow, &d, &found);
	if (!err && h.rtm_flags & RTM_F_FIB_MATCH)
		(void)describe(m, &found, RTM_NEWROUTE, 0, r->h->nlmsg_seq, atomic_load(&r->nl->portid));
	else if (!err)
		put_answer(m, r, &flow, &d, &found);
	rt_mutex_unlock(&r->ns->config_lock);
	inet_dst_release(&d);
	if (err) {
		rt_free(m);
		return err;
	}
	netlink_queue(r->nl, m);
	return 0;
}

/* -- changing */

static int get_metrics(const struct nlattr *a, struct route *route)
{
	struct rtnl_attrs list;
	int err = rtnl_parse_nested(a, &list);

	for (unsigned int i = 1; i <= RTAX_MAX && !err; i++) {
		if (i == RTAX_CC_ALGO && list.of[i])
			return -EOPNOTSUPP;
		(void)rtnl_u32(&list, i, &route->metric[i], &err);
	}
	return err;
}

static bool is_foreign(const struct rtnl_attrs *attrs)
{
	return attrs->of[RTA_MULTIPATH] || attrs->of[RTA_VIA] || attrs->of[RTA_ENCAP] ||
	       attrs->of[RTA_NH_ID] || attrs->of[RTA_FLOW];
}

/* What a request says; @route gets no device yet. */
static int get_route(const struct netlink_request *r, struct rtmsg *h, struct route *route,
		     uint32_t *oif)
{
	struct rtnl_attrs attrs;
	uint32_t dst = 0;
	int err = rtnl_parse(r, h, sizeof(*h), &attrs);

	if (err)
		return err;
	if (h->rtm_family != AF_INET || h->rtm_tos || h->rtm_src_len || is_foreign(&attrs))
		return -EOPNOTSUPP;
	*route = (struct route){
		.table = h->rtm_table ? h->rtm_table : RT_TABLE_MAIN, .type = h->rtm_type,
		.scope = h->rtm_scope, .protocol = h->rtm_protocol,
		.flags = h->rtm_flags & RTNH_F_ONLINK,
	};
	*oif = 0;
	(void)rtnl_u32(&attrs, RTA_DST, &dst, &err);
	(void)rtnl_u32(&attrs, RTA_OIF, oif, &err);
	(void)rtnl_u32(&attrs, RTA_GATEWAY, &route->gateway_be, &err);
	(void)rtnl_u32(&attrs, RTA_PREFSRC, &route->prefsrc_be, &err);
	(void)rtnl_u32(&attrs, RTA_PRIORITY, &route->entry.metric, &err);
	(void)rtnl_u32(&attrs, RTA_TABLE, &route->table, &err);
	if (attrs.of[RTA_METRICS] && !err)
		err = get_metrics(attrs.of[RTA_METRICS], route);
	if (h->rtm_dst_len > 32 || dst & ~inet_mask_be(h->rtm_dst_len) ||
	    h->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN))
		return -EINVAL;
	route->entry.prefix_len = (uint8_t)(INET_V4_BITS + h->rtm_dst_len);
	route->entry.prefix = inet_addr_v4(dst);
	return err;
}

int rtnl_new_route(const struct netlink_request *r)
{
	struct route route, *new;
	struct rtmsg h;
	uint32_t oif;
	int err = get_route(r, &h, &route, &oif);

	if (err)
		return err;
	rt_mutex_lock(&r->ns->config_lock);
	if (oif) {
		route.dev = lx_netdev_by_index(r->ns, (int)oif);
		err = route.dev ? 0 : -ENODEV;
	}
	if (!err)
		err = route_check(r->ns->inet, &route);
	new = err ? NULL : route_create(&route);
	if (err)
		lx_netdev_put(route.dev);
	else
		err = !new ? -ENOBUFS : route_add(r->ns->inet, new, r->h->nlmsg_flags, r->h->nlmsg_seq,
						  atomic_load(&r->nl->portid));
	rt_mutex_unlock(&r->ns->config_lock);
	return err;
}

int rtnl_del_route(const struct netlink_request *r)
{
	struct route route, *old;
	struct rtmsg h;
	uint32_t oif;
	int err = get_route(r, &h, &route, &oif);

	if (err)
		return err;
	rt_mutex_lock(&r->ns->config_lock);
	old = route_match(r->ns->inet, &route, (int)oif);
	if (old) {
		rtnl_route_event(r->ns->inet, RTM_DELROUTE, old, 0, r->h->nlmsg_seq,
				 atomic_load(&r->nl->portid));
		route_remove(r->ns->inet, old);
	}
	rt_mutex_unlock(&r->ns->config_lock);
	return old ? 0 : -ESRCH;
}
