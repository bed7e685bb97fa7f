/* SPDX-License-Identifier: MIT */
/*
 * The socket of a connection that a listener has got.
 */
#include "inet/tcp/sock.h"

#include <asm/poll.h>

static void inherit_socket(struct lx_socket *to, struct lx_socket *from)
{
	atomic_init(&to->options, atomic_load(&from->options) & ~SOCKET_LISTENING);
	atomic_init(&to->rcvlowat, atomic_load(&from->rcvlowat));
	atomic_init(&to->priority, atomic_load(&from->priority));
	atomic_init(&to->mark, atomic_load(&from->mark));
	atomic_init(&to->rcvtimeo_ns, atomic_load(&from->rcvtimeo_ns));
	atomic_init(&to->sndtimeo_ns, atomic_load(&from->sndtimeo_ns));
	atomic_init(&to->timestamp, atomic_load(&from->timestamp));
	to->linger = from->linger;
}

static void inherit_ip(struct inet_sock *to, struct inet_sock *from)
{
	/* the address is the connection's, and the port is shared with the listener */
	atomic_store(&to->ip_flags,
		     (atomic_load(&from->ip_flags) | INET_BOUND_ADDRESS) & ~INET_BOUND_PORT);
	atomic_store(&to->ttl, atomic_load(&from->ttl));
	atomic_store(&to->tos, atomic_load(&from->tos));
	atomic_store(&to->min_ttl, atomic_load(&from->min_ttl));
	atomic_store(&to->mc_ttl, atomic_load(&from->mc_ttl));
	atomic_store(&to->pmtudisc, atomic_load(&from->pmtudisc));
	to->owner.entry.ifindex = from->owner.entry.ifindex;
}

static struct tcp_sock *child_alloc(struct tcp_sock *ts, const struct inet_tuple *key)
{
	struct tcp_sock *child = tcp_sock_alloc(ts->is.base.ns, ts->is.owner.uid);

	if (!child)
		return NULL;
	inherit_socket(&child->is.base, &ts->is.base);
	inherit_ip(&child->is, &ts->is);
	child->conn.set = ts->conn.set;
	child->conn.local_port = key->local_port;
	child->conn.remote_port = key->remote_port;
	child->is.owner.entry.key = *key;
	child->want_inq = ts->want_inq;
	child->phase = TCP_CONNECTED;
	return child;
}

/* In the place of @h, or with NULL where nothing was.  The child's lock is held. */
static bool enter(struct tcp_sock *ts, struct tcp_sock *child, struct tcp_half_open *h)
{
	struct inet_tables *t = tcp_inet(ts)->tables;
	struct inet_entry *e = &child->is.owner.entry;

	inet_port_share(t, &child->is.owner, &ts->is.owner);
	if (!h)
		return inet_connection_insert(t, e);
	if (!inet_connection_replace(t, &h->entry, e))
		return false;
	rb_remove(&ts->listen->half_open, &h->node);
	ts->listen->nr_half_open--;
	return true;
}

void tcp_make_child(struct tcp_sock *ts, struct tcp_half_open *h, const struct tcp_request *r,
		    const struct tcp_path *path, const struct inet_tuple *key, struct lx_pbuf *p,
		    uint64_t now)
{
	struct tcp_sock *child = child_alloc(ts, key);
	struct tcp_queues *q = ts->listen;
	bool ce = (ip_rx(p)->tos & 3) == 3;

	if (!child) {
		lx_pbuf_free(p);
		return;
	}
	rt_mutex_lock_nested(&child->is.lock);
	tcp_accept(&child->conn, r, path, now);
	if (!enter(ts, child, h)) {
		tcp_destroy(&child->conn);
		tcp_drop_child(child);
		lx_pbuf_free(p);
		return;
	}
	list_add_last(&q->accepted, &child->accept_link);
	WRITE_ONCE(ts->nr_waiting, ts->nr_waiting + 1);
	tcp_receive(&child->conn, p, ce, now);
	tcp_settle(child);
	inet_sock_unlock(&child->is);
	if (h)
		inet_entry_put(&h->entry);
	tcp_wake(ts, POLLIN | POLLRDNORM);
}
