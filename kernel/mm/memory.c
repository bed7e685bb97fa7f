/* SPDX-License-Identifier: MIT */
/*
 * Memory objects: creation, pages, size, pinning.  Theory: kernel/memory.h.
 * (Copying: memory_copy.c; dirty pages and eviction: memory_clean.c.)
 *
 * A slice shares its parent's tree, lock and list of regions; memory_base() leads
 * there.
 */

#include "base/string.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/panic.h"
#include "mm_priv.h"

#define SIZE_MAX_BYTES	(1ull << 63)

static struct kmem_cache memory_cache = KMEM_CACHE(struct memory);

#define MEMORY_FLAGS (K_MEMORY_PAGED | K_MEMORY_RESIDENT | K_MEMORY_TRACK_DIRTY | \
		      K_MEMORY_CONTIGUOUS | K_MEMORY_WRITE_FAULTS)

/* -- creation and end ------------------------------------------------------------------------ */

static k_status_t create(struct group *group, uint64_t size, uint32_t flags, struct memory **out)
{
	struct memory *m = kmem_zalloc(&memory_cache);
	k_status_t st;

	if (!m)
		return K_ERR_NO_MEMORY;
	st = object_init(&m->object, K_TYPE_MEMORY, group, sizeof(*m));
	if (st != K_OK) {
		kmem_free(&memory_cache, m);
		return st;
	}
	m->flags = flags;
	m->size = size;
	spinlock_init(&m->lock, LOCK_MEMORY);
	kmutex_init(&m->zap_lock, LOCK_ZAP);
	list_init(&m->regions);
	*out = m;
	return K_OK;
}

/* Take pages out of the tree until it is empty; nobody else knows the object. */
static void drop_pages(struct memory *m)
{
	uint64_t index = 0;
	struct page *page;

	while ((page = page_tree_next(&m->pages, &index, UINT64_MAX, false))) {
		page_tree_remove(&m->pages, index);
		page->memory = NULL;
		page_put(page);
	}
}

void memory_destroy(struct object *object)
{
	struct memory *m = container_of(object, struct memory, object);

	kassert(list_is_empty(&m->regions) || m->parent);
	drop_pages(m);
	if (m->parent)
		object_put(&m->parent->object);
	kmem_free(&memory_cache, m);
}

bool memory_insert(struct memory *m, uint64_t index, struct page *page)
{
	page->memory = m;
	page->index = index;
	if (page_tree_insert(&m->pages, index, page))
		return true;
	page->memory = NULL;
	return false;
}

static k_status_t make_resident(struct memory *m)
{
	uint64_t pages = memory_page_count(m);
	struct page *run = NULL, *page;

	if (m->flags & K_MEMORY_CONTIGUOUS) {
		run = page_alloc_range(pages, PAGE_ALLOC_ZERO | PAGE_ALLOC_LOW_4G, PAGE_OBJECT,
				       m->object.group);
		if (!run)
			return K_ERR_NO_MEMORY;
		m->phys = page_phys(run);
	}
	for (uint64_t i = 0; i < pages; i++) {
		page = run ? run + i : page_alloc(0, PAGE_ALLOC_ZERO, PAGE_OBJECT, m->object.group);
		if (page && memory_insert(m, i, page))
			continue;
		for (uint64_t k = i; k < (run ? pages : page ? i + 1 : i); k++)
			page_put(run ? run + k : page);
		return K_ERR_NO_MEMORY;
	}
	return K_OK;
}

k_status_t memory_create(struct group *group, uint64_t size, uint32_t flags, struct memory **out)
{
	k_status_t st;

	if ((flags & ~MEMORY_FLAGS) || size > SIZE_MAX_BYTES)
		return K_ERR_BAD_ARGUMENT;
	if ((flags & K_MEMORY_RESIDENT) && ((flags & K_MEMORY_PAGED) || !size))
		return K_ERR_BAD_ARGUMENT;
	if ((flags & K_MEMORY_CONTIGUOUS) && !(flags & K_MEMORY_RESIDENT))
		return K_ERR_BAD_ARGUMENT;
	st = create(group, size, flags, out);
	if (st != K_OK || !(flags & K_MEMORY_RESIDENT))
		return st;
	(*out)->pinned_to_size = true;
	st = make_resident(*out);
	if (st != K_OK)
		object_put(&(*out)->object);
	return st;
}

