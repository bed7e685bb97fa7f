/* SPDX-License-Identifier: MIT */
/*
 * Fragments of IPv4, both ways (RFC 791, 815).
 *
 * In: pieces of a datagram are kept in order of their offsets until there is none missing, and are then
 * copied into one packet.  A piece that overlaps another one takes the datagram with it, as on Linux (one
 * that was there already is dropped alone).  Bounds: ipfrag_high_thresh bytes of memory of all,
 * ipfrag_time seconds, datagrams under way of a source (as a hash has it), and pieces of a
 * datagram, so that finding a piece's place is bounded, too.
 *
 * Invariants, under a chain's lock: pieces do not overlap; meat is the sum of their bytes; end is
 * not 0 if the last one came, and then nothing lies behind it.
 */
#include <linux/icmp.h>
#include <linux/if_ether.h>

#include "inet/ip4.h"
#include "lx/timer.h"
#include "rt/time.h"

#define CHAINS		64u
#define SOURCES		256u
#define DATAGRAMS_MAX	128u		/* of a source */
#define PIECES_MAX	1400u		/* 64 KiB by the smallest link there may be, of 68 bytes */
#define LOOK_NS		500000000ull
#define LINEAR		512u		/* of a whole datagram: headers, and more */

struct datagram {
	struct list link;		/* chain; all fields by its lock */
	uint32_t src_be, dst_be;
	uint16_t id;			/* as in the header */
	uint8_t protocol;
	uint32_t nr, meat, end;
	uint64_t charge;
	uint64_t due_ns;
	struct list pieces;		/* of lx_pbuf.link, by offset; headers pulled */
};

struct chain {
	struct rt_mutex lock;		/* rank LX_LOCK_INET_BUCKET */
	struct list list;		/* lock */
};

struct inet_fragments {
	struct inet *inet;
	_Atomic(uint64_t) bytes;
	_Atomic(uint32_t) count;
	_Atomic(uint32_t) of_source[SOURCES];
	_Atomic(bool) is_armed, is_over;	/* as of neighbours */
	struct lx_timer timer;
	struct chain chain[CHAINS];
};

/* -- pieces */

static const struct iphdr *header_of(const struct lx_pbuf *p)
{
	return (const struct iphdr *)(lx_pbuf_data(p) - ip_rx((struct lx_pbuf *)p)->header_len);
}

static uint32_t begin_of(const struct lx_pbuf *p)
{
	return (BE16(header_of(p)->frag_off) & IP4_OFFSET) * 8u;
}

static uint32_t end_of(const struct lx_pbuf *p)
{
	return begin_of(p) + p->len;
}

static bool is_last(const struct lx_pbuf *p)
{
	return !(BE16(header_of(p)->frag_off) & IP4_MF);
}

/* -- datagrams: chain locked */

static uint64_t hash_of(struct inet *inet, const struct iphdr *h)
{
	uint64_t key[] = { (uint64_t)h->saddr << 32 | h->daddr, (uint64_t)h->id << 8 | h->protocol };

	return siphash(&inet->secret.table, key, 2);
}

static _Atomic(uint32_t) *source_of(struct inet *inet, uint32_t src_be)
{
	uint64_t key = src_be;

	return &inet->fragments->of_source[siphash(&inet->secret.table, &key, 1) % SOURCES];
}

static struct datagram *find(struct chain *c, const struct iphdr *h)
{
	struct datagram *d;

	list_for_each_entry(d, &c->list, link)
		if (d->src_be == h->saddr && d->dst_be == h->daddr && d->id == h->id &&
		    d->protocol == h->protocol)
			return d;
	return NULL;
}

static struct datagram *create(struct inet *inet, struct chain *c, const struct iphdr *h)
{
	struct inet_fragments *f = inet->fragments;
	_Atomic(uint32_t) *of_source = source_of(inet, h->saddr);
	struct datagram *d;

	if (atomic_load_explicit(of_source, memory_order_relaxed) >= DATAGRAMS_MAX)
		return NULL;
	d = rt_zalloc(sizeof(*d));
	if (!d)
		return NULL;
	d->src_be = h->saddr;
	d->dst_be = h->daddr;
	d->id = h->id;
	d->protocol = h->protocol;
	d->charge = sizeof(*d);
	d->due_ns = rt_now_ns() + (uint64_t)inet_conf(&inet->conf.ipfrag_time) * 1000000000;
	list_init(&d->pieces);
	list_add_first(&c->list, &d->link);
	atomic_fetch_add_explicit(of_source, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&f->count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&f->bytes, d->charge, memory_order_relaxed);
	return d;
}

