/* SPDX-License-Identifier: MIT */
/*
 * Frames on their way out of and into devices.
 *
 * Out: checked, shown to the taps, and given to the driver under the queue's lock; while the
 * driver has no room (the queue is stopped) packets wait in the queue's backlog, in order, and
 * whoever makes room sends them.
 *
 * In: the link's header is read and taken off, the taps see the packet, then it is its protocol's.
 *
 * Invariants of a queue, under its lock:
 *   (1) backlog is empty unless the queue is stopped.
 *   (2) A queue that does not run is not stopped, has no backlog, and xmit is not called for it.
 */
#include <linux/if.h>

#include "inet/inet.h"
#include "net/netdev_priv.h"
#include "net/tap.h"

/* -- out */

static unsigned int queue_of(const struct lx_netdev *dev, const struct lx_pbuf *p)
{
	return dev->nr_queues == 1 ? 0 : p->hash % dev->nr_queues;
}

static uint32_t gso_feature(uint8_t gso)
{
	switch (gso & ~LX_GSO_ECN) {
	case LX_GSO_TCPV4:
		return LX_NETDEV_TSO4;
	case LX_GSO_TCPV6:
		return LX_NETDEV_TSO6;
	case LX_GSO_UDP:
		return LX_NETDEV_USO;
	}
	return ~0u;			/* nobody can */
}

/* Make the packet one that the device can send: 0, -EINVAL, -ENOMEM. */
static int fit(const struct lx_netdev *dev, struct lx_pbuf *p)
{
	if (p->gso != LX_GSO_NONE) {
		uint32_t need = gso_feature(p->gso) | (p->gso & LX_GSO_ECN ? LX_NETDEV_TSO_ECN : 0);

		if ((dev->features & need) != need)
			return -EINVAL;
	}
	if (p->csum == LX_CSUM_PARTIAL && !(dev->features & LX_NETDEV_CSUM))
		return lx_pbuf_complete_csum(p);
	return 0;
}

static int drop(struct lx_netdev_queue *q, struct lx_pbuf *p, int err)
{
	lx_netdev_count(&q->stats.tx_dropped, 1);
	lx_pbuf_free(p);
	return err;
}

/* Queue locked. */
static int xmit_locked(struct lx_netdev *dev, unsigned int nr, struct lx_pbuf *p)
{
	struct lx_netdev_queue *q = &dev->queue[nr];

	if (!q->running)
		return drop(q, p, -ENETDOWN);
	if (!lx_netdev_is_stopped(dev, nr)) {
		dev->ops->xmit(dev, nr, p, false);
		return 0;
	}
	if (q->waiting >= atomic_load_explicit(&dev->tx_queue_len, memory_order_relaxed))
		return drop(q, p, -ENOBUFS);
	list_add_last(&q->backlog, &p->link);
	q->waiting++;
	return 0;
}

int lx_netdev_xmit(struct lx_netdev *dev, struct lx_pbuf *p)
{
	unsigned int nr = queue_of(dev, p);
	struct lx_netdev_queue *q = &dev->queue[nr];
	int err;

	if (!lx_netdev_is_up(dev))
		return drop(q, p, -ENETDOWN);
	err = fit(dev, p);
	if (err)
		return drop(q, p, err);
	net_tap_sent(dev, p);
	rt_mutex_lock(&q->lock);
	err = xmit_locked(dev, nr, p);
	rt_mutex_unlock(&q->lock);
	return err;
}

void lx_netdev_stop_queue(struct lx_netdev *dev, unsigned int q)
{
	/* read without the lock too, by who only wants to know: as good as any moment's answer */
	atomic_store_explicit(&dev->queue[q].stopped, true, memory_order_release);
}

void lx_netdev_wake_queue(struct lx_netdev *dev, unsigned int nr)
{
	struct lx_netdev_queue *q = &dev->queue[nr];
	struct lx_pbuf *p;

	rt_mutex_lock(&q->lock);
	atomic_store_explicit(&q->stopped, false, memory_order_release);
	while (!lx_netdev_is_stopped(dev, nr) &&
	       (p = list_pop_entry(&q->backlog, struct lx_pbuf, link))) {
		q->waiting--;
		dev->ops->xmit(dev, nr, p, !list_is_empty(&q->backlog));
	}
	rt_mutex_unlock(&q->lock);
}

void netdev_queues_start(struct lx_netdev *dev)
{
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		struct lx_netdev_queue *q = &dev->queue[i];

		rt_mutex_lock(&q->lock);
		q->running = true;
		rt_mutex_unlock(&q->lock);
	}
}

void netdev_queues_stop(struct lx_netdev *dev)
{
	struct list dead;

	list_init(&dead);
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		struct lx_netdev_queue *q = &dev->queue[i];

		rt_mutex_lock(&q->lock);
		q->running = false;
		q->waiting = 0;
		atomic_store(&q->stopped, false);
		list_splice_last(&dead, &q->backlog);
		rt_mutex_unlock(&q->lock);
	}
	lx_pbuf_free_list(&dead);
}

/* -- in */

void netdev_receive_counted(struct lx_netdev *dev, struct lx_netdev_stats *stats, struct lx_pbuf *p)
{
	bool was_seen;

	p->ifindex = dev->ifindex;
	was_seen = net_tap_received(dev, p);
	if (inet_receive(dev, p))
		return;
	if (!was_seen)
		lx_netdev_count(&stats->rx_dropped, 1);
	lx_pbuf_free(p);
}

void lx_netdev_receive(struct lx_netdev *dev, unsigned int nr, struct lx_pbuf *p)
{
	struct lx_netdev_stats *stats = &dev->queue[nr].stats;
	uint32_t len = p->len;

	if (!lx_netdev_is_up(dev)) {
		lx_netdev_count(&stats->rx_dropped, 1);
		lx_pbuf_free(p);
		return;
	}
	if (!ethernet_receive(dev, p)) {
		lx_netdev_count(&stats->rx_errors, 1);
		lx_netdev_count(&stats->rx_length_errors, 1);
		lx_pbuf_free(p);
		return;
	}
	lx_netdev_count(&stats->rx_packets, 1);
	lx_netdev_count(&stats->rx_bytes, len);
	if (p->pkttype == LX_PKT_MULTICAST)
		lx_netdev_count(&stats->multicast, 1);
	netdev_receive_counted(dev, stats, p);
	lx_net_deliver(dev->ns);
}
