/* SPDX-License-Identifier: MIT */
/*
 * Spaces: creation, map, unmap, protect, advise, query, end.  Their regions are region.c's.
 * Theory and invariants: kernel/space.h.
 *
 * Every operation first checks its arguments, then finds the memory it needs (new
 * regions, boundaries made by cutting regions in two: harmless if the operation
 * fails afterwards), then acts without failing.
 */

#include "base/string.h"
#include "kernel/backing.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "mm_priv.h"

static struct kmem_cache space_cache = KMEM_CACHE(struct space);

#define PROT_ALL	(K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC)
#define MAP_FLAGS	0xfffu
/* What a region remembers; the rest of k_map.flags is about the call. */
#define REGION_FLAGS	(K_MAP_SHARED | K_MAP_GROWS_DOWN | K_MAP_DONT_FORK | K_MAP_WIPE_ON_FORK | \
			 K_MAP_LOCKED | K_MAP_DONT_DUMP | K_MAP_NO_RESERVE)

/* -- addresses --------------------------------------------------------------------------------------- */

k_status_t space_range(const struct space *space, uint64_t addr, uint64_t *length)
{
	uint64_t n = ALIGN_UP(*length, K_PAGE_SIZE);

	if (!IS_ALIGNED(addr, K_PAGE_SIZE) || !*length || n < *length)
		return K_ERR_BAD_ARGUMENT;
	*length = n;
	if (range_within(addr, n, K_PROGRAM_MAX))
		return K_OK;
	if (!(space->flags & K_SPACE_PROGRAM) && addr >= K_PERSONALITY_BASE &&
	    range_within(addr - K_PERSONALITY_BASE, n, K_PERSONALITY_SIZE))
		return K_OK;
	return K_ERR_BAD_ARGUMENT;
}

bool space_place(struct space *space, uint64_t length, uint64_t min, uint64_t max, bool top_down,
		 uint64_t *addr)
{
	struct region *next;
	uint64_t hint = *addr, n = length;

	if (!min && !max)
		max = K_PROGRAM_MAX;
	min = MAX(min, K_PROGRAM_MIN);
	if (hint && space_range(space, hint, &n) == K_OK && hint >= K_PROGRAM_MIN) {
		next = region_tree_find(&space->tree, hint);
		if (!next || (hint + length <= next->start &&
			      (!(next->flags & K_MAP_GROWS_DOWN) ||
			       next->start - (hint + length) >= REGION_GUARD)))
			return true;
	}
	/* The hole between a component's two halves is no place. */
	if (min < K_PROGRAM_MAX)
		max = MIN(max, K_PROGRAM_MAX);
	else
		min = MAX(min, K_PERSONALITY_BASE);
	return region_tree_gap(&space->tree, length, ALIGN_UP(min, K_PAGE_SIZE),
			       ALIGN_DOWN(max, K_PAGE_SIZE), top_down, addr);
}

/* -- map ------------------------------------------------------------------------------------------------ */

static k_status_t check_map(const struct space *space, struct k_map *map,
			    const struct memory *memory, const struct backing *backing)
{
	uint64_t end;

	if ((map->flags & ~MAP_FLAGS) || ((map->prot | map->max_prot) & ~PROT_ALL))
		return K_ERR_BAD_ARGUMENT;
	if ((map->flags & K_MAP_NO_REPLACE) && !(map->flags & K_MAP_FIXED))
		return K_ERR_BAD_ARGUMENT;
	map->length = map->length ? ALIGN_UP(map->length, K_PAGE_SIZE) : 0;
	if (!map->length || !IS_ALIGNED(map->offset, K_PAGE_SIZE) ||
	    !add_u64(map->offset, map->length, &end))
		return K_ERR_BAD_ARGUMENT;
	if (memory) {
		if (map->flags & (K_MAP_GROWS_DOWN | K_MAP_WIPE_ON_FORK))
			return K_ERR_BAD_ARGUMENT;
		/* Registers and slices are not for private copies. */
		if (memory->device && !(map->flags & K_MAP_SHARED))
			return K_ERR_BAD_ARGUMENT;
		if (memory->device && !range_within(map->offset, map->length,
						    ALIGN_UP(memory->size, K_PAGE_SIZE)))
			return K_ERR_BAD_ARGUMENT;
		if (memory->parent && (map->flags & K_MAP_SHARED) &&
		    (map->max_prot & K_PROT_WRITE))
			return K_ERR_ACCESS;
	} else if (map->flags & K_MAP_SHARED) {
		return K_ERR_BAD_ARGUMENT;
	}
	if (map->prot & ~map->max_prot)
		return K_ERR_ACCESS;
	if (map->flags & K_MAP_FIXED)
		return map->addr < K_PROGRAM_MIN ? K_ERR_BAD_ARGUMENT :
		       space_range(space, map->addr, &map->length);
	return K_OK;
}