/* Out of the table; its pieces are the caller's. */
static void take_out(struct inet *inet, struct datagram *d)
{
	list_remove(&d->link);
	atomic_fetch_sub_explicit(source_of(inet, d->src_be), 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&inet->fragments->count, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&inet->fragments->bytes, d->charge, memory_order_relaxed);
}

static void destroy(struct inet *inet, struct datagram *d)
{
	take_out(inet, d);
	lx_pbuf_free_list(&d->pieces);
	rt_free(d);
}

enum fate { KEPT, REPEATED, BROKEN };

/* The ends fit to what is known of the datagram's? */
static bool is_possible(const struct datagram *d, const struct lx_pbuf *p)
{
	struct lx_pbuf *furthest = list_is_empty(&d->pieces) ? NULL :
				   list_last_entry(&d->pieces, struct lx_pbuf, link);

	if (!p->len || end_of(p) > IP4_MAX - IP4_HEADER || d->nr >= PIECES_MAX)
		return false;
	if (!is_last(p))
		return !(p->len % 8) && (!d->end || end_of(p) <= d->end);
	return (!d->end || d->end == end_of(p)) && (!furthest || end_of(furthest) <= end_of(p));
}

/* Takes @p over if it is KEPT. */
static enum fate insert(struct inet *inet, struct datagram *d, struct lx_pbuf *p)
{
	struct list *at = &d->pieces;
	struct lx_pbuf *other;

	if (!is_possible(d, p))
		return BROKEN;
	/* the place is behind the last one that begins before it; mostly the end */
	list_for_each_entry_reverse(other, &d->pieces, link) {
		if (begin_of(other) <= begin_of(p)) {
			if (end_of(p) <= end_of(other))
				return REPEATED;
			if (end_of(other) > begin_of(p))
				return BROKEN;
			break;
		}
		if (begin_of(other) < end_of(p))
			return BROKEN;
		at = &other->link;
	}
	list_add_last(at, &p->link);
	if (is_last(p))
		d->end = end_of(p);
	d->nr++;
	d->meat += p->len;
	d->charge += p->charge;
	atomic_fetch_add_explicit(&inet->fragments->bytes, p->charge, memory_order_relaxed);
	return KEPT;
}

/* -- the whole */

static void copy_piece(struct lx_pbuf *to, uint32_t at, const struct lx_pbuf *p)
{
	for (unsigned int i = 0; i < p->nr_pieces; i++) {
		lx_pbuf_write(to, at, p->piece[i].data, p->piece[i].len);
		at += p->piece[i].len;
	}
}

/* One packet with the header of the first piece.  NULL: no memory, or too long. */
static struct lx_pbuf *assemble(struct inet *inet, const struct datagram *d)
{
	const struct lx_pbuf *first = list_first_entry(&d->pieces, struct lx_pbuf, link), *p;
	uint32_t header = ip_rx((struct lx_pbuf *)first)->header_len, len = header + d->end;
	struct lx_pbuf *whole;
	struct iphdr *h;

	if (len > IP4_MAX)
		return NULL;
	whole = lx_pbuf_alloc_large(inet->ns->pool, LX_PBUF_HEADROOM, MIN(len, LINEAR), len);
	if (!whole)
		return NULL;
	h = (struct iphdr *)lx_pbuf_data(whole);
	memcpy(h, header_of(first), header);
	h->tot_len = BE16((uint16_t)len);
	h->frag_off = 0;
	ip4_header_csum(h);
	list_for_each_entry(p, &d->pieces, link)
		copy_piece(whole, header + begin_of(p), p);
	whole->ifindex = first->ifindex;
	whole->pkttype = first->pkttype;
	whole->protocol = ETH_P_IP;
	whole->arrival_ns = first->arrival_ns;
	whole->network_at = whole->link_at = lx_pbuf_place(whole);
	whole->csum = LX_CSUM_NONE;
	return whole;
}

