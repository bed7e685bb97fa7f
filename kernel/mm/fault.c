/* SPDX-License-Identifier: MIT */
/*
 * Page faults.
 *
 * What an access finds, and what is done:
 *
 *	no entry, anonymous region	read: the page of zeros; write: a new page
 *	no entry, object		the object's page, found or made; a private write gets
 *					a copy at once; for reads the resident neighbours too
 *	entry, write refused		private: the page becomes ours if nobody else maps it,
 *					else is copied; shared: the object learns that the page
 *					is dirty
 *
 * An entry that allows the access already means that another thread was faster, or
 * that a TLB had an old entry with fewer rights: try again.
 */

#include "kernel/fault.h"

#include "kernel/backing.h"
#include "kernel/thread.h"
#include "mm_priv.h"

#define AROUND_PAGES	16u

static void count_new(struct space *space, uint64_t *counter, uint64_t n)
{
	*counter += n;
	if (space->anon_pages + space->object_pages > space->peak_resident)
		space->peak_resident = space->anon_pages + space->object_pages;
}

/* Replace the entry @old by @page, a private one of ours. */
static void install_private(struct space *space, struct region *r, uint64_t addr, arch_pte_t *pte,
			    arch_pte_t old, struct page *page)
{
	r->has_private = true;
	if (old)
		space_count_entry(space, old, -1);
	count_new(space, &space->anon_pages, 1);
	pte_set(pte, arch_pte_user(page_phys(page), r->prot, 0));
	if (old & PTE_PRESENT) {
		struct tlb_batch batch;

		tlb_begin(&batch, space);
		tlb_add(&batch, addr);
		if (!(old & PTE_SPECIAL))
			tlb_put_page(&batch, phys_to_page(arch_pte_paddr(old)));
		tlb_finish(&batch);
	} else if (old && !(old & PTE_SPECIAL)) {
		page_put(phys_to_page(arch_pte_paddr(old)));
	}
}

static k_status_t fault_anon(struct space *space, struct region *r, uint64_t addr, bool write,
			     arch_pte_t *pte, arch_pte_t old)
{
	struct page *page;

	if (!write) {
		pte_set(pte, arch_pte_user(page_phys(page_zero), entry_prot(r, false), PTE_SPECIAL));
		return K_OK;
	}
	page = page_alloc(0, PAGE_ALLOC_ZERO | space_alloc_flags(space), PAGE_ANON, space->object.group);
	if (!page)
		return K_ERR_NO_MEMORY;
	install_private(space, r, addr, pte, old, page);
	return K_OK;
}

/* A private copy of @from, whose reference stays the caller's. */
static k_status_t fault_copy(struct space *space, struct region *r, uint64_t addr,
			     arch_pte_t *pte, arch_pte_t old, const struct page *from)
{
	struct page *page = page_alloc(0, space_alloc_flags(space), PAGE_ANON, space->object.group);

	if (!page)
		return K_ERR_NO_MEMORY;
	page_copy(page, from);
	install_private(space, r, addr, pte, old, page);
	return K_OK;
}

static uint64_t region_index(const struct region *r, uint64_t addr)
{
	return (r->offset + (addr - r->start)) >> K_PAGE_SHIFT;
}

/* Map what is resident around @addr (its own page too) where there are no entries yet. */
static void map_around(struct space *space, struct region *r, uint64_t addr, arch_pte_t *pte)
{
	uint64_t window = AROUND_PAGES << K_PAGE_SHIFT;
	uint64_t start = MAX(ALIGN_DOWN(addr, window), r->start);
	uint64_t end = MIN(ALIGN_DOWN(addr, window) + window, r->end);
	uint64_t index = region_index(r, start), limit = memory_page_count(r->memory);
	unsigned n = (unsigned)MIN((end - start) >> K_PAGE_SHIFT,
				   index < limit ? limit - index : 0);
	struct memory *base = memory_base(r->memory, &index);
	struct page *found[AROUND_PAGES];
	arch_pte_t *at = pte - ((addr - start) >> K_PAGE_SHIFT);
	uint64_t mapped = 0;

	spin_lock(&base->lock);
	page_tree_batch(&base->pages, index, n, found);
	for (unsigned i = 0; i < n; i++, at++) {
		arch_pte_t new;

		if (!found[i] || *at)
			continue;
		page_get(found[i]);
		new = arch_pte_user(page_phys(found[i]), 0, 0);
		pte_set(at, arch_pte_set_prot(new, entry_prot(r, entry_may_write(r, new))));
		mapped++;
	}
	spin_unlock(&base->lock);
	count_new(space, &space->object_pages, mapped);
}

