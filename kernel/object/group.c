/* SPDX-License-Identifier: MIT */
/*
 * Groups (theory in kernel/group.h).
 *
 * `users` decides when the struct is freed: 1 while the object lives, plus the
 * bytes charged to this very group.  Whoever brings it to 0 frees it, which is the
 * destruction of the object, or the last page coming back later.
 */

#include "kernel/group.h"

#include "base/string.h"
#include "kernel/bell.h"
#include "kernel/housekeeper.h"
#include "kernel/kmem.h"
#include "kernel/lock.h"
#include "kernel/page.h"
#include "kernel/panic.h"

struct group *root_group;

/* -- watching free memory ---------------------------------------------------------- */

static struct spinlock watch_lock = SPINLOCK_INIT(LOCK_GROUP);
static struct list watching = LIST_INIT(watching);	/* struct group.watch_link */
static uint64_t highest_mark;		/* watch_lock; bytes; 0: nobody watches */

static void memory_is_low(void)
{
	housekeeper_wake(HOUSEKEEPER_MEMORY);
}

/* As the watch in the page allocator counts. */
static uint64_t free_bytes(void)
{
	return page_free_count() << K_PAGE_SHIFT;
}

static uint64_t mark_of(const struct group *g)
{
	return atomic_load_explicit(&g->low_memory, memory_order_relaxed);
}

/* What is left of the quota is less than the mark. */
static bool is_near_limit(const struct group *g, uint64_t used)
{
	uint64_t limit = atomic_load_explicit(&g->memory_limit, memory_order_relaxed);

	return limit && (used >= limit || limit - used < mark_of(g));
}

/* Some mark changed: what is the highest? */
static void update_marks(void)
{
	struct group *g;

	assert_spin_held(&watch_lock);
	highest_mark = 0;
	list_for_each_entry(g, &watching, watch_link)
		highest_mark = MAX(highest_mark, mark_of(g));
	page_set_low_watch(highest_mark >> K_PAGE_SHIFT, memory_is_low);
}

static bool some_group_is_low;		/* watch_lock; read without it for an estimate */

bool group_memory_is_low(void)
{
	return READ_ONCE(some_group_is_low);
}

/* Ringing again what was rung already does no harm, and loses no news: whoever works on it may
 * have finished, and gone to wait, with memory low again. */
void group_memory_check(void)
{
	uint64_t free = free_bytes();
	bool some = false;
	struct group *g;

	spin_lock(&watch_lock);
	list_for_each_entry(g, &watching, watch_link) {
		uint64_t used = atomic_load_explicit(&g->memory, memory_order_relaxed);
		bool near = is_near_limit(g, used);

		if (!near)
			atomic_store_explicit(&g->near_limit, false, memory_order_relaxed);
		if (near || free < mark_of(g)) {
			some = true;
			bell_ring(g->bell, g->bell_bits);
		}
	}
	WRITE_ONCE(some_group_is_low, some);
	/* The watch tells once, and may have told of what is over by now. */
	if (!some)
		update_marks();
	spin_unlock(&watch_lock);
}

void group_watch(struct group *group, struct bell *bell, uint64_t bits)
{
	struct bell *old;

	if (bell)
		object_get(&bell->object);
	spin_lock(&watch_lock);
	old = group->bell;
	group->bell = bell;
	group->bell_bits = bits;
	list_remove(&group->watch_link);
	if (bell)
		list_add_last(&watching, &group->watch_link);
	update_marks();
	spin_unlock(&watch_lock);
	if (old)
		object_put(&old->object);
	housekeeper_wake(HOUSEKEEPER_MEMORY);	/* it may be low already */
}

/* -- life ----------------------------------------------------------------------------- */

static void free_if_unused(struct group *group, uint64_t dropped)
{
	struct group *parent = group->parent;

	/* acq_rel: everything else that was done to the group happened before it is freed */
	if (atomic_fetch_sub_explicit(&group->users, dropped, memory_order_acq_rel) != dropped)
		return;
	kfree(group);
	if (parent)
		object_put(&parent->object);
}

