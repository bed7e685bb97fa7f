/* SPDX-License-Identifier: MIT */
/*
 * AF_PACKET: frames that pass, and programs that read them.
 *
 * What a tap shows is put into the socket's queue as a clone, which shares the frame's bytes: RAW
 * sockets see it from the link's header on, DGRAM ones from behind it.  A queue that has reached
 * SO_RCVBUF takes no more; what is lost is counted.
 */
#include <asm/ioctls.h>
#include <asm/poll.h>

#include "base/byteorder.h"
#include "net/packet.h"
#include "net/netdev_priv.h"

_Static_assert(sizeof(struct packet_note) <= sizeof(((struct lx_pbuf *)0)->cb), "in lx_pbuf.cb");

static struct packet_note *note_of(struct lx_pbuf *p)
{
	return (struct packet_note *)p->cb;
}

/* -- in */

static void take_note(struct packet_sock *ps, struct lx_netdev *dev, struct lx_pbuf *p, uint8_t pkttype)
{
	struct packet_note *note = note_of(p);

	*note = (struct packet_note){
		.len = p->len, .ifindex = dev->ifindex, .hatype = dev->type, .halen = dev->addr_len,
		.protocol = BE16(p->protocol), .pkttype = pkttype,
	};
	if (ps->base.type == SOCK_RAW)
		note->net = (uint16_t)(p->network_at - p->link_at);
}

/* The clone begins at @place: the bytes before it are still in front of the frame. */
static bool begin_at(struct lx_pbuf *p, uint16_t place)
{
	int32_t off = lx_pbuf_offset(p, place);

	if (off > 0 && (uint32_t)off > lx_pbuf_linear(p))
		return false;
	if (off > 0)
		lx_pbuf_pull(p, (uint32_t)off);
	else
		lx_pbuf_push(p, (uint32_t)-off);
	return true;
}

static struct lx_pbuf *make_copy(struct packet_sock *ps, struct lx_netdev *dev,
				 const struct lx_pbuf *p, uint8_t pkttype)
{
	struct lx_pbuf *c = lx_pbuf_clone(p);
	struct packet_note *note;

	if (!c)
		return NULL;
	if (!begin_at(c, c->link_at) || lx_pbuf_linear(c) < ETHERNET_HEADER) {
		lx_pbuf_free(c);
		return NULL;
	}
	note = note_of(c);
	/* who sent it, before the header is out of sight */
	take_note(ps, dev, c, pkttype);
	memcpy(note->addr, lx_pbuf_data(c) + 6, 6);
	if (ps->base.type == SOCK_DGRAM)
		begin_at(c, c->network_at);
	note->len = c->len;
	if (!c->arrival_ns)
		c->arrival_ns = rt_realtime_ns();
	return c;
}

static bool is_full(struct packet_sock *ps)
{
	return (int64_t)atomic_load_explicit(&ps->rmem, memory_order_relaxed) >=
	       atomic_load_explicit(&ps->base.rcvbuf, memory_order_relaxed);
}

/*
 * How many bytes of the packet the socket sees, after its filter; 0: none, and so it never sees an
 * empty one.  lock held.
 */
static uint32_t filter_locked(struct packet_sock *ps, struct lx_netdev *dev, const struct lx_pbuf *p,
			      uint8_t pkttype)
{
	uint16_t place = ps->base.type == SOCK_RAW ? p->link_at : p->network_at;
	int64_t len = (int64_t)p->len - lx_pbuf_offset(p, place);

	if (len <= 0)
		return 0;
	if (!ps->filter)
		return (uint32_t)len;
	return MIN((uint32_t)len, packet_filter_run(ps->filter, p, place, dev, pkttype));
}

void packet_deliver(struct net_tap *tap, struct lx_netdev *dev, const struct lx_pbuf *p,
		    uint8_t pkttype)
{
	struct packet_sock *ps = container_of(tap, struct packet_sock, tap);
	struct lx_pbuf *c = NULL;
	uint32_t keep;

	if (pkttype == LX_PKT_OUTGOING && packet_has(ps, PACKET_NO_OUTGOING))
		return;
	rt_mutex_lock(&ps->lock);
	keep = filter_locked(ps, dev, p, pkttype);
	if (keep && !is_full(ps))
		c = make_copy(ps, dev, p, pkttype);
	if (c) {
		lx_pbuf_trim(c, keep);
		list_add_last(&ps->queue, &c->link);
		atomic_fetch_add(&ps->rmem, c->charge);
		ps->packets++;
	} else if (keep) {
		ps->drops++;
		ps->all_drops++;
	}
	rt_mutex_unlock(&ps->lock);
	if (c && !lx_waitq_empty(&ps->wait))
		lx_wake(&ps->wait, POLLIN | POLLRDNORM, 1);
}

/* -- out */

/* The oldest packet, or a clone of it (MSG_PEEK); NULL: none.  -ENOMEM. */
static int take(struct packet_sock *ps, bool peek, struct lx_pbuf **out)
{
	struct lx_pbuf *p;
	int err = 0;

	rt_mutex_lock(&ps->lock);
	p = list_first_entry(&ps->queue, struct lx_pbuf, link);
	if (p && peek) {
		p = lx_pbuf_clone(p);
		err = p ? 0 : -ENOMEM;
	} else if (p) {
		list_remove(&p->link);
		atomic_fetch_sub(&ps->rmem, p->charge);
	}
	rt_mutex_unlock(&ps->lock);
	*out = p;
	return err;
}