static void map_device(struct region *r, uint64_t addr, arch_pte_t *pte)
{
	const struct memory *m = r->memory;

	pte_set(pte, arch_pte_user(m->phys + (region_index(r, addr) << K_PAGE_SHIFT), r->prot,
				   PTE_SPECIAL | arch_pte_cache_bits(m->cache)));
}

/* The first shared write to a page of an object that tracks them; *@page with a reference. */
static k_status_t note_write(struct memory *m, uint64_t index, struct page **page)
{
	struct memory *base;
	k_status_t st;

	st = memory_lookup(m, index, true, !(m->flags & K_MEMORY_WRITE_FAULTS), page);
	if (st != K_OK || !(m->flags & K_MEMORY_WRITE_FAULTS))
		return st;
	base = memory_base(m, &index);
	spin_lock(&base->lock);
	if (!((*page)->flags & PAGE_DIRTY))
		st = K_ERR_NEED_PAGE;
	spin_unlock(&base->lock);
	if (st != K_OK)
		page_put(*page);
	return st;
}

/* No entry yet, and the region maps an object. */
static k_status_t fault_object(struct space *space, struct region *r, uint64_t addr, bool write,
			       arch_pte_t *pte)
{
	uint64_t index = region_index(r, addr);
	bool shared = r->flags & K_MAP_SHARED;
	struct page *page = NULL;
	k_status_t st;

	if (r->memory->device) {
		map_device(r, addr, pte);
		return K_OK;
	}
	if (write && shared)
		st = note_write(r->memory, index, &page);
	else
		st = memory_lookup(r->memory, index, true, false, &page);
	if (st != K_OK)
		return st;
	if (write && !shared) {
		st = fault_copy(space, r, addr, pte, 0, page);
		page_put(page);
	} else if (write) {
		count_new(space, &space->object_pages, 1);
		pte_set(pte, arch_pte_user(page_phys(page), r->prot, 0));
	} else {
		arch_pte_t new = arch_pte_user(page_phys(page), 0, 0);

		count_new(space, &space->object_pages, 1);
		pte_set(pte, arch_pte_set_prot(new, entry_prot(r, entry_may_write(r, new))));
		map_around(space, r, addr, pte);
	}
	return st;
}

/* There is an entry, but it does not let a write through. */
static k_status_t fault_write(struct space *space, struct region *r, uint64_t addr,
			      arch_pte_t *pte, arch_pte_t old)
{
	struct page *page = phys_to_page(arch_pte_paddr(old)), *again = NULL;
	k_status_t st;

	if (old & PTE_SPECIAL) {
		if (!r->memory)
			return fault_anon(space, r, addr, true, pte, old);
		pte_set(pte, arch_pte_set_prot(old, r->prot));
		return K_OK;
	}
	if (!(r->flags & K_MAP_SHARED)) {
		if (page->kind != PAGE_ANON || !page_is_exclusive(page))
			return fault_copy(space, r, addr, pte, old, page);
		/* Nobody else can come to it: the only reference is this entry. */
		pte_set(pte, arch_pte_set_prot(old, r->prot));
		return K_OK;
	}
	st = note_write(r->memory, region_index(r, addr), &again);
	if (st != K_OK)
		return st;
	/* Another page by now (discarded and made anew): a zap waits for this space. */
	if (again == page)
		pte_set(pte, arch_pte_set_prot(old, r->prot));
	page_put(again);
	return K_OK;
}

