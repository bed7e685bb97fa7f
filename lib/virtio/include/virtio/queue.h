/* SPDX-License-Identifier: MIT */
/*
 * The two sides of a virtqueue.
 *
 *   vq_driver	makes chains available and takes used ones: the client of a link, and
 *		a driver of virtio hardware
 *   vq_device	takes available chains and answers them: the server of a link
 *
 * The other side is hostile.  Each shared index is read once, checked against what
 * this side knows, and sizes are private.  What the other side may not do breaks
 * the queue: broken is set with a reason, and from then on nothing is taken.
 * Descriptors are copied once; the copy is checked and used.
 *
 * The caller locks: one thread at a time per queue.
 *
 * Either side can die between any two of its stores and be succeeded over the same
 * memory: vq_device_init() with adopt, vq_driver_adopt_begin().  step, where it is set, is
 * called between such stores in builds with checks, so that tests can die there.
 */
#pragma once

#include <stdbool.h>

#include "abi/record.h"
#include "virtio/ring.h"

/* One piece of a chain: what an address means is the users' affair. */
struct vq_segment {
	uint64_t addr;
	uint32_t len;
	bool device_writes;
};

/* -- driver side --------------------------------------------------------------------- */

struct vq_driver {
	struct vring ring;		/* constant */
	struct vq_driver_slot {		/* per descriptor */
		uint16_t next;		/* free list, or the next of the chain */
		uint16_t count;		/* of a head in flight: length of its chain; else 0 */
		uint32_t writable;	/* of a head: bytes that the device may write */
		void *cookie;
	} *slots;
	uint16_t free_head, free_count;
	uint16_t avail_idx;		/* next to publish; ring->avail->idx lags until publish */
	uint16_t published;
	uint16_t used_idx;		/* next to take */
	const char *broken;		/* reason, or NULL */
	void (*step)(void);		/* or NULL */
};

/* @slots: ring.size of them, any contents.  The shared indices are set to zero. */
void vq_driver_init(struct vq_driver *q, const struct vring *ring, struct vq_driver_slot *slots);

/* Make a chain of @n segments available at the next publish; false: no room (or broken). */
bool vq_driver_add(struct vq_driver *q, const struct vq_segment *segments, unsigned int n,
		   void *cookie, uint16_t *head);
/* Show the device what was added.  True: it wants to be notified. */
bool vq_driver_publish(struct vq_driver *q);

/* The next used chain; its descriptors are free again.  @written is at most what was writable. */
bool vq_driver_take(struct vq_driver *q, void **cookie, uint16_t *head, uint32_t *written);
/* Whether vq_driver_take() would give one. */
bool vq_driver_ready(const struct vq_driver *q);

/* Ask for no interrupts, or for them; after enabling, look at the ring once more. */
void vq_driver_interrupts(struct vq_driver *q, bool enable);
/* Chains in flight. */
static inline unsigned int vq_driver_in_flight(const struct vq_driver *q)
{
	return (uint16_t)(q->avail_idx - q->used_idx);
}
/*
 * Take over a ring whose driver died, without telling the device: begin, name each chain
 * that is in flight by its head, end.  @used_idx: all before it is settled.  The
 * rings lie in memory that only the dead driver and the device could write; what is
 * not plausible there is refused (false), and then the queue has to be made anew.
 * What the device used meanwhile is there to be taken afterwards, except for entries
 * right after @used_idx that belong to no chain: those were settled, too.
 */
void vq_driver_adopt_begin(struct vq_driver *q, const struct vring *ring,
			   struct vq_driver_slot *slots, uint16_t used_idx);
bool vq_driver_adopt_chain(struct vq_driver *q, uint16_t head, uint16_t count, void *cookie);
bool vq_driver_adopt_end(struct vq_driver *q);

/* Any chain that is in flight, after the device is gone: its cookie, or NULL for none. */
void *vq_driver_abandon(struct vq_driver *q, uint16_t *head);

/* -- device side ---------------------------------------------------------------------- */

struct vq_chain {
	uint16_t head;
	uint16_t count;			/* of segments */
	uint32_t readable, writable;	/* bytes in all; saturated */
	struct vq_segment *segments;	/* ring.size of room; the caller's */
};

struct vq_device {
	struct vring ring;		/* constant */
	struct record_inflight *inflight;	/* constant; NULL: not recorded */
	uint8_t *taken;			/* per descriptor, private: 1 while a head is in flight */
	uint16_t avail_idx;		/* next to take */
	uint16_t used_idx;		/* next to answer; ring->used->idx lags until publish */
	uint16_t published;
	uint16_t batch_last;		/* record answered last, since the last publish */
	uint64_t counter;
	const char *broken;
	void (*step)(void);		/* or NULL */
};

/*
 * A new queue, or one whose server died: with @inflight and @adopt the state is
 * taken from the table alone, a publication that was under way is completed, and
 * vq_device_adopted() gives the requests that are in flight.  @taken: ring.size bytes.
 */
void vq_device_init(struct vq_device *q, const struct vring *ring, struct record_inflight *inflight,
		    uint8_t *taken, bool adopt);

/* The next available chain; false: none, or broken. */
bool vq_device_take(struct vq_device *q, struct vq_chain *chain);
/*
 * After adoption: the request in flight that was taken first and after *@counter
 * (0 to begin with), which is set to its counter.  False: no more.
 */
bool vq_device_adopted(struct vq_device *q, uint64_t *counter, struct vq_chain *chain);

/* The counter of the request at @head, 0: none is in flight there. */
uint64_t vq_device_counter(const struct vq_device *q, uint16_t head);

/* Answer the chain @head, @written bytes of it were written; shown at the next publish. */
void vq_device_answer(struct vq_device *q, uint16_t head, uint32_t written);
/* Show the driver what was answered.  True: it wants an interrupt. */
bool vq_device_publish(struct vq_device *q);

/* Ask for no notifications, or for them.  After enabling: true if chains came meanwhile. */
bool vq_device_notifications(struct vq_device *q, bool enable);
