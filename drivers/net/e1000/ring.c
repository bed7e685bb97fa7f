/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"

enum { MASK = NIC_RING_SIZE - 1 };

_Static_assert(NIC_RING_SIZE <= RECORD_RING_MAX, "an entry of the record for each descriptor");
_Static_assert(IS_POWER_OF_2(NIC_RING_SIZE), "positions wrap where the ring does");

void ring_open(struct ring *r, void *memory, struct record_ring *record,
	       const struct vq_device *link, void (*step)(void))
{
	*r = (struct ring){ .at = memory, .record = record, .link = link, .step = step };
}

void ring_make(struct ring *r)
{
	memset(r->at, 0, NIC_RING_SIZE * sizeof(*r->at));
	/* As if a whole frame had come before the first one. */
	r->at[MASK].high = LE32(DESC_DONE | RX_END);
	memset(r->record, 0, sizeof(*r->record));
	r->record->size = NIC_RING_SIZE;
	r->added = r->next = 0;
}

static struct record_chain *entry_at(const struct ring *r, uint64_t position)
{
	return &r->record->chains[position & MASK];
}

/* Whose request is in flight, and the one that was meant. */
static bool is_in_flight(const struct ring *r, const struct record_chain *c)
{
	return c->counter && vq_device_counter(r->link, c->head) == c->counter;
}

/* -- to the device ----------------------------------------------------------------------------- */

uint32_t ring_room(const struct ring *r)
{
	return NIC_RING_SIZE - 1 - (uint32_t)(r->added - r->next);
}

struct nic_desc *ring_free(const struct ring *r, uint32_t i)
{
	return &r->at[(r->added + i) & MASK];
}

void ring_add(struct ring *r, uint16_t head, uint32_t count)
{
	struct record_chain *c = entry_at(r, r->added);

	r->step();
	c->counter = 0;
	atomic_signal_fence(memory_order_release);
	c->position = r->added;
	c->head = head;
	c->count = (uint16_t)count;
	atomic_signal_fence(memory_order_release);
	r->step();
	c->counter = vq_device_counter(r->link, head);
	atomic_signal_fence(memory_order_release);
	r->step();
	r->added += count;
	r->record->added = r->added;
	atomic_signal_fence(memory_order_release);
	r->step();
}

uint32_t ring_tail(const struct ring *r)
{
	return r->added & MASK;
}

/* -- from the device --------------------------------------------------------------------------- */

bool ring_is_empty(const struct ring *r)
{
	return r->next == r->added;
}

bool ring_entry(const struct ring *r, uint64_t *position, uint16_t *head)
{
	const struct record_chain *c = entry_at(r, *position);

	if (*position >= r->added)
		return false;
	*head = c->head;
	*position += c->count;
	return true;
}

bool ring_take(struct ring *r, struct ring_done *done)
{
	const struct record_chain *c = entry_at(r, r->next);
	const struct nic_desc *last;
	uint64_t words;

	if (ring_is_empty(r))
		return false;
	last = &r->at[(r->next + c->count - 1) & MASK];
	/* acquire: pairs with the device's order; what else it wrote comes first */
	words = LE64(__atomic_load_n(&last->words, __ATOMIC_ACQUIRE));
	*done = (struct ring_done){ .head = c->head, .low = (uint32_t)words,
				    .high = (uint32_t)(words >> 32) };
	if (!(done->high & DESC_DONE))
		return false;
	/* The one before is free, and has not been used since: that is what its place is for. */
	done->is_tail = !(LE32(r->at[(r->next - 1) & MASK].high) & RX_END);
	r->next += c->count;
	return true;
}

void ring_settle(struct ring *r)
{
	atomic_signal_fence(memory_order_release);
	r->step();
	r->record->used_idx = (uint16_t)r->next;
	atomic_signal_fence(memory_order_release);
	r->step();
}

/* -- succession -------------------------------------------------------------------------------- */

/* The entry at @position is what was put there, and lies before @end. */
static bool is_entry(const struct ring *r, uint64_t position, uint64_t end)
{
	const struct record_chain *c = entry_at(r, position);

	return c->position == position && c->count && c->count <= end - position;
}

/* All entries fit, and after the first one in flight all are: they are done in their order. */
static bool entries_fit(struct ring *r, uint64_t begin, uint64_t end)
{
	bool any = false;

	r->next = end;
	for (uint64_t at = begin; at < end; at += entry_at(r, at)->count) {
		bool in_flight = is_entry(r, at, end) && is_in_flight(r, entry_at(r, at));

		if (!is_entry(r, at, end) || (any && !in_flight))
			return false;
		if (in_flight && !any)
			r->next = at;
		any |= in_flight;
	}
	return true;
}

bool ring_adopt(struct ring *r, uint32_t tail)
{
	uint64_t added = r->record->added, shown = added, begin;

	if (r->record->size != NIC_RING_SIZE)
		return false;
	begin = added - (uint16_t)((uint16_t)added - r->record->used_idx);
	if (added - begin >= NIC_RING_SIZE || begin > added)
		return false;
	if (tail < NIC_RING_SIZE)
		shown -= (added - tail) & MASK;
	if (shown < begin || shown > added || !entries_fit(r, begin, shown))
		return false;
	r->step();
	r->added = r->record->added = shown;
	/* Places of what was answered are used again only when it is on record. */
	ring_settle(r);
	return true;
}
