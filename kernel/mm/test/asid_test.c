/* SPDX-License-Identifier: MIT */
/* Identifiers of address spaces: when what a CPU remembers may be used again. */

#include "../asid.h"

#include "unit/unit.h"

enum { SPACE = 7, OTHER = 8, COUNT = 3 };

static struct asid_set set;

static bool keeps(uint64_t koid, bool unified, uint64_t space, uint64_t slots)
{
	struct asid_stamp stamp = { space, slots };
	bool keep;

	CHECK(asid_choose(&set, COUNT, koid, unified, stamp, &keep) <= COUNT);
	return keep;
}

static void start(void)
{
	set = (struct asid_set){ 0 };
}

TEST(a_root_is_remembered_until_a_shootdown)
{
	start();
	CHECK(!keeps(SPACE, false, 5, 0));
	CHECK(!keeps(OTHER, false, 5, 0));
	CHECK(keeps(SPACE, false, 5, 0));
	CHECK(!keeps(SPACE, false, 6, 0));
	CHECK(keeps(SPACE, false, 6, 0));
}

TEST(the_two_roots_of_a_space_are_two)
{
	start();
	CHECK(!keeps(SPACE, false, 5, 3));
	CHECK(!keeps(SPACE, true, 5, 3));
	CHECK(keeps(SPACE, false, 5, 4));	/* it has no slot */
	CHECK(!keeps(SPACE, true, 5, 4));
}

TEST(the_oldest_is_forgotten_when_there_are_too_many)
{
	start();
	for (uint64_t koid = 1; koid <= COUNT + 1; koid++)
		CHECK(!keeps(koid, false, 0, 0));
	CHECK(keeps(2, false, 0, 0));
	CHECK(!keeps(1, false, 0, 0));
}

TEST(a_shootdown_carried_out_here_is_followed)
{
	start();
	(void)keeps(SPACE, true, 5, 3);
	asid_flushed(&set, SPACE, false, (struct asid_stamp){ 6, 0 });
	(void)keeps(OTHER, true, 9, 3);
	CHECK(keeps(SPACE, true, 6, 3));
	asid_flushed(&set, OTHER, true, (struct asid_stamp){ 10, 4 });	/* whose slot it has */
	CHECK(keeps(SPACE, true, 6, 4));
}

TEST(one_that_was_missed_is_not_hidden_by_the_next)
{
	start();
	(void)keeps(SPACE, true, 5, 3);
	asid_flushed(&set, SPACE, false, (struct asid_stamp){ 7, 0 });
	CHECK(!keeps(SPACE, true, 7, 3));
	asid_flushed(&set, OTHER, true, (struct asid_stamp){ 1, 5 });
	CHECK(!keeps(SPACE, true, 7, 5));
}

TEST(what_is_not_loaded_follows_nothing)
{
	start();
	(void)keeps(SPACE, true, 5, 3);
	set.loaded = 0;
	asid_flushed(&set, OTHER, true, (struct asid_stamp){ 1, 4 });
	CHECK(!keeps(SPACE, true, 5, 4));
}

TEST(a_shootdown_of_another_space_is_not_ones_own)
{
	start();
	(void)keeps(SPACE, false, 5, 0);
	asid_flushed(&set, OTHER, false, (struct asid_stamp){ 6, 0 });
	CHECK(!keeps(SPACE, false, 6, 0));
}
