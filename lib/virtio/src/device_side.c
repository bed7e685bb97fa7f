/* SPDX-License-Identifier: MIT */
/*
 * The side of a virtqueue that serves requests, see virtio/queue.h; the in-flight
 * table of abi/record.h.
 *
 * taken[] is this incarnation's own record of the heads that it holds; the table is
 * written for a successor, and read only when adopting.  The client cannot write it; a
 * predecessor that went wild can have, so numbers in it are checked all the same.
 */
#include "base/string.h"
#include "base/util.h"
#include "virtio/queue.h"
#include "virtio_priv.h"

/* The batch between used_idx and used_next is published: forget its requests. */
static void clear_batch(struct vq_device *q)
{
	struct record_inflight *t = q->inflight;
	uint16_t d = t->batch_head;

	for (unsigned int i = 0; i < q->ring.size && d < q->ring.size; i++) {
		uint16_t next = t->requests[d].next;

		t->requests[d].inflight = 0;
		vq_step(q->step);
		if (next == d)
			break;
		d = next;
	}
	atomic_signal_fence(memory_order_release);
	t->used_idx = t->used_next;
}

/* Finish the publication that was under way, and count what is in flight. */
static unsigned int adopt_table(struct vq_device *q)
{
	struct record_inflight *t = q->inflight;
	unsigned int left = 0;

	if (t->used_idx != t->used_next) {
		atomic_store_explicit(&q->ring.used->idx, t->used_next, memory_order_release);
		clear_batch(q);
	}
	q->counter = t->counter;
	for (uint16_t d = 0; d < q->ring.size; d++) {
		q->taken[d] = t->requests[d].inflight != 0;
		left += q->taken[d];
		if (q->taken[d] && t->requests[d].counter > q->counter)
			q->counter = t->requests[d].counter;
	}
	return left;
}

void vq_device_init(struct vq_device *q, const struct vring *ring, struct record_inflight *inflight,
		    uint8_t *taken, bool adopt)
{
	*q = (struct vq_device){ .ring = *ring, .inflight = inflight, .taken = taken,
				 .batch_last = UINT16_MAX };
	memset(taken, 0, ring->size);
	if (!inflight)
		return;
	if (!adopt) {
		memset(inflight, 0, sizeof(*inflight) + ring->size * sizeof(inflight->requests[0]));
		return;
	}
	q->avail_idx = (uint16_t)adopt_table(q);
	q->used_idx = inflight->used_idx;
	q->published = q->used_idx;
	q->avail_idx = (uint16_t)(q->avail_idx + q->used_idx);
}

static void record_taken(struct vq_device *q, uint16_t head)
{
	q->taken[head] = 1;
	q->counter++;
	if (!q->inflight)
		return;
	q->inflight->counter = q->counter;
	q->inflight->requests[head].counter = q->counter;
	q->inflight->requests[head].fatal = 0;
	q->inflight->requests[head].overdue = 0;
	/* A signal fence is enough: only an end of this process comes between. */
	atomic_signal_fence(memory_order_release);
	vq_step(q->step);
	q->inflight->requests[head].inflight = 1;
	vq_step(q->step);
}

/* Copy the chain that starts at @head into @c; false: broken. */
static bool copy_chain(struct vq_device *q, uint16_t head, struct vq_chain *c)
{
	uint64_t readable = 0, writable = 0;
	uint16_t d = head;

	c->head = head;
	for (c->count = 0; c->count < q->ring.size; c->count++) {
		const volatile struct vring_desc *desc = &q->ring.desc[d];
		uint16_t flags = desc->flags;
		struct vq_segment s = { .addr = desc->addr, .len = desc->len,
					.device_writes = flags & VRING_DESC_WRITE };

		if (flags & VRING_DESC_INDIRECT) {
			q->broken = "indirect descriptor";
			return false;
		}
		if (!s.device_writes && writable) {
			q->broken = "readable descriptor after a writable one";
			return false;
		}
		*(s.device_writes ? &writable : &readable) += s.len;
		c->segments[c->count] = s;
		if (!(flags & VRING_DESC_NEXT)) {
			c->count++;
			c->readable = (uint32_t)MIN(readable, (uint64_t)UINT32_MAX);
			c->writable = (uint32_t)MIN(writable, (uint64_t)UINT32_MAX);
			return true;
		}
		d = desc->next;
		if (d >= q->ring.size)
			break;
	}
	q->broken = "descriptor chain that has no end";
	return false;
}

