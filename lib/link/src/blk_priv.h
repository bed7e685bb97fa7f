/* SPDX-License-Identifier: MIT */
/* Block devices, for the files that they are made of: blk.c, blk_request.c. */
#pragma once

#include "base/bitmap.h"
#include "base/byteorder.h"
#include "base/list.h"
#include "base/string.h"
#include "base/util.h"
#include "link/blk.h"
#include "link_priv.h"

enum { DESCRIPTORS = 3 };	/* of a request */

#define F_RO		BIT(5)
#define F_BLK_SIZE	BIT(6)
#define F_FLUSH		BIT(9)
#define F_TOPOLOGY	BIT(10)
#define F_DISCARD	BIT(13)

enum { ID_LENGTH = 20, DISCARD_LENGTH = 16 };

struct blk {
	/* Constant. */
	struct link *link;
	uint64_t features;
	uint32_t block_size;
	uint32_t max_discard;		/* sectors */
	struct blk_limits limits;
	uint32_t pages;			/* of data memory */
	uint32_t request_count;

	struct rt_mutex lock;
	struct vq_driver queue;		/* lock */
	struct vq_driver_slot *slots;
	struct blk_request *requests, *free;	/* lock */
	uint64_t *page_map;		/* lock: set: in use */
	uint64_t submitted;		/* lock: requests, ever */
	struct list followers;		/* lock: blk_request.link: threads that sleep */
	bool led;			/* lock: a thread waits on the bell, for all */
	uint32_t wanting;		/* lock: threads that wait for room */
	_Atomic(uint32_t) room;		/* changes when there is some; they sleep on it */
	bool accused;			/* lock: since the ring was made */
	uint32_t untold;		/* lock: looks that found answers, since then */
	_Atomic(uint64_t) sectors;	/* capacity; the device may change it */
};

/* As blk_submit(); with @more to come, the driver is not told yet. */
void blk_submit_more(struct blk *b, struct blk_request *r, bool more);
/* It is told of what it was not told. */
void blk_tell(struct blk *b);
