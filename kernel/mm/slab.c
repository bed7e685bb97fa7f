/* SPDX-License-Identifier: MIT */
/*
 * The kernel's heap.
 *
 * A cache hands out objects of one size from slabs: blocks of one to eight pages
 * cut into equal pieces.  Free objects of a slab are chained through their first
 * word; the slab's bookkeeping is in its first struct page.  In front of the slabs
 * each CPU has a magazine, a small stack of free objects that it uses without any
 * lock; magazines are filled and emptied by halves.
 *
 * kmalloc() rounds up to one of a few sizes, each with a cache of its own; from
 * 2 KiB up it takes whole pages.
 *
 * A slab is partial (on the cache's list), full (on none), or empty: one empty
 * slab per cache is kept on the list, others go back to the page allocator.
 */

#include "kernel/kmem.h"

#include "base/string.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/panic.h"
#include "mm_priv.h"

#define MAGAZINE_MAX	31u
#define SLAB_ORDER_MAX	3u
#define KMALLOC_SMALL	2048u
#define POISON_FREE	0x5au
#define POISON_WORD	(POISON_FREE * 0x0101010101010101ull)
#define RED_ZONE	0xb6b6b6b6b6b6b6b6ull
#define RED_BYTES	(CONFIG_CHECKS ? 8u : 0u)

struct kmem_magazine {
	uint32_t count;
	void *objects[MAGAZINE_MAX];
};

static _Atomic(struct kmem_cache *) all_caches;

#define SIZE_CACHE(n) KMEM_CACHE_SIZED("kmalloc-" #n, n, 16)
static struct kmem_cache size_caches[] = {
	SIZE_CACHE(16), SIZE_CACHE(32), SIZE_CACHE(48), SIZE_CACHE(64), SIZE_CACHE(96),
	SIZE_CACHE(128), SIZE_CACHE(192), SIZE_CACHE(256), SIZE_CACHE(384), SIZE_CACHE(512),
	SIZE_CACHE(768), SIZE_CACHE(1024), SIZE_CACHE(1536), SIZE_CACHE(2048),
};
static uint8_t size_class[KMALLOC_SMALL / 16 + 1];	/* by (size + 15) / 16; constant */

/* -- slabs: cache->lock held ------------------------------------------------------------ */

static struct page *frame_page(uint32_t frame)
{
	return frame ? page_array + frame : NULL;
}

static void partial_add(struct kmem_cache *cache, struct page *slab)
{
	struct page *first = frame_page(cache->partial);

	slab->slab_prev = 0;
	slab->slab_next = cache->partial;
	cache->partial = (uint32_t)page_frame(slab);
	if (first)
		first->slab_prev = cache->partial;
}

static void partial_del(struct kmem_cache *cache, struct page *slab)
{
	if (slab->slab_next)
		frame_page(slab->slab_next)->slab_prev = slab->slab_prev;
	if (slab->slab_prev)
		frame_page(slab->slab_prev)->slab_next = slab->slab_next;
	else
		cache->partial = slab->slab_next;
}

static uint32_t slab_used(const struct page *slab)
{
	return atomic_load_explicit(&slab->refs, memory_order_relaxed);
}

static void slab_set_used(struct page *slab, uint32_t n)
{
	atomic_store_explicit(&slab->refs, n, memory_order_relaxed);
}

static struct page *slab_of(const void *p)
{
	struct page *page = phys_to_page(virt_to_phys(p));

	return page->flags & PAGE_TAIL ? page->free : page;
}

static void poison(const struct kmem_cache *cache, void *p)
{
	memset(p, POISON_FREE, cache->size);
	memcpy((char *)p + cache->size, &(uint64_t){ RED_ZONE }, RED_BYTES);
}

/* Choose slab size and object spacing; the first allocation does it. */
static void cache_setup(struct kmem_cache *cache)
{
	uint32_t align = MAX(cache->align, 16u);
	uint32_t stride = ALIGN_UP(MAX(cache->size + RED_BYTES, 16u), align);
	unsigned order = 0;

	while (order < SLAB_ORDER_MAX &&
	       ((K_PAGE_SIZE << order) / stride < 4 ||
		(K_PAGE_SIZE << order) % stride > (K_PAGE_SIZE << order) / 8))
		order++;
	cache->order = (uint8_t)order;
	cache->per_slab = (uint16_t)((K_PAGE_SIZE << order) / stride);
	cache->magazine_size = stride <= 256 ? MAGAZINE_MAX : stride <= 1024 ? 8 : 4;
	cache->stride = stride;
	cache->next = atomic_load(&all_caches);
	while (!atomic_compare_exchange_weak(&all_caches, &cache->next, cache))
		;
}

static struct page *slab_create(struct kmem_cache *cache)
{
	struct page *slab;
	char *base;