static k_status_t populate(struct space *space, uint64_t start, uint64_t end, uint32_t access)
{
	k_status_t st = K_OK;

	for (uint64_t va = start; va < end && st == K_OK; va += K_PAGE_SIZE) {
		struct region *r = space_find(space, va);

		if (thread_is_killed())
			return K_ERR_NO_MEMORY;	/* nobody will see it */
		st = r ? fault_settle(space, r, va, access, false, NULL, NULL) : K_ERR_NOT_FOUND;
	}
	return st;
}

/* Settle on map->addr and clear the way there. */
static k_status_t make_room(struct space *space, struct k_map *map, struct tlb_batch *batch)
{
	const struct region *next;
	uint64_t max = map->max;

	if (map->flags & K_MAP_FIXED) {
		next = region_tree_find(&space->tree, map->addr);
		if (!next || next->start >= map->addr + map->length)
			return K_OK;
		if (map->flags & K_MAP_NO_REPLACE)
			return K_ERR_EXISTS;
		return space_unmap_locked(space, map->addr, map->addr + map->length, batch);
	}
	if (map->flags & K_MAP_LOW_4G)
		max = max ? MIN(max, 1ull << 32) : 1ull << 32;
	map->addr = ALIGN_DOWN(map->addr, K_PAGE_SIZE);
	if ((map->flags & K_MAP_LOW_4G) && map->addr + map->length > max)
		map->addr = 0;
	return space_place(space, map->length, map->min, max, map->flags & K_MAP_TOP_DOWN,
			   &map->addr) ? K_OK : K_ERR_NO_SPACE;
}

/* A process that takes memory for itself has to learn now that there is none: at the fault it
 * would be too late.  Components have the reserve. */
static bool may_be_touched(const struct space *space, const struct k_map *map)
{
	return (space->flags & K_SPACE_PROGRAM) || !space->object.group ||
	       group_has_reserve(space->object.group) || page_has_free(map->length >> K_PAGE_SHIFT);
}

k_status_t space_map(struct space *space, struct k_map *map, struct memory *memory,
		     struct backing *backing)
{
	struct tlb_batch batch;
	struct region *r;
	k_status_t st;

	memory = backing ? backing->memory : memory;
	st = check_map(space, map, memory, backing);
	if (st != K_OK)
		return st;
	if (!memory && !may_be_touched(space, map))
		return K_ERR_NO_MEMORY;
	r = region_create();
	if (!r)
		return K_ERR_NO_MEMORY;
	if (backing && (st = backing_add_region(backing)) != K_OK) {
		region_free(r);
		return st;
	}
	kmutex_lock(&space->lock);
	tlb_begin(&batch, space);
	st = space->tree.count >= REGIONS_MAX ? K_ERR_LIMIT : make_room(space, map, &batch);
	tlb_finish(&batch);
	if (st != K_OK) {
		kmutex_unlock(&space->lock);
		if (backing)
			backing_drop_region(backing);
		region_free(r);
		return st;
	}
	r->start = map->addr;
	r->end = map->addr + map->length;
	r->prot = map->prot;
	r->max_prot = map->max_prot;
	r->flags = map->flags & REGION_FLAGS;
	r->offset = map->offset;
	r->limit = MAX(map->limit, map->length);
	r->tag = map->tag;
	r->memory = memory;
	r->backing = backing;
	if (backing)
		atomic_store(&backing->mapped, true);
	region_link(space, r, true);
	region_merge(space, r);
	if ((map->flags & K_MAP_POPULATE) && map->prot)
		/* Best effort: what fails will fault again. */
		(void)populate(space, map->addr, map->addr + map->length,
			       (map->prot & K_PROT_WRITE) && !(map->flags & K_MAP_SHARED) ?
			       K_PROT_WRITE : K_PROT_READ);
	kmutex_unlock(&space->lock);
	return K_OK;
}

/* -- unmap ------------------------------------------------------------------------------------------------ */

k_status_t space_unmap_locked(struct space *space, uint64_t start, uint64_t end,
			      struct tlb_batch *batch)
{
	struct region *r, *next, *prev;
	bool tables = false;
	k_status_t st = space_cut(space, start, end);

