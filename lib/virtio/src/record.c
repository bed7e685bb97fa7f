/* SPDX-License-Identifier: MIT */
#include "base/util.h"
#include "abi/types.h"
#include "virtio/record.h"

enum { RECORD_ALIGN = 64 };

uint64_t record_inflight_length(const struct link_geometry *g)
{
	return sizeof(struct record_inflight) + g->queue_size * sizeof(struct record_request);
}

static uint64_t inflight_stride(const struct link_geometry *g)
{
	return ALIGN_UP(record_inflight_length(g), (uint64_t)RECORD_ALIGN);
}

static uint64_t rings_offset(const struct link_geometry *g)
{
	return record_inflight_offset(g, g->queue_count);
}

static const uint64_t ring_stride =
	ALIGN_UP((uint64_t)sizeof(struct record_ring), (uint64_t)RECORD_ALIGN);

uint64_t record_length(const struct link_geometry *g)
{
	return ALIGN_UP(rings_offset(g) + g->queue_count * ring_stride, (uint64_t)K_PAGE_SIZE);
}

uint64_t record_inflight_offset(const struct link_geometry *g, uint32_t i)
{
	return ALIGN_UP((uint64_t)sizeof(struct record), (uint64_t)RECORD_ALIGN) +
	       i * inflight_stride(g);
}

struct record_inflight *record_inflight(const struct link_geometry *g, void *record, uint32_t i)
{
	return (struct record_inflight *)((char *)record + record_inflight_offset(g, i));
}

struct record_ring *record_ring(const struct link_geometry *g, void *record, uint32_t i)
{
	return (struct record_ring *)((char *)record + rings_offset(g) + i * ring_stride);
}
