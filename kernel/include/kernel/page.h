/* SPDX-License-Identifier: MIT */
/*
 * Physical pages: a buddy allocator with a small cache per CPU.
 *
 * Every page of memory has a struct page in an array indexed by frame number.
 * The array is filled in by sections of 16 MiB, each when the allocator first
 * needs it, so that a machine with much memory boots as fast as a small one.
 *
 * Context: any but interrupts; spinlocks may be held.  Nothing here sleeps, and
 * running out is an ordinary NULL.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"
#include "arch/pte.h"

struct boot_info;
struct group;
struct kmem_cache;
struct memory;

enum page_kind {
	PAGE_RESERVED,			/* not the allocator's: firmware, kernel image, holes */
	PAGE_FREE,			/* in the buddy allocator or a CPU's cache */
	PAGE_KERNEL,			/* large kmalloc, vmalloc, other kernel data */
	PAGE_SLAB,
	PAGE_TABLE,			/* page tables of spaces and of the kernel */
	PAGE_STACK,
	PAGE_META,			/* struct pages */
	PAGE_ANON,			/* private page of a space: one reference per entry that maps it */
	/* Pages of memory objects: one reference of the object, one per entry that maps it, one per
	 * user for the moment. */
	PAGE_OBJECT,			/* RESIDENT: links, DMA; and what came with the image */
	PAGE_SHARED,			/* demand-zero: tmpfs, shared anonymous memory */
	PAGE_CACHE,			/* PAGED: can be had from the owner again, if clean */
	PAGE_KINDS
};

/* page.flags */
#define PAGE_DIRTY	1u		/* of objects: memory->lock */
#define PAGE_USED	4u		/* PAGE_CACHE: looked up since it was made; memory->lock */
#define PAGE_HOT	8u		/* PAGE_CACHE: and again since the last eviction looked at it */
#define PAGE_TAIL	2u		/* PAGE_SLAB: not the slab's first page */

struct page {
	_Atomic(uint32_t) refs;		/* 0 while free; PAGE_SLAB: objects in use (cache lock) */
	_Atomic(uint16_t) pins;		/* users that need the page to stay where it is (DMA);
					 * each also holds a reference.  PAGE_FREE: order */
	uint8_t kind;			/* enum page_kind; owner */
	uint8_t flags;
	union {
		struct group *group;	/* charged for this page, or NULL; constant while in use */
		struct kmem_cache *cache;	/* PAGE_SLAB */
	};
	union {
		struct {		/* of objects: memory->lock */
			struct memory *memory;	/* NULL once the object gave the page up */
			uint64_t index;		/* in pages */
		};
		struct {		/* PAGE_FREE: zone lock; SLAB: next, prev by cache lock */
			struct page *next, *prev;
		};
		struct {		/* PAGE_SLAB: cache lock */
			uint32_t slab_next, slab_prev;	/* frame numbers; 0: none */
			void *free;	/* first free object; tail pages: the head's struct page */
		};
		uint64_t priv[2];	/* any other kind: the owner's */
	};
};

_Static_assert(sizeof(struct page) == 32, "page metadata is 1/128 of memory");

/* -- addresses ---------------------------------------------------------------- */

#define page_array ((struct page *)ARCH_PAGE_ARRAY)

static inline void *phys_to_virt(paddr_t pa)
{
	return (void *)(uintptr_t)(pa + ARCH_DIRECT_MAP);
}

/* Of an address in the direct map (kmalloc, page_virt); not of stacks, vmalloc or the image. */
static inline paddr_t virt_to_phys(const void *p)
{
	return (uint64_t)(uintptr_t)p - ARCH_DIRECT_MAP;
}

static inline uint64_t page_frame(const struct page *page)
{
	return (uint64_t)(page - page_array);
}

static inline paddr_t page_phys(const struct page *page)
{
	return page_frame(page) << K_PAGE_SHIFT;
}

static inline struct page *phys_to_page(paddr_t pa)
{
	return page_array + (pa >> K_PAGE_SHIFT);
}

static inline void *page_virt(const struct page *page)
{
	return phys_to_virt(page_phys(page));
}

/* -- allocation ----------------------------------------------------------------- */

#define PAGE_MAX_ORDER	10u		/* 4 MiB */

