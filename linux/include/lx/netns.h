/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces: what a network is made of hangs from here.  linux/net/README.md says how
 * the parts work together.
 */
#pragma once

#include "lx/pbuf.h"
#include "lx/types.h"

struct lx_netdev;
struct netlink_ns;
struct inet;

struct lx_netns {
	_Atomic(uint32_t) refs;		/* tasks' (lx_nsproxy), sockets', mounts of sysfs */
	uint64_t ino;			/* of /proc/PID/ns/net; constant */
	struct lx_pbuf_pool *pool;	/* constant: packets made here or received here */

	/*
	 * Held over every change of devices: registering, names, flags, addresses, opening and
	 * stopping, which may wait for a driver.  Rank LX_LOCK_NET_CONFIG.
	 */
	struct rt_mutex config_lock;
	struct list listeners;		/* config_lock: of lx_netdev_listener.link */
	struct netlink_ns *netlink;	/* config_lock to set: made with the first netlink socket (net/netlink.h) */
	struct list packet_sockets;	/* config_lock: of packet_sock.ns_link (net/packet.h) */
	struct inet *inet;		/* constant: the protocols' (inet/inet.h) */
	_Atomic(int32_t) sockets;	/* of any family; relaxed, for /proc/net/sockstat */

	/*
	 * The table of devices.  Written with config_lock too, so that either is enough to read.
	 * Held for a look-up only: rank LX_LOCK_NETDEVS.
	 */
	struct rt_rwlock devices_lock;
	struct list devices;		/* of lx_netdev.link, by ascending ifindex */
	int next_ifindex;		/* config_lock */
	struct lx_netdev *loopback;	/* constant; the list's reference keeps it */

	/* Who sees every frame, the packet sockets: net/tap.h.  Rank LX_LOCK_NET_TAPS. */
	struct rt_rwlock taps_lock;
	struct list taps;		/* taps_lock: of net_tap.link */
	_Atomic(uint32_t) nr_taps;	/* taps_lock to write; without it, a hint: frames under way may miss a new one */
};

extern struct lx_netns *lx_init_netns;	/* the first one; it stays */

/* Start of the system: the first namespace, its lo, what proc and sysfs show.  0 or -ENOMEM. */
int lx_net_init(void);
/* unshare(CLONE_NEWNET): one with a loopback device that is down.  NULL: no memory. */
struct lx_netns *lx_netns_create(void);
struct lx_netns *lx_netns_get(struct lx_netns *ns);
/* For who knows that its memory is there, and no more: NULL if nobody has a reference any more. */
struct lx_netns *lx_netns_get_unless_ending(struct lx_netns *ns);
void lx_netns_put(struct lx_netns *ns);
