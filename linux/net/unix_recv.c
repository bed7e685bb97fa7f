/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX messages: receiving them.
 *
 * A reader copies out under its socket's lock, with copies that do not settle
 * faults: one that stops short leaves the queue as it was, and is tried again when
 * the program's memory is there.
 */
#include <asm/poll.h>

#include "unix_priv.h"
#include "lx/cred.h"

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
	size_t n = MIN((uint64_t)(unix_msg_unread(msg) - r->skip), m->iter->count), got;
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
	if (!unix_msg_unread(msg)) {
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

		if (msg && r.skip >= unix_msg_unread(msg)) {
			r.skip -= unix_msg_unread(msg);
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
