/* SPDX-License-Identifier: MIT */
/*
 * The table of neighbours.
 *
 *	(none) --packet--> INCOMPLETE --answer--> REACHABLE --time--> STALE --packet--> DELAY
 *	INCOMPLETE --three questions to all--> FAILED		DELAY --5 s--> PROBE
 *	PROBE --answer--> REACHABLE	PROBE --three questions to it--> FAILED --packet--> INCOMPLETE
 *
 * REACHABLE becomes STALE when somebody looks, and DELAY becomes REACHABLE if what was sent was answered
 * meanwhile.  While anybody is in INCOMPLETE, DELAY or PROBE a timer looks through the table
 * five times a second; otherwise there is none.
 *
 * A chain's lock (LX_LOCK_NEIGHBOUR) guards its entries, and is held while their packets are given to
 * the device, so that they stay in order.  Nothing of IP is called with it.
 *
 * Bounds: gc_thresh3 entries; 64 KiB of packets wait for each, the oldest is dropped.  Room is made
 * by those that failed, then by those that are STALE: what was answered lately stays.
 */
#include <linux/if_ether.h>
#include <linux/ip.h>

#include "inet/arp.h"
#include "inet/ip4.h"
#include "inet/neigh.h"
#include "lx/timer.h"
#include "rt/time.h"

#define CHAINS		64u
#define LOOK_NS		200000000ull
#define LOCK_NS		1000000000ull	/* what was learned stays so long, whatever else is heard */
#define RECENT_NS	5000000000ull	/* what was used within is kept, if others can go */

#define HAS_ADDRESS	(NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)
#define IS_ASKED	(NUD_INCOMPLETE | NUD_DELAY | NUD_PROBE)

struct neighbour {
	struct list link;		/* chain; all fields by its lock */
	struct lx_netdev *dev;		/* a reference */
	uint32_t addr_be;
	uint16_t state;			/* NUD_* */
	uint8_t mac[LX_NETDEV_ADDR];
	uint32_t src_be;		/* of the last packet: who asks */
	uint32_t probes;
	uint64_t due_ns;		/* IS_ASKED: when to go on */
	uint64_t used_ns, confirmed_ns, updated_ns;
	struct list queue;		/* INCOMPLETE: of lx_pbuf.link */
	uint32_t queued;		/* bytes of memory */
};

struct chain {
	struct rt_mutex lock;		/* rank LX_LOCK_NEIGHBOUR */
	struct list list;		/* lock */
};

struct inet_neighbours {
	struct inet *inet;
	_Atomic(uint32_t) count;
	_Atomic(bool) is_armed;		/* the timer is set, or about to be */
	_Atomic(bool) is_over;		/* it is not set again */
	struct lx_timer timer;
	struct chain chain[CHAINS];
};

static uint64_t ms(const _Atomic(int32_t) *word)
{
	return (uint64_t)inet_conf(word) * 1000000;
}

static uint64_t seconds(const _Atomic(int32_t) *word)
{
	return (uint64_t)inet_conf(word) * 1000000000;
}

static void arm(struct inet_neighbours *t)
{
	if (!atomic_load(&t->is_over) && !atomic_exchange(&t->is_armed, true))
		lx_timer_set(&t->timer, rt_now_ns() + LOOK_NS);
}

/* -- entries: chain locked */

static struct chain *chain_of(struct inet *inet, const struct lx_netdev *dev, uint32_t be)
{
	uint64_t key = (uint64_t)be << 32 | (uint32_t)dev->ifindex;

	return &inet->neighbours->chain[siphash(&inet->secret.table, &key, 1) % CHAINS];
}

static struct neighbour *find(struct chain *c, const struct lx_netdev *dev, uint32_t be)
{
	struct neighbour *n;

	list_for_each_entry(n, &c->list, link)
		if (n->addr_be == be && n->dev == dev)
			return n;
	return NULL;
}

static void destroy(struct inet_neighbours *t, struct neighbour *n)
{
	list_remove(&n->link);
	lx_pbuf_free_list(&n->queue);
	lx_netdev_put(n->dev);
	rt_free(n);
	atomic_fetch_sub_explicit(&t->count, 1, memory_order_relaxed);
}

/*
 * NULL: no memory, as many as may be, or the device is not up: a packet that was on its way while the
 * device went leaves nothing behind.
 */
static struct neighbour *create(struct inet *inet, struct chain *c, struct lx_netdev *dev, uint32_t be)
{
	struct inet_neighbours *t = inet->neighbours;
	struct neighbour *n;

