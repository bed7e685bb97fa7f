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

#include "kernel/backing.h"
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
	arch_pte_t *to = NULL;

	for_each_entry(space, va, pte, r->start, r->end) {
		/* A table of the child per table of the parent, made when something goes there. */
		if (!arch_table_index(va, 0))
			to = NULL;
		if (to)
			to++;
		if (!*pte || (*pte & PTE_SPECIAL) ||
		    phys_to_page(arch_pte_paddr(*pte))->kind != PAGE_ANON)
			continue;
		if (!to && !(to = table_make(child, va)))
			return false;
		if (!clone_entry(child, va, pte, to, batch))
			return false;
	}
	return true;
}

static bool clone_region(struct space *space, struct space *child, struct region *r,
			 struct tlb_batch *batch)
{
	bool wipe = r->flags & K_MAP_WIPE_ON_FORK;
	struct region *copy = region_create();

	if (!copy)
		return false;
	region_copy(copy, r, r->start, r->end);
	copy->has_private &= !wipe;
	copy->flags &= ~K_MAP_LOCKED;	/* memory locks are not inherited */
	if (copy->backing)
		backing_copy_region(copy->backing);
	region_link(child, copy, false);
	return !copy->has_private || clone_entries(space, child, r, batch);
}

k_status_t space_clone(struct space *space, struct space **out)
{
	struct tlb_batch batch;
	struct space *child;
	struct region *r;
	k_status_t st = space_create(space->object.group, space->flags, space->slot, &child);

	if (st != K_OK)
		return st;
	kmutex_lock(&space->lock);
	kmutex_lock_nested(&child->lock);	/* new: nobody holds it and wants ours */
	tlb_begin(&batch, space);
	for (r = space->tree.first; r && st == K_OK; r = r->next)
		if (!(r->flags & K_MAP_DONT_FORK) && !clone_region(space, child, r, &batch))
			st = K_ERR_NO_MEMORY;
	tlb_finish(&batch);
	kmutex_unlock(&child->lock);
	kmutex_unlock(&space->lock);
	if (st == K_OK)
		*out = child;
	else
		object_put(&child->object);
	return st;
}
