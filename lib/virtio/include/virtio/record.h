/* SPDX-License-Identifier: MIT */
/* Where things lie in an instance's record: the rules of abi/record.h as code. */
#pragma once

#include "abi/link.h"
#include "abi/record.h"

/* Bytes of the record of an instance with a link like @g (any number of queues, also 0). */
uint64_t record_length(const struct link_geometry *g);
/* The tables of queue @i < g->queue_count in the record at @record. */
struct record_inflight *record_inflight(const struct link_geometry *g, void *record, uint32_t i);
struct record_ring *record_ring(const struct link_geometry *g, void *record, uint32_t i);
/* Offset of an in-flight table from the start of the record. */
uint64_t record_inflight_offset(const struct link_geometry *g, uint32_t i);
uint64_t record_inflight_length(const struct link_geometry *g);
