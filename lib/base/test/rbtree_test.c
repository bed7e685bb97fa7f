/* SPDX-License-Identifier: MIT */
/*
 * Random insertions and removals against a plain array; after each step the
 * tree's invariants, its order, and the augmented sum of every node.
 */
#include <stdint.h>

#include "base/rbtree.h"
#include "unit/unit.h"

struct item {
	struct rb_node node;
	uint64_t key, sum;
};

static struct item *item_of(struct rb_node *n)
{
	return rb_entry(n, struct item, node);
}

static void update_sum(struct rb_node *n)
{
	struct item *i = item_of(n);

	i->sum = i->key;
	if (n->left)
		i->sum += item_of(n->left)->sum;
	if (n->right)
		i->sum += item_of(n->right)->sum;
}

static void insert(struct rb_tree *t, struct item *i)
{
	struct rb_node **link = &t->root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = i->key < item_of(parent)->key ? &parent->left : &parent->right;
	}
	rb_insert(t, &i->node, parent, link);
}

static void check(struct rb_tree *t, size_t count)
{
	struct item *i, *prev = NULL;
	size_t n = 0;

	CHECK(rb_check(t));
	rb_for_each_entry(i, t, node) {
		uint64_t sum = i->sum;

		update_sum(&i->node);
		CHECK(sum == i->sum);
		CHECK(!prev || prev->key <= i->key);
		CHECK(!prev || rb_prev_entry(i, node) == prev);
		prev = i;
		n++;
	}
	CHECK(rb_last_entry(t, struct item, node) == prev);
	CHECK_EQ(n, count);
}

TEST(rbtree_random_operations)
{
	enum { N = 300, STEPS = 20000 };
	static struct item items[N];
	struct rb_tree t = { .update = update_sum };
	size_t count = 0;

	for (int i = 0; i < N; i++)
		rb_node_init(&items[i].node);
	for (int step = 0; step < STEPS; step++) {
		struct item *i = &items[unit_random() % N];

		if (rb_is_linked(&i->node)) {
			rb_remove(&t, &i->node);
			count--;
		} else {
			i->key = unit_random() % 1000;
			insert(&t, i);
			count++;
		}
		if (step % 64 == 0 || count < 8)
			check(&t, count);
	}
}

TEST(rbtree_replace_keeps_place)
{
	struct rb_tree t = { .update = update_sum };
	struct item i[5] = { { .key = 1 }, { .key = 2 }, { .key = 3 }, { .key = 4 }, { .key = 3 } };

	for (int n = 0; n < 4; n++)
		insert(&t, &i[n]);
	rb_node_init(&i[4].node);
	rb_replace(&t, &i[2].node, &i[4].node);
	CHECK(!rb_is_linked(&i[2].node));
	check(&t, 4);
	i[4].key = 3;
	rb_update(&t, &i[4].node);
	check(&t, 4);
}