k_status_t fault_settle(struct space *space, struct region *r, uint64_t addr, uint32_t access,
			bool force, struct k_fault *out, arch_pte_t **entry)
{
	uint32_t prot = force ? r->max_prot : r->prot;
	bool write = access & K_PROT_WRITE;
	arch_pte_t *pte, old;
	k_status_t st;

	/* Whatever may be accessed at all may be read: the hardware knows no write-only pages. */
	if (unlikely(!prot || (access & ~(prot | K_PROT_READ))))
		return K_ERR_ACCESS;
	r->has_tables = true;
	pte = table_make(space, addr);
	if (unlikely(!pte))
		return K_ERR_NO_MEMORY;
	if (entry)
		*entry = pte;
	old = *pte;
	if (!old)
		st = r->memory ? fault_object(space, r, addr, write, pte) :
				 fault_anon(space, r, addr, write, pte, 0);
	else if (arch_pte_allows(old, access) || (force && !write))
		st = K_OK;
	else if (write)
		st = fault_write(space, r, addr, pte, old);
	else
		st = K_OK;
	if (unlikely(st != K_OK && out)) {
		out->cookie = r->backing ? r->backing->cookie : 0;
		out->offset = r->memory ? region_index(r, addr) << K_PAGE_SHIFT : 0;
	}
	return st;
}

/* The region for an access to @addr: a stack may grow to it. */
static struct region *find_or_grow(struct space *space, uint64_t addr)
{
	struct region *r = space_find(space, addr);
	uint64_t start = ALIGN_DOWN(addr, K_PAGE_SIZE), guard = REGION_GUARD;

	if (likely(r))
		return r;
	r = region_tree_find(&space->tree, addr);
	if (!r || !(r->flags & K_MAP_GROWS_DOWN) || r->end - start > r->limit ||
	    start < K_PROGRAM_MIN)
		return NULL;
	/* The gap below a stack is kept, unless what lies below cannot be accessed anyway. */
	if (r->prev && (!r->prev->prot || (r->prev->flags & K_MAP_GROWS_DOWN)))
		guard = 0;
	if (r->prev && start - r->prev->end < guard)
		return NULL;
	region_resize(space, r, start, r->end);
	return r;
}

k_status_t fault_handle(struct space *space, uint64_t addr, uint32_t access, struct k_fault *out)
{
	struct region *r;
	k_status_t st = K_ERR_NOT_FOUND;

	if (out)
		*out = (struct k_fault){ .addr = addr, .access = access };
	kmutex_lock(&space->lock);
	r = find_or_grow(space, addr);
	if (likely(r))
		st = fault_settle(space, r, addr & ~(K_PAGE_SIZE - 1ull), access, false, out, NULL);
	kmutex_unlock(&space->lock);
	if (out)
		out->status = st;
	return st;
}

k_status_t space_pin(struct space *space, uint64_t addr, struct page **page)
{
	k_status_t st = K_ERR_NOT_FOUND;
	struct region *r;
	arch_pte_t *pte;

	kmutex_lock(&space->lock);
	r = space_find(space, addr);
	if (r && !(r->flags & K_MAP_SHARED))
		st = fault_settle(space, r, addr & ~(K_PAGE_SIZE - 1ull), K_PROT_WRITE, false, NULL, &pte);
	if (st == K_OK) {
		*page = phys_to_page(arch_pte_paddr(*pte));
		if (!page_pin(*page))
			st = K_ERR_LIMIT;
	}
	kmutex_unlock(&space->lock);
	return st;
}

void space_unpin(struct space *space, struct page *page)
{
	kmutex_lock(&space->lock);
	page_unpin(page);
	kmutex_unlock(&space->lock);
}

bool fault_handle_kernel(uint64_t addr, uint32_t access)
{
	/* A personality process is in its slot, whatever program's space is loaded below. */
	struct space *space = addr < K_PROGRAM_MAX ? current_thread()->run_space :
						     current_thread()->own_space;

	return space && fault_handle(space, addr, access, NULL) == K_OK;
}
