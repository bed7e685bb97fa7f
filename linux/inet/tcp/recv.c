/* SPDX-License-Identifier: MIT */
/*
 * Receiving: bytes of the receive queue to the program.
 *
 * They are copied with the socket's lock held, by copies that do not settle faults (see send.c).
 */
#include "inet/tcp/sock.h"

/* A read under way. */
struct reading {
	struct net_msg *m;
	uint64_t left;			/* bytes that are wanted still */
	int64_t done;
	int64_t target;			/* bytes that are waited for */
	bool peek;
	uint64_t deadline;		/* 0: do not wait */
};

static uint32_t position(const struct tcp_sock *ts, const struct reading *r)
{
	return ts->conn.copied + (r->peek ? (uint32_t)r->done : 0);
}

/* Bytes behind @seq that are there. */
static uint32_t available(const struct tcp_sock *ts, uint32_t seq)
{
	return ts->conn.copied + tcp_readable(&ts->conn) - seq;
}

static bool urgent_is_apart(const struct tcp_sock *ts)
{
	return ts->conn.rcv_urgent && !ts->conn.set.oobinline;
}

bool tcp_is_readable(struct tcp_sock *ts)
{
	struct tcp_conn *c = &ts->conn;
	uint32_t low = (uint32_t)atomic_load_explicit(&ts->is.base.rcvlowat, memory_order_relaxed);
	uint32_t n = tcp_readable(c);

	if (urgent_is_apart(ts) && c->rcv_up == c->copied && n)
		n--;			/* it is not read as the others are */
	if (n >= low)
		return n;
	/* as much as there is room for, though less than was wanted */
	return n && c->rcv_charge >= c->set.rcvbuf / 2;
}

static bool has_ended(struct tcp_sock *ts)
{
	return atomic_load(&ts->is.base.error) || ts->conn.state == TCP_CLOSE ||
	       atomic_load(&ts->is.shutdown) & SHUTDOWN_RECV;
}

static bool may_go_on(struct inet_sock *is, void *arg)
{
	struct tcp_sock *ts = tcp_sock_of(is);
	const struct reading *r = arg;

	return available(ts, position(ts, r)) || has_ended(ts);
}

/*
 * How many bytes from @seq can be read at once: up to the urgent one.  *@skip: it is that one, which is
 * not read here.
 */
static uint32_t up_to_mark(struct tcp_sock *ts, const struct reading *r, uint32_t seq, bool *skip)
{
	struct tcp_conn *c = &ts->conn;
	uint32_t n = available(ts, seq), mark = c->rcv_up - seq;

	*skip = false;
	if (!c->rcv_urgent || mark >= n)
		return n;
	if (mark)
		return mark;
	if (c->set.oobinline)
		return n;
	*skip = true;
	return 1;
}

/* Copy of one packet.  1: the read ends here; 0: go on; -EFAULT. */
static int copy_some(struct tcp_sock *ts, struct reading *r)
{
	struct lx_iter *to = r->m->iter;
	uint32_t seq = position(ts, r), off, n;
	struct lx_pbuf *p;
	bool skip;
	size_t got;

	/* a read ends at the mark, so that the next one begins there */
	if (r->done && ts->conn.rcv_urgent && seq == ts->conn.rcv_up)
		return 1;
	n = up_to_mark(ts, r, seq, &skip);
	if (skip) {
		if (r->peek)
			return 1;
		tcp_recv_take(&ts->conn, 1, rt_now_ns());
		return 0;
	}
	p = tcp_recv_at(&ts->conn, seq, &off);
	n = (uint32_t)MIN(MIN((uint64_t)n, r->left), (uint64_t)(p->len - off));
	if (r->m->flags & MSG_TRUNC) {
		lx_iter_advance(to, n);
		got = n;
	} else {
		got = lx_pbuf_to_iter(p, off, to, n);
	}
	r->done += (int64_t)got;
	r->left -= got;
	if (!r->peek && got)
		tcp_recv_take(&ts->conn, (uint32_t)got, rt_now_ns());
	return got < n ? -EFAULT : 0;
}

/*
 * Nothing is there to be read.  1: the read ends, with what it has; 0: there may be something now; or
 * an errno.
 */
