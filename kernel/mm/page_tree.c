/* SPDX-License-Identifier: MIT */
/*
 * The pages of a memory object by index: a radix tree of 64 slots per node.
 *
 * Height 0: the root is the page with index 0, if any.  Height h: the root is a
 * node that covers 64^h pages; nodes of height 1 hold pages.  Each node has two
 * bits per slot: used, and dirty (some page below it is).  Empty nodes are freed;
 * the tree grows at the top and never shrinks there until it is empty.
 *
 * The object's lock protects all of it.  The host tests use it alone.
 */

#include "base/string.h"
#include "kernel/kmem.h"
#include "mm_priv.h"

#define NODE_BITS	6u
#define NODE_SLOTS	64u
#define HEIGHT_MAX	9u		/* 54 bits of index: all there are */

struct radix_node {
	uint64_t used, dirty;
	void *slot[NODE_SLOTS];
};

static struct kmem_cache node_cache = KMEM_CACHE(struct radix_node);

static unsigned slot_index(uint64_t index, unsigned height)
{
	return (index >> (NODE_BITS * (height - 1))) & (NODE_SLOTS - 1);
}

/* Whether @index is too large for a tree of @height. */
static bool beyond(uint64_t index, unsigned height)
{
	return index >> (NODE_BITS * height);
}

static struct radix_node *leaf_of(const struct page_tree *tree, uint64_t index)
{
	struct radix_node *node = tree->root;

	if (beyond(index, tree->height))
		return NULL;
	for (unsigned h = tree->height; node && h > 1; h--)
		node = node->slot[slot_index(index, h)];
	return node;
}

struct page *page_tree_get(const struct page_tree *tree, uint64_t index)
{
	const struct radix_node *leaf;

	if (!tree->height)
		return index ? NULL : tree->root;
	leaf = leaf_of(tree, index);
	return leaf ? leaf->slot[index & (NODE_SLOTS - 1)] : NULL;
}

void page_tree_batch(const struct page_tree *tree, uint64_t index, unsigned n, struct page **out)
{
	const struct radix_node *leaf = NULL;

	for (unsigned i = 0; i < n; i++, index++) {
		if (!tree->height) {
			out[i] = index ? NULL : tree->root;
			continue;
		}
		if (!i || !(index & (NODE_SLOTS - 1)))
			leaf = leaf_of(tree, index);
		out[i] = leaf ? leaf->slot[index & (NODE_SLOTS - 1)] : NULL;
	}
}

/* One more level on top. */
static bool grow(struct page_tree *tree)
{
	struct radix_node *node;

	if (tree->root) {
		node = kmem_zalloc(&node_cache);
		if (!node)
			return false;
		node->slot[0] = tree->root;
		node->used = 1;
		if (tree->height)
			node->dirty = ((struct radix_node *)tree->root)->dirty != 0;
		else
			node->dirty = (((struct page *)tree->root)->flags & PAGE_DIRTY) != 0;
		tree->root = node;
	}
	tree->height++;
	return true;
}

/* Free the empty nodes on the way to @index. */
static void *trim(void *at, unsigned height, uint64_t index)
{
	struct radix_node *node = at;
	unsigned i;

	if (!height || !node)
		return at;
	i = slot_index(index, height);
	if (height > 1)
		node->slot[i] = trim(node->slot[i], height - 1, index);
	if (!node->slot[i])
		node->used &= ~BIT(i);
	if (node->used)
		return node;
	kmem_free(&node_cache, node);
	return NULL;
}

static void trim_tree(struct page_tree *tree, uint64_t index)
{
	tree->root = trim(tree->root, tree->height, index);
	if (!tree->root)
		tree->height = 0;
}

bool page_tree_insert(struct page_tree *tree, uint64_t index, struct page *page)
{
	void **at;

	while (beyond(index, tree->height))
		if (!grow(tree))
			return false;
	at = &tree->root;
	for (unsigned h = tree->height; h; h--) {
		struct radix_node *node = *at;

		if (!node) {
			node = kmem_zalloc(&node_cache);
			if (!node) {
				if (!beyond(index, tree->height))
					trim_tree(tree, index);
				return false;
			}
			*at = node;
		}
		node->used |= BIT(slot_index(index, h));
		at = &node->slot[slot_index(index, h)];
	}
	*at = page;
	tree->count++;
	if (page->flags & PAGE_DIRTY) {
		page->flags &= (uint8_t)~PAGE_DIRTY;
		page_tree_set_dirty(tree, index, true);
	}
	return true;
}

struct page *page_tree_remove(struct page_tree *tree, uint64_t index)
{
	struct page *page = page_tree_get(tree, index);

	if (!page)
		return NULL;
	if (page->flags & PAGE_DIRTY)
		page_tree_set_dirty(tree, index, false);
	tree->count--;
	if (tree->height) {
		leaf_of(tree, index)->slot[index & (NODE_SLOTS - 1)] = NULL;
		trim_tree(tree, index);
	} else {
		tree->root = NULL;
	}
	return page;
}

void page_tree_set_dirty(struct page_tree *tree, uint64_t index, bool dirty)
{
	struct page *page = page_tree_get(tree, index);
	struct radix_node *path[HEIGHT_MAX + 1];

	if (!page || dirty == !!(page->flags & PAGE_DIRTY))
		return;
	page->flags ^= PAGE_DIRTY;
	tree->dirty += dirty ? 1 : -1ull;
	path[tree->height] = tree->root;
	for (unsigned h = tree->height; h > 1; h--)
		path[h - 1] = path[h]->slot[slot_index(index, h)];
	for (unsigned h = 1; h <= tree->height; h++) {
		if (dirty)
			path[h]->dirty |= BIT(slot_index(index, h));
		else
			path[h]->dirty &= ~BIT(slot_index(index, h));
		if (!dirty && path[h]->dirty)
			break;
	}
}

bool page_tree_is_dirty(const struct page_tree *tree, uint64_t index)
{
	const struct page *page = page_tree_get(tree, index);

	return page && (page->flags & PAGE_DIRTY);
}

struct page *page_tree_next(const struct page_tree *tree, uint64_t *index, uint64_t end, bool dirty)
{
	uint64_t at = *index;

	if (!tree->height) {
		struct page *page = tree->root;

		return !at && end && page && (!dirty || (page->flags & PAGE_DIRTY)) ? page : NULL;
	}
	while (at < end && !beyond(at, tree->height)) {
		const struct radix_node *node = tree->root;

		/* Down as long as there is a bit at or after the slot of @at. */
		for (unsigned h = tree->height;; h--) {
			unsigned i = slot_index(at, h);
			uint64_t bits = (dirty ? node->dirty : node->used) >> i;
			uint64_t span = 1ull << (NODE_BITS * (h - 1));

			if (!bits) {	/* nothing more in this node: go on behind it */
				at = (at | (span * NODE_SLOTS - 1)) + 1;
				break;
			}
			if (__builtin_ctzll(bits))
				at = (at & ~(span - 1)) + span * (unsigned)__builtin_ctzll(bits);
			if (h == 1) {
				*index = at;
				return at < end ? node->slot[at & (NODE_SLOTS - 1)] : NULL;
			}
			node = node->slot[slot_index(at, h)];
		}
	}
	return NULL;
}
