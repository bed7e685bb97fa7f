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
#define F_MQ		BIT(12)
#define F_DISCARD	BIT(13)

enum { ID_LENGTH = 20, DISCARD_LENGTH = 16 };

struct blk_queue {
	/* Constant. */
	struct blk *blk;
	uint32_t index;
	struct vq_driver_slot *slots;
	struct blk_request *requests;	/* blk->request_count of them */

	struct blk_request *free;	/* blk->room_lock */

	/*
	 * Rank: the link's.  Who makes the rings anew holds those of all queues, taken in their order;
	 * nothing else takes two.
	 */
	struct rt_mutex lock;
	struct vq_driver vq;		/* lock, and all below */
	uint64_t submitted;		/* requests, ever */
	struct list followers;		/* blk_request.link: threads that sleep */
	bool led;			/* a thread waits on the bell, for all of the queue */
	uint32_t untold;		/* looks that found answers, since the ring was made */
};

struct blk {
	/* Constant. */
	struct link *link;
	uint64_t features;
	uint32_t block_size;
	uint32_t max_discard;		/* sectors */
	struct blk_limits limits;
	uint32_t pages;			/* of data memory */
	uint32_t queue_count, request_count;	/* of each queue */
	struct blk_queue *queues;

	struct rt_mutex room_lock;	/* rank: the link's; not together with a queue's */
	uint64_t *page_map;		/* room_lock: set: in use */
	uint32_t wanting;		/* room_lock: threads that wait for room */
	_Atomic(uint32_t) room;		/* changes when there is some; they sleep on it */
	_Atomic(bool) accused;		/* of something, since the rings were made: only the first is told to init */
	_Atomic(uint64_t) sectors;	/* capacity; the device may change it */
};

/* The queue that the calling thread's requests go to. */
struct blk_queue *blk_queue_of_caller(struct blk *b);
/* As blk_request_get(), of that queue. */
k_status_t blk_request_get_from(struct blk_queue *q, enum blk_op op, uint64_t sector, uint32_t length,
				bool wait, struct blk_request **out);
/* As blk_submit(); with @more to come, the driver is not told yet. */
void blk_submit_more(struct blk_request *r, bool more);
/* It is told of what it was not told. */
void blk_tell(struct blk_queue *q);
