/* SPDX-License-Identifier: MIT */
/*
 * The side of a virtqueue that makes requests, see virtio/queue.h.
 *
 * Descriptors are chained and freed by the private slots alone; what lies in the
 * shared descriptors is written, never read back.
 */
#include "base/util.h"
#include "virtio/queue.h"
#include "virtio_priv.h"

static void init_slots(struct vq_driver *q)
{
	for (uint16_t i = 0; i < q->ring.size; i++)
		q->slots[i] = (struct vq_driver_slot){ .next = (uint16_t)(i + 1) };
	q->free_head = 0;
	q->free_count = q->ring.size;
}

void vq_driver_init(struct vq_driver *q, const struct vring *ring, struct vq_driver_slot *slots)
{
	*q = (struct vq_driver){ .ring = *ring, .slots = slots };
	init_slots(q);
	atomic_store_explicit(&ring->avail->flags, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->avail->idx, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->used->flags, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->used->idx, 0, memory_order_relaxed);
}

bool vq_driver_add(struct vq_driver *q, const struct vq_segment *segments, unsigned int n,
		   void *cookie, uint16_t *head_out)
{
	uint16_t head = q->free_head, d = head, last = head;
	uint64_t writable = 0;

	if (!n || n > q->free_count || q->broken)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		const struct vq_segment *s = &segments[i];
		struct vring_desc *desc = &q->ring.desc[d];

		desc->addr = s->addr;
		desc->len = s->len;
		desc->flags = (uint16_t)((s->device_writes ? VRING_DESC_WRITE : 0) |
					 (i + 1 < n ? VRING_DESC_NEXT : 0));
		desc->next = i + 1 < n ? q->slots[d].next : 0;
		writable += s->device_writes ? s->len : 0;
		last = d;
		d = q->slots[d].next;
	}
	q->free_head = d;
	q->free_count = (uint16_t)(q->free_count - n);
	q->slots[last].next = q->ring.size;
	q->slots[head].count = (uint16_t)n;
	q->slots[head].writable = (uint32_t)MIN(writable, (uint64_t)UINT32_MAX);
	q->slots[head].cookie = cookie;
	vq_step(q->step);
	q->ring.avail->ring[q->avail_idx & (q->ring.size - 1)] = head;
	q->avail_idx++;
	*head_out = head;
	return true;
}

bool vq_driver_publish(struct vq_driver *q)
{
	if (q->published == q->avail_idx)
		return false;
	q->published = q->avail_idx;
	vq_step(q->step);
	/* release: pairs with the device's acquire of idx; descriptors come first */
	atomic_store_explicit(&q->ring.avail->idx, q->avail_idx, memory_order_release);
	vq_step(q->step);
	/* The device enables notifications and then looks at idx; we the other way round. */
	atomic_thread_fence(memory_order_seq_cst);
	return !(atomic_load_explicit(&q->ring.used->flags, memory_order_relaxed) &
		 VRING_USED_NO_NOTIFY);
}

bool vq_driver_ready(const struct vq_driver *q)
{
	return !q->broken &&
	       atomic_load_explicit(&q->ring.used->idx, memory_order_acquire) != q->used_idx;
}

/* Put the chain of @head back on the free list. */
static void free_chain(struct vq_driver *q, uint16_t head)
{
	uint16_t last = head;

	for (uint16_t i = 1; i < q->slots[head].count; i++)
		last = q->slots[last].next;
	q->slots[last].next = q->free_head;
	q->free_head = head;
	q->free_count = (uint16_t)(q->free_count + q->slots[head].count);
	q->slots[head].count = 0;
}

bool vq_driver_take(struct vq_driver *q, void **cookie, uint16_t *head, uint32_t *written)
{
	/* acquire: pairs with the device's release; the entry and the data come first */
	uint16_t idx = atomic_load_explicit(&q->ring.used->idx, memory_order_acquire);
	const volatile struct vring_used_elem *e;
	uint32_t id, len;

	if (q->broken || idx == q->used_idx)
		return false;
	if ((uint16_t)(idx - q->used_idx) > (uint16_t)(q->published - q->used_idx)) {
		q->broken = "the device used more chains than it was given";
		return false;
	}
	e = &q->ring.used->ring[q->used_idx & (q->ring.size - 1)];
	id = e->id;
	len = e->len;
	if (id >= q->ring.size || !q->slots[id].count) {
		q->broken = "the device used a chain that is not in flight";
		return false;
	}
	q->used_idx++;
	*cookie = q->slots[id].cookie;
	*head = (uint16_t)id;
	*written = MIN(len, q->slots[id].writable);
	free_chain(q, (uint16_t)id);
	return true;
}

