/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX messages: making and sending them.
 *
 * What is sent is copied into a struct unix_msg without locks, and put on the
 * receiver's queue under its lock.  It counts in the sender's wmem until it was
 * read, which is the flow control of connections; the queue of a DGRAM socket is
 * also limited in messages, unless sender and receiver are connected to each other.
 */
#include <asm/poll.h>
#include <asm/signal.h>

#include "unix_priv.h"
#include "lx/cred.h"

/* A message with its header is the largest object that heaps keep in their caches. */
#define STREAM_CHUNK	(8192u - (unsigned int)sizeof(struct unix_msg))

/* -- messages -------------------------------------------------------------------------------------- */

static struct unix_msg *msg_new(struct unix_sock *sender, uint32_t len)
{
	struct unix_msg *msg = rt_alloc(sizeof(*msg) + len);

	if (!msg)
		return NULL;
	list_init(&msg->link);
	msg->sender = unix_get(sender);
	msg->len = len;
	msg->offset = 0;
	msg->files = NULL;
	msg->charge = ALIGN_UP(len, 64u) + UNIX_MSG_OVERHEAD;
	atomic_fetch_add(&sender->wmem, msg->charge);
	return msg;
}

void unix_msg_free(struct unix_msg *msg)
{
	struct unix_sock *sender = msg->sender;

	if (msg->files) {
		unix_inflight_remove(msg->files);
		unix_dispose(msg->files);
	}
	atomic_fetch_sub(&sender->wmem, msg->charge);
	if (!lx_waitq_empty(&sender->wait) && unix_is_writable(sender)) {
		bool missed = atomic_load(&sender->nospace) &&
			      atomic_exchange(&sender->nospace, false);

		lx_wake(&sender->wait,
			POLLOUT | POLLWRNORM | POLLWRBAND | (missed ? LX_WAKE_SPACE : 0), ~0u);
	}
	unix_put(sender);
	rt_free(msg);
}

/* -- sending ------------------------------------------------------------------------------------------- */

static bool has_wmem(struct unix_sock *u)
{
	return atomic_load(&u->wmem) < (uint32_t)atomic_load(&u->base.sndbuf);
}

/* Why there is nothing to wait for, though there is no room: *@err; or there is. */
static bool is_settled(struct unix_sock *u, int *err)
{
	if (has_wmem(u))
		return true;
	rt_mutex_lock(&u->lock);
	*err = socket_take_error(&u->base);
	if (!*err && u->shutdown & SHUTDOWN_SEND)
		*err = -EPIPE;
	rt_mutex_unlock(&u->lock);
	return *err;
}

/*
 * Wait until the sender's buffer has room, which comes without the socket's lock: whoever waits
 * is on the queue before it looks.
 */
static int wait_for_wmem(struct unix_sock *u, bool nonblock, uint64_t deadline)
{
	int err = 0, ended;

	if (has_wmem(u))
		return 0;
	/* Room that came before this is seen below; room that comes after it is told. */
	atomic_store(&u->nospace, true);
	if (nonblock)
		return has_wmem(u) ? 0 : -EAGAIN;
	ended = lx_wait_event(lx_self(), &u->wait, is_settled(u, &err), deadline, LX_WAIT_INTERRUPTIBLE);
	return err ? err : socket_wait_errno(ended, deadline);
}

/* All @n bytes of the message from the program: 0 or -EFAULT. */
static int fill(struct unix_msg *msg, struct lx_iter *from)
{
	uint32_t got = 0;

	while (got < msg->len) {
		got += (uint32_t)lx_iter_get(from, msg->data + got, msg->len - got);
		if (got < msg->len && lx_iter_fault_in(from, false))
			return -EFAULT;
	}
	return 0;
}

static struct net_ucred sender_creds(const struct net_msg *m)
{
	struct lx_task *self = lx_self();

	if (m->scm.has_creds)
		return m->scm.creds;
	return (struct net_ucred){ self->group->pid, self->cred->uid, self->cred->gid };
}

/* A filled message with what goes along; the files of @m move into it. */
static int make_msg(struct unix_sock *u, struct net_msg *m, uint32_t len, struct unix_msg **out)
{
	struct unix_msg *msg = msg_new(u, len);
	int err;

	if (!msg)
		return -ENOBUFS;
	err = fill(msg, m->iter);
	if (!err && m->scm.files)
		err = unix_inflight_add(m->scm.files);
	if (err) {
		unix_msg_free(msg);
		return err;
	}
	msg->creds = sender_creds(m);
	msg->files = m->scm.files;
	m->scm.files = NULL;
	*out = msg;
	return 0;
}

static int send_failed_pipe(const struct net_msg *m)
{
	if (!(m->flags & MSG_NOSIGNAL)) {
		struct lx_task *self = lx_self();
		struct lx_siginfo info = lx_siginfo_user(self, SIGPIPE, 0 /* SI_USER */);

		lx_signal_task(self, &info);
	}
	return -EPIPE;
}

