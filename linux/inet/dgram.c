/* SPDX-License-Identifier: MIT */
/* Datagram sockets of AF_INET: their life, the receive queue, poll. */
#include "inet/dgram.h"

#include <asm/ioctls.h>
#include <asm/poll.h>

#include "net/filter.h"

/* -- life */

void inet_dgram_init(struct inet_dgram *d, const struct lx_socket_ops *ops,
		     const struct inet_sock_ops *inet_ops,
		     int type, int protocol, enum inet_space space)
{
	inet_sock_init(&d->inet, ops, inet_ops, type, protocol, space);
	rt_mutex_init(&d->queue_lock, LX_LOCK_INET_QUEUE);
	list_init(&d->queue);
	/* as on Linux: these share unless they say otherwise */
	if (space == INET_PORTS_PING || space == INET_PORTS_RAW)
		atomic_fetch_or(&d->inet.base.options, SOCKET_FLAG(SO_REUSEADDR));
}

static void count_memory(struct inet_dgram *d, int64_t n)
{
	atomic_fetch_add_explicit(&inet_tables_of(&d->inet)->memory[d->inet.space], n,
				  memory_order_relaxed);
}

void inet_dgram_destroy(struct inet_sock *is)
{
	struct inet_dgram *d = inet_dgram_of(is);

	count_memory(d, -(int64_t)atomic_load(&d->rmem));
	lx_pbuf_free_list(&d->queue);
}

void inet_dgram_release(struct lx_socket *s)
{
	inet_sock_release(inet_sock(s));
}

/* -- in */

static bool is_full(struct inet_dgram *d)
{
	return (int64_t)atomic_load_explicit(&d->rmem, memory_order_relaxed) >
	       atomic_load_explicit(&d->inet.base.rcvbuf, memory_order_relaxed);
}

bool inet_dgram_queue(struct inet_dgram *d, struct lx_netdev *dev, struct lx_pbuf *p, uint32_t keep)
{
	struct lx_socket *s = &d->inet.base;
	bool fits;

	if (!inet_filter_accepts(&d->inet, dev, p, keep)) {
		lx_pbuf_free(p);
		return false;
	}
	if (!p->arrival_ns && atomic_load_explicit(&s->timestamp, memory_order_relaxed))
		p->arrival_ns = rt_realtime_ns();
	rt_mutex_lock(&d->queue_lock);
	fits = !is_full(d);
	if (fits) {
		list_add_last(&d->queue, &p->link);
		atomic_store_explicit(&d->rmem, atomic_load_explicit(&d->rmem, memory_order_relaxed) + p->charge,
				      memory_order_relaxed);
		count_memory(d, p->charge);
	}
	rt_mutex_unlock(&d->queue_lock);
	if (!fits) {
		atomic_fetch_add_explicit(&d->drops, 1, memory_order_relaxed);
		lx_pbuf_free(p);
		return false;
	}
	if (!lx_waitq_empty(&d->inet.wait))
		lx_wake(&d->inet.wait, POLLIN | POLLRDNORM, 1);
	return true;
}

/* -- out */

/*
 * The packet with byte @skip of all that is queued (SO_PEEK_OFF passes over whole packets).
 * queue_lock held.
 */
static struct lx_pbuf *packet_at(struct inet_dgram *d, uint32_t skip)
{
	struct lx_pbuf *p;

	list_for_each_entry(p, &d->queue, link) {
		if (skip < p->len || !skip)
			return p;
		skip -= p->len;
	}
	return NULL;
}

static int take_now(struct inet_dgram *d, unsigned int flags, struct lx_pbuf **out)
{
	struct lx_pbuf *p;
	int err = 0;

	rt_mutex_lock(&d->queue_lock);
	p = packet_at(d, socket_peek_skip(&d->inet.base, flags));
	if (p && flags & MSG_PEEK) {
		p = lx_pbuf_clone(p);
		err = p ? 0 : -ENOBUFS;
	} else if (p) {
		list_remove(&p->link);
		atomic_store_explicit(&d->rmem, atomic_load_explicit(&d->rmem, memory_order_relaxed) - p->charge,
				      memory_order_relaxed);
		count_memory(d, -(int64_t)p->charge);
	}
	rt_mutex_unlock(&d->queue_lock);
	*out = p;
	return err;
}

static bool is_ended(struct inet_dgram *d)
{
	return atomic_load(&d->inet.shutdown) & SHUTDOWN_RECV;
}

static bool has_any(struct inet_dgram *d, unsigned int flags)
{
	bool any;

	rt_mutex_lock(&d->queue_lock);
	any = packet_at(d, socket_peek_skip(&d->inet.base, flags)) != NULL;
	rt_mutex_unlock(&d->queue_lock);
	return any || is_ended(d) || atomic_load(&d->inet.base.error);
}

