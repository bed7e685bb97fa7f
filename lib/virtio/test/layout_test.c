/* SPDX-License-Identifier: MIT */
/* Offsets into control memory are where the pointers point. */
#include <stdlib.h>

#include "unit/unit.h"
#include "virtio/link_layout.h"

TEST(offsets_are_where_the_pointers_point)
{
	for (uint32_t size = 1; size <= LINK_QUEUE_SIZE_MAX; size *= 2) {
		struct link_geometry g = { .version = LINK_VERSION, .queue_count = 5,
					   .queue_size = size, .data_length = 4096 };
		struct link_layout l;
		char *control;

		CHECK(link_layout_make(&g, &l));
		control = aligned_alloc(4096, l.length);
		for (uint32_t q = 0; q < l.queue_count; q++) {
			struct vring r = link_layout_ring(&l, control, q);

			CHECK_EQ(link_layout_available(&l, q), (uint64_t)((char *)&r.avail->idx - control));
			CHECK_EQ(link_layout_used(&l, q), (uint64_t)((char *)&r.used->idx - control));
			CHECK((char *)r.desc >= control + LINK_RINGS);
			CHECK((char *)&r.used->ring[size] <= control + l.slots);
		}
		CHECK_EQ(link_layout_slot(&l, 4, size - 1) + LINK_SLOT_SIZE <= l.length, true);
		free(control);
	}
}

TEST(impossible_geometries_are_refused)
{
	const struct link_geometry good = { .version = LINK_VERSION, .queue_count = 1, .queue_size = 8,
					    .data_length = 4096 };
	struct link_geometry g;
	struct link_layout l;

	CHECK(link_layout_make(&good, &l));
	g = good;
	g.version++;
	CHECK(!link_layout_make(&g, &l));
	g = good;
	g.queue_count = LINK_QUEUES_MAX + 1;
	CHECK(!link_layout_make(&g, &l));
	g = good;
	g.queue_size = 12;
	CHECK(!link_layout_make(&g, &l));
	g = good;
	g.data_length = 100;
	CHECK(!link_layout_make(&g, &l));
}