void vq_driver_interrupts(struct vq_driver *q, bool enable)
{
	atomic_store_explicit(&q->ring.avail->flags, enable ? 0 : VRING_AVAIL_NO_INTERRUPT,
			      memory_order_relaxed);
	/* With the fence in the device's publish: it sees the flag, or we its index. */
	atomic_thread_fence(memory_order_seq_cst);
}

/* -- taking a ring over ------------------------------------------------------------------ */

enum { UNCLAIMED = UINT16_MAX };

void vq_driver_adopt_begin(struct vq_driver *q, const struct vring *ring,
			   struct vq_driver_slot *slots, uint16_t used_idx)
{
	*q = (struct vq_driver){ .ring = *ring, .slots = slots, .used_idx = used_idx };
	for (uint16_t i = 0; i < ring->size; i++)
		slots[i] = (struct vq_driver_slot){ .next = UNCLAIMED };
	q->free_count = ring->size;
	q->avail_idx = atomic_load_explicit(&ring->avail->idx, memory_order_relaxed);
	q->published = q->avail_idx;
}

bool vq_driver_adopt_chain(struct vq_driver *q, uint16_t head, uint16_t count, void *cookie)
{
	uint64_t writable = 0;
	uint16_t d = head;

	if (!count || count > q->free_count)
		return false;
	for (uint16_t i = 0; i < count; i++) {
		const volatile struct vring_desc *desc = &q->ring.desc[d];
		uint16_t flags, next;

		if (d >= q->ring.size || q->slots[d].next != UNCLAIMED)
			return false;
		flags = desc->flags;
		next = desc->next;
		if (!(flags & VRING_DESC_NEXT) != (i + 1u == count))
			return false;
		writable += flags & VRING_DESC_WRITE ? desc->len : 0;
		q->slots[d].next = i + 1 < count ? next : q->ring.size;
		d = next;
	}
	q->slots[head].count = count;
	q->slots[head].writable = (uint32_t)MIN(writable, (uint64_t)UINT32_MAX);
	q->slots[head].cookie = cookie;
	q->free_count = (uint16_t)(q->free_count - count);
	return true;
}

/* Entries of the used ring that were settled, although used_idx had not moved yet. */
static void skip_settled(struct vq_driver *q)
{
	uint16_t idx = atomic_load_explicit(&q->ring.used->idx, memory_order_acquire);

	for (uint32_t i = 0; i < q->ring.size && q->used_idx != idx; i++) {
		uint32_t id = *(volatile uint32_t *)
				&q->ring.used->ring[q->used_idx & (q->ring.size - 1)].id;

		if (id < q->ring.size && q->slots[id].count)
			return;
		q->used_idx++;
	}
}

bool vq_driver_adopt_end(struct vq_driver *q)
{
	uint16_t in_flight = 0;

	skip_settled(q);
	q->free_head = q->ring.size;
	for (uint16_t i = q->ring.size; i-- > 0;) {
		in_flight = (uint16_t)(in_flight + (q->slots[i].count != 0));
		if (q->slots[i].next != UNCLAIMED)
			continue;
		q->slots[i].next = q->free_head;
		q->free_head = i;
	}
	return (uint16_t)(q->avail_idx - q->used_idx) == in_flight;
}

void *vq_driver_abandon(struct vq_driver *q, uint16_t *head)
{
	if (!q->broken)
		q->broken = "the device is gone";
	for (uint16_t i = 0; i < q->ring.size; i++) {
		if (!q->slots[i].count)
			continue;
		*head = i;
		free_chain(q, i);
		q->used_idx++;
		return q->slots[i].cookie;
	}
	return NULL;
}
