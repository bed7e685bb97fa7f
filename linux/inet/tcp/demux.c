/* SPDX-License-Identifier: MIT */
/*
 * From a segment that IP has received to the socket that it is for.
 */
#include "inet/tcp/sock.h"

#include <linux/rtnetlink.h>

#include "base/byteorder.h"

void tcp_send_for_nobody(struct inet *inet, const struct inet_tuple *key, struct lx_pbuf *p,
			 uint8_t tos, uint32_t mark)
{
	struct inet_flow flow = {
		.dst = key->remote, .src = key->local, .protocol = IPPROTO_TCP, .tos = tos,
		.mark = mark,
	};
	struct ip_tx tx = {
		.src = key->local, .dst = key->remote, .protocol = IPPROTO_TCP, .tos = tos, .ttl = -1,
	};
	struct inet_dst dst = { .dev = NULL };

	if (inet_route_output(inet, &flow, &dst)) {
		lx_pbuf_free(p);
		return;
	}
	p->hash = inet_connection_hash(inet->tables, key, IPPROTO_TCP);
	inet_count(inet, tcp[TCP_MIB_OUTSEGS]);
	tcp_set_pseudo(p, ip_pseudo_csum(&tx.src, &tx.dst, IPPROTO_TCP, p->len));
	(void)ip_send(inet, &dst, p, &tx);
	inet_dst_release(&dst);
}

void tcp_tuple_of(struct lx_pbuf *p, struct inet_tuple *key)
{
	const uint8_t *h = lx_pbuf_data(p);

	memset(key, 0, sizeof(*key));	/* it is compared as bytes */
	key->local = ip_rx(p)->dst;
	key->remote = ip_rx(p)->src;
	memcpy(&key->remote_port, h, 2);
	memcpy(&key->local_port, h + 2, 2);
}

void tcp_refuse(struct inet *inet, struct lx_pbuf *p)
{
	struct inet_tuple key;
	struct tcp_segment s;
	struct lx_pbuf *rst;

	if (ip_rx(p)->type == RTN_LOCAL && tcp_parse(p, &s)) {
		tcp_tuple_of(p, &key);
		rst = tcp_reset_for(&inet->tcp->context, &s);
		if (rst)
			tcp_send_for_nobody(inet, &key, rst, 0, 0);
	}
	lx_pbuf_free(p);
}

static void give_to_half_open(struct tcp_half_open *h, struct lx_pbuf *p)
{
	inet_sock_receive(&h->listener->is, p);
}

void tcp_demux(struct inet *inet, struct lx_pbuf *p)
{
	struct inet_tables *t = inet->tables;
	struct inet_tuple key;
	struct inet_entry *e;
	struct inet_sock *listener;
	uint32_t hash;

	tcp_tuple_of(p, &key);
	hash = inet_connection_hash(t, &key, IPPROTO_TCP);
	e = inet_connection_find(t, hash, &key, IPPROTO_TCP, p->ifindex);
	if (e) {
		if (e->kind == INET_SOCKET)
			inet_sock_receive(inet_sock_of(e), p);
		else if (e->kind == INET_HALF_OPEN)
			give_to_half_open(container_of(e, struct tcp_half_open, entry), p);
		else
			tcp_over_receive(container_of(e, struct tcp_over, owner.entry), p);
		inet_entry_put(e);
		return;
	}
	listener = inet_listener_find(t, &key, hash, p->ifindex);
	if (listener) {
		inet_sock_receive(listener, p);
		inet_sock_put(listener);
		return;
	}
	tcp_refuse(inet, p);
}

static void tcp_in(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	struct ip_rx *rx = ip_rx(p);
	struct tcp_segment s;

	inet_count(inet, tcp[TCP_MIB_INSEGS]);
	if (rx->type != RTN_LOCAL)
		goto drop;
	if (!tcp_parse(p, &s)) {
		inet_count(inet, tcp[TCP_MIB_INERRS]);
		goto drop;
	}
	if (p->csum == LX_CSUM_NONE &&
	    !tcp_checksum_ok(p, ip_pseudo_csum(&rx->src, &rx->dst, IPPROTO_TCP, p->len))) {
		inet_count(inet, tcp[TCP_MIB_CSUMERRORS]);
		inet_count(inet, tcp[TCP_MIB_INERRS]);
		goto drop;
	}
	tcp_rx(p)->isn = 0;
	tcp_demux(inet, p);
	return;
drop:
	lx_pbuf_free(p);
}

/* -- ICMP errors */

/* A segment in flight is larger than the path takes (RFC 1191; 5927, 7.2).  lock held. */
static void too_large(struct tcp_sock *ts, const struct ip_error *e, uint64_t now)
{
	struct tcp_path path;

	inet_pmtu_update(inet_of(&ts->is), &e->dst, e->mtu);
	if (!tcp_sock_route(ts, &ts->is.owner.entry.key.remote, &path))
		tcp_set_path(&ts->conn, &path, now);
}

static void error_for(struct tcp_sock *ts, const struct ip_error *e)
{
	uint32_t seq;

	memcpy(&seq, e->transport + 4, 4);
	/*
	 * With the lock free only: what is dropped would be told again by the next segment that does
	 * not arrive.
	 */
	if (!rt_mutex_trylock(&ts->is.lock))
		return;
	if (!ts->listen && ts->conn.state != TCP_CLOSE) {
		uint64_t now = rt_now_ns();

		if (e->err == EMSGSIZE) {
			if (seq_within(BE32(seq), ts->conn.snd_una, ts->conn.snd_nxt))
				too_large(ts, e, now);
		} else {
			tcp_icmp_error(&ts->conn, BE32(seq), e->err, e->fatal, now);
			if (inet_has(&ts->is, INET_RECVERR))
				inet_sock_error(&ts->is, e, TCP_HEADER, false);
		}
		tcp_settle(ts);
	}
	inet_sock_unlock(&ts->is);
}

static void tcp_error(struct inet *inet, struct lx_netdev *dev, const struct ip_error *e)
{
	struct inet_tables *t = inet->tables;
	struct inet_tuple key = { .local = e->src, .remote = e->dst };
	struct inet_entry *found;

	memcpy(&key.local_port, e->transport, 2);
	memcpy(&key.remote_port, e->transport + 2, 2);
	found = inet_connection_find(t, inet_connection_hash(t, &key, IPPROTO_TCP), &key,
				     IPPROTO_TCP, dev ? dev->ifindex : 0);
	if (!found)
		return;
	if (found->kind == INET_SOCKET)
		error_for(tcp_sock_of(inet_sock_of(found)), e);
	inet_entry_put(found);
}

const struct inet_protocol tcp_protocol = { .receive = tcp_in, .error = tcp_error };
