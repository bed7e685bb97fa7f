/* SPDX-License-Identifier: MIT */
/*
 * Network devices: between the protocols and sockets of a network namespace and what moves frames
 * (lo, the client side of a link to a driver, later pairs and bridges).
 *
 * The life of a device, as its driver sees it:
 *
 *	dev = lx_netdev_alloc("eth%d", &ops, sizeof(struct mine), queues);
 *	mine = lx_netdev_private(dev);
 *	dev->mtu_max = ...; lx_netdev_set_address(dev, mac);		fields marked "before registering"
 *	err = lx_netdev_register(ns, dev);				from here on it is found and used
 *	...	lx_netdev_receive(dev, 0, packet) from a thread of the driver's
 *	lx_netdev_unregister(dev);					no op runs or will run
 *	lx_netdev_put(dev);						op release() when the last reference goes
 *
 * Threads and locks.  Opening, stopping and every change run with the namespace's config_lock
 * held, one at a time.  xmit runs under the lock of its queue, whose only purpose is to keep two
 * senders apart: it hands the packet to the hardware's ring and never waits.  Frames arrive in
 * a thread of the driver's, which holds no lock.  What a device's frame costs on the way is one
 * uncontended lock and one wake-up, so that queues scale with CPUs.
 *
 * A pointer to a device is good while a reference is held, and for the duration of an op; packets
 * in queues name it by its number (lx_pbuf.ifindex), which is never used again in a namespace
 * while it exists.
 */
#pragma once

#include "lx/lock_rank.h"
#include "lx/netns.h"
#include "lx/pbuf.h"
#include "lx/types.h"

#define LX_IFNAMSIZ	16
#define LX_NETDEV_ADDR	8		/* bytes of a hardware address at most */

/* What a device can do (lx_netdev.features). */
#define LX_NETDEV_CSUM		(1u << 0)	/* sends LX_CSUM_PARTIAL: the device sums */
#define LX_NETDEV_TSO4		(1u << 1)	/* cuts LX_GSO_TCPV4 */
#define LX_NETDEV_TSO6		(1u << 2)
#define LX_NETDEV_TSO_ECN	(1u << 3)
#define LX_NETDEV_USO		(1u << 4)	/* cuts LX_GSO_UDP */
#define LX_NETDEV_RX_CSUM	(1u << 5)	/* received packets may be LX_CSUM_VERIFIED */
#define LX_NETDEV_LRO		(1u << 6)	/* received packets may be larger than the MTU */

/* DUPLEX_* of linux/ethtool.h, which wants headers of the C library. */
enum { LX_DUPLEX_HALF, LX_DUPLEX_FULL };

/* Counters of one queue; each counter has one writer at a time, or is added to atomically (relaxed). */
struct lx_netdev_stats {
	_Atomic(uint64_t) rx_packets, rx_bytes, rx_errors, rx_dropped, rx_nohandler, multicast;
	_Atomic(uint64_t) tx_packets, tx_bytes, tx_errors, tx_dropped;
	_Atomic(uint64_t) rx_length_errors, rx_over_errors, rx_frame_errors, tx_carrier_errors;
};