static void arm(struct inet_fragments *f)
{
	if (!atomic_load(&f->is_over) && !atomic_exchange(&f->is_armed, true))
		lx_timer_set(&f->timer, rt_now_ns() + LOOK_NS);
}

/* Chain locked; takes @p over.  The whole, or NULL. */
static struct lx_pbuf *add(struct inet *inet, struct chain *c, struct lx_pbuf *p)
{
	struct datagram *d = find(c, header_of(p));
	struct lx_pbuf *whole = NULL;
	enum fate fate;

	if (!d)
		d = create(inet, c, header_of(p));
	fate = d ? insert(inet, d, p) : REPEATED;
	if (fate != KEPT) {
		lx_pbuf_free(p);
		if (!d || fate == BROKEN)
			inet_count(inet, ip[IPSTATS_MIB_REASMFAILS]);
		if (d && fate == BROKEN)
			destroy(inet, d);
		return NULL;
	}
	if (!d->end || d->meat != d->end)
		return NULL;
	whole = assemble(inet, d);
	if (whole)
		inet_count(inet, ip[IPSTATS_MIB_REASMOKS]);
	else
		inet_count(inet, ip[IPSTATS_MIB_REASMFAILS]);
	destroy(inet, d);
	return whole;
}

struct lx_pbuf *ip4_reassemble(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	struct inet_fragments *f = inet->fragments;
	struct chain *c;

	inet_count(inet, ip[IPSTATS_MIB_REASMREQDS]);
	if (atomic_load_explicit(&f->bytes, memory_order_relaxed) >
	    (uint64_t)inet_conf(&inet->conf.ipfrag_high_thresh)) {
		inet_count(inet, ip[IPSTATS_MIB_REASMFAILS]);
		lx_pbuf_free(p);
		return NULL;
	}
	lx_pbuf_pull(p, ip_rx(p)->header_len);
	c = &f->chain[hash_of(inet, header_of(p)) % CHAINS];
	rt_mutex_lock(&c->lock);
	p = add(inet, c, p);
	rt_mutex_unlock(&c->lock);
	if (!p)
		arm(f);
	return p;
}

/* -- time */

/* Chain locked: the first piece of one that is late and never was whole goes to @dead. */
static void expire(struct inet *inet, struct datagram *d, struct list *dead)
{
	struct lx_pbuf *p = list_is_empty(&d->pieces) ? NULL :
			    list_first_entry(&d->pieces, struct lx_pbuf, link);

	if (p && !begin_of(p)) {
		list_remove(&p->link);
		list_add_last(dead, &p->link);
	}
	inet_count(inet, ip[IPSTATS_MIB_REASMTIMEOUT]);
	inet_count(inet, ip[IPSTATS_MIB_REASMFAILS]);
	destroy(inet, d);
}

static bool look_through(struct inet *inet, struct chain *c, uint64_t now, struct list *dead)
{
	struct datagram *d, *next;
	bool more;

	rt_mutex_lock(&c->lock);
	list_for_each_entry_safe(d, next, &c->list, link)
		if (now >= d->due_ns)
			expire(inet, d, dead);
	more = !list_is_empty(&c->list);
	rt_mutex_unlock(&c->lock);
	return more;
}

static void complain(struct inet *inet, struct list *dead)
{
	struct lx_pbuf *p;

	while ((p = list_pop_entry(dead, struct lx_pbuf, link))) {
		struct lx_netdev *dev = lx_netdev_by_index(inet->ns, p->ifindex);

		if (dev)
			icmp4_send_error(inet, dev, p, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, 0);
		lx_netdev_put(dev);
		lx_pbuf_free(p);
	}
}

static void on_timer(struct lx_timer *timer)
{
	struct inet_fragments *f = container_of(timer, struct inet_fragments, timer);
	uint64_t now = rt_now_ns();
	bool more = false;
	struct list dead;

	list_init(&dead);
	atomic_store(&f->is_armed, false);
	for (unsigned int i = 0; i < CHAINS; i++)
		more |= look_through(f->inet, &f->chain[i], now, &dead);
	if (more)
		arm(f);
	complain(f->inet, &dead);
	lx_net_deliver(f->inet->ns);
}

