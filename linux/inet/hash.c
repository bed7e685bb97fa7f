/* SPDX-License-Identifier: MIT */
/*
 * Tables of sockets: chains, connections and listeners (hash.h).  Ports are in bind.c.
 *
 * Invariants of a table, for whoever holds one of its locks:
 *   (1) mask + 1 is a power of two and at least INET_HASH_LOCKS, so that all entries of a chain have the
 *       same lock, that of the low bits of their hash, however long the array is.
 *   (2) chain and mask do not change.
 */
#include "inet/socket.h"

#include "inet/inet.h"

#define LOCK_MASK	(INET_HASH_LOCKS - 1)

static int hash_init(struct inet_hash *t, uint32_t rank)
{
	t->chain = rt_zalloc(INET_HASH_LOCKS * sizeof(t->chain[0]));
	if (!t->chain)
		return -ENOMEM;
	t->mask = LOCK_MASK;
	t->rank = rank;
	for (unsigned int i = 0; i < INET_HASH_LOCKS; i++)
		rt_mutex_init(&t->lock[i], rank);
	return 0;
}

int inet_tables_create(struct inet *inet)
{
	struct inet_tables *t = rt_zalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	inet->tables = t;
	t->key = inet->secret.table;
	t->port_key = inet->secret.table.k[1] | 1;
	if (hash_init(&t->connections, LX_LOCK_INET_BUCKET) ||
	    hash_init(&t->listeners, LX_LOCK_INET_BUCKET) || hash_init(&t->ports, LX_LOCK_INET_PORT))
		return -ENOMEM;
	return 0;
}

void inet_tables_destroy(struct inet *inet)
{
	struct inet_tables *t = inet->tables;

	if (!t)
		return;
	rt_free(t->connections.chain);
	rt_free(t->listeners.chain);
	rt_free(t->ports.chain);
	rt_free(t);
}

struct hlist *inet_hash_lock(struct inet_hash *t, uint32_t hash)
{
	rt_mutex_lock(&t->lock[hash & LOCK_MASK]);
	return &t->chain[hash & t->mask];
}

void inet_hash_unlock(struct inet_hash *t, uint32_t hash)
{
	rt_mutex_unlock(&t->lock[hash & LOCK_MASK]);
}

void inet_hash_add(struct inet_hash *t, uint32_t hash, struct hlist_node *node)
{
	hlist_add(&t->chain[hash & t->mask], node);
	atomic_fetch_add_explicit(&t->entries, 1, memory_order_relaxed);
}

void inet_hash_remove(struct inet_hash *t, struct hlist_node *node)
{
	hlist_remove(node);
	atomic_fetch_sub_explicit(&t->entries, 1, memory_order_relaxed);
}

/* -- growth */

static void lock_all(struct inet_hash *t)
{
	rt_mutex_lock(&t->lock[0]);
	for (unsigned int i = 1; i < INET_HASH_LOCKS; i++)
		rt_mutex_lock_nested(&t->lock[i]);
}

static void unlock_all(struct inet_hash *t)
{
	for (unsigned int i = INET_HASH_LOCKS; i--;)
		rt_mutex_unlock(&t->lock[i]);
}

/* All locked. */
static void move_all(struct inet_hash *t, struct hlist *to, uint32_t mask,
		     uint32_t (*hash_of)(const struct hlist_node *node))
{
	for (uint32_t i = 0; i <= t->mask; i++) {
		struct hlist_node *node;

		while ((node = t->chain[i].first)) {
			hlist_remove(node);
			hlist_add(&to[hash_of(node) & mask], node);
		}
	}
}

