/* SPDX-License-Identifier: MIT */
/*
 * NETLINK_ROUTE (rtnetlink(7)): which function answers which request.
 *
 * Links are the devices', in rtnetlink_link.c; addresses, routes and neighbours are IPv4's
 * (inet/rtnl_*.c).
 */
#include <linux/capability.h>
#include <linux/rtnetlink.h>

#include "inet/rtnl.h"
#include "net/netlink.h"

static void fill_nothing(struct netlink_dump *dump, struct netlink_msg *m)
{
}

static int dump_nothing(const struct netlink_request *r)
{
	return netlink_start_dump(r, fill_nothing);
}

static const struct answer {
	uint16_t type;			/* RTM_* */
	int (*one)(const struct netlink_request *r);
	int (*list)(const struct netlink_request *r);	/* NLM_F_DUMP */
} answers[] = {
	{ RTM_NEWLINK, rtnetlink_set_link, NULL },
	{ RTM_SETLINK, rtnetlink_set_link, NULL },
	{ RTM_DELLINK, rtnetlink_del_link, NULL },
	{ RTM_GETLINK, rtnetlink_get_link, rtnetlink_dump_links },
	{ RTM_NEWADDR, rtnl_new_address, NULL },
	{ RTM_DELADDR, rtnl_del_address, NULL },
	{ RTM_GETADDR, NULL, rtnl_dump_addresses },
	{ RTM_NEWROUTE, rtnl_new_route, NULL },
	{ RTM_DELROUTE, rtnl_del_route, NULL },
	{ RTM_GETROUTE, rtnl_get_route, rtnl_dump_routes },
	{ RTM_NEWNEIGH, rtnl_new_neighbour, NULL },
	{ RTM_DELNEIGH, rtnl_del_neighbour, NULL },
	{ RTM_GETNEIGH, rtnl_get_neighbour, rtnl_dump_neighbours },
	{ RTM_GETNETCONF, NULL, dump_nothing },
};

/* Requests come in fours: make, remove, ask, set. */
static bool is_question(uint16_t type)
{
	return ((type - RTM_BASE) & 3) == 2;
}

int rtnetlink_request(const struct netlink_request *r)
{
	uint16_t type = r->h->nlmsg_type;

	if (type > RTM_MAX)
		return -EOPNOTSUPP;
	if (r->len < sizeof(struct rtgenmsg))
		return 0;		/* as Linux: nothing to be done */
	if (!is_question(type) && !lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		const struct answer *a = &answers[i];

		if (a->type != type)
			continue;
		if (is_question(type) && r->h->nlmsg_flags & NLM_F_DUMP)
			return a->list ? a->list(r) : -EOPNOTSUPP;
		return a->one ? a->one(r) : -EOPNOTSUPP;
	}
	return -EOPNOTSUPP;
}
