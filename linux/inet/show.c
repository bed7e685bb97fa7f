/* SPDX-License-Identifier: MIT */
/* /proc/net: route, arp, igmp, dev_mcast; see show_mib.c for the counters. */
#include "base/format.h"
#include "fs/pseudo/pseudo.h"
#include "inet/addr.h"
#include "inet/neigh.h"
#include "inet/route.h"
#include "inet/show.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/route.h>

static unsigned int flags_of(const struct route *r)
{
	unsigned int flags = RTF_UP;

	if (route_type_error(r->type))
		flags |= RTF_REJECT;
	if (r->gateway_be)
		flags |= RTF_GATEWAY;
	if (route_len(r) == 32)
		flags |= RTF_HOST;
	return flags;
}

static void show_route(struct pseudo_buf *b, const struct route *r)
{
	char line[160];

	/* local ones and those to all are not shown, as ever */
	if (r->type == RTN_BROADCAST || r->type == RTN_MULTICAST || r->type == RTN_LOCAL)
		return;
	snprintf(line, sizeof(line), "%s\t%08X\t%08X\t%04X\t%d\t%u\t%d\t%08X\t%d\t%u\t%u",
		 r->dev ? r->dev->name : "*", route_dst_be(r), r->gateway_be, flags_of(r), 0, 0,
		 (int)r->entry.metric, inet_mask_be(route_len(r)),
		 r->metric[RTAX_ADVMSS] ? (int)r->metric[RTAX_ADVMSS] + 40 : 0,
		 r->metric[RTAX_WINDOW], r->metric[RTAX_RTT] >> 3);
	pseudo_printf(b, "%-127s\n", line);
}

void inet_show_routes(struct lx_netns *ns, struct pseudo_buf *b)
{
	struct route_table *t = inet_table(ns->inet, RT_TABLE_MAIN);
	struct route_entry *e;

	pseudo_printf(b, "%-127s\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\t"
		      "MTU\tWindow\tIRTT");
	rt_mutex_lock(&ns->config_lock);
	for (e = route_table_next(t, NULL); e; e = route_table_next(t, e))
		show_route(b, container_of(e, struct route, entry));
	rt_mutex_unlock(&ns->config_lock);
}

static void show_neighbour(struct lx_netns *ns, struct pseudo_buf *b,
			   const struct inet_neighbour_info *n)
{
	struct lx_netdev *dev = lx_netdev_by_index(ns, n->ifindex);
	const uint8_t *a = (const uint8_t *)&n->addr_be, *m = n->mac;
	unsigned int flags = n->state & NUD_PERMANENT ? ATF_COM | ATF_PERM :
			     n->state & (NUD_INCOMPLETE | NUD_FAILED) ? 0 : ATF_COM;
	char addr[16], name[LX_IFNAMSIZ];

	if (!dev)
		return;
	rt_read_lock(&ns->devices_lock);
	memcpy(name, dev->name, sizeof(name));
	rt_read_unlock(&ns->devices_lock);
	snprintf(addr, sizeof(addr), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
	pseudo_printf(b, "%-16s 0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        %s\n", addr,
		      dev->type, flags, m[0], m[1], m[2], m[3], m[4], m[5], name);
	lx_netdev_put(dev);
}

void inet_show_arp(struct lx_netns *ns, struct pseudo_buf *b)
{
	struct inet_neighbour_info n;

	pseudo_puts(b, "IP address       HW type     Flags       HW address            Mask     Device\n");
	for (unsigned int i = 0; inet_neighbour_nth(ns->inet, i, &n); i++)
		if (n.state != NUD_NOARP)
			show_neighbour(ns, b, &n);
}

/* -- groups */

#define ALL_SYSTEMS	BE32(0xe0000001u)

static void show_groups(struct pseudo_buf *b, const struct inet_dev *d)
{
	const struct inet_group *g;

	pseudo_printf(b, "%d\t%-10s: %5d %7s\n", d->dev->ifindex, d->dev->name,
		      (int)list_count(&d->groups) + 1, "V3");
	pseudo_printf(b, "\t\t\t\t%08X %5d %d:%08X\t\t%d\n", ALL_SYSTEMS, 1, 0, 0u, 0);
	list_for_each_entry(g, &d->groups, link)
		pseudo_printf(b, "\t\t\t\t%08X %5u %d:%08X\t\t%d\n", g->addr_be, g->users, 0, 0u, 0);
}

void inet_show_igmp(struct lx_netns *ns, struct pseudo_buf *b)
{
	struct inet_dev *d;

	pseudo_puts(b, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
	rt_mutex_lock(&ns->config_lock);
	list_for_each_entry(d, &ns->inet->devices, link)
		if (lx_netdev_is_up(d->dev))
			show_groups(b, d);
	rt_mutex_unlock(&ns->config_lock);
}

static void show_mac(struct pseudo_buf *b, const struct inet_dev *d, uint32_t group_be)
{
	uint32_t group = BE32(group_be);

	pseudo_printf(b, "%-4d %-15s %-5d %-5d 01005e%02x%02x%02x\n", d->dev->ifindex, d->dev->name, 1, 0,
		      group >> 16 & 0x7f, group >> 8 & 0xff, group & 0xff);
}

void inet_show_dev_mcast(struct lx_netns *ns, struct pseudo_buf *b)
{
	const struct inet_group *g;
	struct inet_dev *d;

	rt_mutex_lock(&ns->config_lock);
	list_for_each_entry(d, &ns->inet->devices, link) {
		if (!lx_netdev_is_up(d->dev) || atomic_load(&d->dev->flags) & IFF_LOOPBACK)
			continue;
		show_mac(b, d, ALL_SYSTEMS);
		list_for_each_entry(g, &d->groups, link)
			show_mac(b, d, g->addr_be);
	}
	rt_mutex_unlock(&ns->config_lock);
}
