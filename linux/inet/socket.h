/* SPDX-License-Identifier: MIT */
/*
 * What sockets of AF_INET have in common, whatever their protocol: their life, their lock, local and
 * remote ends, the cached way there, options of IP, and the queue of errors.
 *
 * Life.  entry.refs counts the file, the tables (hash.h), and whoever found the socket there.  The last
 * one calls ops->destroy and gives up the one byte of wmem that stands for all of them; packets that are
 * being sent hold theirs, and memory is freed when wmem comes to zero.  So a packet on its way costs one
 * atomic addition, and needs no reference.
 *
 * Lock (docs/network.md, Locks).  `lock` is held by programs' calls, over copies from and to their memory
 * perhaps.  A driver's thread, or a timer's, never waits for it:
 *
 *	inet_sock_receive(is, packet)	a packet: handled now, or left in the backlog
 *	inet_sock_signal(is, bits)	an event without data (a timer's end): the same
 *
 * Both put what they have into the backlog if the lock is not free, and then try once more;
 * inet_sock_unlock() looks into it after letting go.  Both sides have a full fence between, so one of
 * them sees the other.  What is in the backlog is handled by whoever has the lock next, in order, before
 * anything newer: ops->receive and ops->event run with the lock held and without any other.  They may send
 * (to lo as well: lx_net_deliver() is called afterwards by whoever holds no lock any more: by
 * inet_sock_unlock()'s caller, as ever).
 *
 * UDP, ping and raw sockets use lock for their ends, options and the cached way; what they receive has a lock of
 * its own (dgram.h), and their packets need no backlog.
 */
#pragma once

#include "inet/hash.h"
#include "inet/inet.h"
#include "net/net_priv.h"

struct packet_filter;
struct inet_extra;

/* -- options: INET_* bits of inet_sock.ip_flags, any time */
#define INET_RECVERR		(1u << 0)
#define INET_PKTINFO		(1u << 1)
#define INET_RECVTTL		(1u << 2)
#define INET_RECVTOS		(1u << 3)
#define INET_RECVOPTS		(1u << 4)
#define INET_RECVORIGDSTADDR	(1u << 6)
#define INET_FREEBIND		(1u << 7)
#define INET_TRANSPARENT	(1u << 8)
#define INET_HDRINCL		(1u << 9)
#define INET_BIND_NO_PORT	(1u << 11)	/* IP_BIND_ADDRESS_NO_PORT */
#define INET_MC_LOOP		(1u << 12)
#define INET_MC_ALL		(1u << 13)
/* What it is: set with lock held. */
#define INET_CONNECTED		(1u << 27)	/* UDP, ping, raw: key.remote is the only peer */
#define INET_BOUND_GROUP	(1u << 28)	/* key.local is multicast or broadcast: no source address */
/* The program has bound it to an address, to a port: they outlive a disconnection.  Set with lock held. */
#define INET_BOUND_ADDRESS	(1u << 29)
#define INET_BOUND_PORT		(1u << 30)

struct inet_sock;

struct inet_sock_ops {
	/* From the backlog or at once: lock held.  Takes @p over.  NULL: never used. */
	void (*receive)(struct inet_sock *is, struct lx_pbuf *p);
	/* @bits of inet_sock_signal(): lock held.  NULL: never used. */
	void (*event)(struct inet_sock *is, uint32_t bits);
	/* No reference is left: what the protocol had is freed; not the memory, which wmem holds. */
	void (*destroy)(struct inet_sock *is);
};

/* Packets and events that came while lock was held. */
struct inet_backlog {
	struct rt_mutex lock;		/* rank LX_LOCK_INET_BACKLOG */
	struct list packets;		/* lock: of lx_pbuf.link */
	uint32_t bytes;			/* lock: their charge */
	_Atomic(uint32_t) pending;	/* INET_BACKLOG_PACKETS, and bits of events */
};

#define INET_BACKLOG_PACKETS	(1u << 31)

struct inet_sock {
	struct lx_socket base;		/* first */
	struct inet_owner owner;	/* its ends, port, references: owner.entry */
	const struct inet_sock_ops *ops;	/* constant */
	uint8_t space;			/* constant: enum inet_space */
	struct lx_waitq wait;		/* readers, senders, pollers */
	_Atomic(uint64_t) ino;		/* of the file, for /proc/net */

