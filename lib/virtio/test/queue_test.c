/* SPDX-License-Identifier: MIT */
/*
 * Both sides of a queue against each other, against an adversary that writes
 * anything into the shared memory, and over a server's death at every step.
 */
#include <setjmp.h>
#include <stdint.h>

#include "unit/unit.h"
#include "virtio/queue.h"

enum { SIZE = 16 };

static uint8_t shared[4096] __attribute__((aligned(4096)));
static uint8_t inflight_memory[1024] __attribute__((aligned(64)));
static struct record_inflight *const inflight = (struct record_inflight *)inflight_memory;
static struct vq_driver drv;
static struct vq_device dev;
static struct vq_driver_slot slots[SIZE];
static struct vq_segment segments[SIZE];
static uint8_t taken[SIZE];
static struct vring ring;

static void start(void)
{
	memset(shared, 0, sizeof(shared));
	memset(inflight_memory, 0, sizeof(inflight_memory));
	ring = vring_at(shared, SIZE, 64);
	vq_driver_init(&drv, &ring, slots);
	vq_device_init(&dev, &ring, inflight, taken, false);
}

TEST(chains_go_over_and_come_back)
{
	struct vq_segment s[3] = { { 0x1000, 16, false }, { 0x2000, 512, true }, { 0x3000, 1, true } };
	struct vq_chain c = { .segments = segments };
	uint16_t head, got;
	uint32_t written;
	void *cookie;

	start();
	for (int round = 0; round < 70000; round++) {
		int n = 0;

		while (vq_driver_add(&drv, s, 3, (void *)(uintptr_t)(n + 1), &head))
			n++;
		CHECK_EQ(n, SIZE / 3);
		CHECK(vq_driver_publish(&drv));
		CHECK(!vq_driver_publish(&drv));
		while (vq_device_take(&dev, &c)) {
			CHECK_EQ(c.count, 3);
			CHECK_EQ(c.readable, 16);
			CHECK_EQ(c.writable, 513);
			CHECK_EQ(segments[1].addr, 0x2000);
			vq_device_answer(&dev, c.head, 600);
		}
		CHECK(vq_device_publish(&dev));
		for (int i = 0; i < n; i++) {
			REQUIRE(vq_driver_take(&drv, &cookie, &got, &written));
			CHECK_EQ(written, 513);
			CHECK_EQ((uintptr_t)cookie, i + 1);
		}
		CHECK(!vq_driver_take(&drv, &cookie, &got, &written));
		CHECK_EQ(drv.free_count, SIZE);
		if (round % 8 == 0)
			round += 997;
	}
	CHECK(!drv.broken && !dev.broken);
}

TEST(answers_in_any_order)
{
	struct vq_segment s = { 0x1000, 4, true };
	struct vq_chain c = { .segments = segments };
	uint16_t head, heads[SIZE];
	uint32_t written;
	uintptr_t seen;
	void *cookie;

	start();
	for (int round = 0; round < 2000; round++) {
		int n = 0;

		for (seen = 1; vq_driver_add(&drv, &s, 1, (void *)seen, &head); seen++)
			;
		vq_driver_publish(&drv);
		while (vq_device_take(&dev, &c))
			heads[n++] = c.head;
		CHECK_EQ(n, SIZE);
		for (; n; n--) {
			int i = (int)(unit_random() % (uint64_t)n);

			vq_device_answer(&dev, heads[i], 4);
			heads[i] = heads[n - 1];
			if (unit_random() % 2)
				vq_device_publish(&dev);
		}
		vq_device_publish(&dev);
		seen = 0;
		while (vq_driver_take(&drv, &cookie, &head, &written))
			seen += (uintptr_t)cookie;
		CHECK_EQ(seen, SIZE * (SIZE + 1) / 2);
	}
}

TEST(suppression_loses_no_notification)
{
	struct vq_segment s = { 0x1000, 4, true };
	struct vq_chain c = { .segments = segments };
	uint16_t head;

	start();
	vq_device_notifications(&dev, false);
	vq_driver_add(&drv, &s, 1, NULL, &head);
	CHECK(!vq_driver_publish(&drv));
	CHECK(vq_device_notifications(&dev, true));
	CHECK(vq_device_take(&dev, &c));
	CHECK(!vq_device_notifications(&dev, true));
	vq_driver_interrupts(&drv, false);
	vq_device_answer(&dev, c.head, 0);
	CHECK(!vq_device_publish(&dev));
	vq_driver_interrupts(&drv, true);
	CHECK(vq_driver_ready(&drv));
}

/* Random writes of the other side between all steps: statuses only, never a wild access. */
static void scribble(uint64_t n)
{
	static const uint32_t values[] = { 0, 1, 2, 3, SIZE - 1, SIZE, 0x7fff, 0x8000, 0xffff,
					   0xffffffff };

	while (n--) {
		size_t at = unit_random() % vring_layout(SIZE, 64).length & ~1ul;
		uint16_t v = (uint16_t)(unit_random() % 2 ? values[unit_random() % 10]
							   : unit_random() % (SIZE + 2));

		memcpy(shared + at, &v, 2);
	}
}

