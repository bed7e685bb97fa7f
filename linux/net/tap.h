/* SPDX-License-Identifier: MIT */
/*
 * Taps: who sees frames as they pass, before any protocol does (AF_PACKET sockets).
 *
 * A tap for ETH_P_ALL sees what comes in and what goes out; one for a protocol sees what comes in.
 * They are told with taps_lock held for reading, in any thread and perhaps with the locks of a
 * sender's socket held: a tap takes locks of rank LX_LOCK_PACKET and above.
 */
#pragma once

#include "lx/netdev.h"

struct net_tap {
	struct list link;		/* taps_lock */
	/* Constant while in the list. */
	uint16_t protocol;		/* ETH_P_* */
	int ifindex;			/* of the one device; 0: all */
	const struct lx_pbuf_owner *self;	/* who sends as this owner does not see it; or NULL */
	/*
	 * The packet stays the caller's, and is not changed; its link's header begins at link_at.
	 * @pkttype: what it is to this machine, LX_PKT_OUTGOING for what goes out.
	 */
	void (*deliver)(struct net_tap *tap, struct lx_netdev *dev, const struct lx_pbuf *p,
			uint8_t pkttype);
};

void net_tap_add(struct lx_netns *ns, struct net_tap *tap);
/* Afterwards it is not told, and not being told. */
void net_tap_remove(struct lx_netns *ns, struct net_tap *tap);

void net_tap_tell_sent(struct lx_netdev *dev, const struct lx_pbuf *p);
bool net_tap_tell_received(struct lx_netdev *dev, const struct lx_pbuf *p);

static inline bool net_tap_any(const struct lx_netns *ns)
{
	return atomic_load_explicit(&ns->nr_taps, memory_order_relaxed) != 0;
}

/* A frame that goes out; it begins with its link's header. */
static inline void net_tap_sent(struct lx_netdev *dev, const struct lx_pbuf *p)
{
	if (unlikely(net_tap_any(dev->ns)))
		net_tap_tell_sent(dev, p);
}

/* A frame that came in; its header was taken off.  True: a tap is for such frames. */
static inline bool net_tap_received(struct lx_netdev *dev, const struct lx_pbuf *p)
{
	return unlikely(net_tap_any(dev->ns)) && net_tap_tell_received(dev, p);
}
