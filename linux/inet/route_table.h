/* SPDX-License-Identifier: MIT */
/*
 * A table of routes: which of them is to be taken for an address (longest prefix, then lowest
 * metric; RFC 1812, 5.2.4.3).  It knows prefixes and metrics; what a route is beyond
 * that is its owner's, who embeds struct route_entry.
 *
 * The owner locks: look-ups may run beside each other, changes alone.  The table allocates
 * nodes of its own when routes are inserted, and never else.
 */
#pragma once

#include "base/list.h"
#include "inet/address.h"

struct route_node;

struct route_table {
	struct route_node *root;	/* NULL: empty */
	uint32_t entries;
};

struct route_entry {
	/* Set by the owner before insertion; constant while it is in a table. */
	struct inet_addr prefix;
	uint8_t prefix_len;		/* bits, at most INET_ADDR_BITS; bits of prefix behind it are zeros */
	uint32_t metric;
	/* The table's. */
	struct route_node *node;	/* NULL: in no table */
	struct list link;		/* of its node */
};

/* A table of no routes is all zeros.  It owns nothing once its entries are removed. */

/*
 * Behind the routes of the same prefix and the same metric.  0; -EINVAL: not a prefix; -ENOMEM,
 * and nothing has changed.
 */
int route_table_insert(struct route_table *t, struct route_entry *e);
void route_table_remove(struct route_table *t, struct route_entry *e);

/* The first of exactly this prefix with at least @metric, or NULL; route_table_sibling() goes on. */
struct route_entry *route_table_find(const struct route_table *t, const struct inet_addr *prefix,
				     unsigned int prefix_len, uint32_t metric);
/* The next of the same prefix, in the order of metrics; NULL: there is none. */
struct route_entry *route_table_sibling(const struct route_entry *e);

/*
 * The route for @addr: the first that @accept likes (NULL: any), longer prefixes before shorter
 * ones, lower metrics before higher.  NULL: none.
 */
struct route_entry *route_table_lookup(const struct route_table *t, const struct inet_addr *addr,
				       bool (*accept)(const struct route_entry *e, void *arg),
				       void *arg);

/* All routes by prefix, shorter before longer, then metric: the one after @e; NULL: the first. */
struct route_entry *route_table_next(const struct route_table *t, const struct route_entry *e);

/* The invariants at the top of route_table.c, and the count. */
bool route_table_check(const struct route_table *t);