void inet_hash_grow(struct inet_hash *t, uint32_t (*hash_of)(const struct hlist_node *node))
{
	uint32_t entries = atomic_load_explicit(&t->entries, memory_order_relaxed);
	uint32_t chains = READ_ONCE(t->mask) + 1;
	struct hlist *larger, *old = NULL;

	if (likely(entries <= chains) || chains > UINT32_MAX / 4)
		return;
	larger = rt_zalloc(2ull * chains * sizeof(*larger));
	if (!larger)
		return;			/* longer chains will do */
	lock_all(t);
	if (t->mask + 1 == chains) {
		old = t->chain;
		move_all(t, larger, 2 * chains - 1, hash_of);
		t->chain = larger;
		WRITE_ONCE(t->mask, 2 * chains - 1);
		larger = NULL;
	}
	unlock_all(t);
	rt_free(old);
	rt_free(larger);		/* another thread was faster */
}

/* -- entries */

void inet_entry_put(struct inet_entry *e)
{
	if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (e->kind == INET_SOCKET)
		inet_sock_free(inet_sock_of(e));
	else
		tcp_entry_free(e);
}

static uint32_t entry_hash(const struct hlist_node *node)
{
	return container_of(node, struct inet_entry, link)->hash;
}

static bool is_same_key(const struct inet_tuple *a, const struct inet_tuple *b)
{
	return a->local_port == b->local_port && a->remote_port == b->remote_port &&
	       inet_addr_equal(&a->local, &b->local) && inet_addr_equal(&a->remote, &b->remote);
}

/* -- connections */

struct inet_entry *inet_connection_find(struct inet_tables *t, uint32_t hash, const struct inet_tuple *key,
					uint8_t protocol, int ifindex)
{
	struct hlist *chain = inet_hash_lock(&t->connections, hash);
	struct inet_entry *e;

	hlist_for_each_entry(e, chain, link)
		if (e->hash == hash && e->protocol == protocol && is_same_key(&e->key, key) &&
		    (!e->ifindex || e->ifindex == ifindex))
			break;
	if (e)
		inet_entry_get(e);
	inet_hash_unlock(&t->connections, hash);
	return e;
}

/* Chain locked. */
static struct inet_entry *find_same(struct hlist *chain, const struct inet_entry *e, uint32_t hash)
{
	struct inet_entry *other;

	hlist_for_each_entry(other, chain, link)
		if (other->hash == hash && other->protocol == e->protocol &&
		    is_same_key(&other->key, &e->key))
			return other;
	return NULL;
}

bool inet_connection_insert_or_replace(struct inet_tables *t, struct inet_entry *e,
				       bool (*may_replace)(struct inet_entry *other))
{
	uint32_t hash = inet_connection_hash(t, &e->key, e->protocol);
	struct hlist *chain = inet_hash_lock(&t->connections, hash);
	struct inet_entry *other = find_same(chain, e, hash);
	bool done;

	done = !other || (other != e && may_replace && may_replace(other));
	if (done) {
		if (other)
			inet_hash_remove(&t->connections, &other->link);
		e->hash = hash;
		inet_hash_add(&t->connections, hash, &inet_entry_get(e)->link);
	}
	inet_hash_unlock(&t->connections, hash);
	if (done && other)
		inet_entry_put(other);
	return done;
}

void inet_connections_grow(struct inet_tables *t)
{
	inet_hash_grow(&t->connections, entry_hash);
}

bool inet_connection_insert(struct inet_tables *t, struct inet_entry *e)
{
	bool done = inet_connection_insert_or_replace(t, e, NULL);

	inet_connections_grow(t);
	return done;
}

bool inet_connection_remove(struct inet_tables *t, struct inet_entry *e)
{
	bool was_in;

	inet_hash_lock(&t->connections, e->hash);
	was_in = hlist_is_linked(&e->link);
	if (was_in)
		inet_hash_remove(&t->connections, &e->link);
	inet_hash_unlock(&t->connections, e->hash);
	if (was_in)
		inet_entry_put(e);
	return was_in;
}

