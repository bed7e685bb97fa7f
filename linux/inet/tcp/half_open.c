/* SPDX-License-Identifier: MIT */
/*
 * What a listener receives: SYNs, and the segments of connections that are half open.
 *
 * There are at most as many half-open connections as the accept queue may have; a SYN beyond
 * that is answered with a cookie (tcp_syncookies), which needs no memory until its ACK comes back.
 */
#include "inet/tcp/sock.h"

#include "base/byteorder.h"

/* A cookie's ACK is looked at for as long as there may be one. */
#define COOKIES_NS	(120ull * 1000000000)

static void listener_settings(const struct tcp_sock *ts, struct tcp_listener *l)
{
	const struct tcp_settings *set = &ts->conn.set;

	*l = (struct tcp_listener){
		.context = ts->conn.context, .rcvbuf = set->rcvbuf, .maxseg = set->maxseg,
		.window_clamp = set->window_clamp, .defer_accept = ts->defer_accept,
		.syn_retries = set->syn_retries,
	};
}

/* The way back to @key->remote: no reference is kept.  0 or an errno. */
static int path_to(struct tcp_sock *ts, const struct inet_tuple *key, struct tcp_path *path)
{
	struct inet_dst dst = { .dev = NULL };
	struct inet_flow flow;
	int err;

	inet_sock_flow(&ts->is, &key->remote, &flow);
	flow.src = key->local;
	flow.protocol = IPPROTO_TCP;
	err = inet_route_output(tcp_inet(ts), &flow, &dst);
	if (err)
		return err;
	tcp_path_of(&dst, 0, path);
	inet_dst_release(&dst);
	return 0;
}

static void answer(struct tcp_sock *ts, const struct inet_tuple *key, struct lx_pbuf *p)
{
	struct inet_sock *is = &ts->is;

	if (p)
		tcp_send_for_nobody(tcp_inet(ts), key, p,
				    atomic_load_explicit(&is->tos, memory_order_relaxed),
				    (uint32_t)atomic_load(&is->base.mark));
}

/* -- the queue by time */

static void queue_insert(struct tcp_queues *q, struct tcp_half_open *h)
{
	struct rb_node **link = &q->half_open.root, *parent = NULL;

	while (*link) {
		struct tcp_half_open *other = container_of(*link, struct tcp_half_open, node);

		parent = *link;
		link = h->request.at < other->request.at ? &parent->left : &parent->right;
	}
	rb_insert(&q->half_open, &h->node, parent, link);
}

static void queue_set_timer(struct tcp_queues *q)
{
	struct tcp_half_open *first = rb_first_entry(&q->half_open, struct tcp_half_open, node);

	if (!first || first->request.at >= q->timer_at)
		return;
	q->timer_at = first->request.at;
	lx_timer_set(&q->timer, q->timer_at);
}

void tcp_half_open_timer(struct lx_timer *t)
{
	/* cancelled before either goes: tcp_stop_listening() */
	struct tcp_sock *ts = container_of(t, struct tcp_queues, timer)->owner;
	struct lx_netns *ns = lx_netns_get(ts->is.base.ns);
	struct inet_sock *is = inet_sock_get(&ts->is);

	inet_sock_signal(is, TCP_SIGNAL_HALF_OPEN);
	inet_sock_put(is);
	lx_net_deliver_nowait(ns);
	lx_netns_put(ns);
}

/* Out of the queue and the table; the reference of the making goes. */
static void drop(struct tcp_sock *ts, struct tcp_half_open *h)
{
	rb_remove(&ts->listen->half_open, &h->node);
	ts->listen->nr_half_open--;
	inet_connection_remove(tcp_inet(ts)->tables, &h->entry);
	inet_entry_put(&h->entry);
}

void tcp_half_open_drop_all(struct tcp_sock *ts)
{
	struct tcp_half_open *h;

	while ((h = rb_first_entry(&ts->listen->half_open, struct tcp_half_open, node)))
		drop(ts, h);
}

