/* SPDX-License-Identifier: MIT */
/*
 * Intrusive red-black trees, optionally augmented.
 *
 * The owner searches by hand and links at the place it found:
 *
 *	struct rb_node **link = &tree->root, *parent = NULL;
 *	while (*link) {
 *		parent = *link;
 *		link = key < key_of(parent) ? &parent->left : &parent->right;
 *	}
 *	rb_insert(tree, &item->node, parent, link);
 *
 * In an augmented tree each node holds a value computed from itself and its two
 * children (the largest gap of a subtree, say): tree->update(node) recomputes
 * it, and the functions here call it for every node whose subtree changed,
 * children before parents.  After changing such a value of a node in place, call
 * rb_update().
 *
 * Invariants: (1) the root is black; (2) a red node has black children; (3) all
 * paths from a node down to NULL have the same number of black nodes.  rb_check()
 * tests them.  A node that is in no tree is its own parent (rb_node_init).
 * The caller locks.
 */
#pragma once

#include "base/util.h"

struct rb_node {
	uintptr_t parent_red;		/* the parent's address, bit 0: this node is red */
	struct rb_node *left, *right;
};

struct rb_tree {
	struct rb_node *root;
	void (*update)(struct rb_node *node);	/* constant; NULL: not augmented */
};

#define RB_TREE_INIT { .root = NULL, .update = NULL }

#define rb_entry(ptr, type, member)                                                                \
	({                                                                                         \
		struct rb_node *rb_ = (ptr);                                                       \
		rb_ ? container_of(rb_, type, member) : NULL;                                      \
	})

static inline struct rb_node *rb_parent(const struct rb_node *n)
{
	return (struct rb_node *)(n->parent_red & ~(uintptr_t)1);
}

static inline void rb_node_init(struct rb_node *n)
{
	n->parent_red = (uintptr_t)n;
}

static inline bool rb_is_linked(const struct rb_node *n)
{
	return rb_parent(n) != n;
}

/* Link @node as the child *@link (NULL now) of @parent (NULL: as the root), and balance. */
void rb_insert(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link);
/* Take @node, which is in @tree, out; it is initialised again. */
void rb_remove(struct rb_tree *tree, struct rb_node *node);
/* Put @node where @old is, with the same place in the order; @old is initialised. */
void rb_replace(struct rb_tree *tree, struct rb_node *old, struct rb_node *node);
/* The augmented value of @node changes: recompute it, and those above. */
void rb_update(struct rb_tree *tree, struct rb_node *node);

struct rb_node *rb_first(const struct rb_tree *tree);
struct rb_node *rb_last(const struct rb_tree *tree);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

/* Whether the invariants hold: walks the whole tree. */
bool rb_check(const struct rb_tree *tree);

#define rb_first_entry(tree, type, member) rb_entry(rb_first(tree), type, member)
#define rb_last_entry(tree, type, member) rb_entry(rb_last(tree), type, member)
#define rb_next_entry(entry, member) rb_entry(rb_next(&(entry)->member), __typeof__(*(entry)), member)
#define rb_prev_entry(entry, member) rb_entry(rb_prev(&(entry)->member), __typeof__(*(entry)), member)

/* In order.  The tree must not change in the body. */
#define rb_for_each_entry(entry, tree, member)                                                     \
	for (entry = rb_first_entry(tree, __typeof__(*entry), member); entry;                      \
	     entry = rb_next_entry(entry, member))
