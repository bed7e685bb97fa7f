/* SPDX-License-Identifier: MIT */
/*
 * Local ports: who has which, who may share one, and which one a socket gets that asked for none.
 *
 * Two owners of a port are in each other's way if their addresses overlap (equal, or one of them
 * any) and their devices do (equal, or one of them any).  What then lets them share it anyway
 * depends on the protocol, as on Linux: see may_share_udp() and may_share_tcp().
 *
 * Invariant of a port, its chain locked: it has at least one owner, whose port it is.
 */
#include "inet/socket.h"

#include "inet/inet.h"
#include "rt/random.h"

uint32_t inet_port_hash(const struct inet_tables *t, enum inet_space space, uint16_t number)
{
	/*
	 * there are 65,536 of a space at most, and strangers do not choose them: a universal hash
	 * will do
	 */
	return (uint32_t)(((uint64_t)space << 16 | number) * t->port_key >> 32);
}

static uint32_t port_hash_of(const struct hlist_node *node)
{
	return container_of(node, struct inet_port, link)->hash;
}

struct inet_port *inet_port_lock(struct inet_tables *t, enum inet_space space, uint16_t number)
{
	struct hlist *chain = inet_hash_lock(&t->ports, inet_port_hash(t, space, number));
	struct inet_port *port;

	hlist_for_each_entry(port, chain, link)
		if (port->number == number && port->space == space)
			break;
	return port;
}

void inet_port_unlock(struct inet_tables *t, enum inet_space space, uint16_t number)
{
	inet_hash_unlock(&t->ports, inet_port_hash(t, space, number));
}

/* -- who may share a port */

/* Is it a socket with this plain option on?  TIME-WAIT has kept what its socket had. */
static bool has_option(const struct inet_owner *o, int name)
{
	struct inet_owner *owner = (struct inet_owner *)o;

	if (o->entry.kind == INET_SOCKET)
		return socket_has(&inet_sock_of(&owner->entry)->base, SOCKET_FLAG(name));
	return name == SO_REUSEADDR ? o->was_reuse : o->was_reuseport;
}

static bool overlaps(const struct inet_owner *o, const struct inet_sock *is,
		     const struct inet_addr *addr)
{
	int mine = is->owner.entry.ifindex, other = o->entry.ifindex;

	if (mine && other && mine != other)
		return false;
	return inet_addr_is_any(addr) || inet_addr_is_any(&o->entry.key.local) ||
	       inet_addr_equal(addr, &o->entry.key.local);
}

static bool both_have(const struct inet_owner *o, const struct inet_sock *is, int name)
{
	return has_option(o, name) && has_option(&is->owner, name);
}

/*
 * SO_REUSEADDR of both; or SO_REUSEPORT of both, by the same user, so that nobody steals
 * datagrams.
 */
static bool may_share_udp(const struct inet_owner *o, const struct inet_sock *is)
{
	return both_have(o, is, SO_REUSEADDR) ||
	       (both_have(o, is, SO_REUSEPORT) && o->uid == is->owner.uid);
}

/*
 * SO_REUSEADDR of both, unless the other one listens; or SO_REUSEPORT of both, and the other one
 * is of the same user or does not receive any more.  A port that nobody asked for is not shared.
 */
static bool may_share_tcp(const struct inet_owner *o, const struct inet_sock *is, bool chosen)
{
	bool is_listening = o->entry.kind == INET_SOCKET &&
			    socket_has(&inet_sock_of(&((struct inet_owner *)o)->entry)->base,
				       SOCKET_LISTENING);

	if (chosen)
		return false;
	if (both_have(o, is, SO_REUSEADDR) && !is_listening)
		return true;
	return both_have(o, is, SO_REUSEPORT) &&
	       (o->entry.kind == INET_TIME_WAIT || o->uid == is->owner.uid);
}

