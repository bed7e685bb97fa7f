/* SPDX-License-Identifier: MIT */
/*
 * lo: what is sent to it is received from it, the same buffer, nothing copied or summed.
 *
 * Receiving takes locks of sockets, and who sends may hold one (a connection's, while it sends a
 * segment).  So xmit only queues, and the sender receives what it sent once it holds no lock any
 * more: lx_net_deliver().  That costs no switch to another thread, and the only wake-up is that of
 * the program that waits for the data.
 *
 * A queue is delivered by one thread at a time, in order; which thread that is does not matter, so
 * one that comes while another is at it leaves its packets to that one.  It may have been preempted,
 * though: if the queue has grown long, who has sent waits for it, since what would come next
 * might find no room.  There are several queues, chosen by the flow's hash, so that different
 * connections are delivered on different CPUs.
 */
#include <linux/if.h>
#include <linux/if_arp.h>

#include "lx/timer.h"
#include "net/netdev_priv.h"
#include "rt/time.h"

#define QUEUES		8u
#define QUEUE_MAX	1000u		/* packets on their way, as net.core.netdev_max_backlog */
#define QUEUE_LONG	64u		/* from here on senders wait for the one that delivers */
#define LOOPBACK_MTU	65536u

struct loopback {
	struct lx_netdev *dev;		/* constant: whose it is */
	struct lx_timer later;		/* for lx_net_deliver_later() */
	_Atomic(uint32_t) pending;	/* bits of queues with packets; changed with the queue's lock held */
	struct lane {			/* by the lock of the device's queue of the same number */
		struct list packets;	/* of lx_pbuf.link */
		uint32_t count;
		uint32_t waiting;	/* threads, on turn */
		bool is_delivering;
		_Atomic(uint32_t) turn;	/* changes when they should look again; changed with the lock held */
	} lane[QUEUES];
};

static int loopback_open(struct lx_netdev *dev)
{
	return 0;
}

/* Frames on their way are received by a device that is down, which drops them. */
static void loopback_stop(struct lx_netdev *dev)
{
}

static void loopback_xmit(struct lx_netdev *dev, unsigned int q, struct lx_pbuf *p, bool more)
{
	struct loopback *lo = lx_netdev_private(dev);
	struct lx_netdev_stats *stats = &dev->queue[q].stats;
	struct lane *lane = &lo->lane[q];

	if (lane->count >= QUEUE_MAX) {
		lx_netdev_count(&stats->rx_dropped, 1);
		lx_pbuf_free(p);
		return;
	}
	/* it is sent: the sender's room is free, however long the receiver keeps it */
	lx_pbuf_orphan(p);
	/* as Linux counts here: without the header */
	lx_netdev_count(&stats->tx_packets, 1);
	lx_netdev_count(&stats->tx_bytes, p->len - ETHERNET_HEADER);
	list_add_last(&lane->packets, &p->link);
	lane->count++;
	atomic_fetch_or_explicit(&lo->pending, 1u << q, memory_order_relaxed);
}

static void loopback_release(struct lx_netdev *dev)
{
	struct loopback *lo = lx_netdev_private(dev);

	for (unsigned int i = 0; i < QUEUES; i++)
		lx_pbuf_free_list(&lo->lane[i].packets);
}

static const struct lx_netdev_ops ops = {
	.open = loopback_open, .stop = loopback_stop, .xmit = loopback_xmit,
	.release = loopback_release, .set_address = ethernet_set_address,
};

static void receive(struct lx_netdev *dev, struct lx_netdev_stats *stats, struct lx_pbuf *p)
{
	if (!lx_netdev_is_up(dev) || !ethernet_receive(dev, p)) {
		lx_netdev_count(&stats->rx_dropped, 1);
		lx_pbuf_free(p);
		return;
	}
	lx_netdev_count(&stats->rx_packets, 1);
	lx_netdev_count(&stats->rx_bytes, p->len);
	netdev_receive_counted(dev, stats, p);
}

/* Queue locked, and unlocked afterwards; those who wait look again. */
static void unlock_and_wake(struct lx_netdev_queue *q, struct lane *lane)
{
	bool any = lane->waiting;

	if (any)
		atomic_fetch_add(&lane->turn, 1);
	rt_mutex_unlock(&q->lock);
	if (any)
		rt_wake(&lane->turn, UINT32_MAX);
}

