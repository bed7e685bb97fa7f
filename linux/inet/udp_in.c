/* SPDX-License-Identifier: MIT */
/*
 * UDP: datagrams that come in, and errors for those that went out.
 *
 * A port's owners (hash.h) are looked at one by one, under the lock of its chain: nearly always
 * there is one.  A datagram to one address has one receiver, the socket that fits best; one to a
 * group or to all has every socket that fits.
 */
#include <linux/icmp.h>
#include <linux/in.h>
#include <linux/rtnetlink.h>

#include "inet/udp.h"

/* -- who gets it */

/*
 * How well a socket fits a packet of @t (its local end is ours) that came by @ifindex; negative:
 * not at all.  One that is bound to the address goes before one that is not; of these who is
 * connected, or bound to the device.
 */
static int score_of(struct inet_sock *is, const struct inet_tuple *t, int ifindex)
{
	const struct inet_entry *e = &is->owner.entry;
	int score = 1;

	if (!inet_addr_is_any(&e->key.local)) {
		if (!inet_addr_equal(&e->key.local, &t->local))
			return -1;
		score += 100;
	}
	if (inet_has(is, INET_CONNECTED)) {
		if (!inet_addr_equal(&e->key.remote, &t->remote))
			return -1;
		score += 4;
		if (e->key.remote_port && e->key.remote_port != t->remote_port)
			return -1;
		score += e->key.remote_port ? 4 : 0;
	}
	if (e->ifindex) {
		if (e->ifindex != ifindex)
			return -1;
		score += 4;
	}
	return score;
}

/*
 * Of those of SO_REUSEPORT that fit equally well, the same one for the same sender.  Port locked.
 */
static struct inet_sock *choose(struct inet_port *port, const struct inet_tuple *t, int ifindex,
				int score,
				uint32_t choice)
{
	struct inet_owner *o;

	list_for_each_entry(o, &port->owners, port_link) {
		struct inet_sock *is = inet_sock_of(&o->entry);

		if (score_of(is, t, ifindex) == score && !choice--)
			return is;
	}
	return NULL;
}

/* A reference; NULL: nobody. */
static struct inet_sock *find(struct inet *inet, const struct inet_tuple *t, int ifindex)
{
	uint16_t number = BE16(t->local_port);
	struct inet_port *port = inet_port_lock(inet->tables, INET_PORTS_UDP, number);
	struct inet_sock *best = NULL;
	int best_score = 0;
	uint32_t equals = 0;
	struct inet_owner *o;

	if (port)
		list_for_each_entry(o, &port->owners, port_link) {
			struct inet_sock *is = inet_sock_of(&o->entry);
			int score = score_of(is, t, ifindex);

			if (score > best_score) {
				best_score = score;
				best = is;
				equals = 1;
			} else if (best && score == best_score) {
				equals++;
			}
		}
	if (equals > 1 && socket_has(&best->base, SOCKET_FLAG(SO_REUSEPORT)) &&
	    !inet_has(best, INET_CONNECTED))
		best = choose(port, t, ifindex, best_score,
			      (uint32_t)((uint64_t)inet_connection_hash(inet->tables, t, IPPROTO_UDP) * equals >> 32));
	if (best)
		inet_sock_get(best);
	inet_port_unlock(inet->tables, INET_PORTS_UDP, number);
	return best;
}

static void queue(struct inet *inet, struct inet_sock *is, struct lx_netdev *dev, struct lx_pbuf *p)
{
	if (inet_dgram_queue(inet_dgram_of(is), dev, p, UDP_HEADER)) {
		inet_count(inet, udp[UDP_MIB_INDATAGRAMS]);
		return;
	}
	inet_count(inet, udp[UDP_MIB_RCVBUFERRORS]);
	inet_count(inet, udp[UDP_MIB_INERRORS]);
}

/*
 * To a group or to all: a clone for each.  They are queued with the port locked, so that nobody
 * is left out or has it twice.
 */
