/* SPDX-License-Identifier: MIT */
/* Host tests of objects and handle tables. */
#include "kernel/handle.h"
#include "sim.h"
#include "unit/unit.h"

static k_handle_t make(uint32_t rights)
{
	struct object *o = sim_object_create();
	k_handle_t h = 0;

	CHECK_EQ(handle_create(&sim_process, o, rights, &h), K_OK);
	return h;
}

TEST(lookup_checks_type_rights_and_existence)
{
	struct object *o;
	k_handle_t h;

	sim_reset();
	h = make(K_RIGHT_READ);
	CHECK(h != 0);
	REQUIRE(handle_get(&sim_process, h, K_TYPE_MEMORY, K_RIGHT_READ, &o) == K_OK);
	object_put(o);
	CHECK_EQ(handle_get(&sim_process, h, K_TYPE_BELL, K_RIGHT_READ, &o), K_ERR_WRONG_TYPE);
	CHECK_EQ(handle_get(&sim_process, h, K_TYPE_MEMORY, K_RIGHT_WRITE, &o), K_ERR_NO_RIGHT);
	for (unsigned int i = 0; i < 1000; i++) {
		k_handle_t wrong = (k_handle_t)unit_random();

		if (wrong != h)
			CHECK_EQ(handle_get(&sim_process, wrong, K_TYPE_MEMORY, 0, &o),
				 K_ERR_BAD_HANDLE);
	}
	CHECK_EQ(handle_get(&sim_process, 0, K_TYPE_NONE, 0, &o), K_ERR_BAD_HANDLE);
	CHECK_EQ(handle_get(&sim_process, UINT32_MAX, K_TYPE_NONE, 0, &o), K_ERR_BAD_HANDLE);
	CHECK_EQ(handle_get(&sim_process, HANDLE_MAX, K_TYPE_NONE, 0, &o), K_ERR_BAD_HANDLE);
	sim_check_clean();
	CHECK_EQ(sim_closed, 1);
	CHECK_EQ(sim_destroyed, 1);
}

TEST(rights_are_cut_to_what_the_type_knows)
{
	struct object *o;
	uint32_t rights;
	k_handle_t h;

	sim_reset();
	h = make(K_RIGHTS_ALL);
	REQUIRE(handle_get_rights(&sim_process, h, &o, &rights) == K_OK);
	CHECK_EQ(rights, K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_TRANSFER);
	object_put(o);
	sim_check_clean();
}

TEST(closed_handle_stays_invalid_when_its_slot_is_used_again)
{
	struct object *o;
	k_handle_t first, h;
	unsigned int uses = 0;

	sim_reset();
	first = make(0);
	CHECK_EQ(handle_close(&sim_process, first), K_OK);
	CHECK_EQ(handle_close(&sim_process, first), K_ERR_BAD_HANDLE);
	for (unsigned int i = 0; i < 10 * HANDLE_CHUNK; i++) {
		h = make(0);
		uses += (h & HANDLE_MAX) == (first & HANDLE_MAX);
		CHECK(h != first);
		CHECK_EQ(handle_get(&sim_process, first, K_TYPE_NONE, 0, &o), K_ERR_BAD_HANDLE);
		CHECK_EQ(handle_close(&sim_process, h), K_OK);
	}
	CHECK(uses > 0);
	sim_check_clean();
}

TEST(close_comes_with_the_last_name_and_destroy_with_the_last_reference)
{
	struct object *o;
	k_handle_t a, b;

	sim_reset();
	o = sim_object_create();
	object_get(o);
	object_get(o);
	CHECK_EQ(handle_create(&sim_process, o, 0, &a), K_OK);
	CHECK_EQ(handle_create(&sim_process, o, 0, &b), K_OK);
	CHECK_EQ(handle_close(&sim_process, a), K_OK);
	CHECK_EQ(sim_closed, 0);
	CHECK_EQ(handle_close(&sim_process, b), K_OK);
	CHECK_EQ(sim_closed, 1);
	CHECK_EQ(sim_destroyed, 0);
	object_put_deferred(o);
	CHECK_EQ(sim_destroyed, 0);
	object_settle();
	CHECK_EQ(sim_destroyed, 1);
	sim_check_clean();
}

