/* SPDX-License-Identifier: MIT */
/* The page allocator and the heap: nothing is given out twice, everything comes back. */

#include "sim.h"

#include <string.h>

#include "kernel/kmem.h"
#include "unit/unit.h"

TEST(blocks_never_overlap_and_join_again)
{
	enum { N = 600 };
	static struct { struct page *page; unsigned order; } held[N];
	static uint8_t used[SIM_MEMORY / K_PAGE_SIZE];
	uint64_t before;

	sim_start();
	before = sim_free_pages();
	for (unsigned step = 0; step < 40000; step++) {
		unsigned i = (unsigned)(unit_random() % N);
		unsigned order = unit_random() % 3 ? 0 : (unsigned)(unit_random() % (PAGE_MAX_ORDER - 2));

		if (held[i].page) {
			for (unsigned k = 0; k < 1u << held[i].order; k++)
				used[page_frame(held[i].page) + k]--;
			page_free(held[i].page, held[i].order);
			held[i].page = NULL;
			continue;
		}
		held[i].order = order;
		held[i].page = page_alloc(order, 0, PAGE_KERNEL, NULL);
		if (!held[i].page)
			continue;
		CHECK_EQ(page_frame(held[i].page) % (1u << order), 0);
		for (unsigned k = 0; k < 1u << order; k++)
			CHECK_EQ(used[page_frame(held[i].page) + k]++, 0);
	}
	for (unsigned i = 0; i < N; i++) {
		if (held[i].page)
			page_free(held[i].page, held[i].order);
		held[i].page = NULL;
	}
	/* What was reached meanwhile costs metadata. */
	CHECK(before - sim_free_pages() <= SIM_MEMORY / K_PAGE_SIZE / 100);
	/* Everything joins to the largest blocks again; the first round may reach sections. */
	for (unsigned round = 0; round < 2; round++) {
		before = sim_free_pages();
		for (unsigned i = 0; i < 8; i++)
			REQUIRE((held[i].page = page_alloc(PAGE_MAX_ORDER, 0, PAGE_KERNEL, NULL)));
		for (unsigned i = 0; i < 8; i++)
			page_free(held[i].page, PAGE_MAX_ORDER);
	}
	CHECK_EQ(sim_free_pages(), before);
	memset(held, 0, sizeof(held));
}

TEST(memory_runs_out_and_comes_back)
{
	struct page *list = NULL, *page;
	uint64_t before, n = 0;

	sim_start();
	before = sim_free_pages();
	while ((page = page_alloc(0, 0, PAGE_KERNEL, NULL))) {
		page->priv[0] = (uint64_t)(uintptr_t)list;
		list = page;
		n++;
	}
	CHECK(n > before * 95 / 100);
	/* The reserve is for those who may. */
	page = page_alloc(0, PAGE_ALLOC_RESERVE, PAGE_KERNEL, NULL);
	CHECK(page);
	page_free(page, 0);
	while ((page = list)) {
		list = (struct page *)(uintptr_t)page->priv[0];
		page_free(page, 0);
	}
	CHECK(sim_free_pages() >= before - 256);
	page = page_alloc_range(700, PAGE_ALLOC_ZERO | PAGE_ALLOC_LOW_4G, PAGE_OBJECT, NULL);
	REQUIRE(page);
	before = sim_free_pages();
	for (unsigned i = 0; i < 700; i++)
		page_put(page + i);
	CHECK_EQ(sim_free_pages(), before + 700);
}

TEST(heap_blocks_keep_their_contents)
{
	enum { N = 700 };
	static struct { unsigned char *p; size_t size; unsigned char fill; } held[N];
	uint64_t before;

	sim_start();
	before = sim_free_pages();
	for (unsigned step = 0; step < 60000; step++) {
		unsigned i = (unsigned)(unit_random() % N);
		size_t size = unit_random() % (unit_random() % 20 ? 600 : 20000);

		if (!held[i].p) {
			held[i].p = kmalloc(size);
			REQUIRE(held[i].p);
			CHECK_EQ((uintptr_t)held[i].p % 16, 0);
			CHECK(kmalloc_size(held[i].p) >= size);
			held[i].size = size;
			held[i].fill = (unsigned char)step;
			memset(held[i].p, held[i].fill, size);
			continue;
		}
		for (size_t k = 0; k < held[i].size; k++)
			CHECK_EQ(held[i].p[k], held[i].fill);
		if (unit_random() & 1) {
			kfree(held[i].p);
			held[i].p = NULL;
		} else {
			held[i].p = krealloc(held[i].p, size);
			REQUIRE(held[i].p);
			for (size_t k = 0; k < MIN(size, held[i].size); k++)
				CHECK_EQ(held[i].p[k], held[i].fill);
			memset(held[i].p, held[i].fill, size);
			held[i].size = size;
		}
	}
	for (unsigned i = 0; i < N; i++) {
		kfree(held[i].p);
		held[i].p = NULL;
	}
	CHECK(before - sim_free_pages() < 400);
	before = sim_free_pages();
	kfree(kmalloc(100));
	CHECK_EQ(sim_free_pages(), before);
}

TEST(slabs_go_back_when_they_are_empty)
{
	static void *objects[5000];
	uint64_t before = 0;

	sim_start();
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(objects); i++)
			REQUIRE((objects[i] = kmalloc(100)));
		/* In an order that leaves slabs half empty in between. */
		for (unsigned k = 0; k < 7; k++)
			for (unsigned i = k; i < ARRAY_SIZE(objects); i += 7)
				kfree(objects[i]);
		if (round)
			CHECK_EQ(sim_free_pages(), before);
		before = sim_free_pages();
	}
}

TEST(half_empty_slabs_are_used_again)
{
	static void *objects[4000];
	struct page_stats full, again;

	sim_start();
	for (unsigned i = 0; i < ARRAY_SIZE(objects); i++)
		REQUIRE((objects[i] = kmalloc(100)));
	page_stats(&full);
	for (unsigned i = 0; i < ARRAY_SIZE(objects); i += 2)
		kfree(objects[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(objects); i += 2)
		REQUIRE((objects[i] = kmalloc(100)));
	page_stats(&again);
	CHECK(again.kinds[PAGE_SLAB] <= full.kinds[PAGE_SLAB] + 1);
	for (unsigned i = 0; i < ARRAY_SIZE(objects); i++)
		kfree(objects[i]);
}