static int64_t send_stream(struct unix_sock *u, struct net_msg *m)
{
	uint64_t deadline = m->flags & MSG_DONTWAIT ? 0 : socket_deadline(u->base.sndtimeo_ns);
	/* The peer of a connection stays until we are released, which our file's reference delays. */
	struct unix_sock *peer = READ_ONCE(u->peer);
	int64_t done = 0;
	int err = 0;

	if (m->namelen)
		return READ_ONCE(u->state) == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (!peer)
		return -ENOTCONN;
	if (READ_ONCE(u->shutdown) & SHUTDOWN_SEND)
		return send_failed_pipe(m);
	while (m->iter->count) {
		uint64_t limit = (uint64_t)MAX(atomic_load(&u->base.sndbuf) / 2 - 64, 64);
		uint32_t len;
		struct unix_msg *msg;

		limit = MIN(limit, (uint64_t)STREAM_CHUNK);
		len = (uint32_t)MIN(m->iter->count, limit);
		err = wait_for_wmem(u, m->flags & MSG_DONTWAIT, deadline);
		if (err)
			break;
		err = make_msg(u, m, len, &msg);
		if (err)
			break;
		rt_mutex_lock(&peer->lock);
		if (peer->dead || peer->shutdown & SHUTDOWN_RECV) {
			rt_mutex_unlock(&peer->lock);
			unix_msg_free(msg);
			err = -EPIPE;
			break;
		}
		list_add_last(&peer->queue, &msg->link);
		rt_mutex_unlock(&peer->lock);
		lx_wake(&peer->wait, POLLIN | POLLRDNORM | POLLRDBAND, 1);
		done += len;
	}
	if (done)
		return done;
	return err == -EPIPE ? send_failed_pipe(m) : err;
}

/* Where a datagram goes: a reference. */
static int find_destination(struct unix_sock *u, const struct net_msg *m, struct unix_sock **out)
{
	if (m->namelen)
		return unix_find(u, m->name, m->namelen, u->base.type, out);
	*out = unix_peer_get(u);
	return *out ? 0 : -ENOTCONN;
}

/* The destination died: a connected socket forgets it and says so once. */
static int destination_gone(struct unix_sock *u, struct unix_sock *other, bool named)
{
	bool was_peer;

	if (unix_is_connection(u))
		return -EPIPE;
	rt_mutex_lock(&u->lock);
	was_peer = !named && u->peer == other;
	if (was_peer) {
		u->peer = NULL;
		u->state = UNIX_UNCONNECTED;
	}
	rt_mutex_unlock(&u->lock);
	if (was_peer)
		unix_put(other);
	return -ECONNREFUSED;
}

/*
 * Queue @msg with @other: 0 (it is @other's then), -EAGAIN after a sleep that may
 * have made room, or why it cannot be.
 */
static int deliver(struct unix_sock *u, struct unix_sock *other, struct unix_msg *msg, bool named,
		   bool nonblock, uint64_t deadline)
{
	int err = 0;

	rt_mutex_lock(&other->lock);
	for (;;) {
		bool mutual = other->peer == u;

		if (!mutual && other->peer) {
			err = -EPERM;
		} else if (other->dead) {
			rt_mutex_unlock(&other->lock);
			return destination_gone(u, other, named);
		} else if (other->shutdown & SHUTDOWN_RECV) {
			err = -EPIPE;
		} else if (u != other && !mutual && unix_queue_full(other)) {
			err = nonblock ? -EAGAIN :
					 unix_sleep(other, &other->peer_wait, deadline, false);
			if (!err)
				continue;
		}
		break;
	}
	if (!err) {
		list_add_last(&other->queue, &msg->link);
		other->queued++;
	}
	rt_mutex_unlock(&other->lock);
	if (!err)
		lx_wake(&other->wait, POLLIN | POLLRDNORM | POLLRDBAND, 1);
	return err;
}

static int64_t send_datagram(struct unix_sock *u, struct net_msg *m)
{
	uint64_t deadline = m->flags & MSG_DONTWAIT ? 0 : socket_deadline(u->base.sndtimeo_ns);
	bool nonblock = m->flags & MSG_DONTWAIT, named = m->namelen != 0;
	uint64_t len = m->iter->count;
	struct unix_sock *other;
	struct unix_msg *msg;
	int err;

	err = socket_take_error(&u->base);
	if (err)
		return err;
	if (u->base.type == SOCK_SEQPACKET) {
		if (READ_ONCE(u->state) != UNIX_CONNECTED)
			return -ENOTCONN;
		named = false;
		m->namelen = 0;
	}
	if (socket_has(&u->base, SOCKET_PASSCRED) && !READ_ONCE(u->addr)) {
		err = unix_autobind(u);
		if (err)
			return err;
	}
	err = find_destination(u, m, &other);
	if (err)
		return err;
	err = -EMSGSIZE;
	if (len > (uint64_t)MAX(atomic_load(&u->base.sndbuf) - 32, 0))
		goto put_other;
	err = -EPIPE;
	if (READ_ONCE(u->shutdown) & SHUTDOWN_SEND)
		goto put_other;
	err = wait_for_wmem(u, nonblock, deadline);
	if (!err)
		err = make_msg(u, m, (uint32_t)len, &msg);
	if (err)
		goto put_other;
	err = deliver(u, other, msg, named, nonblock, deadline);
	if (err)
		unix_msg_free(msg);
put_other:
	unix_put(other);
	if (err == -EPIPE)
		return send_failed_pipe(m);
	return err ? err : (int64_t)len;
}

int64_t unix_send(struct lx_socket *s, struct net_msg *m)
{
	struct unix_sock *u = unix_of(s);

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	return unix_is_stream(u) ? send_stream(u, m) : send_datagram(u, m);
}
