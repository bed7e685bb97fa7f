/* SPDX-License-Identifier: MIT */
/*
 * Page tables: walking, making and freeing them.
 *
 * The kernel's half is shared by all roots: its top-level entries exist since
 * boot, so that a table made below one of them is seen by every space at once, and
 * nothing but the last level is ever taken away again.  Entries of the kernel's
 * half are put in with a compare-and-exchange.
 *
 * The lower half of a space, and a component's slot, are under the space's lock.
 * A space that a personality process runs programs in has a second root: the same
 * lower tables, made non-executable at the top, plus the personality's slot.
 */

#include "arch/mmu.h"
#include "base/string.h"
#include "kernel/group.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "mm_priv.h"

#define TOP		(ARCH_LEVELS - 1u)
#define HALF		(ARCH_TABLE_ENTRIES / 2)
#define SLOT_INDEX	((K_PERSONALITY_BASE >> 39) & (ARCH_TABLE_ENTRIES - 1))

static arch_pte_t *entry_table(arch_pte_t entry)
{
	return phys_to_virt(arch_pte_paddr(entry));
}

/* -- the kernel's half --------------------------------------------------------------------- */

arch_pte_t *kernel_table_find(uint64_t va)
{
	arch_pte_t *table = phys_to_virt(arch_kernel_root());

	for (unsigned level = TOP; level; level--) {
		arch_pte_t entry = __atomic_load_n(&table[arch_table_index(va, level)],
						   __ATOMIC_ACQUIRE);

		if (!(entry & PTE_PRESENT))
			return NULL;
		table = entry_table(entry);
	}
	return &table[arch_table_index(va, 0)];
}