	struct rt_mutex lock;		/* rank LX_LOCK_SOCKET */
	struct inet_backlog backlog;

	/* What is being sent: bytes, and one as long as there is a reference. */
	struct lx_pbuf_owner tx_owner;	/* constant */
	_Atomic(uint32_t) wmem;
	_Atomic(bool) wants_room;	/* somebody has looked for it in vain: O_ASYNC tells of it */

	/* lock */
	struct inet_dst dst;		/* the way for dst_flow, or none */
	struct inet_flow dst_flow;
	_Atomic(uint32_t) shutdown;	/* SHUTDOWN_*; lock to write, read at any time */

	/* Options of IP: each is one word, read at any time. */
	_Atomic(uint32_t) ip_flags;	/* INET_* */
	_Atomic(int16_t) ttl;		/* negative: the namespace's */
	_Atomic(uint8_t) tos, mc_ttl, min_ttl, pmtudisc;
	_Atomic(uint32_t) port_range;	/* IP_LOCAL_PORT_RANGE: low | high << 16; 0 in either: the namespace's */
	_Atomic(int) unicast_ifindex;	/* IP_UNICAST_IF */
	struct inet_extra *_Atomic extra;	/* what few sockets have: made when asked for, once.  NULL: nothing */

	/* Errors that were reported (IP_RECVERR). */
	struct rt_mutex errors_lock;	/* rank LX_LOCK_INET_QUEUE */
	struct list errors;		/* of lx_pbuf.link, with struct inet_error_note in cb */
};

/* Memberships, options of IP, and the like.  (option.c, multicast.c) */
struct inet_extra {
	_Atomic(int) mc_ifindex;	/* IP_MULTICAST_IF; 0: as routed */
	struct inet_addr mc_addr;	/* lock: the address given with it; zeros: none */
	struct list memberships;	/* memberships_lock: of inet_membership.link */
	struct rt_rwlock memberships_lock;	/* rank LX_LOCK_INET_QUEUE */
	uint8_t options_len;		/* lock: IP_OPTIONS, as in a header */
	uint8_t options[40];
	struct packet_filter *filter;	/* memberships_lock; or NULL */
};

static inline struct inet_sock *inet_sock(struct lx_socket *s)
{
	return container_of(s, struct inet_sock, base);
}

/* Of an entry of kind INET_SOCKET. */
static inline struct inet_sock *inet_sock_of(struct inet_entry *e)
{
	return container_of(e, struct inet_sock, owner.entry);
}

static inline struct inet_sock *inet_sock_get(struct inet_sock *is)
{
	inet_entry_get(&is->owner.entry);
	return is;
}

static inline void inet_sock_put(struct inet_sock *is)
{
	inet_entry_put(&is->owner.entry);
}

/* inet_entry_put(): the last reference went. */
void inet_sock_free(struct inet_sock *is);

static inline struct inet *inet_of(const struct inet_sock *is)
{
	return is->base.ns->inet;
}

static inline struct inet_tables *inet_tables_of(const struct inet_sock *is)
{
	return inet_of(is)->tables;
}

static inline bool inet_has(struct inet_sock *is, uint32_t flag)
{
	return atomic_load_explicit(&is->ip_flags, memory_order_relaxed) & flag;
}

/* The port in use, in the machine's byte order; 0: none.  Locked as entry.key. */
static inline uint16_t inet_local_port(const struct inet_sock *is)
{
	return BE16(is->owner.entry.key.local_port);
}

/* -- life */

/*
 * @is is all zeros but for what the protocol has set; it gets one reference, the file's.  The namespace is the
 * caller's.  Cannot fail.
 */
void inet_sock_init(struct inet_sock *is, const struct lx_socket_ops *ops, const struct inet_sock_ops *inet_ops,
		    int type, int protocol, enum inet_space space);
/* The same by any thread: a connection that a listener of namespace @ns and user @uid has got. */
void inet_sock_init_in(struct inet_sock *is, struct lx_netns *ns, lx_uid_t uid, const struct lx_socket_ops *ops,
		       const struct inet_sock_ops *inet_ops, int type, int protocol, enum inet_space space);
