/* SPDX-License-Identifier: MIT */
/*
 * What the files of mm/ share among themselves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"
#include "abi/types.h"
#include "base/util.h"
#include "kernel/memory.h"
#include "kernel/page.h"
#include "kernel/shootdown.h"
#include "kernel/space.h"

/* -- page.c, and the mapping of its metadata in table.c ------------------------------- */

struct page_range {
	paddr_t start, end;		/* end is exclusive */
};

/* @usable: ascending, no overlaps; nothing that is in use. */
void page_init(const struct page_range *usable, unsigned count);

/* Take memory over that was reserved at boot, as allocated pages of @kind; false: no memory. */
bool page_adopt(paddr_t base, uint64_t length, enum page_kind kind) MUST_CHECK;

/* Whether the struct page of @frame is mapped. */
bool page_meta_present(uint64_t frame);
/* Map the page of metadata that holds @frame's; pages (for it and tables) come from @take, which
 * gives 0 when out.  Callers are serialised by a zone's lock or by boot. */
bool page_meta_map(uint64_t frame, paddr_t (*take)(void *), void *arg) MUST_CHECK;

/* -- slab.c, vmalloc.c ---------------------------------------------------------------- */

void kmem_init(void);
void kstack_drain(void);
size_t vmalloc_size(const void *p);

/* -- table.c: the kernel's half: the entry of the last level ----------------------------- */

arch_pte_t *kernel_table_find(uint64_t va);
arch_pte_t *kernel_table_make(uint64_t va, paddr_t (*take)(void *), void *arg);
paddr_t kernel_table_page(void *arg);	/* a `take` for it: from the page allocator */

/* -- table.c: the tables of spaces; space->lock held ------------------------------------ */

/* The entry of the last level for @va, or NULL where a table is missing. */
arch_pte_t *table_find(paddr_t root, uint64_t va);
/* The same, making tables; NULL: out of memory. */
arch_pte_t *table_make(struct space *space, uint64_t va);

/*
 * The first address at or after *@va, below @end, whose last-level table exists: *@va
 * is set to it, and its entry returned.  NULL: there is none.
 */
arch_pte_t *table_next(paddr_t root, uint64_t *va, uint64_t end);

/* Free tables that lie wholly within [floor, ceiling) and cover part of [start, end).  All their
 * entries are empty. */
void table_prune(struct space *space, uint64_t start, uint64_t end, uint64_t floor,
		 uint64_t ceiling, struct tlb_batch *batch);

/* Roots: NO_MEMORY or OK; and the end of both, when the tables below are gone. */
k_status_t table_create_roots(struct space *space, struct space *slot_owner) MUST_CHECK;
void table_destroy_roots(struct space *space);
/* Whether @space is the own one of a process that lives in the slot of personalities. */
bool table_has_slot(const struct space *space);

/* The end of the tables of a space that nobody uses any more, walked in ascending order. */
struct table_walk {
	struct space *space;
	arch_pte_t *table[ARCH_LEVELS];	/* on the way to va; NULL: missing */
	uint64_t va;
};
void table_walk_begin(struct table_walk *walk, struct space *space);
/* On to @va, freeing tables left behind (their entries are zero).  The entry of the last level,
 * or NULL and in *@next the first address behind the missing table. */
arch_pte_t *table_walk_to(struct table_walk *walk, uint64_t va, uint64_t *next);
void table_walk_end(struct table_walk *walk);

/* Free a table, whose entries are all zero, for use as another. */
void table_free(struct page *page);
/* Give the tables that are kept for that back to the page allocator. */
void table_drain(void);
uint64_t table_spares(void);		/* how many there are: free, in a way */

/* -- page_tree.c ---------------------------------------------------------------------------- */

struct page *page_tree_get(const struct page_tree *tree, uint64_t index);
/* NO_MEMORY: unchanged.  The slot must be empty. */
bool page_tree_insert(struct page_tree *tree, uint64_t index, struct page *page) MUST_CHECK;
struct page *page_tree_remove(struct page_tree *tree, uint64_t index);
void page_tree_set_dirty(struct page_tree *tree, uint64_t index, bool dirty);
bool page_tree_is_dirty(const struct page_tree *tree, uint64_t index);
/* The first page (or dirty page) at or after *@index and below @end; *@index is where. */
struct page *page_tree_next(const struct page_tree *tree, uint64_t *index, uint64_t end,
			    bool dirty);
/* Pages at index .. index + n - 1 into @out, NULL where there is none; n <= 64. */
void page_tree_batch(const struct page_tree *tree, uint64_t index, unsigned n, struct page **out);

