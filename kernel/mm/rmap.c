/* SPDX-License-Identifier: MIT */
/*
 * From a memory object to its mappings.
 *
 * The object's list of regions is under its spinlock, the tables of a region under
 * its space's mutex, and the mutex comes first.  So a zap goes in rounds: it takes a
 * new round number, and as long as it finds a region on the list that overlaps and
 * has a smaller number, it references that region's space, lets go of the object,
 * locks the space, and edits all regions of that space on the list.  With the space
 * locked they cannot change.  Every region it has seen gets the round's number.
 * One zap of an object at a time, by its zap_lock: the number of another one, which
 * wanted other pages or other changes, would hide what this one has not seen.
 *
 * Regions that come to the list meanwhile need no visit: they are either new, and
 * faults look at the object as it is now; or parts, moves and copies of regions
 * (made with the space locked), and inherit the number together with the entries.
 */

#include "mm_priv.h"

static uint64_t region_first(const struct region *r)
{
	return (r->offset >> K_PAGE_SHIFT) + r->memory->first;
}

static bool overlaps(const struct region *r, uint64_t first, uint64_t end)
{
	uint64_t at = region_first(r);

	return at < end && at + ((r->end - r->start) >> K_PAGE_SHIFT) > first;
}

void memory_add_region(struct memory *memory, struct region *region, bool fresh)
{
	uint64_t shift = 0;
	struct memory *base = memory_base(memory, &shift);

	spin_lock(&base->lock);
	list_add_last(&base->regions, &region->object_link);
	if (fresh)
		region->zap_round = base->zap_round;
	base->mappings++;
	spin_unlock(&base->lock);
}

void memory_remove_region(struct memory *memory, struct region *region)
{
	uint64_t shift = 0;
	struct memory *base = memory_base(memory, &shift);

	spin_lock(&base->lock);
	list_remove(&region->object_link);
	base->mappings--;
	spin_unlock(&base->lock);
}

/* Edit the regions of @space on the list that this round has not seen; space locked. */
static void zap_in_space(struct memory *m, struct space *space, uint64_t round, uint64_t first,
			 uint64_t end, enum zap_what what)
{
	struct tlb_batch batch;
	struct region *r;

	tlb_begin(&batch, space);
	spin_lock(&m->lock);
	list_for_each_entry(r, &m->regions, object_link) {
		uint64_t at, from, to;

		if (r->space != space || r->zap_round >= round)
			continue;
		r->zap_round = round;
		if (!overlaps(r, first, end) || (what == ZAP_EVICT && (r->flags & K_MAP_LOCKED)))
			continue;
		/* r stays on the list: its space is locked. */
		spin_unlock(&m->lock);
		at = region_first(r);
		from = r->start + (first > at ? (first - at) << K_PAGE_SHIFT : 0);
		to = end - at < (r->end - r->start) >> K_PAGE_SHIFT ?
		     r->start + ((end - at) << K_PAGE_SHIFT) : r->end;
		space_zap(space, r, from, to, what, &batch);
		spin_lock(&m->lock);
	}
	spin_unlock(&m->lock);
	tlb_finish(&batch);
}

/* The next region to visit; lock held. */
static struct region *next_region(struct memory *m, uint64_t round, uint64_t first, uint64_t end)
{
	struct region *r;

	list_for_each_entry(r, &m->regions, object_link)
		if (r->zap_round < round && overlaps(r, first, end))
			return r;
	return NULL;
}

void memory_zap(struct memory *m, uint64_t first, uint64_t end, enum zap_what what)
{
	struct region *r;
	uint64_t round;

	kmutex_lock(&m->zap_lock);
	spin_lock(&m->lock);
	round = ++m->zap_round;
	while ((r = next_region(m, round, first, end))) {
		struct space *space = r->space;

		if (!refcount_try_get(&space->object.refs)) {
			/* The space is being destroyed: it takes its entries out itself. */
			r->zap_round = round;
			continue;
		}
		spin_unlock(&m->lock);
		kmutex_lock(&space->lock);
		zap_in_space(m, space, round, first, end, what);
		kmutex_unlock(&space->lock);
		/* If it has ended meanwhile: what goes with it may want locks before zap_lock. */
		object_put_deferred(&space->object);
		spin_lock(&m->lock);
	}
	spin_unlock(&m->lock);
	kmutex_unlock(&m->zap_lock);
}
