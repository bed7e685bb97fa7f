/* SPDX-License-Identifier: MIT */
/*
 * Kernel addresses outside the direct map: stacks with guard pages, blocks that
 * are contiguous only here, device registers.
 *
 * Stacks lie in slots of twice their size; the lower half of a slot is never
 * mapped.  A freed stack stays mapped on a list for the next thread, linked
 * through its lowest word, because unmapping it would interrupt every CPU.  What
 * is too much is unmapped by the next calls of kstack_alloc(), which may wait for a
 * shoot-down; kstack_free() is called where nobody may.  Each call waits for one
 * shoot-down at most, whatever a thousand threads left that have ended.  An unmapped
 * slot remembers the next free slot in its first page-table entry.
 *
 * Ranges are regions of a tree that is no space's.
 */

#include "arch/mmu.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/panic.h"
#include "mm_priv.h"

#define STACK_PAGES	(KSTACK_SIZE / K_PAGE_SIZE)
#define SLOT_SIZE	(2ull * KSTACK_SIZE)
#define SLOTS_MAX	(ARCH_STACKS_SIZE / SLOT_SIZE)
#define IDLE_STACKS_MAX	32u
#define RETIRE_STACKS	((uint32_t)(TLB_BATCH_PAGES / STACK_PAGES))	/* at once */

static struct spinlock lock = SPINLOCK_INIT(LOCK_VMALLOC);
static void *idle_stacks;		/* lock: mapped, unused */
static uint32_t idle_count;		/* lock */
static uint64_t slots_used;		/* lock: slots that were ever mapped */
static uint64_t free_slot;		/* lock: number + 1 of the first unmapped one, or 0 */
static struct region_tree ranges;	/* lock */
static uint64_t range_pages;		/* lock: of vmalloc() */

paddr_t kernel_table_page(void *arg UNUSED)
{
	struct page *page = page_alloc(0, 0, PAGE_TABLE, NULL);

	return page ? page_phys(page) : 0;
}

static arch_pte_t *make_entry(uint64_t va)
{
	return kernel_table_make(va, kernel_table_page, NULL);
}

/* Take out the entries of [start, start + pages), with their pages if @pages_too. */
static void clear_range(struct tlb_batch *batch, uint64_t start, uint64_t pages, bool pages_too)
{
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t va = start + i * K_PAGE_SIZE;
		arch_pte_t *pte = kernel_table_find(va), old;

		if (!pte || !(*pte & PTE_HELD))
			continue;
		old = *pte;
		*pte = 0;
		tlb_add(batch, va);
		if (pages_too)
			tlb_put_page(batch, phys_to_page(arch_pte_paddr(old)));
	}
}

/* The same, for good; frees the pages. */
static void unmap_range(uint64_t start, uint64_t pages, bool pages_too)
{
	struct tlb_batch batch;

	tlb_begin(&batch, NULL);
	clear_range(&batch, start, pages, pages_too);
	tlb_finish(&batch);
}

/* Back [start, start + pages) by fresh pages; on failure nothing is mapped. */
static bool map_pages(uint64_t start, uint64_t pages, unsigned flags, enum page_kind kind)
{
	for (uint64_t i = 0; i < pages; i++) {
		struct page *page = page_alloc(0, flags, kind, NULL);
		arch_pte_t *pte = page ? make_entry(start + i * K_PAGE_SIZE) : NULL;

		if (!pte) {
			if (page)
				page_free(page, 0);
			unmap_range(start, i, true);
			return false;
		}
		*pte = arch_pte_kernel(page_phys(page), K_PROT_READ | K_PROT_WRITE, 0);
	}
	return true;
}

/* -- stacks ---------------------------------------------------------------------------------- */

static uint64_t slot_stack(uint64_t slot)
{
	return ARCH_STACKS + slot * SLOT_SIZE + KSTACK_SIZE;
}

static void slot_put(uint64_t slot)
{
	arch_pte_t *pte = kernel_table_find(slot_stack(slot));

	spin_lock(&lock);
	kassert(pte && !*pte && free_slot << K_PAGE_SHIFT >> K_PAGE_SHIFT == free_slot);
	*pte = free_slot << K_PAGE_SHIFT;	/* neither present nor held */
	free_slot = slot + 1;
	spin_unlock(&lock);
}

