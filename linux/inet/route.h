/* SPDX-License-Identifier: MIT */
/*
 * Routes of IPv4: what is in inet.table, and which one is taken.
 *
 * Tables are written with config_lock and inet->lock held, and read with either.
 */
#pragma once

#include <linux/rtnetlink.h>

#include "inet/inet.h"

/* Constant while it is in a table. */
struct route {
	struct route_entry entry;	/* first.  The prefix has 96 bits more than it shows */
	struct lx_netdev *dev;		/* a reference; NULL: of a type that goes nowhere */
	uint32_t gateway_be, prefsrc_be;	/* 0: none */
	uint32_t table;			/* RT_TABLE_* */
	uint8_t type, scope, protocol;	/* RTN_*, RT_SCOPE_*, RTPROT_* */
	uint32_t flags;			/* RTNH_F_ONLINK */
	uint32_t metric[RTAX_MAX + 1];	/* RTAX_MTU and others; 0: not set */
};

static inline uint32_t route_dst_be(const struct route *r)
{
	return inet_addr_to_v4(&r->entry.prefix);
}

static inline unsigned int route_len(const struct route *r)
{
	return r->entry.prefix_len - INET_V4_BITS;
}

/* The table of a number; NULL: there is none. */
struct route_table *inet_table(struct inet *inet, uint32_t id);

struct route_query {
	uint32_t dst_be;
	int oif;			/* 0: any */
	uint8_t scope;			/* this, or nearer */
};

/* The route for a destination in all tables; NULL: none.  Either lock held. */
struct route *route_find(struct inet *inet, const struct route_query *q);
/* What a type says to whoever wants to send: 0, or an errno. */
int route_type_error(uint8_t type);

/* A route of what is set in @r, whose reference to dev it gets.  NULL: no memory, and it has none. */
struct route *route_create(const struct route *r);
void route_free(struct route *r);

/*
 * Into its table as NLM_F_* of @how say; config_lock held.  Takes @r over.  0; -EEXIST, -ENOENT, -ENOMEM,
 * -EOPNOTSUPP (no such table).  Programs that listen hear of it, as of an answer to @portid.
 */
int route_add(struct inet *inet, struct route *r, uint16_t how, uint32_t seq, uint32_t portid);
/* Out of its table and freed, without a word to anybody.  config_lock held. */
void route_remove(struct inet *inet, struct route *r);
/* Each route that @is_it likes goes, quietly.  config_lock held. */
void route_flush(struct inet *inet, bool (*is_it)(const struct route *r, const void *arg),
		 const void *arg);

/*
 * What a program wants to have as a route: checked and completed (device, scope of the gateway).
 * config_lock held.  0; -EINVAL, -ENODEV, -ENETDOWN, -ENETUNREACH as Linux has them.
 */
int route_check(struct inet *inet, struct route *r);
/* The one that a request to delete means, whose fields of zeros mean any; NULL: none. */
struct route *route_match(struct inet *inet, const struct route *r, int oif);

/* What a packet's way is; for RTM_GETROUTE.  As inet_route_output(), and a copy of the route. */
int inet_route_explain(struct inet *inet, const struct inet_flow *flow, struct inet_dst *out,
		       struct route *found);

/* inet_addr_type() for any device, of IPv4. */
uint8_t ip4_addr_type(struct inet *inet, uint32_t be);

/* -- rtnl_route.c: tell RTNLGRP_IPV4_ROUTE.  config_lock held. */
void rtnl_route_event(struct inet *inet, uint16_t type, const struct route *r, uint16_t flags,
		      uint32_t seq, uint32_t portid);