static bool may_share(const struct inet_owner *o, const struct inet_sock *is, bool chosen)
{
	switch (is->space) {
	case INET_PORTS_TCP:
		return may_share_tcp(o, is, chosen);
	case INET_PORTS_UDP:
		return may_share_udp(o, is);
	case INET_PORTS_PING:
		return both_have(o, is, SO_REUSEADDR);
	default:
		return true;
	}
}

/* Port locked.  @chosen: the number is of our choice. */
static bool is_in_the_way(const struct inet_port *port, const struct inet_sock *is,
			  const struct inet_addr *addr, bool chosen)
{
	struct inet_owner *o;

	list_for_each_entry(o, &port->owners, port_link) {
		if (o == &is->owner)
			continue;
		/* identifiers of ping have no addresses */
		if (is->space != INET_PORTS_PING && !overlaps(o, is, addr))
			continue;
		if (!may_share(o, is, chosen))
			return true;
	}
	return false;
}

/* -- taking and leaving one */

static void count_owner(struct inet_tables *t, const struct inet_port *port, int n)
{
	atomic_fetch_add_explicit(&t->sockets[port->space], n, memory_order_relaxed);
}

/* Port locked, NULL if nobody has it yet.  False: no memory. */
static bool join(struct inet_tables *t, struct inet_port *port, struct inet_owner *o,
		 enum inet_space space,
		 uint16_t number, bool shared)
{
	if (!port) {
		port = rt_alloc(sizeof(*port));
		if (!port)
			return false;
		list_init(&port->owners);
		port->hash = inet_port_hash(t, space, number);
		port->number = number;
		port->space = (uint8_t)space;
		port->is_shared = shared;
		inet_hash_add(&t->ports, port->hash, &port->link);
	}
	port->is_shared = port->is_shared && shared;
	o->port = port;
	count_owner(t, port, 1);
	list_add_first(&port->owners, &o->port_link);
	return true;
}

/* Its number is free for the socket, and is taken.  0, -EADDRINUSE, -ENOMEM. */
static int take(struct inet_sock *is, const struct inet_addr *addr, uint16_t number, bool chosen)
{
	struct inet_tables *t = inet_tables_of(is);
	struct inet_port *port = inet_port_lock(t, is->space, number);
	int err = port && is_in_the_way(port, is, addr, chosen) ? -EADDRINUSE : 0;

	if (!err && !join(t, port, &is->owner, is->space, number, false))
		err = -ENOMEM;
	if (!err) {
		is->owner.entry.key.local = *addr;
		is->owner.entry.key.local_port = BE16(number);
	}
	inet_port_unlock(t, is->space, number);
	return err;
}

struct choice {
	struct inet_sock *is;
	const struct inet_addr *addr;
	bool (*may_replace)(struct inet_entry *e);
	int err;			/* one that ends the search */
};

/* is_free of inet_port_choose_random(): it is not only free, but taken. */
static bool take_if_free(uint16_t number, void *arg)
{
	struct choice *c = arg;
	int err = take(c->is, c->addr, number, true);

	if (err == -ENOMEM)
		c->err = err;
	return !err || c->err;
}

/* Of the namespace, or what the socket has narrowed it to (IP_LOCAL_PORT_RANGE). */
static struct inet_port_range range_of(struct inet_sock *is)
{
	struct inet_port_range all = inet_port_range(inet_of(is)), r = all;
	uint32_t own = atomic_load_explicit(&is->port_range, memory_order_relaxed);
	uint16_t low = (uint16_t)own, high = (uint16_t)(own >> 16);

	if (is->space == INET_PORTS_PING)
		return (struct inet_port_range){ 1, UINT16_MAX };
	if (low)
		r.low = CLAMP(low, all.low, all.high);
	if (high)
		r.high = CLAMP(high, all.low, all.high);
	return r.low <= r.high ? r : all;
}

int inet_port_bind(struct inet_sock *is, const struct inet_addr *addr, uint16_t number)
{
	struct choice c = { .is = is, .addr = addr };
	struct inet_port_range range;
	uint32_t seed;
	int err;

	if (number) {
		err = take(is, addr, number, false);
	} else {
		range = range_of(is);
		rt_random(&seed, sizeof(seed));
		err = inet_port_choose_random(&range, seed, take_if_free, &c);
		err = c.err ? c.err : err < 0 ? -EADDRINUSE : 0;
	}
	if (!err)
		inet_hash_grow(&inet_tables_of(is)->ports, port_hash_of);
	return err;
}