	if (!cache->stride)
		cache_setup(cache);
	slab = page_alloc(cache->order, 0, PAGE_SLAB, NULL);
	if (!slab)
		return NULL;
	base = page_virt(slab);
	for (unsigned i = 0; i < 1u << cache->order; i++) {
		slab[i].cache = cache;
		if (i) {
			slab[i].flags = PAGE_TAIL;
			slab[i].free = slab;
		}
	}
	slab->free = NULL;
	for (unsigned i = cache->per_slab; i-- > 0;) {
		void **object = (void **)(base + i * cache->stride);

		if (CONFIG_CHECKS)
			poison(cache, object);
		*object = slab->free;
		slab->free = object;
	}
	slab_set_used(slab, 0);
	partial_add(cache, slab);
	cache->slabs++;
	cache->empty_slabs++;
	return slab;
}

static void *slab_take(struct kmem_cache *cache)
{
	struct page *slab = frame_page(cache->partial);
	void **object;

	if (!slab)
		slab = slab_create(cache);
	if (!slab)
		return NULL;
	object = slab->free;
	slab->free = *object;
	if (!slab_used(slab))
		cache->empty_slabs--;
	slab_set_used(slab, slab_used(slab) + 1);
	if (!slab->free)
		partial_del(cache, slab);
	return object;
}

/* An empty slab that is not kept is returned for page_free(). */
static struct page *slab_give(struct kmem_cache *cache, void **object, uint32_t keep)
{
	struct page *slab = slab_of(object);

	if (!slab->free)
		partial_add(cache, slab);
	*object = slab->free;
	slab->free = object;
	slab_set_used(slab, slab_used(slab) - 1);
	if (slab_used(slab) || cache->empty_slabs++ < keep)
		return NULL;
	cache->empty_slabs--;
	cache->slabs--;
	partial_del(cache, slab);
	return slab;
}

/* -- magazines: preemption disabled --------------------------------------------------------- */

static struct kmem_magazine *magazine_create(void)
{
	struct kmem_cache *cache = &size_caches[size_class[DIV_ROUND_UP(sizeof(struct kmem_magazine),
									16)]];
	struct kmem_magazine *m;

	spin_lock(&cache->lock);
	m = slab_take(cache);
	spin_unlock(&cache->lock);
	if (m)
		m->count = 0;
	return m;
}

/* Fill half the CPU's magazine and return one object more. */
static void *cache_refill(struct kmem_cache *cache)
{
	struct kmem_magazine *m = cache->magazines[cpu_id()];
	void *object;

	if (!m)
		m = cache->magazines[cpu_id()] = magazine_create();
	spin_lock(&cache->lock);
	object = slab_take(cache);
	/* More only from slabs that exist. */
	while (object && m && cache->partial && m->count < cache->magazine_size / 2u)
		m->objects[m->count++] = slab_take(cache);
	spin_unlock(&cache->lock);
	return object;
}

/* Empty the CPU's magazine down to @left objects, and free @object if there is one. */
static void cache_flush(struct kmem_cache *cache, struct kmem_magazine *m, uint32_t left,
			void *object, uint32_t keep_empty)
{
	struct page *slab = NULL;

	spin_lock(&cache->lock);
	if (object)
		slab = slab_give(cache, object, keep_empty);
	while (m && m->count > left) {
		struct page *more;

		if (slab)	/* one at a time: it is rare, and order within the lock is free */
			page_free(slab, cache->order);
		more = slab_give(cache, m->objects[--m->count], keep_empty);
		slab = more;
	}
	spin_unlock(&cache->lock);
	if (slab)
		page_free(slab, cache->order);
}

static NORETURN void bad_poison(const struct kmem_cache *cache, const uint8_t *p)
{
	uint32_t i = sizeof(void *);

	while (p[i] == POISON_FREE)
		i++;
	panic("%s: object %p was written to at +%u while it was free", cache->name, (const void *)p, i);
}

/* The object was free until now: still poisoned? */
static void check_taken(const struct kmem_cache *cache, const void *object)
{
	const uint8_t *p = object;
	uint32_t i = sizeof(void *);

	for (; i + sizeof(uint64_t) <= cache->size; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, p + i, sizeof(word));
		if (unlikely(word != POISON_WORD))
			bad_poison(cache, p);
	}
	for (; i < cache->size; i++)
		if (unlikely(p[i] != POISON_FREE))
			bad_poison(cache, p);
	if (memcmp(p + cache->size, &(uint64_t){ RED_ZONE }, RED_BYTES))
		panic("%s: object %p: red zone overwritten", cache->name, object);
}

static void check_given(const struct kmem_cache *cache, void *object)
{
	const struct page *slab = slab_of(object);

	if (slab->kind != PAGE_SLAB || slab->cache != cache ||
	    (uint64_t)((char *)object - (char *)page_virt(slab)) % cache->stride)
		panic("%s: %p freed, which is no object of it", cache->name, object);
	if (memcmp((char *)object + cache->size, &(uint64_t){ RED_ZONE }, RED_BYTES))
		panic("%s: object %p: written past its end", cache->name, object);
	poison(cache, object);
}

