/* SPDX-License-Identifier: MIT */
/*
 * Sending: bytes of the program into the send queue.
 *
 * They are copied with the socket's lock held, by copies that do not settle faults: one that stops
 * short is gone on with when the program's memory is there.  What comes meanwhile is in the
 * backlog, so no other thread waits for a copy.
 */
#include "inet/tcp/sock.h"

#include <asm/signal.h>

/* So many bytes are queued before they are sent, and what came meanwhile is looked at. */
#define PUSH_BYTES	65536u

static bool is_open(struct inet_sock *is, void *arg)
{
	uint8_t state = tcp_sock_of(is)->conn.state;

	return state != TCP_SYN_SENT && state != TCP_SYN_RECV;
}

static bool has_failed(struct tcp_sock *ts)
{
	return atomic_load(&ts->is.base.error) || atomic_load(&ts->is.shutdown) & SHUTDOWN_SEND;
}

static bool has_room(struct inet_sock *is, void *arg)
{
	struct tcp_sock *ts = tcp_sock_of(is);
	bool ready = has_failed(ts) || tcp_is_writable(&ts->conn);

	ts->conn.want_room |= !ready;
	return ready;
}

/* What a call that could send nothing says; SIGPIPE, if it is to be. */
static int64_t failure(struct tcp_sock *ts, const struct net_msg *m, int err)
{
	struct lx_task *self = lx_self();
	struct lx_siginfo info;

	if (err != -EPIPE)
		return err;
	err = socket_take_error(&ts->is.base);
	if (err)
		return err;
	if (!(m->flags & MSG_NOSIGNAL)) {
		info = lx_siginfo_user(self, SIGPIPE, 0 /* SI_USER */);
		lx_signal_task(self, &info);
	}
	return -EPIPE;
}

/* Lock held: until the handshake is over. */
static int wait_for_connection(struct tcp_sock *ts, uint64_t deadline)
{
	int err;

	if (!is_open(&ts->is, NULL)) {
		if (!deadline)
			return -EAGAIN;
		err = tcp_wait(ts, is_open, NULL, deadline);
		if (err)
			return err;
	}
	err = socket_take_error(&ts->is.base);
	if (err)
		return err;
	return ts->conn.state == TCP_CLOSE || ts->listen || has_failed(ts) ? -EPIPE : 0;
}

/* Lock held, let go meanwhile. */
static int settle_fault(struct tcp_sock *ts, struct lx_iter *from)
{
	int err;

	tcp_settle(ts);
	inet_sock_leave(&ts->is);
	err = lx_iter_fault_in(from, false);
	inet_sock_lock(&ts->is);
	return err;
}

/*
 * Lock held: as many bytes as there is room for, *@queued of them.  0: all, or @max; -ENOBUFS: no room
 * now; -ENOMEM; -EFAULT.
 */
static int fill(struct tcp_sock *ts, struct net_msg *m, uint32_t max, uint32_t *queued)
{
	struct tcp_conn *c = &ts->conn;

	while (*queued < max && m->iter->count) {
		size_t want = MIN(m->iter->count, (uint64_t)(max - *queued)), got;
		uint32_t room;
		void *to = tcp_send_room(c, want, &room);

		if (!to)
			return room ? -ENOMEM : -ENOBUFS;
		want = MIN(want, (size_t)room);
		got = lx_iter_get(m->iter, to, want);
		tcp_send_put(c, (uint32_t)got);
		*queued += (uint32_t)got;
		if (got < want)
			return -EFAULT;
	}
	return 0;
}

static void push(struct tcp_sock *ts, const struct net_msg *m)
{
	unsigned int flags = 0;

	if (m->flags & MSG_MORE || m->iter->count)
		flags |= TCP_SEND_MORE;
	if (m->flags & MSG_OOB && !m->iter->count)
		flags |= TCP_SEND_URGENT;
	tcp_send_push(&ts->conn, flags, rt_now_ns());
}

/* Lock held: why not all of it was sent, or 0; *@done bytes were. */
static int send_bytes(struct tcp_sock *ts, struct net_msg *m, uint64_t deadline, int64_t *done)
{
	int err;

	for (;;) {
		uint32_t queued = 0;

		if (has_failed(ts))
			return -EPIPE;
		err = fill(ts, m, PUSH_BYTES, &queued);
		*done += queued;
		if (queued)
			push(ts, m);
		if (!m->iter->count)
			return 0;
		if (err == -EFAULT) {
			err = settle_fault(ts, m->iter);
			if (err)
				return err;
			continue;
		}
		if (err == -ENOMEM)
			return deadline ? -ENOBUFS : -EAGAIN;
		if (!err) {
			/* the next piece: what was answered meanwhile is looked at first */
			tcp_settle(ts);
			inet_sock_leave(&ts->is);
			inet_sock_lock(&ts->is);
			continue;
		}
		if (has_room(&ts->is, NULL))
			continue;
		if (!deadline)
			return -EAGAIN;
		err = tcp_wait(ts, has_room, NULL, deadline);
		if (err)
			return err;
	}
}

int64_t tcp_sock_send(struct lx_socket *s, struct net_msg *m)
{
	struct tcp_sock *ts = tcp_sock(s);
	uint64_t deadline = m->flags & MSG_DONTWAIT ? 0 : socket_deadline(s->sndtimeo_ns);
	int64_t done = 0;
	int err;

	inet_sock_lock(&ts->is);
	err = wait_for_connection(ts, deadline);
	if (!err)
		err = send_bytes(ts, m, deadline, &done);
	tcp_settle(ts);
	inet_sock_leave(&ts->is);
	return done || !err ? done : failure(ts, m, err);
}
