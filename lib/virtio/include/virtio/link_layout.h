/* SPDX-License-Identifier: MIT */
/* Where things lie in the control memory of a link: the rules of abi/link.h as code. */
#pragma once

#include "abi/link.h"
#include "virtio/queue.h"

struct link_layout {
	uint32_t queue_count, queue_size;
	uint64_t ring_stride;
	uint64_t slots;
	uint64_t length;		/* of the control memory */
};

/* False: the geometry is not one that this version allows. */
bool link_layout_make(const struct link_geometry *g, struct link_layout *l);

struct vring link_layout_ring(const struct link_layout *l, void *control, uint32_t queue);
/* Offsets of the available and the used index (16 bits) of a queue. */
uint64_t link_layout_available(const struct link_layout *l, uint32_t queue);
uint64_t link_layout_used(const struct link_layout *l, uint32_t queue);
/* Offset of the slot of a descriptor. */
uint64_t link_layout_slot(const struct link_layout *l, uint32_t queue, uint32_t descriptor);