/* The file is there: lx_socket_ops.attach. */
void inet_sock_attach(struct lx_socket *s, struct lx_file *f);
/*
 * The file went: out of tables and groups, port and way given up, the reference dropped.  For protocols that
 * have nothing to say to the other end; TCP calls it when it has.
 */
void inet_sock_release(struct inet_sock *is);

/* -- the lock */

static inline void inet_sock_lock(struct inet_sock *is)
{
	rt_mutex_lock(&is->lock);
}

/*
 * What came meanwhile is handled; true: something was, and may have sent to this machine, which
 * whoever holds no lock any more delivers (lx_net_deliver()).
 */
bool inet_sock_unlock(struct inet_sock *is);
/* The end of a program's call, which holds no other lock: it is delivered, too. */
void inet_sock_leave(struct inet_sock *is);
/*
 * Lock held: what came until now is handled, as if it had been let go for a moment; for long calls
 * between pieces.
 */
void inet_sock_flush_backlog(struct inet_sock *is);
/* Takes @p over.  False: the backlog was full (SO_RCVBUF + SO_SNDBUF), and it was dropped. */
bool inet_sock_receive(struct inet_sock *is, struct lx_pbuf *p);
void inet_sock_signal(struct inet_sock *is, uint32_t bits);

/* -- waiting: for calls of programs */

/*
 * Sleep until @ready says so, or time or patience ends (0, -EAGAIN, -EINTR...).  lock is held, let go while
 * sleeping, and held again afterwards; @ready is asked with it held.  What is there for an error, too, has a @ready
 * that looks for it.
 */
int inet_sock_wait(struct inet_sock *is, bool (*ready)(struct inet_sock *is, void *arg), void *arg,
		   uint64_t deadline);

/* -- memory of what is sent */

static inline uint32_t inet_sock_queued(const struct inet_sock *is)
{
	return atomic_load_explicit(&is->wmem, memory_order_relaxed) - 1;
}

/*
 * Is less than SO_SNDBUF in use?  Sizes of buffers are even numbers, so that a byte more (of a packet that is
 * just being released) changes nothing.
 */
static inline bool inet_sock_has_room(struct inet_sock *is)
{
	return (int64_t)inet_sock_queued(is) <= atomic_load_explicit(&is->base.sndbuf, memory_order_relaxed);
}

/* Is so much free that pollers are to hear of it: half of it? */
static inline bool inet_sock_is_writable(struct inet_sock *is)
{
	return (int64_t)inet_sock_queued(is) * 2 <= atomic_load_explicit(&is->base.sndbuf, memory_order_relaxed);
}

/* @p is charged to @is until it is freed, or given to a receiver of this machine. */
void inet_sock_charge(struct inet_sock *is, struct lx_pbuf *p);

/* The numbers of SK_MEMINFO_* (linux/sock_diag.h), as SO_MEMINFO and netlink have them. */
void inet_sock_memory(struct inet_sock *is, uint32_t v[9]);

/* -- addresses */

/*
 * A struct sockaddr_in of the program.  0; -EINVAL: too short; -EAFNOSUPPORT: another family; AF_UNSPEC with
 * @may_be_any is any address, as bind(2) has it.
 */
int inet_addr_load(const uint8_t *name, int len, bool may_be_any, struct inet_addr *addr, uint16_t *port_be);
/* Into @name, NET_NAME_MAX bytes: its length. */
int inet_addr_store(uint8_t *name, const struct inet_addr *addr, uint16_t port_be);
static inline bool inet_addr_is_any(const struct inet_addr *a)
{
	return !a->q[0] && (!a->q[1] || a->q[1] == BE64(0xffffull << 32));
}

/* 224.0.0.0/4 */
static inline bool inet_addr_is_multicast(const struct inet_addr *a)
{
	return inet_addr_is_v4(a) && (BE64(a->q[1]) >> 28 & 0xf) == 0xe;
}

