/* SPDX-License-Identifier: MIT */
/* What could be read or written now, and how much. */
#include "inet/tcp/sock.h"

#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/sockios.h>

#define POLL_IN		(POLLIN | POLLRDNORM)
#define POLL_OUT	(POLLOUT | POLLWRNORM)

/* Lock held: of a socket that is open, or was. */
static uint32_t poll_data(struct tcp_sock *ts, uint32_t shutdown)
{
	uint32_t mask = 0;

	if (tcp_is_readable(ts))
		mask |= POLL_IN;
	if (shutdown & SHUTDOWN_SEND || ts->conn.state == TCP_CLOSE || tcp_is_writable(&ts->conn))
		mask |= POLL_OUT;
	else
		ts->conn.want_room = true;
	if (ts->conn.rcv_urgent && !ts->conn.urgent_read && !ts->conn.set.oobinline &&
	    seq_after(ts->conn.rcv_nxt, ts->conn.rcv_up))
		mask |= POLLPRI;
	return mask;
}

static uint32_t poll_locked(struct tcp_sock *ts)
{
	uint32_t shutdown = atomic_load(&ts->is.shutdown), mask = 0;
	uint8_t state = tcp_sock_state(ts);

	if (state == TCP_LISTEN)
		return ts->nr_waiting ? POLL_IN : 0;
	if (shutdown == SHUTDOWN_BOTH || state == TCP_CLOSE)
		mask |= POLLHUP;
	if (shutdown & SHUTDOWN_RECV)
		mask |= POLL_IN | POLLRDHUP;
	if (state != TCP_SYN_SENT && state != TCP_SYN_RECV)
		mask |= poll_data(ts, shutdown);
	return mask;
}

uint32_t tcp_sock_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p)
{
	struct tcp_sock *ts = tcp_sock(s);
	uint32_t mask;

	lx_poll_wait(p, f, &ts->is.wait);
	inet_sock_lock(&ts->is);
	mask = poll_locked(ts);
	if (atomic_load(&s->error) || inet_sock_has_errors(&ts->is))
		mask |= POLLERR;
	/* an epoll instance's lock is held perhaps, so it cannot be delivered here */
	if (inet_sock_unlock(&ts->is))
		lx_net_deliver_later(s->ns);
	return mask;
}

/* FIONREAD: up to the urgent byte, if that is apart. */
static int input_length(const struct tcp_sock *ts)
{
	const struct tcp_conn *c = &ts->conn;
	uint32_t n = tcp_readable(c);

	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECV)
		return 0;
	if (c->rcv_urgent && !c->set.oobinline && c->rcv_up - c->copied < n)
		n = c->rcv_up - c->copied;
	return (int)n;
}

/* Lock held: 0, or -EINVAL, -ENOTTY. */
static int queue_length(struct tcp_sock *ts, unsigned int cmd, int *v)
{
	const struct tcp_conn *c = &ts->conn;
	bool begins = c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECV;

	switch (cmd) {
	case SIOCATMARK:
		*v = tcp_at_mark(c);
		return 0;
	case SIOCINQ:
		*v = input_length(ts);
		break;
	case SIOCOUTQ:
		*v = begins || c->state == TCP_CLOSE ? 0 : (int)(c->snd_end - c->snd_una);
		break;
	case SIOCOUTQNSD:
		*v = begins || c->state == TCP_CLOSE ? 0 : (int)(c->snd_end - c->snd_nxt);
		break;
	default:
		return -ENOTTY;
	}
	*v = MAX(*v, 0);		/* a FIN is behind the last byte */
	return ts->listen ? -EINVAL : 0;
}

long tcp_sock_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg)
{
	struct tcp_sock *ts = tcp_sock(s);
	int v, err;

	inet_sock_lock(&ts->is);
	err = queue_length(ts, cmd, &v);
	inet_sock_leave(&ts->is);
	if (err)
		return err;
	return lx_copy_to_user(uaddr(arg), &v, sizeof(v));
}
