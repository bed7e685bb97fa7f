/* SPDX-License-Identifier: MIT */
/*
 * listen(2) and accept(2).
 *
 * A connection comes into the accept queue with its handshake's last segment (child.c), and may be
 * over before somebody accepts it.  It is taken out by accept(2), or reset when its listener ends.
 */
#include "inet/tcp/sock.h"

#include <asm/poll.h>

static struct tcp_queues *queues_alloc(struct tcp_sock *ts)
{
	struct tcp_queues *q = rt_zalloc(sizeof(*q));

	if (!q)
		return NULL;
	q->owner = ts;
	q->timer_at = TCP_NEVER;
	list_init(&q->accepted);
	lx_timer_init(&q->timer, tcp_half_open_timer, LX_TIMER_MONOTONIC);
	return q;
}

/* Lock held.  0 or an errno. */
static int start_listening(struct tcp_sock *ts, uint32_t max)
{
	struct inet_tables *t = tcp_inet(ts)->tables;
	struct tcp_queues *q = queues_alloc(ts);
	int err;

	if (!q)
		return -ENOBUFS;
	err = inet_autobind(&ts->is);
	if (!err && !inet_port_may_listen(&ts->is))
		err = -EADDRINUSE;
	if (err) {
		rt_free(q);
		if (!inet_has(&ts->is, INET_BOUND_PORT))
			inet_port_release(t, &ts->is.owner);
		return err;
	}
	q->max = max;
	WRITE_ONCE(ts->listen, q);
	atomic_fetch_or(&ts->is.base.options, SOCKET_LISTENING);
	inet_listener_insert(t, &ts->is);
	return 0;
}

int tcp_sock_listen(struct lx_socket *s, int backlog)
{
	struct tcp_sock *ts = tcp_sock(s);
	uint32_t max = (uint32_t)backlog;
	int err = 0;

	max = MIN(max, atomic_load_explicit(&tcp_ns_of(ts)->conf.somaxconn, memory_order_relaxed));
	inet_sock_lock(&ts->is);
	if (ts->phase != TCP_UNCONNECTED || ts->conn.state != TCP_CLOSE)
		err = -EINVAL;
	else if (ts->listen)
		ts->listen->max = max;
	else
		err = start_listening(ts, max);
	inet_sock_leave(&ts->is);
	return err;
}

/* Nobody will accept it. */
static void abort_child(struct tcp_sock *child)
{
	rt_mutex_lock_nested(&child->is.lock);
	tcp_abort(&child->conn, 0, rt_now_ns());
	tcp_settle(child);
	tcp_drop_child(child);
}

void tcp_stop_listening(struct tcp_sock *ts)
{
	struct tcp_queues *q = ts->listen;
	struct tcp_sock *child;

	inet_listener_remove(tcp_inet(ts)->tables, &ts->is);
	tcp_half_open_drop_all(ts);
	/* its callback reads ts->listen with our lock only, which it does not wait for */
	WRITE_ONCE(ts->listen, NULL);
	lx_timer_cancel(&q->timer);
	atomic_fetch_and(&ts->is.base.options, ~SOCKET_LISTENING);
	while ((child = list_pop_entry(&q->accepted, struct tcp_sock, accept_link)))
		abort_child(child);
	WRITE_ONCE(ts->nr_waiting, 0);
	rt_free(q);
	tcp_clear_ends(ts);
	tcp_wake_all(ts, 0);
}

static bool may_accept(struct inet_sock *is, void *arg)
{
	struct tcp_sock *ts = tcp_sock_of(is);

	return !ts->listen || ts->nr_waiting;
}

int tcp_sock_accept(struct lx_socket *s, bool nonblock, struct lx_socket **out)
{
	struct tcp_sock *ts = tcp_sock(s), *child = NULL;
	uint64_t deadline = socket_deadline(s->rcvtimeo_ns);
	int err = 0;

	inet_sock_lock(&ts->is);
	if (!may_accept(&ts->is, NULL))
		err = nonblock ? -EAGAIN : tcp_wait(ts, may_accept, NULL, deadline);
	if (!err && !ts->listen)
		err = -EINVAL;
	if (!err) {
		child = list_pop_entry(&ts->listen->accepted, struct tcp_sock, accept_link);
		WRITE_ONCE(ts->nr_waiting, ts->nr_waiting - 1);
	}
	inet_sock_leave(&ts->is);
	if (child)
		*out = &child->is.base;
	return err;
}