	if (!lx_netdev_is_up(dev) || atomic_load_explicit(&t->count, memory_order_relaxed) >=
					     (uint32_t)inet_conf(&inet->conf.neigh_gc_thresh3))
		return NULL;
	n = rt_zalloc(sizeof(*n));
	if (!n)
		return NULL;
	n->dev = lx_netdev_get(dev);
	n->addr_be = be;
	n->used_ns = n->updated_ns = rt_now_ns();
	list_init(&n->queue);
	list_add_first(&c->list, &n->link);
	atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
	return n;
}

static void set_state(struct neighbour *n, uint16_t state, uint64_t now)
{
	n->state = state;
	n->updated_ns = now;
	n->probes = 0;
}

/* REACHABLE does not last. */
static void look(struct inet *inet, struct neighbour *n, uint64_t now)
{
	if (n->state == NUD_REACHABLE && now - n->confirmed_ns > ms(&inet->conf.neigh_reachable_ms))
		set_state(n, NUD_STALE, now);
}

static void ask(struct inet *inet, struct neighbour *n, uint64_t now)
{
	n->due_ns = now + ms(&inet->conf.neigh_retrans_ms);
	arp_ask(inet, n->dev, n->addr_be, n->src_be, n->state == NUD_PROBE ? n->mac : NULL);
}

static int xmit(struct neighbour *n, struct lx_pbuf *p)
{
	int err = lx_netdev_push_header(n->dev, p, ETH_P_IP, n->mac, NULL);

	if (err) {
		lx_pbuf_free(p);
		return err;
	}
	return lx_netdev_xmit(n->dev, p);
}

static void send_queue(struct neighbour *n)
{
	struct lx_pbuf *p;

	while ((p = list_pop_entry(&n->queue, struct lx_pbuf, link)))
		(void)xmit(n, p);
	n->queued = 0;
}

static void put_queue(struct inet *inet, struct neighbour *n, struct lx_pbuf *p)
{
	uint32_t most = (uint32_t)inet_conf(&inet->conf.neigh_queue_bytes);

	while (n->queued && n->queued + p->charge > most) {
		struct lx_pbuf *oldest = list_pop_entry(&n->queue, struct lx_pbuf, link);

		n->queued -= MIN(oldest->charge, n->queued);
		lx_pbuf_free(oldest);
	}
	n->queued += p->charge;
	list_add_last(&n->queue, &p->link);
}

/* -- room */

/* Those that failed, or, if @stale, are STALE and were not used lately. */
static void drop_some(struct inet *inet, bool stale, uint64_t unused_ns)
{
	struct inet_neighbours *t = inet->neighbours;
	uint64_t now = rt_now_ns();
	struct neighbour *n, *next;

	for (unsigned int i = 0; i < CHAINS; i++) {
		rt_mutex_lock(&t->chain[i].lock);
		list_for_each_entry_safe(n, next, &t->chain[i].list, link) {
			look(inet, n, now);
			if (n->state == NUD_FAILED ||
			    (stale && n->state == NUD_STALE && now - n->used_ns > unused_ns))
				destroy(t, n);
		}
		rt_mutex_unlock(&t->chain[i].lock);
	}
}

static void make_room(struct inet *inet)
{
	struct inet_neighbours *t = inet->neighbours;
	uint32_t most = (uint32_t)inet_conf(&inet->conf.neigh_gc_thresh3);

	if (atomic_load_explicit(&t->count, memory_order_relaxed) < most)
		return;
	drop_some(inet, true, RECENT_NS);
	if (atomic_load_explicit(&t->count, memory_order_relaxed) >= most)
		drop_some(inet, true, 0);
}

/* -- sending */

static uint32_t source_of(const struct lx_pbuf *p)
{
	return ((const struct iphdr *)lx_pbuf_data(p))->saddr;
}

/* Chain locked.  Takes @p over. */
static int send_locked(struct inet *inet, struct neighbour *n, struct lx_pbuf *p, uint64_t now)
{
	look(inet, n, now);
	n->used_ns = now;
	n->src_be = source_of(p);
	if (n->state & HAS_ADDRESS) {
		if (n->state == NUD_STALE) {
			set_state(n, NUD_DELAY, now);
			n->due_ns = now + seconds(&inet->conf.neigh_delay_s);
			arm(inet->neighbours);
		}
		return xmit(n, p);
	}
	put_queue(inet, n, p);
	if (n->state != NUD_INCOMPLETE) {
		set_state(n, NUD_INCOMPLETE, now);
		ask(inet, n, now);
		arm(inet->neighbours);
	}
	return 0;
}

