/* SPDX-License-Identifier: MIT */
/*
 * Memory objects: dirty pages, and eviction.  Theory: kernel/memory.h.
 *
 * The kernel writes nothing back: it says which pages are dirty, and whoever owns the
 * object writes them and then has clean ones evicted.  A page is called clean before it
 * is written, and its mappings are protected at that moment, so that no write after it is
 * missed.  Eviction goes over a range: what is dirty, pinned or referenced stays, and a
 * pass for cold pages (K_EVICT_COLD) leaves once what was used lately.
 */

#include "mm_priv.h"

#define CLEAN_RUN_MAX	256u		/* pages per call */

/* The first run of dirty pages in [*first, end): *first and the result say where.  Lock held. */
static uint64_t dirty_run(const struct memory *m, uint64_t *first, uint64_t end)
{
	uint64_t at;

	if (!page_tree_next(&m->pages, first, end, true))
		return *first;
	for (at = *first + 1; at < end && at - *first < CLEAN_RUN_MAX; at++)
		if (!page_tree_is_dirty(&m->pages, at))
			break;
	return at;
}

k_status_t memory_clean(struct memory *memory, struct k_clean *clean)
{
	uint64_t first = clean->offset >> K_PAGE_SHIFT, end, stop;

	if (clean->action > K_CLEAN_MARK || !add_u64(clean->offset, clean->length, &end) ||
	    memory->parent || memory->device)
		return K_ERR_BAD_ARGUMENT;
	spin_lock(&memory->lock);
	end = DIV_ROUND_UP(MIN(end, memory->size), K_PAGE_SIZE);
	if (clean->action == K_CLEAN_MARK) {
		stop = MAX(end, first);
		for (uint64_t at = first; memory_tracks(memory) &&
		     page_tree_next(&memory->pages, &at, end, false); at++) {
			page_tree_set_dirty(&memory->pages, at, true);
			if (!(at % MEMORY_BATCH))
				memory_let_others(memory);
		}
	} else {
		stop = dirty_run(memory, &first, end);
		for (uint64_t at = first; clean->action == K_CLEAN_TAKE && at < stop; at++)
			page_tree_set_dirty(&memory->pages, at, false);
	}
	spin_unlock(&memory->lock);
	if (clean->action == K_CLEAN_TAKE && first < stop) {
		/* Clean before protected: a write in between is seen by who reads the pages after
		 * this call; a writer that copies right now looks at the flag when it is done. */
		memory_zap(memory, first, stop, ZAP_PROTECT);
		atomic_thread_fence(memory_order_seq_cst);
	}
	clean->offset = first << K_PAGE_SHIFT;
	clean->length = (stop - first) << K_PAGE_SHIFT;
	return K_OK;
}

/* One walk over pages that could go. */
struct evict_pass {
	uint64_t first, end;		/* first moves behind what was looked at */
	uint64_t scan;			/* pages that may be looked at; counts down */
	uint64_t freed;
	uint64_t mapped_first, mapped_end;	/* clean ones that are in use: a range around them */
	bool cold;			/* leave those that were used lately */
};

static void evict_page(struct memory *m, uint64_t at, struct page *page, struct evict_pass *p)
{
	if ((page->flags & PAGE_DIRTY) || atomic_load(&page->pins))
		return;
	if (p->cold && (page->flags & PAGE_HOT)) {
		page->flags &= (uint8_t)~PAGE_HOT;
		return;
	}
	if (atomic_load(&page->refs) > 1) {
		p->mapped_first = MIN(p->mapped_first, at);
		p->mapped_end = at + 1;
		return;
	}
	page_tree_remove(&m->pages, at);
	page_free(page, 0);
	p->freed++;
}

static void evict_pass(struct memory *m, struct evict_pass *p)
{
	struct page *page;
	unsigned n = 0;

	p->mapped_first = UINT64_MAX;
	p->mapped_end = 0;
	spin_lock(&m->lock);
	while (p->scan && (page = page_tree_next(&m->pages, &p->first, p->end, false))) {
		uint64_t at = p->first++;

		p->scan--;
		if (++n % MEMORY_BATCH == 0) {
			memory_let_others(m);
			if (page_tree_get(&m->pages, at) != page)
				continue;
		}
		evict_page(m, at, page, p);
	}
	spin_unlock(&m->lock);
	if (p->scan)
		p->first = p->end;	/* there is nothing more */
}

k_status_t memory_evict(struct memory *memory, struct k_evict *evict)
{
	struct evict_pass pass = {
		.first = evict->offset >> K_PAGE_SHIFT,
		.scan = evict->scan ? evict->scan : UINT64_MAX,
		.cold = evict->flags & K_EVICT_COLD,
	};
	uint64_t scan = pass.scan, end;

	if (!(memory->flags & K_MEMORY_PAGED) || memory->parent ||
	    (evict->flags & ~(K_EVICT_COLD | K_EVICT_UNMAPPED)) || !add_u64(evict->offset, evict->length, &end))
		return K_ERR_BAD_ARGUMENT;
	pass.end = DIV_ROUND_UP(MIN(end, READ_ONCE(memory->size)), K_PAGE_SIZE);
	if (pass.first < pass.end)
		evict_pass(memory, &pass);
	evict->scan = scan - pass.scan;
	evict->offset = MIN(MAX(pass.first << K_PAGE_SHIFT, evict->offset), end);
	evict->length = pass.first < pass.end ? end - evict->offset : 0;
	if (pass.mapped_end && READ_ONCE(memory->mappings) && !(evict->flags & K_EVICT_UNMAPPED)) {
		memory_zap(memory, pass.mapped_first, pass.mapped_end, ZAP_EVICT);
		pass.first = pass.mapped_first;
		pass.end = pass.mapped_end;
		pass.scan = UINT64_MAX;
		if (!pass.cold)
			evict_pass(memory, &pass);
	}
	evict->freed = pass.freed;
	return K_OK;
}
