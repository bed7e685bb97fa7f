/* SPDX-License-Identifier: MIT */
/*
 * Pairing heaps: intrusive priority queues for timers and run queues.
 *
 * The least node is at the root; insert and merge are a few instructions, removal
 * is logarithmic on average.  Order comes from a caller's function.  The caller
 * locks.  Invariant: no child is less than its parent (heap_check()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
	struct heap_node *child;	/* first child */
	struct heap_node *next;		/* next sibling */
	struct heap_node *prev;		/* previous sibling, or parent of a first child */
};

struct heap {
	struct heap_node *root;		/* NULL: empty */
	/* Whether @a comes before @b; constant. */
	bool (*less)(const struct heap_node *a, const struct heap_node *b);
};

#define HEAP_INIT(fn) { .root = NULL, .less = (fn) }

/* @node is on no heap.  Equal nodes: no promise of order. */
void heap_insert(struct heap *h, struct heap_node *node);

/* @node is on @h. */
void heap_remove(struct heap *h, struct heap_node *node);

/* The least node stays; NULL if there is none. */
static inline struct heap_node *heap_first(const struct heap *h)
{
	return h->root;
}

/* Take the least node off; NULL if there is none. */
struct heap_node *heap_pop(struct heap *h);

/* Whether all nodes keep the invariant. */
bool heap_check(const struct heap *h);