TEST(many_handles_and_back)
{
	enum { N = 20000 };
	static k_handle_t h[N];
	struct k_handle_info info;
	uint32_t cursor = 0;
	unsigned int seen = 0;

	sim_reset();
	for (unsigned int i = 0; i < N; i++)
		h[i] = make(0);
	CHECK_EQ(atomic_load(&root_group->handles), N);
	while (handle_next(&sim_process, &cursor, &info))
		seen += info.type == K_TYPE_MEMORY;
	CHECK_EQ(seen, N);
	for (unsigned int i = 0; i < N; i += 2)
		CHECK_EQ(handle_close(&sim_process, h[i]), K_OK);
	CHECK_EQ(atomic_load(&root_group->handles), N / 2);
	sim_check_clean();
	CHECK_EQ(sim_destroyed, N);
}

TEST(reservations_count_against_the_limit)
{
	static const struct k_group_limits limits = { .handles = 3 };
	struct group *group;
	struct object *o;
	k_handle_t h;

	sim_reset();
	REQUIRE(group_create(root_group, &limits, &group) == K_OK);
	sim_process.object.group = group;
	CHECK_EQ(handle_reserve(&sim_process, 4), K_ERR_LIMIT);
	CHECK_EQ(handle_reserve(&sim_process, 2), K_OK);
	h = make(0);
	CHECK_EQ(handle_reserve(&sim_process, 1), K_ERR_LIMIT);
	o = sim_object_create();
	CHECK(handle_install(&sim_process, o, 0) != 0);
	handle_unreserve(&sim_process, 1);
	CHECK_EQ(handle_close(&sim_process, h), K_OK);
	CHECK_EQ(atomic_load(&group->handles), 1);
	handle_table_close(&sim_process);
	CHECK_EQ(handle_reserve(&sim_process, 1), K_OK);
	CHECK_EQ(handle_install(&sim_process, sim_object_create(), 0), 0);
	handle_table_destroy(&sim_process);
	handle_table_init(&sim_process.handles);
	sim_process.object.group = root_group;
	object_put(&group->object);
	sim_check_clean();
}

TEST(lifted_handle_is_unusable_and_comes_back_the_same)
{
	struct object *o, *other;
	uint32_t rights;
	k_handle_t h;

	sim_reset();
	h = make(K_RIGHT_READ | K_RIGHT_TRANSFER);
	CHECK_EQ(handle_lift(&sim_process, h, K_RIGHT_WRITE, &o, &rights), K_ERR_NO_RIGHT);
	REQUIRE(handle_lift(&sim_process, h, K_RIGHT_TRANSFER, &o, &rights) == K_OK);
	CHECK_EQ(handle_get(&sim_process, h, K_TYPE_NONE, 0, &other), K_ERR_BAD_HANDLE);
	CHECK_EQ(handle_lift(&sim_process, h, 0, &other, &rights), K_ERR_BAD_HANDLE);
	CHECK_EQ(handle_close(&sim_process, h), K_ERR_BAD_HANDLE);
	handle_lower(&sim_process, h, o);
	REQUIRE(handle_get(&sim_process, h, K_TYPE_MEMORY, K_RIGHT_READ, &other) == K_OK);
	CHECK(other == o);
	object_put(other);
	REQUIRE(handle_lift(&sim_process, h, 0, &o, &rights) == K_OK);
	handle_lower(&sim_process, h, NULL);
	CHECK_EQ(handle_close(&sim_process, h), K_ERR_BAD_HANDLE);
	CHECK_EQ(atomic_load(&root_group->handles), 0);
	object_name_put(o);
	sim_check_clean();
	CHECK_EQ(sim_closed, 1);
}

TEST(failed_allocations_change_nothing)
{
	struct object *o;
	k_handle_t h = 77;

	sim_reset();
	o = sim_object_create();
	for (unsigned int n = 1; n <= 2; n++) {
		sim_fail_allocation = n;
		CHECK_EQ(handle_create(&sim_process, o, 0, &h), K_ERR_NO_MEMORY);
		CHECK_EQ(h, 77);
		CHECK_EQ(atomic_load(&root_group->handles), 0);
	}
	sim_fail_allocation = 0;
	CHECK_EQ(handle_create(&sim_process, o, 0, &h), K_OK);
	sim_check_clean();
}
