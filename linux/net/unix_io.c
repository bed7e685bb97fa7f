/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX messages: sending, receiving, polling.
 *
 * What is sent is copied into a struct unix_msg without locks, and put on the
 * receiver's queue under its lock.  It counts in the sender's wmem until it was
 * read, which is the flow control of connections; the queue of a DGRAM socket is
 * also limited in messages, unless sender and receiver are connected to each other.
 *
 * A reader copies out under its socket's lock, with copies that do not settle
 * faults: one that stops short leaves the queue as it was, and is tried again when
 * the program's memory is there.
 */

#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>

#include "unix_priv.h"
#include "lx/cred.h"

/* A message with its header is the largest object that heaps keep in their caches. */
#define STREAM_CHUNK	(8192u - (unsigned int)sizeof(struct unix_msg))

/* -- messages -------------------------------------------------------------------------------------- */

static bool is_writable(struct unix_sock *u)
{
	return atomic_load(&u->wmem) * 4ull <= (uint64_t)atomic_load(&u->base.sndbuf);
}

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
	if (!lx_waitq_empty(&sender->wait) && is_writable(sender)) {
		bool missed = atomic_load(&sender->nospace) &&
			      atomic_exchange(&sender->nospace, false);

		lx_wake(&sender->wait,
			POLLOUT | POLLWRNORM | POLLWRBAND | (missed ? LX_WAKE_SPACE : 0), ~0u);
	}
	unix_put(sender);
	rt_free(msg);
}

