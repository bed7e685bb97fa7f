/* SPDX-License-Identifier: MIT */
/* Which pages come back: the clock of reclaim is set by hand. */
#include <stdlib.h>

#include "abi/calls.h"
#include "test/host/rig_test.h"

enum { PAGES = 1024, CACHED = 64 };	/* of memory; of the page cache */

#define PAGE ((uint64_t)K_PAGE_SIZE)

static struct lx_super sb = { .dev = 7 };
static struct lx_inode inode = { .sb = &sb, .ino = 1 }, other = { .sb = &sb, .ino = 2 };
static uint64_t evicted;
static unsigned int lookups;

/* -- what workingset.c stands on */

uint64_t lx_reclaim_evicted(void)
{
	return evicted;
}

k_status_t k_system_info(struct k_system_info *info)
{
	*info = (struct k_system_info){ .cached_bytes = CACHED * PAGE };
	return K_OK;
}

k_status_t rt_memory_read(struct rt_memory *m, uint64_t offset, void *dst, size_t n, size_t *done)
{
	lookups++;
	return K_OK;
}

void *rt_zalloc(size_t size)
{
	static void *table;		/* of the test before */

	free(table);
	table = calloc(1, size);
	return table;
}

void rt_mutex_lock(struct rt_mutex *m)
{
}

void rt_mutex_unlock(struct rt_mutex *m)
{
}

/* -- */

static void begin(void)
{
	CHECK_EQ(lx_workingset_start(PAGES * PAGE), 0);
	evicted = 1000;
	lookups = 0;
}

static uint64_t filled(struct lx_inode *of, uint64_t page, uint64_t n)
{
	return lx_workingset_filled(of, page * PAGE, n * PAGE);
}

TEST(what_is_read_first_is_no_refault)
{
	begin();
	CHECK_EQ(filled(&inode, 0, 64), 0);
	CHECK_EQ(filled(&inode, 64, 8), 0);
	CHECK_EQ(filled(&inode, 72, 8), 0);	/* the other half of a block */
	CHECK_EQ(filled(&other, 0, 64), 0);
	CHECK_EQ(lookups, 0);
}

TEST(each_page_that_was_there_counts)
{
	uint64_t refaults = lx_workingset_refaults(), activations = lx_workingset_activations();

	begin();
	CHECK_EQ(filled(&inode, 3, 20), 0);	/* 3 to 22: parts of two blocks */
	evicted += CACHED;
	CHECK_EQ(filled(&inode, 0, 32), 20);
	CHECK_EQ(lookups, 20);
	CHECK_EQ(filled(&inode, 0, 32), 32);
	CHECK_EQ(lx_workingset_refaults() - refaults, 52);
	CHECK_EQ(lx_workingset_activations() - activations, 52);
}

TEST(what_was_gone_for_long_has_no_place_in_the_cache)
{
	begin();
	CHECK_EQ(filled(&inode, 0, 16), 0);
	evicted += 2 * CACHED - 1;
	CHECK_EQ(filled(&inode, 0, 16), 16);
	CHECK_EQ(lookups, 16);
	evicted += 2 * CACHED;			/* counts, and is not kept longer */
	CHECK_EQ(filled(&inode, 0, 16), 16);
	CHECK_EQ(lookups, 16);
	evicted += PAGES - 1;
	CHECK_EQ(filled(&inode, 0, 16), 16);
	evicted += PAGES;			/* nor would it have stayed in all of memory */
	CHECK_EQ(filled(&inode, 0, 16), 0);
	CHECK_EQ(lookups, 16);
}

TEST(the_clock_may_wrap)
{
	begin();
	evicted = UINT32_MAX - 10ull;
	CHECK_EQ(filled(&inode, 0, 16), 0);
	evicted += 20;
	CHECK_EQ(filled(&inode, 0, 16), 16);
}

/* A file as large as can be remembered is, nearly; of one that is much larger the table keeps the end. */
TEST(as_much_is_remembered_as_there_is_room)
{
	begin();
	CHECK_EQ(filled(&inode, 0, PAGES), 0);
	CHECK(filled(&inode, 0, PAGES) > PAGES / 2);
	for (uint64_t page = 0; page < 64 * PAGES; page += 16, evicted++)
		CHECK_EQ(filled(&other, page, 16), 0);
	evicted -= 4 * PAGES;
	CHECK(filled(&inode, 0, PAGES) < PAGES / 2);
}
