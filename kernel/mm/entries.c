/* SPDX-License-Identifier: MIT */
/*
 * The entries of a region, edited in bulk: zapping, protecting, counting.
 */

#include "mm_priv.h"

static void put_page(struct tlb_batch *batch, struct page *page)
{
	if (batch)
		tlb_put_page(batch, page);
	else
		page_put(page);
}

bool entry_may_write(const struct region *r, arch_pte_t pte)
{
	const struct page *page = phys_to_page(arch_pte_paddr(pte));

	if (!(r->prot & K_PROT_WRITE))
		return false;
	if (r->flags & K_MAP_SHARED) {
		if (pte & PTE_SPECIAL)
			return true;	/* device memory */
		/* Tracked pages are marked by the fault of the first write. */
		return !(r->memory->flags & (K_MEMORY_TRACK_DIRTY | K_MEMORY_WRITE_FAULTS));
	}
	return !(pte & PTE_SPECIAL) && page->kind == PAGE_ANON && atomic_load(&page->refs) == 1;
}

static void zap_entry(struct space *space, uint64_t va, arch_pte_t *pte, enum zap_what what,
		      struct tlb_batch *batch)
{
	arch_pte_t old = *pte;
	struct page *page = old & PTE_SPECIAL ? NULL : phys_to_page(arch_pte_paddr(old));

	if (what != ZAP_ALL && (!page || page->kind != PAGE_OBJECT))
		return;
	if (what == ZAP_PROTECT) {
		if (arch_pte_writable(old)) {
			pte_set(pte, old & ~PTE_WRITE);
			tlb_add(batch, va);
		}
		return;
	}
	pte_set(pte, 0);
	space_count_entry(space, old, -1);
	if (batch && (old & PTE_PRESENT))
		tlb_add(batch, va);
	if (page)
		put_page(batch, page);
}

void space_zap(struct space *space, struct region *region, uint64_t start, uint64_t end,
	       enum zap_what what, struct tlb_batch *batch)
{
	for_each_entry(space, va, pte, start, end)
		if (*pte)
			zap_entry(space, va, pte, what, batch);
}

void space_reprotect(struct space *space, struct region *region, uint64_t start, uint64_t end,
		     struct tlb_batch *batch)
{
	for_each_entry(space, va, pte, start, end) {
		arch_pte_t old = *pte, new;

		if (!old)
			continue;
		new = arch_pte_set_prot(old, entry_prot(region, entry_may_write(region, old)));
		if (new == old)
			continue;
		pte_set(pte, new);
		/* More rights need no flush: at worst a fault finds nothing to do. */
		if ((old & ~new & (PTE_PRESENT | PTE_WRITE)) || (new & ~old & PTE_NX))
			tlb_add(batch, va);
	}
}

void space_count(struct space *space, const struct region *region, struct k_region *out)
{
	for_each_entry(space, va, pte, region->start, region->end) {
		const struct page *page = phys_to_page(arch_pte_paddr(*pte));

		if (!*pte || (*pte & PTE_SPECIAL))
			continue;
		out->resident_pages++;
		if (page->kind == PAGE_ANON)
			out->private_pages++;
		if (page->kind == PAGE_ANON || (READ_ONCE(page->flags) & PAGE_DIRTY))
			out->dirty_pages++;
	}
}
