/* SPDX-License-Identifier: MIT */
/* The trees alone, against arrays. */

#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "unit/unit.h"

#define PAGES 512u
#define BASE 0x1000ull

static struct region *owner[PAGES];	/* of each page of the tree's range */

static uint64_t page_va(uint64_t i) { return BASE + i * K_PAGE_SIZE; }

static int check_node(const struct region *r, uint64_t *gap)
{
	uint64_t left = 0, right = 0;
	int hl, hr;

	if (!r) {
		*gap = 0;
		return 0;
	}
	hl = check_node(r->left, &left);
	hr = check_node(r->right, &right);
	CHECK(abs(hl - hr) <= 1);
	*gap = MAX(left, right);
	*gap = MAX(*gap, r->gap);
	CHECK_EQ(r->max_gap, *gap);
	CHECK_EQ(r->height, 1 + MAX(hl, hr));
	CHECK(!r->left || r->left->parent == r);
	CHECK(!r->right || r->right->parent == r);
	return r->height;
}

static void check_tree(const struct region_tree *tree)
{
	uint64_t gap, i = 0, n = 0;

	check_node(tree->root, &gap);
	for (const struct region *r = tree->first; r; r = r->next, n++) {
		for (; page_va(i) < r->start; i++)
			CHECK(!owner[i]);
		for (; page_va(i) < r->end; i++)
			CHECK(owner[i] == r);
		CHECK(r->next || tree->last == r);
		CHECK(!r->prev || r->prev->next == r);
	}
	CHECK_EQ(n, tree->count);
}

/* What region_tree_gap() should find, by looking at every page. */
static bool brute_gap(uint64_t pages, uint64_t min, uint64_t max, bool top_down, uint64_t *out)
{
	bool found = false;

	for (uint64_t i = min; i + pages <= max; i++) {
		uint64_t k = 0;

		while (k < pages && !owner[i + k])
			k++;
		if (k < pages)
			continue;
		*out = page_va(i);
		found = true;
		if (!top_down)
			break;
	}
	return found;
}

TEST(region_tree_agrees_with_an_array)
{
	struct region_tree tree;
	uint64_t gap = 0, expected = 0;

	region_tree_init(&tree, page_va(0), page_va(PAGES));
	for (unsigned step = 0; step < 6000; step++) {
		uint64_t at = unit_random() % PAGES, n = 1 + unit_random() % 12, k = 0;
		uint64_t min = unit_random() % PAGES, max = min + unit_random() % (PAGES - min) + 1;
		bool down = unit_random() & 1, found;

		if (owner[at] && unit_random() % 3) {
			struct region *r = owner[at];

			region_tree_remove(&tree, r);
			for (unsigned i = 0; i < PAGES; i++)
				if (owner[i] == r)
					owner[i] = NULL;
			free(r);
		} else if (!owner[at]) {
			struct region *r = calloc(1, sizeof(*r));

			while (k < n && at + k < PAGES && !owner[at + k])
				owner[at + k++] = r;
			r->start = page_va(at);
			r->end = page_va(at + k);
			region_tree_insert(&tree, r);
		} else if (owner[at]->end - owner[at]->start > K_PAGE_SIZE) {	/* shrink */
			struct region *r = owner[at];

			if (down) {
				owner[(r->start - BASE) / K_PAGE_SIZE] = NULL;
				r->start += K_PAGE_SIZE;
			} else {
				r->end -= K_PAGE_SIZE;
				owner[(r->end - BASE) / K_PAGE_SIZE] = NULL;
			}
			region_tree_update(&tree, r);
		}
		check_tree(&tree);
		found = region_tree_gap(&tree, n * K_PAGE_SIZE, page_va(min), page_va(max), down, &gap);
		CHECK_EQ(found, brute_gap(n, min, max, down, &expected));
		if (found)
			CHECK_EQ(gap, expected);
		at = unit_random() % PAGES;
		{
			struct region *r = region_tree_find(&tree, page_va(at) + 5);

			for (k = at; k < PAGES && !owner[k]; k++)
				;
			CHECK(r == (k < PAGES ? owner[k] : NULL));
		}
	}
	while (tree.first) {
		struct region *r = tree.first;

		region_tree_remove(&tree, r);
		free(r);
	}
	memset(owner, 0, sizeof(owner));
	CHECK(!tree.root && !tree.count);
}

TEST(gaps_keep_the_guard_below_a_stack)
{
	struct region stack = { .start = 1ull << 30, .end = (1ull << 30) + K_PAGE_SIZE,
				.flags = K_MAP_GROWS_DOWN };
	struct region_tree tree;
	uint64_t at;

	region_tree_init(&tree, K_PAGE_SIZE, 1ull << 31);
	region_tree_insert(&tree, &stack);
	CHECK(region_tree_gap(&tree, K_PAGE_SIZE, 0, 1ull << 30, true, &at));
	CHECK_EQ(at, (1ull << 30) - REGION_GUARD - K_PAGE_SIZE);
}

TEST(page_tree_agrees_with_an_array)
{
	enum { N = 9000 };
	static struct page pages[N];
	static bool in[N], dirty[N];
	static const uint64_t spread[] = { 1, 70, 5000, 1ull << 30 };
	struct page_tree tree = { 0 };

	sim_start();
	for (unsigned round = 0; round < ARRAY_SIZE(spread); round++) {
		uint64_t scale = spread[round], count = 0;

		for (unsigned step = 0; step < 20000; step++) {
			unsigned i = (unsigned)(unit_random() % (step % 500 < 100 ? 3 : N));
			uint64_t index = i * scale, next;
			struct page *found;
			unsigned k;

			switch (unit_random() % 4) {
			case 0:
				if (!in[i]) {
					REQUIRE(page_tree_insert(&tree, index, &pages[i]));
					count++;
				}
				in[i] = true;
				break;
			case 1:
				found = page_tree_remove(&tree, index);
				CHECK(found == (in[i] ? &pages[i] : NULL));
				count -= in[i];
				in[i] = dirty[i] = false;
				break;
			case 2:
				page_tree_set_dirty(&tree, index, true);
				dirty[i] = in[i];
				break;
			default:
				page_tree_set_dirty(&tree, index, false);
				dirty[i] = false;
			}
			CHECK(page_tree_get(&tree, index) == (in[i] ? &pages[i] : NULL));
			CHECK(page_tree_is_dirty(&tree, index) == dirty[i]);
			CHECK_EQ(tree.count, count);
			i = (unsigned)(unit_random() % N);
			next = i * scale;
			for (k = i; k < N && !in[k]; k++)
				;
			found = page_tree_next(&tree, &next, UINT64_MAX, false);
			CHECK(found == (k < N ? &pages[k] : NULL) && (!found || next == k * scale));
			next = i * scale;
			for (k = i; k < N && !dirty[k]; k++)
				;
			found = page_tree_next(&tree, &next, UINT64_MAX, true);
			CHECK(found == (k < N ? &pages[k] : NULL) && (!found || next == k * scale));
		}
		for (unsigned i = 0; i < N; i++) {
			if (in[i])
				page_tree_remove(&tree, i * scale);
			in[i] = dirty[i] = false;
		}
		CHECK(!tree.root && !tree.count && !tree.dirty);
	}
}
