/* SPDX-License-Identifier: MIT */
/* The card's registers and rings, and what the driver makes of a card that lies or is gone. */
#include <string.h>

#include "base/util.h"
#include "drv/die.h"
#include "pretend.h"
#include "rig.h"
#include "unit/unit.h"

static struct nic nic;
static struct drv_window window;
static struct nic_desc memory[NIC_RINGS][NIC_RING_SIZE] __attribute__((aligned(4096)));
static const uint64_t *rings(void)
{
	static uint64_t at[NIC_RINGS];

	for (unsigned int i = 0; i < NIC_RINGS; i++)
		at[i] = (uintptr_t)memory[i];
	return at;
}

static bool begin(void)
{
	pretend_begin();
	memset(memory, 0, sizeof(memory));
	window = rig_window(pretend_read, pretend_write);
	return nic_open(&nic, &window) == K_OK;
}

/* -- registers --------------------------------------------------------------------------------- */

TEST(a_card_is_reset_and_runs)
{
	REQUIRE(begin());
	CHECK(!nic_runs_on(&nic, rings()));
	REQUIRE(nic_reset(&nic) == K_OK);
	CHECK(nic_find_address(&nic));
	CHECK(memcmp(nic.address, pretend.address, NIC_ADDRESS) == 0);
	REQUIRE(nic_run(&nic, rings()) == K_OK);
	CHECK(nic_runs_on(&nic, rings()));
	CHECK(nic_has_drained(&nic));
	CHECK(nic_is_linked(&nic));
	pretend_plug(false);
	CHECK_EQ(nic_causes(&nic), NIC_LINK);
	CHECK_EQ(nic_causes(&nic), 0);
	CHECK(!nic_is_linked(&nic));
}

TEST(a_reset_that_only_clears_its_bit_leaves_it_quiet)
{
	REQUIRE(begin());
	REQUIRE(nic_run(&nic, rings()) == K_OK);
	pretend.resets = false;
	REQUIRE(nic_reset(&nic) == K_OK);
	CHECK(!nic_runs_on(&nic, rings()));
	CHECK(!pretend_receive((const uint8_t *)"x", 1));
}

TEST(a_card_that_is_gone_is_found_out)
{
	REQUIRE(begin());
	pretend.gone = true;
	CHECK(nic_open(&nic, &window) == K_ERR_IO);
	CHECK(nic_is_gone(&nic));
	CHECK(nic_reset(&nic) == K_ERR_IO);
	CHECK(nic_run(&nic, rings()) == K_ERR_IO);
	CHECK(!nic_runs_on(&nic, rings()));
	CHECK(!nic_is_linked(&nic));
	CHECK(!nic_find_address(&nic));
	CHECK(nic_tail(&nic, NIC_TX) >= NIC_RING_SIZE);
}

TEST(what_does_not_end_is_given_up)
{
	REQUIRE(begin());
	pretend.stuck = true;
	CHECK(nic_reset(&nic) == K_ERR_TIMED_OUT);
	REQUIRE(begin());
	REQUIRE(nic_run(&nic, rings()) == K_OK);
	pretend.deaf = true;
	pretend.resets = false;
	CHECK(nic_reset(&nic) == K_ERR_IO);		/* it does not become quiet */
	REQUIRE(begin());
	pretend.deaf = true;
	CHECK(nic_run(&nic, rings()) == K_ERR_IO);
}

TEST(the_address_is_in_registers_or_in_the_eeprom)
{
	REQUIRE(begin());
	pretend.regs[0x5404 / 4] = 0;			/* not valid */
	pretend.regs[0x5400 / 4] = 0;
	CHECK(nic_find_address(&nic));
	CHECK(memcmp(nic.address, pretend.address, NIC_ADDRESS) == 0);
	pretend.address[0] |= 1;			/* a group's */
	CHECK(!nic_find_address(&nic));
	CHECK_EQ(nic.address[0], 0);
	pretend.no_eeprom = true;
	CHECK(!nic_find_address(&nic));
	pretend.regs[0x5404 / 4] = 1u << 31;		/* valid, and nothing */
	CHECK(!nic_find_address(&nic));
}

/* -- rings ------------------------------------------------------------------------------------- */

static struct ring ring;

static bool begin_ring(void)
{
	if (!rig_begin(2))
		return false;
	rig_incarnate(true, 0);
	ring_open(&ring, memory[NIC_TX], record_ring(&rig.geometry, rig.record, 1), &rig.d.queue[1],
		  drv_step);
	ring_make(&ring);
	return true;
}

/* A request of the link, taken; its head. */
static uint16_t request(void)
{
	struct vq_segment segments[RIG_DEPTH], s = { LINK_DATA, 64, false };
	struct vq_chain c = { .segments = segments };
	uint16_t head = UINT16_MAX;

	CHECK(vq_driver_add(&rig.client[1], &s, 1, NULL, &head));
	vq_driver_publish(&rig.client[1]);
	CHECK(vq_device_take(&rig.d.queue[1], &c));
	CHECK_EQ(c.head, head);
	return head;
}

