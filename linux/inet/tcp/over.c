/* SPDX-License-Identifier: MIT */
/*
 * Connections that are over: entries that answer what still comes for them, in TIME_WAIT for a
 * minute, or in FIN_WAIT2 until the peer has closed as well.  The namespace has them in order of
 * time, with one timer.
 */
#include "inet/tcp/sock.h"

#include "base/byteorder.h"

/* -- the queue by time: ns->lock held */

static void queue_insert(struct tcp_ns *tns, struct tcp_over *o)
{
	struct rb_node **link = &tns->over.root, *parent = NULL;

	while (*link) {
		struct tcp_over *other = container_of(*link, struct tcp_over, node);

		parent = *link;
		link = o->wait.expires_at < other->wait.expires_at ? &parent->left : &parent->right;
	}
	rb_insert(&tns->over, &o->node, parent, link);
}

static void queue_set_timer(struct tcp_ns *tns)
{
	struct tcp_over *first = rb_first_entry(&tns->over, struct tcp_over, node);

	if (!first || first->wait.expires_at >= tns->timer_at)
		return;
	tns->timer_at = first->wait.expires_at;
	lx_timer_set(&tns->timer, tns->timer_at);
}

static void queue_remove(struct tcp_ns *tns, struct tcp_over *o)
{
	rb_remove(&tns->over, &o->node);
	atomic_fetch_sub_explicit(&tns->nr_over, 1, memory_order_relaxed);
}

/* Out of the tables, after queue_remove(), without ns->lock; the queue's reference goes. */
static void end(struct tcp_ns *tns, struct tcp_over *o)
{
	inet_connection_remove(tns->inet->tables, &o->owner.entry);
	inet_port_release(tns->inet->tables, &o->owner);
	inet_entry_put(&o->owner.entry);
}

/* One whose time is over at @now, taken out of the queue; NULL: none is, and the timer is set. */
static struct tcp_over *take_expired(struct tcp_ns *tns, uint64_t now)
{
	struct tcp_over *o;

	rt_mutex_lock(&tns->lock);
	o = rb_first_entry(&tns->over, struct tcp_over, node);
	if (o && o->wait.expires_at <= now) {
		queue_remove(tns, o);
	} else {
		o = NULL;
		tns->timer_at = TCP_NEVER;
		queue_set_timer(tns);
	}
	rt_mutex_unlock(&tns->lock);
	return o;
}

static void timer_fired(struct lx_timer *t)
{
	struct tcp_ns *tns = container_of(t, struct tcp_ns, timer);
	struct tcp_over *o;

	while ((o = take_expired(tns, rt_now_ns())))
		end(tns, o);
}

/* -- from a connection */

static struct tcp_over *over_alloc(struct tcp_sock *ts)
{
	struct tcp_over *o = rt_zalloc(sizeof(*o));
	struct inet_owner *from = &ts->is.owner;

	if (!o)
		return NULL;
	o->ns = tcp_ns_of(ts);
	o->owner.entry.key = from->entry.key;
	o->owner.entry.ifindex = from->entry.ifindex;
	o->owner.entry.kind = INET_TIME_WAIT;
	o->owner.entry.protocol = IPPROTO_TCP;
	atomic_init(&o->owner.entry.refs, 1);
	hlist_node_init(&o->owner.entry.link);
	list_init(&o->owner.port_link);
	o->owner.uid = from->uid;
	o->owner.was_reuse = socket_has(&ts->is.base, SOCKET_FLAG(SO_REUSEADDR));
	o->owner.was_reuseport = socket_has(&ts->is.base, SOCKET_FLAG(SO_REUSEPORT));
	rb_node_init(&o->node);
	list_init(&o->link);
	return o;
}

bool tcp_over_put(struct tcp_sock *ts)
{
	struct tcp_ns *tns = tcp_ns_of(ts);
	struct inet_tables *t = tns->inet->tables;
	struct tcp_over *o;

	if (atomic_load_explicit(&tns->nr_over, memory_order_relaxed) >=
	    atomic_load_explicit(&tns->conf.max_tw_buckets, memory_order_relaxed)) {
		inet_count(tns->inet, ext[LINUX_MIB_TCPTIMEWAITOVERFLOW]);
		return false;
	}
	o = over_alloc(ts);
	if (!o)
		return false;
	tcp_timewait_init(&o->wait, &ts->conn, rt_now_ns());
	inet_port_share(t, &o->owner, &ts->is.owner);
	/* the queue first: who finds it in the table may take it out of both */
	rt_mutex_lock(&tns->lock);
	queue_insert(tns, o);
	atomic_fetch_add_explicit(&tns->nr_over, 1, memory_order_relaxed);
	queue_set_timer(tns);
	rt_mutex_unlock(&tns->lock);
	if (inet_connection_replace(t, &ts->is.owner.entry, &o->owner.entry))
		return true;
	rt_mutex_lock(&tns->lock);
	queue_remove(tns, o);
	rt_mutex_unlock(&tns->lock);
	end(tns, o);
	return false;
}