static int wait_for_bytes(struct tcp_sock *ts, struct reading *r)
{
	struct lx_socket *s = &ts->is.base;
	int err;

	if (r->done >= r->target)
		return 1;
	if (r->done && has_ended(ts))
		return 1;
	if (ts->is_done && !atomic_load(&s->error))
		return 1;
	err = socket_take_error(s);
	if (err)
		return err;
	if (atomic_load(&ts->is.shutdown) & SHUTDOWN_RECV)
		return 1;
	if (ts->conn.state == TCP_CLOSE)
		return -ENOTCONN;
	if (!r->deadline)
		return -EAGAIN;
	return tcp_wait(ts, may_go_on, r, r->deadline);
}

/* Lock held, let go meanwhile. */
static int settle_fault(struct tcp_sock *ts, struct lx_iter *to)
{
	int err;

	tcp_settle(ts);
	inet_sock_leave(&ts->is);
	err = lx_iter_fault_in(to, true);
	inet_sock_lock(&ts->is);
	return err;
}

static int read_bytes(struct tcp_sock *ts, struct reading *r)
{
	int err = 0;

	/* (a read of no bytes waits for some, too) */
	do {
		if (available(ts, position(ts, r))) {
			err = copy_some(ts, r);
			if (err == -EFAULT)
				err = settle_fault(ts, r->m->iter);
			continue;
		}
		/* what came while we copied counts before we think of sleeping */
		inet_sock_flush_backlog(&ts->is);
		if (!available(ts, position(ts, r)))
			err = wait_for_bytes(ts, r);
	} while (r->left && !err);
	return err < 0 ? err : 0;
}

/* MSG_OOB: the urgent byte, kept apart. */
static int64_t read_urgent(struct tcp_sock *ts, struct net_msg *m)
{
	struct tcp_conn *c = &ts->conn;
	uint8_t byte;
	int err;

	if (c->state == TCP_CLOSE && !ts->is_done && !c->rcv_urgent)
		return ts->phase == TCP_UNCONNECTED ? -EINVAL : -ENOTCONN;
	err = tcp_urgent_byte(c, &byte, m->flags & MSG_PEEK);
	if (err == -EAGAIN && has_ended(ts))
		return 0;
	if (err)
		return err;
	m->out_flags |= MSG_OOB;
	if (!m->iter->count) {
		m->out_flags |= MSG_TRUNC;
		return 0;
	}
	if (!(m->flags & MSG_TRUNC) && lx_iter_put(m->iter, &byte, 1) != 1)
		return -EFAULT;
	return 1;
}

static int64_t recv_locked(struct tcp_sock *ts, struct net_msg *m)
{
	struct lx_socket *s = &ts->is.base;
	uint64_t low = m->flags & MSG_WAITALL ? UINT64_MAX :
						(uint64_t)atomic_load(&s->rcvlowat);
	struct reading r = {
		.m = m, .left = m->iter->count, .peek = m->flags & MSG_PEEK,
		.target = MAX((int64_t)MIN(low, m->iter->count), 1),
		.deadline = m->flags & MSG_DONTWAIT ? 0 : socket_deadline(s->rcvtimeo_ns),
	};
	int err;

	if (ts->listen)
		return -ENOTCONN;
	if (m->flags & MSG_OOB)
		return read_urgent(ts, m);
	err = read_bytes(ts, &r);
	return r.done || !err ? r.done : err;
}

/* TCP_INQ: how much more there is to read. */
static void add_inq(struct tcp_sock *ts, struct net_msg *m)
{
	int n = (int)tcp_readable(&ts->conn);

	if (!n && ts->conn.fin_received)
		n = 1;
	net_msg_add(m, IPPROTO_TCP, 36 /* TCP_CM_INQ */, &n, sizeof(n));
}

int64_t tcp_sock_recv(struct lx_socket *s, struct net_msg *m)
{
	struct tcp_sock *ts = tcp_sock(s);
	int64_t n;

	if (m->flags & MSG_ERRQUEUE)
		return inet_recv_error(&ts->is, m);
	inet_sock_lock(&ts->is);
	n = recv_locked(ts, m);
	if (n > 0 && ts->want_inq)
		add_inq(ts, m);
	tcp_settle(ts);
	inet_sock_leave(&ts->is);
	return n;
}