int inet_neighbour_send(struct inet *inet, struct lx_netdev *dev, uint32_t hop_be, struct lx_pbuf *p)
{
	struct chain *c = chain_of(inet, dev, hop_be);
	struct neighbour *n;
	int err = -ENOBUFS;

	rt_mutex_lock(&c->lock);
	n = find(c, dev, hop_be);
	if (!n) {
		rt_mutex_unlock(&c->lock);
		make_room(inet);
		rt_mutex_lock(&c->lock);
		n = find(c, dev, hop_be);
		if (!n)
			n = create(inet, c, dev, hop_be);
	}
	if (n)
		err = send_locked(inet, n, p, rt_now_ns());
	rt_mutex_unlock(&c->lock);
	if (!n)
		lx_pbuf_free(p);
	return err;
}

void inet_neighbour_confirm(struct inet *inet, struct lx_netdev *dev, uint32_t hop_be)
{
	struct chain *c = chain_of(inet, dev, hop_be);
	struct neighbour *n;

	rt_mutex_lock(&c->lock);
	n = find(c, dev, hop_be);
	if (n && n->state & HAS_ADDRESS)
		n->confirmed_ns = rt_now_ns();
	rt_mutex_unlock(&c->lock);
}

/* -- what is heard */

/* Chain locked. */
static void update(struct neighbour *n, const uint8_t *mac, uint16_t state, unsigned int how,
		   unsigned int mac_len)
{
	bool had = n->state & HAS_ADDRESS, is_admin = how & NEIGHBOUR_ADMIN;
	bool is_other = !had || memcmp(n->mac, mac, mac_len);
	uint64_t now = rt_now_ns();

	if (n->state & (NUD_PERMANENT | NUD_NOARP) && !is_admin)
		return;
	if (had && is_other && !is_admin && !(how & NEIGHBOUR_OVERRIDE) &&
	    now - n->updated_ns < LOCK_NS)
		return;
	/* hearing of it without having asked does not make less of what was confirmed */
	if (had && !is_other && !is_admin && state == NUD_STALE)
		return;
	memset(n->mac, 0, sizeof(n->mac));
	memcpy(n->mac, mac, mac_len);
	set_state(n, state, now);
	if (state == NUD_REACHABLE || state & (NUD_PERMANENT | NUD_NOARP))
		n->confirmed_ns = now;
	send_queue(n);
}

int inet_neighbour_update(struct inet *inet, struct lx_netdev *dev, uint32_t be, const uint8_t *mac,
			  uint16_t state, unsigned int how)
{
	struct chain *c = chain_of(inet, dev, be);
	struct neighbour *n;
	int err = -ENOENT;

	if (how & NEIGHBOUR_CREATE)
		make_room(inet);
	rt_mutex_lock(&c->lock);
	n = find(c, dev, be);
	if (!n && how & NEIGHBOUR_CREATE) {
		n = create(inet, c, dev, be);
		err = -ENOBUFS;
	}
	if (n) {
		update(n, mac, state, how, dev->addr_len);
		err = 0;
	}
	rt_mutex_unlock(&c->lock);
	return err;
}

int inet_neighbour_remove(struct inet *inet, struct lx_netdev *dev, uint32_t be)
{
	struct chain *c = chain_of(inet, dev, be);
	struct neighbour *n;

	rt_mutex_lock(&c->lock);
	n = find(c, dev, be);
	if (n)
		destroy(inet->neighbours, n);
	rt_mutex_unlock(&c->lock);
	return n ? 0 : -ENOENT;
}

void inet_neighbours_flush(struct inet *inet, struct lx_netdev *dev)
{
	struct inet_neighbours *t = inet->neighbours;
	struct neighbour *n, *next;

	for (unsigned int i = 0; i < CHAINS; i++) {
		rt_mutex_lock(&t->chain[i].lock);
		list_for_each_entry_safe(n, next, &t->chain[i].list, link)
			if (!dev || n->dev == dev)
				destroy(t, n);
		rt_mutex_unlock(&t->chain[i].lock);
	}
}

/* -- time */

