/* SPDX-License-Identifier: MIT */
/*
 * Routes of IPv4: tables, and which route is taken.
 *
 * The tables are asked in the order local, main, default (the rules that Linux has when nobody made
 * any).  What look-ups depend on (routes, addresses, what is known of a path) is numbered by
 * inet->generation, which changes after each change: a result is right as long as the number is
 * the one that was read before the look-up.
 *
 * Invariants: a route in a table has a device if its type sends packets somewhere, and that device is
 * registered; but for those to addresses of this machine (scope host), it is up.
 */
#include "inet/route.h"

#include <linux/if.h>

#include "inet/addr.h"
#include "inet/pmtu.h"

struct route_table *inet_table(struct inet *inet, uint32_t id)
{
	switch (id) {
	case RT_TABLE_LOCAL:
		return &inet->table[0];
	case RT_TABLE_MAIN:
		return &inet->table[1];
	case RT_TABLE_DEFAULT:
		return &inet->table[2];
	}
	return NULL;
}

/* -- look-up */

static bool accept(const struct route_entry *e, void *arg)
{
	const struct route *r = container_of(e, const struct route, entry);
	const struct route_query *q = arg;

	if (r->scope < q->scope)
		return false;
	return !q->oif || !r->dev || r->dev->ifindex == q->oif;
}

struct route *route_find(struct inet *inet, const struct route_query *q)
{
	struct inet_addr dst = inet_addr_v4(q->dst_be);

	for (unsigned int i = 0; i < INET_TABLES; i++) {
		struct route_entry *e = route_table_lookup(&inet->table[i], &dst, accept, (void *)q);

		if (!e)
			continue;
		if (container_of(e, struct route, entry)->type != RTN_THROW)
			return container_of(e, struct route, entry);
	}
	return NULL;
}

int route_type_error(uint8_t type)
{
	switch (type) {
	case RTN_BLACKHOLE:
		return -EINVAL;
	case RTN_UNREACHABLE:
		return -EHOSTUNREACH;
	case RTN_PROHIBIT:
		return -EACCES;
	case RTN_THROW:
		return -EAGAIN;
	}
	return 0;
}

/* The type of an address for @ifindex, or for any device.  inet->lock held. */
static uint8_t type_locked(struct inet *inet, uint32_t be, int ifindex)
{
	struct inet_addr a = inet_addr_v4(be);
	struct route_query q = { .dst_be = be, .oif = ifindex };
	struct route_entry *e;

	if (ip4_is_zeronet(be) || be == IP4_BROADCAST)
		return RTN_BROADCAST;
	if (ip4_is_multicast(be))
		return RTN_MULTICAST;
	e = route_table_lookup(&inet->table[0], &a, accept, &q);
	return e ? container_of(e, struct route, entry)->type : RTN_UNICAST;
}

static uint8_t type_of(struct inet *inet, uint32_t be, int ifindex)
{
	uint8_t type;

	rt_read_lock(&inet->lock);
	type = type_locked(inet, be, ifindex);
	rt_read_unlock(&inet->lock);
	return type;
}

uint8_t ip4_addr_type(struct inet *inet, uint32_t be)
{
	uint64_t tag = (uint64_t)be << 32 | (inet_generation(inet) & 0xffffffu) << 8;
	_Atomic(uint64_t) *cell = &inet->types[(be * 0x9e3779b1u >> 16) % INET_TYPE_CACHE];
	uint64_t word = atomic_load_explicit(cell, memory_order_relaxed);
	uint8_t type = (uint8_t)word;

	if (type && word - type == tag)
		return type;
	type = type_of(inet, be, 0);
	atomic_store_explicit(cell, tag | type, memory_order_relaxed);
	return type;
}

/* 0.0.0.0 may be written as no address at all; false: it is none of IPv4. */
static bool to_v4(const struct inet_addr *a, uint32_t *be)
{
	*be = inet_addr_to_v4(a);
	return inet_addr_is_v4(a) || !(a->q[0] | a->q[1]);
}