TEST(device_side_survives_a_lying_driver)
{
	struct vq_chain c = { .segments = segments };
	long broke = 0;

	for (int round = 0; round < 60000; round++) {
		start();
		scribble(40);
		for (int step = 0; step < 40; step++) {
			while (vq_device_take(&dev, &c)) {
				CHECK(c.count <= SIZE && c.head < SIZE && taken[c.head]);
				if (unit_random() % 2)
					vq_device_answer(&dev, c.head, (uint32_t)unit_random());
			}
			vq_device_publish(&dev);
			if (dev.broken)
				break;
			scribble(unit_random() % 4);
			ring.avail->idx = (uint16_t)(dev.avail_idx + unit_random() % 3);
		}
		broke += dev.broken != NULL;
	}
	CHECK(broke > 1000);
}

TEST(driver_side_survives_a_lying_device)
{
	struct vq_segment s[2] = { { 0x1000, 4, false }, { 0x2000, 8, true } };
	uint16_t head;
	uint32_t written;
	void *cookie;
	long broke = 0;

	for (int round = 0; round < 60000; round++) {
		long in_flight = 0;

		start();
		for (int step = 0; step < 30 && !drv.broken; step++) {
			for (uint64_t n = unit_random() % 5; n; n--)
				in_flight += vq_driver_add(&drv, s, 2, s, &head);
			vq_driver_publish(&drv);
			scribble(unit_random() % 6);
			ring.used->idx = (uint16_t)(drv.used_idx + unit_random() % 3);
			while (vq_driver_take(&drv, &cookie, &head, &written)) {
				CHECK(cookie == s && written <= 8 && head < SIZE);
				in_flight--;
			}
			CHECK(in_flight >= 0);
		}
		broke += drv.broken != NULL;
		while (vq_driver_abandon(&drv, &head))
			in_flight--;
		CHECK_EQ(in_flight, 0);
		CHECK_EQ(drv.free_count, SIZE);
	}
	CHECK(broke > 1000);
}

/* -- succession -------------------------------------------------------------------------- */

static jmp_buf death;
static uint64_t steps_left;		/* until death; 0: immortal */

static void step(void)
{
	if (steps_left && --steps_left == 0)
		longjmp(death, 1);
}

/* What a server does in a round, in any order; may not return. */
static void serve_at_random(void)
{
	struct vq_chain c = { .segments = segments };
	uint64_t counter;

	for (int i = 0; i < 6; i++) {
		while (unit_random() % 4 && vq_device_take(&dev, &c))
			;
		counter = 0;
		while (vq_device_adopted(&dev, &counter, &c))
			if (unit_random() % 2)
				vq_device_answer(&dev, c.head, 4);
		if (unit_random() % 3)
			vq_device_publish(&dev);
	}
}

/* What is in flight by the table, in ascending order; how many. */
static unsigned int count_adopted(void)
{
	struct vq_chain c = { .segments = segments };
	uint64_t counter = 0, last = 0;
	unsigned int n = 0;

	for (; vq_device_adopted(&dev, &counter, &c); n++) {
		CHECK(counter > last);
		last = counter;
	}
	return n;
}

/*
 * A server dies between any two of its steps, its successor too while it adopts; the
 * next must find exactly the requests that were taken and not answered, in their order.
 */
TEST(successor_adopts_what_was_in_flight)
{
	struct vq_segment s = { 0x1000, 4, true };
	static volatile uintptr_t next, done;
	volatile long deaths = 0;
	uint16_t head;
	uint32_t written;
	void *cookie;

	start();
	next = 1;
	done = 0;
	for (volatile int round = 0; round < 30000; round++) {
		unsigned int waiting;

		while (unit_random() % 3 && vq_driver_add(&drv, &s, 1, (void *)next, &head))
			next++;
		vq_driver_publish(&drv);
		dev.step = step;
		steps_left = 1 + unit_random() % 60;
		while (setjmp(death)) {
			deaths++;
			/* The client overwrites what it can: nothing of it is read back. */
			if (unit_random() % 2)
				atomic_store(&ring.used->idx, inflight->used_next);
			steps_left = unit_random() % 3 ? 0 : 1 + unit_random() % 4;
			dev.step = step;
			vq_device_init(&dev, &ring, inflight, taken, true);
		}
		if (steps_left)
			serve_at_random();
		steps_left = 0;
		while (vq_driver_take(&drv, &cookie, &head, &written))
			done++;
		waiting = (uint16_t)(atomic_load(&ring.avail->idx) - dev.avail_idx);
		if (dev.published == dev.used_idx)
			CHECK_EQ(count_adopted() + waiting, vq_driver_in_flight(&drv));
	}
	CHECK(!dev.broken && !drv.broken);
	CHECK(done > 1000 && deaths > 1000);
	CHECK_EQ(next - 1 - done, vq_driver_in_flight(&drv));
}

