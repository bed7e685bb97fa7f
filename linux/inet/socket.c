/* SPDX-License-Identifier: MIT */
/*
 * What sockets of AF_INET have in common: life, the lock with its backlog, waiting (socket.h has the theory).
 * Addresses and ways are in address.c.
 */
#include "inet/socket.h"

#include <asm/poll.h>
#include <linux/in.h>

#include "lx/cred.h"
#include "lx/ns.h"

/* -- life */

static void tx_release(struct lx_pbuf_owner *owner, uint32_t charge);

void inet_sock_init_in(struct inet_sock *is, struct lx_netns *ns, lx_uid_t uid, const struct lx_socket_ops *ops,
		       const struct inet_sock_ops *inet_ops, int type, int protocol, enum inet_space space)
{
	struct inet_entry *e = &is->owner.entry;

	socket_init_in(&is->base, ns, ops, AF_INET, type, protocol);
	is->ops = inet_ops;
	is->space = (uint8_t)space;
	hlist_node_init(&e->link);
	atomic_init(&e->refs, 1);
	e->kind = INET_SOCKET;
	e->protocol = (uint8_t)protocol;
	list_init(&is->owner.port_link);
	is->owner.uid = uid;
	lx_waitq_init(&is->wait);
	rt_mutex_init(&is->lock, LX_LOCK_SOCKET);
	rt_mutex_init(&is->backlog.lock, LX_LOCK_INET_BACKLOG);
	list_init(&is->backlog.packets);
	is->tx_owner.release = tx_release;
	atomic_init(&is->wmem, 1);
	atomic_init(&is->ttl, -1);
	atomic_init(&is->mc_ttl, 1);
	atomic_init(&is->pmtudisc, inet_conf(&inet_of(is)->conf.ip_no_pmtu_disc) ? IP_PMTUDISC_DONT :
										     IP_PMTUDISC_WANT);
	atomic_init(&is->ip_flags, INET_MC_LOOP | INET_MC_ALL);
	rt_mutex_init(&is->errors_lock, LX_LOCK_INET_QUEUE);
	list_init(&is->errors);
}

void inet_sock_init(struct inet_sock *is, const struct lx_socket_ops *ops, const struct inet_sock_ops *inet_ops,
		    int type, int protocol, enum inet_space space)
{
	struct lx_task *self = lx_self();

	inet_sock_init_in(is, self->ns->net, self->cred->fsuid, ops, inet_ops, type, protocol, space);
}

void inet_sock_attach(struct lx_socket *s, struct lx_file *f)
{
	atomic_store(&inet_sock(s)->ino, f->inode ? f->inode->ino : 0);
}

void inet_sock_release(struct inet_sock *is)
{
	struct inet_tables *t = inet_tables_of(is);

	inet_leave_groups(is);
	inet_sock_lock(is);
	inet_connection_remove(t, &is->owner.entry);
	inet_port_release(t, &is->owner);
	inet_sock_forget_route(is);
	inet_sock_unlock(is);
	inet_sock_put(is);
}

static void drop_wmem(struct inet_sock *is, uint32_t n)
{
	if (atomic_fetch_sub_explicit(&is->wmem, n, memory_order_acq_rel) == n)
		rt_free(is);
}

void inet_sock_free(struct inet_sock *is)
{
	is->ops->destroy(is);
	lx_pbuf_free_list(&is->backlog.packets);
	lx_pbuf_free_list(&is->errors);
	inet_extra_free(is);
	inet_dst_release(&is->dst);
	socket_fini(&is->base);
	drop_wmem(is, 1);
}

/* -- memory of what is sent */

void inet_sock_charge(struct inet_sock *is, struct lx_pbuf *p)
{
	atomic_fetch_add(&is->wmem, p->charge);
	lx_pbuf_set_owner(p, &is->tx_owner);
}

/* lx_pbuf_owner.release: the socket may be gone but for this. */
static void tx_release(struct lx_pbuf_owner *owner, uint32_t charge)
{
	struct inet_sock *is = container_of(owner, struct inet_sock, tx_owner);

	/*
	 * The room is there before anybody is woken, and the memory until that is done: one byte of the
	 * charge keeps it, which those who look for room meanwhile do not mind (inet_sock_has_room()).
	 */
	atomic_fetch_sub(&is->wmem, charge - 1);
	if (inet_sock_is_writable(is) && !lx_waitq_empty(&is->wait))
		lx_wake(&is->wait, POLLOUT | POLLWRNORM | POLLWRBAND |
			(atomic_exchange(&is->wants_room, false) ? LX_WAKE_SPACE : 0), ~0u);
	drop_wmem(is, 1);
}

