/* SPDX-License-Identifier: MIT */
/*
 * The tables of a network namespace in which packets find sockets: connections by both their ends,
 * TCP's listeners by their port, and local ports with all who use them, which is also where packets
 * of UDP, ping and raw sockets look.
 *
 * A table is an array of chains that grows, and a fixed number of locks, each for every
 * INET_HASH_LOCKS-th chain.  A lock is held for a walk of a chain and for taking a reference, never over
 * anything else; who makes the array larger holds all of them.  Ranks: LX_LOCK_INET_PORT for ports,
 * LX_LOCK_INET_BUCKET for the others, so that a connection may be entered while its port is locked.
 *
 * An entry that is in a table is kept by a reference of the table's.  Who found it before it was
 * taken out has one of their own, and after locking what was found looks whether it still is what was
 * looked for.
 */
#pragma once

#include "base/hlist.h"
#include "inet/port.h"
#include "inet/tuple.h"
#include "lx/lock_rank.h"
#include "lx/types.h"

#define INET_HASH_LOCKS		32u	/* a power of two; as many chains at first.  (A thread may hold 40 locks.) */

struct inet;
struct inet_sock;

enum inet_kind {
	INET_SOCKET,			/* struct inet_sock, of any protocol */
	INET_HALF_OPEN,			/* TCP: a SYN was answered */
	INET_TIME_WAIT,			/* TCP: a connection that is over; embeds struct inet_owner */
};

/* What packets find.  Begins each of the kinds (of sockets: inet_sock_of()). */
struct inet_entry {
	struct hlist_node link;		/* chain in connections or listeners: its lock */
	/*
	 * Constant in connections.  Sockets: all of it is written with the socket's lock held, and with
	 * that of their port if they have one; either is enough to read.  Unbound, unconnected: zeros.
	 */
	struct inet_tuple key;
	uint32_t hash;			/* of the chain; constant while in a table */
	int ifindex;			/* packets of this device only; 0: any.  As key */
	_Atomic(uint32_t) refs;
	uint8_t kind;			/* enum inet_kind; constant */
	uint8_t protocol;		/* IPPROTO_*; constant */
};

static inline struct inet_entry *inet_entry_get(struct inet_entry *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	return e;
}

/* The last one frees it: inet_sock_free(), or tcp_entry_free() for the other kinds.  Without locks of tables. */
void inet_entry_put(struct inet_entry *e);

/* -- local ports */

/* Numbers of different spaces have nothing to do with each other. */
enum inet_space {
	INET_PORTS_TCP, INET_PORTS_UDP,
	INET_PORTS_PING,		/* identifiers of echo requests */
	INET_PORTS_RAW,			/* protocols of raw sockets: there are never conflicts */
	INET_NR_SPACES
};

/* A local port that is in use; exists as long as it has owners. */
struct inet_port {
	struct hlist_node link;		/* its chain's lock; so all fields but the constant ones */
	struct list owners;		/* of inet_owner.port_link */
	uint32_t hash;
	uint16_t number;		/* constant; the machine's byte order */
	uint8_t space;			/* constant; enum inet_space */
	/*
	 * TCP: only connections that asked for no port use it, so another one may for another remote
	 * end.  Taken away by the first bind().
	 */
	bool is_shared;
};

/* Who uses a port: sockets, and connections of TCP that are over (TIME-WAIT). */
struct inet_owner {
	struct inet_entry entry;	/* first.  entry.key.local: the address in use; zeros: any */
	struct list port_link;		/* the port's lock */
	struct inet_port *port;		/* the socket's lock and the port's to write; NULL: none */
	lx_uid_t uid;			/* constant: the maker's */
	uint8_t was_reuse;		/* TIME-WAIT: SO_REUSEADDR and SO_REUSEPORT of the socket, */
	uint8_t was_reuseport;		/* which has them in its own options (inet_owner_may_share()) */
};

/* -- tables */

struct inet_hash {
	struct hlist *chain;		/* any lock to read, all of them to change */
	uint32_t mask;			/* the same: chains - 1 */
	uint32_t rank;			/* constant: of the locks */
	_Atomic(uint32_t) entries;
	struct rt_mutex lock[INET_HASH_LOCKS];
};

/* inet.tables. */
struct inet_tables {
	struct inet_hash connections;	/* of inet_entry.link: all kinds */
	struct inet_hash listeners;	/* of inet_entry.link: TCP sockets in LISTEN */
	struct inet_hash ports;		/* of inet_port.link */
	struct siphash_key key;		/* constant, secret: inet_secret.table */
	uint64_t port_key;		/* constant, secret, odd: places of ports */
	_Atomic(int32_t) sockets[INET_NR_SPACES];	/* that have a port, for /proc/net/sockstat */
	_Atomic(int64_t) memory[INET_NR_SPACES];	/* bytes in receive queues; the same */
};

/* inet->tables.  0 or -ENOMEM. */
int inet_tables_create(struct inet *inet);
void inet_tables_destroy(struct inet *inet);	/* they are empty, or were not made */

