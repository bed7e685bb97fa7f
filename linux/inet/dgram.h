/* SPDX-License-Identifier: MIT */
/*
 * Sockets of AF_INET that send and receive datagrams: what UDP, ping and raw sockets share.
 *
 * Receiving: a packet goes into the queue under a lock that is held for that only, so a driver's
 * thread and a program never wait for each other's copies.  Sending: the bytes are copied first;
 * then, with the socket's lock held, the way is looked at, the protocol's header is made and IP
 * has the packet.
 */
#pragma once

#include "inet/socket.h"

struct inet_dgram {
	struct inet_sock inet;		/* first */

	struct rt_mutex queue_lock;	/* rank LX_LOCK_INET_QUEUE */
	struct list queue;		/* queue_lock: of lx_pbuf.link, oldest first, with struct ip_rx in cb */
	_Atomic(uint32_t) rmem;		/* bytes of memory in queue; queue_lock to write */
	_Atomic(uint32_t) drops;	/* for SO_RXQ_OVFL and /proc/net */
};

static inline struct inet_dgram *inet_dgram(struct lx_socket *s)
{
	return container_of(s, struct inet_dgram, inet.base);
}

static inline struct inet_dgram *inet_dgram_of(struct inet_sock *is)
{
	return container_of(is, struct inet_dgram, inet);
}

/* @d is all zeros but for what the protocol has set. */
void inet_dgram_init(struct inet_dgram *d, const struct lx_socket_ops *ops,
		     const struct inet_sock_ops *inet_ops,
		     int type, int protocol, enum inet_space space);
void inet_dgram_destroy(struct inet_sock *is);	/* inet_sock_ops.destroy */
void inet_dgram_release(struct lx_socket *s);	/* lx_socket_ops.release */

/* -- in */

/*
 * Takes @p over: into the queue, unless that is full, or the filter does not want it; a reader is
 * woken.  @keep: bytes that no filter cuts off.  False: it was dropped.  Any context, locks up to
 * LX_LOCK_SOCKET.
 */
bool inet_dgram_queue(struct inet_dgram *d, struct lx_netdev *dev, struct lx_pbuf *p,
		      uint32_t keep);
/*
 * The oldest packet; with MSG_PEEK a clone.  Waits for one.  0 with *@out, which is the caller's
 * (NULL: the end, after shutdown); or an errno.
 */
int inet_dgram_take(struct inet_dgram *d, unsigned int flags, struct lx_pbuf **out);
/*
 * To the program: the bytes of @p from @skip on, with MSG_TRUNC as asked for, and what goes with
 * them (time, drops, and what options of IP ask for).  How many, or -EFAULT.
 */
int64_t inet_dgram_copy_out(struct inet_dgram *d, const struct lx_pbuf *p, uint32_t skip,
			    struct net_msg *m);

uint32_t inet_dgram_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p);
/* FIONREAD (bytes of the first packet behind @header) and TIOCOUTQ; -ENOTTY. */
long inet_dgram_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg, uint32_t header);
int inet_dgram_shutdown(struct lx_socket *s, unsigned int how);
int inet_dgram_listen(struct lx_socket *s, int backlog);	/* no */
int inet_dgram_accept(struct lx_socket *s, bool nonblock, struct lx_socket **out);

/* -- out */

/* What one message has of its own, from its address and control messages. */
struct inet_tx {
	struct inet_addr dst;
	struct inet_addr src;		/* IP_PKTINFO; zeros: the socket's */
	uint16_t port_be;
	uint16_t gso_size;		/* UDP_SEGMENT; 0: one datagram */
	int oif;			/* 0: the socket's */
	int16_t ttl, tos;		/* negative: the socket's */
	int32_t mark;			/* SO_MARK */
	bool has_mark, direct;
	bool confirms;			/* MSG_CONFIRM: the neighbour has answered lately */
};

/*
 * The socket's state and the message's address and control messages.  0; -EPIPE, -EDESTADDRREQ,
 * -EINVAL, -EAFNOSUPPORT, -EOPNOTSUPP (MSG_OOB), -EFAULT.  lock is not held.
 */
int inet_tx_begin(struct inet_sock *is, struct net_msg *m, struct inet_tx *tx);
/* control.c: -EINVAL, -EFAULT, -EPERM. */
int inet_load_control(struct inet_sock *is, struct net_msg *m, struct inet_tx *tx);
/* To the receiver of @p, which begins with its transport's header. */
void inet_add_control(struct inet_sock *is, struct net_msg *m, const struct lx_pbuf *p);

/* There is room in SO_SNDBUF; waits for it.  A pending error, -EPIPE, -EAGAIN... */
int inet_tx_wait(struct inet_sock *is, unsigned int flags);
/*
 * A packet of @header undefined bytes and @len of the program's, charged to the socket.  0,
 * -ENOBUFS, -EFAULT.  No locks are held.
 */
int inet_tx_packet(struct inet_sock *is, struct lx_iter *from, uint32_t header, uint32_t len,
		   struct lx_pbuf **out);
/*
 * lock held: the way in is->dst, and what IP is to put into its header.  As inet_route_output(),
 * or -EACCES (broadcast).
 */
int inet_tx_route(struct inet_sock *is, const struct inet_tx *tx, struct ip_tx *ip);
/*
 * -EMSGSIZE, and an error in the queue: a packet of @len bytes behind IP's header may not be cut
 * for the way.
 */
int inet_tx_fits(struct inet_sock *is, const struct inet_tx *tx, const struct ip_tx *ip,
		 uint32_t len);

/*
 * Is an ICMP error one that SO_ERROR hears of on a connected socket?  *@ignore: it is none for
 * this socket, which does not look for the path's MTU.
 */
bool inet_error_is_fatal(struct inet_sock *is, const struct ip_error *e, bool *ignore);
