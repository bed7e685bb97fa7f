/* SPDX-License-Identifier: MIT */
/*
 * Reports of groups.  A change is reported at once, and all groups of the device a second later
 * (RFC 3376, 5.1: in case the first was lost); a question is answered with all groups after a time
 * that is chosen at random up to the one that it allows.  While the last question of a link was
 * one of version 2, reports are of that version.  The group of all systems is never reported, and
 * lo is no link.
 *
 * A report holds at most 200 groups: who joins more on one link is not heard of all of them.
 */
#include <linux/if.h>
#include <linux/igmp.h>
#include <linux/in.h>

#include "inet/igmp.h"
#include "inet/ip4.h"
#include "lx/timer.h"
#include "rt/random.h"
#include "rt/time.h"

#define GROUPS_MAX	200u
#define LOOK_NS		200000000ull
#define REPEAT_NS	1000000000ull
#define ALL_ROUTERS	BE32(0xe0000002u)	/* of version 2: who leaves tells them */
#define ALL_REPORTS	BE32(0xe0000016u)	/* of version 3: all reports */
#define TOS_CONTROL	0xc0u

struct inet_igmp {
	struct inet *inet;
	_Atomic(bool) is_armed, is_over;	/* as of neighbours */
	struct lx_timer timer;
};

static void arm(struct inet_igmp *g)
{
	if (!atomic_load(&g->is_over) && !atomic_exchange(&g->is_armed, true))
		lx_timer_set(&g->timer, rt_now_ns() + LOOK_NS);
}

/* -- sending */

static void send_to(struct inet *inet, struct lx_netdev *dev, uint32_t src_be, uint32_t dst_be,
		    void *message, uint32_t n)
{
	static const uint8_t router_alert[] = { IPOPT_RA, 4, 0, 0 };
	struct lx_pbuf *p = lx_pbuf_alloc(inet->ns->pool, LX_PBUF_HEADROOM, n);
	struct inet_dst d = {
		.dev = dev, .hop = inet_addr_v4(dst_be), .type = RTN_MULTICAST,
		.mtu = atomic_load_explicit(&dev->mtu, memory_order_relaxed),
	};
	struct ip_tx t = {
		.src = inet_addr_v4(src_be), .dst = inet_addr_v4(dst_be), .protocol = IPPROTO_IGMP,
		.tos = TOS_CONTROL, .ttl = 1, .pmtudisc = IP_PMTUDISC_DO, .no_loop = true,
		.options = router_alert, .options_len = sizeof(router_alert),
	};

	if (!p)
		return;
	/* both forms have their sum at the same place */
	((struct igmphdr *)message)->csum = 0;
	((struct igmphdr *)message)->csum = lx_csum_fold(lx_csum_add(0, message, n));
	memcpy(lx_pbuf_put(p, n), message, n);
	(void)ip_send(inet, &d, p, &t);
}

/* @type: what version 3 says of each of the groups. */
static void report_v3(struct inet *inet, struct lx_netdev *dev, uint32_t src_be, uint8_t type,
		      const uint32_t *groups, uint32_t n)
{
	uint32_t size = (uint32_t)(sizeof(struct igmpv3_report) + n * sizeof(struct igmpv3_grec));
	struct igmpv3_report *m = rt_zalloc(size);

	if (!m)
		return;
	m->type = IGMPV3_HOST_MEMBERSHIP_REPORT;
	m->ngrec = BE16((uint16_t)n);
	for (uint32_t i = 0; i < n; i++) {
		m->grec[i].grec_type = type;
		m->grec[i].grec_mca = groups[i];
	}
	send_to(inet, dev, src_be, ALL_REPORTS, m, size);
	rt_free(m);
}

