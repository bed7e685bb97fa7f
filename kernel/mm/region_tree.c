/* SPDX-License-Identifier: MIT */
/*
 * The ordered set of regions of a space: an AVL tree by address whose nodes also
 * know the largest gap in front of any region below them, so that a gap of a given
 * size is found without visiting what is full.  Neighbours are linked both ways.
 *
 * A region's gap is the free space between its predecessor (or the tree's base)
 * and itself, less the guard of a stack; the space behind the last region is nobody's
 * gap and looked at apart.
 *
 * Invariants: heights of siblings differ by one at most; max_gap of a node is the
 * maximum of its own gap and its children's max_gap.  The caller locks.
 */

#include "base/util.h"
#include "kernel/space.h"

static int32_t height(const struct region *r)
{
	return r ? r->height : 0;
}

static uint64_t max_gap(const struct region *r)
{
	return r ? r->max_gap : 0;
}

/* Recompute from the children; whether anything changed. */
static bool refresh(struct region *r)
{
	int32_t h = 1 + MAX(height(r->left), height(r->right));
	uint64_t below = MAX(max_gap(r->left), max_gap(r->right));
	uint64_t gap = MAX(r->gap, below);
	bool changed = h != r->height || gap != r->max_gap;

	r->height = h;
	r->max_gap = gap;
	return changed;
}

static uint64_t gap_start(const struct region_tree *tree, const struct region *r)
{
	return r->prev ? r->prev->end : tree->base;
}

static void set_gap(const struct region_tree *tree, struct region *r)
{
	uint64_t free = r->start - gap_start(tree, r);
	uint64_t guard = r->flags & K_MAP_GROWS_DOWN ? REGION_GUARD : 0;

	r->gap = free > guard ? free - guard : 0;
}

/* Put @child where @old hangs below @parent. */
static void replace_child(struct region_tree *tree, struct region *parent, struct region *old,
			  struct region *child)
{
	if (!parent)
		tree->root = child;
	else if (parent->left == old)
		parent->left = child;
	else
		parent->right = child;
	if (child)
		child->parent = parent;
}

/* Lift the left (or right) child of @r into its place; returns it. */
static struct region *rotate(struct region_tree *tree, struct region *r, bool lift_left)
{
	struct region *up = lift_left ? r->left : r->right;
	struct region *inner = lift_left ? up->right : up->left;

	replace_child(tree, r->parent, r, up);
	if (lift_left) {
		up->right = r;
		r->left = inner;
	} else {
		up->left = r;
		r->right = inner;
	}
	r->parent = up;
	if (inner)
		inner->parent = r;
	refresh(r);
	refresh(up);
	return up;
}

static struct region *balance(struct region_tree *tree, struct region *r)
{
	int32_t lean = height(r->left) - height(r->right);

	if (lean > 1) {
		if (height(r->left->left) < height(r->left->right))
			rotate(tree, r->left, false);
		return rotate(tree, r, true);
	}
	if (lean < -1) {
		if (height(r->right->right) < height(r->right->left))
			rotate(tree, r->right, true);
		return rotate(tree, r, false);
	}
	return r;
}

/* Repair heights, gaps and balance from @r upwards, until nothing changes. */
static void repair(struct region_tree *tree, struct region *r, bool always)
{
	while (r) {
		bool changed = refresh(r);
		struct region *top = balance(tree, r);

		if (!changed && top == r && !always)
			return;
		always = false;
		r = top->parent;
	}
}

void region_tree_init(struct region_tree *tree, uint64_t base, uint64_t limit)
{
	*tree = (struct region_tree){ .base = base, .limit = limit };
}

struct region *region_tree_find(const struct region_tree *tree, uint64_t addr)
{
	struct region *r = tree->root, *after = NULL;

	while (r) {
		if (addr >= r->end) {
			r = r->right;
		} else {
			after = r;
			if (addr >= r->start)
				break;
			r = r->left;
		}
	}
	return after;
}

static void link_neighbours(struct region_tree *tree, struct region *region, struct region *prev,
			    struct region *next)
{
	region->prev = prev;
	region->next = next;
	if (prev)
		prev->next = region;
	else
		tree->first = region;
	if (next)
		next->prev = region;
	else
		tree->last = region;
}