/* -- the lock */

static bool pop_packet(struct inet_sock *is, struct list *to)
{
	struct inet_backlog *b = &is->backlog;

	rt_mutex_lock(&b->lock);
	list_splice_last(to, &b->packets);
	b->bytes = 0;
	rt_mutex_unlock(&b->lock);
	return !list_is_empty(to);
}

/* Lock held: all that has come, in order. */
static void run_backlog(struct inet_sock *is)
{
	struct inet_backlog *b = &is->backlog;
	uint32_t bits = atomic_exchange(&b->pending, 0);
	struct list packets;
	struct lx_pbuf *p;

	if (bits & INET_BACKLOG_PACKETS) {
		list_init(&packets);
		pop_packet(is, &packets);
		while ((p = list_pop_entry(&packets, struct lx_pbuf, link)))
			is->ops->receive(is, p);
	}
	bits &= ~INET_BACKLOG_PACKETS;
	if (bits)
		is->ops->event(is, bits);
}

static bool is_pending(struct inet_sock *is)
{
	return atomic_load_explicit(&is->backlog.pending, memory_order_relaxed);
}

void inet_sock_flush_backlog(struct inet_sock *is)
{
	while (is_pending(is))
		run_backlog(is);
}

bool inet_sock_unlock(struct inet_sock *is)
{
	bool any = false;

	do {
		any |= is_pending(is);
		inet_sock_flush_backlog(is);
		rt_mutex_unlock(&is->lock);
		/* pairs with that of put(): they try the lock after this, or we see what they left */
		atomic_thread_fence(memory_order_seq_cst);
	} while (is_pending(is) && rt_mutex_trylock(&is->lock));
	return any;
}

void inet_sock_leave(struct inet_sock *is)
{
	struct lx_netns *ns = is->base.ns;

	inet_sock_unlock(is);
	lx_net_deliver(ns);
}

/* Something is in the backlog: whoever has the lock looks at it, or we do. */
static void put(struct inet_sock *is, uint32_t bits)
{
	atomic_fetch_or(&is->backlog.pending, bits);
	atomic_thread_fence(memory_order_seq_cst);
	if (rt_mutex_trylock(&is->lock))
		inet_sock_unlock(is);
}

static bool put_packet(struct inet_sock *is, struct lx_pbuf *p)
{
	int64_t limit = (int64_t)atomic_load_explicit(&is->base.rcvbuf, memory_order_relaxed) +
			atomic_load_explicit(&is->base.sndbuf, memory_order_relaxed);
	struct inet_backlog *b = &is->backlog;
	bool fits;

	rt_mutex_lock(&b->lock);
	fits = b->bytes <= limit;
	if (fits) {
		list_add_last(&b->packets, &p->link);
		b->bytes += p->charge;
	}
	rt_mutex_unlock(&b->lock);
	return fits;
}

bool inet_sock_receive(struct inet_sock *is, struct lx_pbuf *p)
{
	if (rt_mutex_trylock(&is->lock)) {
		inet_sock_flush_backlog(is);
		is->ops->receive(is, p);
		inet_sock_unlock(is);
		return true;
	}
	if (!put_packet(is, p)) {
		lx_pbuf_free(p);
		return false;
	}
	put(is, INET_BACKLOG_PACKETS);
	return true;
}

void inet_sock_signal(struct inet_sock *is, uint32_t bits)
{
	put(is, bits);
}

/* -- waiting */

int inet_sock_wait(struct inet_sock *is, bool (*ready)(struct inet_sock *is, void *arg), void *arg,
		   uint64_t deadline)
{
	struct lx_task *self = lx_self();
	struct lx_wait_entry entry;
	int err = 0;

	lx_wait_entry_init(&entry, self);
	lx_wait_prepare(self);
	lx_waitq_add(&is->wait, &entry);
	while (!ready(is, arg)) {
		if (err)
			break;
		inet_sock_leave(is);
		err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
		lx_wait_prepare(self);
		inet_sock_lock(is);
		/* what came right before the end counts */
		if (err && ready(is, arg))
			err = 0;
	}
	lx_waitq_remove(&is->wait, &entry);
	return err ? socket_wait_errno(err, deadline) : 0;
}