/* -- packets */

/* The verdict on @s; whatever ends it takes it out of the queue here. */
static enum tcp_verdict look(struct tcp_over *o, const struct tcp_segment *s, struct lx_pbuf **out,
			     uint32_t *isn)
{
	struct tcp_ns *tns = o->ns;
	uint64_t now = rt_now_ns(), before;
	enum tcp_verdict verdict = TCP_DROP;

	rt_mutex_lock(&tns->lock);
	if (rb_is_linked(&o->node)) {
		before = o->wait.expires_at;
		verdict = tcp_timewait_receive(&o->wait, &tns->context, s, now, out, isn);
		if (verdict != TCP_DROP) {
			queue_remove(tns, o);
		} else if (o->wait.expires_at != before) {
			rb_remove(&tns->over, &o->node);
			queue_insert(tns, o);
			queue_set_timer(tns);
		}
	}
	rt_mutex_unlock(&tns->lock);
	return verdict;
}

void tcp_over_receive(struct tcp_over *o, struct lx_pbuf *p)
{
	struct inet *inet = o->ns->inet;
	struct lx_pbuf *out = NULL;
	enum tcp_verdict verdict;
	struct tcp_segment s;
	uint32_t isn = 0;

	if (!tcp_parse(p, &s)) {
		lx_pbuf_free(p);
		return;
	}
	verdict = look(o, &s, &out, &isn);
	if (out)
		tcp_send_for_nobody(inet, &o->owner.entry.key, out, 0, 0);
	if (verdict != TCP_DROP)
		end(o->ns, o);
	if (verdict == TCP_NEW) {
		tcp_rx(p)->isn = isn ? isn : 1;
		tcp_demux(inet, p);
	} else {
		lx_pbuf_free(p);
	}
}

bool tcp_over_may_connect(struct inet_entry *e, uint32_t *isn)
{
	struct tcp_over *o = container_of(e, struct tcp_over, owner.entry);
	struct tcp_ns *tns = o->ns;
	bool may;

	rt_mutex_lock(&tns->lock);
	may = rb_is_linked(&o->node) &&
	      atomic_load_explicit(&tns->context.conf.tw_reuse, memory_order_relaxed) &&
	      tcp_timewait_may_connect(&o->wait, rt_now_ns(), isn);
	if (may) {
		queue_remove(tns, o);
		list_add_last(&tns->replaced, &o->link);
	}
	rt_mutex_unlock(&tns->lock);
	return may;
}

void tcp_over_reap(struct tcp_ns *tns)
{
	struct list dead;
	struct tcp_over *o;

	if (list_looks_empty(&tns->replaced))
		return;
	list_init(&dead);
	rt_mutex_lock(&tns->lock);
	list_splice_last(&dead, &tns->replaced);
	rt_mutex_unlock(&tns->lock);
	while ((o = list_pop_entry(&dead, struct tcp_over, link)))
		end(tns, o);
}

void tcp_entry_free(struct inet_entry *e)
{
	if (e->kind == INET_HALF_OPEN) {
		struct tcp_half_open *h = container_of(e, struct tcp_half_open, entry);

		inet_sock_put(&h->listener->is);
		rt_free(h);
		return;
	}
	rt_free(container_of(e, struct tcp_over, owner.entry));
}

/* -- the namespace's part */

static void conf_init(struct tcp_sock_conf *c)
{
	atomic_init(&c->syncookies, 1);
	atomic_init(&c->abort_on_overflow, 0);
	atomic_init(&c->max_syn_backlog, 1024);
	atomic_init(&c->somaxconn, SOMAXCONN);
	atomic_init(&c->max_tw_buckets, 16384);
	atomic_init(&c->max_orphans, 16384);
}

int tcp_ns_create(struct inet *inet)
{
	struct tcp_ns *tns = rt_zalloc(sizeof(*tns));

	if (!tns)
		return -ENOMEM;
	tns->inet = inet;
	tcp_context_init(&tns->context, inet->ns->pool);
	conf_init(&tns->conf);
	rt_mutex_init(&tns->lock, LX_LOCK_INET_QUEUE);
	list_init(&tns->replaced);
	tns->timer_at = TCP_NEVER;
	lx_timer_init(&tns->timer, timer_fired, LX_TIMER_MONOTONIC);
	inet->tcp = tns;
	return 0;
}

void tcp_ns_destroy(struct inet *inet)
{
	struct tcp_ns *tns = inet->tcp;
	struct tcp_over *o;

	if (!tns)
		return;
	lx_timer_cancel(&tns->timer);
	while ((o = rb_first_entry(&tns->over, struct tcp_over, node))) {
		queue_remove(tns, o);
		end(tns, o);
	}
	inet->tcp = NULL;
	rt_free(tns);
}
