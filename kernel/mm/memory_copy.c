/* SPDX-License-Identifier: MIT */
/*
 * Memory objects: copying bytes in and out.  Theory: kernel/memory.h.
 *
 * Copies are made without the lock, on a page that the copier holds a reference
 * to.  What this means for those who take pages away: eviction leaves pages alone
 * that somebody else references; a cleaner may call a page clean while a writer is
 * still copying, so the writer looks afterwards and marks it dirty again.
 *
 * The other side of a copy may be a program's memory, whose pages may be missing: what
 * was copied before a fault counts, and the caller goes on from there once the fault is
 * settled.
 */

#include "arch/ucopy.h"
#include "base/string.h"
#include "mm_priv.h"

static bool copy_out(void *dst, const void *src, size_t n, bool user, size_t *left)
{
	*left = 0;
	if (user)
		*left = arch_copy_to_user((uint64_t)(uintptr_t)dst, src, n);
	else
		memcpy(dst, src, n);
	return !*left;
}

static bool copy_in(void *dst, const void *src, size_t n, bool user, size_t *left)
{
	*left = 0;
	if (user)
		*left = arch_copy_from_user(dst, (uint64_t)(uintptr_t)src, n);
	else
		memcpy(dst, src, n);
	return !*left;
}

k_status_t memory_read(struct memory *memory, uint64_t offset, void *dst, uint64_t n, bool user,
		       uint64_t *done)
{
	*done = 0;
	while (*done < n) {
		uint64_t at = offset + *done, inside = at & (K_PAGE_SIZE - 1), size, part;
		struct page *page = NULL;
		k_status_t st;
		size_t left;

		size = READ_ONCE(memory->size);
		if (at < offset || at >= size)
			return K_ERR_BEYOND_END;
		part = MIN(n - *done, K_PAGE_SIZE - inside);
		part = MIN(part, size - at);
		st = memory_lookup(memory, at >> K_PAGE_SHIFT, false, false, &page);
		if (st != K_OK)
			return st;
		copy_out((char *)dst + *done, (char *)page_virt(page ? page : page_zero) + inside,
			 part, user, &left);
		if (page)
			page_put(page);
		*done += part - left;
		if (left)
			return K_ERR_BAD_ADDRESS;
	}
	return K_OK;
}

/* A page that is missing and will be written whole up to the end of the object: no need to have
 * its old contents.  SHOULD_WAIT: it is there by now, look again. */
static k_status_t write_new(struct memory *m, uint64_t index, const void *src, uint64_t part,
			    bool user, uint64_t *done)
{
	struct page *page = page_alloc(0, 0, memory_page_kind(m), m->object.group);
	k_status_t st = K_OK;
	size_t left;

	if (!page)
		return K_ERR_NO_MEMORY;
	if (!copy_in(page_virt(page), src, part, user, &left)) {
		/* Half a page is of no use; with the page there the failure is exact. */
		page_free(page, 0);
		return m->flags & K_MEMORY_PAGED ? K_ERR_NEED_PAGE : K_ERR_BAD_ADDRESS;
	}
	memset((char *)page_virt(page) + part, 0, K_PAGE_SIZE - part);
	spin_lock(&m->lock);
	if (page_tree_get(&m->pages, index))
		st = K_ERR_SHOULD_WAIT;
	else if (index >= memory_page_count(m))
		st = K_ERR_BEYOND_END;
	else if (!memory_insert(m, index, page))
		st = K_ERR_NO_MEMORY;
	else if (memory_tracks(m))
		page_tree_set_dirty(&m->pages, index, true);
	spin_unlock(&m->lock);
	if (st != K_OK)
		page_free(page, 0);
	else
		*done += part;
	return st;
}

static k_status_t write_page(struct memory *m, uint64_t at, const void *src, uint64_t part,
			     uint64_t size, bool user, uint64_t *done)
{
	bool whole = IS_ALIGNED(at, K_PAGE_SIZE) && (part == K_PAGE_SIZE || at + part == size);
	struct page *page = NULL;
	k_status_t st;
	size_t left;

	st = memory_lookup(m, at >> K_PAGE_SHIFT, !whole, true, &page);
	if (!page && whole && (st == K_OK || st == K_ERR_NEED_PAGE)) {
		st = write_new(m, at >> K_PAGE_SHIFT, src, part, user, done);
		if (st != K_ERR_SHOULD_WAIT && st != K_ERR_BAD_ADDRESS)
			return st;
		st = memory_lookup(m, at >> K_PAGE_SHIFT, true, true, &page);
	}
	if (st != K_OK)
		return st;
	copy_in((char *)page_virt(page) + (at & (K_PAGE_SIZE - 1)), src, part, user, &left);
	memory_mark_dirty(m, page);
	page_put(page);
	*done += part - left;
	return left ? K_ERR_BAD_ADDRESS : K_OK;
}

k_status_t memory_write(struct memory *memory, uint64_t offset, const void *src, uint64_t n,
			bool user, uint64_t *done)
{
	*done = 0;
	if (memory->parent)
		return K_ERR_ACCESS;
	while (*done < n) {
		uint64_t at = offset + *done, inside = at & (K_PAGE_SIZE - 1);
		uint64_t size = READ_ONCE(memory->size), part;
		k_status_t st;

		if (at < offset || at >= size)
			return K_ERR_BEYOND_END;
		part = MIN(n - *done, K_PAGE_SIZE - inside);
		part = MIN(part, size - at);
		st = write_page(memory, at, (const char *)src + *done, part, size, user, done);
		if (st != K_OK)
			return st;
	}
	return K_OK;
}

k_status_t memory_supply(struct memory *memory, uint64_t offset, const void *src, uint64_t n,
			 bool user)
{
	if (!IS_ALIGNED(offset, K_PAGE_SIZE) || memory->parent || memory->device)
		return K_ERR_BAD_ARGUMENT;
	for (uint64_t done = 0; done < n; done += K_PAGE_SIZE) {
		uint64_t at = offset + done, part = MIN(n - done, (uint64_t)K_PAGE_SIZE), size;
		struct page *page;
		k_status_t st = K_OK;
		size_t left;

		size = READ_ONCE(memory->size);
		if (at < offset || at >= size)
			return K_ERR_BEYOND_END;
		if (part < K_PAGE_SIZE && at + part < size)
			return K_ERR_BAD_ARGUMENT;
		page = page_alloc(0, 0, memory_page_kind(memory), memory->object.group);
		if (!page)
			return K_ERR_NO_MEMORY;
		if (!copy_in(page_virt(page), (const char *)src + done, part, user, &left)) {
			page_free(page, 0);
			return K_ERR_BAD_ADDRESS;
		}
		memset((char *)page_virt(page) + part, 0, K_PAGE_SIZE - part);
		spin_lock(&memory->lock);
		if (at >= memory->size)
			st = K_ERR_BEYOND_END;
		else if (page_tree_get(&memory->pages, at >> K_PAGE_SHIFT))
			st = K_ERR_EXISTS;	/* not ours to report: it is supplied */
		else if (!memory_insert(memory, at >> K_PAGE_SHIFT, page))
			st = K_ERR_NO_MEMORY;
		spin_unlock(&memory->lock);
		if (st != K_OK)
			page_free(page, 0);
		if (st != K_OK && st != K_ERR_EXISTS)
			return st;
	}
	return K_OK;
}
