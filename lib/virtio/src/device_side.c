/* SPDX-License-Identifier: MIT */
/*
 * The side of a virtqueue that serves requests, see virtio/queue.h; the in-flight
 * records of abi/link.h.
 *
 * taken[] is this incarnation's own record of the heads that it holds; the shared
 * records are written for a successor, and read only when adopting, where every
 * number in them is checked: they may have been damaged by the client.
 */
#include "base/string.h"
#include "base/util.h"
#include "virtio/queue.h"

/* Finish what the last incarnation published but did not clear, and count what is left. */
static unsigned int adopt_records(struct vq_device *q)
{
	struct link_inflight *t = q->inflight;
	unsigned int left = 0;

	if (t->used_idx != q->used_idx) {
		uint16_t d = t->batch_head;

		for (unsigned int i = 0; i < q->ring.size && d < q->ring.size; i++) {
			uint16_t next = t->records[d].next;

			t->records[d].inflight = 0;
			if (next == d)
				break;
			d = next;
		}
		t->used_idx = q->used_idx;
	}
	for (uint16_t d = 0; d < q->ring.size; d++) {
		q->taken[d] = t->records[d].inflight != 0;
		left += q->taken[d];
		if (q->taken[d] && t->records[d].counter > q->counter)
			q->counter = t->records[d].counter;
	}
	return left;
}

void vq_device_init(struct vq_device *q, const struct vring *ring, struct link_inflight *inflight,
		    uint8_t *taken, bool adopt)
{
	*q = (struct vq_device){ .ring = *ring, .inflight = inflight, .taken = taken,
				 .batch_last = UINT16_MAX };
	memset(taken, 0, ring->size);
	if (!inflight)
		return;
	if (!adopt || inflight->version != 1) {
		memset(inflight, 0, vq_inflight_length(ring->size));
		inflight->version = 1;
		inflight->size = ring->size;
		return;
	}
	q->used_idx = atomic_load_explicit(&ring->used->idx, memory_order_acquire);
	q->published = q->used_idx;
	q->avail_idx = (uint16_t)(q->used_idx + adopt_records(q));
}

static void record_taken(struct vq_device *q, uint16_t head)
{
	q->taken[head] = 1;
	q->counter++;
	if (!q->inflight)
		return;
	q->inflight->records[head].counter = q->counter;
	q->inflight->counter = q->counter;
	/* A signal fence is enough: only an end of this process comes between. */
	atomic_signal_fence(memory_order_release);
	q->inflight->records[head].inflight = 1;
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
		uint64_t v = q->inflight->records[d].counter;

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

void vq_device_answer(struct vq_device *q, uint16_t head, uint32_t written)
{
	struct vring_used_elem *e = &q->ring.used->ring[q->used_idx & (q->ring.size - 1)];

	e->id = head;
	e->len = written;
	q->used_idx++;
	q->taken[head] = 0;
	if (!q->inflight)
		return;
	if (q->batch_last == UINT16_MAX)
		q->inflight->batch_head = head;
	else
		q->inflight->records[q->batch_last].next = head;
	q->inflight->records[head].next = head;
	q->batch_last = head;
}

/* After publishing: clear the batch's records. */
static void record_published(struct vq_device *q)
{
	struct link_inflight *t = q->inflight;
	uint16_t used = q->used_idx;

	for (uint16_t i = q->published; i != used; i++) {
		uint32_t id = q->ring.used->ring[i & (q->ring.size - 1)].id;

		if (id < q->ring.size && !q->taken[id])
			t->records[id].inflight = 0;
	}
	atomic_signal_fence(memory_order_release);
	t->used_idx = used;
	q->batch_last = UINT16_MAX;
}

bool vq_device_publish(struct vq_device *q)
{
	if (q->published == q->used_idx)
		return false;
	/* release: pairs with the driver's acquire; entries and data come first */
	atomic_store_explicit(&q->ring.used->idx, q->used_idx, memory_order_release);
	if (q->inflight)
		record_published(q);
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
