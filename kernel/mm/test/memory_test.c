/* SPDX-License-Identifier: MIT */
/* Memory objects: write-back, slices, ends, pins, eviction. */

#include "spaces.h"

#include <string.h>

#include "kernel/fault.h"
#include "unit/unit.h"

TEST(first_writes_to_clean_pages_are_noticed)
{
	struct space *space = new_space();
	struct k_memory_info info;
	struct memory *memory;
	struct k_clean clean = { .length = 1 << 20, .action = K_CLEAN_TAKE };
	struct k_fault fault;
	uint64_t value = 1;

	REQUIRE(memory_create(sim_group, 8 * K_PAGE_SIZE, K_MEMORY_WRITE_FAULTS, &memory) == K_OK);
	CHECK_EQ(map_at(space, BASE, 8, K_MAP_SHARED, memory, NULL), K_OK);
	CHECK_EQ(sim_read(space, BASE + K_PAGE_SIZE, &value), K_OK);
	CHECK_EQ(sim_access(space, BASE + K_PAGE_SIZE, true, &value, &fault), K_ERR_NEED_PAGE);
	CHECK_EQ(fault.access, K_PROT_WRITE);
	CHECK_EQ(fault.offset, K_PAGE_SIZE);
	CHECK_EQ(memory_clean(memory, &(struct k_clean){ K_PAGE_SIZE, K_PAGE_SIZE, K_CLEAN_MARK, 0 }),
		 K_OK);
	CHECK_EQ(sim_access(space, BASE + K_PAGE_SIZE, true, &value, &fault), K_OK);
	memory_info(memory, &info);
	CHECK_EQ(info.dirty_pages, 1);
	CHECK_EQ(memory_clean(memory, &clean), K_OK);
	CHECK_EQ(clean.offset, K_PAGE_SIZE);
	CHECK_EQ(clean.length, K_PAGE_SIZE);
	CHECK_EQ(sim_access(space, BASE + K_PAGE_SIZE, true, &value, &fault), K_ERR_NEED_PAGE);
	object_put(&space->object);
	object_put(&memory->object);
}

