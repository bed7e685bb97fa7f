/* SPDX-License-Identifier: MIT */
/* Host tests of groups. */
#include "kernel/bell.h"
#include "kernel/group.h"
#include "kernel/housekeeper.h"
#include "sim.h"
#include "unit/unit.h"

static struct group *make(struct group *parent, uint64_t memory, uint64_t threads)
{
	const struct k_group_limits limits = { .memory_bytes = memory, .threads = threads };
	struct group *group = NULL;

	CHECK_EQ(group_create(parent, &limits, &group), K_OK);
	return group;
}

TEST(charges_climb_and_limits_of_any_level_hold)
{
	struct group *outer, *inner;

	sim_reset();
	outer = make(root_group, 100000, 0);
	inner = make(outer, 0, 2);
	CHECK(group_charge(inner, 10));
	CHECK_EQ(atomic_load(&inner->memory), 40960);
	CHECK(atomic_load(&outer->memory) >= 40960);
	CHECK(!group_charge(inner, 20));	/* over the outer limit */
	CHECK_EQ(atomic_load(&inner->memory), 40960);
	CHECK(group_charge_threads(inner, 2));
	CHECK(!group_charge_threads(inner, 1));
	CHECK_EQ(atomic_load(&root_group->threads), 2);
	group_uncharge_threads(inner, 2);
	group_uncharge(inner, 10);
	CHECK_EQ(atomic_load(&inner->memory), 0);
	CHECK_EQ(atomic_load(&inner->peak), 40960);
	object_put(&inner->object);
	object_put(&outer->object);
	sim_check_clean();
}

TEST(struct_outlives_its_object_while_pages_are_charged)
{
	struct group *outer, *inner;

	sim_reset();
	outer = make(root_group, 0, 0);
	inner = make(outer, 0, 0);
	CHECK(group_charge(inner, 3));
	object_put(&inner->object);
	object_put(&outer->object);
	CHECK_EQ(atomic_load(&outer->memory) >= 3 * K_PAGE_SIZE, 1);
	group_uncharge(inner, 1);
	group_uncharge(inner, 2);	/* the last one frees both: the sanitizer would tell */
	sim_check_clean();
}

TEST(depth_and_flags_are_limited)
{
	static const struct k_group_limits plain = { 0 }, reserve = { .flags = K_GROUP_RESERVE },
					   unknown = { .flags = 2 };
	struct group *chain[GROUP_DEPTH_MAX], *g;
	unsigned int n = 0;

	sim_reset();
	for (g = root_group; group_create(g, &plain, &chain[n]) == K_OK; g = chain[n++])
		REQUIRE(n + 1 < GROUP_DEPTH_MAX);
	CHECK_EQ(group_create(g, &plain, &g), K_ERR_LIMIT);
	CHECK_EQ(group_create(root_group, &unknown, &g), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(group_create(chain[0], &reserve, &g), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(group_set_limits(chain[0], &reserve), K_OK);
	CHECK(group_has_reserve(chain[0]));
	while (n--)
		object_put(&chain[n]->object);
	sim_check_clean();
}

TEST(low_memory_rings_while_it_lasts)
{
	const struct k_group_limits limits = { .low_memory_bytes = 100 * K_PAGE_SIZE };
	struct group *group;
	struct bell *bell;

	sim_reset();
	REQUIRE(group_create(root_group, &limits, &group) == K_OK);
	REQUIRE(bell_create(root_group, &bell) == K_OK);
	group_watch(group, bell, 4);
	group_memory_check();
	CHECK_EQ(bell->pending, 0);
	sim_free_pages = 99;
	group_memory_check();
	CHECK(group_memory_is_low());
	CHECK_EQ(bell->pending, 4);
	bell->pending = 0;
	group_memory_check();
	CHECK_EQ(bell->pending, 4);
	bell->pending = 0;
	sim_free_pages = 200;
	group_memory_check();
	CHECK(!bell->pending && !group_memory_is_low());
	sim_free_pages = 50;
	group_memory_check();
	CHECK_EQ(bell->pending, 4);
	object_put(&bell->object);
	object_put(&group->object);
	sim_check_clean();
}

TEST(low_quota_rings)
{
	const struct k_group_limits limits = { .low_memory_bytes = 8 * K_PAGE_SIZE,
					       .memory_bytes = 100 * K_PAGE_SIZE };
	struct group *group;
	struct bell *bell;

	sim_reset();
	REQUIRE(group_create(root_group, &limits, &group) == K_OK);
	REQUIRE(bell_create(root_group, &bell) == K_OK);
	group_watch(group, bell, 1);
	CHECK(group_charge(group, 91));
	group_memory_check();
	CHECK(!bell->pending && !group_memory_is_low());
	CHECK(group_charge(group, 8));
	CHECK(atomic_load(&group->near_limit));
	group_memory_check();
	CHECK(bell->pending == 1 && group_memory_is_low());
	bell->pending = 0;
	group_uncharge(group, 90);
	group_memory_check();
	CHECK(!bell->pending && !group_memory_is_low() && !atomic_load(&group->near_limit));
	group_uncharge(group, 9);
	object_put(&bell->object);
	object_put(&group->object);
	sim_check_clean();
}
