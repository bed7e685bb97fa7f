/* SPDX-License-Identifier: MIT */
/*
 * Both sides of a queue against each other, against an adversary that writes
 * anything into the shared memory, and over a server's death at every step.
 */
#include <stdint.h>

#include "unit/unit.h"
#include "virtio/queue.h"

enum { SIZE = 16 };

static uint8_t shared[4096] __attribute__((aligned(4096)));
static uint8_t inflight_memory[1024] __attribute__((aligned(64)));
static struct link_inflight *const inflight = (struct link_inflight *)inflight_memory;
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

/*
 * A server dies between any two of its steps; its successor must find exactly the
 * requests that were taken and not answered, in their order.
 */
TEST(successor_adopts_what_was_in_flight)
{
	struct vq_segment s = { 0x1000, 4, true };
	struct vq_chain c = { .segments = segments };
	uint64_t order[SIZE], counter;
	uint16_t head, heads[SIZE];
	uint32_t written;
	void *cookie;
	uintptr_t next = 1, done = 0;

	start();
	for (int round = 0; round < 30000; round++) {
		int n = 0, i = 0;
		bool published;

		while (unit_random() % 3 && vq_driver_add(&drv, &s, 1, (void *)next, &head))
			next++;
		vq_driver_publish(&drv);
		while (unit_random() % 4 && vq_device_take(&dev, &c))
			;
		counter = 0;
		while (vq_device_adopted(&dev, &counter, &c))
			heads[n++] = c.head;
		while (n && unit_random() % 2) {
			i = (int)(unit_random() % (uint64_t)n);
			vq_device_answer(&dev, heads[i], 4);
			memmove(heads + i, heads + i + 1, (size_t)(n - i - 1) * sizeof(*heads));
			n--;
		}
		published = unit_random() % 4 != 0;
		if (published && unit_random() % 2) {
			/* dies after publishing, before the records are cleared */
			uint8_t before[sizeof(inflight_memory)];

			memcpy(before, inflight_memory, sizeof(before));
			vq_device_publish(&dev);
			memcpy(inflight_memory, before, sizeof(before));
		} else if (published) {
			vq_device_publish(&dev);
		} else {
			/* dies before publishing: what was answered counts as in flight */
			n = 0;
			for (uint16_t d = 0; d < SIZE; d++)
				n += inflight->records[d].inflight;
		}
		while (vq_driver_take(&drv, &cookie, &head, &written))
			done++;
		vq_device_init(&dev, &ring, inflight, taken, true);
		counter = 0;
		for (i = 0; vq_device_adopted(&dev, &counter, &c); i++)
			order[i] = counter;
		CHECK_EQ(i, n);
		for (int k = 1; k < i; k++)
			CHECK(order[k] > order[k - 1]);
	}
	CHECK(!dev.broken && !drv.broken);
	CHECK(done > 1000);
	CHECK_EQ(next - 1 - done, vq_driver_in_flight(&drv));
}
