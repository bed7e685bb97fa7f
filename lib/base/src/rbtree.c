/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees, see base/rbtree.h.
 *
 * Insertion and removal climb from the place of the change towards the root.
 * At each step at most one violation exists, named by the variable @node:
 * inserting, @node is red and its parent may be red too; removing, the paths
 * through @node (which may be NULL, hence @parent beside it) lack one black.
 * Each step either moves the violation up or ends it with one or two rotations.
 *
 * Augmented values: a rotation recomputes the two nodes that it turns, lower
 * one first; everything above the lowest changed node is recomputed before
 * balancing starts, and a rotation does not change the set of nodes below its
 * place, so values above a rotation stay right.
 */
#include "base/rbtree.h"

static bool is_red(const struct rb_node *n)
{
	return n && (n->parent_red & 1);
}

static void set_parent(struct rb_node *n, struct rb_node *parent)
{
	n->parent_red = (uintptr_t)parent | (n->parent_red & 1);
}

static void set_red(struct rb_node *n, bool red)
{
	n->parent_red = (n->parent_red & ~(uintptr_t)1) | red;
}

/* The pointer in which @parent (or the tree) names its child @node. */
static struct rb_node **link_of(struct rb_tree *t, struct rb_node *node, struct rb_node *parent)
{
	if (!parent)
		return &t->root;
	return parent->left == node ? &parent->left : &parent->right;
}

static void update_one(struct rb_tree *t, struct rb_node *n)
{
	if (t->update)
		t->update(n);
}

void rb_update(struct rb_tree *t, struct rb_node *node)
{
	if (!t->update)
		return;
	for (; node; node = rb_parent(node))
		t->update(node);
}

/* Turn @top down to the left (or right): its child on the other side takes its place. */
static void rotate(struct rb_tree *t, struct rb_node *top, bool left)
{
	struct rb_node *up = left ? top->right : top->left;
	struct rb_node *middle = left ? up->left : up->right;
	struct rb_node *parent = rb_parent(top);

	*link_of(t, top, parent) = up;
	set_parent(up, parent);
	if (left) {
		up->left = top;
		top->right = middle;
	} else {
		up->right = top;
		top->left = middle;
	}
	set_parent(top, up);
	if (middle)
		set_parent(middle, top);
	update_one(t, top);
	update_one(t, up);
}

static void balance_after_insert(struct rb_tree *t, struct rb_node *node)
{
	struct rb_node *parent;

	while ((parent = rb_parent(node)) && is_red(parent)) {
		struct rb_node *grand = rb_parent(parent);	/* black, as parent is red */
		bool on_left = parent == grand->left;
		struct rb_node *uncle = on_left ? grand->right : grand->left;

		if (is_red(uncle)) {
			set_red(parent, false);
			set_red(uncle, false);
			set_red(grand, true);
			node = grand;
			continue;
		}
		if (node == (on_left ? parent->right : parent->left)) {
			rotate(t, parent, on_left);
			parent = node;
		}
		set_red(parent, false);
		set_red(grand, true);
		rotate(t, grand, !on_left);
		break;
	}
	set_red(t->root, false);
}

void rb_insert(struct rb_tree *t, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link)
{
	node->left = NULL;
	node->right = NULL;
	node->parent_red = (uintptr_t)parent | 1;
	*link = node;
	rb_update(t, node);
	balance_after_insert(t, node);
}

/* The paths through @node, a child of @parent and possibly NULL, lack one black. */
static void balance_after_remove(struct rb_tree *t, struct rb_node *node, struct rb_node *parent)
{
	while (parent && !is_red(node)) {
		bool on_left = node == parent->left;
		struct rb_node *sibling = on_left ? parent->right : parent->left;
		struct rb_node *near, *far;

		if (is_red(sibling)) {
			set_red(sibling, false);
			set_red(parent, true);
			rotate(t, parent, on_left);
			sibling = on_left ? parent->right : parent->left;
		}
		near = on_left ? sibling->left : sibling->right;
		far = on_left ? sibling->right : sibling->left;
		if (!is_red(near) && !is_red(far)) {
			set_red(sibling, true);
			node = parent;
			parent = rb_parent(node);
			continue;
		}
		if (!is_red(far)) {
			set_red(near, false);
			set_red(sibling, true);
			rotate(t, sibling, !on_left);
			far = sibling;
			sibling = near;
		}
		set_red(sibling, is_red(parent));
		set_red(parent, false);
		set_red(far, false);
		rotate(t, parent, on_left);
		return;
	}
	if (node)
		set_red(node, false);
}

void rb_replace(struct rb_tree *t, struct rb_node *old, struct rb_node *node)
{
	struct rb_node *parent = rb_parent(old);

	*link_of(t, old, parent) = node;
	*node = *old;
	if (node->left)
		set_parent(node->left, node);
	if (node->right)
		set_parent(node->right, node);
	rb_node_init(old);
	rb_update(t, node);
}

void rb_remove(struct rb_tree *t, struct rb_node *node)
{
	struct rb_node *child, *parent;
	bool lost_black;

	if (node->left && node->right) {
		/* The successor has no left child: it leaves its place and takes this one. */
		struct rb_node *next = node->right;

		while (next->left)
			next = next->left;
		child = next->right;
		parent = rb_parent(next);
		lost_black = !is_red(next);
		if (parent == node)
			parent = next;
		else
			parent->left = child;
		*link_of(t, node, rb_parent(node)) = next;
		next->parent_red = node->parent_red;
		next->left = node->left;
		set_parent(next->left, next);
		if (parent != next) {
			next->right = node->right;
			set_parent(next->right, next);
		}
		/* parent == next: next->right is @child already */
	} else {
		child = node->left ? node->left : node->right;
		parent = rb_parent(node);
		lost_black = !is_red(node);
		*link_of(t, node, parent) = child;
	}
	if (child)
		set_parent(child, parent);
	rb_update(t, parent);
	if (lost_black)
		balance_after_remove(t, child, parent);
	rb_node_init(node);
}

struct rb_node *rb_first(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->right) {
		struct rb_node *n = node->right;

		while (n->left)
			n = n->left;
		return n;
	}
	while ((parent = rb_parent(node)) && node == parent->right)
		node = parent;
	return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->left) {
		struct rb_node *n = node->left;

		while (n->right)
			n = n->right;
		return n;
	}
	while ((parent = rb_parent(node)) && node == parent->left)
		node = parent;
	return parent;
}

static unsigned int black_depth(const struct rb_node *n)
{
	unsigned int depth = 0;

	for (; n; n = rb_parent(n))
		depth += !is_red(n);
	return depth;
}

bool rb_check(const struct rb_tree *t)
{
	unsigned int want = 0;

	if (is_red(t->root) || (t->root && rb_parent(t->root)))
		return false;
	for (const struct rb_node *n = rb_first(t); n; n = rb_next(n)) {
		if ((n->left && rb_parent(n->left) != n) || (n->right && rb_parent(n->right) != n))
			return false;
		if (is_red(n) && (is_red(n->left) || is_red(n->right)))
			return false;
		if (n->left && n->right)
			continue;
		if (!want)
			want = black_depth(n);
		if (black_depth(n) != want)
			return false;
	}
	return true;
}