static void report(struct inet *inet, struct lx_netdev *dev, uint32_t src_be, bool v2, uint8_t type,
		   const uint32_t *groups, uint32_t n)
{
	bool leaves = type == IGMPV3_CHANGE_TO_INCLUDE;

	if (!v2) {
		report_v3(inet, dev, src_be, type, groups, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct igmphdr h = { .type = IGMPV2_HOST_MEMBERSHIP_REPORT, .group = groups[i] };

		if (leaves)
			h.type = IGMP_HOST_LEAVE_MESSAGE;
		send_to(inet, dev, src_be, leaves ? ALL_ROUTERS : groups[i], &h, sizeof(h));
	}
}

static bool is_link(const struct lx_netdev *dev)
{
	return lx_netdev_is_up(dev) && !(atomic_load(&dev->flags) & IFF_LOOPBACK);
}

static void changed(struct inet *inet, struct inet_dev *d, uint32_t group_be, uint8_t type)
{
	uint32_t src;

	if (!is_link(d->dev) || group_be == BE32(0xe0000001u))
		return;
	rt_read_lock(&inet->lock);
	src = inet_address_select(inet, d->dev, 0, RT_SCOPE_LINK);
	rt_read_unlock(&inet->lock);
	report(inet, d->dev, src, atomic_load(&d->igmp_v2), type, &group_be, 1);
	atomic_store(&d->igmp_due_ns, rt_now_ns() + REPEAT_NS);
	arm(inet->igmp);
}

void igmp_joined(struct inet *inet, struct inet_dev *d, uint32_t group_be)
{
	changed(inet, d, group_be, IGMPV3_CHANGE_TO_EXCLUDE);
}

void igmp_up(struct inet *inet, struct inet_dev *d)
{
	if (list_is_empty(&d->groups) || !is_link(d->dev))
		return;
	atomic_store(&d->igmp_due_ns, rt_now_ns());
	arm(inet->igmp);
}

void igmp_left(struct inet *inet, struct inet_dev *d, uint32_t group_be)
{
	changed(inet, d, group_be, IGMPV3_CHANGE_TO_INCLUDE);
}

/* -- all groups of a device */

/* What is to be sent by a device, copied with inet->lock held. */
struct batch {
	struct lx_netdev *dev;		/* a reference */
	uint32_t src_be, n;
	bool v2;
	uint32_t group[GROUPS_MAX];
};

static void collect(struct inet *inet, struct inet_dev *d, struct batch *b)
{
	const struct inet_group *g;

	b->dev = lx_netdev_get(d->dev);
	b->src_be = inet_address_select(inet, d->dev, 0, RT_SCOPE_LINK);
	b->v2 = atomic_load(&d->igmp_v2);
	b->n = 0;
	list_for_each_entry(g, &d->groups, link)
		if (b->n < GROUPS_MAX && g->addr_be != BE32(0xe0000001u))
			b->group[b->n++] = g->addr_be;
}

/* The next device whose time has come.  *@more: others' will.  False: there is none. */
static bool next_due(struct inet *inet, uint64_t now, struct batch *b, bool *more)
{
	struct inet_dev *d;
	bool found = false;

	*more = false;
	rt_read_lock(&inet->lock);
	list_for_each_entry(d, &inet->devices, link) {
		uint64_t due = atomic_load(&d->igmp_due_ns);

		if (due && due <= now && !found) {
			atomic_store(&d->igmp_due_ns, 0);
			collect(inet, d, b);
			found = true;
		} else if (due) {
			*more = true;
		}
	}
	rt_read_unlock(&inet->lock);
	return found;
}

static void on_timer(struct lx_timer *timer)
{
	struct inet_igmp *g = container_of(timer, struct inet_igmp, timer);
	struct batch *b = rt_alloc(sizeof(*b));
	bool more = true;

	atomic_store(&g->is_armed, false);
	while (b && next_due(g->inet, rt_now_ns(), b, &more)) {
		if (b->n && is_link(b->dev))
			report(g->inet, b->dev, b->src_be, b->v2, IGMPV3_MODE_IS_EXCLUDE, b->group,
			       b->n);
		lx_netdev_put(b->dev);
	}
	rt_free(b);
	if (more)
		arm(g);
	lx_net_deliver(g->inet->ns);
}

/* -- questions */

/* How long an answer may take; RFC 3376, 4.1.1. */
static uint64_t time_of(uint8_t code)
{
	uint32_t tenths = code;

	if (code >= 128)
		tenths = (16u + (code & 15)) << ((code >> 4 & 7) + 3);
	return MAX(tenths, 1u) * 100000000ull;
}

static void asked(struct inet *inet, struct lx_netdev *dev, const struct igmphdr *h, bool v2)
{
	struct inet_dev *d;
	uint64_t random;

	rt_random(&random, sizeof(random));
	rt_read_lock(&inet->lock);
	d = inet_dev_find(inet, dev->ifindex);
	if (d) {
		uint64_t due = rt_now_ns() + random % time_of(h->code);
		uint64_t old = atomic_load(&d->igmp_due_ns);

		atomic_store(&d->igmp_v2, v2);
		if (!old || due < old)
			atomic_store(&d->igmp_due_ns, due);
	}
	rt_read_unlock(&inet->lock);
	if (d)
		arm(inet->igmp);
}

static void igmp_receive(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	struct igmphdr h;

	if (lx_pbuf_read(p, 0, &h, sizeof(h)) && h.type == IGMP_HOST_MEMBERSHIP_QUERY &&
	    is_link(dev) && !lx_csum_fold(lx_pbuf_csum(p, 0, p->len, 0)) &&
	    (!h.group || inet_is_member(inet, dev, h.group)))
		asked(inet, dev, &h, p->len == sizeof(h));
	lx_pbuf_free(p);
}

const struct inet_protocol igmp_protocol = { .receive = igmp_receive };

/* -- its life */

int igmp_create(struct inet *inet)
{
	struct inet_igmp *g = rt_zalloc(sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->inet = inet;
	lx_timer_init(&g->timer, on_timer, LX_TIMER_MONOTONIC);
	inet->igmp = g;
	return 0;
}

void igmp_destroy(struct inet *inet)
{
	struct inet_igmp *g = inet->igmp;

	if (!g)
		return;
	atomic_store(&g->is_over, true);
	/* twice: a callback that ran may have set it before it saw that all is over */
	(void)lx_timer_cancel(&g->timer);
	(void)lx_timer_cancel(&g->timer);
	rt_free(g);
}