/* Until the one that delivers has made the queue short, or is done.  Queue locked. */
static void wait_for_deliverer(struct lx_netdev_queue *q, struct lane *lane)
{
	while (lane->is_delivering && lane->count > QUEUE_LONG) {
		uint32_t turn = atomic_load(&lane->turn);

		lane->waiting++;
		rt_mutex_unlock(&q->lock);
		/* not interruptible: it waits for nothing but locks and a CPU */
		(void)rt_wait(&lane->turn, turn, K_DEADLINE_NEVER, false);
		rt_mutex_lock(&q->lock);
		lane->waiting--;
	}
}

/* False: another thread is at it; @may_wait: it is waited for if the queue is long. */
static bool deliver_queue(struct lx_netdev *dev, struct loopback *lo, unsigned int nr, bool may_wait)
{
	struct lx_netdev_queue *q = &dev->queue[nr];
	struct lane *lane = &lo->lane[nr];
	struct lx_pbuf *p;

	rt_mutex_lock(&q->lock);
	if (may_wait)
		wait_for_deliverer(q, lane);
	if (lane->is_delivering) {
		rt_mutex_unlock(&q->lock);
		return false;
	}
	lane->is_delivering = true;
	while ((p = list_pop_entry(&lane->packets, struct lx_pbuf, link))) {
		if (--lane->count == QUEUE_LONG / 2)
			unlock_and_wake(q, lane);
		else
			rt_mutex_unlock(&q->lock);
		receive(dev, &q->stats, p);
		rt_mutex_lock(&q->lock);
	}
	atomic_fetch_and_explicit(&lo->pending, ~(1u << nr), memory_order_relaxed);
	lane->is_delivering = false;
	unlock_and_wake(q, lane);
	return true;
}

static void deliver(struct lx_netns *ns, bool may_wait)
{
	struct loopback *lo = lx_netdev_private(ns->loopback);
	uint32_t others = 0, pending;

	/*
	 * The bits of what this thread has sent are there: it has set them itself, or found them set.
	 * Receiving may send in turn.
	 */
	while ((pending = atomic_load_explicit(&lo->pending, memory_order_relaxed) & ~others)) {
		unsigned int nr = (unsigned int)__builtin_ctz(pending);

		if (!deliver_queue(ns->loopback, lo, nr, may_wait))
			others |= 1u << nr;
	}
}

void lx_net_deliver(struct lx_netns *ns)
{
	deliver(ns, true);
}

void lx_net_deliver_nowait(struct lx_netns *ns)
{
	deliver(ns, false);
}

static void later(struct lx_timer *t)
{
	/* what is received may be the last of a connection, which may be the last of a namespace */
	struct lx_netns *ns = lx_netns_get_unless_ending(container_of(t, struct loopback, later)->dev->ns);

	if (!ns)
		return;
	lx_net_deliver_nowait(ns);
	lx_netns_put(ns);
}

void lx_net_deliver_later(struct lx_netns *ns)
{
	struct loopback *lo = lx_netdev_private(ns->loopback);

	if (atomic_load_explicit(&lo->pending, memory_order_relaxed))
		lx_timer_set(&lo->later, rt_now_ns());
}

void loopback_end(struct lx_netns *ns)
{
	struct loopback *lo = lx_netdev_private(ns->loopback);

	lx_timer_cancel(&lo->later);
	lx_netdev_unregister(ns->loopback);
	lx_netdev_put(ns->loopback);
}

int loopback_create(struct lx_netns *ns)
{
	struct lx_netdev *dev = lx_netdev_alloc("lo", &ops, sizeof(struct loopback), QUEUES);
	struct loopback *lo;
	int err;

	if (!dev)
		return -ENOMEM;
	lo = lx_netdev_private(dev);
	lo->dev = dev;
	lx_timer_init(&lo->later, later, LX_TIMER_MONOTONIC);
	for (unsigned int i = 0; i < QUEUES; i++)
		list_init(&lo->lane[i].packets);
	dev->type = ARPHRD_LOOPBACK;
	dev->features = LX_NETDEV_CSUM | LX_NETDEV_TSO4 | LX_NETDEV_TSO6 | LX_NETDEV_TSO_ECN |
			LX_NETDEV_USO | LX_NETDEV_RX_CSUM | LX_NETDEV_LRO;
	dev->mtu_min = 0;
	dev->mtu_max = 0;
	dev->broadcast = 0;
	dev->is_virtual = true;
	atomic_store(&dev->flags, IFF_LOOPBACK);
	atomic_store(&dev->mtu, LOOPBACK_MTU);
	ns->loopback = dev;		/* the reference of its making */
	err = lx_netdev_register(ns, dev);
	if (err) {
		ns->loopback = NULL;
		lx_netdev_put(dev);
	}
	return err;
}
