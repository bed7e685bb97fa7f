/* SPDX-License-Identifier: MIT */
/* A driver that dies at any step, with frames under way. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "client.h"
#include "rig.h"
#include "unit/unit.h"

static void next_life(void)
{
	if (incarnate(false) != K_OK)
		abort();
	serve();
}

/*
 * Frames both ways while the driver dies at step @first, and then every few steps.  With the live
 * card each comes once, in its order; after a reset no frame is lost that was given to either side.
 */
static void die_at(uint32_t first, uint32_t then, uint32_t how, bool slow)
{
	uint32_t deaths = 0, buffer, written, sent = 0;
	int status;

	REQUIRE(begin());
	rig.adopt_flags = how;
	pretend.slow = slow;
	for (uint32_t i = 0; i < FRAMES; i++) {
		make_frame(i, 100 + i);
		send(i, 100 + i, 1, 34, 16);
	}
	for (uint32_t i = 0; i < 3; i++)
		CHECK(pretend_receive(frame_at(i), 100 + i));
	rig.steps_left = first;
	status = rig_end_of(serve);
	while (status) {
		REQUIRE(status == RIG_DEATH && ++deaths < 1000);
		if (slow)
			pretend_send(1);
		rig.steps_left = then ? then + 3 * deaths : 0;
		status = rig_end_of(next_life);
	}
	rig.steps_left = 0;
	pretend.slow = false;
	pretend_send(~0u);
	serve();
	CHECK(!rig.broken);
	CHECK_EQ(answers(NIC_TX), FRAMES);
	CHECK_EQ(pretend.while_quiet, 0);
	for (uint32_t i = 0; i < MIN(pretend.frames, (uint32_t)PRETEND_FRAMES); i++)
		if (pretend.sent[i].length == 100 + sent)
			sent++;
	CHECK_EQ(sent, FRAMES);
	if (!(how & COMPONENT_ADOPT_RESET) || !slow)
		CHECK_EQ(pretend.frames, FRAMES);	/* also after resets */
	for (uint32_t i = 0; i < 3; i++) {
		CHECK(take(NIC_RX, &buffer, &written));
		CHECK_EQ(written, NET_HEADER + 100 + i);
		CHECK_EQ(buffer, i);
	}
	CHECK(!take(NIC_RX, &buffer, &written));
	for (uint32_t i = 3; i < BUFFERS; i++)
		CHECK(pretend_receive(frame_at(0), 60));	/* none is lost or double */
	CHECK(!pretend_receive(frame_at(0), 60));
}

TEST(a_card_that_has_worked_for_long_is_taken_over)
{
	uint32_t buffer, written;

	REQUIRE(begin());
	rig.adopt_flags = COMPONENT_ADOPT_LIVE;
	for (uint32_t i = 0; i < 2000; i++) {
		send(0, 100, i & 1, (uint16_t)(34 + i % 3), 16);
		CHECK(pretend_receive(frame_at(0), 60));
		serve();
		CHECK_EQ(answers(NIC_TX), 1);
		REQUIRE(take(NIC_RX, &buffer, &written));
		give_buffer(buffer);
		if (i % 97 == 0)
			REQUIRE(incarnate(false) == K_OK);
	}
	CHECK_EQ(pretend.frames, 2000);
}

TEST(a_driver_may_die_at_any_step)
{
	for (uint32_t step = 1; step < 200; step++)
		for (int slow = 0; slow < 2; slow++)
			die_at(step, 0, COMPONENT_ADOPT_LIVE, slow);
}

TEST(and_its_successors_too)
{
	for (uint32_t step = 1; step < 200; step += 7)
		for (uint32_t then = 1; then < 40; then += 3)
			for (int slow = 0; slow < 2; slow++)
				die_at(step, then, COMPONENT_ADOPT_LIVE, slow);
}

TEST(a_driver_may_die_at_any_step_of_a_reset)
{
	for (uint32_t step = 1; step < 200; step += 3)
		for (uint32_t then = 0; then < 120; then += 13)
			for (int slow = 0; slow < 2; slow++)
				die_at(step, then, COMPONENT_ADOPT_RESET, slow);
}
