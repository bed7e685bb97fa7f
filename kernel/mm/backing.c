/* SPDX-License-Identifier: MIT */
/*
 * Backings and reap lists.  Theory and states: kernel/backing.h.
 *
 * The count of regions goes from 0 to 1 and from 1 to 0 only under the list's lock;
 * in between it is plain atomic arithmetic, so that fork pays one addition for each
 * region.  While the count is above zero, or the backing is queued, somebody holds a
 * reference on the object for it: taken at 0 -> 1, given up when a reap takes the
 * backing off the list with nothing mapped.
 */

#include "kernel/backing.h"

#include "base/string.h"
#include "kernel/bell.h"
#include "kernel/kmem.h"
#include "mm_priv.h"

static struct kmem_cache backing_cache = KMEM_CACHE(struct backing);

struct reap_list *reap_list_create(void)
{
	struct reap_list *list = kzalloc(sizeof(*list));

	if (!list)
		return NULL;
	spinlock_init(&list->lock, LOCK_BACKING);
	list_init(&list->queued);
	atomic_init(&list->refs, 1);
	return list;
}

static void reap_list_drop(struct reap_list *list)
{
	if (atomic_fetch_sub(&list->refs, 1) != 1)
		return;
	if (list->bell)
		object_put(&list->bell->object);
	kfree(list);
}

/* The owning process is gone: nobody will reap, now or later. */
void reap_list_put(struct reap_list *list)
{
	uint64_t cookies[16];

	if (!list)
		return;
	spin_lock(&list->lock);
	list->closed = true;
	spin_unlock(&list->lock);
	while (backing_reap(list, cookies, ARRAY_SIZE(cookies)))
		;
	reap_list_drop(list);
}

k_status_t backing_create(struct reap_list *list, struct group *group, struct memory *memory,
			  uint64_t cookie, struct backing **out)
{
	struct backing *b = kmem_zalloc(&backing_cache);
	k_status_t st;

	if (!b)
		return K_ERR_NO_MEMORY;
	st = object_init(&b->object, K_TYPE_BACKING, group, sizeof(*b));
	if (st != K_OK) {
		kmem_free(&backing_cache, b);
		return st;
	}
	if (memory)
		object_get(&memory->object);
	atomic_fetch_add(&list->refs, 1);
	b->memory = memory;
	b->cookie = cookie;
	b->list = list;
	list_init(&b->reap_link);
	*out = b;
	return K_OK;
}

void backing_destroy(struct object *object)
{
	struct backing *b = container_of(object, struct backing, object);

	if (b->memory)
		object_put(&b->memory->object);
	reap_list_drop(b->list);
	kmem_free(&backing_cache, b);
}

k_status_t backing_add_region(struct backing *b)
{
	k_status_t st = K_OK;

	spin_lock(&b->list->lock);
	if (b->dead)
		st = K_ERR_CLOSED;
	else if (!atomic_fetch_add(&b->regions, 1) && !b->queued)
		object_get(&b->object);
	spin_unlock(&b->list->lock);
	return st;
}

void backing_copy_region(struct backing *b)
{
	atomic_fetch_add_explicit(&b->regions, 1, memory_order_relaxed);
}

void backing_drop_region(struct backing *b)
{
	struct reap_list *list = b->list;
	uint32_t n = atomic_load_explicit(&b->regions, memory_order_relaxed);
	struct bell *bell = NULL;
	uint64_t bits = 0;
	bool last = false;

	/* Not the last: no lock. */
	while (n > 1)
		if (atomic_compare_exchange_weak(&b->regions, &n, n - 1))
			return;

	spin_lock(&list->lock);
	if (atomic_fetch_sub(&b->regions, 1) == 1 && !b->queued &&
	    (list->closed || !atomic_load(&b->mapped))) {
		last = true;
		b->dead = list->closed;
	} else if (!atomic_load(&b->regions) && !b->queued) {
		/* The mappings' reference becomes the queue's. */
		b->queued = true;
		list_add_last(&list->queued, &b->reap_link);
		bell = list->bell;
		bits = list->bits;
		if (bell)
			object_get(&bell->object);
	}
	spin_unlock(&list->lock);
	if (bell) {
		bell_ring(bell, bits);
		object_put(&bell->object);
	}
	if (last)
		object_put(&b->object);
}

uint64_t backing_reap(struct reap_list *list, uint64_t *cookies, uint64_t max)
{
	uint64_t n = 0;

	while (n < max) {
		struct backing *b;
		bool dead;

		spin_lock(&list->lock);
		b = list_pop_entry(&list->queued, struct backing, reap_link);
		if (!b) {
			spin_unlock(&list->lock);
			break;
		}
		b->queued = false;
		dead = b->dead = !atomic_load(&b->regions);
		spin_unlock(&list->lock);
		if (!dead)	/* mapped again: the reference is the mappings' once more */
			continue;
		cookies[n++] = b->cookie;
		object_put(&b->object);
	}
	return n;
}

void backing_watch(struct reap_list *list, struct bell *bell, uint64_t bits)
{
	struct bell *old;
	bool pending;

	object_get(&bell->object);
	spin_lock(&list->lock);
	old = list->bell;
	list->bell = bell;
	list->bits = bits;
	pending = !list_is_empty(&list->queued);
	spin_unlock(&list->lock);
	if (old)
		object_put(&old->object);
	if (pending)
		bell_ring(bell, bits);
}
