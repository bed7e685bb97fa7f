/* SPDX-License-Identifier: MIT */
/*
 * NETLINK_ROUTE (rtnetlink(7)): which function answers which request.
 *
 * Links are there.  Addresses and routes belong to protocols, of which there is none: lists of them
 * are empty, as from a Linux kernel without CONFIG_INET.
 */
#include <linux/capability.h>
#include <linux/rtnetlink.h>

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
	{ RTM_GETADDR, NULL, dump_nothing },
	{ RTM_GETROUTE, NULL, dump_nothing },
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