/* The lock of the chain of @hash, which is walked by inet_hash_chain() until inet_hash_unlock(). */
struct hlist *inet_hash_lock(struct inet_hash *t, uint32_t hash);
void inet_hash_unlock(struct inet_hash *t, uint32_t hash);
/* Chain locked: @node goes in, or, without growing, out. */
void inet_hash_add(struct inet_hash *t, uint32_t hash, struct hlist_node *node);
void inet_hash_remove(struct inet_hash *t, struct hlist_node *node);
/* Without locks, after something went in: more chains if there are too few, and memory for them. */
void inet_hash_grow(struct inet_hash *t, uint32_t (*hash_of)(const struct hlist_node *node));

/* -- connections (any thread, any locks up to LX_LOCK_INET_PORT) */

/* Also for lx_pbuf.hash, and for choosing in a group of SO_REUSEPORT. */
static inline uint32_t inet_connection_hash(const struct inet_tables *t, const struct inet_tuple *key,
					    uint8_t protocol)
{
	return (uint32_t)inet_tuple_hash(&t->key, key, protocol);
}

/*
 * The one with exactly this key, for a packet that came by device @ifindex: a reference; NULL: none.
 * @hash: inet_connection_hash().
 */
struct inet_entry *inet_connection_find(struct inet_tables *t, uint32_t hash, const struct inet_tuple *key,
					uint8_t protocol, int ifindex);
/* @e->key, protocol and ifindex are set.  False: there is one with that key, or @e is in already. */
bool inet_connection_insert(struct inet_tables *t, struct inet_entry *e);
/*
 * The same; an entry that is in the way may make room, if @may_replace (called with the chain locked; or NULL)
 * says so, which keeps a reference of its own: that of the table is dropped here, perhaps with a port locked.  The table is not made larger: inet_connections_grow() afterwards, without locks of ports.
 */
bool inet_connection_insert_or_replace(struct inet_tables *t, struct inet_entry *e,
				       bool (*may_replace)(struct inet_entry *other));
void inet_connections_grow(struct inet_tables *t);
/* False: it was not in, or is not any more. */
bool inet_connection_remove(struct inet_tables *t, struct inet_entry *e);
/*
 * @e takes the place of @old, which has the same key, at once: a half-open connection becomes a
 * full one, or a full one TIME-WAIT.  False: @old is not in any more, and nothing has changed.
 */
bool inet_connection_replace(struct inet_tables *t, struct inet_entry *old, struct inet_entry *e);
/* Not taken out: is it in? */
static inline bool inet_entry_is_in(const struct inet_entry *e)
{
	return READ_ONCE(e->link.pprev) != NULL;
}

/* -- listeners: the socket's lock held; entry.key.local and local_port are set */

void inet_listener_insert(struct inet_tables *t, struct inet_sock *is);
void inet_listener_remove(struct inet_tables *t, struct inet_sock *is);	/* fine if it is not in */
/*
 * Who is to have a connection to @key->local: bound to it before bound to any, bound to the device
 * before not; of a group of SO_REUSEPORT one chosen by @hash.  A reference; NULL: nobody.
 */
struct inet_sock *inet_listener_find(struct inet_tables *t, const struct inet_tuple *key, uint32_t hash,
				     int ifindex);

/* -- ports */

uint32_t inet_port_hash(const struct inet_tables *t, enum inet_space space, uint16_t number);
/* The port, its chain locked: inet_port_unlock() afterwards, whether there is one or not (NULL). */
struct inet_port *inet_port_lock(struct inet_tables *t, enum inet_space space, uint16_t number);
void inet_port_unlock(struct inet_tables *t, enum inet_space space, uint16_t number);

/*
 * Give @is local address @addr (zeros: any) and port @number; 0: one that is free, of
 * ip_local_port_range.  The socket's lock is held, it has no port yet, and its ifindex and options
 * are as they will be.  0; -EADDRINUSE; -ENOMEM.
 */
int inet_port_bind(struct inet_sock *is, const struct inet_addr *addr, uint16_t number);
/* For listen(2): is the port still its own, as a listener's?  The socket's lock is held.  False: EADDRINUSE. */
bool inet_port_may_listen(struct inet_sock *is);
/*
 * For a connection of TCP from a socket without a port: entry.key but for local_port is set; a port is
 * chosen (RFC 6056), and the socket is in connections.  @may_replace: an entry with the key that was
 * chosen is in the way (TIME-WAIT): may it go?  Called with the port locked; NULL: never.  0; -EADDRNOTAVAIL;
 * -ENOMEM.
 */
int inet_port_connect(struct inet_sock *is, bool (*may_replace)(struct inet_entry *e));
/* @o uses the port of @from, too: an accepted connection that of its listener, TIME-WAIT that of its socket. */
void inet_port_share(struct inet_tables *t, struct inet_owner *o, struct inet_owner *from);
/* @o has no port any more; fine if it has none.  Its key.local_port becomes 0 unless it is in connections. */
void inet_port_release(struct inet_tables *t, struct inet_owner *o);

/*
 * For /proc and netlink: @show for every owner of a port of @space, with the port locked: takes no
 * locks but those of rank LX_LOCK_LEAF.
 */
void inet_ports_for_each(struct inet_tables *t, enum inet_space space,
			 void (*show)(struct inet_owner *o, void *arg), void *arg);
/* The same of connections. */
void inet_connections_for_each(struct inet_tables *t, void (*show)(struct inet_entry *e, void *arg), void *arg);