/* As abi/record.h has it, without the in-flight table: counter is 0 or 1. */
static struct record_ring ring_record;

/* Take over as a driver does. */
static void succeed_driver(void)
{
	uint16_t idx = atomic_load(&ring.avail->idx);
	uint64_t published = ring_record.added +
			     (uint64_t)(int16_t)(idx - (uint16_t)ring_record.added);

	vq_driver_adopt_begin(&drv, &ring, slots, ring_record.used_idx);
	for (uint16_t d = 0; d < SIZE; d++) {
		struct record_chain *c = &ring_record.chains[d];

		if (c->position >= published)
			c->counter = 0;
		if (c->counter)
			CHECK(vq_driver_adopt_chain(&drv, d, c->count, NULL));
	}
	ring_record.added = published;
	CHECK(vq_driver_adopt_end(&drv));
	ring_record.used_idx = drv.used_idx;
}

static void submit_some(void)
{
	struct vq_segment s[3] = { { 0x1000, 16, false }, { 0x2000, 512, true }, { 0x3000, 1, true } };

	for (uint64_t k = unit_random() % 4; k; k--) {
		unsigned int pieces = 1 + (unsigned int)(unit_random() % 3);
		uint16_t head;

		if (!vq_driver_add(&drv, s, pieces, NULL, &head))
			break;
		ring_record.chains[head] = (struct record_chain){
			.counter = 1, .count = (uint16_t)pieces, .position = ring_record.added };
		step();
		ring_record.added++;
		step();
	}
	vq_driver_publish(&drv);
}

/* The device answers some, in any order; how many it took. */
static unsigned int answer_some(void)
{
	struct vq_chain c = { .segments = segments };
	unsigned int took = 0;

	while (vq_device_take(&dev, &c))
		took++;
	for (uint16_t d = (uint16_t)(unit_random() % SIZE), i = 0; i < SIZE; i++, d++)
		if (taken[d % SIZE] && unit_random() % 2)
			vq_device_answer(&dev, d % SIZE, 1);
	vq_device_publish(&dev);
	return took;
}

/*
 * The driver side dies at any step, too; its ring goes on with what the device has,
 * and what the device was not shown is forgotten.
 */
TEST(a_ring_is_taken_over_from_a_dead_driver)
{
	static volatile unsigned long made, settled;

	start();
	memset(&ring_record, 0, sizeof(ring_record));
	made = settled = 0;
	for (volatile int round = 0; round < 200000; round++) {
		uint32_t written;
		uint16_t head;
		void *cookie;

		drv.step = step;
		steps_left = unit_random() % 2 ? 0 : 1 + unit_random() % 9;
		if (setjmp(death) || (submit_some(), unit_random() % 4 == 0)) {
			steps_left = 0;
			succeed_driver();
		}
		steps_left = 0;
		made += answer_some();
		while (unit_random() % 8 && vq_driver_take(&drv, &cookie, &head, &written)) {
			/* Answered on the link: the request is in no table from here on. */
			ring_record.chains[head].counter = 0;
			settled++;
		}
		if (unit_random() % 4 == 0)
			succeed_driver();	/* it had not said yet how far it came */
		else
			ring_record.used_idx = drv.used_idx;
	}
	made += answer_some();
	CHECK(!dev.broken && !drv.broken);
	CHECK(settled > 1000);
	CHECK_EQ(made - settled, vq_driver_in_flight(&drv));
}

/* Records of a driver that went wild are refused, not followed. */
TEST(implausible_chains_are_not_adopted)
{
	struct vq_segment s[2] = { { 0x1000, 16, false }, { 0x2000, 512, true } };
	uint16_t head;

	start();
	vq_driver_add(&drv, s, 2, NULL, &head);
	vq_driver_publish(&drv);
	vq_driver_adopt_begin(&drv, &ring, slots, 0);
	CHECK(!vq_driver_adopt_chain(&drv, head, 1, NULL));	/* it goes on behind that */
	vq_driver_adopt_begin(&drv, &ring, slots, 0);
	CHECK(!vq_driver_adopt_chain(&drv, head, 3, NULL));	/* it ends before that */
	vq_driver_adopt_begin(&drv, &ring, slots, 0);
	CHECK(!vq_driver_adopt_chain(&drv, SIZE, 1, NULL));
	CHECK(!vq_driver_adopt_end(&drv));			/* one is missing */
	vq_driver_adopt_begin(&drv, &ring, slots, 0);
	CHECK(vq_driver_adopt_chain(&drv, head, 2, NULL));
	CHECK(!vq_driver_adopt_chain(&drv, head, 2, NULL));	/* twice */
	CHECK(vq_driver_adopt_end(&drv));
	CHECK_EQ(drv.free_count, SIZE - 2);
}
