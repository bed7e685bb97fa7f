/* SPDX-License-Identifier: MIT */
/*
 * TCP's sockets: making them, what a connection's events become, its timer, its way out.
 */
#include "inet/tcp/sock.h"

#include <asm/poll.h>

#include "base/byteorder.h"
#include "lx/cred.h"
#include "lx/ns.h"
#include "lx/ref.h"

static const struct lx_socket_ops socket_ops;
static const struct inet_sock_ops inet_ops;
static const struct tcp_ops conn_ops;

void tcp_wake(struct tcp_sock *ts, uint32_t events)
{
	if (!lx_waitq_empty(&ts->is.wait))
		lx_wake(&ts->is.wait, events, 1);
}

void tcp_wake_all(struct tcp_sock *ts, uint32_t events)
{
	if (!lx_waitq_empty(&ts->is.wait))
		lx_wake(&ts->is.wait, events, ~0u);
}

/* -- what a connection has left behind */

static void take_error(struct tcp_sock *ts)
{
	struct tcp_conn *c = &ts->conn;

	if (c->error)
		atomic_store(&ts->is.base.error, c->error);
	c->error = 0;
	tcp_wake_all(ts, POLLERR);
}

/* A buffer that has grown: SO_SNDBUF and SO_RCVBUF say so. */
static void show_buffers(struct tcp_sock *ts)
{
	struct lx_socket *s = &ts->is.base;

	if (atomic_load_explicit(&s->sndbuf, memory_order_relaxed) != (int)ts->conn.set.sndbuf)
		atomic_store_explicit(&s->sndbuf, (int)ts->conn.set.sndbuf, memory_order_relaxed);
	if (atomic_load_explicit(&s->rcvbuf, memory_order_relaxed) != (int)ts->conn.set.rcvbuf)
		atomic_store_explicit(&s->rcvbuf, (int)ts->conn.set.rcvbuf, memory_order_relaxed);
}

static void handle_events(struct tcp_sock *ts, unsigned int events)
{
	struct inet_sock *is = &ts->is;

	if (events & TCP_EV_CLOSED) {
		atomic_fetch_or(&is->shutdown, SHUTDOWN_BOTH);
		tcp_sock_ended(ts, events & TCP_EV_TIMEWAIT);
	}
	if (events & TCP_EV_FIN) {
		atomic_fetch_or(&is->shutdown, SHUTDOWN_RECV);
		ts->is_done = true;
	}
	if (events & TCP_EV_ERROR)
		take_error(ts);
	if (ts->is_orphan)
		return;
	/* a change of state is anything to those who wait */
	if (events & (TCP_EV_CONNECTED | TCP_EV_FIN | TCP_EV_CLOSED | TCP_EV_SHUTDOWN_DONE))
		tcp_wake_all(ts, 0);
	else if (events & TCP_EV_READABLE && tcp_is_readable(ts))
		tcp_wake(ts, POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND);
	if (events & TCP_EV_URGENT)
		tcp_wake(ts, POLLPRI);
	if (events & TCP_EV_WRITABLE)
		tcp_wake(ts, POLLOUT | POLLWRNORM | POLLWRBAND | LX_WAKE_SPACE);
}

/* The timer goes off no later than the next deadline; earlier is fine, and costs a look. */
static void set_timer(struct tcp_sock *ts)
{
	uint64_t at = ts->conn.state == TCP_CLOSE ? TCP_NEVER : tcp_deadline(&ts->conn);

	if (at >= ts->timer_at)
		return;
	ts->timer_at = at;
	ts->timer_used = true;
	lx_timer_set(&ts->timer, at);
}

void tcp_settle(struct tcp_sock *ts)
{
	unsigned int events = tcp_take_events(&ts->conn);

	if (events)
		handle_events(ts, events);
	show_buffers(ts);
	set_timer(ts);
}

int tcp_wait(struct tcp_sock *ts, bool (*ready)(struct inet_sock *is, void *arg), void *arg,
	     uint64_t deadline)
{
	tcp_settle(ts);
	inet_sock_leave(&ts->is);
	inet_sock_lock(&ts->is);
	if (ready(&ts->is, arg))
		return 0;
	return inet_sock_wait(&ts->is, ready, arg, deadline);
}

/* -- from the backlog, or at once: lock held */