void region_tree_insert(struct region_tree *tree, struct region *region)
{
	struct region *parent = NULL, *prev = NULL, *next = NULL, *at = tree->root;

	while (at) {
		parent = at;
		if (region->start < at->start) {
			next = at;
			at = at->left;
		} else {
			prev = at;
			at = at->right;
		}
	}
	region->left = region->right = NULL;
	region->parent = parent;
	region->height = 0;
	region->max_gap = 0;
	if (!parent)
		tree->root = region;
	else if (parent == next)
		parent->left = region;
	else
		parent->right = region;
	link_neighbours(tree, region, prev, next);
	set_gap(tree, region);
	repair(tree, region, true);
	if (next) {
		set_gap(tree, next);
		repair(tree, next, true);
	}
	tree->count++;
}

void region_tree_append(struct region_tree *tree, struct region *region)
{
	link_neighbours(tree, region, tree->last, NULL);
	set_gap(tree, region);
	tree->count++;
}

/* A balanced tree of the next @n regions of the list. */
static struct region *build(struct region **next, uint32_t n, struct region *parent)
{
	struct region *left, *r;

	if (!n)
		return NULL;
	left = build(next, n / 2, NULL);
	r = *next;
	*next = r->next;
	r->parent = parent;
	r->left = left;
	if (left)
		left->parent = r;
	r->right = build(next, n - n / 2 - 1, r);
	refresh(r);
	return r;
}

void region_tree_build(struct region_tree *tree)
{
	struct region *next = tree->first;

	tree->root = build(&next, tree->count, NULL);
}

void region_tree_remove(struct region_tree *tree, struct region *region)
{
	struct region *prev = region->prev, *next = region->next, *from;

	if (prev)
		prev->next = next;
	else
		tree->first = next;
	if (next)
		next->prev = prev;
	else
		tree->last = prev;

	if (region->left && region->right) {
		/* Its successor, which has no left child, takes its place. */
		from = next->parent == region ? next : next->parent;
		if (next->parent != region) {
			replace_child(tree, next->parent, next, next->right);
			next->right = region->right;
			next->right->parent = next;
		}
		next->left = region->left;
		next->left->parent = next;
		replace_child(tree, region->parent, region, next);
		next->height = region->height;
		next->max_gap = region->max_gap;
	} else {
		from = region->parent;
		replace_child(tree, region->parent, region,
			      region->left ? region->left : region->right);
	}
	tree->count--;
	repair(tree, from, true);
	if (next) {
		set_gap(tree, next);
		repair(tree, next, true);
	}
}

void region_tree_update(struct region_tree *tree, struct region *region)
{
	set_gap(tree, region);
	repair(tree, region, true);
	if (region->next) {
		set_gap(tree, region->next);
		repair(tree, region->next, true);
	}
}

/* Where in the free range [from, to) @length bytes go, cut to [min, max). */
static bool fit(uint64_t from, uint64_t to, uint64_t length, uint64_t min, uint64_t max,
		bool top_down, uint64_t *out)
{
	from = MAX(from, min);
	to = MIN(to, max);
	if (from >= to || to - from < length)
		return false;
	*out = top_down ? to - length : from;
	return true;
}

/*
 * The search visits only subtrees with a gap that is large enough, in the order of
 * addresses wanted; a gap may still miss [min, max), then the search goes on.
 */
static bool search(const struct region_tree *tree, const struct region *r, uint64_t length,
		   uint64_t min, uint64_t max, bool top_down, uint64_t *out)
{
	const struct region *first, *second;
	uint64_t from;

	if (!r || r->max_gap < length)
		return false;
	from = gap_start(tree, r);
	first = top_down ? r->right : r->left;
	second = top_down ? r->left : r->right;
	/* Everything left of r lies below its gap, everything right of it above its end. */
	if ((top_down ? r->end < max : from > min) &&
	    search(tree, first, length, min, max, top_down, out))
		return true;
	if (fit(from, from + r->gap, length, min, max, top_down, out))
		return true;
	return (top_down ? from > min : r->end < max) &&
	       search(tree, second, length, min, max, top_down, out);
}

bool region_tree_gap(const struct region_tree *tree, uint64_t length, uint64_t min, uint64_t max,
		     bool top_down, uint64_t *out)
{
	uint64_t tail = tree->last ? tree->last->end : tree->base;

	if (top_down && fit(tail, tree->limit, length, min, max, true, out))
		return true;
	if (search(tree, tree->root, length, min, max, top_down, out))
		return true;
	return !top_down && fit(tail, tree->limit, length, min, max, false, out);
}