/* -- memory.c --------------------------------------------------------------------------------- */

/* The object that holds the pages, and the offset there. */
static inline struct memory *memory_base(struct memory *m, uint64_t *index)
{
	if (m->parent) {
		*index += m->first;
		return m->parent;
	}
	return m;
}

/*
 * The page at @index with a reference; NULL with OK: a hole of an anonymous object,
 * not to be made.  @dirty: mark it dirty if the object tracks that.
 * BEYOND_END, NEED_PAGE, NO_MEMORY; BAD_ARGUMENT: device memory.
 */
k_status_t memory_lookup(struct memory *m, uint64_t index, bool make, bool dirty,
			 struct page **out) MUST_CHECK;

/* Where the page of a RESIDENT object is. */
paddr_t memory_resident(struct memory *m, uint64_t index);

static inline uint64_t memory_page_count(const struct memory *m)
{
	return DIV_ROUND_UP(READ_ONCE(m->size), K_PAGE_SIZE);
}

/* The kind of a page that is made for @m. */
static inline enum page_kind memory_page_kind(const struct memory *m)
{
	if (m->flags & K_MEMORY_PAGED)
		return PAGE_CACHE;
	return m->flags & K_MEMORY_RESIDENT ? PAGE_OBJECT : PAGE_SHARED;
}

/* Whether somebody wants to know which pages of @m are dirty. */
static inline bool memory_tracks(const struct memory *m)
{
	return m->flags & (K_MEMORY_TRACK_DIRTY | K_MEMORY_WRITE_FAULTS);
}

/* Put @page, new and the caller's, into the tree; lock held or nobody else knows the object. */
MUST_CHECK bool memory_insert(struct memory *m, uint64_t index, struct page *page);

#define MEMORY_BATCH	32u		/* pages that are handled before others get the lock */

/* In long loops under the lock, where the tree may change at this point. */
static inline void memory_let_others(struct memory *m)
{
	spin_unlock(&m->lock);
	spin_lock(&m->lock);
}

/* -- rmap.c --------------------------------------------------------------------------------------- */

enum zap_what {
	ZAP_ALL,			/* take every entry out; private copies too */
	ZAP_SHARED,			/* only entries that map the object's own pages */
	ZAP_EVICT,			/* the same, but for regions that are locked in memory */
	ZAP_PROTECT,			/* make entries of the object's own pages read-only */
};

/* Edit all mappings of the pages [first, end) of @m.  May sleep; no spinlocks, no space locked. */
void memory_zap(struct memory *m, uint64_t first, uint64_t end, enum zap_what what);

/* The own memory of a process is needed by its code, and by the kernel on its behalf: nobody
 * could settle these faults if the pages ran out.  space_map() asks beforehand. */
static inline unsigned space_alloc_flags(const struct space *space)
{
	return space->flags & K_SPACE_PROGRAM ? 0 : PAGE_ALLOC_RESERVE;
}

/* -- region.c, and what space.c has for others: space->lock held ----------------------------------- */

#define REGIONS_MAX	65530u		/* as Linux's vm.max_map_count */

struct region *region_create(void);
void region_free(struct region *region);
/* Let go of what the region holds, and free it; it is in no tree. */
void region_end(struct region *region);
/* @bytes more (or less) of the space are mapped as the region is. */
void region_account(struct space *space, const struct region *region, int64_t bytes);

/* A copy of @r for [start, end), wherever that lies, with a count of its backing; not linked
 * anywhere.  NULL: out of memory. */
struct region *region_duplicate(const struct region *r, uint64_t start, uint64_t end) MUST_CHECK;
/* As region_link() behind the last one; region_tree_build() has to follow. */
void region_append(struct space *space, struct region *region);
/* Cut @region in two at @addr; the new one is the upper part.  NULL: out of memory. */
struct region *region_split(struct space *space, struct region *region, uint64_t addr) MUST_CHECK;
/* Join with the neighbours where they go on seamlessly; returns what became of it. */
struct region *region_merge(struct space *space, struct region *region);
/*
 * Into the tree and on its object's list; takes a reference on the object, and the
 * backing's count over from the caller.  @fresh: see memory_add_region().
 */
void region_link(struct space *space, struct region *region, bool fresh);
/* Out again, and freed; its entries are gone already. */
void region_unlink(struct space *space, struct region *region);
/* Move the ends of a linked region (not past its neighbours). */
void region_resize(struct space *space, struct region *region, uint64_t start, uint64_t end);

struct region *space_find(struct space *space, uint64_t addr);	/* that holds addr, or NULL */