static inline void lx_netdev_count(_Atomic(uint64_t) *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

struct lx_netdev_ops {
	/* config_lock held.  IFF_UP is being set: frames may come from now on.  0 or an errno. */
	int (*open)(struct lx_netdev *dev);
	/*
	 * config_lock held.  IFF_UP was taken away; no xmit runs any more.  Afterwards the device
	 * sends nothing and gives no frames up; what it still had to send is freed.
	 */
	void (*stop)(struct lx_netdev *dev);
	/*
	 * Takes @p over, a whole frame with its link header.  Queue @q is locked, others' locks may
	 * be held: never waits, allocates little.  @more: another one follows at once, so that the
	 * doorbell can wait for it, unless this one stops the queue.
	 *
	 * A queue that has no room for another packet of any size afterwards is stopped by
	 * lx_netdev_stop_queue(), before this returns; xmit is called again after
	 * lx_netdev_wake_queue().  A packet that cannot be sent is freed and counted
	 * (tx_dropped, tx_errors); sent ones are counted (tx_packets, tx_bytes) by this.
	 */
	void (*xmit)(struct lx_netdev *dev, unsigned int q, struct lx_pbuf *p, bool more);
	/* config_lock held.  NULL: any value within mtu_min and mtu_max is fine.  0 or an errno. */
	int (*set_mtu)(struct lx_netdev *dev, uint32_t mtu);
	/* The same of the address (addr_len bytes); NULL: it cannot be changed (-EOPNOTSUPP). */
	int (*set_address)(struct lx_netdev *dev, const uint8_t *address);
	/*
	 * config_lock held.  Which frames are wanted has changed: dev->flags has IFF_PROMISC or
	 * IFF_ALLMULTI, and if dev->multicast is not 0 multicast ones are wanted, too.  May be NULL:
	 * it passes everything up.
	 */
	void (*set_rx_mode)(struct lx_netdev *dev);
	/* Mbit/s and LX_DUPLEX_*; false: unknown.  config_lock held; NULL: never known. */
	bool (*link_settings)(struct lx_netdev *dev, uint32_t *speed, uint8_t *duplex);
	/* No reference is left: free what lx_netdev_private() refers to.  May be NULL. */
	void (*release)(struct lx_netdev *dev);
};

/* A queue for sending, and the counters of it and of the receive queue of the same number. */
struct lx_netdev_queue {
	struct rt_mutex lock;		/* rank LX_LOCK_NETDEV_QUEUE; held over xmit */
	bool running;			/* lock: IFF_UP and registered; xmit may be called */
	_Atomic(bool) stopped;		/* set by xmit with lock held; cleared by lx_netdev_wake_queue() */
	uint32_t waiting;		/* lock: packets in backlog */
	struct list backlog;		/* lock: of lx_pbuf.link, for when the queue goes on */
	struct lx_netdev_stats stats;	/* a cache line and more: another queue's lock is not near */
};

struct lx_netdev {
	/* Before registering; constant afterwards. */
	const struct lx_netdev_ops *ops;
	uint16_t type;			/* ARPHRD_* (ARPHRD_ETHER) */
	uint8_t addr_len;		/* bytes of addresses (6) */
	uint16_t header_len;		/* bytes of the link's header (14) */
	uint32_t features;		/* LX_NETDEV_* */
	uint32_t mtu_min, mtu_max;	/* 68 and 1500; mtu_max 0: no limit */
	uint64_t broadcast;		/* as address below; ff:ff:ff:ff:ff:ff */
	const char *parent;		/* its device in sysfs ("virtio-net.0"), or NULL; the driver's string */
	unsigned int nr_queues;
	bool is_virtual;		/* nothing behind it has a link: operstate is "unknown" */

	/* Constant once registered. */
	struct lx_netns *ns;		/* no reference: it outlives its devices */
	int ifindex;

	_Atomic(uint32_t) refs;		/* the table's, and of whoever has a pointer */
	struct list link;		/* in ns->devices: by its locks */
	bool registered;		/* ns->config_lock */
	char name[LX_IFNAMSIZ];		/* ns->config_lock and devices_lock to write, one to read */
	/* ns->config_lock: counts of who asked for all frames, for all multicast ones, for some of these */
	uint32_t promiscuity, allmulti, multicast;
	uint32_t asked_flags;		/* ns->config_lock: IFF_PROMISC and IFF_ALLMULTI that a program set by itself */

	/* Written with ns->config_lock held, read at any time; each is a fact by itself: relaxed. */
	_Atomic(uint32_t) flags;	/* IFF_*; IFF_RUNNING and IFF_LOWER_UP are not kept here */
	_Atomic(uint32_t) mtu;		/* bytes, without the link's header */
	_Atomic(uint32_t) tx_queue_len;	/* packets that wait for each stopped queue at most */
	_Atomic(uint64_t) address;	/* the first byte lowest */
	_Atomic(uint32_t) carrier_changes;
	/* Written by lx_netdev_set_carrier(), read at any time. */
	_Atomic(bool) carrier;

	struct lx_netdev_queue queue[];	/* nr_queues */
};

/*
 * A device of type Ethernet: MTU 1500, flags BROADCAST and MULTICAST, no carrier, no address.
 * @name may have one %d, which registering replaces by the first free number.  @size bytes of
 * zeros come with it.  One reference, the caller's.  NULL: no memory, or a bad argument.
 */
struct lx_netdev *lx_netdev_alloc(const char *name, const struct lx_netdev_ops *ops, size_t size,
				  unsigned int nr_queues);
void *lx_netdev_private(struct lx_netdev *dev);
/*
 * Into the namespace: named, numbered, visible; down.  May wait (config_lock).  0; -EEXIST: the
 * name is in use; -ENFILE: no number is free for the pattern; -EINVAL: not a name; -ENOMEM.
 */
int lx_netdev_register(struct lx_netns *ns, struct lx_netdev *dev);
/*
 * Out of it: stopped first, listeners told.  No op but release() runs afterwards, and what
 * lx_netdev_receive() still brings is dropped.  May wait; not from within an op.
 */
void lx_netdev_unregister(struct lx_netdev *dev);

struct lx_netdev *lx_netdev_get(struct lx_netdev *dev);
void lx_netdev_put(struct lx_netdev *dev);	/* NULL is fine */
/* With a reference; NULL: there is none. */
struct lx_netdev *lx_netdev_by_name(struct lx_netns *ns, const char *name);
struct lx_netdev *lx_netdev_by_index(struct lx_netns *ns, int ifindex);
/* The one of the lowest number above @ifindex: to go through all, from 0 on. */
struct lx_netdev *lx_netdev_after(struct lx_netns *ns, int ifindex);

/* -- for drivers */

/* Before registering, or from op set_address (which need not: the core does): addr_len bytes. */
void lx_netdev_set_address(struct lx_netdev *dev, const uint8_t *address);
/*
 * The link is there, or is not (at first it is not).  Without locks of the network's, by no thread
 * that an op waits for: it may wait (config_lock) to tell who listens.
 */
void lx_netdev_set_carrier(struct lx_netdev *dev, bool carrier);

/*
 * A frame has come in by queue @q: takes @p over.  It begins with the link's header; csum and gso
 * say what the device knows.  From a thread of the driver's, or of anybody who sends to a device
 * in this machine: without any lock held, since it may take mutexes of protocols and sockets; it
 * does not wait for programs.  A device that is not up drops it.  Counts the frame.  What was
 * answered to this machine itself is delivered, too (lx_net_deliver()).
 */
void lx_netdev_receive(struct lx_netdev *dev, unsigned int q, struct lx_pbuf *p);

/* From within xmit, under the queue's lock. */
void lx_netdev_stop_queue(struct lx_netdev *dev, unsigned int q);
/*
 * There is room again: what waited is sent, in this thread.  Without locks of the network's, after
 * the ring has its room: the queue's lock orders that with an xmit that stops the queue, so
 * that no waking is lost.  Once for all packets that the device is done with is enough.
 */
void lx_netdev_wake_queue(struct lx_netdev *dev, unsigned int q);
static inline bool lx_netdev_is_stopped(struct lx_netdev *dev, unsigned int q)
{
	return atomic_load_explicit(&dev->queue[q].stopped, memory_order_acquire);
}

/* -- for protocols and sockets */

/*
 * Send a frame, with its link header: takes @p over.  The queue is chosen by p->hash.  Taps see it.
 * What the device cannot do of checksums is done here.  Any locks below LX_LOCK_NETDEV_QUEUE
 * may be held; afterwards, when none is, the thread calls lx_net_deliver().
 *
 * 0: it is on its way, or waits for the queue; -ENETDOWN: the device is not up; -ENOBUFS: as many
 * wait as may; -EINVAL: it asks for what the device cannot do (segmentation), or a checksum outside.
 */
int lx_netdev_xmit(struct lx_netdev *dev, struct lx_pbuf *p);
/*
 * What was sent to this machine by lo, with locks held perhaps, is received now: without any lock.
 * Everything that may have sent calls this before it returns to its program or sleeps, but for
 * what runs within a receive: it is called from here.  May wait for another thread that is at it.
 */
void lx_net_deliver(struct lx_netns *ns);
/*
 * The same for the thread of timers, which another may wait for while it receives (lx_timer_cancel()):
 * what another thread is delivering is left to that one.
 */
void lx_net_deliver_nowait(struct lx_netns *ns);
/* The same for who holds locks and will not be the one to let them go: the thread of timers does it, soon. */
void lx_net_deliver_later(struct lx_netns *ns);

/* The link's header in front of the packet: 0, or -ENOMEM.  @src NULL: the device's own address. */
int lx_netdev_push_header(struct lx_netdev *dev, struct lx_pbuf *p, uint16_t protocol,
			  const uint8_t *dst, const uint8_t *src);

/* IFF_* as programs see them: with IFF_RUNNING, IFF_LOWER_UP. */
uint32_t lx_netdev_flags(const struct lx_netdev *dev);
uint8_t lx_netdev_operstate(const struct lx_netdev *dev);	/* IF_OPER_* */
static inline bool lx_netdev_is_up(const struct lx_netdev *dev)
{
	return atomic_load_explicit(&dev->flags, memory_order_relaxed) & 1u;	/* IFF_UP */
}
bool lx_netdev_has_carrier(const struct lx_netdev *dev);
/* The address; bytes from addr_len on are zeros. */
void lx_netdev_address(const struct lx_netdev *dev, uint8_t address[LX_NETDEV_ADDR]);
struct rtnl_link_stats64;
void lx_netdev_stats(struct lx_netdev *dev, struct rtnl_link_stats64 *out);

/* -- changes: config_lock of the namespace held.  0 or an errno, as Linux has them. */
/* Of the flags that a program may set, those in @mask become as in @flags. */
int lx_netdev_change_flags(struct lx_netdev *dev, uint32_t flags, uint32_t mask);
int lx_netdev_change_mtu(struct lx_netdev *dev, int mtu);
int lx_netdev_change_name(struct lx_netdev *dev, const char *name);
int lx_netdev_change_address(struct lx_netdev *dev, const uint8_t *address);
int lx_netdev_change_tx_queue_len(struct lx_netdev *dev, int packets);
/* Count somebody in (+1) or out (-1) who wants all frames, all multicast ones, some multicast ones. */
void lx_netdev_promiscuity(struct lx_netdev *dev, int change);
void lx_netdev_allmulti(struct lx_netdev *dev, int change);
void lx_netdev_multicast(struct lx_netdev *dev, int change);

enum lx_netdev_event {
	LX_NETDEV_REGISTERED, LX_NETDEV_UP, LX_NETDEV_DOWN, LX_NETDEV_CARRIER, LX_NETDEV_CHANGED,
	LX_NETDEV_UNREGISTERED,
};

/* Who wants to know what happens to devices of a namespace: told with config_lock held. */
struct lx_netdev_listener {
	struct list link;		/* ns->config_lock */
	void (*event)(struct lx_netdev_listener *l, struct lx_netdev *dev, enum lx_netdev_event e);
};