	if (st != K_OK)
		return st;
	r = region_tree_find(&space->tree, start);
	if (!r || r->start >= end)
		return K_OK;
	prev = r->prev;
	for (; r && r->start < end; r = next) {
		next = r->next;
		tables |= r->has_tables;
		space_zap(space, r, r->start, r->end, ZAP_ALL, batch);
		region_unlink(space, r);
	}
	if (!tables)
		return K_OK;
	table_prune(space, start, end, prev ? prev->end : 0, r ? r->start : UINT64_MAX, batch);
	/* Tables that reach into the neighbours are theirs now. */
	if (prev)
		prev->has_tables = true;
	if (r)
		r->has_tables = true;
	return K_OK;
}

k_status_t space_unmap(struct space *space, uint64_t addr, uint64_t length)
{
	struct tlb_batch batch;
	k_status_t st = space_range(space, addr, &length);

	if (st != K_OK)
		return st;
	kmutex_lock(&space->lock);
	tlb_begin(&batch, space);
	st = space_unmap_locked(space, addr, addr + length, &batch);
	tlb_finish(&batch);
	kmutex_unlock(&space->lock);
	return st;
}

/* -- protect, advise --------------------------------------------------------------------------------------- */

/* Whether [start, end) is mapped without holes, with max_prot at least @prot everywhere. */
static k_status_t check_covered(struct space *space, uint64_t start, uint64_t end, uint32_t prot)
{
	const struct region *r = region_tree_find(&space->tree, start);

	for (; r && r->start <= start; r = r->next) {
		if (prot & ~r->max_prot)
			return K_ERR_ACCESS;
		start = r->end;
		if (start >= end)
			return K_OK;
	}
	return K_ERR_NOT_FOUND;
}

k_status_t space_protect(struct space *space, uint64_t addr, uint64_t length, uint32_t prot)
{
	k_status_t st = space_range(space, addr, &length);
	uint64_t end = addr + length;
	struct tlb_batch batch;
	struct region *r;

	if (st != K_OK)
		return st;
	if (prot & ~PROT_ALL)
		return K_ERR_BAD_ARGUMENT;
	kmutex_lock(&space->lock);
	tlb_begin(&batch, space);
	st = check_covered(space, addr, end, prot);
	if (st == K_OK)
		st = space_cut(space, addr, end);
	r = region_tree_find(&space->tree, addr);
	for (; st == K_OK && r && r->start < end; r = r->next) {
		if (r->prot != prot) {
			region_account(space, r, -(int64_t)(r->end - r->start));
			r->prot = prot;
			region_account(space, r, (int64_t)(r->end - r->start));
			space_reprotect(space, r, r->start, r->end, &batch);
		}
		r = region_merge(space, r);
	}
	tlb_finish(&batch);
	kmutex_unlock(&space->lock);
	return st;
}

/* The flags that @advice sets and clears; false: it is about pages. */
static bool advice_flags(uint32_t advice, uint32_t *set, uint32_t *clear)
{
	static const struct { uint32_t set, clear; } table[] = {
		[K_ADVISE_DONT_FORK] = { K_MAP_DONT_FORK, 0 },
		[K_ADVISE_DO_FORK] = { 0, K_MAP_DONT_FORK },
		[K_ADVISE_WIPE_ON_FORK] = { K_MAP_WIPE_ON_FORK, 0 },
		[K_ADVISE_KEEP_ON_FORK] = { 0, K_MAP_WIPE_ON_FORK },
		[K_ADVISE_DONT_DUMP] = { K_MAP_DONT_DUMP, 0 },
		[K_ADVISE_DO_DUMP] = { 0, K_MAP_DONT_DUMP },
		[K_ADVISE_LOCK] = { K_MAP_LOCKED, 0 },
		[K_ADVISE_UNLOCK] = { 0, K_MAP_LOCKED },
	};

	if (advice >= ARRAY_SIZE(table) || !(table[advice].set | table[advice].clear))
		return false;
	*set = table[advice].set;
	*clear = table[advice].clear;
	return true;
}

static k_status_t advise_flags(struct space *space, uint64_t start, uint64_t end, uint32_t set,
			       uint32_t clear)
{
	k_status_t st = space_cut(space, start, end);
	struct region *r = region_tree_find(&space->tree, start);

	for (; st == K_OK && r && r->start < end; r = r->next) {
		if ((set & K_MAP_WIPE_ON_FORK) && r->memory)
			return K_ERR_BAD_ARGUMENT;
		region_account(space, r, -(int64_t)(r->end - r->start));
		r->flags = (r->flags | set) & ~clear;
		region_account(space, r, (int64_t)(r->end - r->start));
		r = region_merge(space, r);
	}
	return st;
}

