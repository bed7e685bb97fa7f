/* SPDX-License-Identifier: MIT */
/*
 * What NETLINK_ROUTE asks of IPv4 (rtnetlink(7)): addresses, routes, neighbours.  Functions are entries
 * of the table in net/rtnetlink.c: 0 and negative errors are acknowledged, 1 is answered already.
 */
#pragma once

#include <linux/rtnetlink.h>

#include "inet/inet.h"
#include "net/netlink.h"

#define RTNL_ATTRS	32u		/* types below this are kept, others passed over */

struct rtnl_attrs {
	const struct nlattr *of[RTNL_ATTRS];	/* by type, or NULL; the last of a type counts */
};

/* The message's own part into @head, and what is behind it.  0 or -EINVAL. */
int rtnl_parse(const struct netlink_request *r, void *head, uint32_t head_len,
	       struct rtnl_attrs *attrs);
/* Attributes within one.  0 or -EINVAL. */
int rtnl_parse_nested(const struct nlattr *a, struct rtnl_attrs *attrs);
/* Four bytes: false, and nothing is written: it is not there.  -EINVAL in *@err: it is too short. */
bool rtnl_u32(const struct rtnl_attrs *attrs, unsigned int type, uint32_t *out, int *err);
/* Of the name space's own strictness: may the kernel leave out of lists what was not asked for? */
bool rtnl_is_strict(const struct netlink_request *r);

int rtnl_new_address(const struct netlink_request *r);
int rtnl_del_address(const struct netlink_request *r);
int rtnl_dump_addresses(const struct netlink_request *r);

int rtnl_new_route(const struct netlink_request *r);
int rtnl_del_route(const struct netlink_request *r);
int rtnl_get_route(const struct netlink_request *r);
int rtnl_dump_routes(const struct netlink_request *r);

int rtnl_new_neighbour(const struct netlink_request *r);
int rtnl_del_neighbour(const struct netlink_request *r);
int rtnl_get_neighbour(const struct netlink_request *r);
int rtnl_dump_neighbours(const struct netlink_request *r);

/* -- diag.c: NETLINK_SOCK_DIAG */
int sock_diag_request(const struct netlink_request *r);
