/* SPDX-License-Identifier: MIT */
/*
 * The heap of the personality that is linked into the kernel image: the kernel's,
 * charged to the personality's group.  The charge is made in blocks, so that an
 * allocation is one addition more than kmalloc().
 */

#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "base/string.h"
#include "rt/memory.h"

#define BLOCK (256ll << 10)

static _Atomic(struct group *) heap_group;	/* set once: there is one such personality */
static _Atomic(int64_t) used, charged;		/* bytes; used <= charged, but for a moment */

static struct group *group_of_caller(void)
{
	struct group *group = atomic_load_explicit(&heap_group, memory_order_relaxed);

	if (unlikely(!group)) {
		group = current_thread()->process ? current_thread()->process->object.group : NULL;
		atomic_store_explicit(&heap_group, group, memory_order_relaxed);
	}
	return group;
}

static void forget(int64_t bytes)
{
	int64_t now = atomic_fetch_sub(&used, bytes) - bytes, held = atomic_load(&charged);

	/* Keep up to two blocks in hand. */
	while (unlikely(held - now > 3 * BLOCK))
		if (atomic_compare_exchange_weak(&charged, &held, held - BLOCK)) {
			group_uncharge_bytes(group_of_caller(), BLOCK);
			break;
		}
}

static bool charge(int64_t bytes)
{
	int64_t missing = atomic_fetch_add(&used, bytes) + bytes - atomic_load(&charged);

	if (likely(missing <= 0))
		return true;
	missing = ALIGN_UP(missing, BLOCK);
	if (!group_charge_bytes(group_of_caller(), (uint64_t)missing)) {
		atomic_fetch_sub(&used, bytes);
		return false;
	}
	atomic_fetch_add(&charged, missing);
	return true;
}

void *rt_alloc(size_t size)
{
	void *p = kmalloc(size);

	if (likely(p && charge((int64_t)kmalloc_size(p))))
		return p;
	kfree(p);
	if (size <= RT_ALLOC_SMALL)
		rt_memory_refused();
	return NULL;
}

void *rt_zalloc(size_t size)
{
	void *p = rt_alloc(size);

	return p ? memset(p, 0, size) : NULL;
}

void rt_free(void *p)
{
	if (!p)
		return;
	forget((int64_t)kmalloc_size(p));
	kfree(p);
}

void *rt_realloc(void *p, size_t size)
{
	size_t old = p ? kmalloc_size(p) : 0;
	void *bigger;

	if (p && size <= old && size >= old / 2)
		return p;
	bigger = rt_alloc(size);
	if (bigger && p)
		memcpy(bigger, p, MIN(size, old));
	if (bigger)
		rt_free(p);
	return bigger;
}