bool inet_port_may_listen(struct inet_sock *is)
{
	struct inet_tables *t = inet_tables_of(is);
	uint16_t number = inet_local_port(is);
	struct inet_port *port = inet_port_lock(t, is->space, number);
	bool ok = port && !is_in_the_way(port, is, &is->owner.entry.key.local, false);

	inet_port_unlock(t, is->space, number);
	return ok;
}

/*
 * is_free of inet_port_choose(): no bind() has it, and the connection is one that is not there
 * yet.
 */
static bool connect_by(uint16_t number, void *arg)
{
	struct choice *c = arg;
	struct inet_sock *is = c->is;
	struct inet_tables *t = inet_tables_of(is);
	struct inet_port *port = inet_port_lock(t, is->space, number);
	bool done = !port || port->is_shared;

	if (done) {
		is->owner.entry.key.local_port = BE16(number);
		done = inet_connection_insert_or_replace(t, &is->owner.entry, c->may_replace);
	}
	/* (it may have replaced the port's last owner, which leaves it later) */
	if (done && !join(t, port, &is->owner, is->space, number, true))
		c->err = -ENOMEM;
	inet_port_unlock(t, is->space, number);
	return done;
}

int inet_port_connect(struct inet_sock *is, bool (*may_replace)(struct inet_entry *e))
{
	struct choice c = { .is = is, .may_replace = may_replace };
	struct inet *inet = inet_of(is);
	struct inet_port_range range = range_of(is);
	int ret = inet_port_choose(&inet->secret.port, &inet->ports, &range, &is->owner.entry.key,
				   connect_by, &c);

	if (c.err)
		inet_connection_remove(inet->tables, &is->owner.entry);
	if (c.err || ret < 0) {
		is->owner.entry.key.local_port = 0;
		return c.err ? c.err : ret;
	}
	inet_connections_grow(inet->tables);
	inet_hash_grow(&inet->tables->ports, port_hash_of);
	return 0;
}

void inet_port_share(struct inet_tables *t, struct inet_owner *o, struct inet_owner *from)
{
	struct inet_port *port = from->port;

	inet_hash_lock(&t->ports, port->hash);
	o->port = port;
	count_owner(t, port, 1);
	list_add_last(&port->owners, &o->port_link);
	inet_hash_unlock(&t->ports, port->hash);
}

void inet_port_release(struct inet_tables *t, struct inet_owner *o)
{
	struct inet_port *port = o->port;
	bool was_last;
	uint32_t hash;

	if (!port)
		return;
	hash = port->hash;
	inet_hash_lock(&t->ports, hash);
	list_remove(&o->port_link);
	count_owner(t, port, -1);
	o->port = NULL;
	was_last = list_is_empty(&port->owners);
	if (was_last)
		inet_hash_remove(&t->ports, &port->link);
	if (!inet_entry_is_in(&o->entry))
		o->entry.key.local_port = 0;
	inet_hash_unlock(&t->ports, hash);
	if (was_last)
		rt_free(port);
}

void inet_ports_for_each(struct inet_tables *t, enum inet_space space,
			 void (*show)(struct inet_owner *o, void *arg), void *arg)
{
	for (uint32_t lock = 0; lock < INET_HASH_LOCKS; lock++) {
		inet_hash_lock(&t->ports, lock);
		for (uint32_t i = lock; i <= t->ports.mask; i += INET_HASH_LOCKS) {
			struct inet_port *port;
			struct inet_owner *o;

			hlist_for_each_entry(port, &t->ports.chain[i], link)
				if (port->space == space)
					list_for_each_entry(o, &port->owners, port_link)
						show(o, arg);
		}
		inet_hash_unlock(&t->ports, lock);
	}
}