arch_pte_t *kernel_table_make(uint64_t va, paddr_t (*take)(void *), void *arg)
{
	arch_pte_t *table = phys_to_virt(arch_kernel_root());

	for (unsigned level = TOP; level; level--) {
		arch_pte_t *entry = &table[arch_table_index(va, level)];
		arch_pte_t old = __atomic_load_n(entry, __ATOMIC_ACQUIRE);

		if (!(old & PTE_PRESENT)) {
			paddr_t pa = take(arg);

			if (!pa)
				return NULL;
			memset(phys_to_virt(pa), 0, K_PAGE_SIZE);
			/* release: a table is seen zeroed or not at all */
			if (__atomic_compare_exchange_n(entry, &old, arch_pte_table(pa, false), false,
							__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
				old = arch_pte_table(pa, false);
			else
				page_free(phys_to_page(pa), 0);
		}
		table = entry_table(old);
	}
	return &table[arch_table_index(va, 0)];
}

bool page_meta_present(uint64_t frame)
{
	const arch_pte_t *pte = kernel_table_find((uint64_t)(uintptr_t)(page_array + frame));

	return pte && *pte;
}

bool page_meta_map(uint64_t frame, paddr_t (*take)(void *), void *arg)
{
	uint64_t va = ALIGN_DOWN((uint64_t)(uintptr_t)(page_array + frame), K_PAGE_SIZE);
	arch_pte_t *pte = kernel_table_make(va, take, arg);
	paddr_t pa = pte ? take(arg) : 0;

	if (!pa)
		return false;
	/* All zero is a valid struct page: RESERVED, nobody's. */
	memset(phys_to_virt(pa), 0, K_PAGE_SIZE);
	__atomic_store_n(pte, arch_pte_kernel(pa, K_PROT_READ | K_PROT_WRITE, 0), __ATOMIC_RELEASE);
	return true;
}

struct prune_range {
	uint64_t start, end, floor, ceiling;
};

/* -- empty tables ------------------------------------------------------------------------------ */

/*
 * A table is freed when its entries are zero, which is how a new one has to be.  So
 * some are kept, of kind TABLE, charged to nobody, linked by page->next.
 */
#define SPARE_MAX 32u

static struct {
	struct page *first;		/* its CPU's, preemption disabled */
	uint32_t count;
} spare[MAX_CPUS];

static void check_empty(const arch_pte_t *table)
{
	for (unsigned i = 0; i < ARCH_TABLE_ENTRIES; i++)
		kassert(!table[i]);
}

static struct page *table_alloc(const struct space *space)
{
	struct group *group = space->object.group;
	struct page *page;

	preempt_disable();
	page = spare[cpu_id()].first;
	if (page) {
		spare[cpu_id()].first = page->next;
		spare[cpu_id()].count--;
	}
	preempt_enable();
	if (!page)
		return page_alloc(0, PAGE_ALLOC_ZERO | space_alloc_flags(space), PAGE_TABLE, group);
	if (!group_charge(group, 1)) {
		table_free(page);
		return NULL;
	}
	page->group = group;
	return page;
}

void table_free(struct page *page)
{
	bool keep;

	if (CONFIG_CHECKS)
		check_empty(page_virt(page));
	group_uncharge(page->group, 1);
	page->group = NULL;
	preempt_disable();
	keep = spare[cpu_id()].count < SPARE_MAX;
	if (keep) {
		page->next = spare[cpu_id()].first;
		spare[cpu_id()].first = page;
		spare[cpu_id()].count++;
	}
	preempt_enable();
	if (!keep)
		page_free(page, 0);
}

uint64_t table_spares(void)
{
	uint64_t n = 0;

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		n += READ_ONCE(spare[cpu].count);
	return n;
}

void table_drain(void)
{
	struct page *page;

	do {
		preempt_disable();
		page = spare[cpu_id()].first;
		if (page) {
			spare[cpu_id()].first = page->next;
			spare[cpu_id()].count--;
		}
		preempt_enable();
		if (page)
			page_free(page, 0);
	} while (page);
}

/* -- spaces ------------------------------------------------------------------------------------- */

arch_pte_t *table_find(paddr_t root, uint64_t va)
{
	arch_pte_t *table = phys_to_virt(root);

	for (unsigned level = TOP; level; level--) {
		arch_pte_t entry = table[arch_table_index(va, level)];

		if (!entry)
			return NULL;
		table = entry_table(entry);
	}
	return &table[arch_table_index(va, 0)];
}

/* A missing table below @entry; false: out of memory. */
static bool table_fill(struct space *space, arch_pte_t *entry, unsigned level, uint64_t va)
{
	struct page *page = table_alloc(space);

	if (!page)
		return false;
	space->table_pages++;
	/* release: the hardware of another CPU may walk here at any time */
	__atomic_store_n(entry, arch_pte_table(page_phys(page), true), __ATOMIC_RELEASE);
	if (level == TOP && space->unified_root) {
		arch_pte_t *unified = phys_to_virt(space->unified_root);

		unified[arch_table_index(va, TOP)] = *entry | PTE_NX;
	}
	return true;
}

arch_pte_t *table_make(struct space *space, uint64_t va)
{
	arch_pte_t *table = phys_to_virt(space->root);

	for (unsigned level = TOP; level; level--) {
		arch_pte_t *entry = &table[arch_table_index(va, level)];

		if (unlikely(!*entry) && !table_fill(space, entry, level, va))
			return NULL;
		table = entry_table(*entry);
	}
	return &table[arch_table_index(va, 0)];
}

arch_pte_t *table_next(paddr_t root, uint64_t *at, uint64_t end)
{
	uint64_t va = *at, span;

	while (va < end) {
		arch_pte_t *table = phys_to_virt(root);
		unsigned level = TOP;

		while (level && table[arch_table_index(va, level)])
			table = entry_table(table[arch_table_index(va, level--)]);
		if (!level) {
			*at = va;
			return &table[arch_table_index(va, 0)];
		}
		/* On to the next entry of this table that is there, or out of it. */
		span = arch_table_span(level);
		do
			va = ALIGN_DOWN(va, span) + span;
		while (va < end && arch_table_index(va, level) &&
		       !table[arch_table_index(va, level)]);
	}
	return NULL;
}

/* Free the tables below @table (of @level, for addresses from @base) that may go. */
static void prune(struct space *space, arch_pte_t *table, unsigned level, uint64_t base,
		  const struct prune_range *range, struct tlb_batch *batch)
{
	uint64_t span = arch_table_span(level);
	uint64_t start = MAX(range->start, base);
	uint64_t last = MIN(range->end - 1, base + (span * ARCH_TABLE_ENTRIES - 1));

	for (uint64_t va = ALIGN_DOWN(start, span); va <= last; va += span) {
		arch_pte_t *entry = &table[arch_table_index(va, level)];
		struct page *page;

		if (!*entry)
			continue;
		if (level > 1)
			prune(space, entry_table(*entry), level - 1, va, range, batch);
		if (va < range->floor || va + (span - 1) > range->ceiling - 1)
			continue;
		if (level == TOP && arch_table_index(va, TOP) == SLOT_INDEX)
			continue;	/* unified roots of other spaces may point there */
		page = phys_to_page(arch_pte_paddr(*entry));
		*entry = 0;
		if (level == TOP && space->unified_root)
			((arch_pte_t *)phys_to_virt(space->unified_root))[arch_table_index(va, TOP)]
				= 0;
		space->table_pages--;
		batch->tables = true;
		tlb_add(batch, va);
		tlb_put_page(batch, page);
	}
}

void table_prune(struct space *space, uint64_t start, uint64_t end, uint64_t floor,
		 uint64_t ceiling, struct tlb_batch *batch)
{
	struct prune_range range = { start, end, floor, ceiling };
	uint64_t whole = arch_table_span(TOP) * ARCH_TABLE_ENTRIES;

	prune(space, phys_to_virt(space->root), TOP, ALIGN_DOWN(start, whole), &range, batch);
}

/* -- the end of a space ------------------------------------------------------------------------- */

void table_walk_begin(struct table_walk *walk, struct space *space)
{
	*walk = (struct table_walk){ .space = space, .table = { [TOP] = phys_to_virt(space->root) } };
}

/* Free the tables below @level that the walk is in. */
static void leave_tables(struct table_walk *walk, unsigned level)
{
	for (unsigned l = 0; l < level; l++) {
		if (!walk->table[l])
			continue;
		table_free(phys_to_page(virt_to_phys(walk->table[l])));
		walk->table[l] = NULL;
		walk->space->table_pages--;
	}
}

arch_pte_t *table_walk_to(struct table_walk *walk, uint64_t va, uint64_t *next)
{
	uint64_t differ = (va ^ walk->va) >> (K_PAGE_SHIFT + ARCH_TABLE_BITS);
	unsigned level = 0;

	/* The lowest level at which the way to va leaves the present one. */
	while (!walk->table[level])
		level++;
	for (unsigned l = level; l < TOP && differ >> (ARCH_TABLE_BITS * l); l++)
		level = l + 1;
	leave_tables(walk, level);
	walk->va = va;
	for (; level; level--) {
		arch_pte_t *entry = &walk->table[level][arch_table_index(va, level)];

		if (!*entry) {
			*next = ALIGN_DOWN(va, arch_table_span(level)) + arch_table_span(level);
			return NULL;
		}
		walk->table[level - 1] = entry_table(*entry);
		*entry = 0;
	}
	return &walk->table[0][arch_table_index(va, 0)];
}

void table_walk_end(struct table_walk *walk)
{
	leave_tables(walk, TOP);
}

/* -- roots ---------------------------------------------------------------------------------------- */

static paddr_t root_create(struct space *space)
{
	const arch_pte_t *kernel = phys_to_virt(arch_kernel_root());
	struct page *page = table_alloc(space);

	if (!page)
		return 0;
	memcpy((arch_pte_t *)page_virt(page) + HALF, kernel + HALF, HALF * sizeof(*kernel));
	space->table_pages++;
	return page_phys(page);
}

static void root_destroy(paddr_t root)
{
	memset((arch_pte_t *)phys_to_virt(root) + HALF, 0, HALF * sizeof(arch_pte_t));
	table_free(phys_to_page(root));
}

/* The table of a personality's slot, which stays as long as its space; 0: out of memory. */
static paddr_t slot_table(struct space *owner)
{
	arch_pte_t *entry = (arch_pte_t *)phys_to_virt(owner->root) + SLOT_INDEX;
	paddr_t pa = 0;

	kmutex_lock(&owner->lock);
	if (*entry || table_fill(owner, entry, TOP, K_PERSONALITY_BASE))
		pa = arch_pte_paddr(*entry);
	kmutex_unlock(&owner->lock);
	return pa;
}

k_status_t table_create_roots(struct space *space, struct space *slot_owner)
{
	paddr_t slot = slot_owner ? slot_table(slot_owner) : 0;

	if (slot_owner && !slot)
		return K_ERR_NO_MEMORY;
	space->root = root_create(space);
	if (!space->root)
		return K_ERR_NO_MEMORY;
	if (!slot)
		return K_OK;
	space->unified_root = root_create(space);
	if (!space->unified_root) {
		root_destroy(space->root);
		return K_ERR_NO_MEMORY;
	}
	((arch_pte_t *)phys_to_virt(space->unified_root))[SLOT_INDEX] = arch_pte_table(slot, true);
	return K_OK;
}

void table_destroy_roots(struct space *space)
{
	arch_pte_t slot = ((arch_pte_t *)phys_to_virt(space->root))[SLOT_INDEX];

	/* Every table lay in a region with has_tables set. */
	kassert_checks(space->table_pages == 1u + !!space->unified_root + !!slot);
	if (slot)	/* slot_table() of a space that mapped nothing there */
		table_free(phys_to_page(arch_pte_paddr(slot)));
	root_destroy(space->root);
	if (!space->unified_root)
		return;
	memset(phys_to_virt(space->unified_root), 0, HALF * sizeof(arch_pte_t));
	root_destroy(space->unified_root);
}

bool table_has_slot(const struct space *space)
{
	return ((const arch_pte_t *)phys_to_virt(space->root))[SLOT_INDEX] != 0;
}