TEST(slices_share_pages_and_cannot_be_written)
{
	struct space *space = new_space();
	struct memory *memory, *slice, *part;
	uint64_t value = 99, done;
	struct k_map map = { .addr = BASE, .length = 2 * K_PAGE_SIZE, .prot = K_PROT_READ,
			     .max_prot = K_PROT_READ, .flags = K_MAP_FIXED | K_MAP_SHARED };

	REQUIRE(memory_create(sim_group, 8 * K_PAGE_SIZE, 0, &memory) == K_OK);
	CHECK_EQ(memory_write(memory, 5 * K_PAGE_SIZE, &value, 8, false, &done), K_OK);
	CHECK_EQ(memory_slice(memory, 7 * K_PAGE_SIZE, 2 * K_PAGE_SIZE, &slice), K_ERR_BEYOND_END);
	REQUIRE(memory_slice(memory, 3 * K_PAGE_SIZE, 4 * K_PAGE_SIZE, &slice) == K_OK);
	REQUIRE(memory_slice(slice, K_PAGE_SIZE, K_PAGE_SIZE + 100, &part) == K_OK);
	CHECK_EQ(memory_write(part, 0, &value, 8, false, &done), K_ERR_ACCESS);
	value = 0;
	CHECK_EQ(memory_read(part, K_PAGE_SIZE, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 99);
	CHECK_EQ(memory_read(part, K_PAGE_SIZE + 96, &value, 8, false, &done), K_ERR_BEYOND_END);
	CHECK_EQ(done, 4);
	CHECK_EQ(space_map(space, &map, part, NULL), K_OK);
	CHECK_EQ(sim_read(space, BASE + K_PAGE_SIZE, &value), K_OK);
	CHECK_EQ(value, 99);
	/* Truncating the parent reaches mappings of the slice. */
	CHECK_EQ(memory_resize(memory, 5 * K_PAGE_SIZE), K_OK);
	CHECK_EQ(sim_read(space, BASE + K_PAGE_SIZE, &value), K_ERR_BEYOND_END);
	object_put(&part->object);
	object_put(&slice->object);
	object_put(&memory->object);
	object_put(&space->object);
}

TEST(what_lies_behind_the_end_is_zero)
{
	uint64_t page[K_PAGE_SIZE / 8], value, done;
	struct memory *memory;

	sim_start();
	/* Pages that were used before are not zero by chance. */
	for (unsigned i = 0; i < 64; i++) {
		struct page *p = page_alloc(0, 0, PAGE_KERNEL, NULL);

		REQUIRE(p);
		memset(page_virt(p), 0xee, K_PAGE_SIZE);
		page_free(p, 0);
	}
	memset(page, 0x11, sizeof(page));
	REQUIRE(memory_create(sim_group, 100, K_MEMORY_PAGED, &memory) == K_OK);
	CHECK_EQ(memory_write(memory, 0, page, 100, false, &done), K_OK);
	CHECK_EQ(memory_resize(memory, 2 * K_PAGE_SIZE), K_OK);
	CHECK_EQ(memory_read(memory, 104, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 0);
	CHECK_EQ(memory_write(memory, 0, page, sizeof(page), false, &done), K_OK);
	CHECK_EQ(memory_resize(memory, 104), K_OK);
	CHECK_EQ(memory_resize(memory, 2 * K_PAGE_SIZE), K_OK);
	CHECK_EQ(memory_read(memory, 104, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 0);
	CHECK_EQ(memory_read(memory, 96, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 0x1111111111111111);
	CHECK_EQ(memory_supply(memory, K_PAGE_SIZE, page, 8, false), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(memory_resize(memory, K_PAGE_SIZE + 8), K_OK);
	CHECK_EQ(memory_supply(memory, K_PAGE_SIZE, page, 8, false), K_OK);
	CHECK_EQ(memory_resize(memory, 2 * K_PAGE_SIZE), K_OK);
	CHECK_EQ(memory_read(memory, K_PAGE_SIZE + 8, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 0);
	object_put(&memory->object);
}

TEST(pinned_pages_stay_and_are_counted)
{
	struct memory *memory;
	paddr_t pages[4];
	struct k_evict evict = { .length = K_PAGE_SIZE };

	sim_start();
	REQUIRE(memory_create(sim_group, 4 * K_PAGE_SIZE, 0, &memory) == K_OK);
	CHECK_EQ(memory_pin(memory, K_PAGE_SIZE, 4 * K_PAGE_SIZE, pages), K_ERR_BEYOND_END);
	CHECK_EQ(memory_pin(memory, 0, 4 * K_PAGE_SIZE, pages), K_OK);
	CHECK_EQ(atomic_load(&memory->pins), 4);
	/* Taken out of the object, but not freed. */
	CHECK_EQ(memory_resize(memory, 0), K_OK);
	CHECK_EQ(atomic_load(&phys_to_page(pages[3])->refs), 1);
	memory_unpin(memory, pages, 4);
	CHECK_EQ(atomic_load(&memory->pins), 0);
	CHECK_EQ(memory_evict(memory, &evict), K_ERR_BAD_ARGUMENT);
	object_put(&memory->object);
}

/* What is freed of pages [0, 4) if those used lately stay. */
static uint64_t evict_cold(struct memory *memory)
{
	struct k_evict evict = { .length = 4 * K_PAGE_SIZE, .flags = K_EVICT_COLD };

	CHECK_EQ(memory_evict(memory, &evict), K_OK);
	CHECK(!evict.length && evict.offset == 4 * K_PAGE_SIZE);
	return evict.freed;
}

TEST(cold_pages_are_evicted_before_hot_ones)
{
	static char data[4 * K_PAGE_SIZE];
	struct memory *memory;
	struct k_evict evict = { .length = 4 * K_PAGE_SIZE, .scan = 1 };
	uint64_t done;

	sim_start();
	REQUIRE(memory_create(sim_group, 4 * K_PAGE_SIZE, K_MEMORY_PAGED, &memory) == K_OK);
	CHECK_EQ(memory_supply(memory, 0, data, sizeof(data), false), K_OK);
	/* Page 0 is never used, page 1 once, page 2 twice, page 3 again and again. */
	CHECK_EQ(memory_read(memory, K_PAGE_SIZE, data, 3 * K_PAGE_SIZE, false, &done), K_OK);
	CHECK_EQ(memory_read(memory, 2 * K_PAGE_SIZE, data, 2 * K_PAGE_SIZE, false, &done), K_OK);
	CHECK_EQ(evict_cold(memory), 2);
	CHECK_EQ(memory_read(memory, 3 * K_PAGE_SIZE, data, K_PAGE_SIZE, false, &done), K_OK);
	CHECK_EQ(evict_cold(memory), 1);
	CHECK_EQ(memory_read(memory, 3 * K_PAGE_SIZE, data, K_PAGE_SIZE, false, &done), K_OK);
	CHECK_EQ(evict_cold(memory), 0);
	CHECK_EQ(evict_cold(memory), 1);
	/* Without that flag all that are clean go, as far as asked. */
	CHECK_EQ(memory_supply(memory, 0, data, sizeof(data), false), K_OK);
	CHECK_EQ(memory_read(memory, 0, data, sizeof(data), false, &done), K_OK);
	CHECK_EQ(memory_evict(memory, &evict), K_OK);
	CHECK(evict.freed == 1 && evict.scan == 1 && evict.offset == K_PAGE_SIZE &&
	      evict.length == 3 * K_PAGE_SIZE);
	object_put(&memory->object);
}

TEST(pages_of_locked_mappings_are_not_evicted)
{
	static char data[4 * K_PAGE_SIZE];
	struct k_map map = { .addr = BASE, .length = 4 * K_PAGE_SIZE, .prot = K_PROT_READ,
			     .max_prot = K_PROT_READ, .flags = K_MAP_FIXED | K_MAP_SHARED };
	struct k_evict evict = { .length = 4 * K_PAGE_SIZE };
	struct memory *memory;
	struct space *space;

	sim_start();
	REQUIRE(memory_create(sim_group, 4 * K_PAGE_SIZE, K_MEMORY_PAGED, &memory) == K_OK);
	CHECK_EQ(memory_supply(memory, 0, data, sizeof(data), false), K_OK);
	REQUIRE(space_create(sim_group, K_SPACE_PROGRAM, 0, &space) == K_OK);
	CHECK_EQ(space_map(space, &map, memory, NULL), K_OK);
	CHECK_EQ(fault_handle(space, BASE, K_PROT_READ, NULL), K_OK);
	CHECK_EQ(space_advise(space, BASE, 4 * K_PAGE_SIZE, K_ADVISE_LOCK), K_OK);
	CHECK_EQ(memory_evict(memory, &evict), K_OK);
	CHECK_EQ(evict.freed, 0);
	CHECK_EQ(space_advise(space, BASE, 4 * K_PAGE_SIZE, K_ADVISE_UNLOCK), K_OK);
	/* Mapped only: they stay if so wished; ... */
	evict = (struct k_evict){ .length = 4 * K_PAGE_SIZE, .flags = K_EVICT_UNMAPPED };
	CHECK_EQ(memory_evict(memory, &evict), K_OK);
	CHECK_EQ(evict.freed, 0);
	/* ... else the first look takes them out of the mapping. */
	for (int look = 0; look < 4; look++)
		evict_cold(memory);
	CHECK_EQ(memory->pages.count, 0);
	object_put(&space->object);
	object_put(&memory->object);
}
