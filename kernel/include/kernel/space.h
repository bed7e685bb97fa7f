/* SPDX-License-Identifier: MIT */
/*
 * Address spaces.
 *
 * A space is an ordered tree of regions and the page tables that cache what the
 * regions mean.  Anonymous and copied pages live in the page tables alone (the
 * entry holds the reference); pages of objects can be dropped from the tables at
 * any time and faulted back.
 *
 * Invariants (space_check() verifies them with CONFIG_CHECKS):
 *
 *  (1) Regions do not overlap, are not empty, page aligned, within the space.
 *  (2) Every entry lies in a region, and allows no more than the region's prot.
 *  (3) A writable entry of a private region maps a page that no other entry maps.
 *  (4) A page of kind ANON is mapped only in regions with has_private set.
 *  (5) A region with a memory object is on the object's list.
 *  (6) A page table covers part of a region with has_tables set.
 *
 * Locking: space->lock, sleeping, rank LOCK_SPACE, for everything; page faults
 * take it too.  clone() takes the parent's, the child is not yet known to anyone.
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

struct backing;
struct memory;
struct tlb_batch;

struct region {
	/* The tree: AVL by address; each node knows the largest gap below itself. */
	struct region *left, *right, *parent;
	struct region *prev, *next;	/* neighbours by address */
	uint64_t gap;			/* bytes between prev and start that others may have */
	uint64_t max_gap;		/* largest gap in the subtree */
	int32_t height;

	/* space->lock; changed under memory->lock too where there is a memory. */
	uint32_t prot, max_prot, flags;	/* K_PROT_*, K_MAP_* */
	bool has_private;		/* private pages may be mapped here */
	bool has_tables;		/* there may be tables for some of it */
	uint64_t start, end;
	uint64_t offset;		/* of start, in the memory object */
	uint64_t limit;			/* GROWS_DOWN: largest length */
	uint64_t tag;
	struct memory *memory;		/* holds a reference, or NULL: anonymous */
	struct backing *backing;	/* counted, or NULL */
	struct space *space;

	struct list object_link;	/* memory->lock: on memory->regions */
	uint64_t zap_round;		/* memory->lock: see mm/rmap.c */
};

/* Kept free below a growing stack: accesses that jump over it are not caught. */
#define REGION_GUARD	(256ull << K_PAGE_SHIFT)

/* The ordered set of regions; also usable alone (host tests). */
struct region_tree {
	struct region *root, *first, *last;
	uint64_t base, limit;		/* constant: where regions may be */
	uint32_t count;
};

struct space {
	struct object object;		/* its group is charged for pages and tables */

	/* Constant. */
	uint32_t flags;			/* K_SPACE_* */
	paddr_t root;			/* top-level table: what programs run on */
	paddr_t unified_root;		/* with the personality's slot; 0 if there is none */
	struct space *slot_owner;	/* whose slot that is; holds a reference; or NULL */

	/* CPUs that have a root of this space loaded; atomic, see mm/shootdown.c. */
	_Atomic(uint64_t) cpus;
	_Atomic(uint64_t) shootdowns;	/* counted before cpus is read; see mm/asid.h */

	struct kmutex lock;		/* rank LOCK_SPACE */
	struct region_tree tree;	/* lock, and all below */
	struct region *last_hit;	/* or NULL */
	uint64_t mapped, locked, private_writable, stack, exec;	/* bytes */
	uint64_t peak_mapped, peak_resident;
	uint64_t anon_pages, object_pages, table_pages;
};

/* -- life -------------------------------------------------------------------------- */

/*
 * @slot_owner: the space of the personality process (placement process) whose slot
 * appears in the unified root, or NULL.
 */
k_status_t space_create(struct group *group, uint32_t flags, struct space *slot_owner,
			struct space **out) __attribute__((warn_unused_result));
/* fork: @out maps what @space does, private pages shared copy-on-write. */
k_status_t space_clone(struct space *space, struct space **out)
	__attribute__((warn_unused_result));
void space_destroy(struct object *object);

/* -- the calls: arguments unchecked, statuses as in calls.tbl ------------------------- */

/* @memory and @backing as the handles of @map named them (at most one; NULL: anonymous);
 * rights were checked by the caller, max_prot already cut to them. */
k_status_t space_map(struct space *space, struct k_map *map, struct memory *memory,
		     struct backing *backing) __attribute__((warn_unused_result));
k_status_t space_unmap(struct space *space, uint64_t addr, uint64_t length);
k_status_t space_protect(struct space *space, uint64_t addr, uint64_t length, uint32_t prot);
k_status_t space_move(struct space *space, struct k_move *move);
k_status_t space_query(struct space *space, uint64_t addr, uint32_t flags, struct k_region *out);
k_status_t space_advise(struct space *space, uint64_t addr, uint64_t length, uint32_t advice);
void space_info(struct space *space, struct k_space_info *out);
/* One byte per page to @map (kernel memory): bit 0 resident. */
k_status_t space_resident(struct space *space, uint64_t addr, uint64_t length, uint8_t *map);

/*
 * Access to a space that need not be the current one (ptrace, core dumps): copies
 * to or from kernel memory.  Protection is the region's max_prot, not prot; writing
 * to a private mapping makes a private copy.  *done is set in any case.
 */
k_status_t space_read(struct space *space, uint64_t addr, void *dst, uint64_t n, uint64_t *done);
k_status_t space_write(struct space *space, uint64_t addr, const void *src, uint64_t n,
		       uint64_t *done);

/*
 * Pin the page at @addr, in a private mapping that may be written, and release it.
 * NOT_FOUND: there is none such; LIMIT: pinned too often; NEED_PAGE, ACCESS, NO_MEMORY.
 */
k_status_t space_pin(struct space *space, uint64_t addr, struct page **page)
	__attribute__((warn_unused_result));
void space_unpin(struct space *space, struct page *page);

/* -- keys of waiting words --------------------------------------------------------------- */

struct space_key {
	const void *object;		/* struct space, or struct memory of a shared mapping */
	uint64_t offset;		/* address, or byte offset in the object */
};

/* The key of the word at @addr; with @shared a shared mapping is named by its object.  NOT_FOUND. */
k_status_t space_key(struct space *space, uint64_t addr, bool shared, struct space_key *out)
	__attribute__((warn_unused_result));

/* -- checks ------------------------------------------------------------------------------- */

/* Panic with a description if an invariant does not hold (CONFIG_CHECKS; else nothing). */
void space_check(struct space *space);

/* -- the region tree (mm/region_tree.c) ------------------------------------------------------ */

void region_tree_init(struct region_tree *tree, uint64_t base, uint64_t limit);
/* The region that holds @addr, or the first one after it, or NULL. */
struct region *region_tree_find(const struct region_tree *tree, uint64_t addr);
void region_tree_insert(struct region_tree *tree, struct region *region);
/* Many in ascending order: append each, then build once; no other use in between. */
void region_tree_append(struct region_tree *tree, struct region *region);
void region_tree_build(struct region_tree *tree);
void region_tree_remove(struct region_tree *tree, struct region *region);
/* start or end of a region in the tree changed (order unchanged). */
void region_tree_update(struct region_tree *tree, struct region *region);
/* Lowest or highest address of a gap of @length within [min, max); false: none. */
bool region_tree_gap(const struct region_tree *tree, uint64_t length, uint64_t min, uint64_t max,
		     bool top_down, uint64_t *out);
