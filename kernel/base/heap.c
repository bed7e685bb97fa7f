/* SPDX-License-Identifier: MIT */
/*
 * Pairing heaps (kernel/heap.h).  Two-pass merge without recursion, so that a
 * long list of siblings costs no stack.
 */
#include "kernel/heap.h"

/* Merge two roots; either may be NULL.  The result's next and prev are NULL. */
static struct heap_node *heap_merge(const struct heap *h, struct heap_node *a, struct heap_node *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (h->less(b, a)) {
		struct heap_node *t = a;

		a = b;
		b = t;
	}
	b->next = a->child;
	b->prev = a;
	if (a->child)
		a->child->prev = b;
	a->child = b;
	return a;
}

/* Merge a list of siblings into one root: pairs from left to right, then those together. */
static struct heap_node *heap_merge_siblings(const struct heap *h, struct heap_node *first)
{
	struct heap_node *pairs = NULL, *root = NULL;

	while (first) {
		struct heap_node *a = first, *b = a->next, *merged;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		merged = heap_merge(h, a, b);
		merged->next = pairs;
		pairs = merged;
	}
	while (pairs) {
		struct heap_node *next = pairs->next;

		pairs->next = NULL;
		root = heap_merge(h, root, pairs);
		pairs = next;
	}
	return root;
}

void heap_insert(struct heap *h, struct heap_node *node)
{
	node->child = node->next = node->prev = NULL;
	h->root = heap_merge(h, h->root, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	struct heap_node *rest;

	if (node == h->root) {
		heap_pop(h);
		return;
	}
	/* prev is the parent exactly if node is its first child. */
	if (node->prev->child == node)
		node->prev->child = node->next;
	else
		node->prev->next = node->next;
	if (node->next)
		node->next->prev = node->prev;
	rest = heap_merge_siblings(h, node->child);
	h->root = heap_merge(h, h->root, rest);
	node->child = node->next = node->prev = NULL;
}

struct heap_node *heap_pop(struct heap *h)
{
	struct heap_node *root = h->root;

	if (!root)
		return NULL;
	h->root = heap_merge_siblings(h, root->child);
	root->child = NULL;
	return root;
}

bool heap_check(const struct heap *h)
{
	/* Pre-order walk by the links themselves. */
	const struct heap_node *n = h->root;

	while (n) {
		for (const struct heap_node *c = n->child, *prev = n; c; prev = c, c = c->next) {
			if (h->less(c, n) || c->prev != prev)
				return false;
		}
		if (n->child) {
			n = n->child;
			continue;
		}
		while (n && !n->next) {
			/* Back to the first sibling, then to the parent. */
			while (n->prev && n->prev->child != n)
				n = n->prev;
			n = n->prev;
		}
		n = n ? n->next : NULL;
	}
	return true;
}
