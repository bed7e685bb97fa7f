/* SPDX-License-Identifier: MIT */
#include "base/util.h"
#include "abi/types.h"
#include "virtio/link_layout.h"

enum { RING_ALIGN = 64 };

bool link_layout_make(const struct link_geometry *g, struct link_layout *l)
{
	uint64_t page = K_PAGE_SIZE;
	struct vring_layout ring;

	if (g->version != LINK_VERSION || !g->queue_count || g->queue_count > LINK_QUEUES_MAX ||
	    !IS_POWER_OF_2(g->queue_size) || g->queue_size > LINK_QUEUE_SIZE_MAX ||
	    !IS_ALIGNED(g->data_length, page) || g->data_length > 1ull << 32)
		return false;
	ring = vring_layout(g->queue_size, RING_ALIGN);
	l->queue_count = g->queue_count;
	l->queue_size = g->queue_size;
	l->ring_stride = ALIGN_UP((uint64_t)ring.length, (uint64_t)RING_ALIGN);
	l->slots = ALIGN_UP(LINK_RINGS + l->queue_count * l->ring_stride, page);
	l->length = ALIGN_UP(l->slots + (uint64_t)l->queue_count * l->queue_size * LINK_SLOT_SIZE,
			     page);
	return true;
}

static char *ring_base(const struct link_layout *l, void *control, uint32_t queue)
{
	return (char *)control + LINK_RINGS + queue * l->ring_stride;
}

struct vring link_layout_ring(const struct link_layout *l, void *control, uint32_t queue)
{
	return vring_at(ring_base(l, control, queue), l->queue_size, RING_ALIGN);
}

uint64_t link_layout_available(const struct link_layout *l, uint32_t queue)
{
	return LINK_RINGS + queue * l->ring_stride + vring_layout(l->queue_size, RING_ALIGN).avail +
	       offsetof(struct vring_avail, idx);
}

uint64_t link_layout_used(const struct link_layout *l, uint32_t queue)
{
	return LINK_RINGS + queue * l->ring_stride + vring_layout(l->queue_size, RING_ALIGN).used +
	       offsetof(struct vring_used, idx);
}

uint64_t link_layout_slot(const struct link_layout *l, uint32_t queue, uint32_t descriptor)
{
	return l->slots + ((uint64_t)queue * l->queue_size + descriptor) * LINK_SLOT_SIZE;
}
