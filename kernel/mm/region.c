/* SPDX-License-Identifier: MIT */
/*
 * Regions of a space: made, linked into its order and to what they map, cut and merged.
 * Theory and invariants: kernel/space.h.
 */

#include "kernel/backing.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "mm_priv.h"

static struct kmem_cache region_cache = KMEM_CACHE(struct region);

struct region *region_create(void)
{
	struct region *r = kmem_zalloc(&region_cache);

	if (r)
		list_init(&r->object_link);
	return r;
}

void region_free(struct region *region)
{
	kmem_free(&region_cache, region);
}

void region_account(struct space *space, const struct region *r, int64_t bytes)
{
	uint64_t n = (uint64_t)bytes;

	space->mapped += n;
	if ((r->prot & K_PROT_WRITE) && !(r->flags & K_MAP_SHARED))
		space->private_writable += n;
	if (r->flags & K_MAP_LOCKED)
		space->locked += n;
	if (r->flags & K_MAP_GROWS_DOWN)
		space->stack += n;
	if (r->prot & K_PROT_EXEC)
		space->exec += n;
	if (space->mapped > space->peak_mapped)
		space->peak_mapped = space->mapped;
}

/* The half of linking that the object sees: before the entries belong to the region. */
static void link_object(struct space *space, struct region *r, bool fresh)
{
	r->space = space;
	if (r->memory) {
		object_get(&r->memory->object);
		memory_add_region(r->memory, r, fresh);
	}
}

static void link_tree(struct space *space, struct region *r)
{
	region_tree_insert(&space->tree, r);
	region_account(space, r, (int64_t)(r->end - r->start));
}

void region_link(struct space *space, struct region *r, bool fresh)
{
	link_object(space, r, fresh);
	link_tree(space, r);
}

void region_append(struct space *space, struct region *r)
{
	link_object(space, r, false);
	region_tree_append(&space->tree, r);
	region_account(space, r, (int64_t)(r->end - r->start));
}

void region_end(struct region *r)
{
	if (r->memory) {
		memory_remove_region(r->memory, r);
		object_put(&r->memory->object);
	}
	if (r->backing)
		backing_drop_region(r->backing);
	region_free(r);
}

static void unlink_tree(struct space *space, struct region *r)
{
	if (space->last_hit == r)
		space->last_hit = NULL;
	region_account(space, r, -(int64_t)(r->end - r->start));
	region_tree_remove(&space->tree, r);
}

void region_unlink(struct space *space, struct region *r)
{
	unlink_tree(space, r);
	region_end(r);
}

void region_resize(struct space *space, struct region *r, uint64_t start, uint64_t end)
{
	struct memory *base = r->memory && r->memory->parent ? r->memory->parent : r->memory;

	region_account(space, r, (int64_t)(end - start) - (int64_t)(r->end - r->start));
	if (base)
		spin_lock(&base->lock);
	r->offset += start - r->start;
	r->start = start;
	r->end = end;
	if (base)
		spin_unlock(&base->lock);
	region_tree_update(&space->tree, r);
}

struct region *region_duplicate(const struct region *r, uint64_t start, uint64_t end)
{
	struct region *copy = kmem_alloc(&region_cache);

	if (!copy)
		return NULL;
	*copy = (struct region){
		.prot = r->prot, .max_prot = r->max_prot, .flags = r->flags,
		.has_private = r->has_private, .has_tables = r->has_tables,
		.start = start, .end = end, .offset = r->offset + (start - r->start),
		.limit = r->limit, .tag = r->tag, .memory = r->memory, .backing = r->backing,
		.zap_round = r->zap_round,
	};
	list_init(&copy->object_link);
	if (copy->backing)
		backing_copy_region(copy->backing);
	return copy;
}

struct region *region_split(struct space *space, struct region *r, uint64_t addr)
{
	struct region *upper = region_duplicate(r, addr, r->end);

	if (!upper)
		return NULL;
	/* A zap that walks the object's list must not miss the upper part in between. */
	link_object(space, upper, false);
	region_resize(space, r, r->start, addr);
	link_tree(space, upper);
	return upper;
}

/* Whether @b continues @a. */
static bool seamless(const struct region *a, const struct region *b)
{
	return a && b && a->end == b->start && a->prot == b->prot && a->flags == b->flags &&
	       a->memory == b->memory && a->backing == b->backing && a->max_prot == b->max_prot &&
	       a->tag == b->tag && !(a->flags & K_MAP_GROWS_DOWN) &&
	       (!a->memory || a->offset + (a->end - a->start) == b->offset);
}

struct region *region_merge(struct space *space, struct region *r)
{
	for (int side = 0; side < 2; side++) {
		struct region *a = side ? r : r->prev, *b = side ? r->next : r;
		uint64_t end;

		if (!seamless(a, b))
			continue;
		a->has_private |= b->has_private;
		a->has_tables |= b->has_tables;
		a->zap_round = MIN(a->zap_round, b->zap_round);
		end = b->end;
		unlink_tree(space, b);
		region_resize(space, a, a->start, end);
		region_end(b);
		r = a;
	}
	return r;
}

struct region *space_find(struct space *space, uint64_t addr)
{
	struct region *r = space->last_hit;

	if (likely(r && addr >= r->start && addr < r->end))
		return r;
	r = region_tree_find(&space->tree, addr);
	if (!r || addr < r->start)
		return NULL;
	space->last_hit = r;
	return r;
}

k_status_t space_cut(struct space *space, uint64_t start, uint64_t end)
{
	const uint64_t at[2] = { start, end };

	for (unsigned i = 0; i < 2; i++) {
		struct region *r = region_tree_find(&space->tree, at[i]);

		if (!r || r->start >= at[i])
			continue;
		if (space->tree.count >= REGIONS_MAX)
			return K_ERR_LIMIT;
		if (!region_split(space, r, at[i]))
			return K_ERR_NO_MEMORY;
	}
	return K_OK;
}