static struct group *group_alloc(struct group *parent)
{
	struct group *group = kzalloc(sizeof(*group));

	if (!group)
		return NULL;
	group->parent = parent;
	group->depth = parent ? parent->depth + 1 : 0;
	atomic_init(&group->users, 1);
	atomic_init(&group->cpu_weight, 1024);
	list_init(&group->watch_link);
	return group;
}

static void set_limits(struct group *group, const struct k_group_limits *limits)
{
	atomic_store_explicit(&group->memory_limit, limits->memory_bytes, memory_order_relaxed);
	atomic_store_explicit(&group->thread_limit, limits->threads, memory_order_relaxed);
	atomic_store_explicit(&group->handle_limit, limits->handles, memory_order_relaxed);
	atomic_store_explicit(&group->cpu_weight, limits->cpu_weight ? limits->cpu_weight : 1024,
			      memory_order_relaxed);
	atomic_store_explicit(&group->flags, limits->flags, memory_order_relaxed);
	spin_lock(&watch_lock);
	atomic_store_explicit(&group->low_memory, limits->low_memory_bytes, memory_order_relaxed);
	update_marks();
	spin_unlock(&watch_lock);
}

static bool limits_are_valid(const struct group *parent, const struct k_group_limits *limits)
{
	/* A reserve can only be handed on by who has it. */
	return !(limits->flags & ~K_GROUP_RESERVE) && limits->cpu_weight <= 65536 &&
	       (!(limits->flags & K_GROUP_RESERVE) || !parent || group_has_reserve(parent));
}

k_status_t group_create(struct group *parent, const struct k_group_limits *limits,
			struct group **out)
{
	struct group *group;
	k_status_t st;

	if (!limits_are_valid(parent, limits))
		return K_ERR_BAD_ARGUMENT;
	if (parent->depth + 1 >= GROUP_DEPTH_MAX)
		return K_ERR_LIMIT;
	group = group_alloc(parent);
	if (!group)
		return K_ERR_NO_MEMORY;
	st = object_init(&group->object, K_TYPE_GROUP, parent, sizeof(*group));
	if (st != K_OK) {
		kfree(group);
		return st;
	}
	object_get(&parent->object);	/* for group->parent, which outlives the object */
	set_limits(group, limits);
	*out = group;
	return K_OK;
}

k_status_t group_set_limits(struct group *group, const struct k_group_limits *limits)
{
	if (!limits_are_valid(group->parent, limits))
		return K_ERR_BAD_ARGUMENT;
	set_limits(group, limits);
	return K_OK;
}

void group_destroy(struct object *object)
{
	struct group *group = container_of(object, struct group, object);
	struct bell *bell;

	spin_lock(&watch_lock);
	bell = group->bell;
	group->bell = NULL;
	list_remove(&group->watch_link);
	if (bell)
		update_marks();
	spin_unlock(&watch_lock);
	if (bell)
		object_put_deferred(&bell->object);
	free_if_unused(group, 1);
}

void group_start(void)
{
	static const struct k_group_limits none = { .flags = K_GROUP_RESERVE };

	root_group = group_alloc(NULL);
	if (!root_group || object_init(&root_group->object, K_TYPE_GROUP, NULL, 0) != K_OK)
		panic("no memory for the root group");
	set_limits(root_group, &none);
}

/* -- charging ------------------------------------------------------------------------- */

/* One counter of one group. */
struct counter {
	size_t value, limit;		/* offsets in struct group */
};

static const struct counter thread_counter = { offsetof(struct group, threads),
					       offsetof(struct group, thread_limit) };
static const struct counter handle_counter = { offsetof(struct group, handles),
					       offsetof(struct group, handle_limit) };

static _Atomic(uint64_t) *field(struct group *group, size_t offset)
{
	return (_Atomic(uint64_t) *)((char *)group + offset);
}

