/* SPDX-License-Identifier: MIT */
/* Devices on the host: names, queues that stop, coming and going, lo with many senders at once. */
#include "test/host/rig_test.h"

#include <linux/if.h>
#include <linux/if_link.h>

#include "net/tap.h"

static struct lx_netns *begin(void)
{
	static bool started;

	if (!started) {
		rig_start();
		CHECK_EQ(lx_net_init(), 0);
	}
	started = true;
	rig_reset();
	return lx_netns_create();
}

static int set_up(struct lx_netdev *dev, bool up)
{
	int err;

	rt_mutex_lock(&dev->ns->config_lock);
	err = lx_netdev_change_flags(dev, up ? IFF_UP : 0, IFF_UP);
	rt_mutex_unlock(&dev->ns->config_lock);
	return err;
}

/* -- a card with a ring of a few places */

#define RING 4u

struct card {
	struct lx_pbuf *ring[RING];
	unsigned int used;
	unsigned int opened, stopped, freed;
	unsigned int *released;
};

static int card_open(struct lx_netdev *dev)
{
	struct card *c = lx_netdev_private(dev);

	c->opened++;
	return 0;
}

static void card_stop(struct lx_netdev *dev)
{
	struct card *c = lx_netdev_private(dev);

	c->stopped++;
	while (c->used)
		lx_pbuf_free(c->ring[--c->used]);
}

static void card_xmit(struct lx_netdev *dev, unsigned int q, struct lx_pbuf *p, bool more)
{
	struct card *c = lx_netdev_private(dev);

	CHECK(c->used < RING);
	CHECK(rt_mutex_held(&dev->queue[q].lock));
	c->ring[c->used++] = p;
	if (c->used == RING)
		lx_netdev_stop_queue(dev, q);
}

static void card_release(struct lx_netdev *dev)
{
	struct card *c = lx_netdev_private(dev);

	++*c->released;
}

static const struct lx_netdev_ops card_ops = {
	.open = card_open, .stop = card_stop, .xmit = card_xmit, .release = card_release,
};

static struct lx_netdev *new_card(const char *name, unsigned int *released)
{
	struct lx_netdev *dev = lx_netdev_alloc(name, &card_ops, sizeof(struct card), 1);
	struct card *c = lx_netdev_private(dev);

	c->released = released;
	return dev;
}

static struct lx_pbuf *frame(struct lx_netns *ns, uint32_t number)
{
	static const uint8_t nobody[6];
	struct lx_pbuf *p = lx_pbuf_alloc(ns->pool, LX_PBUF_HEADROOM, 100);

	if (!p)
		return NULL;
	memcpy(lx_pbuf_put(p, sizeof(number)), &number, sizeof(number));
	CHECK_EQ(lx_netdev_push_header(ns->loopback, p, 0x88b5, nobody, NULL), 0);
	return p;
}

static uint32_t number_of(const struct lx_pbuf *p)
{
	uint32_t n = 0;

	lx_pbuf_read(p, 14, &n, sizeof(n));
	return n;
}

TEST(names_are_numbered_and_numbers_are_never_used_again)
{
	struct lx_netns *ns = begin();
	struct lx_netdev *a, *b, *c;
	unsigned int released = 0;

	a = new_card("eth%d", &released);
	b = new_card("eth%d", &released);
	c = new_card("eth1", &released);
	CHECK_EQ(lx_netdev_register(ns, a), 0);
	CHECK_EQ(lx_netdev_register(ns, b), 0);
	CHECK_STR(a->name, "eth0");
	CHECK_STR(b->name, "eth1");
	CHECK_EQ(a->ifindex, 2);
	CHECK_EQ(b->ifindex, 3);
	CHECK_EQ(lx_netdev_register(ns, c), -EEXIST);
	lx_netdev_unregister(b);
	lx_netdev_put(b);
	CHECK_EQ(released, 1);
	CHECK(!lx_netdev_by_index(ns, 3));
	CHECK_EQ(lx_netdev_register(ns, c), 0);
	CHECK_EQ(c->ifindex, 4);
	/* it is of no use any more, but there, for who has a reference */
	lx_netdev_get(c);
	lx_netdev_unregister(c);
	lx_netdev_put(c);
	CHECK_EQ(released, 1);
	CHECK_EQ(lx_netdev_xmit(c, frame(ns, 1)), -ENETDOWN);
	CHECK_EQ(set_up(c, true), -ENODEV);
	lx_netdev_put(c);
	CHECK_EQ(released, 2);
	lx_netdev_unregister(a);
	lx_netdev_put(a);
	CHECK(!lx_netdev_alloc("a-name-too-long-for-it", &card_ops, 0, 1));
	CHECK(!lx_netdev_alloc("x", &card_ops, 0, 0));
	lx_netns_put(ns);
}

