/* SPDX-License-Identifier: MIT */
/* Host tests of bells. */
#include "kernel/bell.h"
#include "sim.h"
#include "unit/unit.h"

static struct bell *bells[6];

static void make(unsigned int count)
{
	sim_reset();
	for (unsigned int i = 0; i < count; i++)
		CHECK_EQ(bell_create(root_group, &bells[i]), K_OK);
}

static void drop(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		object_put(&bells[i]->object);
	sim_check_clean();
}

TEST(ringing_before_waiting_is_not_lost)
{
	uint64_t bits;

	make(1);
	bell_ring(bells[0], 6);
	CHECK_EQ(bell_wait(bells[0], 3, 0, false, &bits), K_OK);
	CHECK_EQ(bits, 2);
	CHECK_EQ(bells[0]->pending, 4);
	CHECK_EQ(bell_wait(bells[0], 3, 0, false, &bits), K_ERR_SHOULD_WAIT);
	CHECK_EQ(bits, 0);
	CHECK_EQ(sim_blocks, 0);
	drop(1);
}

static void ring_bit_one(void)
{
	bell_ring(bells[0], 1);
}

TEST(waiter_is_granted_what_it_wants_and_nothing_stays_pending)
{
	uint64_t bits;

	make(1);
	sim_on_block = ring_bit_one;
	CHECK_EQ(bell_wait(bells[0], 3, 1000, false, &bits), K_OK);
	CHECK_EQ(bits, 1);
	CHECK_EQ(bells[0]->pending, 0);
	CHECK(list_is_empty(&bells[0]->waiters));
	drop(1);
}

TEST(deadline_and_kick_leave_the_queue_empty)
{
	uint64_t bits;

	make(1);
	CHECK_EQ(bell_wait(bells[0], 3, 1000, false, &bits), K_ERR_TIMED_OUT);
	CHECK(list_is_empty(&bells[0]->waiters));
	sim_block_status = K_ERR_KICKED;
	CHECK_EQ(bell_wait(bells[0], 3, 1000, true, &bits), K_ERR_KICKED);
	CHECK(list_is_empty(&bells[0]->waiters));
	drop(1);
}

static void ring_but_wake_by_deadline(void)
{
	bell_ring(bells[0], 1);
	sim_thread[0].woken = false;	/* the deadline was a little earlier */
}

TEST(bits_granted_as_the_deadline_passes_are_not_lost)
{
	uint64_t bits;

	make(1);
	sim_on_block = ring_but_wake_by_deadline;
	CHECK_EQ(bell_wait(bells[0], 1, 1000, false, &bits), K_OK);
	CHECK_EQ(bits, 1);
	drop(1);
}

static void stray_wake(void)
{
	sched_wake(&sim_thread[0]);
	sim_on_block = ring_bit_one;
}

TEST(stray_wake_up_is_waited_out)
{
	uint64_t bits;

	make(1);
	sim_on_block = stray_wake;
	CHECK_EQ(bell_wait(bells[0], 1, 1000, false, &bits), K_OK);
	CHECK_EQ(bits, 1);
	CHECK_EQ(sim_blocks, 2);
	drop(1);
}

static uint64_t inner_bits;

static void wait_too_and_ring(void)
{
	/* This second waiter came later: the first gets the bit. */
	sim_on_block = ring_bit_one;
	CHECK_EQ(bell_wait(bells[0], 1, 1000, false, &inner_bits), K_ERR_TIMED_OUT);
}

TEST(oldest_waiter_gets_the_bit)
{
	uint64_t bits;

	make(1);
	sim_on_block = wait_too_and_ring;
	CHECK_EQ(bell_wait(bells[0], 3, 1000, false, &bits), K_OK);
	CHECK_EQ(bits, 1);
	CHECK_EQ(inner_bits, 0);
	drop(1);
}

TEST(chain_rings_upwards_and_keeps_its_own_bits)
{
	make(3);
	CHECK_EQ(bell_chain(bells[0], bells[1], 8), K_OK);
	CHECK_EQ(bell_chain(bells[1], bells[2], 16), K_OK);
	bell_ring(bells[0], 1);
	CHECK_EQ(bells[0]->pending, 1);
	CHECK_EQ(bells[1]->pending, 8);
	CHECK_EQ(bells[2]->pending, 16);
	drop(3);
}

TEST(chaining_a_bell_that_was_rung_rings_at_once)
{
	make(2);
	bell_ring(bells[0], 1);
	CHECK_EQ(bell_chain(bells[0], bells[1], 8), K_OK);
	CHECK_EQ(bells[1]->pending, 8);
	CHECK_EQ(bell_chain(bells[0], NULL, 0), K_OK);
	bells[1]->pending = 0;
	bell_ring(bells[0], 1);
	CHECK_EQ(bells[1]->pending, 0);
	drop(2);
}

TEST(loops_and_long_chains_are_refused)
{
	make(6);
	CHECK_EQ(bell_chain(bells[0], bells[0], 1), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(bell_chain(bells[0], bells[1], 1), K_OK);
	CHECK_EQ(bell_chain(bells[1], bells[0], 1), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(bell_chain(bells[1], bells[2], 1), K_OK);
	CHECK_EQ(bell_chain(bells[2], bells[3], 1), K_OK);
	CHECK_EQ(bell_chain(bells[3], bells[4], 1), K_ERR_BAD_ARGUMENT);	/* from the top */
	CHECK_EQ(bell_chain(bells[5], bells[0], 1), K_ERR_BAD_ARGUMENT);	/* from below */
	CHECK_EQ(bell_chain(bells[5], bells[1], 2), K_OK);
	bell_ring(bells[5], 1);
	CHECK_EQ(bells[1]->pending, 2);
	drop(6);
}

TEST(chained_parent_lives_as_long_as_its_child)
{
	make(2);
	CHECK_EQ(bell_chain(bells[0], bells[1], 8), K_OK);
	object_put(&bells[1]->object);
	bell_ring(bells[0], 1);
	drop(1);
}
