/* SPDX-License-Identifier: MIT */
/*
 * Moving and resizing a mapping (mremap).
 *
 * A mapping grows where it is if there is room, else a new region takes its entries
 * over: the tables at the new place are made first, so that the transfer itself
 * cannot fail.
 */

#include "kernel/backing.h"
#include "mm_priv.h"

#define MOVE_FLAGS (K_MOVE_MAY_MOVE | K_MOVE_FIXED | K_MOVE_DONT_UNMAP)

/* Tables at @to for every entry of [from, from + length). */
static bool make_tables(struct space *space, uint64_t from, uint64_t to, uint64_t length)
{
	struct entry_walk w = ENTRY_WALK(space, from, from + length);

	while (entry_next(&w))
		if (!table_make(space, w.va - from + to))
			return false;
	return true;
}

static void move_entries(struct space *space, uint64_t from, uint64_t to, uint64_t length,
			 struct tlb_batch *batch)
{
	struct entry_walk w = ENTRY_WALK(space, from, from + length);

	while (entry_next(&w)) {
		pte_set(table_find(space->root, w.va - from + to), *w.pte);
		pte_set(w.pte, 0);
		tlb_add(batch, w.va);
	}
}

static k_status_t check_move(const struct space *space, struct k_move *m)
{
	uint64_t one = 1;

	if ((m->flags & ~MOVE_FLAGS) ||
	    ((m->flags & (K_MOVE_FIXED | K_MOVE_DONT_UNMAP)) && !(m->flags & K_MOVE_MAY_MOVE)))
		return K_ERR_BAD_ARGUMENT;
	/* old_length 0: a second mapping of a shared one. */
	if (space_range(space, m->old_addr, m->old_length ? &m->old_length : &one) != K_OK ||
	    !m->new_length || m->new_length > K_PROGRAM_MAX)
		return K_ERR_BAD_ARGUMENT;
	m->new_length = ALIGN_UP(m->new_length, K_PAGE_SIZE);
	if ((m->flags & K_MOVE_DONT_UNMAP) && m->old_length != m->new_length)
		return K_ERR_BAD_ARGUMENT;
	if (!(m->flags & K_MOVE_FIXED))
		return K_OK;
	if (space_range(space, m->new_addr, &m->new_length) != K_OK ||
	    m->new_addr < K_PROGRAM_MIN ||
	    (m->new_addr < m->old_addr + m->old_length &&
	     m->old_addr < m->new_addr + m->new_length))
		return K_ERR_BAD_ARGUMENT;
	return K_OK;
}

/* More bytes behind @r, where it is; false: no room. */
static bool grow_in_place(struct space *space, struct region *r, uint64_t old_end, uint64_t growth)
{
	uint64_t limit = r->end <= K_PROGRAM_MAX ? K_PROGRAM_MAX : space->tree.limit;
	uint64_t sum;

	if (old_end != r->end || growth > limit - r->end ||
	    !add_u64(r->offset, r->end - r->start + growth, &sum))
		return false;
	if (r->next && r->next->start - r->end <
	    growth + (r->next->flags & K_MAP_GROWS_DOWN ? REGION_GUARD : 0))
		return false;
	region_resize(space, r, r->start, r->end + growth);
	region_merge(space, r);
	return true;
}

/* The mapping [old_addr, old_addr + old_length), part of one region, to m->new_addr. */
static k_status_t transfer(struct space *space, const struct k_move *m, struct tlb_batch *batch)
{
	uint64_t moved = MIN(m->old_length, m->new_length);
	struct region *r = space_find(space, m->old_addr);
	struct region *copy = region_duplicate(r, m->new_addr, m->new_addr + m->new_length);
	uint64_t floor;

	if (!copy)
		return K_ERR_NO_MEMORY;
	if (!make_tables(space, m->old_addr, m->new_addr, moved)) {
		r = region_tree_find(&space->tree, m->new_addr);
		floor = r ? (r->prev ? r->prev->end : 0) : space->tree.last->end;
		table_prune(space, m->new_addr, m->new_addr + moved, floor,
			    r ? r->start : UINT64_MAX, batch);
		if (copy->backing)
			backing_drop_region(copy->backing);
		region_free(copy);
		return K_ERR_NO_MEMORY;
	}
	copy->offset = r->offset + (m->old_addr - r->start);
	region_link(space, copy, false);
	move_entries(space, m->old_addr, m->new_addr, moved, batch);
	return K_OK;
}

static k_status_t relocate(struct space *space, struct k_move *m, struct tlb_batch *batch)
{
	uint64_t old_end = m->old_addr + m->old_length;
	bool keep = (m->flags & K_MOVE_DONT_UNMAP) || !m->old_length;
	k_status_t st = K_OK;

	if (space->tree.count + 3 > REGIONS_MAX)
		return K_ERR_LIMIT;
	if (!(m->flags & K_MOVE_FIXED)) {
		m->new_addr = 0;
		if (!space_place(space, m->new_length, m->min, m->max, true, &m->new_addr))
			return K_ERR_NO_SPACE;
	} else {
		st = space_unmap_locked(space, m->new_addr, m->new_addr + m->new_length, batch);
	}
	/* Boundaries for the unmapping at the end, so that it cannot fail. */
	if (st == K_OK && !keep)
		st = space_cut(space, m->old_addr, old_end);
	if (st == K_OK)
		st = transfer(space, m, batch);
	if (st == K_OK && !keep)
		st = space_unmap_locked(space, m->old_addr, old_end, batch);
	if (st == K_OK)
		region_merge(space, space_find(space, m->new_addr));
	return st;
}

static k_status_t move_locked(struct space *space, struct k_move *m, struct tlb_batch *batch)
{
	struct region *r = space_find(space, m->old_addr);
	uint64_t old_end = m->old_addr + m->old_length;
	k_status_t st = K_OK;

	if (!r || old_end > r->end)
		return K_ERR_NOT_FOUND;
	if (!m->old_length && !(r->flags & K_MAP_SHARED))
		return K_ERR_BAD_ARGUMENT;
	if (r->memory && r->memory->device && m->new_length > m->old_length)
		return K_ERR_BAD_ARGUMENT;
	if (m->new_length < m->old_length) {
		st = space_unmap_locked(space, m->old_addr + m->new_length, old_end, batch);
		if (st != K_OK)
			return st;
		m->old_length = m->new_length;
		old_end = m->old_addr + m->old_length;
	}
	if (!(m->flags & (K_MOVE_FIXED | K_MOVE_DONT_UNMAP)) && m->old_length) {
		r = space_find(space, m->old_addr);
		if (m->new_length == m->old_length ||
		    grow_in_place(space, r, old_end, m->new_length - m->old_length)) {
			m->new_addr = m->old_addr;
			return K_OK;
		}
	}
	/* The second mapping of old_length 0 is a move, too. */
	if (!(m->flags & K_MOVE_MAY_MOVE))
		return K_ERR_NO_SPACE;
	return relocate(space, m, batch);
}

k_status_t space_move(struct space *space, struct k_move *move)
{
	struct tlb_batch batch;
	k_status_t st = check_move(space, move);

	if (st != K_OK)
		return st;
	kmutex_lock(&space->lock);
	tlb_begin(&batch, space);
	st = move_locked(space, move, &batch);
	tlb_finish(&batch);
	kmutex_unlock(&space->lock);
	return st;
}