bool inet_connection_replace(struct inet_tables *t, struct inet_entry *old, struct inet_entry *e)
{
	bool was_in;

	inet_hash_lock(&t->connections, old->hash);
	was_in = hlist_is_linked(&old->link);
	if (was_in) {
		e->hash = old->hash;
		inet_hash_remove(&t->connections, &old->link);
		inet_hash_add(&t->connections, e->hash, &inet_entry_get(e)->link);
	}
	inet_hash_unlock(&t->connections, old->hash);
	if (was_in)
		inet_entry_put(old);
	return was_in;
}

void inet_connections_for_each(struct inet_tables *t, void (*show)(struct inet_entry *e, void *arg), void *arg)
{
	for (uint32_t lock = 0; lock < INET_HASH_LOCKS; lock++) {
		inet_hash_lock(&t->connections, lock);
		for (uint32_t i = lock; i <= t->connections.mask; i += INET_HASH_LOCKS) {
			struct inet_entry *e;

			hlist_for_each_entry(e, &t->connections.chain[i], link)
				show(e, arg);
		}
		inet_hash_unlock(&t->connections, lock);
	}
}

/* -- listeners */

void inet_listener_insert(struct inet_tables *t, struct inet_sock *is)
{
	uint32_t hash = inet_port_hash(t, is->space, inet_local_port(is));
	struct inet_entry *e = &is->owner.entry;

	inet_hash_lock(&t->listeners, hash);
	if (!hlist_is_linked(&e->link)) {
		e->hash = hash;
		inet_hash_add(&t->listeners, hash, &inet_entry_get(e)->link);
	}
	inet_hash_unlock(&t->listeners, hash);
	inet_hash_grow(&t->listeners, entry_hash);
}

void inet_listener_remove(struct inet_tables *t, struct inet_sock *is)
{
	struct inet_entry *e = &is->owner.entry;
	bool was_in;

	inet_hash_lock(&t->listeners, e->hash);
	was_in = hlist_is_linked(&e->link);
	if (was_in)
		inet_hash_remove(&t->listeners, &e->link);
	inet_hash_unlock(&t->listeners, e->hash);
	if (was_in)
		inet_entry_put(e);
}

/* How well the listener fits; negative: not at all. */
static int listener_score(struct inet_entry *e, const struct inet_tuple *key, uint8_t space, int ifindex)
{
	int score = 1;

	if (inet_sock_of(e)->space != space || e->key.local_port != key->local_port)
		return -1;
	if (!inet_addr_is_any(&e->key.local)) {
		if (!inet_addr_equal(&e->key.local, &key->local))
			return -1;
		score += 2;
	}
	if (e->ifindex) {
		if (e->ifindex != ifindex)
			return -1;
		score += 4;
	}
	return score;
}

struct inet_sock *inet_listener_find(struct inet_tables *t, const struct inet_tuple *key, uint32_t hash,
				     int ifindex)
{
	uint32_t place = inet_port_hash(t, INET_PORTS_TCP, BE16(key->local_port));
	struct hlist *chain = inet_hash_lock(&t->listeners, place);
	struct inet_entry *e, *best = NULL;
	uint32_t equals = 0, choice = 0;
	int best_score = 0;

	/* the best one, and how many of its group fit as well */
	hlist_for_each_entry(e, chain, link) {
		int score = listener_score(e, key, INET_PORTS_TCP, ifindex);

		if (score > best_score) {
			best_score = score;
			best = e;
			equals = 1;
		} else if (best && score == best_score) {
			equals++;
		}
	}
	if (best && equals > 1 && socket_has(&inet_sock_of(best)->base, SOCKET_FLAG(SO_REUSEPORT)))
		choice = (uint32_t)((uint64_t)hash * equals >> 32);
	/* the members of a group fit equally well */
	for (e = best; choice && (e = hlist_entry(e->link.next, struct inet_entry, link));)
		if (listener_score(e, key, INET_PORTS_TCP, ifindex) == best_score) {
			best = e;
			choice--;
		}
	if (best)
		inet_entry_get(best);
	inet_hash_unlock(&t->listeners, place);
	return best ? inet_sock_of(best) : NULL;
}