static bool has_packet(struct packet_sock *ps)
{
	/* whoever adds a packet changes rmem before it wakes */
	return atomic_load(&ps->rmem) || atomic_load(&ps->base.error);
}

static int wait_for_packet(struct packet_sock *ps, unsigned int flags, struct lx_pbuf **out)
{
	uint64_t deadline = flags & MSG_DONTWAIT ? 0 : socket_deadline(ps->base.rcvtimeo_ns);

	for (;;) {
		int err = socket_take_error(&ps->base);

		if (!err)
			err = take(ps, flags & MSG_PEEK, out);
		if (err || *out)
			return err;
		if (flags & MSG_DONTWAIT)
			return -EAGAIN;
		err = lx_wait_event(lx_self(), &ps->wait, has_packet(ps), deadline,
				    LX_WAIT_INTERRUPTIBLE);
		if (err)
			return socket_wait_errno(err, deadline);
	}
}

static int copy_out(const struct lx_pbuf *p, struct lx_iter *to, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		done += (uint32_t)lx_pbuf_to_iter(p, done, to, n - done);
		if (done < n && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	return 0;
}

static void add_name(struct net_msg *m, const struct packet_note *note)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_protocol = note->protocol, .sll_ifindex = note->ifindex,
		.sll_hatype = note->hatype, .sll_pkttype = note->pkttype, .sll_halen = note->halen,
	};

	memcpy(a.sll_addr, note->addr, sizeof(a.sll_addr));
	memcpy(m->name, &a, sizeof(a));
	m->namelen = sizeof(a);
}

static void add_auxdata(struct net_msg *m, const struct lx_pbuf *p, const struct packet_note *note)
{
	struct tpacket_auxdata aux = {
		.tp_status = TP_STATUS_USER, .tp_len = note->len, .tp_snaplen = p->len,
		.tp_net = note->net,
	};

	if (p->csum == LX_CSUM_PARTIAL)
		aux.tp_status |= TP_STATUS_CSUMNOTREADY;
	else if (note->pkttype != LX_PKT_OUTGOING && p->csum == LX_CSUM_VERIFIED)
		aux.tp_status |= TP_STATUS_CSUM_VALID;
	net_msg_add(m, SOL_PACKET, PACKET_AUXDATA, &aux, sizeof(aux));
}

static void add_drops(struct packet_sock *ps, struct net_msg *m)
{
	uint32_t drops = READ_ONCE(ps->all_drops);

	if (socket_has(&ps->base, SOCKET_RXQ_OVFL))
		net_msg_add(m, SOL_SOCKET, SO_RXQ_OVFL, &drops, sizeof(drops));
}

int64_t packet_recv(struct lx_socket *s, struct net_msg *m)
{
	struct packet_sock *ps = packet_of(s);
	const struct packet_note *note;
	struct lx_pbuf *p;
	int64_t ret;
	uint32_t n;

	if (m->flags & ~(unsigned int)(MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_COMPAT | MSG_ERRQUEUE |
				       MSG_CMSG_CLOEXEC))
		return -EINVAL;
	if (m->flags & MSG_ERRQUEUE)
		return -EAGAIN;		/* nothing is ever in it */
	ret = wait_for_packet(ps, m->flags, &p);
	if (ret)
		return ret;
	note = note_of(p);
	n = (uint32_t)MIN((uint64_t)p->len, m->iter->count);
	ret = copy_out(p, m->iter, n);
	if (!ret) {
		if (n < p->len)
			m->out_flags |= MSG_TRUNC;
		add_name(m, note);
		socket_add_timestamp(s, m, p->arrival_ns);
		add_drops(ps, m);
		if (packet_has(ps, PACKET_HAS_AUXDATA))
			add_auxdata(m, p, note);
		ret = m->flags & MSG_TRUNC ? p->len : n;
	}
	lx_pbuf_free(p);
	return ret;
}

/* -- poll and ioctl */

uint32_t packet_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p)
{
	struct packet_sock *ps = packet_of(s);
	uint32_t mask = 0;

	lx_poll_wait(p, f, &ps->wait);
	if (atomic_load(&s->error))
		mask |= POLLERR;
	rt_mutex_lock(&ps->lock);
	if (!list_is_empty(&ps->queue))
		mask |= POLLIN | POLLRDNORM;
	rt_mutex_unlock(&ps->lock);
	if ((int64_t)atomic_load(&ps->wmem) * 2 < atomic_load(&s->sndbuf))
		mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
	return mask;
}

long packet_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg)
{
	struct packet_sock *ps = packet_of(s);
	struct lx_pbuf *p;
	int v = 0;

	switch (cmd) {
	case FIONREAD:
		rt_mutex_lock(&ps->lock);
		p = list_first_entry(&ps->queue, struct lx_pbuf, link);
		v = p ? (int)p->len : 0;
		rt_mutex_unlock(&ps->lock);
		break;
	case TIOCOUTQ:
		v = (int)atomic_load(&ps->wmem);
		break;
	default:
		return -ENOTTY;
	}
	return lx_copy_to_user(uaddr(arg), &v, sizeof(v));
}
