/* SPDX-License-Identifier: MIT */
/*
 * Errors that come back for what a socket sent: SO_ERROR for the next call, and, with IP_RECVERR,
 * a queue with all of them (ip(7)).  A queued one is a packet of what of ours the error brought
 * back, with a note in its cb.
 */
#include <asm/poll.h>
#include <linux/time.h>
#include <linux/errqueue.h>
#include <linux/in.h>

#include "inet/dgram.h"

struct inet_error_note {
	struct inet_addr offender;	/* who sent it */
	struct inet_addr dst;		/* to whom our packet went */
	uint32_t info;
	uint16_t port_be;		/* the same */
	uint16_t err;
	uint8_t origin, type, code;
};
_Static_assert(sizeof(struct inet_error_note) <= sizeof(((struct lx_pbuf *)0)->cb),
	       "in lx_pbuf.cb");

static struct inet_error_note *note_of(struct lx_pbuf *p)
{
	return (struct inet_error_note *)p->cb;
}

static void wake(struct inet_sock *is)
{
	lx_wake(&is->wait, POLLERR, ~0u);
}

/* Takes @p over.  As on Linux what is not yet read counts against SO_RCVBUF. */
static void queue_error(struct inet_sock *is, struct lx_pbuf *p)
{
	struct lx_pbuf *other;
	int64_t bytes = 0;

	rt_mutex_lock(&is->errors_lock);
	list_for_each_entry(other, &is->errors, link)
		bytes += other->charge;
	if (bytes + p->charge < atomic_load_explicit(&is->base.rcvbuf, memory_order_relaxed)) {
		list_add_last(&is->errors, &p->link);
		p = NULL;
	}
	rt_mutex_unlock(&is->errors_lock);
	lx_pbuf_free(p);
}

/* What came back of our packet behind its header of the transport, which has @header_len bytes. */
static struct lx_pbuf *returned_bytes(const struct ip_error *e, uint32_t header_len)
{
	struct lx_pbuf *p = lx_pbuf_clone(e->packet);
	uint32_t off;

	if (!p)
		return NULL;
	off = (lx_pbuf_data(p)[0] & 0xfu) * 4 + header_len;
	if (off <= lx_pbuf_linear(p))
		lx_pbuf_pull(p, off);
	else
		lx_pbuf_trim(p, 0);
	return p;
}

void inet_sock_error(struct inet_sock *is, const struct ip_error *e, uint32_t header_len,
		     bool counts)
{
	struct lx_pbuf *p;

	if (inet_has(is, INET_RECVERR)) {
		p = returned_bytes(e, header_len);
		if (p) {
			*note_of(p) = (struct inet_error_note){
				.offender = e->offender, .dst = e->dst, .info = e->mtu, .err = (uint16_t)e->err,
				.origin = SO_EE_ORIGIN_ICMP, .type = e->type, .code = e->code,
				.port_be = is->space == INET_PORTS_UDP ? get_u16(e->transport + 2) : 0,
			};
			queue_error(is, p);
		}
	} else if (!counts) {
		return;
	}
	atomic_store(&is->base.error, e->err);
	wake(is);
}

void inet_sock_local_error(struct inet_sock *is, int err, const struct inet_addr *dst,
			   uint16_t port_be,
			   uint32_t info)
{
	struct lx_pbuf *p;

	if (!inet_has(is, INET_RECVERR))
		return;
	p = lx_pbuf_alloc(is->base.ns->pool, 0, 0);
	if (!p)
		return;
	*note_of(p) = (struct inet_error_note){
		.dst = *dst, .port_be = port_be, .info = info, .err = (uint16_t)err, .origin = SO_EE_ORIGIN_LOCAL,
	};
	queue_error(is, p);
	wake(is);
}

bool inet_sock_has_errors(struct inet_sock *is)
{
	/* only a hint: who adds one wakes pollers afterwards */
	return !list_looks_empty(&is->errors);
}

void inet_forget_errors(struct inet_sock *is)
{
	struct list gone;

	list_init(&gone);
	rt_mutex_lock(&is->errors_lock);
	list_splice_last(&gone, &is->errors);
	rt_mutex_unlock(&is->errors_lock);
	lx_pbuf_free_list(&gone);
}

/* The oldest; SO_ERROR becomes that of the next one from the network, if there is one. */
static struct lx_pbuf *take_error(struct inet_sock *is)
{
	struct lx_pbuf *p, *next;
	int next_err = 0;

	rt_mutex_lock(&is->errors_lock);
	p = list_pop_entry(&is->errors, struct lx_pbuf, link);
	next = list_first_entry(&is->errors, struct lx_pbuf, link);
	if (next && note_of(next)->origin == SO_EE_ORIGIN_ICMP)
		next_err = note_of(next)->err;
	rt_mutex_unlock(&is->errors_lock);
	if (p && (next_err || note_of(p)->origin == SO_EE_ORIGIN_ICMP))
		atomic_store(&is->base.error, next_err);
	if (next)
		wake(is);
	return p;
}

/* What IP_RECVERR comes with: the error, and who sent it. */
static void add_error(struct net_msg *m, const struct inet_error_note *n)
{
	struct {
		struct sock_extended_err ee;
		struct sockaddr_in offender;
	} data = {
		.ee = { .ee_errno = n->err, .ee_origin = n->origin, .ee_type = n->type,
			.ee_code = n->code,
			.ee_info = n->info },
	};

	if (n->origin == SO_EE_ORIGIN_ICMP) {
		data.offender.sin_family = AF_INET;
		data.offender.sin_addr.s_addr = inet_addr_to_v4(&n->offender);
	}
	net_msg_add(m, IPPROTO_IP, IP_RECVERR, &data, sizeof(data));
}

int64_t inet_recv_error(struct inet_sock *is, struct net_msg *m)
{
	struct lx_pbuf *p = take_error(is);
	uint32_t n, done = 0;

	if (!p)
		return -EAGAIN;
	n = (uint32_t)MIN((uint64_t)p->len, m->iter->count);
	while (done < n) {
		done += (uint32_t)lx_pbuf_to_iter(p, done, m->iter, n - done);
		if (done < n && lx_iter_fault_in(m->iter, true)) {
			lx_pbuf_free(p);
			return -EFAULT;
		}
	}
	if (n < p->len)
		m->out_flags |= MSG_TRUNC;
	m->out_flags |= MSG_ERRQUEUE;
	m->namelen = inet_addr_store(m->name, &note_of(p)->dst, note_of(p)->port_be);
	socket_add_timestamp(&is->base, m, p->arrival_ns);
	add_error(m, note_of(p));
	lx_pbuf_free(p);
	return n;
}
