/* SPDX-License-Identifier: MIT */
/*
 * fork: a copy of a space.
 *
 * Regions are copied one by one, in order.  Entries are copied only where there can
 * be private pages; pages of objects fault back in groups, which costs the child
 * less than copying and dropping the many that it will not touch.  Private pages
 * become read-only on both sides and gain a reference; one that is pinned for a
 * device is copied at once, because the device goes on with the parent's.
 *
 * The child is locked too: its regions are on the lists of their objects before
 * the copy is complete.
 */

#include "mm_priv.h"

/* One entry to the child's; false: out of memory. */
static bool clone_entry(struct space *child, uint64_t va, arch_pte_t *from, arch_pte_t *to,
			struct tlb_batch *batch)
{
	struct page *page = phys_to_page(arch_pte_paddr(*from));
	arch_pte_t entry = *from & ~PTE_WRITE;

	if (unlikely(atomic_load_explicit(&page->pins, memory_order_relaxed))) {
		struct page *copy = page_alloc(0, 0, PAGE_ANON, child->object.group);

		if (!copy)
			return false;
		page_copy(copy, page);
		entry = (*from & ~PTE_FRAME) | page_phys(copy);
	} else {
		page_get(page);
		if (arch_pte_writable(*from)) {
			pte_set(from, entry);
			tlb_add(batch, va);
		}
	}
	pte_set(to, entry);
	child->anon_pages++;
	return true;
}

static bool clone_entries(struct space *space, struct space *child, const struct region *r,
			  struct tlb_batch *batch)
{
	struct entry_walk w = ENTRY_WALK(space, r->start, r->end);
	arch_pte_t *stop = NULL, *to = NULL;	/* to: the child's entry for the parent's at stop */

	while (entry_next(&w)) {
		if ((*w.pte & PTE_SPECIAL) ||
		    phys_to_page(arch_pte_paddr(*w.pte))->kind != PAGE_ANON)
			continue;
		if (w.stop != stop) {		/* another table */
			to = table_make(child, w.va);
			if (!to)
				return false;
			stop = w.stop;
			to += stop - w.pte;
		}
		if (!clone_entry(child, w.va, w.pte, to - (stop - w.pte), batch))
			return false;
	}
	return true;
}

static bool clone_region(struct space *space, struct space *child, struct region *r,
			 struct tlb_batch *batch)
{
	bool wipe = r->flags & K_MAP_WIPE_ON_FORK;
	struct region *copy = region_duplicate(r, r->start, r->end);

	if (!copy)
		return false;
	copy->has_private &= !wipe;
	copy->has_tables = copy->has_private;
	copy->flags &= ~K_MAP_LOCKED;	/* memory locks are not inherited */
	region_append(child, copy);
	return !copy->has_private || clone_entries(space, child, r, batch);
}

k_status_t space_clone(struct space *space, struct space **out)
{
	struct tlb_batch batch;
	struct space *child;
	struct region *r;
	k_status_t st = space_create(space->object.group, space->flags, space->slot_owner,
				     &child);

	if (st != K_OK)
		return st;
	kmutex_lock(&space->lock);
	kmutex_lock_nested(&child->lock);	/* new: nobody holds it and wants ours */
	tlb_begin(&batch, space);
	for (r = space->tree.first; r && st == K_OK; r = r->next)
		if (!(r->flags & K_MAP_DONT_FORK) && !clone_region(space, child, r, &batch))
			st = K_ERR_NO_MEMORY;
	region_tree_build(&child->tree);
	tlb_finish(&batch);
	kmutex_unlock(&child->lock);
	kmutex_unlock(&space->lock);
	if (st == K_OK)
		*out = child;
	else
		object_put(&child->object);
	return st;
}
