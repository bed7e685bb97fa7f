/* SPDX-License-Identifier: MIT */
/*
 * connect(2), and its opposite: connect(2) to AF_UNSPEC.
 */
#include "inet/tcp/sock.h"

#include <linux/rtnetlink.h>

#include "base/byteorder.h"

static bool handshake_is_over(struct inet_sock *is, void *arg)
{
	uint8_t state = tcp_sock_of(is)->conn.state;

	return state != TCP_SYN_SENT && state != TCP_SYN_RECV;
}

void tcp_sock_disconnect(struct tcp_sock *ts)
{
	struct inet_sock *is = &ts->is;

	if (ts->listen)
		tcp_stop_listening(ts);
	if (ts->conn.state != TCP_CLOSE) {
		tcp_disconnect(&ts->conn, rt_now_ns());
		tcp_settle(ts);
		atomic_store(&is->base.error, ECONNRESET);
	}
	atomic_store(&is->shutdown, 0);
	ts->phase = TCP_UNCONNECTED;
	ts->is_done = false;
	tcp_clear_ends(ts);
}


static bool may_replace(struct inet_entry *e)
{
	uint32_t isn;

	return e->kind == INET_TIME_WAIT && tcp_over_may_connect(e, &isn);
}

/* In connections, with a port.  Lock held; key but for the port is set.  0 or an errno. */
static int enter_tables(struct tcp_sock *ts)
{
	struct inet_tables *t = tcp_inet(ts)->tables;
	struct inet_entry *e = &ts->is.owner.entry;
	int err = 0;

	if (!e->key.local_port)
		err = inet_port_connect(&ts->is, may_replace);
	else if (!inet_connection_insert_or_replace(t, e, may_replace))
		err = -EADDRNOTAVAIL;
	inet_connections_grow(t);
	tcp_over_reap(tcp_ns_of(ts));
	return err;
}

/* The ends of the connection, from the way to @dst.  Lock held. */
static int set_ends(struct tcp_sock *ts, struct inet_addr dst, uint16_t port_be, struct tcp_path *path)
{
	struct inet_sock *is = &ts->is;
	const struct inet_tuple *key = &is->owner.entry.key;
	int err;

	if (inet_addr_is_any(&dst))
		dst = inet_addr_is_any(&key->local) ? inet_addr_v4(BE32(0x7f000001u)) : key->local;
	err = tcp_sock_route(ts, &dst, path);
	if (err)
		return err;
	if (is->dst.type == RTN_BROADCAST || is->dst.type == RTN_MULTICAST)
		return -ENETUNREACH;
	tcp_set_ends(ts, inet_addr_is_any(&key->local) ? &is->dst.src : &key->local, &dst, port_be);
	return 0;
}

/* The SYN goes out: -EINPROGRESS, or why not.  Lock held. */
static int start(struct tcp_sock *ts, const struct inet_addr *dst, uint16_t port_be)
{
	struct tcp_conn *c = &ts->conn;
	const struct inet_tuple *key = &ts->is.owner.entry.key;
	const struct inet_secret *secret = &tcp_inet(ts)->secret;
	uint64_t now = rt_now_ns();
	struct tcp_path path;
	int err;

	err = set_ends(ts, *dst, port_be, &path);
	if (!err)
		err = enter_tables(ts);
	if (err) {
		tcp_clear_ends(ts);
		return err;
	}
	atomic_store(&ts->is.base.error, 0);
	ts->is_done = false;
	c->local_port = key->local_port;
	c->remote_port = key->remote_port;
	ts->phase = TCP_CONNECTING;
	err = tcp_connect(c, &path, tcp_isn(&secret->isn, key, now),
			  tcp_stamp_offset(&secret->stamp, key), now);
	if (err) {
		tcp_sock_disconnect(ts);
		return err;
	}
	tcp_settle(ts);
	return -EINPROGRESS;
}

/* The handshake has begun: wait for its end.  @err: what is said of one that goes on. */
static int finish(struct tcp_sock *ts, bool nonblock, int err)
{
	uint64_t deadline = socket_deadline(ts->is.base.sndtimeo_ns);
	int waited;

	if (!handshake_is_over(&ts->is, NULL)) {
		if (nonblock)
			return err;
		waited = tcp_wait(ts, handshake_is_over, NULL, deadline);
		if (waited)
			return waited == -EAGAIN ? -EINPROGRESS : waited;
	}
	if (ts->conn.state == TCP_CLOSE) {
		err = socket_take_error(&ts->is.base);
		tcp_sock_disconnect(ts);
		return err ? err : -ECONNABORTED;
	}
	ts->phase = TCP_CONNECTED;
	return 0;
}

static int connect_locked(struct tcp_sock *ts, const uint8_t *name, int len, bool nonblock)
{
	struct inet_addr dst;
	uint16_t port_be;
	int err;

	switch (ts->phase) {
	case TCP_CONNECTED:
		return -EISCONN;
	case TCP_CONNECTING:
		return finish(ts, nonblock, -EALREADY);
	default:
		break;
	}
	if (ts->listen || ts->conn.state != TCP_CLOSE)
		return -EISCONN;
	err = inet_addr_load(name, len, false, &dst, &port_be);
	if (!err)
		err = start(ts, &dst, port_be);
	return err == -EINPROGRESS ? finish(ts, nonblock, err) : err;
}

int tcp_sock_connect(struct lx_socket *s, const uint8_t *name, int len, bool nonblock)
{
	struct tcp_sock *ts = tcp_sock(s);
	uint16_t family;
	int err = 0;

	if (len < (int)sizeof(family))
		return -EINVAL;
	memcpy(&family, name, sizeof(family));
	inet_sock_lock(&ts->is);
	if (family == AF_UNSPEC)
		tcp_sock_disconnect(ts);
	else
		err = connect_locked(ts, name, len, nonblock);
	inet_sock_leave(&ts->is);
	return err;
}