k_status_t memory_create_physical(paddr_t base, uint64_t size, enum arch_cache cache,
				  struct memory **out)
{
	k_status_t st;

	if (!IS_ALIGNED(base, K_PAGE_SIZE) || !size || !range_within(base, size, ARCH_MAX_PADDR))
		return K_ERR_BAD_ARGUMENT;
	st = create(NULL, size, K_MEMORY_RESIDENT | K_MEMORY_CONTIGUOUS, out);
	if (st == K_OK) {
		(*out)->device = true;
		(*out)->pinned_to_size = true;
		(*out)->cache = cache;
		(*out)->phys = base;
	}
	return st;
}

k_status_t memory_create_boot(paddr_t base, uint64_t size, struct memory **out)
{
	uint64_t pages = DIV_ROUND_UP(size, K_PAGE_SIZE);
	k_status_t st;

	if (!IS_ALIGNED(base, K_PAGE_SIZE) || !size)
		return K_ERR_BAD_ARGUMENT;
	st = create(NULL, size, 0, out);
	if (st != K_OK)
		return st;
	(*out)->pinned_to_size = true;
	if (!page_adopt(base, pages << K_PAGE_SHIFT, PAGE_OBJECT)) {
		object_put(&(*out)->object);
		return K_ERR_NO_MEMORY;
	}
	for (uint64_t i = 0; i < pages; i++) {
		struct page *page = phys_to_page(base) + i;

		if (memory_insert(*out, i, page))
			continue;
		for (uint64_t k = i; k < pages; k++)
			page_put(phys_to_page(base) + k);
		object_put(&(*out)->object);
		return K_ERR_NO_MEMORY;
	}
	return K_OK;
}

k_status_t memory_slice(struct memory *memory, uint64_t offset, uint64_t length,
			struct memory **out)
{
	uint64_t first = offset >> K_PAGE_SHIFT;
	struct memory *base = memory_base(memory, &first);
	k_status_t st;

	if (!IS_ALIGNED(offset, K_PAGE_SIZE) || !length || memory->device)
		return K_ERR_BAD_ARGUMENT;
	if (!range_within(offset, length, READ_ONCE(memory->size)))
		return K_ERR_BEYOND_END;
	st = create(memory->object.group, length, base->flags, out);
	if (st != K_OK)
		return st;
	(*out)->pinned_to_size = true;
	(*out)->parent = base;
	(*out)->first = first;
	object_get(&base->object);
	return K_OK;
}

/* -- finding and making pages -------------------------------------------------------------------- */

/* The page at @index of @base with a reference; NULL: none.  Lock held. */
static struct page *get_locked(const struct memory *base, uint64_t index)
{
	struct page *page = page_tree_get(&base->pages, index);

	if (!page)
		return NULL;
	page_get(page);
	/* For eviction: used once, or more than once, since it last looked. */
	if (page->kind == PAGE_CACHE && !(page->flags & PAGE_HOT))
		page->flags |= page->flags & PAGE_USED ? PAGE_HOT : PAGE_USED;
	return page;
}

/* Make the missing page at @index, zeroed; lock held. */
static struct page *make_locked(struct memory *base, uint64_t index)
{
	struct page *page = page_alloc(0, PAGE_ALLOC_ZERO, memory_page_kind(base),
				       base->object.group);

	if (page && !memory_insert(base, index, page)) {
		page_put(page);
		return NULL;
	}
	if (page)
		page_get(page);
	return page;
}

k_status_t memory_lookup(struct memory *m, uint64_t index, bool make, bool dirty,
			 struct page **out)
{
	struct memory *base;
	k_status_t st = K_OK;