static uint32_t unread(const struct unix_msg *msg)
{
	return msg->len - msg->offset;
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
		return unix_find(lx_self(), m->name, m->namelen, u->base.type, out);
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

/* -- receiving ------------------------------------------------------------------------------------------- */

/* Files and credentials of a message that is (or: @peek, is not) taken.  Not locked if taken. */
static void take_extras(struct net_msg *m, struct unix_msg *msg)
{
	m->scm.creds = msg->creds;
	m->scm.has_creds = true;
	if (msg->files && !m->scm.files) {
		m->scm.files = msg->files;
		msg->files = NULL;
		unix_inflight_remove(m->scm.files);
	}
}

static int peek_extras(struct net_msg *m, const struct unix_msg *msg)
{
	m->scm.creds = msg->creds;
	m->scm.has_creds = true;
	if (msg->files && !m->scm.files) {
		m->scm.files = scm_files_copy(msg->files);
		if (!m->scm.files)
			return -ENOMEM;
	}
	return 0;
}

static void name_of_sender(struct net_msg *m, struct unix_sock *sender)
{
	int len;

	if (!m->want_name || m->namelen)
		return;
	len = unix_copy_name(sender, m->name);
	/* An unbound sender has no address at all. */
	m->namelen = len > UNIX_NAME_OFFSET ? len : 0;
}

/* Wait for something to read.  Locked.  0: there is; 1: end of file. */
static int wait_for_message(struct unix_sock *u, bool nonblock, uint64_t deadline)
{
	while (list_is_empty(&u->queue)) {
		int err = socket_take_error(&u->base);

		if (err)
			return err;
		if (u->shutdown & SHUTDOWN_RECV)
			return u->base.type == SOCK_DGRAM && nonblock ? -EAGAIN : 1;
		if (nonblock)
			return -EAGAIN;
		err = unix_sleep(u, &u->wait, deadline, false);
		if (err)
			return err;
	}
	return 0;
}

/* Room in our queue: for senders that wait for it.  (They look again, and may sleep again.) */
static void wake_senders(struct unix_sock *u)
{
	if (!lx_waitq_empty(&u->peer_wait))
		lx_wake(&u->peer_wait, POLLOUT | POLLWRNORM | POLLWRBAND, 1);
}

/* The message with the byte *@skip of all that waits, and that byte's place in it; or NULL. */
static struct unix_msg *datagram_at(struct unix_sock *u, uint32_t *skip)
{
	struct unix_msg *msg;

	list_for_each_entry(msg, &u->queue, link) {
		if (*skip < msg->len)
			return msg;
		*skip -= msg->len;
	}
	return NULL;
}

static int64_t recv_datagram(struct unix_sock *u, struct net_msg *m)
{
	uint64_t deadline = m->flags & MSG_DONTWAIT ? 0 : socket_deadline(u->base.rcvtimeo_ns);
	struct unix_sock *sender;
	struct unix_msg *msg;
	uint32_t len, skip;
	size_t n, got;
	int err;

	if (u->base.type == SOCK_SEQPACKET && READ_ONCE(u->state) != UNIX_CONNECTED)
		return -ENOTCONN;
again:
	rt_mutex_lock(&u->lock);
	err = wait_for_message(u, m->flags & MSG_DONTWAIT, deadline);
	if (err) {
		rt_mutex_unlock(&u->lock);
		return err == 1 ? 0 : err;
	}
	skip = socket_peek_skip(&u->base, m->flags);
	msg = skip ? datagram_at(u, &skip) : list_first_entry(&u->queue, struct unix_msg, link);
	if (!msg) {
		/* All there is was looked at. */
		if (m->flags & MSG_DONTWAIT)
			err = -EAGAIN;
		else if (u->shutdown & SHUTDOWN_RECV)
			err = 1;
		else
			err = unix_sleep(u, &u->wait, deadline, false);
		rt_mutex_unlock(&u->lock);
		if (err)
			return err == 1 ? 0 : err;
		goto again;
	}
	len = msg->len - skip;
	n = MIN((uint64_t)len, m->iter->count);
	got = lx_iter_put(m->iter, msg->data + skip, n);
	if (got < n) {
		rt_mutex_unlock(&u->lock);
		lx_iter_revert(m->iter, got);
		err = lx_iter_fault_in(m->iter, true);
		if (err)
			return err;
		goto again;
	}
	sender = unix_get(msg->sender);
	if (m->flags & MSG_PEEK) {
		err = peek_extras(m, msg);
		msg = NULL;
	} else {
		list_remove(&msg->link);
		u->queued--;
	}
	rt_mutex_unlock(&u->lock);
	if (!err)
		socket_peek_moved(&u->base, m->flags, m->flags & MSG_PEEK ? (int64_t)n : (int64_t)len);
	name_of_sender(m, sender);
	unix_put(sender);
	if (msg) {
		take_extras(m, msg);
		unix_msg_free(msg);
		wake_senders(u);
	}
	if (err)
		return err;
	if (n < len)
		m->out_flags |= MSG_TRUNC;
	return m->flags & MSG_TRUNC ? (int64_t)len : (int64_t)n;
}

static bool same_creds(const struct net_ucred *a, const struct net_ucred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* Where a stream read stands: PEEK walks the queue without taking. */
struct stream_read {
	int64_t done;
	struct unix_msg *at;		/* PEEK: looked at last, or NULL */
	uint32_t skip;			/* PEEK: bytes still to pass over */
	struct list spent;		/* taken off the queue, to be freed */
	bool creds_known;
	struct unix_sock *sender;	/* a reference: whose name msg_name is */
};

/* The message to go on with; NULL: there is none now.  Locked. */
static struct unix_msg *next_message(struct unix_sock *u, struct stream_read *r)
{
	struct list *node = r->at ? r->at->link.next : u->queue.next;

	return node == &u->queue ? NULL : list_entry(node, struct unix_msg, link);
}

/*
 * Copy from one message.  Locked.  0: go on; 1: the read ends here; -EFAULT:
 * nothing was taken from it.
 */
static int read_message(struct unix_sock *u, struct net_msg *m, struct stream_read *r,
			struct unix_msg *msg)
{
	size_t n = MIN((uint64_t)(unread(msg) - r->skip), m->iter->count), got;
	bool peek = m->flags & MSG_PEEK;
	int err;

	/* Bytes of different senders are not mixed for who asked for their names. */
	if (r->creds_known && socket_has(&u->base, SOCKET_PASSCRED) &&
	    !same_creds(&m->scm.creds, &msg->creds))
		return 1;
	if (msg->files && m->scm.files)
		return 1;
	got = lx_iter_put(m->iter, msg->data + msg->offset + r->skip, n);
	if (got < n) {
		lx_iter_revert(m->iter, got);
		return -EFAULT;
	}
	r->skip = 0;
	r->done += (int64_t)n;
	socket_peek_moved(&u->base, m->flags, (int64_t)n);
	if (!r->creds_known)
		r->sender = unix_get(msg->sender);
	r->creds_known = true;
	m->scm.creds = msg->creds;
	m->scm.has_creds = true;
	if (peek) {
		err = peek_extras(m, msg);
		r->at = msg;
		return err ? err : m->scm.files || !m->iter->count;
	}
	if (msg->files) {
		/* They come with the first of their bytes; still counted in flight. */
		m->scm.files = msg->files;
		msg->files = NULL;
	}
	msg->offset += (uint32_t)n;
	if (!unread(msg)) {
		list_remove(&msg->link);
		list_add_last(&r->spent, &msg->link);
	}
	return m->scm.files || !m->iter->count;
}

static void free_spent(struct stream_read *r)
{
	struct unix_msg *msg;

	while ((msg = list_pop_entry(&r->spent, struct unix_msg, link)) != NULL)
		unix_msg_free(msg);
}

/* The queue may have changed while it was not locked; nothing was looked at yet. */
static void start_again(struct unix_sock *u, const struct net_msg *m, struct stream_read *r)
{
	r->at = NULL;
	r->skip = socket_peek_skip(&u->base, m->flags);
}

static int64_t recv_stream(struct unix_sock *u, struct net_msg *m)
{
	uint64_t deadline = m->flags & MSG_DONTWAIT ? 0 : socket_deadline(u->base.rcvtimeo_ns);
	uint64_t low = m->flags & MSG_WAITALL ? UINT64_MAX : (uint64_t)atomic_load(&u->base.rcvlowat);
	int64_t target = (int64_t)MIN(low, m->iter->count);
	struct stream_read r = { .skip = socket_peek_skip(&u->base, m->flags) };
	int st = 0;

	if (READ_ONCE(u->state) != UNIX_CONNECTED)
		return -EINVAL;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	list_init(&r.spent);
	rt_mutex_lock(&u->lock);
	while (m->iter->count && st == 0) {
		struct unix_msg *msg = next_message(u, &r);

		if (msg && r.skip >= unread(msg)) {
			r.skip -= unread(msg);
			r.at = msg;
			continue;
		}
		if (msg) {
			st = read_message(u, m, &r, msg);
			if (st != -EFAULT)
				continue;
			rt_mutex_unlock(&u->lock);
			st = lx_iter_fault_in(m->iter, true);
			rt_mutex_lock(&u->lock);
			if (m->flags & MSG_PEEK && r.done)
				break;		/* the queue may have moved under us */
			start_again(u, m, &r);
			continue;
		}
		if (r.done >= target || (m->flags & MSG_PEEK && r.done))
			break;
		st = socket_take_error(&u->base);
		if (st)
			break;
		if (u->shutdown & SHUTDOWN_RECV)
			break;
		if (m->flags & MSG_DONTWAIT) {
			st = -EAGAIN;
			break;
		}
		if (!list_is_empty(&r.spent)) {
			/* The sender may wait for what we have read. */
			rt_mutex_unlock(&u->lock);
			free_spent(&r);
			rt_mutex_lock(&u->lock);
			continue;
		}
		st = unix_sleep(u, &u->wait, deadline, false);
		start_again(u, m, &r);
	}
	rt_mutex_unlock(&u->lock);
	if (m->scm.files && !(m->flags & MSG_PEEK))
		unix_inflight_remove(m->scm.files);
	free_spent(&r);
	if (r.sender) {
		name_of_sender(m, r.sender);
		unix_put(r.sender);
	}
	return r.done || st >= 0 ? r.done : st;
}

int64_t unix_recv(struct lx_socket *s, struct net_msg *m)
{
	struct unix_sock *u = unix_of(s);

	return unix_is_stream(u) ? recv_stream(u, m) : recv_datagram(u, m);
}

/* -- poll, ioctl ---------------------------------------------------------------------------------------------- */

/* Under the lock of the receiver's peer_wait: who polls us hears of its room. */
static bool relay_wake(struct lx_wait_entry *entry, uint32_t events)
{
	struct unix_sock *u = container_of(entry, struct unix_sock, relay);

	lx_wake_nested(&u->wait, POLLOUT | POLLWRNORM | POLLWRBAND, ~0u);
	return false;
}

/* From now on, room in the queue of @other wakes the pollers of @u.  @u locked. */
static void relay_start(struct unix_sock *u, struct unix_sock *other)
{
	if (u->relaying)
		return;
	u->relaying = true;
	u->relay_to = unix_get(other);
	lx_wait_entry_init(&u->relay, NULL);
	u->relay.wake = relay_wake;
	lx_waitq_add(&other->peer_wait, &u->relay);
}

void unix_relay_stop(struct unix_sock *u)
{
	struct unix_sock *to = NULL;

	rt_mutex_lock(&u->lock);
	if (u->relaying) {
		lx_waitq_remove(&u->relay_to->peer_wait, &u->relay);
		u->relaying = false;
		to = u->relay_to;
		u->relay_to = NULL;
	}
	rt_mutex_unlock(&u->lock);
	if (to)
		unix_put(to);
}

/* Could a datagram to our peer be queued now?  @u locked; the answer may be stale. */
static bool peer_has_room(struct unix_sock *u, bool waiting)
{
	struct unix_sock *peer = u->peer;

	if (unix_is_connection(u) || !peer || READ_ONCE(peer->peer) == u || peer == u)
		return true;
	if (waiting)
		relay_start(u, peer);
	atomic_thread_fence(memory_order_seq_cst);
	return !unix_queue_full(peer) || READ_ONCE(peer->dead);
}

uint32_t unix_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p)
{
	struct unix_sock *u = unix_of(s);
	uint32_t mask = 0;

	lx_poll_wait(p, f, &u->wait);
	rt_mutex_lock(&u->lock);
	if (atomic_load(&s->error))
		mask |= POLLERR;
	if (u->shutdown == SHUTDOWN_BOTH)
		mask |= POLLHUP;
	if (u->shutdown & SHUTDOWN_RECV)
		mask |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (!list_is_empty(&u->queue) || !list_is_empty(&u->embryos))
		mask |= POLLIN | POLLRDNORM;
	if (unix_is_connection(u) && u->state == UNIX_UNCONNECTED)
		mask |= POLLHUP;
	if (u->state != UNIX_LISTENING && !is_writable(u))
		atomic_store(&u->nospace, true);
	if (u->state != UNIX_LISTENING && is_writable(u) &&
	    (!p || p->events & (POLLOUT | POLLWRNORM | POLLWRBAND)) &&
	    peer_has_room(u, p && p->queue))
		mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
	rt_mutex_unlock(&u->lock);
	return mask;
}

static long input_length(struct unix_sock *u)
{
	struct unix_msg *msg;
	long n = 0;

	rt_mutex_lock(&u->lock);
	if (u->state == UNIX_LISTENING) {
		n = -EINVAL;
	} else {
		list_for_each_entry(msg, &u->queue, link) {
			n += unread(msg);
			if (u->base.type == SOCK_DGRAM)
				break;
		}
	}
	rt_mutex_unlock(&u->lock);
	return n;
}

long unix_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg)
{
	struct unix_sock *u = unix_of(s);
	long n;
	int v;

	switch (cmd) {
	case FIONREAD:
		n = input_length(u);
		break;
	case TIOCOUTQ:
		n = (long)atomic_load(&u->wmem);
		break;
	default:
		return -ENOTTY;
	}
	if (n < 0)
		return n;
	v = (int)n;
	return lx_copy_to_user(uaddr(arg), &v, sizeof(v));
}
