/* SPDX-License-Identifier: MIT */
#include "kernel/heap.h"

#include <stdint.h>

#include "base/util.h"
#include "unit/unit.h"

#define ITEMS 2000

static struct item {
	struct heap_node node;
	uint64_t key;
	bool in;
} items[ITEMS];

static bool item_less(const struct heap_node *a, const struct heap_node *b)
{
	return container_of(a, struct item, node)->key < container_of(b, struct item, node)->key;
}

TEST(pops_in_order)
{
	struct heap h = HEAP_INIT(item_less);
	uint64_t last = 0;

	for (int i = 0; i < ITEMS; i++) {
		items[i].key = unit_random() % 500;
		heap_insert(&h, &items[i].node);
	}
	CHECK(heap_check(&h));
	for (int i = 0; i < ITEMS; i++) {
		struct heap_node *n = heap_pop(&h);

		REQUIRE(n);
		CHECK(container_of(n, struct item, node)->key >= last);
		last = container_of(n, struct item, node)->key;
	}
	CHECK(!heap_pop(&h) && !heap_first(&h));
}

TEST(removes_from_anywhere)
{
	struct heap h = HEAP_INIT(item_less);
	int count = 0;

	for (int i = 0; i < ITEMS; i++)
		items[i].in = false;
	for (int round = 0; round < 20000; round++) {
		struct item *it = &items[unit_random() % ITEMS];

		if (it->in) {
			heap_remove(&h, &it->node);
			count--;
		} else {
			it->key = unit_random() % 100;
			heap_insert(&h, &it->node);
			count++;
		}
		it->in = !it->in;
		if (round % 500 == 0)
			CHECK(heap_check(&h));
		if (round % 7 == 0 && heap_first(&h)) {
			it = container_of(heap_pop(&h), struct item, node);
			CHECK(it->in);
			it->in = false;
			count--;
		}
	}
	CHECK(heap_check(&h));
	while (heap_pop(&h))
		count--;
	CHECK(count == 0);
}

TEST(checker_sees_disorder)
{
	struct heap h = HEAP_INIT(item_less);

	for (int i = 0; i < 3; i++) {
		items[i].key = (uint64_t)i;
		heap_insert(&h, &items[i].node);
	}
	items[0].key = 10;
	CHECK(!heap_check(&h));
}
