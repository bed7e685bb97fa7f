/* SPDX-License-Identifier: MIT */
/*
 * The invariants of spaces, executable (kernel/space.h lists them).
 */

#include "kernel/panic.h"
#include "mm_priv.h"

static void check_region(const struct space *space, const struct region *r)
{
	kassert(r->start < r->end && IS_ALIGNED(r->start | r->end, K_PAGE_SIZE));
	kassert(r->start >= space->tree.base && r->end <= space->tree.limit);
	kassert(!r->prev || r->prev->end <= r->start);
	kassert(!(r->prot & ~r->max_prot) && r->space == space);
	kassert(!r->memory == list_is_empty(&r->object_link));
}

/* An entry of @r, or of no region (NULL). */
static void check_entry(const struct region *r, arch_pte_t pte)
{
	const struct page *page = phys_to_page(arch_pte_paddr(pte));

	kassert(r && r->has_tables && (pte & PTE_HELD));
	kassert(!(pte & PTE_PRESENT) || r->prot);
	kassert(!arch_pte_writable(pte) || (r->prot & K_PROT_WRITE));
	kassert((pte & PTE_NX) || (r->prot & K_PROT_EXEC) || !(pte & PTE_PRESENT));
	if (pte & PTE_SPECIAL) {
		kassert(page == page_zero || (r->memory && r->memory->device));
		return;
	}
	kassert(page->kind == PAGE_ANON || page_is_of_object(page));
	kassert(atomic_load(&page->refs) > 0);
	kassert(page->kind != PAGE_ANON || (r->has_private && !(r->flags & K_MAP_SHARED)));
	if (arch_pte_writable(pte) && !(r->flags & K_MAP_SHARED))
		kassert(page->kind == PAGE_ANON && page_is_exclusive(page));
}

void space_check(struct space *space)
{
	struct entry_walk w = ENTRY_WALK(space, space->tree.base, space->tree.limit);
	uint64_t anon = 0, object = 0, mapped = 0, count = 0;

	if (!CONFIG_CHECKS)
		return;
	kmutex_lock(&space->lock);
	for (const struct region *r = space->tree.first; r; r = r->next, count++) {
		check_region(space, r);
		mapped += r->end - r->start;
	}
	while (entry_next(&w)) {
		const struct region *r = region_tree_find(&space->tree, w.va);

		check_entry(r && r->start <= w.va ? r : NULL, *w.pte);
		if (*w.pte & PTE_SPECIAL)
			continue;
		if (phys_to_page(arch_pte_paddr(*w.pte))->kind == PAGE_ANON)
			anon++;
		else
			object++;
	}
	kassert(space->anon_pages == anon && space->object_pages == object);
	kassert(space->mapped == mapped && space->tree.count == count);
	kmutex_unlock(&space->lock);
}