/* @n has waited long enough; packets that are given up go to @dead.  Chain locked. */
static void go_on(struct inet *inet, struct neighbour *n, uint64_t now, struct list *dead)
{
	uint32_t most = (uint32_t)inet_conf(n->state == NUD_INCOMPLETE ? &inet->conf.neigh_mcast_probes :
									 &inet->conf.neigh_ucast_probes);

	if (n->state == NUD_DELAY) {
		if (now - n->confirmed_ns < seconds(&inet->conf.neigh_delay_s)) {
			set_state(n, NUD_REACHABLE, now);
			return;
		}
		set_state(n, NUD_PROBE, now);
		ask(inet, n, now);
		return;
	}
	if (++n->probes < most) {
		ask(inet, n, now);
		return;
	}
	set_state(n, NUD_FAILED, now);
	n->queued = 0;
	while (!list_is_empty(&n->queue)) {
		struct lx_pbuf *p = list_pop_entry(&n->queue, struct lx_pbuf, link);

		p->ifindex = n->dev->ifindex;
		list_add_last(dead, &p->link);
	}
}

/* True: somebody in the chain is still being asked. */
static bool look_through(struct inet *inet, struct chain *c, uint64_t now, struct list *dead)
{
	struct neighbour *n;
	bool more = false;

	rt_mutex_lock(&c->lock);
	list_for_each_entry(n, &c->list, link) {
		if (n->state & IS_ASKED && now >= n->due_ns)
			go_on(inet, n, now, dead);
		more |= !!(n->state & IS_ASKED);
	}
	rt_mutex_unlock(&c->lock);
	return more;
}

static void give_up(struct inet *inet, struct list *dead)
{
	struct lx_pbuf *p;

	while ((p = list_pop_entry(dead, struct lx_pbuf, link))) {
		icmp4_host_unreachable(inet, p);
		lx_pbuf_free(p);
	}
}

static void on_timer(struct lx_timer *timer)
{
	struct inet_neighbours *t = container_of(timer, struct inet_neighbours, timer);
	uint64_t now = rt_now_ns();
	bool more = false;
	struct list dead;

	list_init(&dead);
	atomic_store(&t->is_armed, false);
	for (unsigned int i = 0; i < CHAINS; i++)
		more |= look_through(t->inet, &t->chain[i], now, &dead);
	if (more)
		arm(t);
	give_up(t->inet, &dead);
	lx_net_deliver(t->inet->ns);
}

/* -- what is shown */

static void describe(struct inet *inet, struct neighbour *n, struct inet_neighbour_info *out)
{
	uint64_t now = rt_now_ns();

	look(inet, n, now);
	*out = (struct inet_neighbour_info){
		.addr_be = n->addr_be, .ifindex = n->dev->ifindex, .state = n->state,
		.probes = n->probes, .used_ns = now - n->used_ns, .updated_ns = now - n->updated_ns,
		.confirmed_ns = now - n->confirmed_ns,
	};
	memcpy(out->mac, n->mac, sizeof(out->mac));
}

bool inet_neighbour_nth(struct inet *inet, unsigned int nth, struct inet_neighbour_info *out)
{
	struct inet_neighbours *t = inet->neighbours;
	struct neighbour *n;
	bool found = false;

	for (unsigned int i = 0; i < CHAINS && !found; i++) {
		rt_mutex_lock(&t->chain[i].lock);
		list_for_each_entry(n, &t->chain[i].list, link)
			if (!nth--) {
				describe(inet, n, out);
				found = true;
				break;
			}
		rt_mutex_unlock(&t->chain[i].lock);
	}
	return found;
}

bool inet_neighbour_find(struct inet *inet, struct lx_netdev *dev, uint32_t be,
			 struct inet_neighbour_info *out)
{
	struct chain *c = chain_of(inet, dev, be);
	struct neighbour *n;

	rt_mutex_lock(&c->lock);
	n = find(c, dev, be);
	if (n)
		describe(inet, n, out);
	rt_mutex_unlock(&c->lock);
	return n;
}

/* -- its life */

int inet_neighbours_create(struct inet *inet)
{
	struct inet_neighbours *t = rt_zalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->inet = inet;
	lx_timer_init(&t->timer, on_timer, LX_TIMER_MONOTONIC);
	for (unsigned int i = 0; i < CHAINS; i++) {
		rt_mutex_init(&t->chain[i].lock, LX_LOCK_NEIGHBOUR);
		list_init(&t->chain[i].list);
	}
	inet->neighbours = t;
	return 0;
}

void inet_neighbours_destroy(struct inet *inet)
{
	struct inet_neighbours *t = inet->neighbours;

	if (!t)
		return;
	atomic_store(&t->is_over, true);
	/* twice: a callback that ran may have set it before it saw that all is over */
	(void)lx_timer_cancel(&t->timer);
	(void)lx_timer_cancel(&t->timer);
	inet_neighbours_flush(inet, NULL);
	rt_free(t);
}