uint8_t inet_addr_type(struct inet *inet, const struct inet_addr *a, int ifindex)
{
	uint32_t be;

	if (!to_v4(a, &be))
		return RTN_UNICAST;
	return ifindex ? type_of(inet, be, ifindex) : ip4_addr_type(inet, be);
}

/* -- where to */

/* What is being found out. */
struct search {
	struct inet *inet;
	const struct inet_flow *flow;
	uint32_t dst_be, src_be;
	struct lx_netdev *oif;		/* a reference, or NULL */
	struct inet_dst *out;
	struct route *found;		/* a copy of the route is wanted here, or NULL */
};

static int settle(struct search *s, struct lx_netdev *dev, uint8_t type, uint32_t hop_be)
{
	struct inet_dst *out = s->out;

	if (type == RTN_UNICAST && s->dst_be == IP4_BROADCAST)
		type = RTN_BROADCAST;
	else if (type == RTN_UNICAST && ip4_is_multicast(s->dst_be))
		type = RTN_MULTICAST;
	out->dev = lx_netdev_get(dev);
	out->type = type;
	out->src = inet_addr_v4(s->src_be);
	out->hop = inet_addr_v4(hop_be);
	if (!out->mtu)
		out->mtu = atomic_load_explicit(&dev->mtu, memory_order_relaxed);
	return 0;
}

/* To ourselves, by lo. */
static int settle_local(struct search *s, const struct route *r)
{
	if (!s->src_be)
		s->src_be = r && r->prefsrc_be ? r->prefsrc_be : s->dst_be;
	return settle(s, s->inet->ns->loopback, RTN_LOCAL, s->dst_be);
}

