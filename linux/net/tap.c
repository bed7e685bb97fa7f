/* SPDX-License-Identifier: MIT */
/* Taps: see tap.h. */
#include <linux/if_ether.h>

#include "net/tap.h"

void net_tap_add(struct lx_netns *ns, struct net_tap *tap)
{
	rt_write_lock(&ns->taps_lock);
	list_add_last(&ns->taps, &tap->link);
	atomic_fetch_add_explicit(&ns->nr_taps, 1, memory_order_relaxed);
	rt_write_unlock(&ns->taps_lock);
}

void net_tap_remove(struct lx_netns *ns, struct net_tap *tap)
{
	rt_write_lock(&ns->taps_lock);
	list_remove(&tap->link);
	atomic_fetch_sub_explicit(&ns->nr_taps, 1, memory_order_relaxed);
	rt_write_unlock(&ns->taps_lock);
}

static bool is_for(const struct net_tap *tap, const struct lx_netdev *dev)
{
	return !tap->ifindex || tap->ifindex == dev->ifindex;
}

void net_tap_tell_sent(struct lx_netdev *dev, const struct lx_pbuf *p)
{
	struct net_tap *tap;

	rt_read_lock(&dev->ns->taps_lock);
	list_for_each_entry(tap, &dev->ns->taps, link)
		if (tap->protocol == ETH_P_ALL && is_for(tap, dev) &&
		    (!p->owner || tap->self != p->owner))
			tap->deliver(tap, dev, p, LX_PKT_OUTGOING);
	rt_read_unlock(&dev->ns->taps_lock);
}

bool net_tap_tell_received(struct lx_netdev *dev, const struct lx_pbuf *p)
{
	bool any = false;
	struct net_tap *tap;

	rt_read_lock(&dev->ns->taps_lock);
	list_for_each_entry(tap, &dev->ns->taps, link)
		if ((tap->protocol == ETH_P_ALL || tap->protocol == p->protocol) && is_for(tap, dev)) {
			any = true;
			tap->deliver(tap, dev, p, p->pkttype);
		}
	rt_read_unlock(&dev->ns->taps_lock);
	return any;
}
