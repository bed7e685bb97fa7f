/* SPDX-License-Identifier: MIT */
/* AF_UNIX: what could be sent or received now. */
#include <asm/ioctls.h>
#include <asm/poll.h>

#include "unix_priv.h"

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
	if (u->state != UNIX_LISTENING && !unix_is_writable(u))
		atomic_store(&u->nospace, true);
	if (u->state != UNIX_LISTENING && unix_is_writable(u) &&
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
			n += unix_msg_unread(msg);
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