static void deliver_to_all(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p,
			   const struct inet_tuple *t)
{
	uint16_t number = BE16(t->local_port);
	struct inet_port *port = inet_port_lock(inet->tables, INET_PORTS_UDP, number);
	struct inet_owner *o;

	if (port)
		list_for_each_entry(o, &port->owners, port_link) {
			struct inet_sock *is = inet_sock_of(&o->entry);
			struct lx_pbuf *c;

			if (score_of(is, t, p->ifindex) < 0 ||
			    !inet_wants_group(is, &t->local, &t->remote, p->ifindex))
				continue;
			c = lx_pbuf_clone(p);
			if (c)
				queue(inet, is, dev, c);
		}
	inet_port_unlock(inet->tables, INET_PORTS_UDP, number);
	lx_pbuf_free(p);
}

/* -- in */

static bool has_good_csum(const struct lx_pbuf *p, const uint8_t *header, const struct ip_rx *rx)
{
	uint32_t sum;

	if (p->csum != LX_CSUM_NONE || !get_u16(header + 6))
		return true;
	sum = ip_pseudo_csum(&rx->src, &rx->dst, IPPROTO_UDP, p->len);
	return !lx_csum_fold(lx_pbuf_csum(p, 0, p->len, sum));
}

/* Length and checksum: the packet is its datagram afterwards. */
static bool check(struct inet *inet, struct lx_pbuf *p, uint8_t header[UDP_HEADER])
{
	uint32_t len;

	if (!lx_pbuf_read(p, 0, header, UDP_HEADER))
		return false;
	len = get_be16(header + 4);
	if (len < UDP_HEADER || len > p->len)
		return false;
	if (len < p->len)
		lx_pbuf_trim(p, len);
	if (has_good_csum(p, header, ip_rx(p)))
		return true;
	inet_count(inet, udp[UDP_MIB_CSUMERRORS]);
	return false;
}

static void udp_receive(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	const struct ip_rx *rx = ip_rx(p);
	uint8_t header[UDP_HEADER];
	struct inet_tuple t;
	struct inet_sock *is;

	if (!check(inet, p, header)) {
		inet_count(inet, udp[UDP_MIB_INERRORS]);
		lx_pbuf_free(p);
		return;
	}
	t = (struct inet_tuple){ .local = rx->dst, .remote = rx->src,
		.local_port = get_u16(header + 2),
				 .remote_port = get_u16(header) };
	if (rx->type != RTN_LOCAL) {
		deliver_to_all(inet, dev, p, &t);
		return;
	}
	is = find(inet, &t, p->ifindex);
	if (likely(is)) {
		queue(inet, is, dev, p);
		inet_sock_put(is);
		return;
	}
	inet_count(inet, udp[UDP_MIB_NOPORTS]);
	icmp4_send_error(inet, dev, p, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
	lx_pbuf_free(p);
}

/* -- errors */

/* Is it one that ends something, as the socket's way of looking for the path's MTU has it? */
bool inet_error_is_fatal(struct inet_sock *is, const struct ip_error *e, bool *ignore)
{
	*ignore = false;
	if (e->err != EMSGSIZE)
		return e->fatal;
	/* what the path takes is remembered whatever this socket does with it */
	inet_pmtu_update(inet_of(is), &e->dst, e->mtu);
	*ignore = atomic_load_explicit(&is->pmtudisc, memory_order_relaxed) == IP_PMTUDISC_DONT;
	return true;
}

static void udp_error(struct inet *inet, struct lx_netdev *dev, const struct ip_error *e)
{
	struct inet_tuple t = { .local = e->src, .remote = e->dst,
		.local_port = get_u16(e->transport),
				.remote_port = get_u16(e->transport + 2) };
	struct inet_sock *is = find(inet, &t, dev->ifindex);
	bool fatal, ignore;

	if (!is)
		return;
	fatal = inet_error_is_fatal(is, e, &ignore);
	if (!ignore)
		inet_sock_error(is, e, UDP_HEADER, fatal && inet_has(is, INET_CONNECTED));
	inet_sock_put(is);
}

const struct inet_protocol udp_protocol = { .receive = udp_receive, .error = udp_error };