	if (m->device)
		return K_ERR_BAD_ARGUMENT;
	if (index >= memory_page_count(m))
		return K_ERR_BEYOND_END;
	base = memory_base(m, &index);
	spin_lock(&base->lock);
	*out = get_locked(base, index);
	if (unlikely(!*out)) {
		/* The size may have shrunk meanwhile; pages beyond it must not come back. */
		if (index >= memory_page_count(base))
			st = K_ERR_BEYOND_END;
		else if (base->flags & K_MEMORY_PAGED)
			st = K_ERR_NEED_PAGE;
		else if (make && !(*out = make_locked(base, index)))
			st = K_ERR_NO_MEMORY;
	}
	if (*out && dirty && memory_tracks(base))
		page_tree_set_dirty(&base->pages, index, true);
	spin_unlock(&base->lock);
	return st;
}

paddr_t memory_resident(struct memory *memory, uint64_t index)
{
	struct memory *base = memory_base(memory, &index);
	paddr_t pa;

	if (base->device)
		return base->phys + (index << K_PAGE_SHIFT);
	spin_lock(&base->lock);
	pa = page_phys(page_tree_get(&base->pages, index));
	spin_unlock(&base->lock);
	return pa;
}

k_status_t memory_page(struct memory *memory, uint64_t offset, bool write, struct page **out)
{
	*out = NULL;
	return memory_lookup(memory, offset >> K_PAGE_SHIFT, write, write, out);
}