/* A packet wakes one of those who wait for it. */
static int sleep_for_packet(struct inet_dgram *d, unsigned int flags, uint64_t deadline)
{
	struct lx_task *self = lx_self();
	struct lx_wait_entry entry;
	int err = 0;

	lx_wait_entry_init_once(&entry, self);
	entry.exclusive = true;
	lx_wait_prepare(self);
	lx_waitq_add(&d->inet.wait, &entry);
	if (!has_any(d, flags))
		err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
	err = lx_wait_finish(&d->inet.wait, &entry, err);
	return err ? socket_wait_errno(err, deadline) : 0;
}

int inet_dgram_take(struct inet_dgram *d, unsigned int flags, struct lx_pbuf **out)
{
	uint64_t deadline = flags & MSG_DONTWAIT ? 0 : socket_deadline(d->inet.base.rcvtimeo_ns);

	for (;;) {
		int err = socket_take_error(&d->inet.base);

		if (!err)
			err = take_now(d, flags, out);
		if (err || *out)
			return err;
		if (flags & MSG_DONTWAIT)
			return -EAGAIN;
		if (is_ended(d))
			return 0;
		err = sleep_for_packet(d, flags, deadline);
		if (err)
			return err;
	}
}

static int copy_out(const struct lx_pbuf *p, uint32_t at, struct lx_iter *to, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		done += (uint32_t)lx_pbuf_to_iter(p, at + done, to, n - done);
		if (done < n && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	return 0;
}

int64_t inet_dgram_copy_out(struct inet_dgram *d, const struct lx_pbuf *p, uint32_t skip,
			    struct net_msg *m)
{
	struct lx_socket *s = &d->inet.base;
	uint32_t len = p->len - skip, n = (uint32_t)MIN((uint64_t)len, m->iter->count);
	uint32_t drops = atomic_load_explicit(&d->drops, memory_order_relaxed);
	int err = copy_out(p, skip, m->iter, n);

	if (err)
		return err;
	if (n < len)
		m->out_flags |= MSG_TRUNC;
	socket_add_timestamp(s, m, p->arrival_ns);
	if (socket_has(s, SOCKET_RXQ_OVFL) && drops)
		net_msg_add(m, SOL_SOCKET, SO_RXQ_OVFL, &drops, sizeof(drops));
	inet_add_control(&d->inet, m, p);
	return m->flags & MSG_TRUNC ? (int64_t)len : (int64_t)n;
}

/* -- poll and the like */

uint32_t inet_dgram_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p)
{
	struct inet_dgram *d = inet_dgram(s);
	uint32_t how, mask = 0;

	lx_poll_wait(p, f, &d->inet.wait);
	how = atomic_load(&d->inet.shutdown);
	if (atomic_load(&s->error) || inet_sock_has_errors(&d->inet))
		mask |= POLLERR;
	if (how & SHUTDOWN_RECV)
		mask |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (how == SHUTDOWN_BOTH)
		mask |= POLLHUP;
	rt_mutex_lock(&d->queue_lock);
	if (!list_is_empty(&d->queue))
		mask |= POLLIN | POLLRDNORM;
	rt_mutex_unlock(&d->queue_lock);
	if (inet_sock_is_writable(&d->inet))
		mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
	else
		atomic_store(&d->inet.wants_room, true);
	return mask;
}

long inet_dgram_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg, uint32_t header)
{
	struct inet_dgram *d = inet_dgram(s);
	struct lx_pbuf *p;
	int v = 0;

	switch (cmd) {
	case FIONREAD:
		rt_mutex_lock(&d->queue_lock);
		p = list_first_entry(&d->queue, struct lx_pbuf, link);
		v = p ? (int)(p->len - header) : 0;
		rt_mutex_unlock(&d->queue_lock);
		break;
	case TIOCOUTQ:
		v = (int)inet_sock_queued(&d->inet);
		break;
	default:
		return -ENOTTY;
	}
	return lx_copy_to_user(uaddr(arg), &v, sizeof(v));
}

int inet_dgram_shutdown(struct lx_socket *s, unsigned int how)
{
	struct inet_sock *is = inet_sock(s);
	bool is_connected;

	inet_sock_lock(is);
	atomic_fetch_or(&is->shutdown, how);
	is_connected = inet_has(is, INET_CONNECTED);
	inet_sock_unlock(is);
	lx_wake(&is->wait, POLLHUP | POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM, ~0u);
	/* it is shut down all the same */
	return is_connected ? 0 : -ENOTCONN;
}

int inet_dgram_listen(struct lx_socket *s, int backlog)
{
	return -EOPNOTSUPP;
}

int inet_dgram_accept(struct lx_socket *s, bool nonblock, struct lx_socket **out)
{
	return -EOPNOTSUPP;
}
