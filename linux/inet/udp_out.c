/* SPDX-License-Identifier: MIT */
/*
 * UDP: sending.
 *
 * A call makes one datagram; with MSG_MORE or UDP_CORK a part of one, which is kept as bytes
 * until the last part comes; with UDP_SEGMENT as many as it has pieces of that size.
 */
#include <linux/in.h>

#include "inet/udp.h"

static uint32_t flow_hash(const struct ip_tx *ip, uint16_t from_be, uint16_t to_be)
{
	uint64_t ports = (uint64_t)from_be << 16 | to_be;

	return (uint32_t)((ip->src.q[1] ^ ip->dst.q[1] ^ ports) * 0x9e3779b97f4a7c15ull >> 32);
}

/* The first UDP_HEADER bytes of @p. */
static void fill_header(struct inet_sock *is, struct lx_pbuf *p, const struct ip_tx *ip,
			uint16_t to_be)
{
	uint8_t *header = lx_pbuf_data(p);
	uint16_t from_be = is->owner.entry.key.local_port;
	uint32_t sum;

	put_u16(header, from_be);
	put_u16(header + 2, to_be);
	put_be16(header + 4, (uint16_t)p->len);
	put_u16(header + 6, 0);
	p->hash = flow_hash(ip, from_be, to_be);
	if (socket_has(&is->base, SOCKET_FLAG(SO_NO_CHECK)))
		return;
	sum = ip_pseudo_csum(&ip->src, &ip->dst, IPPROTO_UDP, p->len);
	put_u16(header + 6, (uint16_t)~lx_csum_fold(sum));
	lx_pbuf_set_csum(p, 0, 6);
}

/* @p, with room for its header, goes out: taken over.  lock held. */
static int send_packet(struct inet_sock *is, struct lx_pbuf *p, const struct inet_tx *tx)
{
	struct inet *inet = inet_of(is);
	struct ip_tx ip;
	int err = inet_autobind(is);

	if (!err)
		err = inet_tx_route(is, tx, &ip);
	if (!err)
		err = inet_tx_fits(is, tx, &ip, p->len);
	if (err) {
		lx_pbuf_free(p);
		return err;
	}
	fill_header(is, p, &ip, tx->port_be);
	err = ip_send(inet, &is->dst, p, &ip);
	if (!err) {
		inet_count(inet, udp[UDP_MIB_OUTDATAGRAMS]);
		return 0;
	}
	if (err != -ENOBUFS)
		return err;
	/* a full queue of a device: as on Linux only those who look for errors hear of it */
	inet_count(inet, udp[UDP_MIB_SNDBUFERRORS]);
	return inet_has(is, INET_RECVERR) ? err : 0;
}

static int send_one(struct inet_sock *is, struct net_msg *m, const struct inet_tx *tx, uint32_t len)
{
	struct lx_pbuf *p;
	int err = inet_tx_wait(is, m->flags);

	if (!err)
		err = inet_tx_packet(is, m->iter, UDP_HEADER, len, &p);
	if (err)
		return err;
	inet_sock_lock(is);
	err = send_packet(is, p, tx);
	inet_sock_unlock(is);
	return err;
}

static int send_segments(struct inet_sock *is, struct net_msg *m, const struct inet_tx *tx,
			 uint32_t len,
			 uint32_t size)
{
	int err = 0;

	if (len > UDP_MAX || len > size * UDP_SEGMENTS_MAX)
		return -EINVAL;
	while (len && !err) {
		uint32_t n = MIN(len, size);

		err = send_one(is, m, tx, n);
		len -= n;
	}
	return err;
}

/* -- parts of a datagram */

void udp_cork_free(struct udp_cork *cork)
{
	if (cork)
		rt_free(cork->data);
	rt_free(cork);
}

int udp_push(struct udp_sock *us)
{
	struct inet_sock *is = &us->dgram.inet;
	struct udp_cork *cork = us->cork;
	struct lx_pbuf *p;
	struct lx_iter iter;
	int err;

	if (!cork)
		return 0;
	us->cork = NULL;
	lx_iter_init_kernel(&iter, cork->data, cork->len);
	err = inet_tx_packet(is, &iter, UDP_HEADER, cork->len, &p);
	if (!err)
		err = send_packet(is, p, &cork->tx);
	udp_cork_free(cork);
	return err;
}

/* Room for @n more bytes.  lock held. */
static int cork_grow(struct udp_cork *cork, uint32_t n)
{
	uint32_t room = MAX(cork->len + n, MIN(cork->room * 2, UDP_MAX));
	uint8_t *data;

	if (cork->len + n > UDP_MAX)
		return -EMSGSIZE;
	if (cork->data && cork->len + n <= cork->room)
		return 0;
	data = rt_realloc(cork->data, MAX(room, 1u));
	if (!data)
		return -ENOBUFS;
	cork->data = data;
	cork->room = room;
	return 0;
}

static int cork_append(struct udp_sock *us, const struct inet_tx *tx, const uint8_t *data,
		       uint32_t n)
{
	int err;

	if (!us->cork) {
		us->cork = rt_zalloc(sizeof(*us->cork));
		if (!us->cork)
			return -ENOBUFS;
		us->cork->tx = *tx;
	}
	err = cork_grow(us->cork, n);
	if (err) {
		/* what was held back is lost, too, as on Linux */
		udp_cork_free(us->cork);
		us->cork = NULL;
		return err;
	}
	memcpy(us->cork->data + us->cork->len, data, n);
	us->cork->len += n;
	return 0;
}

static int send_part(struct udp_sock *us, struct net_msg *m, const struct inet_tx *tx, uint32_t len)
{
	struct inet_sock *is = &us->dgram.inet;
	uint8_t *data = rt_alloc(MAX(len, 1u));
	int err = inet_tx_wait(is, m->flags);

	if (!data)
		return -ENOBUFS;
	if (!err)
		err = lx_iter_copy(m->iter, data, len, true);
	if (!err) {
		inet_sock_lock(is);
		err = cork_append(us, tx, data, len);
		if (!err && !(m->flags & MSG_MORE) && !atomic_load(&us->is_corked))
			err = udp_push(us);
		inet_sock_unlock(is);
	}
	rt_free(data);
	return err;
}

/* -- */

/* Is a part already held back?  Then all that comes belongs to it, whatever its address. */
static bool has_part(struct udp_sock *us)
{
	return READ_ONCE(us->cork) != NULL;
}

int64_t udp_send(struct lx_socket *s, struct net_msg *m)
{
	struct udp_sock *us = udp_sock(s);
	struct inet_sock *is = &us->dgram.inet;
	uint64_t len = m->iter->count;
	struct inet_tx tx = { .gso_size = 0 };
	int err = 0;

	if (len > 0xffff)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (!has_part(us)) {
		err = inet_tx_begin(is, m, &tx);
		if (!err && m->namelen && !tx.port_be)
			err = -EINVAL;
		if (!err && !tx.gso_size)
			tx.gso_size = atomic_load_explicit(&us->gso_size, memory_order_relaxed);
	}
	if (err)
		return err;
	if (m->flags & MSG_MORE || atomic_load_explicit(&us->is_corked, memory_order_relaxed) ||
	    has_part(us))
		err = send_part(us, m, &tx, (uint32_t)len);
	else if (tx.gso_size && len > tx.gso_size)
		err = send_segments(is, m, &tx, (uint32_t)len, tx.gso_size);
	else
		err = send_one(is, m, &tx, (uint32_t)len);
	lx_net_deliver(s->ns);
	return err ? err : (int64_t)len;
}
