/* SPDX-License-Identifier: MIT */
/*
 * A binary tree of prefixes with the paths between them left out (a Patricia tree): a node is a
 * prefix, and its two children are longer prefixes within it that go on with 0 and with 1.  A
 * look-up compares whole prefixes on its way down, as long as they are the address's; the last
 * node with routes is the longest prefix, and its ancestors are all shorter ones.
 *
 * Invariants (route_table_check()):
 *
 *   (1) A child's prefix is within its parent's, longer, and has the bit behind the parent's
 *	 prefix that its place says.
 *   (2) Bits of a node's prefix behind its length are zeros.
 *   (3) A node has routes, or two children: so there are fewer than twice as many nodes as
 *	 prefixes, and the depth is at most the number of bits.
 *   (4) Routes of a node are in the order of their metrics.
 *
 * Hashing prefixes by length would need a look-up per length in use; a multi-bit trie would be
 * faster for the full table of the Internet, at many times the memory of the ten routes that a
 * host has.
 */

#include "inet/route_table.h"

#include <asm/errno.h>

#include "rt/memory.h"

struct route_node {
	struct inet_addr addr;
	unsigned int len;
	struct route_node *parent;	/* NULL: the root */
	struct route_node *child[2];
	struct list routes;		/* of route_entry.link */
};

static struct route_node *node_create(const struct inet_addr *addr, unsigned int len)
{
	struct route_node *n = rt_zalloc(sizeof(*n));

	if (!n)
		return NULL;
	n->addr = inet_addr_masked(addr, len);
	n->len = len;
	list_init(&n->routes);
	return n;
}

static struct route_node **place_of(struct route_table *t, struct route_node *n)
{
	if (!n->parent)
		return &t->root;
	return &n->parent->child[inet_addr_bit(&n->addr, n->parent->len)];
}

static void adopt(struct route_node *parent, struct route_node *n)
{
	parent->child[inet_addr_bit(&n->addr, parent->len)] = n;
	n->parent = parent;
}

/* @n takes the place of @old, which becomes its child. */
static void insert_above(struct route_table *t, struct route_node *old, struct route_node *n)
{
	*place_of(t, old) = n;
	n->parent = old->parent;
	adopt(n, old);
}

/* The last node on the way to the prefix that the prefix lies in, or is; NULL: none. */
static struct route_node *descend(const struct route_table *t, const struct inet_addr *addr,
				  unsigned int len)
{
	struct route_node *n = t->root, *last = NULL;

	while (n && n->len <= len && inet_addr_common(&n->addr, addr) >= n->len) {
		last = n;
		n = n->len < INET_ADDR_BITS ? n->child[inet_addr_bit(addr, n->len)] : NULL;
	}
	return last;
}

/* The node of the prefix, which is made if need be; NULL: no memory. */
static struct route_node *node_get(struct route_table *t, const struct inet_addr *addr,
				   unsigned int len)
{
	struct route_node *above = descend(t, addr, len), *below, *n, *branch;
	unsigned int common;

	if (above && above->len == len)
		return above;
	n = node_create(addr, len);
	if (!n)
		return NULL;
	below = above ? above->child[inet_addr_bit(addr, above->len)] : t->root;
	if (!below) {
		if (above)
			adopt(above, n);
		else
			t->root = n;
		return n;
	}
	common = inet_addr_common(addr, &below->addr);
	if (common >= len) {
		insert_above(t, below, n);
		return n;
	}
	branch = node_create(addr, common);
	if (!branch) {
		rt_free(n);
		return NULL;
	}
	insert_above(t, below, branch);
	adopt(branch, n);
	return n;
}

/* Free @n, and then its parent, if (3) does not keep them. */
static void node_put(struct route_table *t, struct route_node *n)
{
	while (n && list_is_empty(&n->routes) && !(n->child[0] && n->child[1])) {
		struct route_node *parent = n->parent, *child = n->child[0] ? n->child[0] : n->child[1];

		*place_of(t, n) = child;
		if (child)
			child->parent = parent;
		rt_free(n);
		n = parent;
	}
}

