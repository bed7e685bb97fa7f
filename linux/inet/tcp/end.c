/* SPDX-License-Identifier: MIT */
/*
 * The end of a connection: shutdown(2), close(2), and what is left of it in the tables.
 */
#include "inet/tcp/sock.h"

void tcp_drop_child(struct tcp_sock *child)
{
	struct inet_tables *t = tcp_inet(child)->tables;

	inet_connection_remove(t, &child->is.owner.entry);
	inet_port_release(t, &child->is.owner);
	inet_sock_forget_route(&child->is);
	inet_sock_unlock(&child->is);
	inet_sock_put(&child->is);
}

void tcp_sock_ended(struct tcp_sock *ts, bool timewait)
{
	struct inet_entry *e = &ts->is.owner.entry;
	struct inet_tables *t = tcp_inet(ts)->tables;

	if (!timewait || !tcp_over_put(ts))
		inet_connection_remove(t, e);
	if (ts->is_orphan) {
		atomic_fetch_sub(&tcp_ns_of(ts)->orphans, 1);
		inet_port_release(t, &ts->is.owner);
		inet_sock_forget_route(&ts->is);
		return;
	}
	if (!inet_has(&ts->is, INET_BOUND_PORT))
		inet_port_release(t, &ts->is.owner);
}

static int shutdown_locked(struct tcp_sock *ts, unsigned int how)
{
	struct tcp_conn *c = &ts->conn;

	if (ts->listen) {
		if (how & SHUTDOWN_RECV)
			tcp_sock_disconnect(ts);
		else
			atomic_fetch_or(&ts->is.shutdown, how);
		return 0;
	}
	if (c->state == TCP_SYN_SENT) {
		tcp_sock_disconnect(ts);
		return 0;
	}
	atomic_fetch_or(&ts->is.shutdown, how);
	if (c->state == TCP_CLOSE) {
		tcp_wake_all(ts, 0);
		return -ENOTCONN;
	}
	if (how & SHUTDOWN_RECV)
		c->rcv_shutdown = true;
	if (how & SHUTDOWN_SEND)
		tcp_shutdown(c, rt_now_ns());
	tcp_settle(ts);
	tcp_wake_all(ts, 0);
	return 0;
}

int tcp_sock_shutdown(struct lx_socket *s, unsigned int how)
{
	struct tcp_sock *ts = tcp_sock(s);
	int err;

	inet_sock_lock(&ts->is);
	err = shutdown_locked(ts, how);
	inet_sock_leave(&ts->is);
	return err;
}

/* -- close(2) */

static bool is_sent(struct inet_sock *is, void *arg)
{
	uint8_t state = tcp_sock_of(is)->conn.state;

	return state != TCP_FIN_WAIT1 && state != TCP_CLOSING && state != TCP_LAST_ACK;
}

/* SO_LINGER: until what was sent is acknowledged, or patience ends. */
static void linger(struct tcp_sock *ts)
{
	const struct lx_socket *s = &ts->is.base;

	if (s->linger.onoff && s->linger.seconds > 0 && !is_sent(&ts->is, NULL))
		(void)tcp_wait(ts, is_sent, NULL,
			       socket_deadline((uint64_t)s->linger.seconds * LX_NSEC_PER_SEC));
}

static bool too_many_orphans(struct tcp_ns *tns)
{
	return atomic_load_explicit(&tns->orphans, memory_order_relaxed) >=
	       atomic_load_explicit(&tns->conf.max_orphans, memory_order_relaxed);
}

/* Lock held: no program has it any more. */
static void close_connection(struct tcp_sock *ts)
{
	const struct lx_socket *s = &ts->is.base;
	struct tcp_ns *tns = tcp_ns_of(ts);
	uint64_t now = rt_now_ns();

	if (s->linger.onoff && s->linger.seconds == 0) {
		tcp_count(&tns->context, TCP_C_ABORT_ON_LINGER);
		tcp_abort(&ts->conn, 0, now);
		tcp_settle(ts);
		return;
	}
	tcp_close(&ts->conn, now);
	tcp_settle(ts);
	linger(ts);
	if (ts->conn.state == TCP_CLOSE)
		return;
	if (too_many_orphans(tns)) {
		tcp_abort(&ts->conn, 0, rt_now_ns());
		tcp_settle(ts);
		return;
	}
	ts->is_orphan = true;
	atomic_fetch_add(&tns->orphans, 1);
}

void tcp_sock_release(struct lx_socket *s)
{
	struct tcp_sock *ts = tcp_sock(s);
	struct lx_netns *ns = lx_netns_get(s->ns);
	bool is_over;

	inet_leave_groups(&ts->is);
	inet_sock_lock(&ts->is);
	if (ts->listen)
		tcp_stop_listening(ts);
	else if (ts->conn.state != TCP_CLOSE)
		close_connection(ts);
	atomic_fetch_or(&ts->is.shutdown, SHUTDOWN_BOTH);
	is_over = !ts->is_orphan;	/* (or an orphan, and over by now: handled as one) */
	inet_sock_unlock(&ts->is);
	if (is_over)
		inet_sock_release(&ts->is);
	else
		inet_sock_put(&ts->is);	/* that of the table is left */
	lx_net_deliver(ns);
	lx_netns_put(ns);
}