void tcp_half_open_timers(struct tcp_sock *ts)
{
	struct tcp_queues *q = ts->listen;
	uint64_t now = rt_now_ns();
	struct tcp_listener l;
	struct tcp_half_open *h;

	listener_settings(ts, &l);
	q->timer_at = TCP_NEVER;
	while ((h = rb_first_entry(&q->half_open, struct tcp_half_open, node)) &&
	       h->request.at <= now) {
		struct lx_pbuf *p = NULL;
		bool ends = tcp_request_timer(&h->request, &l, now, &p) == TCP_END;

		answer(ts, &h->entry.key, p);
		if (ends) {
			drop(ts, h);
			continue;
		}
		rb_remove(&q->half_open, &h->node);
		/* a request whose time does not move would keep us here */
		h->request.at = MAX(h->request.at, now + 1000000);
		queue_insert(q, h);
	}
	queue_set_timer(q);
}

/* -- SYNs */

static struct tcp_half_open *half_open_alloc(struct tcp_sock *ts, const struct inet_tuple *key)
{
	struct tcp_half_open *h = rt_zalloc(sizeof(*h));

	if (!h)
		return NULL;
	h->entry.key = *key;
	h->entry.kind = INET_HALF_OPEN;
	h->entry.protocol = IPPROTO_TCP;
	h->entry.ifindex = ts->is.owner.entry.ifindex;
	atomic_init(&h->entry.refs, 1);
	hlist_node_init(&h->entry.link);
	rb_node_init(&h->node);
	h->listener = ts;
	inet_sock_get(&ts->is);
	return h;
}

/* Answered, and remembered. */
static void remember(struct tcp_sock *ts, const struct tcp_request *r, const struct inet_tuple *key,
		     const struct tcp_listener *l, uint64_t now)
{
	struct tcp_half_open *h = half_open_alloc(ts, key);

	if (!h)
		return;
	h->request = *r;
	if (!inet_connection_insert(tcp_inet(ts)->tables, &h->entry)) {
		inet_entry_put(&h->entry);
		return;
	}
	queue_insert(ts->listen, h);
	ts->listen->nr_half_open++;
	answer(ts, key, tcp_request_answer(&h->request, l, now));
	queue_set_timer(ts->listen);
}

static void receive_syn(struct tcp_sock *ts, const struct tcp_segment *s,
			const struct inet_tuple *key, uint32_t isn)
{
	struct inet *inet = tcp_inet(ts);
	struct tcp_sock_conf *conf = &inet->tcp->conf;
	struct tcp_queues *q = ts->listen;
	bool full = q->nr_half_open > q->max;
	uint64_t now = rt_now_ns();
	struct tcp_listener l;
	struct tcp_request r;
	struct tcp_path path;

	if (tcp_accept_queue_full(q)) {
		inet_count(inet, ext[LINUX_MIB_LISTENOVERFLOWS]);
		goto dropped;
	}
	if (full && !atomic_load_explicit(&conf->syncookies, memory_order_relaxed))
		goto dropped;
	if (path_to(ts, key, &path))
		goto dropped;
	listener_settings(ts, &l);
	tcp_request_init(&r, &l, &path, s, isn ? isn : tcp_isn(&inet->secret.isn, key, now),
			 tcp_stamp_offset(&inet->secret.stamp, key), now);
	r.local_port = key->local_port;
	r.remote_port = key->remote_port;
	if (!full) {
		remember(ts, &r, key, &l, now);
		return;
	}
	tcp_request_to_cookie(&r, &inet->secret, key, now);
	q->cookies_at = now;
	tcp_count(l.context, TCP_C_SYNCOOKIES_SENT);
	answer(ts, key, tcp_request_answer(&r, &l, now));
	return;
dropped:
	inet_count(inet, ext[LINUX_MIB_LISTENDROPS]);
}

/* -- segments for what is half open */

static void receive_cookie(struct tcp_sock *ts, const struct tcp_segment *s,
			   const struct inet_tuple *key, struct lx_pbuf *p)
{
	struct inet *inet = tcp_inet(ts);
	uint64_t now = rt_now_ns(), sent = ts->listen->cookies_at;
	struct tcp_listener l;
	struct tcp_request r;
	struct tcp_path path;

	listener_settings(ts, &l);
	if (!sent || now - sent > COOKIES_NS || path_to(ts, key, &path) ||
	    !tcp_request_from_cookie(&r, &l, &path, s, &inet->secret, key, now)) {
		if (sent)
			tcp_count(l.context, TCP_C_SYNCOOKIES_FAILED);
		tcp_refuse(inet, p);
		return;
	}
	tcp_count(l.context, TCP_C_SYNCOOKIES_RECV);
	if (tcp_accept_queue_full(ts->listen)) {
		inet_count(inet, ext[LINUX_MIB_LISTENOVERFLOWS]);
		lx_pbuf_free(p);
		return;
	}
	tcp_make_child(ts, NULL, &r, &path, key, p, now);
}

