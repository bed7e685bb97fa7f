/* SPDX-License-Identifier: MIT */
/*
 * Reference counts, and the end of objects (theory in kernel/object.h).
 *
 * Closing or destroying one object often drops the last count of others: a process
 * its handles, a handle its channel, a channel its messages, a message its handles.
 * Done by recursion, a program could choose the depth.  So each thread has a list
 * of what is still to be done (struct object_reaper) and only the outermost drop
 * works on it.  Threads and groups are exempt: dropping them neither sleeps nor
 * leads on to anything but a group's parent, at most GROUP_DEPTH_MAX times, and
 * the scheduler drops threads where nothing may sleep.
 *
 * Where the last count may not be dropped because sleeping is forbidden, it is
 * handed to the housekeeper, a kernel thread, through a stack without locks.
 */

#include "kernel/object.h"

#include "kernel/group.h"
#include "kernel/housekeeper.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

enum { TO_CLOSE = 1, TO_DESTROY };

static _Atomic(uint64_t) last_koid;
static _Atomic(uint64_t) counts[K_TYPE_COUNT];

/* Objects whose last reference was dropped where nothing may sleep; newest first. */
static _Atomic(struct object *) deferred;
static _Atomic(uint64_t) deferred_count;	/* on the stack, or being destroyed from it */

k_status_t object_init(struct object *object, enum k_type type, struct group *group, uint32_t bytes)
{
	if (group && !group_charge_bytes(group, bytes))
		return K_ERR_NO_MEMORY;
	if (group)
		object_get(&group->object);
	refcount_init(&object->refs, 1);
	atomic_init(&object->handles, 0);
	object->type = type;
	object->charge = bytes;
	object->koid = atomic_fetch_add_explicit(&last_koid, 1, memory_order_relaxed) + 1;
	object->group = group;
	object->next_dead = NULL;
	object->pending = 0;
	atomic_fetch_add_explicit(&counts[type], 1, memory_order_relaxed);
	return K_OK;
}

/* What an object held outside of its own memory; @object itself may be gone. */
static void release(struct group *group, uint32_t charge, uint32_t type)
{
	atomic_fetch_sub_explicit(&counts[type], 1, memory_order_relaxed);
	if (group) {
		group_uncharge_bytes(group, charge);
		object_put(&group->object);
	}
}

void object_abandon(struct object *object)
{
	release(object->group, object->charge, object->type);
}

static void destroy(struct object *object)
{
	struct group *group = object->group;
	uint32_t charge = object->charge, type = object->type;

	kassert_checks(refcount_read(&object->refs) == 0);
	kassert_checks(atomic_load_explicit(&object->handles, memory_order_relaxed) == 0);
	object_types[type].destroy(object);
	release(group, charge, type);
}

static void work_on(struct object *object, uint32_t what)
{
	if (what == TO_CLOSE) {
		object_types[object->type].close(object);
		object_put(object);
	} else {
		destroy(object);
	}
}

/* Do it now, or leave it to the drop further out on this thread's stack. */
static void work_or_queue(struct object *object, uint32_t what)
{
	struct object_reaper *reaper = &current_thread()->reaper;

	kassert_checks(preempt_count() == 0);
	if (reaper->active) {
		object->next_dead = NULL;
		object->pending = what;
		if (reaper->last)
			reaper->last->next_dead = object;
		else
			reaper->first = object;
		reaper->last = object;
		return;
	}
	reaper->active = true;
	work_on(object, what);
	while ((object = reaper->first)) {
		reaper->first = object->next_dead;
		if (!reaper->first)
			reaper->last = NULL;
		work_on(object, object->pending);
	}
	reaper->active = false;
}

void object_last_put(struct object *object)
{
	if (object->type == K_TYPE_THREAD || object->type == K_TYPE_GROUP)
		destroy(object);
	else
		work_or_queue(object, TO_DESTROY);
}

void object_put_deferred(struct object *object)
{
	struct object *head;

	if (!refcount_put(&object->refs))
		return;
	atomic_fetch_add_explicit(&deferred_count, 1, memory_order_relaxed);
	head = atomic_load_explicit(&deferred, memory_order_relaxed);
	do {
		object->next_dead = head;
		/* release: pairs with the exchange in object_reap_deferred */
	} while (!atomic_compare_exchange_weak_explicit(&deferred, &head, object,
							memory_order_release,
							memory_order_relaxed));
	housekeeper_wake(HOUSEKEEPER_OBJECTS);
}

void object_reap_deferred(void)
{
	struct object *object, *next;

	object = atomic_exchange_explicit(&deferred, NULL, memory_order_acquire);
	for (; object; object = next) {
		next = object->next_dead;
		object_last_put(object);
		atomic_fetch_sub_explicit(&deferred_count, 1, memory_order_release);
	}
}

void object_settle(void)
{
	while (atomic_load_explicit(&deferred_count, memory_order_acquire))
		housekeeper_run();
}

void object_name_get(struct object *object)
{
	object_get(object);
	atomic_fetch_add_explicit(&object->handles, 1, memory_order_relaxed);
}

void object_name_put(struct object *object)
{
	/* acq_rel: what was done through other handles is seen by close() */
	uint32_t old = atomic_fetch_sub_explicit(&object->handles, 1, memory_order_acq_rel);

	kassert_checks(old > 0);
	if (old == 1 && object_types[object->type].close)
		work_or_queue(object, TO_CLOSE);
	else
		object_put(object);
}

uint64_t object_count(enum k_type type)
{
	return atomic_load_explicit(&counts[type], memory_order_relaxed);
}