static bool slot_get(uint64_t *slot)
{
	bool ok = true;

	spin_lock(&lock);
	if (free_slot) {
		arch_pte_t *pte = kernel_table_find(slot_stack(free_slot - 1));

		*slot = free_slot - 1;
		free_slot = *pte >> K_PAGE_SHIFT;
		*pte = 0;
	} else if (slots_used < SLOTS_MAX) {
		*slot = slots_used++;
	} else {
		ok = false;
	}
	spin_unlock(&lock);
	return ok;
}

/* Up to @max idle stacks, if there are more than @limit; returns how many. */
static uint32_t idle_pop(void **stacks, uint32_t max, uint32_t limit)
{
	uint32_t n = 0;

	spin_lock(&lock);
	if (idle_count > limit)
		n = MIN(max, idle_count);
	for (uint32_t i = 0; i < n; i++) {
		stacks[i] = idle_stacks;
		idle_stacks = *(void **)stacks[i];
	}
	idle_count -= n;
	spin_unlock(&lock);
	return n;
}

/* Unmap some, if there are more than @limit, by one shoot-down; false: there were not. */
static bool retire(uint32_t limit)
{
	void *stacks[RETIRE_STACKS];
	uint32_t n = idle_pop(stacks, RETIRE_STACKS, limit);
	struct tlb_batch batch;

	tlb_begin(&batch, NULL);
	for (uint32_t i = 0; i < n; i++)
		clear_range(&batch, (uint64_t)(uintptr_t)stacks[i], STACK_PAGES, true);
	tlb_finish(&batch);
	for (uint32_t i = 0; i < n; i++)
		slot_put(((uint64_t)(uintptr_t)stacks[i] - ARCH_STACKS) / SLOT_SIZE);
	return n;
}

void *kstack_alloc(void)
{
	void *stack = NULL;
	uint64_t slot;

	(void)idle_pop(&stack, 1, 0);
	(void)retire(IDLE_STACKS_MAX);
	if (stack)
		return stack;
	if (!slot_get(&slot))
		return NULL;
	if (!map_pages(slot_stack(slot), STACK_PAGES, 0, PAGE_STACK)) {
		/* The table for the link may be missing; such a slot is out of use. */
		if (kernel_table_find(slot_stack(slot)))
			slot_put(slot);
		return NULL;
	}
	return (void *)(uintptr_t)slot_stack(slot);
}

void kstack_free(void *stack)
{
	spin_lock(&lock);
	*(void **)stack = idle_stacks;
	idle_stacks = stack;
	idle_count++;
	spin_unlock(&lock);
}

/* For kmem_drain(). */
void kstack_drain(void)
{
	while (retire(0))
		;
}

bool kstack_is_guard(uint64_t addr)
{
	return addr - ARCH_STACKS < ARCH_STACKS_SIZE &&
	       (addr - ARCH_STACKS) % SLOT_SIZE < KSTACK_SIZE;
}

/* -- ranges ------------------------------------------------------------------------------------ */

/* A range of @pages with an unmapped page behind it; @tag 1: its pages are its own. */
static struct region *range_create(uint64_t pages, uint64_t tag)
{
	struct region *r = region_create();
	uint64_t length = (pages + 1) << K_PAGE_SHIFT;
	bool found;

	if (!r)
		return NULL;
	r->tag = tag;
	spin_lock(&lock);
	if (!ranges.limit)
		region_tree_init(&ranges, ARCH_VMALLOC, ARCH_VMALLOC + ARCH_VMALLOC_SIZE);
	found = region_tree_gap(&ranges, length, ranges.base, ranges.limit, false, &r->start);
	if (found) {
		r->end = r->start + length;
		region_tree_insert(&ranges, r);
		range_pages += tag ? pages : 0;
	}
	spin_unlock(&lock);
	if (!found) {
		region_free(r);
		return NULL;
	}
	return r;
}

static uint64_t range_page_count(const struct region *r)
{
	return ((r->end - r->start) >> K_PAGE_SHIFT) - 1;
}

static struct region *range_find(const void *p)
{
	struct region *r;

