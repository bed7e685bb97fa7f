/* SPDX-License-Identifier: MIT */
/*
 * UDP (RFC 768, 1122 4.1): what its files share.  udp_in.c finds sockets for packets, udp_out.c
 * sends, udp_socket.c is the rest.
 */
#pragma once

#include "inet/dgram.h"

#define UDP_HEADER	8u		/* bytes: source and destination port, length, checksum */
#define UDP_MAX		65507u		/* bytes of data in a datagram of IPv4 */
#define UDP_SEGMENTS_MAX 128u		/* datagrams of one call with UDP_SEGMENT */

/* What MSG_MORE and UDP_CORK hold back: one datagram. */
struct udp_cork {
	struct inet_tx tx;		/* where it goes, as its first part said */
	uint32_t len, room;		/* bytes of data */
	uint8_t *data;
};

struct udp_sock {
	struct inet_dgram dgram;	/* first */
	_Atomic(bool) is_corked;	/* UDP_CORK */
	_Atomic(uint16_t) gso_size;	/* UDP_SEGMENT */
	struct udp_cork *cork;		/* the socket's lock; or NULL */
};

static inline struct udp_sock *udp_sock(struct lx_socket *s)
{
	return container_of(s, struct udp_sock, dgram.inet.base);
}

int64_t udp_send(struct lx_socket *s, struct net_msg *m);
/* What is held back is sent: 0 or an errno.  lock held. */
int udp_push(struct udp_sock *us);
void udp_cork_free(struct udp_cork *cork);	/* NULL is fine */
