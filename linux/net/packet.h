/* SPDX-License-Identifier: MIT */
/*
 * AF_PACKET (packet(7)): what its files share.  packet.c has addresses and life, packet_send.c and
 * packet_recv.c frames, packet_option.c options and memberships.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "net/filter.h"
#include "net/net_priv.h"
#include "net/tap.h"

#define PACKET_ADDR_SIZE	((int)sizeof(struct sockaddr_ll))
#define PACKET_ADDR_HEADER	((int)offsetof(struct sockaddr_ll, sll_addr))

struct packet_sock {
	struct lx_socket base;		/* first */
	_Atomic(uint32_t) refs;		/* the file's, and of each packet that is being sent */
	struct lx_waitq wait;		/* readers, senders, pollers */
	lx_uid_t uid;			/* constant: the maker's; for /proc/net/packet */
	_Atomic(uint64_t) ino;		/* of the file; the same */

	/* Sending. */
	struct lx_pbuf_owner owner;	/* constant */
	_Atomic(uint32_t) wmem;		/* bytes of packets being sent */

	/* ns->config_lock */
	struct list ns_link;		/* in ns->packet_sockets */
	struct lx_netdev_listener listener;
	struct net_tap tap;
	bool is_tapping;		/* the tap is in the namespace's list */
	struct list memberships;	/* of packet_membership.link */

	/* What it is bound to: config_lock and lock to write, one to read.  tap repeats the numbers. */
	struct lx_netdev *dev;		/* with a reference; or NULL: all, or it is gone */
	int ifindex;			/* 0: all; -1: it is gone */
	uint16_t protocol;		/* ETH_P_*; 0: none */

	/* Options: PACKET_* below; read at any time. */
	_Atomic(uint32_t) packet_options;

	/* What was received: lock. */
	struct rt_mutex lock;		/* rank LX_LOCK_PACKET */
	struct list queue;		/* of lx_pbuf.link, oldest first */
	struct packet_filter *filter;	/* or NULL: everything */
	uint32_t packets, drops;	/* since PACKET_STATISTICS was asked for */
	uint32_t all_drops;		/* for SO_RXQ_OVFL */
	_Atomic(uint32_t) rmem;		/* bytes of memory in queue; lock to write */
};

#define PACKET_HAS_AUXDATA	BIT(PACKET_AUXDATA)
#define PACKET_HAS_ORIGDEV	BIT(PACKET_ORIGDEV)
#define PACKET_NO_OUTGOING	BIT(PACKET_IGNORE_OUTGOING)
#define PACKET_NO_QDISC		BIT(PACKET_QDISC_BYPASS)

/* In the cb of a packet in the queue. */
struct packet_note {
	uint32_t len;			/* before a filter cut it */
	int ifindex;
	uint16_t hatype, protocol;	/* protocol: in the order of the network */
	uint8_t pkttype, halen;
	uint16_t net;			/* where the network's header begins, in what the socket sees */
	uint8_t addr[LX_NETDEV_ADDR];
};

static inline struct packet_sock *packet_of(struct lx_socket *s)
{
	return container_of(s, struct packet_sock, base);
}

static inline bool packet_has(struct packet_sock *ps, uint32_t option)
{
	return atomic_load_explicit(&ps->packet_options, memory_order_relaxed) & option;
}

void packet_put(struct packet_sock *ps);
/* A device went down, or is gone: the next call hears of it.  @err: positive. */
void packet_report(struct packet_sock *ps, int err);

/* -- packet_send.c */
int64_t packet_send(struct lx_socket *s, struct net_msg *m);
void packet_sent(struct lx_pbuf_owner *owner, uint32_t charge);

/* -- packet_recv.c */
void packet_deliver(struct net_tap *tap, struct lx_netdev *dev, const struct lx_pbuf *p,
		    uint8_t pkttype);
int64_t packet_recv(struct lx_socket *s, struct net_msg *m);
uint32_t packet_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p);
long packet_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg);

/* -- packet_option.c */
int packet_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length);
int packet_getopt(struct lx_socket *s, int level, int name, void *buf, int *len);
/* The socket's end: no device is promiscuous for it any more.  config_lock held. */
void packet_leave_all(struct packet_sock *ps);
