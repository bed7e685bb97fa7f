/* SPDX-License-Identifier: MIT */
/*
 * Both sides of a queue, with the other side's writes taken from the input: a pair
 * of bytes says where, the next two say what; 0xff in the first byte is a step.
 */
#include <string.h>

#include "fuzz.h"
#include "virtio/queue.h"

enum { SIZE = 8 };

static uint8_t shared[1024] __attribute__((aligned(64)));
static uint8_t inflight[sizeof(struct record_inflight) + SIZE * sizeof(struct record_request)]
	__attribute__((aligned(64)));

static void device_step(struct vq_device *q, uint8_t what)
{
	struct vq_segment segments[SIZE];
	struct vq_chain c = { .segments = segments };
	uint64_t counter = 0;

	if (vq_device_take(q, &c)) {
		fuzz_assert(c.head < SIZE && c.count >= 1 && c.count <= SIZE);
		if (what & 1)
			vq_device_answer(q, c.head, what);
	}
	if (what & 2)
		vq_device_publish(q);
	while ((what & 4) && vq_device_adopted(q, &counter, &c))
		fuzz_assert(c.head < SIZE);
}

static void driver_step(struct vq_driver *q, uint8_t what)
{
	struct vq_segment s[2] = { { 0x1000, 16, false }, { 0x2000, 32, true } };
	uint32_t written;
	uint16_t head;
	void *cookie;

	if (what & 1)
		vq_driver_add(q, s, 2, s, &head);
	if (what & 2)
		vq_driver_publish(q);
	while (vq_driver_take(q, &cookie, &head, &written))
		fuzz_assert(cookie == s && head < SIZE && written <= 32);
	fuzz_assert(q->free_count <= SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct vring ring = vring_at(shared, SIZE, 64);
	size_t length = vring_layout(SIZE, 64).length;
	struct vq_driver_slot slots[SIZE];
	struct vq_driver drv;
	struct vq_device dev;
	uint8_t taken[SIZE];

	if (n < 1)
		return 0;
	memset(shared, 0, sizeof(shared));
	memset(inflight, 0, sizeof(inflight));
	vq_driver_init(&drv, &ring, slots);
	if (data[0] & 1)
		memcpy(inflight, data, n < sizeof(inflight) ? n : sizeof(inflight));
	vq_device_init(&dev, &ring, (struct record_inflight *)inflight, taken, data[0] & 1);
	for (size_t i = 1; i + 4 <= n; i += 4) {
		if (data[i] == 0xff && (data[0] & 2))
			driver_step(&drv, data[i + 1]);
		else if (data[i] == 0xff)
			device_step(&dev, data[i + 1]);
		else
			memcpy(shared + ((size_t)data[i] << 8 | data[i + 1]) % (length - 1),
			       data + i + 2, 2);
	}
	return 0;
}