	spin_lock(&lock);
	r = region_tree_find(&ranges, (uint64_t)(uintptr_t)p);
	spin_unlock(&lock);
	kassert(r && r->start == ALIGN_DOWN((uint64_t)(uintptr_t)p, K_PAGE_SIZE));
	return r;
}

static void range_destroy(struct region *r)
{
	spin_lock(&lock);
	range_pages -= r->tag ? range_page_count(r) : 0;
	region_tree_remove(&ranges, r);
	spin_unlock(&lock);
	region_free(r);
}

void *vmalloc(size_t size)
{
	uint64_t pages = DIV_ROUND_UP((uint64_t)size, K_PAGE_SIZE);
	struct region *r = size && size < ARCH_VMALLOC_SIZE / 2 ? range_create(pages, 1) : NULL;

	if (!r)
		return NULL;
	if (!map_pages(r->start, pages, PAGE_ALLOC_ZERO, PAGE_KERNEL)) {
		range_destroy(r);
		return NULL;
	}
	return (void *)(uintptr_t)r->start;
}

void vfree(void *p)
{
	struct region *r;

	if (!p)
		return;
	r = range_find(p);
	unmap_range(r->start, range_page_count(r), true);
	range_destroy(r);
}

size_t vmalloc_size(const void *p)
{
	return range_page_count(range_find(p)) << K_PAGE_SHIFT;
}

static bool map_one(const struct region *r, uint64_t i, paddr_t pa, uint32_t prot,
		    enum arch_cache cache)
{
	arch_pte_t *pte = make_entry(r->start + i * K_PAGE_SIZE);

	if (pte)
		*pte = arch_pte_kernel(pa, prot, PTE_SPECIAL | arch_pte_cache_bits(cache));
	return pte;
}

void *kernel_map(paddr_t base, uint64_t length, uint32_t prot, enum arch_cache cache)
{
	uint64_t inside = base & (K_PAGE_SIZE - 1);
	uint64_t pages = DIV_ROUND_UP(inside + length, K_PAGE_SIZE);
	struct region *r = length && length < ARCH_VMALLOC_SIZE / 2 ? range_create(pages, 0) : NULL;

	if (!r)
		return NULL;
	for (uint64_t i = 0; i < pages; i++) {
		if (map_one(r, i, base - inside + i * K_PAGE_SIZE, prot, cache))
			continue;
		unmap_range(r->start, i, false);
		range_destroy(r);
		return NULL;
	}
	return (void *)(uintptr_t)(r->start + inside);
}

k_status_t kernel_map_memory(struct memory *memory, uint64_t offset, uint64_t length,
			     uint32_t prot, void **out)
{
	uint64_t pages = length >> K_PAGE_SHIFT;
	struct region *r;

	/* Resident pages stay where they are as long as the object lives. */
	if (!(memory->flags & K_MEMORY_RESIDENT) || !length ||
	    !IS_ALIGNED(offset | length, K_PAGE_SIZE) || length >= ARCH_VMALLOC_SIZE / 2)
		return K_ERR_BAD_ARGUMENT;
	if (!range_within(offset, length, ALIGN_UP(memory->size, K_PAGE_SIZE)))
		return K_ERR_BEYOND_END;
	r = range_create(pages, 0);
	if (!r)
		return K_ERR_NO_MEMORY;
	for (uint64_t i = 0; i < pages; i++) {
		paddr_t pa = memory_resident(memory, (offset >> K_PAGE_SHIFT) + i);

		if (map_one(r, i, pa, prot, memory->cache))
			continue;
		unmap_range(r->start, i, false);
		range_destroy(r);
		return K_ERR_NO_MEMORY;
	}
	object_get(&memory->object);
	r->memory = memory;
	*out = (void *)(uintptr_t)r->start;
	return K_OK;
}

void kernel_unmap(void *p)
{
	struct region *r = range_find(p);

	unmap_range(r->start, range_page_count(r), false);
	if (r->memory)
		object_put(&r->memory->object);
	range_destroy(r);
}

void kmem_stats(struct kmem_stats *out)
{
	struct page_stats pages;

	page_stats(&pages);
	*out = (struct kmem_stats){
		.slab_pages = pages.kinds[PAGE_SLAB],
		.stack_pages = pages.kinds[PAGE_STACK],
		.vmalloc_pages = READ_ONCE(range_pages),
	};
}
