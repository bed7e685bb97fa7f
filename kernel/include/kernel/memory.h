/* SPDX-License-Identifier: MIT */
/*
 * Memory objects: pages with an order and an owner.
 *
 * Kinds:
 *	anonymous	missing pages are zeros, made when first written
 *	PAGED		missing pages are supplied by the owner; whoever needs one
 *			gets NEED_PAGE
 *	RESIDENT	all pages allocated at creation; with CONTIGUOUS in one run
 *	physical	a device's registers (no struct pages), or boot memory
 *	slice		a read-only part of another object; has no pages of its own
 *
 * A page belongs to the object while it is in the tree; the object holds one
 * reference, each page-table entry one, each user for the moment one.  A page that
 * truncation or discard took out lives on until the last of them goes.
 *
 * Size changes come before the zapping of mappings: a fault looks at the size
 * under the space's lock, and zapping needs that lock, so that no fault can bring
 * back what is being cut off.
 *
 * Lock order: space->lock (sleeping), memory->lock (spinning).  From an object to
 * its mappings: memory_zap() visits the regions in rounds, see mm/rmap.c.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"
#include "base/list.h"
#include "kernel/lock.h"
#include "kernel/object.h"
#include "kernel/page.h"

struct region;
struct radix_node;

/* Pages by index; 64 per node; a single page at index 0 needs no node. */
struct page_tree {
	void *root;			/* struct page * (height 0) or struct radix_node * */
	uint32_t height;
	uint32_t pad;
	uint64_t count;
	uint64_t dirty;
};

struct memory {
	struct object object;		/* its group is charged for the pages */

	/* Constant. */
	uint32_t flags;			/* K_MEMORY_* */
	bool device;			/* physical, without struct pages */
	bool pinned_to_size;		/* cannot be resized: physical, resident, slice */
	enum arch_cache cache;
	paddr_t phys;			/* physical or CONTIGUOUS: of the first page */
	struct memory *parent;		/* slice: holds a reference; never a slice itself */
	uint64_t first;			/* slice: index of its first page in the parent */

	struct spinlock lock;		/* rank LOCK_MEMORY; a slice uses its parent's */
	uint64_t size;			/* bytes; written under lock, read under it or space->lock */
	struct page_tree pages;
	struct list regions;		/* of struct region.object_link */
	uint64_t mappings;		/* length of regions */
	struct kmutex zap_lock;		/* rank LOCK_ZAP; a slice uses its parent's: see mm/rmap.c */
	uint64_t zap_round;		/* changed with zap_lock and lock, read with lock */
	_Atomic(uint64_t) pins;		/* pages pinned for DMA */
};

/* -- creation (decode half done: arguments are checked here, statuses of calls.tbl) -- */

k_status_t memory_create(struct group *group, uint64_t size, uint32_t flags, struct memory **out)
	__attribute__((warn_unused_result));
/* Device registers, or (@cache ARCH_CACHED) RAM that no allocator owns; not counted pages. */
k_status_t memory_create_physical(paddr_t base, uint64_t size, enum arch_cache cache,
				  struct memory **out) __attribute__((warn_unused_result));
/* Boot memory (bundle, initrd): pages become the object's, freed with it.  @base page aligned. */
k_status_t memory_create_boot(paddr_t base, uint64_t size, struct memory **out)
	__attribute__((warn_unused_result));
k_status_t memory_slice(struct memory *memory, uint64_t offset, uint64_t length,
			struct memory **out) __attribute__((warn_unused_result));

/* Object hook: the last reference went; no region maps it. */
void memory_destroy(struct object *object);

/* -- contents -------------------------------------------------------------------- */

k_status_t memory_resize(struct memory *memory, uint64_t size);
k_status_t memory_discard(struct memory *memory, uint64_t offset, uint64_t length);
k_status_t memory_clean(struct memory *memory, struct k_clean *clean);
/* See struct k_evict.  May sleep; no space locked. */
k_status_t memory_evict(struct memory *memory, struct k_evict *evict);
k_status_t memory_next(struct memory *memory, uint64_t offset, uint32_t what, uint64_t *found);
void memory_info(struct memory *memory, struct k_memory_info *info);

/*
 * The page at byte @offset with a reference for the caller, settled as far as
 * the kernel can: made if it is missing and @write (or not PAGED), NEED_PAGE,
 * BEYOND_END (by the page that holds the last byte), NO_MEMORY.  Reading a hole of
 * an anonymous object gives OK and *out == NULL: zeros.  Not for device memory.
 */
k_status_t memory_page(struct memory *memory, uint64_t offset, bool write, struct page **out)
	__attribute__((warn_unused_result));

/* The page was written to: dirty from now on (tracked objects), whatever a cleaner did meanwhile. */
void memory_mark_dirty(struct memory *memory, struct page *page);

/*
 * Copy between the object and kernel memory; or program memory of the current
 * thread (user: the kernel buffer pointer is an address of the program).  Rules as
 * in rt/memory.h; *done always set.
 */
k_status_t memory_read(struct memory *memory, uint64_t offset, void *dst, uint64_t n, bool user,
		       uint64_t *done);
k_status_t memory_write(struct memory *memory, uint64_t offset, const void *src, uint64_t n,
			bool user, uint64_t *done);
/* Fill missing pages from @src (resident ones are left alone); the last may be partial at the end
 * of the object, zero-filled behind.  @offset page aligned. */
k_status_t memory_supply(struct memory *memory, uint64_t offset, const void *src, uint64_t n,
			 bool user);

/* -- pinning for DMA --------------------------------------------------------------- */

/*
 * Pin the pages of [offset, offset + length), page aligned, making missing ones
 * (PAGED: NEED_PAGE), and give their physical addresses, one per page.  All or
 * nothing.  LIMIT: a page is pinned too often.
 */
k_status_t memory_pin(struct memory *memory, uint64_t offset, uint64_t length, paddr_t *addresses)
	__attribute__((warn_unused_result));
/* Undo by address: also right after truncation took the pages out of the object. */
void memory_unpin(struct memory *memory, const paddr_t *addresses, uint64_t count);

/* -- for spaces (mm/ only) ----------------------------------------------------------- */

/* @fresh: it has no entries yet; else it inherits entries and zap_round from another. */
void memory_add_region(struct memory *memory, struct region *region, bool fresh);
void memory_remove_region(struct memory *memory, struct region *region);