void memory_mark_dirty(struct memory *memory, struct page *page)
{
	struct memory *base = memory->parent ? memory->parent : memory;

	if (!memory_tracks(base))
		return;
	/* Our writes before the look at the flag: pairs with the fence in memory_clean(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (READ_ONCE(page->flags) & PAGE_DIRTY)
		return;
	spin_lock(&base->lock);
	if (page->memory == base)
		page_tree_set_dirty(&base->pages, page->index, true);
	spin_unlock(&base->lock);
}

/* -- size and holes ------------------------------------------------------------------------------------ */

/* Take the pages [first, end) out of the tree, then out of all mappings. */
static void remove_pages(struct memory *m, uint64_t first, uint64_t end, enum zap_what what)
{
	struct page *out[MEMORY_BATCH];
	uint64_t index = first;
	unsigned n;

	if (first >= end)
		return;
	/* A page that is mapped lives on by the references of its entries, which are put after
	 * the shoot-down: no TLB can hold a page when it is freed. */
	do {
		n = 0;
		spin_lock(&m->lock);
		while (n < MEMORY_BATCH && (out[n] = page_tree_next(&m->pages, &index, end, false))) {
			page_tree_remove(&m->pages, index++);
			out[n++]->memory = NULL;
		}
		spin_unlock(&m->lock);
		for (unsigned i = 0; i < n; i++)
			page_put(out[i]);
	} while (n == MEMORY_BATCH);
	memory_zap(m, first, end, what);
}

/* Zero the bytes [from, to) of one page if it is resident; lock held. */
static void zero_part(struct memory *m, uint64_t from, uint64_t to)
{
	struct page *page = from < to ? page_tree_get(&m->pages, from >> K_PAGE_SHIFT) : NULL;

	if (page)
		memset((char *)page_virt(page) + (from & (K_PAGE_SIZE - 1)), 0, to - from);
}

k_status_t memory_resize(struct memory *memory, uint64_t size)
{
	uint64_t old;

	if (size > SIZE_MAX_BYTES)
		return K_ERR_BAD_ARGUMENT;
	if (memory->pinned_to_size)
		return K_ERR_BAD_STATE;
	spin_lock(&memory->lock);
	old = memory->size;
	WRITE_ONCE(memory->size, size);
	if (size < old)
		zero_part(memory, size, MIN(old, ALIGN_UP(size, K_PAGE_SIZE)));
	spin_unlock(&memory->lock);
	if (size < old)
		remove_pages(memory, DIV_ROUND_UP(size, K_PAGE_SIZE),
			     DIV_ROUND_UP(old, K_PAGE_SIZE), ZAP_ALL);
	return K_OK;
}

k_status_t memory_discard(struct memory *memory, uint64_t offset, uint64_t length)
{
	uint64_t end, first_whole, end_whole;

	if (!add_u64(offset, length, &end) || memory->parent || memory->device)
		return K_ERR_BAD_ARGUMENT;
	spin_lock(&memory->lock);
	end = MIN(end, memory->size);
	first_whole = ALIGN_UP(offset, K_PAGE_SIZE);
	end_whole = end == memory->size ? ALIGN_UP(end, K_PAGE_SIZE) : ALIGN_DOWN(end, K_PAGE_SIZE);
	zero_part(memory, offset, MIN(first_whole, end));
	if (end_whole >= first_whole)
		zero_part(memory, end_whole, end);
	spin_unlock(&memory->lock);
	if (memory->flags & K_MEMORY_RESIDENT) {	/* pages stay; make them zero */
		for (uint64_t at = first_whole; at < end_whole; at += K_PAGE_SIZE) {
			spin_lock(&memory->lock);
			zero_part(memory, at, at + K_PAGE_SIZE);
			spin_unlock(&memory->lock);
		}
		return K_OK;
	}
	remove_pages(memory, first_whole >> K_PAGE_SHIFT, end_whole >> K_PAGE_SHIFT, ZAP_SHARED);
	return K_OK;
}

k_status_t memory_next(struct memory *memory, uint64_t offset, uint32_t what, uint64_t *found)
{
	uint64_t size = READ_ONCE(memory->size), index = offset >> K_PAGE_SHIFT;
	uint64_t first = index, shift = 0, end = memory_page_count(memory);
	struct memory *base = memory_base(memory, &shift);
	k_status_t st = K_OK;

	if (what != K_NEXT_DATA && what != K_NEXT_HOLE)
		return K_ERR_BAD_ARGUMENT;
	if (offset >= size)
		return K_ERR_BEYOND_END;
	index += shift;
	spin_lock(&base->lock);
	if (base->device) {
		if (what == K_NEXT_HOLE)
			index = end;
	} else if (what == K_NEXT_DATA) {
		if (!page_tree_next(&base->pages, &index, end + shift, false))
			st = K_ERR_BEYOND_END;
	} else {
		while (index < end + shift && page_tree_get(&base->pages, index))
			if (!(++index % MEMORY_BATCH))
				memory_let_others(base);
	}
	spin_unlock(&base->lock);
	index -= base->device ? 0 : shift;
	if (st == K_OK)
		*found = index == first ? offset : MIN(index << K_PAGE_SHIFT, size);
	return st;
}

void memory_info(struct memory *memory, struct k_memory_info *info)
{
	uint64_t shift = 0;
	struct memory *base = memory_base(memory, &shift);

	spin_lock(&base->lock);
	*info = (struct k_memory_info){
		.koid = memory->object.koid,
		.size = memory->size,
		.resident_pages = base->device ? memory_page_count(base) : base->pages.count,
		.dirty_pages = base->pages.dirty,
		.mappings = base->mappings,
		.flags = memory->flags,
	};
	spin_unlock(&base->lock);
}

/* -- pinning --------------------------------------------------------------------------------------------- */

k_status_t memory_pin(struct memory *memory, uint64_t offset, uint64_t length, paddr_t *addresses)
{
	uint64_t count = length >> K_PAGE_SHIFT;

	if (!IS_ALIGNED(offset | length, K_PAGE_SIZE) || !length || memory->device)
		return K_ERR_BAD_ARGUMENT;
	if (!range_within(offset, length, ALIGN_UP(READ_ONCE(memory->size), K_PAGE_SIZE)))
		return K_ERR_BEYOND_END;
	for (uint64_t i = 0; i < count; i++) {
		struct page *page = NULL;
		k_status_t st = memory_lookup(memory, (offset >> K_PAGE_SHIFT) + i, true, false,
					      &page);

		if (st == K_OK && atomic_fetch_add(&page->pins, 1) > UINT16_MAX / 2) {
			atomic_fetch_sub(&page->pins, 1);
			page_put(page);
			st = K_ERR_LIMIT;
		}
		if (st != K_OK) {
			memory_unpin(memory, addresses, i);
			return st;
		}
		atomic_fetch_add(&memory->pins, 1);
		addresses[i] = page_phys(page);
	}
	return K_OK;
}

void memory_unpin(struct memory *memory, const paddr_t *addresses, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct page *page = phys_to_page(addresses[i]);

		atomic_fetch_sub(&page->pins, 1);
		page_put(page);
	}
	atomic_fetch_sub(&memory->pins, count);
}