TEST(packets_wait_for_a_stopped_queue_in_order)
{
	struct lx_netns *ns = begin();
	unsigned int released = 0;
	struct lx_netdev *dev = new_card("eth%d", &released);
	struct card *c = lx_netdev_private(dev);
	uint32_t next = 0;

	CHECK_EQ(lx_netdev_register(ns, dev), 0);
	CHECK_EQ(lx_netdev_xmit(dev, frame(ns, 0)), -ENETDOWN);
	CHECK_EQ(set_up(dev, true), 0);
	atomic_store(&dev->tx_queue_len, 10);
	for (uint32_t i = 0; i < RING + 10; i++)
		CHECK_EQ(lx_netdev_xmit(dev, frame(ns, i)), 0);
	CHECK_EQ(lx_netdev_xmit(dev, frame(ns, 99)), -ENOBUFS);
	CHECK(lx_netdev_is_stopped(dev, 0));
	while (c->used) {
		/* the card is done with two, and says so */
		for (unsigned int i = 0; i < 2; i++) {
			CHECK_EQ(number_of(c->ring[i]), next++);
			lx_pbuf_free(c->ring[i]);
		}
		memmove(c->ring, c->ring + 2, (c->used - 2) * sizeof(c->ring[0]));
		c->used -= 2;
		lx_netdev_wake_queue(dev, 0);
	}
	CHECK_EQ(next, RING + 10);
	CHECK(!lx_netdev_is_stopped(dev, 0));
	/* down: what waits goes, and nothing comes after it */
	for (uint32_t i = 0; i < RING + 5; i++)
		CHECK_EQ(lx_netdev_xmit(dev, frame(ns, i)), 0);
	CHECK_EQ(set_up(dev, false), 0);
	CHECK_EQ(c->stopped, 1);
	CHECK_EQ(lx_pbuf_pool_used(ns->pool), 0);
	lx_netdev_wake_queue(dev, 0);
	CHECK_EQ(c->used, 0);
	CHECK_EQ(set_up(dev, true), 0);
	CHECK_EQ(lx_netdev_xmit(dev, frame(ns, 7)), 0);
	CHECK_EQ(c->used, 1);
	lx_netdev_unregister(dev);
	CHECK_EQ(c->stopped, 2);
	lx_netdev_put(dev);
	CHECK_EQ(released, 1);
	lx_netns_put(ns);
}

TEST(what_a_device_cannot_do_is_done_for_it_or_refused)
{
	struct lx_netns *ns = begin();
	unsigned int released = 0;
	struct lx_netdev *dev = new_card("eth%d", &released);
	struct card *c = lx_netdev_private(dev);
	struct lx_pbuf *p;

	CHECK_EQ(lx_netdev_register(ns, dev), 0);
	CHECK_EQ(set_up(dev, true), 0);
	p = frame(ns, 1);
	CHECK(lx_pbuf_set_csum(p, 14, 2));
	CHECK_EQ(lx_netdev_xmit(dev, p), 0);
	CHECK_EQ(c->ring[0]->csum, LX_CSUM_NONE);
	p = frame(ns, 1);
	p->gso = LX_GSO_TCPV4;
	CHECK_EQ(lx_netdev_xmit(dev, p), -EINVAL);
	p = frame(ns, 1);
	p->csum = LX_CSUM_PARTIAL;
	p->csum_at = UINT16_MAX;
	CHECK_EQ(lx_netdev_xmit(dev, p), -EINVAL);
	lx_netdev_unregister(dev);
	lx_netdev_put(dev);
	lx_netns_put(ns);
}