static void discard(struct space *space, uint64_t start, uint64_t end)
{
	struct region *r = region_tree_find(&space->tree, start);
	struct tlb_batch batch;

	tlb_begin(&batch, space);
	for (; r && r->start < end; r = r->next)
		if (!r->memory || !r->memory->device)
			space_zap(space, r, MAX(start, r->start), MIN(end, r->end), ZAP_ALL, &batch);
	tlb_finish(&batch);
}

static k_status_t set_grow_limit(struct space *space, uint64_t addr, uint64_t limit)
{
	struct region *r;
	k_status_t st = K_ERR_NOT_FOUND;

	kmutex_lock(&space->lock);
	r = space_find(space, addr);
	if (r && (r->flags & K_MAP_GROWS_DOWN)) {
		r->limit = limit;
		st = K_OK;
	}
	kmutex_unlock(&space->lock);
	return st;
}

k_status_t space_advise(struct space *space, uint64_t addr, uint64_t length, uint32_t advice)
{
	k_status_t st, covered;
	uint32_t set, clear;
	uint64_t end;

	if (advice == K_ADVISE_GROW_LIMIT)
		return set_grow_limit(space, addr, length);
	st = space_range(space, addr, &length);
	if (st != K_OK)
		return st;
	end = addr + length;
	kmutex_lock(&space->lock);
	/* As Linux: what is mapped gets the advice, holes are reported afterwards. */
	covered = check_covered(space, addr, end, 0);
	if (advice_flags(advice, &set, &clear))
		st = advise_flags(space, addr, end, set, clear);
	else if (advice == K_ADVISE_DISCARD)
		discard(space, addr, end);
	else if (advice == K_ADVISE_POPULATE_READ || advice == K_ADVISE_POPULATE_WRITE)
		st = covered != K_OK ? covered :
		     populate(space, addr, end, advice == K_ADVISE_POPULATE_WRITE ?
			      K_PROT_WRITE : K_PROT_READ);
	else
		st = K_ERR_BAD_ARGUMENT;
	kmutex_unlock(&space->lock);
	return st != K_OK ? st : covered;
}

/* -- looking ---------------------------------------------------------------------------------------------- */

k_status_t space_query(struct space *space, uint64_t addr, uint32_t flags, struct k_region *out)
{
	struct region *r;

	kmutex_lock(&space->lock);
	r = region_tree_find(&space->tree, addr);
	if (r) {
		*out = (struct k_region){
			.start = r->start, .end = r->end, .prot = r->prot, .max_prot = r->max_prot,
			.flags = r->flags, .offset = r->offset, .tag = r->tag,
			.cookie = r->backing ? r->backing->cookie : 0,
			.memory_koid = r->memory ? r->memory->object.koid : 0,
		};
		if (flags & K_QUERY_PAGES)
			space_count(space, r, out);
	}
	kmutex_unlock(&space->lock);
	return r ? K_OK : K_ERR_NOT_FOUND;
}

void space_info(struct space *space, struct k_space_info *out)
{
	kmutex_lock(&space->lock);
	*out = (struct k_space_info){
		.koid = space->object.koid,
		.mapped_bytes = space->mapped,
		.private_writable_bytes = space->private_writable,
		.locked_bytes = space->locked,
		.stack_bytes = space->stack,
		.exec_bytes = space->exec,
		.resident_anon_pages = space->anon_pages,
		.resident_object_pages = space->object_pages,
		.page_table_pages = space->table_pages,
		.peak_mapped_bytes = space->peak_mapped,
		.peak_resident_pages = MAX(space->peak_resident,
					   space->anon_pages + space->object_pages),
		.regions = space->tree.count,
	};
	kmutex_unlock(&space->lock);
}

/* Whether the page is there: in the tables, or in the object. */
static bool is_resident(struct space *space, const struct region *r, uint64_t va)
{
	const arch_pte_t *pte = table_find(space->root, va);
	uint64_t index = (r->offset + (va - r->start)) >> K_PAGE_SHIFT;
	struct memory *base;
	bool there;

	if (pte && *pte)
		return true;
	if (!r->memory)
		return false;
	base = memory_base(r->memory, &index);
	spin_lock(&base->lock);
	there = page_tree_get(&base->pages, index) != NULL;
	spin_unlock(&base->lock);
	return there;
}

k_status_t space_resident(struct space *space, uint64_t addr, uint64_t length, uint8_t *map)
{
	k_status_t st = space_range(space, addr, &length);

	if (st != K_OK)
		return st;
	kmutex_lock(&space->lock);
	st = check_covered(space, addr, addr + length, 0);
	for (uint64_t i = 0; st == K_OK && i < length >> K_PAGE_SHIFT; i++) {
		uint64_t va = addr + (i << K_PAGE_SHIFT);

		map[i] = is_resident(space, space_find(space, va), va);
	}
	kmutex_unlock(&space->lock);
	return st;
}