bool vq_device_take(struct vq_device *q, struct vq_chain *c)
{
	/* acquire: pairs with the driver's release; ring entry and descriptors come first */
	uint16_t idx = atomic_load_explicit(&q->ring.avail->idx, memory_order_acquire);
	uint16_t head;

	if (q->broken || idx == q->avail_idx)
		return false;
	if ((uint16_t)(idx - q->used_idx) > q->ring.size) {
		q->broken = "more chains available than the ring holds";
		return false;
	}
	head = *(const volatile uint16_t *)&q->ring.avail->ring[q->avail_idx & (q->ring.size - 1)];
	if (head >= q->ring.size || q->taken[head]) {
		q->broken = "chain available that does not exist or is in flight";
		return false;
	}
	if (!copy_chain(q, head, c))
		return false;
	q->avail_idx++;
	record_taken(q, head);
	return true;
}

bool vq_device_adopted(struct vq_device *q, uint64_t *counter, struct vq_chain *c)
{
	uint64_t best = UINT64_MAX;
	uint16_t head = 0;

	if (!q->inflight || q->broken)
		return false;
	for (uint16_t d = 0; d < q->ring.size; d++) {
		uint64_t v = q->inflight->requests[d].counter;

		if (q->taken[d] && v > *counter && v < best) {
			best = v;
			head = d;
		}
	}
	if (best == UINT64_MAX)
		return false;
	*counter = best;
	return copy_chain(q, head, c);
}

uint64_t vq_device_counter(const struct vq_device *q, uint16_t head)
{
	if (!q->inflight || head >= q->ring.size || !q->taken[head])
		return 0;
	return q->inflight->requests[head].counter;
}

void vq_device_answer(struct vq_device *q, uint16_t head, uint32_t written)
{
	struct vring_used_elem *e = &q->ring.used->ring[q->used_idx & (q->ring.size - 1)];

	e->id = head;
	e->len = written;
	q->used_idx++;
	q->taken[head] = 0;
	if (!q->inflight)
		return;
	q->inflight->requests[head].next = head;
	if (q->batch_last == UINT16_MAX)
		q->inflight->batch_head = head;
	else
		q->inflight->requests[q->batch_last].next = head;
	q->batch_last = head;
	vq_step(q->step);
}

bool vq_device_publish(struct vq_device *q)
{
	if (q->published == q->used_idx)
		return false;
	if (q->inflight) {
		/* From here on the batch counts as answered: a successor would publish it. */
		atomic_signal_fence(memory_order_release);
		q->inflight->used_next = q->used_idx;
		atomic_signal_fence(memory_order_release);
		vq_step(q->step);
	}
	/* release: pairs with the driver's acquire; entries and data come first */
	atomic_store_explicit(&q->ring.used->idx, q->used_idx, memory_order_release);
	if (q->inflight) {
		vq_step(q->step);
		clear_batch(q);
		q->batch_last = UINT16_MAX;
	}
	q->published = q->used_idx;
	atomic_thread_fence(memory_order_seq_cst);
	return !(atomic_load_explicit(&q->ring.avail->flags, memory_order_relaxed) &
		 VRING_AVAIL_NO_INTERRUPT);
}

bool vq_device_notifications(struct vq_device *q, bool enable)
{
	atomic_store_explicit(&q->ring.used->flags, enable ? 0 : VRING_USED_NO_NOTIFY,
			      memory_order_relaxed);
	if (!enable)
		return false;
	/* With the fence in the driver's publish: it sees the flag, or we its index. */
	atomic_thread_fence(memory_order_seq_cst);
	return !q->broken &&
	       atomic_load_explicit(&q->ring.avail->idx, memory_order_relaxed) != q->avail_idx;
}