static void uncharge(struct group *group, const struct counter *c, uint64_t count,
		     const struct group *end)
{
	for (; group != end; group = group->parent) {
		uint64_t old = atomic_fetch_sub_explicit(field(group, c->value), count,
							 memory_order_relaxed);

		kassert_checks(old >= count);
	}
}

static bool charge(struct group *group, const struct counter *c, uint64_t count)
{
	struct group *g;

	for (g = group; g; g = g->parent) {
		uint64_t value = atomic_fetch_add_explicit(field(g, c->value), count,
							   memory_order_relaxed) + count;
		uint64_t limit = atomic_load_explicit(field(g, c->limit), memory_order_relaxed);

		if (limit && value > limit) {
			uncharge(group, c, count, g->parent);
			return false;
		}
	}
	return true;
}

bool group_charge_threads(struct group *group, uint64_t count)
{
	return charge(group, &thread_counter, count);
}

void group_uncharge_threads(struct group *group, uint64_t count)
{
	uncharge(group, &thread_counter, count, NULL);
}

bool group_charge_handles(struct group *group, uint64_t count)
{
	return charge(group, &handle_counter, count);
}

void group_uncharge_handles(struct group *group, uint64_t count)
{
	uncharge(group, &handle_counter, count, NULL);
}

static void uncharge_memory(struct group *group, uint64_t bytes, const struct group *end)
{
	for (; group != end; group = group->parent) {
		uint64_t old = atomic_fetch_sub_explicit(&group->memory, bytes,
							 memory_order_relaxed);

		kassert_checks(old >= bytes);
	}
}

bool group_charge_bytes(struct group *group, uint64_t bytes)
{
	struct group *g;

	for (g = group; g; g = g->parent) {
		uint64_t value = atomic_fetch_add_explicit(&g->memory, bytes,
							   memory_order_relaxed) + bytes;
		uint64_t limit = atomic_load_explicit(&g->memory_limit, memory_order_relaxed);

		if (limit && value > limit) {
			uncharge_memory(group, bytes, g->parent);
			return false;
		}
	}
	/* What follows are statistics and hints: it need not be exact. */
	for (g = group; g; g = g->parent) {
		uint64_t value = atomic_load_explicit(&g->memory, memory_order_relaxed);

		if (unlikely(is_near_limit(g, value)) && mark_of(g) &&
		    !atomic_exchange_explicit(&g->near_limit, true, memory_order_relaxed))
			memory_is_low();
		/* Two at a time may leave the lower value: it is a statistic. */
		if (value > atomic_load_explicit(&g->peak, memory_order_relaxed))
			atomic_store_explicit(&g->peak, value, memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&group->users, bytes, memory_order_relaxed);
	return true;
}

void group_uncharge_bytes(struct group *group, uint64_t bytes)
{
	if (!bytes)
		return;
	uncharge_memory(group, bytes, NULL);
	free_if_unused(group, bytes);
}

bool group_has_reserve(const struct group *group)
{
	return atomic_load_explicit(&group->flags, memory_order_relaxed) & K_GROUP_RESERVE;
}

void group_read(struct group *group, struct k_group_info *info)
{
	*info = (struct k_group_info){
		.memory_bytes = atomic_load_explicit(&group->memory, memory_order_relaxed),
		.peak_memory_bytes = atomic_load_explicit(&group->peak, memory_order_relaxed),
		.threads = atomic_load_explicit(&group->threads, memory_order_relaxed),
		.handles = atomic_load_explicit(&group->handles, memory_order_relaxed),
		.limits = {
			.memory_bytes = atomic_load_explicit(&group->memory_limit,
							     memory_order_relaxed),
			.threads = atomic_load_explicit(&group->thread_limit, memory_order_relaxed),
			.handles = atomic_load_explicit(&group->handle_limit, memory_order_relaxed),
			.low_memory_bytes = mark_of(group),
			.cpu_weight = atomic_load_explicit(&group->cpu_weight,
							   memory_order_relaxed),
			.flags = atomic_load_explicit(&group->flags, memory_order_relaxed),
		},
	};
}