int route_table_insert(struct route_table *t, struct route_entry *e)
{
	struct inet_addr masked;
	struct route_entry *other;
	struct list *before;
	struct route_node *n;

	if (e->prefix_len > INET_ADDR_BITS)
		return -EINVAL;
	masked = inet_addr_masked(&e->prefix, e->prefix_len);
	if (!inet_addr_equal(&masked, &e->prefix))
		return -EINVAL;
	n = node_get(t, &e->prefix, e->prefix_len);
	if (!n)
		return -ENOMEM;
	before = &n->routes;
	list_for_each_entry(other, &n->routes, link) {
		if (other->metric > e->metric) {
			before = &other->link;
			break;
		}
	}
	list_add_last(before, &e->link);
	e->node = n;
	t->entries++;
	return 0;
}

void route_table_remove(struct route_table *t, struct route_entry *e)
{
	struct route_node *n = e->node;

	list_remove(&e->link);
	e->node = NULL;
	t->entries--;
	node_put(t, n);
}

static struct route_entry *first_route(const struct route_node *n)
{
	return list_is_empty(&n->routes) ? NULL :
					   container_of(n->routes.next, struct route_entry, link);
}

struct route_entry *route_table_sibling(const struct route_entry *e)
{
	return e->link.next == &e->node->routes ? NULL :
						  container_of(e->link.next, struct route_entry, link);
}

struct route_entry *route_table_find(const struct route_table *t, const struct inet_addr *prefix,
				     unsigned int prefix_len, uint32_t metric)
{
	struct route_node *n = descend(t, prefix, prefix_len);
	struct route_entry *e;

	if (!n || n->len != prefix_len)
		return NULL;
	for (e = first_route(n); e && e->metric < metric;)
		e = route_table_sibling(e);
	return e;
}

struct route_entry *route_table_lookup(const struct route_table *t, const struct inet_addr *addr,
				       bool (*accept)(const struct route_entry *e, void *arg),
				       void *arg)
{
	for (struct route_node *n = descend(t, addr, INET_ADDR_BITS); n; n = n->parent)
		for (struct route_entry *e = first_route(n); e; e = route_table_sibling(e))
			if (!accept || accept(e, arg))
				return e;
	return NULL;
}

/* The node after @n when a node comes before its children, and 0 before 1. */
static struct route_node *node_next(struct route_node *n)
{
	if (n->child[0])
		return n->child[0];
	if (n->child[1])
		return n->child[1];
	for (; n->parent; n = n->parent)
		if (n == n->parent->child[0] && n->parent->child[1])
			return n->parent->child[1];
	return NULL;
}

struct route_entry *route_table_next(const struct route_table *t, const struct route_entry *e)
{
	struct route_entry *next = e ? route_table_sibling(e) : NULL;
	struct route_node *n = e ? node_next(e->node) : t->root;

	for (; !next && n; n = node_next(n))
		next = first_route(n);
	return next;
}

static bool node_check(const struct route_node *n)
{
	struct inet_addr masked = inet_addr_masked(&n->addr, n->len);
	struct route_entry *e;
	uint32_t metric = 0;

	if (!inet_addr_equal(&masked, &n->addr))
		return false;
	if (list_is_empty(&n->routes) && !(n->child[0] && n->child[1]))
		return false;
	if (n->parent && (n->parent->len >= n->len ||
			  inet_addr_common(&n->addr, &n->parent->addr) < n->parent->len ||
			  n->parent->child[inet_addr_bit(&n->addr, n->parent->len)] != n))
		return false;
	list_for_each_entry(e, &n->routes, link) {
		if (e->node != n || e->metric < metric)
			return false;
		metric = e->metric;
	}
	return true;
}

bool route_table_check(const struct route_table *t)
{
	uint32_t entries = 0;

	if (t->root && t->root->parent)
		return false;
	for (struct route_node *n = t->root; n; n = node_next(n))
		if (!node_check(n))
			return false;
	for (struct route_entry *e = route_table_next(t, NULL); e; e = route_table_next(t, e))
		entries++;
	return entries == t->entries;
}