k_status_t space_key(struct space *space, uint64_t addr, bool shared, struct space_key *out)
{
	struct region *r;
	k_status_t st = K_OK;

	*out = (struct space_key){ .object = space, .offset = addr };
	if (!shared)
		return K_OK;
	kmutex_lock(&space->lock);
	r = space_find(space, addr);
	if (!r) {
		st = K_ERR_NOT_FOUND;
	} else if ((r->flags & K_MAP_SHARED) && r->memory) {
		uint64_t shift = 0;

		out->object = memory_base(r->memory, &shift);
		out->offset = (shift << K_PAGE_SHIFT) + r->offset + (addr - r->start);
	}
	kmutex_unlock(&space->lock);
	return st;
}

/* -- other spaces' memory: ptrace, core dumps ------------------------------------------------------------- */

static k_status_t access_memory(struct space *space, uint64_t addr, void *buffer, uint64_t n,
				bool write, uint64_t *done)
{
	*done = 0;
	while (*done < n) {
		uint64_t va = addr + *done, inside = va & (K_PAGE_SIZE - 1);
		uint64_t part = MIN(n - *done, K_PAGE_SIZE - inside);
		arch_pte_t *pte = NULL;
		struct region *r;
		k_status_t st;
		char *page;

		kmutex_lock(&space->lock);
		r = va < addr ? NULL : space_find(space, va);
		if (!r)
			st = K_ERR_ACCESS;
		else if (r->memory && r->memory->device)
			st = K_ERR_ACCESS;
		else if (write && (r->flags & K_MAP_SHARED) && !(r->prot & K_PROT_WRITE))
			st = K_ERR_ACCESS;
		else
			st = fault_settle(space, r, va & ~(K_PAGE_SIZE - 1ull),
					  write ? K_PROT_WRITE : K_PROT_READ, true, NULL, &pte);
		if (st == K_OK) {
			page = (char *)phys_to_virt(arch_pte_paddr(*pte)) + inside;
			if (write)
				memcpy(page, (char *)buffer + *done, part);
			else
				memcpy((char *)buffer + *done, page, part);
			*done += part;
		}
		kmutex_unlock(&space->lock);
		if (st != K_OK)
			return st;
	}
	return K_OK;
}

k_status_t space_read(struct space *space, uint64_t addr, void *dst, uint64_t n, uint64_t *done)
{
	return access_memory(space, addr, dst, n, false, done);
}

k_status_t space_write(struct space *space, uint64_t addr, const void *src, uint64_t n,
		       uint64_t *done)
{
	return access_memory(space, addr, (void *)(uintptr_t)src, n, true, done);
}

/* -- life -------------------------------------------------------------------------------------------------- */

k_status_t space_create(struct group *group, uint32_t flags, struct space *slot_owner,
			struct space **out)
{
	struct space *space;
	k_status_t st;

	if (flags & ~K_SPACE_PROGRAM)
		return K_ERR_BAD_ARGUMENT;
	space = kmem_zalloc(&space_cache);
	if (!space)
		return K_ERR_NO_MEMORY;
	st = object_init(&space->object, K_TYPE_SPACE, group, sizeof(*space));
	if (st != K_OK) {
		kmem_free(&space_cache, space);
		return st;
	}
	space->flags = flags;
	kmutex_init(&space->lock, LOCK_SPACE);
	region_tree_init(&space->tree, K_PROGRAM_MIN,
			 flags & K_SPACE_PROGRAM ? K_PROGRAM_MAX :
			 K_PERSONALITY_BASE + K_PERSONALITY_SIZE);
	st = table_create_roots(space, slot_owner);
	if (st != K_OK) {
		object_abandon(&space->object);
		kmem_free(&space_cache, space);
		return st;
	}
	space->slot_owner = slot_owner;
	if (slot_owner)
		object_get(&slot_owner->object);
	*out = space;
	return K_OK;
}

/*
 * Nobody references the space: no thread runs on it, no CPU will load it.  Regions
 * on the lists of their objects are still found by memory_zap(), which then fails to
 * get a reference and leaves them alone.
 */
void space_destroy(struct object *object)
{
	struct space *space = container_of(object, struct space, object);
	struct region *r, *next;

	tlb_leave(space);
	space_teardown(space);
	for (r = space->tree.first; r; r = next) {
		next = r->next;
		region_end(r);
	}
	table_destroy_roots(space);
	if (space->slot_owner)
		object_put(&space->slot_owner->object);
	kmem_free(&space_cache, space);
}