/* The handshake is complete: a connection, if there is room for it. */
static void complete(struct tcp_sock *ts, struct tcp_half_open *h, struct lx_pbuf *p, uint64_t now)
{
	struct inet *inet = tcp_inet(ts);
	struct tcp_path path;

	if (tcp_accept_queue_full(ts->listen)) {
		inet_count(inet, ext[LINUX_MIB_LISTENOVERFLOWS]);
		inet_count(inet, ext[LINUX_MIB_LISTENDROPS]);
		if (atomic_load_explicit(&inet->tcp->conf.abort_on_overflow, memory_order_relaxed)) {
			tcp_refuse(inet, p);
			drop(ts, h);
			return;
		}
		h->request.acked = true;
		lx_pbuf_free(p);
		return;
	}
	if (path_to(ts, &h->entry.key, &path)) {
		lx_pbuf_free(p);
		return;
	}
	tcp_make_child(ts, h, &h->request, &path, &h->entry.key, p, now);
}

static void receive_half_open(struct tcp_sock *ts, struct tcp_half_open *h,
			      const struct tcp_segment *s, struct lx_pbuf *p)
{
	struct tcp_queues *q = ts->listen;
	uint64_t now = rt_now_ns();
	struct lx_pbuf *out = NULL;
	enum tcp_verdict verdict;
	struct tcp_listener l;

	listener_settings(ts, &l);
	verdict = tcp_request_receive(&h->request, &l, s, now, &out);
	answer(ts, &h->entry.key, out);
	if (verdict == TCP_ACCEPT) {
		complete(ts, h, p, now);
		return;
	}
	lx_pbuf_free(p);
	if (verdict == TCP_END) {
		drop(ts, h);
		return;
	}
	rb_remove(&q->half_open, &h->node);
	queue_insert(q, h);
	queue_set_timer(q);
}

/* It was for the listener when it came; what is there now? */
static void receive_for(struct tcp_sock *ts, struct inet_entry *e, const struct tcp_segment *s,
			struct lx_pbuf *p)
{
	struct tcp_half_open *h = container_of(e, struct tcp_half_open, entry);

	if (e->kind == INET_HALF_OPEN && h->listener == ts && rb_is_linked(&h->node))
		receive_half_open(ts, h, s, p);
	else if (e->kind == INET_SOCKET)
		inet_sock_receive(inet_sock_of(e), p);
	else if (e->kind == INET_TIME_WAIT)
		tcp_over_receive(container_of(e, struct tcp_over, owner.entry), p);
	else
		lx_pbuf_free(p);	/* another listener's by now: it is sent again */
}

void tcp_listener_receive(struct tcp_sock *ts, struct lx_pbuf *p)
{
	struct inet_tables *t = tcp_inet(ts)->tables;
	uint32_t isn = tcp_rx(p)->isn;
	struct inet_tuple key;
	struct tcp_segment s;
	struct inet_entry *e;

	if (!tcp_parse(p, &s)) {
		lx_pbuf_free(p);
		return;
	}
	tcp_tuple_of(p, &key);
	e = inet_connection_find(t, inet_connection_hash(t, &key, IPPROTO_TCP), &key, IPPROTO_TCP,
				 p->ifindex);
	if (e) {
		receive_for(ts, e, &s, p);
		inet_entry_put(e);
		return;
	}
	if (s.flags & TCP_FLAG_RST) {
		lx_pbuf_free(p);
	} else if (s.flags & TCP_FLAG_ACK) {
		if (s.flags & TCP_FLAG_SYN)
			tcp_refuse(tcp_inet(ts), p);
		else
			receive_cookie(ts, &s, &key, p);
	} else {
		if (s.flags & TCP_FLAG_SYN && !(s.flags & TCP_FLAG_FIN))
			receive_syn(ts, &s, &key, isn);
		lx_pbuf_free(p);
	}
}