static void receive(struct inet_sock *is, struct lx_pbuf *p)
{
	struct tcp_sock *ts = tcp_sock_of(is);
	const struct inet_tuple *key = &is->owner.entry.key;
	struct inet_tuple to;
	bool ce = (ip_rx(p)->tos & 3) == 3;

	if (ts->listen) {
		tcp_listener_receive(ts, p);
		return;
	}
	tcp_tuple_of(p, &to);
	if (ts->conn.state == TCP_CLOSE || memcmp(&to, key, sizeof(to)) != 0) {
		/* it was closed, or is another connection by now */
		tcp_refuse(tcp_inet(ts), p);
		return;
	}
	tcp_receive(&ts->conn, p, ce, rt_now_ns());
	tcp_settle(ts);
}

static void event(struct inet_sock *is, uint32_t bits)
{
	struct tcp_sock *ts = tcp_sock_of(is);

	if (bits & TCP_SIGNAL_HALF_OPEN && ts->listen)
		tcp_half_open_timers(ts);
	if (bits & TCP_SIGNAL_TIMER) {
		ts->timer_at = TCP_NEVER;
		if (ts->conn.state != TCP_CLOSE)
			tcp_timer(&ts->conn, rt_now_ns());
		tcp_settle(ts);
	}
}

static void timer_fired(struct lx_timer *t)
{
	struct tcp_sock *ts = container_of(t, struct tcp_sock, timer);
	struct lx_netns *ns = ts->is.base.ns;

	/* the timer has no reference of its own; destroy() waits for this function */
	if (!lx_ref_get_unless_zero(&ts->is.owner.entry.refs))
		return;
	lx_netns_get(ns);
	inet_sock_signal(&ts->is, TCP_SIGNAL_TIMER);
	inet_sock_put(&ts->is);
	lx_net_deliver_nowait(ns);
	lx_netns_put(ns);
}

/* -- the way out */

void tcp_path_of(const struct inet_dst *d, uint16_t ip_options, struct tcp_path *path)
{
	*path = (struct tcp_path){
		.mtu = MIN(d->mtu, 65535u),	/* lo takes one byte more than IP can say */
		.ip_header = (uint16_t)(20 + ip_options),
		.gso = d->dev && d->dev->features & LX_NETDEV_TSO4 ? LX_GSO_TCPV4 : LX_GSO_NONE,
		.gso_max = 65535,
	};
}

static uint16_t options_len(struct inet_sock *is)
{
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);

	return extra ? extra->options_len : 0;
}

int tcp_sock_route(struct tcp_sock *ts, const struct inet_addr *dst, struct tcp_path *path)
{
	struct inet_flow flow;
	int err;

	inet_sock_flow(&ts->is, dst, &flow);
	flow.protocol = IPPROTO_TCP;
	err = inet_sock_route(&ts->is, &flow);
	if (!err)
		tcp_path_of(&ts->is.dst, options_len(&ts->is), path);
	return err;
}

static int conn_send(struct tcp_conn *c, struct lx_pbuf *p, bool ect)
{
	struct tcp_sock *ts = container_of(c, struct tcp_sock, conn);
	struct inet_sock *is = &ts->is;
	const struct inet_tuple *key = &is->owner.entry.key;
	struct ip_tx tx = {
		.src = key->local, .dst = key->remote, .protocol = IPPROTO_TCP,
		.ttl = atomic_load_explicit(&is->ttl, memory_order_relaxed),
		.pmtudisc = atomic_load_explicit(&is->pmtudisc, memory_order_relaxed),
	};
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);

	if (unlikely(!is->dst.dev || !inet_dst_is_valid(tcp_inet(ts), &is->dst))) {
		struct tcp_path path;
		int err = tcp_sock_route(ts, &key->remote, &path);

		if (err) {
			lx_pbuf_free(p);
			return err;
		}
	}
	tx.tos = (uint8_t)((atomic_load_explicit(&is->tos, memory_order_relaxed) & ~3u) |
			   (ect ? 2u : 0));
	if (unlikely(extra != NULL)) {
		tx.options = extra->options;
		tx.options_len = extra->options_len;
	}
	p->hash = is->owner.entry.hash;
	inet_count_n(tcp_inet(ts), tcp[TCP_MIB_OUTSEGS],
		     p->gso_size ? (p->len + p->gso_size - 1u) / p->gso_size : 1u);
	tcp_set_pseudo(p, ip_pseudo_csum(&tx.src, &tx.dst, IPPROTO_TCP, p->len));
	return ip_send(tcp_inet(ts), &is->dst, p, &tx);
}

static const struct tcp_ops conn_ops = { .send = conn_send };

/* -- ends */

