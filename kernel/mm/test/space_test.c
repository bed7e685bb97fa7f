/* SPDX-License-Identifier: MIT */
/* Spaces: what holds of their regions, tables and identifiers. */

#include "spaces.h"

#include "kernel/backing.h"
#include "kernel/fault.h"
#include "kernel/kmem.h"
#include "unit/unit.h"

TEST(adjacent_anonymous_mappings_become_one_region)
{
	struct space *space = new_space();
	struct k_space_info info;

	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(map_at(space, BASE + (i ^ 1) * 4 * K_PAGE_SIZE, 4, 0, NULL, NULL), K_OK);
	space_info(space, &info);
	CHECK_EQ(info.regions, 1);
	CHECK_EQ(space_protect(space, BASE + 8 * K_PAGE_SIZE, K_PAGE_SIZE, K_PROT_READ), K_OK);
	space_info(space, &info);
	CHECK_EQ(info.regions, 3);
	CHECK_EQ(space_protect(space, BASE + 8 * K_PAGE_SIZE, K_PAGE_SIZE,
			       K_PROT_READ | K_PROT_WRITE), K_OK);
	space_info(space, &info);
	CHECK_EQ(info.regions, 1);
	object_put(&space->object);
}

TEST(a_written_page_is_reused_when_the_other_side_is_gone)
{
	struct space *space = new_space(), *child;
	const arch_pte_t *pte;
	paddr_t before;

	CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
	CHECK_EQ(sim_write(space, BASE, 7), K_OK);
	pte = table_find(space->root, BASE);
	before = arch_pte_paddr(*pte);
	REQUIRE(space_clone(space, &child) == K_OK);
	CHECK(!arch_pte_writable(*pte));
	object_put(&child->object);
	CHECK_EQ(sim_write(space, BASE, 8), K_OK);
	CHECK_EQ(arch_pte_paddr(*pte), before);
	object_put(&space->object);
}

TEST(a_page_pinned_in_a_space_stays_there)
{
	struct space *space = new_space(), *child;
	struct page *page = NULL;
	const uint64_t *word;
	uint64_t value = 0;

	CHECK_EQ(space_pin(space, BASE, &page), K_ERR_NOT_FOUND);
	CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
	REQUIRE(space_pin(space, BASE + 8, &page) == K_OK);
	word = page_virt(page);
	CHECK_EQ(sim_write(space, BASE, 7), K_OK);
	CHECK_EQ(*word, 7);
	/* The clone has a copy; neither this nor a change of protection makes one for the space. */
	REQUIRE(space_clone(space, &child) == K_OK);
	CHECK_EQ(sim_write(space, BASE, 8), K_OK);
	CHECK_EQ(*word, 8);
	CHECK_EQ(sim_read(child, BASE, &value), K_OK);
	CHECK_EQ(value, 7);
	CHECK_EQ(space_protect(space, BASE, K_PAGE_SIZE, K_PROT_READ), K_OK);
	CHECK_EQ(space_protect(space, BASE, K_PAGE_SIZE, K_PROT_READ | K_PROT_WRITE), K_OK);
	CHECK_EQ(sim_write(space, BASE, 9), K_OK);
	CHECK_EQ(*word, 9);
	space_check(space);
	space_check(child);
	object_put(&child->object);
	/* Unmapped, it is the kernel's alone. */
	CHECK_EQ(space_unmap(space, BASE, K_PAGE_SIZE), K_OK);
	CHECK_EQ(atomic_load(&page->refs), 1);
	CHECK_EQ(*word, 9);
	space_unpin(space, page);
	object_put(&space->object);
}

TEST(a_stack_grows_to_its_limit_and_keeps_its_guard)
{
	struct space *space = new_space();
	uint64_t top = 1ull << 40, value;

	CHECK_EQ(map_at(space, top - 2 * K_PAGE_SIZE, 2, K_MAP_GROWS_DOWN, NULL, NULL), K_OK);
	CHECK_EQ(sim_write(space, top - 64 * K_PAGE_SIZE, 1), K_OK);
	CHECK_EQ(sim_write(space, top - 64 * K_PAGE_SIZE - 8, 1), K_ERR_NOT_FOUND);
	CHECK_EQ(space_unmap(space, top - 64 * K_PAGE_SIZE, 62 * K_PAGE_SIZE), K_OK);
	/* Something accessible closer than the guard stops the growth. */
	CHECK_EQ(map_at(space, top - 200 * K_PAGE_SIZE, 1, 0, NULL, NULL), K_OK);
	CHECK_EQ(sim_read(space, top - 20 * K_PAGE_SIZE, &value), K_ERR_NOT_FOUND);
	object_put(&space->object);
}

TEST(backings_are_reaped_when_the_last_region_goes)
{
	struct space *space = new_space(), *child;
	struct reap_list *list = reap_list_create();
	struct memory *memory;
	struct backing *backing;
	uint64_t cookie = 0;

	REQUIRE(list && memory_create(sim_group, 8 * K_PAGE_SIZE, 0, &memory) == K_OK);
	REQUIRE(backing_create(list, NULL, memory, 42, &backing) == K_OK);
	CHECK_EQ(map_at(space, BASE, 8, K_MAP_SHARED, NULL, backing), K_OK);
	CHECK_EQ(space_unmap(space, BASE + 3 * K_PAGE_SIZE, K_PAGE_SIZE), K_OK);
	REQUIRE(space_clone(space, &child) == K_OK);
	CHECK_EQ(atomic_load(&backing->regions), 4);
	object_put(&space->object);
	CHECK_EQ(backing_reap(list, &cookie, 1), 0);
	object_put(&child->object);
	/* Mapped again before it is reaped: alive. */
	space = new_space();
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED, NULL, backing), K_OK);
	CHECK_EQ(backing_reap(list, &cookie, 1), 0);
	object_put(&space->object);
	CHECK_EQ(backing_reap(list, &cookie, 1), 1);
	CHECK_EQ(cookie, 42);
	space = new_space();
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED, NULL, backing), K_ERR_CLOSED);
	object_put(&space->object);
	object_put(&backing->object);
	object_put(&memory->object);
	reap_list_put(list);
}