void ip4_fragments_count(struct inet *inet, uint32_t *datagrams, uint64_t *bytes)
{
	*datagrams = atomic_load_explicit(&inet->fragments->count, memory_order_relaxed);
	*bytes = atomic_load_explicit(&inet->fragments->bytes, memory_order_relaxed);
}

int ip4_fragments_create(struct inet *inet)
{
	struct inet_fragments *f = rt_zalloc(sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->inet = inet;
	lx_timer_init(&f->timer, on_timer, LX_TIMER_MONOTONIC);
	for (unsigned int i = 0; i < CHAINS; i++) {
		rt_mutex_init(&f->chain[i].lock, LX_LOCK_INET_BUCKET);
		list_init(&f->chain[i].list);
	}
	inet->fragments = f;
	return 0;
}

void ip4_fragments_destroy(struct inet *inet)
{
	struct inet_fragments *f = inet->fragments;
	struct datagram *d, *next;

	if (!f)
		return;
	atomic_store(&f->is_over, true);
	/* twice: a callback that ran may have set it before it saw that all is over */
	(void)lx_timer_cancel(&f->timer);
	(void)lx_timer_cancel(&f->timer);
	for (unsigned int i = 0; i < CHAINS; i++)
		list_for_each_entry_safe(d, next, &f->chain[i].list, link)
			destroy(inet, d);
	rt_free(f);
}

/* -- out */

/* Options that are not for each piece become ones that say nothing (RFC 791, 3.1: the copied flag). */
static void strip_options(struct iphdr *h)
{
	uint8_t *o = (uint8_t *)(h + 1), *end = (uint8_t *)h + h->ihl * 4u;

	while (o < end && *o != IPOPT_END) {
		unsigned int len = *o == IPOPT_NOOP ? 1 : o + 1 < end ? o[1] : 0;

		if (!len || (*o != IPOPT_NOOP && len < 2) || len > (unsigned int)(end - o))
			return;
		if (!IPOPT_COPIED(*o))
			memset(o, IPOPT_NOOP, len);
		o += len;
	}
}

/* Bytes @at to @at + @n of what is behind the header of @p, as a packet.  NULL: no memory. */
static struct lx_pbuf *make_piece(struct inet *inet, const struct lx_pbuf *p, uint32_t header,
				  uint32_t at, uint32_t n)
{
	struct lx_pbuf *piece = lx_pbuf_alloc(inet->ns->pool, LX_PBUF_HEADROOM, header + n);
	struct iphdr *h;

	if (!piece)
		return NULL;
	h = lx_pbuf_put(piece, header + n);
	lx_pbuf_read(p, 0, h, header);
	lx_pbuf_read(p, header + at, (uint8_t *)h + header, n);
	h->tot_len = BE16((uint16_t)(header + n));
	h->frag_off = BE16((uint16_t)(at / 8 | (header + at + n < p->len ? IP4_MF : 0)));
	if (at)
		strip_options(h);
	ip4_header_csum(h);
	piece->hash = p->hash;
	piece->network_at = lx_pbuf_place(piece);
	piece->transport_at = (uint16_t)(piece->network_at + header);
	return piece;
}

static int send_pieces(struct inet *inet, const struct inet_dst *d, const struct lx_pbuf *p,
		       uint32_t header, uint32_t step)
{
	for (uint32_t at = 0; header + at < p->len; at += step) {
		uint32_t n = MIN(step, p->len - header - at);
		struct lx_pbuf *piece = make_piece(inet, p, header, at, n);
		int err = piece ? ip4_xmit(inet, d, piece) : -ENOBUFS;

		if (err)
			return err;
		inet_count(inet, ip[IPSTATS_MIB_FRAGCREATES]);
	}
	return 0;
}

int ip4_fragment(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p, uint32_t mtu)
{
	uint32_t header = ((const struct iphdr *)lx_pbuf_data(p))->ihl * 4u;
	int err = p->csum == LX_CSUM_PARTIAL ? lx_pbuf_complete_csum(p) : 0;

	if (!err)
		err = mtu < header + 8 ? -EMSGSIZE :
					 send_pieces(inet, d, p, header, (mtu - header) & ~7u);
	if (err)
		inet_count(inet, ip[IPSTATS_MIB_FRAGFAILS]);
	else
		inet_count(inet, ip[IPSTATS_MIB_FRAGOKS]);
	lx_pbuf_free(p);
	return err;
}