#define PAGE_ALLOC_ZERO		1u
#define PAGE_ALLOC_LOW_4G	2u	/* below 4 GiB: devices that cannot address more */
#define PAGE_ALLOC_RESERVE	4u	/* may take the last page, whatever the group says */

/*
 * 2^@order contiguous pages of @kind, each with its references at 1 (the first
 * alone counts for orders above 0), charged to @group (NULL: the kernel).  NULL
 * when there are none, or the group's limit is reached.
 *
 * The last pages of memory are kept: the reserve is not for the pages of programs and
 * files (ANON, SHARED, CACHE), so that these meet the end of memory first, while there is
 * something left to end or evict them with; and half of it is only for groups with
 * K_GROUP_RESERVE (components, write-back) and for the own memory of processes, whose
 * faults nobody could settle.
 */
struct page *page_alloc(unsigned order, unsigned flags, enum page_kind kind,
			struct group *group);

/* Give back what page_alloc gave, references or not; uncharges.  No TLB may hold it. */
void page_free(struct page *page, unsigned order);

/* @count contiguous pages, each to be freed by itself (page_put).  For CONTIGUOUS objects. */
struct page *page_alloc_range(uint64_t count, unsigned flags, enum page_kind kind,
			      struct group *group);

static inline void page_get(struct page *page)
{
	atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
}

/* True if that was the last reference: the caller then has to page_free() it. */
static inline bool page_drop(struct page *page)
{
	return atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) == 1;
}

static inline void page_put(struct page *page)
{
	if (page_drop(page))
		page_free(page, 0);
}

/*
 * Keep an anonymous page where it is for the kernel's own use, as long as the mapping
 * that it is in stays: a clone of the space gets a copy at once.  False: pinned too
 * often.  The pin holds a reference.  Both under the lock of the page's space, so that
 * page_is_exclusive() can be believed.
 */
static inline bool page_pin(struct page *page)
{
	if (atomic_fetch_add(&page->pins, 1) > UINT16_MAX / 2) {
		atomic_fetch_sub(&page->pins, 1);
		return false;
	}
	page_get(page);
	return true;
}

static inline void page_unpin(struct page *page)
{
	atomic_fetch_sub(&page->pins, 1);
	page_put(page);
}

/* Whether one entry is all that refers to an anonymous page, pins left out.  Its space is locked. */
static inline bool page_is_exclusive(const struct page *page)
{
	return atomic_load(&page->refs) - atomic_load(&page->pins) == 1;
}

/* Free pages, without those in the caches of CPUs. */
uint64_t page_free_count(void);

/* Whether @pages can be had by programs without touching the reserve. */
bool page_has_free(uint64_t pages);

static inline bool page_is_of_object(const struct page *page)
{
	return page->kind >= PAGE_OBJECT && page->kind <= PAGE_CACHE;
}

/* Clear or copy one page, as fast as general registers go. */
void page_clear(struct page *page);
void page_copy(struct page *dst, const struct page *src);

/* The page of zeros: mapped read-only with PTE_SPECIAL, never counted. */
extern struct page *page_zero;

/* -- start and statistics --------------------------------------------------------- */

/*
 * Set up the allocator, the heap and the kernel's tables from the memory map.
 * Afterwards page_alloc, kmalloc and vmalloc work.  Boot CPU, interrupts off,
 * the direct map present.  Panics when there is not enough memory to go on.
 */
void mm_init(const struct boot_info *boot);

/* Hand boot-time memory (initrd, bundle, trampolines) to the allocator: whole pages inside. */
void page_release_boot(paddr_t base, uint64_t length);

struct page_stats {
	uint64_t managed;		/* pages that were ever the allocator's, unreached ones too */
	uint64_t free;			/* unreached sections and CPU caches included */
	uint64_t kinds[PAGE_KINDS];	/* in use, by kind */
};
void page_stats(struct page_stats *out);

/* Put the pages in the CPU caches back, so that counts are exact (leak check). */
void page_drain_caches(void);

/*
 * Have @fn called (any context page_alloc is called from, once per crossing)
 * when page_free_count() falls below @pages; 0: off.  Set by the groups, also to be told
 * again.
 */
void page_set_low_watch(uint64_t pages, void (*fn)(void));