/* Its owner knows, and may have another with the same cookie by the time it would be told. */
TEST(a_backing_that_could_not_be_mapped_is_not_reaped)
{
	struct space *space = new_space();
	struct reap_list *list = reap_list_create();
	struct backing *backing;
	struct memory *memory;
	uint64_t cookie = 0;

	REQUIRE(list && memory_create(sim_group, 8 * K_PAGE_SIZE, 0, &memory) == K_OK);
	REQUIRE(backing_create(list, NULL, memory, 42, &backing) == K_OK);
	CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
	for (int tries = 0; tries < 2; tries++)
		CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED | K_MAP_NO_REPLACE, NULL, backing), K_ERR_EXISTS);
	CHECK_EQ(backing_reap(list, &cookie, 1), 0);
	CHECK_EQ(atomic_load(&backing->object.refs.value), 1);
	/* One that was mapped before is, whatever comes last. */
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED, NULL, backing), K_OK);
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED | K_MAP_NO_REPLACE, NULL, backing), K_ERR_EXISTS);
	CHECK_EQ(space_unmap(space, BASE, K_PAGE_SIZE), K_OK);
	CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED | K_MAP_NO_REPLACE, NULL, backing), K_ERR_EXISTS);
	CHECK_EQ(backing_reap(list, &cookie, 1), 1);
	CHECK_EQ(cookie, 42);
	object_put(&space->object);
	object_put(&backing->object);
	object_put(&memory->object);
	reap_list_put(list);
}

TEST(hostile_arguments_are_refused)
{
	static const uint64_t odd[] = { 0, 1, 4095, 4096, 4097, 1ull << 47, (1ull << 47) - 4096,
					1ull << 63, UINT64_MAX, UINT64_MAX - 4095, BASE };
	struct space *space = new_space();
	struct memory *memory;

	REQUIRE(memory_create(sim_group, 8 * K_PAGE_SIZE, 0, &memory) == K_OK);
	for (unsigned i = 0; i < 40000; i++) {
		uint64_t a = odd[pick(ARRAY_SIZE(odd))], b = odd[pick(ARRAY_SIZE(odd))], done;
		struct k_map map = { .addr = a, .length = b, .prot = (uint32_t)pick(9),
				     .max_prot = (uint32_t)pick(9), .flags = (uint32_t)pick(1 << 13),
				     .offset = odd[pick(ARRAY_SIZE(odd))],
				     .min = odd[pick(ARRAY_SIZE(odd))],
				     .max = odd[pick(ARRAY_SIZE(odd))],
				     .limit = odd[pick(ARRAY_SIZE(odd))] };
		struct k_move move = { a, b, odd[pick(ARRAY_SIZE(odd))], odd[pick(ARRAY_SIZE(odd))],
				       (uint32_t)pick(9), 0, map.min, map.max };
		struct k_clean clean = { a, b, (uint32_t)pick(4), 0 };
		uint8_t bytes[8];

		map.flags &= ~(uint32_t)K_MAP_POPULATE;
		switch (pick(12)) {
		case 0: (void)!space_map(space, &map, pick(2) ? memory : NULL, NULL); break;
		case 1: (void)!space_unmap(space, a, b); break;
		case 2: (void)!space_protect(space, a, b, (uint32_t)pick(9)); break;
		case 3: (void)!space_move(space, &move); break;
		case 4: (void)!fault_handle(space, a, (uint32_t)pick(9), NULL); break;
		case 5: (void)!space_advise(space, a, MIN(b, 1ull << 20), (uint32_t)pick(14)); break;
		case 6: (void)!space_read(space, a, bytes, sizeof(bytes), &done); break;
		case 7: (void)!memory_discard(memory, a, b); break;
		case 8: (void)!memory_clean(memory, &clean); break;
		case 9: (void)!memory_next(memory, a, (uint32_t)pick(4), &done); break;
		case 10: (void)!memory_write(memory, a, bytes, sizeof(bytes), false, &done); break;
		default: (void)!memory_resize(memory, MIN(b, 1ull << 62)); break;
		}
		if (i % 64 == 0)
			space_check(space);
	}
	object_put(&memory->object);
	object_put(&space->object);
}

TEST(tables_shared_with_untouched_neighbours_are_freed_at_the_end)
{
	for (unsigned above = 0; above < 2; above++) {
		struct space *space = new_space();
		uint64_t touched = BASE + above * 8 * K_PAGE_SIZE;

		CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
		CHECK_EQ(map_at(space, BASE + 8 * K_PAGE_SIZE, 1, 0, NULL, NULL), K_OK);
		CHECK_EQ(sim_write(space, touched, 1), K_OK);
		CHECK_EQ(space_unmap(space, touched, K_PAGE_SIZE), K_OK);
		/* space_destroy() checks that no table is left. */
		object_put(&space->object);
	}
}