/* Make region boundaries at @start and @end; LIMIT, NO_MEMORY. */
k_status_t space_cut(struct space *space, uint64_t start, uint64_t end) MUST_CHECK;

/* Whether [addr, addr + *length) is a range of the space, mapped or not; *length is rounded up.
 * (What lies below K_PROGRAM_MIN never is mapped.) */
k_status_t space_range(const struct space *space, uint64_t addr, uint64_t *length) MUST_CHECK;
/* A place for @length bytes: at *@addr if that is free, else in [min, max). */
bool space_place(struct space *space, uint64_t length, uint64_t min, uint64_t max, bool top_down,
		 uint64_t *addr) MUST_CHECK;

k_status_t space_unmap_locked(struct space *space, uint64_t start, uint64_t end,
			      struct tlb_batch *batch) MUST_CHECK;

/* -- entries.c: the entries of a region; space->lock held -------------------------------------------- */

/* The rights of an entry: the region's, without writing unless @write.  What may be accessed at
 * all may be read: the hardware knows no write-only pages. */
static inline uint32_t entry_prot(const struct region *r, bool write)
{
	if (!r->prot)
		return 0;
	return K_PROT_READ | (write ? r->prot : r->prot & ~K_PROT_WRITE);
}

/* Whether the region may write to what the entry maps, without another fault. */
bool entry_may_write(const struct region *region, arch_pte_t pte);

/* Edit the entries of [start, end), a part of @region. */
void space_zap(struct space *space, struct region *region, uint64_t start, uint64_t end,
	       enum zap_what what, struct tlb_batch *batch);
/* Make the entries follow region->prot. */
void space_reprotect(struct space *space, struct region *region, uint64_t start, uint64_t end,
		     struct tlb_batch *batch);
/* Take out all entries and tables: the end of a space that nobody uses any more. */
void space_teardown(struct space *space);
/* Count the entries of @region. */
void space_count(struct space *space, const struct region *region, struct k_region *out);

static inline void pte_set(arch_pte_t *pte, arch_pte_t value)
{
	__atomic_store_n(pte, value, __ATOMIC_RELEASE);
}

/* The counters of resident pages follow an entry that appears (+1) or goes (-1). */
static inline void space_count_entry(struct space *space, arch_pte_t pte, int64_t n)
{
	if (pte & PTE_SPECIAL)
		return;
	if (phys_to_page(arch_pte_paddr(pte))->kind == PAGE_ANON)
		space->anon_pages += (uint64_t)n;
	else
		space->object_pages += (uint64_t)n;
}

/*
 * Walk the entries of a range that are not empty:
 *	struct entry_walk w = ENTRY_WALK(space, start, end);
 *	while (entry_next(&w))
 *		... w.va, *w.pte ...
 */
struct entry_walk {
	paddr_t root;
	uint64_t va, end;
	arch_pte_t *pte;		/* of va */
	arch_pte_t *stop;		/* behind the last entry of this table that is in the range */
};

#define ENTRY_WALK(space, from, to) \
	{ .root = (space)->root, .va = (from) - K_PAGE_SIZE, .end = (to) }

static inline bool entry_next(struct entry_walk *w)
{
	arch_pte_t *pte = w->pte + 1;

	if (!w->pte)
		goto table;
	for (;;) {
		/* Most entries are empty: look at four at a time. */
		while (pte + 4 <= w->stop && !(pte[0] | pte[1] | pte[2] | pte[3]))
			pte += 4;
		while (pte < w->stop && !*pte)
			pte++;
		w->va += (uint64_t)(pte - w->pte) * K_PAGE_SIZE;
		w->pte = pte;
		if (pte < w->stop)
			return true;
		w->va -= K_PAGE_SIZE;
table:
		w->va += K_PAGE_SIZE;
		pte = table_next(w->root, &w->va, w->end);
		if (!pte)
			return false;
		w->stop = pte + MIN((w->end - w->va) >> K_PAGE_SHIFT,
				    ARCH_TABLE_ENTRIES - arch_table_index(w->va, 0));
		w->pte = pte;
	}
}

/* -- fault.c -------------------------------------------------------------------------------------------- */

/*
 * Settle @access for the page at @addr in @region, as far as prot allows; with
 * @force max_prot counts (ptrace), and the page is then in the entry even where the
 * entry forbids the access.  *@pte, if wanted, is the entry.
 */
k_status_t fault_settle(struct space *space, struct region *region, uint64_t addr,
			uint32_t access, bool force, struct k_fault *out, arch_pte_t **pte);
