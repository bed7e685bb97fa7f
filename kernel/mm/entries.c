/* SPDX-License-Identifier: MIT */
/*
 * The entries of a region, edited in bulk: zapping, protecting, counting.
 */

#include "mm_priv.h"

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
	return !(pte & PTE_SPECIAL) && page->kind == PAGE_ANON && page_is_exclusive(page);
}

static void zap_entry(struct space *space, uint64_t va, arch_pte_t *pte, enum zap_what what,
		      struct tlb_batch *batch)
{
	arch_pte_t old = *pte;
	struct page *page = old & PTE_SPECIAL ? NULL : phys_to_page(arch_pte_paddr(old));

	if (what != ZAP_ALL && (!page || !page_is_of_object(page)))
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
	if (old & PTE_PRESENT)
		tlb_add(batch, va);
	if (page)
		tlb_put_page(batch, page);
}

void space_zap(struct space *space, struct region *region, uint64_t start, uint64_t end,
	       enum zap_what what, struct tlb_batch *batch)
{
	struct entry_walk w = ENTRY_WALK(space, start, end);

	while (region->has_tables && entry_next(&w))
		zap_entry(space, w.va, w.pte, what, batch);
}

void space_reprotect(struct space *space, struct region *region, uint64_t start, uint64_t end,
		     struct tlb_batch *batch)
{
	struct entry_walk w = ENTRY_WALK(space, start, end);

	while (region->has_tables && entry_next(&w)) {
		arch_pte_t old = *w.pte, new;

		new = arch_pte_set_prot(old, entry_prot(region, entry_may_write(region, old)));
		if (new == old)
			continue;
		pte_set(w.pte, new);
		/* More rights need no flush: at worst a fault finds nothing to do. */
		if ((old & ~new & (PTE_PRESENT | PTE_WRITE)) || (new & ~old & PTE_NX))
			tlb_add(batch, w.va);
	}
}

/* The entries of the table that holds @pte, from there up to @n; they belong to @region. */
static void teardown_table(arch_pte_t *pte, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		arch_pte_t old = pte[i];

		if (i + 4 <= n && !(old | pte[i + 1] | pte[i + 2] | pte[i + 3])) {
			i += 3;
			continue;
		}
		if (!old)
			continue;
		pte[i] = 0;
		if (!(old & PTE_SPECIAL))
			page_put(phys_to_page(arch_pte_paddr(old)));
	}
}

void space_teardown(struct space *space)
{
	struct table_walk walk;

	table_walk_begin(&walk, space);
	for (struct region *r = space->tree.first; r; r = r->next) {
		uint64_t va = r->has_tables ? r->start : r->end, next;

		for (; va < r->end; va = next) {
			arch_pte_t *pte = table_walk_to(&walk, va, &next);

			if (!pte)
				continue;
			next = ALIGN_DOWN(va, arch_table_span(1)) + arch_table_span(1);
			next = MIN(next, r->end);
			teardown_table(pte, (next - va) >> K_PAGE_SHIFT);
		}
	}
	table_walk_end(&walk);
}

void space_count(struct space *space, const struct region *region, struct k_region *out)
{
	struct entry_walk w = ENTRY_WALK(space, region->start, region->end);

	while (region->has_tables && entry_next(&w)) {
		const struct page *page = phys_to_page(arch_pte_paddr(*w.pte));

		if (*w.pte & PTE_SPECIAL)
			continue;
		out->resident_pages++;
		if (page->kind == PAGE_ANON)
			out->private_pages++;
		if (page->kind == PAGE_ANON || (READ_ONCE(page->flags) & PAGE_DIRTY))
			out->dirty_pages++;
	}
}