/* The key is written with the lock of the port, too, if there is one. */
static void set_key(struct inet_sock *is, const struct inet_addr *local,
		    const struct inet_addr *remote, uint16_t remote_port_be)
{
	struct inet_tables *t = is->base.ns->inet->tables;
	struct inet_tuple *key = &is->owner.entry.key;
	uint16_t number = BE16(key->local_port);

	if (number)
		inet_port_lock(t, INET_PORTS_TCP, number);
	key->local = *local;
	key->remote = *remote;
	key->remote_port = remote_port_be;
	if (number)
		inet_port_unlock(t, INET_PORTS_TCP, number);
}

void tcp_set_ends(struct tcp_sock *ts, const struct inet_addr *local, const struct inet_addr *remote,
		  uint16_t remote_port_be)
{
	set_key(&ts->is, local, remote, remote_port_be);
}

void tcp_clear_ends(struct tcp_sock *ts)
{
	struct inet_sock *is = &ts->is;
	struct inet_addr none = { .q = { 0, 0 } };
	struct inet_addr local = inet_has(is, INET_BOUND_ADDRESS) ? is->owner.entry.key.local : none;

	if (!inet_has(is, INET_BOUND_PORT))
		inet_port_release(is->base.ns->inet->tables, &is->owner);
	set_key(is, &local, &none, 0);
	inet_sock_forget_route(is);
}

/* -- life */

struct tcp_sock *tcp_sock_alloc(struct lx_netns *ns, lx_uid_t uid)
{
	struct tcp_sock *ts = rt_zalloc(sizeof(*ts));
	struct lx_socket *s;

	if (!ts)
		return NULL;
	inet_sock_init_in(&ts->is, ns, uid, &socket_ops, &inet_ops, SOCK_STREAM, IPPROTO_TCP,
			  INET_PORTS_TCP);
	tcp_init(&ts->conn, &ns->inet->tcp->context, &conn_ops);
	atomic_fetch_add_explicit(&ns->inet->tcp->nr_sockets, 1, memory_order_relaxed);
	lx_timer_init(&ts->timer, timer_fired, LX_TIMER_MONOTONIC);
	ts->timer_at = TCP_NEVER;
	list_init(&ts->accept_link);
	s = &ts->is.base;
	atomic_init(&s->sndbuf, (int)ts->conn.set.sndbuf);
	atomic_init(&s->rcvbuf, (int)ts->conn.set.rcvbuf);
	return ts;
}

int tcp_create(int type, int protocol, struct lx_socket **out)
{
	struct lx_task *self = lx_self();
	struct tcp_sock *ts;

	if (type != SOCK_STREAM)
		return -ESOCKTNOSUPPORT;
	if (protocol && protocol != IPPROTO_TCP)
		return -EPROTONOSUPPORT;
	ts = tcp_sock_alloc(self->ns->net, self->cred->fsuid);
	if (!ts)
		return -ENOBUFS;
	*out = &ts->is.base;
	return 0;
}

static void destroy(struct inet_sock *is)
{
	struct tcp_sock *ts = tcp_sock_of(is);

	if (ts->timer_used)
		lx_timer_cancel(&ts->timer);
	tcp_destroy(&ts->conn);
	atomic_fetch_sub_explicit(&tcp_ns_of(ts)->nr_sockets, 1, memory_order_relaxed);
}

static int get_name(struct lx_socket *s, uint8_t *name, bool peer)
{
	struct tcp_sock *ts = tcp_sock(s);
	struct inet_tuple key;
	uint8_t state;

	inet_sock_lock(&ts->is);
	key = ts->is.owner.entry.key;
	state = tcp_sock_state(ts);
	/* a connection that is over may have no port any more, and says which it had */
	if (!key.local_port && ts->phase != TCP_UNCONNECTED)
		key.local_port = ts->conn.local_port;
	inet_sock_leave(&ts->is);
	if (!peer)
		return inet_addr_store(name, &key.local, key.local_port);
	if (state == TCP_CLOSE || state == TCP_SYN_SENT || state == TCP_LISTEN)
		return -ENOTCONN;
	return inet_addr_store(name, &key.remote, key.remote_port);
}

static const struct inet_sock_ops inet_ops = {
	.receive = receive, .event = event, .destroy = destroy,
};

static const struct lx_socket_ops socket_ops = {
	.attach = inet_sock_attach,
	.bind = inet_bind,
	.connect = tcp_sock_connect,
	.listen = tcp_sock_listen,
	.accept = tcp_sock_accept,
	.getname = get_name,
	.send = tcp_sock_send,
	.recv = tcp_sock_recv,
	.shutdown = tcp_sock_shutdown,
	.poll = tcp_sock_poll,
	.ioctl = tcp_sock_ioctl,
	.getopt = tcp_sock_getopt,
	.setopt = tcp_sock_setopt,
	.option_set = tcp_sock_option_set,
	.release = tcp_sock_release,
};
