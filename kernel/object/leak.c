/* SPDX-License-Identifier: MIT */
#include "kernel/leak.h"

#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/object.h"
#include "kernel/page.h"

void leak_count(struct k_object_counts *counts)
{
	struct page_stats pages;
	struct kmem_stats heap;

	object_settle();
	kmem_drain();
	page_drain_caches();
	page_stats(&pages);
	kmem_stats(&heap);
	*counts = (struct k_object_counts){
		.handles = atomic_load_explicit(&root_group->handles, memory_order_relaxed),
		.free_pages = pages.free,
		.slab_pages = heap.slab_pages,
		.table_pages = pages.kinds[PAGE_TABLE],
		.stack_pages = heap.stack_pages,
	};
	for (unsigned int type = 1; type < K_TYPE_COUNT; type++)
		counts->count[type] = object_count((enum k_type)type);
}

void leak_log(const struct k_object_counts *c)
{
	log_line(LOG_INFO, "counts: %llu processes %llu threads %llu spaces %llu memories "
		 "%llu backings %llu channels %llu bells %llu timers %llu handles, "
		 "pages: %llu free %llu slab %llu table %llu stack",
		 (unsigned long long)c->count[K_TYPE_PROCESS],
		 (unsigned long long)c->count[K_TYPE_THREAD],
		 (unsigned long long)c->count[K_TYPE_SPACE],
		 (unsigned long long)c->count[K_TYPE_MEMORY],
		 (unsigned long long)c->count[K_TYPE_BACKING],
		 (unsigned long long)c->count[K_TYPE_CHANNEL],
		 (unsigned long long)c->count[K_TYPE_BELL],
		 (unsigned long long)c->count[K_TYPE_TIMER], (unsigned long long)c->handles,
		 (unsigned long long)c->free_pages, (unsigned long long)c->slab_pages,
		 (unsigned long long)c->table_pages, (unsigned long long)c->stack_pages);
}

static unsigned int grew(const char *what, uint64_t before, uint64_t after, bool tell)
{
	if (after <= before)
		return 0;
	if (tell)
		log_line(LOG_WARNING, "leak: %s were %llu, are %llu", what, (unsigned long long)before,
			 (unsigned long long)after);
	return 1;
}

#define TABLES_KEPT 4u

static uint64_t used_pages(const struct k_object_counts *counts)
{
	struct page_stats pages;

	page_stats(&pages);
	return pages.managed - counts->free_pages - counts->stack_pages - counts->slab_pages -
	       counts->table_pages;
}

unsigned int leak_compare(const struct k_object_counts *before, const struct k_object_counts *after,
			  bool tell)
{
	unsigned int kinds = 0;

	for (unsigned int type = 1; type < K_TYPE_COUNT; type++)
		kinds += grew(object_types[type].name, before->count[type], after->count[type], tell);
	kinds += grew("handles", before->handles, after->handles, tell);
	/* Each CPU keeps some stacks and slabs for the next user: those are no leak.  A few tables
	 * can be the kernel's own, which stay. */
	kinds += grew("table pages", before->table_pages + TABLES_KEPT, after->table_pages, tell);
	kinds += grew("used pages", used_pages(before), used_pages(after), tell);
	return kinds;
}