void *kmem_alloc(struct kmem_cache *cache)
{
	struct kmem_magazine *m;
	void *object;

	preempt_disable();
	m = cache->magazines[cpu_id()];
	if (likely(m && m->count))
		object = m->objects[--m->count];
	else
		object = cache_refill(cache);
	preempt_enable();
	if (CONFIG_CHECKS && object)
		check_taken(cache, object);
	return object;
}

void *kmem_zalloc(struct kmem_cache *cache)
{
	void *object = kmem_alloc(cache);

	return object ? memset(object, 0, cache->size) : NULL;
}

void kmem_free(struct kmem_cache *cache, void *object)
{
	struct kmem_magazine *m;

	if (CONFIG_CHECKS)
		check_given(cache, object);
	preempt_disable();
	m = cache->magazines[cpu_id()];
	if (likely(m && m->count < cache->magazine_size))
		m->objects[m->count++] = object;
	else
		cache_flush(cache, m, cache->magazine_size / 2u, object, 1);
	preempt_enable();
}

/* -- kmalloc ------------------------------------------------------------------------------------ */

void kmem_init(void)
{
	unsigned class = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(size_class); i++) {
		if (i * 16 > size_caches[class].size)
			class++;
		size_class[i] = (uint8_t)class;
	}
}

/* Free pages [first, end) of the block that starts at @page, in aligned pieces. */
static void free_run(struct page *page, uint64_t first, uint64_t end)
{
	while (first < end) {
		unsigned order = first ? (unsigned)__builtin_ctzll(first) : PAGE_MAX_ORDER;

		order = MIN(order, PAGE_MAX_ORDER);
		while (first + (1ull << order) > end)
			order--;
		page_free(page + first, order);
		first += 1ull << order;
	}
}

static void *kmalloc_pages(size_t size)
{
	uint64_t pages = DIV_ROUND_UP((uint64_t)size, K_PAGE_SIZE);
	unsigned order = log2_up_u64(pages);
	struct page *page = order <= PAGE_MAX_ORDER ? page_alloc(order, 0, PAGE_KERNEL, NULL) : NULL;

	if (!page)
		return pages > 1 ? vmalloc(size) : NULL;
	free_run(page, pages, 1ull << order);
	page->priv[0] = pages;
	return page_virt(page);
}

void *kmalloc(size_t size)
{
	if (likely(size <= KMALLOC_SMALL))
		return kmem_alloc(&size_caches[size_class[(size + 15) / 16]]);
	return size > (1ull << 40) ? NULL : kmalloc_pages(size);
}

void *kzalloc(size_t size)
{
	void *p = kmalloc(size);

	return p ? memset(p, 0, size) : NULL;
}

void *kcalloc(size_t n, size_t size)
{
	uint64_t total;

	return mul_u64(n, size, &total) ? kzalloc(total) : NULL;
}

static bool is_vmalloc(const void *p)
{
	return (uint64_t)(uintptr_t)p - ARCH_VMALLOC < ARCH_VMALLOC_SIZE;
}

size_t kmalloc_size(const void *p)
{
	const struct page *page;

	if (is_vmalloc(p))
		return vmalloc_size(p);
	page = slab_of(p);
	return page->kind == PAGE_SLAB ? page->cache->size : page->priv[0] << K_PAGE_SHIFT;
}

void kfree(void *p)
{
	struct page *page;

	if (!p)
		return;
	if (is_vmalloc(p)) {
		vfree(p);
		return;
	}
	page = slab_of(p);
	if (page->kind == PAGE_SLAB) {
		kmem_free(page->cache, p);
	} else {
		kassert(page->kind == PAGE_KERNEL && page->priv[0]);
		free_run(page, 0, page->priv[0]);
	}
}

void *krealloc(void *p, size_t size)
{
	void *bigger;

	if (p && size <= kmalloc_size(p) && size >= kmalloc_size(p) / 2)
		return p;
	bigger = kmalloc(size);
	if (bigger && p)
		memcpy(bigger, p, MIN(size, kmalloc_size(p)));
	if (bigger)
		kfree(p);
	return bigger;
}

/* -- statistics ------------------------------------------------------------------------------------ */

void kmem_drain(void)
{
	kstack_drain();
	for (struct kmem_cache *c = atomic_load(&all_caches); c; c = c->next) {
		preempt_disable();
		cache_flush(c, c->magazines[cpu_id()], 0, NULL, 0);
		preempt_enable();
	}
}

void kmem_log_caches(void)
{
	for (struct kmem_cache *c = atomic_load(&all_caches); c; c = c->next)
		log_line(LOG_INFO, "%s: size %u, %llu slabs of %u objects in %u pages", c->name, c->size,
		     (unsigned long long)READ_ONCE(c->slabs), c->per_slab, 1u << c->order);
}
