/* SPDX-License-Identifier: MIT */
/*
 * The kernel's heap: typed caches, kmalloc, kernel stacks, mapped ranges.
 *
 * Context as page.h: spinlocks may be held, interrupts not; never sleeps, unless
 * said otherwise; NULL when out of memory.
 *
 * With CONFIG_CHECKS free objects are poisoned and a red zone follows each: a
 * write after free or past the end is found when the object is next handled.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "arch/pte.h"
#include "kernel/lock.h"
#include "kernel/percpu.h"

/* -- typed caches: one per hot structure ---------------------------------------- */

struct kmem_magazine;
struct memory;

struct kmem_cache {
	/* Constant. */
	const char *name;
	uint32_t size;			/* as asked for */
	uint32_t align;

	/* Set at the first allocation, constant then. */
	uint32_t stride;		/* bytes from one object to the next */
	uint16_t per_slab;
	uint8_t order;
	uint8_t magazine_size;

	struct spinlock lock;		/* rank LOCK_SLAB */
	uint32_t partial;		/* lock: frame of the first slab with free objects, or 0 */
	uint32_t empty_slabs;		/* lock: slabs without objects that are kept */
	uint64_t slabs;			/* lock */
	struct kmem_cache *next;	/* list of all caches, for statistics */

	struct kmem_magazine *magazines[MAX_CPUS];	/* each its CPU's, preemption off */
};

/* static struct kmem_cache region_cache = KMEM_CACHE(struct region); */
#define KMEM_CACHE(type) KMEM_CACHE_SIZED(#type, sizeof(type), _Alignof(type))
#define KMEM_CACHE_SIZED(cache_name, bytes, alignment) { \
	.name = (cache_name), .size = (bytes), .align = (alignment), \
	.lock = SPINLOCK_INIT(LOCK_SLAB) }

void *kmem_alloc(struct kmem_cache *cache);		/* contents undefined */
void *kmem_zalloc(struct kmem_cache *cache);
void kmem_free(struct kmem_cache *cache, void *p);	/* p not NULL */

/* -- blocks of any size: aligned to 16 bytes, to a page from 2049 bytes up -------- */

void *kmalloc(size_t size);
void *kzalloc(size_t size);
void *kcalloc(size_t n, size_t size);			/* zeroed; NULL on overflow too */
void *krealloc(void *p, size_t size);			/* NULL: p is as it was */
void kfree(void *p);					/* NULL is fine */
size_t kmalloc_size(const void *p);			/* usable bytes */

/* -- kernel stacks: KSTACK_SIZE bytes, an unmapped guard below -------------------- */

#define KSTACK_SIZE	(16u << 10)

void *kstack_alloc(void);				/* lowest address; NULL */
void kstack_free(void *stack);				/* not the caller's own; interrupts may be off */
bool kstack_is_guard(uint64_t addr);			/* for the fault handler's message */

/* -- ranges of kernel addresses ---------------------------------------------------- */

/* @size bytes, zeroed, contiguous for the kernel only, a guard page behind.  May yield. */
void *vmalloc(size_t size);
void vfree(void *p);

/* Physical memory at a kernel address; @prot is K_PROT_*; stays until kernel_unmap.  May yield. */
void *kernel_map(paddr_t base, uint64_t length, uint32_t prot, enum arch_cache cache);
void kernel_unmap(void *p);

/* Part of a RESIDENT object, multiples of pages; the mapping keeps the object.  BAD_ARGUMENT,
 * BEYOND_END, NO_MEMORY.  Undone by kernel_unmap. */
k_status_t kernel_map_memory(struct memory *memory, uint64_t offset, uint64_t length,
			     uint32_t prot, void **out) __attribute__((warn_unused_result));

/* -- statistics and checks ---------------------------------------------------------- */

struct kmem_stats {
	uint64_t slab_pages, stack_pages, vmalloc_pages;
};
void kmem_stats(struct kmem_stats *out);

/* Give magazines and empty slabs back (leak check, low memory). */
void kmem_drain(void);
/* One log line per cache: objects in use, pages. */
void kmem_log_caches(void);