TEST(broken_frames_are_counted)
{
	struct lx_netns *ns = begin();
	unsigned int released = 0;
	struct lx_netdev *dev = new_card("eth%d", &released);
	struct rtnl_link_stats64 s;
	struct lx_pbuf *p;

	CHECK_EQ(lx_netdev_register(ns, dev), 0);
	p = lx_pbuf_alloc(ns->pool, LX_PBUF_RX_HEADROOM, 100);
	lx_pbuf_put(p, 50);
	lx_netdev_receive(dev, 0, p);	/* it is down */
	CHECK_EQ(set_up(dev, true), 0);
	for (uint32_t n = 0; n < 20; n++) {
		p = lx_pbuf_alloc(ns->pool, LX_PBUF_RX_HEADROOM, 100);
		memset(lx_pbuf_put(p, n), 0xff, n);
		lx_netdev_receive(dev, 0, p);
	}
	lx_netdev_stats(dev, &s);
	CHECK_EQ(s.rx_errors, 14);
	CHECK_EQ(s.rx_length_errors, 14);
	CHECK_EQ(s.rx_packets, 6);
	CHECK_EQ(s.rx_dropped, 1 + 6);	/* nobody wanted the good ones */
	CHECK_EQ(lx_pbuf_pool_used(ns->pool), 0);
	lx_netdev_unregister(dev);
	lx_netdev_put(dev);
	lx_netns_put(ns);
}

/* -- lo */

#define SENDERS 4u
#define EACH	3000u

struct counter {
	struct net_tap tap;
	struct rt_mutex lock;		/* rank LX_LOCK_PACKET */
	uint32_t next[SENDERS], seen;	/* lock */
	bool is_disordered;		/* lock */
};

static void count(struct net_tap *tap, struct lx_netdev *dev, const struct lx_pbuf *p, uint8_t pkttype)
{
	struct counter *c = container_of(tap, struct counter, tap);
	uint32_t n = 0, who;

	lx_pbuf_read(p, 0, &n, sizeof(n));
	who = n >> 24;
	rt_mutex_lock(&c->lock);
	c->is_disordered |= who >= SENDERS || c->next[who % SENDERS] != (n & 0xffffff);
	c->next[who % SENDERS]++;
	c->seen++;
	rt_mutex_unlock(&c->lock);
}

static struct lx_netns *shared;
static _Atomic(uint32_t) dropped;

static void send_many(void *arg)
{
	uint32_t who = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < EACH; i++) {
		struct lx_pbuf *p = frame(shared, who << 24 | i);

		p->hash = who % 2;	/* two of them share a queue */
		if (lx_netdev_xmit(shared->loopback, p))
			atomic_fetch_add(&dropped, 1);
		lx_net_deliver(shared);
	}
}

TEST(loopback_keeps_the_order_of_many_senders_and_loses_nothing)
{
	struct counter c = { .tap = { .protocol = 0x88b5, .deliver = count } };
	struct lx_task *task[SENDERS];

	shared = begin();
	rt_mutex_init(&c.lock, LX_LOCK_PACKET);
	CHECK_EQ(set_up(shared->loopback, true), 0);
	net_tap_add(shared, &c.tap);
	for (uintptr_t i = 0; i < SENDERS; i++)
		task[i] = rig_task(send_many, (void *)i);
	for (unsigned int i = 0; i < SENDERS; i++)
		rig_join(task[i]);
	/* all of it was delivered by the time that the last sender came back */
	CHECK_EQ(c.seen, SENDERS * EACH);
	CHECK(!c.is_disordered);
	CHECK_EQ(dropped, 0);
	CHECK_EQ(lx_pbuf_pool_used(shared->pool), 0);
	net_tap_remove(shared, &c.tap);
	lx_netns_put(shared);
}

/* Up, down and renamed while others send. */
TEST(loopback_survives_changes_under_load)
{
	struct lx_task *task[SENDERS];

	shared = begin();
	for (uintptr_t i = 0; i < SENDERS; i++)
		task[i] = rig_task(send_many, (void *)i);
	for (unsigned int i = 0; i < 200; i++) {
		CHECK_EQ(set_up(shared->loopback, i & 1), 0);
		rt_mutex_lock(&shared->config_lock);
		CHECK_EQ(lx_netdev_change_name(shared->loopback, i & 1 ? "lo" : "other"), 0);
		rt_mutex_unlock(&shared->config_lock);
	}
	for (unsigned int i = 0; i < SENDERS; i++)
		rig_join(task[i]);
	lx_net_deliver(shared);
	CHECK_EQ(lx_pbuf_pool_used(shared->pool), 0);
	lx_netns_put(shared);
}

TEST(namespaces_end_without_memory_too)
{
	begin();
	for (unsigned int n = 1; n < 120; n++) {
		struct lx_netns *ns;

		rig_fail_alloc(n);
		ns = lx_netns_create();
		rig_fail_alloc(0);
		lx_netns_put(ns);
	}
}
