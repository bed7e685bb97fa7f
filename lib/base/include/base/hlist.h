/* SPDX-License-Identifier: MIT */
/*
 * Lists for the buckets of hash tables: one pointer in the head, removal
 * without knowing the head.  A node on no list has pprev == NULL.  The caller
 * locks.
 */
#pragma once

#include "base/util.h"

struct hlist_node {
	struct hlist_node *next;
	struct hlist_node **pprev;	/* the pointer that points to this node */
};

struct hlist {
	struct hlist_node *first;
};

static inline void hlist_node_init(struct hlist_node *n)
{
	n->next = NULL;
	n->pprev = NULL;
}

static inline bool hlist_is_linked(const struct hlist_node *n)
{
	return n->pprev != NULL;
}

static inline bool hlist_is_empty(const struct hlist *h)
{
	return !h->first;
}

static inline void hlist_add(struct hlist *h, struct hlist_node *n)
{
	n->next = h->first;
	n->pprev = &h->first;
	if (n->next)
		n->next->pprev = &n->next;
	h->first = n;
}

/* Take @n off its list; a node that is on none stays so. */
static inline void hlist_remove(struct hlist_node *n)
{
	if (!n->pprev)
		return;
	*n->pprev = n->next;
	if (n->next)
		n->next->pprev = n->pprev;
	hlist_node_init(n);
}

#define hlist_entry(node, type, member)                                                            \
	({                                                                                         \
		struct hlist_node *node_ = (node);                                                 \
		node_ ? container_of(node_, type, member) : NULL;                                  \
	})

/* @entry is NULL after a loop that was not left early. */
#define hlist_for_each_entry(entry, head, member)                                                  \
	for (entry = hlist_entry((head)->first, __typeof__(*entry), member); entry;                \
	     entry = hlist_entry(entry->member.next, __typeof__(*entry), member))

/* The same; the body may remove @entry.  @tmp is a struct hlist_node pointer. */
#define hlist_for_each_entry_safe(entry, tmp, head, member)                                        \
	for (entry = hlist_entry((head)->first, __typeof__(*entry), member);                       \
	     entry && ((tmp = entry->member.next), 1);                                             \
	     entry = hlist_entry(tmp, __typeof__(*entry), member))