static void add(uint16_t head, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		*ring_free(&ring, i) = (struct nic_desc){ .buffer = 1 };
	ring_add(&ring, head, count);
}

TEST(entries_are_done_in_their_order)
{
	struct ring_done done;
	uint16_t a, b;

	REQUIRE(begin_ring());
	CHECK_EQ(ring_room(&ring), NIC_RING_SIZE - 1);
	a = request();
	b = request();
	add(a, 3);
	add(b, 2);
	CHECK_EQ(ring_tail(&ring), 5);
	CHECK(!ring_take(&ring, &done));
	memory[NIC_TX][4].high = DESC_DONE;		/* the second before the first */
	memory[NIC_TX][0].high = DESC_DONE;		/* and not the last of the first */
	CHECK(!ring_take(&ring, &done));
	memory[NIC_TX][2].high = DESC_DONE;
	CHECK(ring_take(&ring, &done) && done.head == a);
	CHECK(ring_take(&ring, &done) && done.head == b);
	CHECK(!ring_take(&ring, &done));
	CHECK(ring_is_empty(&ring));
}

TEST(a_successor_takes_over_what_was_shown)
{
	uint16_t a, b, head;
	struct ring_done done;
	uint64_t at;

	REQUIRE(begin_ring());
	a = request();
	b = request();
	add(a, 3);
	add(b, 2);
	REQUIRE(ring_adopt(&ring, 3));			/* the second was not shown */
	CHECK_EQ(ring_tail(&ring), 3);
	at = ring.next;
	CHECK(ring_entry(&ring, &at, &head) && head == a);
	CHECK(!ring_entry(&ring, &at, &head));
	add(b, 2);
	REQUIRE(ring_adopt(&ring, 5));
	memory[NIC_TX][2].high = memory[NIC_TX][4].high = DESC_DONE;
	CHECK(ring_take(&ring, &done));
	vq_device_answer(&rig.d.queue[1], a, 0);	/* answered, and not settled */
	vq_device_publish(&rig.d.queue[1]);
	REQUIRE(ring_adopt(&ring, 5));
	CHECK(ring_take(&ring, &done) && done.head == b);
}

TEST(what_was_answered_is_on_record_before_its_place_is_used_again)
{
	struct ring_done done;

	REQUIRE(begin_ring());
	add(request(), 1);
	memory[NIC_TX][0].high = DESC_DONE;
	CHECK(ring_take(&ring, &done));
	vq_device_answer(&rig.d.queue[1], done.head, 0);
	vq_device_publish(&rig.d.queue[1]);		/* and not settled */
	REQUIRE(ring_adopt(&ring, 1));
	CHECK_EQ(ring_room(&ring), NIC_RING_SIZE - 1);
	for (int i = 0; i < 51; i++)			/* all of it */
		add(request(), 5);
	CHECK_EQ(ring_room(&ring), 0);
	REQUIRE(ring_adopt(&ring, ring_tail(&ring)));
	CHECK_EQ(ring_room(&ring), 0);
}

TEST(tails_that_cannot_be_are_refused)
{
	uint16_t a;

	REQUIRE(begin_ring());
	CHECK(ring_adopt(&ring, 0));
	CHECK(!ring_adopt(&ring, 1));			/* beyond what was added */
	a = request();
	add(a, 3);
	CHECK(!ring_adopt(&ring, 2));			/* in the middle of an entry */
	CHECK(!ring_adopt(&ring, 4));
	CHECK(!ring_adopt(&ring, 255));
	CHECK(ring_adopt(&ring, NIC_RING_SIZE));
	CHECK(ring_adopt(&ring, 3));
}

TEST(records_that_do_not_fit_are_refused)
{
	struct record_ring *r;
	uint16_t a, b;

	for (int i = 0; i < 7; i++) {
		REQUIRE(begin_ring());
		r = ring.record;
		a = request();
		b = request();
		add(a, 2);
		add(b, 2);
		switch (i) {
		case 0: r->size = 128; break;
		case 1: r->added += 1000; break;
		case 2: r->used_idx = 5; break;
		case 3: r->used_idx = 1; break;
		case 4: r->chains[0].count = 0; break;
		case 5: r->chains[2].count = 9; break;
		case 6: r->chains[2].counter = 99; break;	/* answered before the first */
		}
		CHECK(!ring_adopt(&ring, 4));
	}
}

TEST(noise_in_a_record_is_survived)
{
	for (int i = 0; i < 3000; i++) {
		struct ring_done done;
		uint8_t *bytes;

		REQUIRE(begin_ring());
		add(request(), 2);
		add(request(), 1);
		bytes = (uint8_t *)ring.record;
		for (int k = 0; k < 3; k++)
			bytes[unit_random() % 96] = (uint8_t)unit_random();
		if (!ring_adopt(&ring, (uint32_t)unit_random() % (NIC_RING_SIZE + 1)))
			continue;
		memset(memory, 0xff, sizeof(memory));
		while (ring_take(&ring, &done))
			CHECK(done.head < RIG_DEPTH);
	}
}