/* lx_socket_ops.bind and getname of UDP and TCP. */
int inet_bind(struct lx_socket *s, const uint8_t *name, int len);
int inet_getname(struct lx_socket *s, uint8_t *name, bool peer);
/* May a socket be bound to it?  *@is_group: multicast or broadcast, no source for what is sent. */
bool inet_may_bind(struct inet_sock *is, const struct inet_addr *addr, bool *is_group);
/* The same of connect, where that only says whom to send to: UDP, ping and raw sockets. */
int inet_dgram_connect(struct lx_socket *s, const uint8_t *name, int len, bool nonblock);
void inet_dgram_disconnect(struct inet_sock *is);	/* lock held */
void inet_set_ip_flag(struct inet_sock *is, uint32_t flag, bool on);
/* For a call that sends or connects: a port, if it has none yet.  lock held.  0; -EAGAIN: none is free; -ENOMEM. */
int inet_autobind(struct inet_sock *is);
/* SO_BINDTODEVICE and SO_BINDTOIFINDEX. */
int inet_bind_device(struct inet_sock *is, int ifindex);

/* -- the way */

/*
 * lock held: the way for @flow, in is->dst, where it stays: looked up again if that is for another one, or
 * something has changed.  0 or as inet_route_output().
 */
int inet_sock_route(struct inet_sock *is, const struct inet_flow *flow);
void inet_sock_forget_route(struct inet_sock *is);	/* lock held */
/* What a message to @dst has of the socket's options: source, device, mark, type of service. */
void inet_sock_flow(struct inet_sock *is, const struct inet_addr *dst, struct inet_flow *out);

/* -- options (option.c): of SOL_SOCKET what sockets of inet know besides the common ones, and all of IPPROTO_IP */
int inet_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length);
int inet_getopt(struct lx_socket *s, int level, int name, void *buf, int *len);

/* What few sockets have, made if it is not there; NULL: no memory. */
struct inet_extra *inet_extra_make(struct inet_sock *is);
void inet_extra_free(struct inet_sock *is);	/* nobody else knows the socket */
/* Does the socket's filter (SO_ATTACH_FILTER) want it?  What it cuts off behind @keep bytes is cut off. */
bool inet_filter_accepts(struct inet_sock *is, struct lx_netdev *dev, struct lx_pbuf *p, uint32_t keep);
/* -- multicast.c */
int inet_set_membership(struct inet_sock *is, int name, uaddr_t value, int length);
/* The device of a group: by number, by an address of it, or by the route to @group; a reference, or NULL. */
struct lx_netdev *inet_multicast_device(struct inet_sock *is, const struct inet_addr *group, int ifindex,
					const struct inet_addr *address);
/* The file goes: its groups are left.  Takes config_lock. */
void inet_leave_groups(struct inet_sock *is);
/*
 * May the socket have a packet to group @group that came by device @ifindex?  (Of a group that it has not
 * joined: if IP_MULTICAST_ALL is on.)
 */
bool inet_wants_group(struct inet_sock *is, const struct inet_addr *group, const struct inet_addr *src,
		      int ifindex);

/* -- errors (error.c) */

/*
 * An ICMP error for what the socket sent: SO_ERROR, and with IP_RECVERR in the queue; pollers are woken.
 * @counts: it may become SO_ERROR without IP_RECVERR (a connected socket's, and fatal).  Any context, any locks up to
 * LX_LOCK_SOCKET.
 */
void inet_sock_error(struct inet_sock *is, const struct ip_error *e, uint32_t header_len, bool counts);
/* One that was found here, before sending (EMSGSIZE): into the queue, with IP_RECVERR. */
void inet_sock_local_error(struct inet_sock *is, int err, const struct inet_addr *dst, uint16_t port_be,
			   uint32_t info);
bool inet_sock_has_errors(struct inet_sock *is);	/* queued ones: POLLERR */
void inet_forget_errors(struct inet_sock *is);
/* recvmsg(MSG_ERRQUEUE): bytes of what was sent, its destination, and IP_RECVERR; -EAGAIN. */
int64_t inet_recv_error(struct inet_sock *is, struct net_msg *m);

/* -- protocols: what inet_socket_create() makes (net/net_priv.h).  0 or an errno */
int udp_create(int type, int protocol, struct lx_socket **out);
int ping_create(int type, int protocol, struct lx_socket **out);
int raw_create(int type, int protocol, struct lx_socket **out);
/* tcp/: until there is one, -ESOCKTNOSUPPORT. */
int tcp_create(int type, int protocol, struct lx_socket **out);
/* tcp/: entries of kinds INET_HALF_OPEN and INET_TIME_WAIT whose last reference went. */
void tcp_entry_free(struct inet_entry *e);