/* By one device, as nothing says otherwise: whatever it is, it is on the link. */
static int settle_on_link(struct search *s, struct lx_netdev *dev)
{
	if (!s->src_be)
		s->src_be = inet_address_select(s->inet, dev, 0,
						s->dst_be == IP4_BROADCAST ||
						ip4_is_multicast(s->dst_be) ?
							RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
	return settle(s, dev, RTN_UNICAST, s->dst_be);
}

static int settle_route(struct search *s, const struct route *r)
{
	int err = route_type_error(r->type);

	if (s->found)
		*s->found = *r;
	if (err)
		return err;
	if (r->type == RTN_LOCAL)
		return settle_local(s, r);
	if (ip4_is_loopback(s->dst_be) && r->dev != s->inet->ns->loopback)
		return -EINVAL;
	if (!s->src_be)
		s->src_be = r->prefsrc_be ? r->prefsrc_be :
			    inet_address_select(s->inet, r->dev, r->gateway_be, r->scope);
	s->out->mtu = r->metric[RTAX_MTU];
	return settle(s, r->dev, r->type, r->gateway_be ? r->gateway_be : s->dst_be);
}

/* inet->lock held. */
static int search_locked(struct search *s)
{
	struct route_query q = {
		.dst_be = s->dst_be, .oif = s->oif ? s->oif->ifindex : 0,
		.scope = s->flow->direct ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
	};
	struct route *r;

	if (s->oif && (ip4_is_multicast(s->dst_be) || s->dst_be == IP4_BROADCAST))
		return settle_on_link(s, s->oif);
	r = route_find(s->inet, &q);
	if (r)
		return settle_route(s, r);
	return s->oif ? settle_on_link(s, s->oif) : -ENETUNREACH;
}

/* The source that was asked for: ours?  It also says by which device to groups, and to all. */
static int check_source(struct search *s)
{
	if (!s->src_be)
		return 0;
	if (ip4_addr_type(s->inet, s->src_be) != RTN_LOCAL)
		return ip4_is_multicast(s->src_be) || ip4_is_zeronet(s->src_be) ? -EINVAL : -ENETUNREACH;
	if (!s->oif && (ip4_is_multicast(s->dst_be) || s->dst_be == IP4_BROADCAST)) {
		s->oif = inet_address_device(s->inet, s->src_be);
		return s->oif ? 0 : -EINVAL;
	}
	return 0;
}

static int check_device(struct search *s)
{
	int err;

	if (s->flow->oif) {
		s->oif = lx_netdev_by_index(s->inet->ns, s->flow->oif);
		if (!s->oif)
			return -ENODEV;
	}
	err = check_source(s);
	if (err)
		return err;
	return s->oif && !lx_netdev_is_up(s->oif) ? -ENETUNREACH : 0;
}

int inet_route_explain(struct inet *inet, const struct inet_flow *flow, struct inet_dst *out,
		       struct route *found)
{
	struct search s = { .inet = inet, .flow = flow, .out = out, .found = found };
	int err;

	*out = (struct inet_dst){ .generation = inet_generation(inet) };
	if (!to_v4(&flow->dst, &s.dst_be) || !to_v4(&flow->src, &s.src_be))
		return -ENETUNREACH;
	if (!s.dst_be)			/* this machine, as programs of old wrote it */
		s.dst_be = s.src_be ? s.src_be : BE32(0x7f000001u);
	err = check_device(&s);
	if (!err) {
		rt_read_lock(&inet->lock);
		err = search_locked(&s);
		rt_read_unlock(&inet->lock);
	}
	lx_netdev_put(s.oif);
	if (!err && out->type == RTN_UNICAST)
		out->mtu = inet_pmtu_limit(inet, s.dst_be, out->mtu);
	return err;
}

int inet_route_output(struct inet *inet, const struct inet_flow *flow, struct inet_dst *out)
{
	return inet_route_explain(inet, flow, out, NULL);
}

bool inet_dst_is_valid(struct inet *inet, const struct inet_dst *d)
{
	return d->dev && d->generation == inet_generation(inet) && lx_netdev_is_up(d->dev);
}

void inet_dst_release(struct inet_dst *d)
{
	lx_netdev_put(d->dev);
	*d = (struct inet_dst){ .dev = NULL };
}

/* -- changes: config_lock held */

struct route *route_create(const struct route *r)
{
	struct route *new = rt_alloc(sizeof(*new));

	if (!new) {
		lx_netdev_put(r->dev);
		return NULL;
	}
	*new = *r;
	new->entry.node = NULL;
	return new;
}

void route_free(struct route *r)
{
	lx_netdev_put(r->dev);
	rt_free(r);
}

static struct route *next_same(const struct route *r)
{
	struct route_entry *e = route_table_sibling(&r->entry);

	return e ? container_of(e, struct route, entry) : NULL;
}

static struct route *first_same(struct route_table *t, const struct route *r, uint32_t metric)
{
	struct route_entry *e = route_table_find(t, &r->entry.prefix, r->entry.prefix_len, metric);

	return e ? container_of(e, struct route, entry) : NULL;
}

static bool is_equal(const struct route *a, const struct route *b)
{
	return a->dev == b->dev && a->gateway_be == b->gateway_be && a->type == b->type &&
	       a->prefsrc_be == b->prefsrc_be && a->scope == b->scope &&
	       a->protocol == b->protocol && a->flags == b->flags &&
	       !memcmp(a->metric, b->metric, sizeof(a->metric));
}

/* May it be added, and instead of which one (or NULL)? */
static int check_how(struct route_table *t, const struct route *r, uint16_t how,
		     struct route **replaced)
{
	struct route *old = first_same(t, r, r->entry.metric);

	*replaced = NULL;
	if (!old || old->entry.metric != r->entry.metric)
		return how & NLM_F_CREATE ? 0 : -ENOENT;
	if (how & NLM_F_EXCL)
		return -EEXIST;
	if (how & NLM_F_REPLACE)
		*replaced = old;
	else if (!(how & NLM_F_CREATE))
		return -ENOENT;
	for (; old && old->entry.metric == r->entry.metric; old = next_same(old))
		if (is_equal(old, r))
			return old == *replaced ? 0 : -EEXIST;
	return 0;
}

int route_add(struct inet *inet, struct route *r, uint16_t how, uint32_t seq, uint32_t portid)
{
	struct route_table *t = inet_table(inet, r->table);
	struct route *old = NULL;
	int err = t ? check_how(t, r, how, &old) : -EOPNOTSUPP;

	if (!err) {
		rt_write_lock(&inet->lock);
		err = route_table_insert(t, &r->entry);
		if (!err && old)
			route_table_remove(t, &old->entry);
		rt_write_unlock(&inet->lock);
	}
	if (err) {
		route_free(r);
		return err;
	}
	inet_changed(inet);
	rtnl_route_event(inet, RTM_NEWROUTE, r, old ? NLM_F_REPLACE : how, seq, portid);
	if (old)
		route_free(old);
	return 0;
}

void route_remove(struct inet *inet, struct route *r)
{
	rt_write_lock(&inet->lock);
	route_table_remove(inet_table(inet, r->table), &r->entry);
	rt_write_unlock(&inet->lock);
	inet_changed(inet);
	route_free(r);
}

void route_flush(struct inet *inet, bool (*is_it)(const struct route *r, const void *arg),
		 const void *arg)
{
	for (unsigned int i = 0; i < INET_TABLES; i++) {
		struct route_entry *e = route_table_next(&inet->table[i], NULL), *next;

		for (; e; e = next) {
			struct route *r = container_of(e, struct route, entry);

			next = route_table_next(&inet->table[i], e);
			if (is_it(r, arg))
				route_remove(inet, r);
		}
	}
}

/* The gateway has to be a neighbour: by the route to it, whose device is taken if none is named. */
static int check_gateway(struct inet *inet, struct route *r)
{
	struct route_query q = {
		.dst_be = r->gateway_be, .oif = r->dev ? r->dev->ifindex : 0,
		.scope = MAX((uint8_t)(r->scope + 1), (uint8_t)RT_SCOPE_LINK),
	};
	struct route *way;

	if (r->scope >= RT_SCOPE_LINK)
		return -EINVAL;
	if (r->flags & RTNH_F_ONLINK) {
		if (!r->dev)
			return -ENODEV;
		return ip4_addr_type(inet, r->gateway_be) == RTN_UNICAST ? 0 : -EINVAL;
	}
	way = route_find(inet, &q);
	if (!way || route_type_error(way->type))
		return -ENETUNREACH;
	if (way->type != RTN_UNICAST && way->type != RTN_LOCAL)
		return -EINVAL;
	if (!r->dev)
		r->dev = lx_netdev_get(way->dev);
	return 0;
}

int route_check(struct inet *inet, struct route *r)
{
	int err;

	if (r->type == RTN_UNSPEC || r->type > RTN_THROW || r->scope > RT_SCOPE_HOST)
		return -EINVAL;
	if (route_type_error(r->type))
		return r->dev || r->gateway_be ? -EINVAL : 0;
	if (r->scope == RT_SCOPE_HOST && r->gateway_be)
		return -EINVAL;
	if (r->gateway_be) {
		err = check_gateway(inet, r);
		if (err)
			return err;
	}
	if (!r->dev)
		return -ENODEV;
	if (!lx_netdev_is_up(r->dev) && r->scope != RT_SCOPE_HOST)
		return -ENETDOWN;
	if (r->prefsrc_be && !(r->type == RTN_LOCAL && r->prefsrc_be == route_dst_be(r)) &&
	    ip4_addr_type(inet, r->prefsrc_be) != RTN_LOCAL)
		return -EINVAL;
	return 0;
}

static bool is_meant(const struct route *old, const struct route *r, int oif)
{
	if (r->entry.metric && old->entry.metric != r->entry.metric)
		return false;
	if (r->type && old->type != r->type)
		return false;
	if (r->scope != RT_SCOPE_NOWHERE && old->scope != r->scope)
		return false;
	if (r->prefsrc_be && old->prefsrc_be != r->prefsrc_be)
		return false;
	if (r->protocol && old->protocol != r->protocol)
		return false;
	if (oif && (!old->dev || old->dev->ifindex != oif))
		return false;
	return !r->gateway_be || old->gateway_be == r->gateway_be;
}

struct route *route_match(struct inet *inet, const struct route *r, int oif)
{
	struct route_table *t = inet_table(inet, r->table);
	struct route *old = t ? first_same(t, r, 0) : NULL;

	while (old && !is_meant(old, r, oif))
		old = next_same(old);
	return old;
}
