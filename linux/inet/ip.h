/* SPDX-License-Identifier: MIT */
/*
 * What IP offers to the protocols above it, and what it asks of them.
 *
 * Addresses have the form of inet/address.h; ports and fields named _be are as in headers.
 */
#pragma once

#include "inet/address.h"
#include "lx/netdev.h"

struct inet;				/* of a network namespace (lx_netns.inet): inet/inet.h */

/* -- where to */

/* What is to be sent. */
struct inet_flow {
	struct inet_addr dst;
	struct inet_addr src;		/* all zeros: any of ours */
	int oif;			/* by this device only; 0: any */
	uint32_t mark;
	uint8_t tos, protocol;
	bool direct;			/* SO_DONTROUTE: to hosts on the link only */
};

/*
 * The way to one address.  A value: whoever has it owns a reference to its device, until
 * inet_dst_release().  It is right as long as inet_dst_is_valid() says so: sockets keep it and
 * look again when something has changed.
 */
struct inet_dst {
	struct lx_netdev *dev;		/* NULL: none */
	struct inet_addr src;		/* ours: the one asked for, or the preferred one */
	struct inet_addr hop;		/* who gets the frame: the destination, or a gateway */
	uint32_t mtu;			/* bytes of IP at most: the path's, if known, or the device's */
	uint32_t generation;
	uint8_t type;			/* RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST */
};

/*
 * 0; -ENETUNREACH (also: @flow->src is none of ours), -EHOSTUNREACH, -EACCES (prohibit), -EINVAL
 * (blackhole, or @flow->src is no address of a host), -ENODEV (no such oif).  Any lock up to
 * LX_LOCK_SOCKET may be held.
 */
int inet_route_output(struct inet *inet, const struct inet_flow *flow, struct inet_dst *out);
bool inet_dst_is_valid(struct inet *inet, const struct inet_dst *d);
void inet_dst_release(struct inet_dst *d);	/* it is all zeros afterwards */

/* RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST (anything else); @ifindex 0: of any device. */
uint8_t inet_addr_type(struct inet *inet, const struct inet_addr *a, int ifindex);

/*
 * Packets to @dst pass up to @mtu bytes of IP, said an ICMP error: for protocols, once they have seen
 * that it is about a packet that they sent (a socket, a sequence number in flight).  Caches of ways
 * are not valid any more.  Any locks may be held.
 */
void inet_pmtu_update(struct inet *inet, const struct inet_addr *dst, uint32_t mtu);

/* -- out */

struct ip_tx {
	struct inet_addr src, dst;
	uint8_t protocol;
	uint8_t tos;
	int16_t ttl;			/* negative: the namespace's (ip_default_ttl), 1 for multicast */
	uint8_t pmtudisc;		/* IP_PMTUDISC_*: may it be cut, is DF set */
	bool no_loop;			/* IP_MULTICAST_LOOP is off: members on this machine get no copy */
	uint8_t options_len;		/* bytes of IPv4 options, a multiple of 4, 40 at most */
	const uint8_t *options;		/* checked by ip4_options_check() */
};

/*
 * Takes @p over: it begins with the transport's header, has LX_PBUF_HEADROOM or what is left of it in
 * front, and its csum and gso (gso_header: of the transport) are set.  Cut into fragments if it
 * is larger than the path takes and may be.  The frame goes to the device, or waits for the
 * neighbour's address.  The caller delivers afterwards (lx_net_deliver()), when it holds no locks.
 * 0; -EMSGSIZE: larger than the path, and may not be cut; -ENOBUFS, -ENETDOWN, -ENOMEM.
 */
int ip_send(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p, const struct ip_tx *t);
/* May a packet have these options (setsockopt IP_OPTIONS)?  0 or -EINVAL. */
int ip4_options_check(const uint8_t *options, unsigned int len);
/* The sum of the pseudo header, not folded: for lx_pbuf_set_csum() and for checking. */
uint32_t ip_pseudo_csum(const struct inet_addr *src, const struct inet_addr *dst, uint8_t protocol,
			uint32_t len);

/* -- in */

/* What the IP header said: in the cb of a packet that a protocol receives. */
struct ip_rx {
	struct inet_addr src, dst;
	uint8_t protocol, tos, ttl;
	uint8_t type;			/* of dst: RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST */
	uint16_t header_len;		/* of IP with options: it lies in front of the packet, at network_at */
};
_Static_assert(sizeof(struct ip_rx) <= 48, "in lx_pbuf.cb");

static inline struct ip_rx *ip_rx(struct lx_pbuf *p)
{
	return (struct ip_rx *)p->cb;
}

/* An ICMP error for a packet of ours. */
struct ip_error {
	struct inet_addr src, dst;	/* of the packet of ours */
	struct inet_addr offender;	/* who sent the error */
	uint8_t protocol;
	uint8_t type, code;		/* of ICMP */
	int err;			/* positive errno, as Linux maps it (ECONNREFUSED...) */
	bool fatal;			/* as Linux's icmp_err_convert says */
	uint32_t mtu;			/* EMSGSIZE: that of the next hop; for inet_pmtu_update() */
	const uint8_t *transport;	/* the first bytes of our packet behind its IP header */
	uint32_t transport_len;		/* at least 8 */
	const struct lx_pbuf *packet;	/* begins with our packet's IP header: for error queues */
};

struct inet_protocol {
	/*
	 * Takes @p over: it begins with the transport's header (transport_at), whole, for us, with
	 * struct ip_rx in its cb; nothing but the bytes of IP was checked, and its blocks may be
	 * shared (lx_pbuf_is_private() before writing).  @dev: where it came from.
	 * In a driver's thread or a sender's, without locks.
	 */
	void (*receive)(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p);
	/* NULL: not interested.  The same context. */
	void (*error)(struct inet *inet, struct lx_netdev *dev, const struct ip_error *e);
};

/* By number; in ip4_in.c is the table.  NULL: nobody (ICMP says protocol unreachable). */
extern const struct inet_protocol icmp4_protocol, udp_protocol, tcp_protocol;

/*
 * Raw sockets see whatever is for us, before its protocol: a clone for each that wants it.  True: at
 * least one did.  (raw.c)
 */
bool raw_receive(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p);
void raw_error(struct inet *inet, const struct ip_error *e);
/*
 * An echo reply, which ping sockets may be waiting for; @p begins with ICMP's header.  Not taken
 * over.  (ping.c)
 */
bool ping_receive(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p);
void ping_error(struct inet *inet, const struct ip_error *e);

/*
 * Tell the sender of @p (begins with its transport header, ip_rx() as received) of an error, unless
 * RFC 1122, 3.2.2 forbids it or too many were sent lately.  @p stays the caller's.
 */
void icmp4_send_error(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p, uint8_t type,
		      uint8_t code, uint32_t info_be);

/*
 * Multicast reception of a group by a device is counted (IP_ADD_MEMBERSHIP).  May wait: config_lock.
 * 0 or errno.
 */
int inet_multicast_join(struct inet *inet, struct lx_netdev *dev, const struct inet_addr *group);
void inet_multicast_leave(struct inet *inet, struct lx_netdev *dev, const struct inet_addr *group);
