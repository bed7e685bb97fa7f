/* SPDX-License-Identifier: MIT */
/*
 * Handle tables (theory in kernel/handle.h).
 *
 * Invariants, checked where the table's lock is about to drop:
 *
 *   (1) free_count + used == size, reserved <= free_count.
 *   (2) A slot with an object, or lifted, is used; the others are on the free list,
 *       each once.
 *   (3) used + reserved handles are charged to the process's group.
 *
 * A slot is written under the table's lock and its shard's; so either is enough to
 * read it.  The free list is a queue: a slot rests as long as possible, which makes
 * the use of a handle after its closing likely to be noticed.
 */

#include "kernel/handle.h"

#include "base/string.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/panic.h"
#include "kernel/process.h"

struct handle_slot {
	struct object *object;		/* NULL: free; holds a reference and a name */
	uint16_t rights;
	uint16_t generation;		/* HANDLE_INDEX_BITS leave 12 bits */
	uint32_t next;			/* free: index + 1 of the next, 0: last; or SLOT_LIFTED:
					 * used, but the object is with handle_lift()'s caller */
};

#define SLOT_LIFTED UINT32_MAX

struct handle_chunk {
	struct handle_slot slot[HANDLE_CHUNK];
};

struct handle_leaf {
	_Atomic(struct handle_chunk *) chunk[HANDLE_LEAF];	/* set once */
};

#define GENERATIONS	(1u << (32 - HANDLE_INDEX_BITS))

static void check_table(const struct handle_table *table)
{
	assert_spin_held(&table->lock);
	kassert_checks(table->free_count + table->used == table->size);
	kassert_checks(table->reserved <= table->free_count);
	kassert_checks(!table->free_first == !table->free_count);
}

static struct spinlock *shard_of(struct handle_table *table, uint32_t index)
{
	return &table->shard[index % HANDLE_SHARDS];
}

/* The slot with @index, or NULL if there is none.  No lock needed. */
static struct handle_slot *slot_at(struct handle_table *table, uint32_t index)
{
	uint32_t chunk_index = index / HANDLE_CHUNK;
	struct handle_leaf *leaf;
	struct handle_chunk *chunk;

	if (index >= HANDLE_MAX)
		return NULL;
	/* acquire, twice: pairs with the release in add_chunk */
	leaf = atomic_load_explicit(&table->leaves[chunk_index / HANDLE_LEAF],
				    memory_order_acquire);
	if (!leaf)
		return NULL;
	chunk = atomic_load_explicit(&leaf->chunk[chunk_index % HANDLE_LEAF],
				     memory_order_acquire);
	return chunk ? &chunk->slot[index % HANDLE_CHUNK] : NULL;
}

static uint32_t index_of(k_handle_t handle)
{
	return (handle & HANDLE_MAX) - 1;	/* 0 gives an index that no table has */
}

static k_handle_t handle_of(uint32_t index, const struct handle_slot *slot)
{
	return ((uint32_t)slot->generation << HANDLE_INDEX_BITS) | (index + 1);
}

/* The used slot that @handle names; table->lock or the shard's lock held. */
static struct handle_slot *find(struct handle_table *table, k_handle_t handle)
{
	uint32_t index = index_of(handle);
	struct handle_slot *slot = slot_at(table, index);

	if (!slot || !slot->object || handle_of(index, slot) != handle)
		return NULL;
	return slot;
}

/* -- free slots ---------------------------------------------------------------------- */

static void push_free(struct handle_table *table, uint32_t index, struct handle_slot *slot)
{
	slot->next = 0;
	if (table->free_last)
		slot_at(table, table->free_last - 1)->next = index + 1;
	else
		table->free_first = index + 1;
	table->free_last = index + 1;
	table->free_count++;
}

static uint32_t pop_free(struct handle_table *table, struct handle_slot **slot)
{
	uint32_t index = table->free_first - 1;

	*slot = slot_at(table, index);
	table->free_first = (*slot)->next;
	if (!table->free_first)
		table->free_last = 0;
	table->free_count--;
	return index;
}

/* HANDLE_CHUNK slots more. */
static k_status_t add_chunk(struct process *process)
{
	struct handle_table *table = &process->handles;
	uint32_t first = table->size, chunk_index = first / HANDLE_CHUNK;
	struct handle_leaf *leaf;
	struct handle_chunk *chunk;

	/* The last chunk is not used: HANDLE_MAX is no multiple of it. */
	if (first + HANDLE_CHUNK > HANDLE_MAX)
		return K_ERR_LIMIT;
	leaf = atomic_load_explicit(&table->leaves[chunk_index / HANDLE_LEAF],
				    memory_order_relaxed);
	if (!leaf) {
		leaf = kzalloc(sizeof(*leaf));
		if (!leaf)
			return K_ERR_NO_MEMORY;
		atomic_store_explicit(&table->leaves[chunk_index / HANDLE_LEAF], leaf,
				      memory_order_release);
	}
	if (process->object.group && !group_charge_bytes(process->object.group, sizeof(*chunk)))
		return K_ERR_NO_MEMORY;
	chunk = kzalloc(sizeof(*chunk));
	if (!chunk) {
		if (process->object.group)
			group_uncharge_bytes(process->object.group, sizeof(*chunk));
		return K_ERR_NO_MEMORY;
	}
	atomic_store_explicit(&leaf->chunk[chunk_index % HANDLE_LEAF], chunk, memory_order_release);
	table->size += HANDLE_CHUNK;
	for (uint32_t i = 0; i < HANDLE_CHUNK; i++)
		push_free(table, first + i, &chunk->slot[i]);
	return K_OK;
}

static void uncharge(struct process *process, uint32_t count)
{
	if (process->object.group)
		group_uncharge_handles(process->object.group, count);
}

k_status_t handle_reserve(struct process *process, uint32_t count)
{
	struct handle_table *table = &process->handles;
	k_status_t st = K_OK;

	if (process->object.group && !group_charge_handles(process->object.group, count))
		return K_ERR_LIMIT;
	spin_lock(&table->lock);
	while (st == K_OK && table->free_count - table->reserved < count)
		st = add_chunk(process);
	if (st == K_OK)
		table->reserved += count;
	check_table(table);
	spin_unlock(&table->lock);
	if (st != K_OK)
		uncharge(process, count);
	return st;
}

void handle_unreserve(struct process *process, uint32_t count)
{
	struct handle_table *table = &process->handles;

	spin_lock(&table->lock);
	kassert_checks(table->reserved >= count);
	table->reserved -= count;
	spin_unlock(&table->lock);
	uncharge(process, count);
}

/* -- making and taking handles -------------------------------------------------------- */

k_handle_t handle_install_named(struct process *process, struct object *object, uint32_t rights)
{
	struct handle_table *table = &process->handles;
	uint32_t valid = object_types[object->type].rights;
	struct handle_slot *slot;
	k_handle_t handle;
	uint32_t index;

	spin_lock(&table->lock);
	if (table->closed) {
		spin_unlock(&table->lock);
		handle_unreserve(process, 1);
		object_name_put(object);
		return K_HANDLE_NONE;
	}
	kassert_checks(table->reserved > 0);
	table->reserved--;
	table->used++;
	index = pop_free(table, &slot);
	spin_lock_nested(shard_of(table, index));
	slot->object = object;
	slot->rights = (uint16_t)(rights ? rights & valid : valid);
	handle = handle_of(index, slot);
	spin_unlock(shard_of(table, index));
	check_table(table);
	spin_unlock(&table->lock);
	return handle;
}

k_handle_t handle_install(struct process *process, struct object *object, uint32_t rights)
{
	atomic_fetch_add_explicit(&object->handles, 1, memory_order_relaxed);
	return handle_install_named(process, object, rights);
}

k_status_t handle_create(struct process *process, struct object *object, uint32_t rights,
			 k_handle_t *handle)
{
	k_status_t st = handle_reserve(process, 1);

	if (st == K_OK)
		*handle = handle_install(process, object, rights);
	return st;
}

/* Empty @slot; its object goes to the caller. */
static struct object *empty_slot(struct handle_table *table, uint32_t index,
				 struct handle_slot *slot)
{
	struct object *object = slot->object;

	spin_lock_nested(shard_of(table, index));
	slot->object = NULL;
	slot->generation = (uint16_t)((slot->generation + 1) % GENERATIONS);
	spin_unlock(shard_of(table, index));
	table->used--;
	push_free(table, index, slot);
	return object;
}

/* The slot of @handle if that has the rights @need; table locked. */
static k_status_t find_with_rights(struct handle_table *table, k_handle_t handle, uint32_t need,
				   struct handle_slot **slot)
{
	*slot = find(table, handle);
	if (!*slot)
		return K_ERR_BAD_HANDLE;
	return ((*slot)->rights & need) == need ? K_OK : K_ERR_NO_RIGHT;
}

k_status_t handle_take(struct process *process, k_handle_t handle, uint32_t need,
		       struct object **object, uint32_t *rights)
{
	struct handle_table *table = &process->handles;
	struct handle_slot *slot;
	k_status_t st;

	spin_lock(&table->lock);
	st = find_with_rights(table, handle, need, &slot);
	if (st == K_OK) {
		*rights = slot->rights;
		*object = empty_slot(table, index_of(handle), slot);
	}
	check_table(table);
	spin_unlock(&table->lock);
	if (st == K_OK)
		uncharge(process, 1);
	return st;
}

k_status_t handle_lift(struct process *process, k_handle_t handle, uint32_t need,
		       struct object **object, uint32_t *rights)
{
	struct handle_table *table = &process->handles;
	uint32_t index = index_of(handle);
	struct handle_slot *slot;
	k_status_t st;

	spin_lock(&table->lock);
	st = find_with_rights(table, handle, need, &slot);
	if (st == K_OK) {
		*object = slot->object;
		*rights = slot->rights;
		spin_lock_nested(shard_of(table, index));
		slot->object = NULL;
		slot->next = SLOT_LIFTED;
		spin_unlock(shard_of(table, index));
	}
	spin_unlock(&table->lock);
	return st;
}

void handle_lower(struct process *process, k_handle_t handle, struct object *object)
{
	struct handle_table *table = &process->handles;
	uint32_t index = index_of(handle);
	struct handle_slot *slot = slot_at(table, index);

	spin_lock(&table->lock);
	kassert_checks(slot->next == SLOT_LIFTED);
	spin_lock_nested(shard_of(table, index));
	slot->next = 0;
	slot->object = object;
	if (!object)
		slot->generation = (uint16_t)((slot->generation + 1) % GENERATIONS);
	spin_unlock(shard_of(table, index));
	if (!object) {
		table->used--;
		push_free(table, index, slot);
	}
	check_table(table);
	spin_unlock(&table->lock);
	if (!object)
		uncharge(process, 1);
}

k_status_t handle_close(struct process *process, k_handle_t handle)
{
	struct object *object;
	uint32_t rights;
	k_status_t st = handle_take(process, handle, 0, &object, &rights);

	if (st == K_OK)
		object_name_put(object);
	return st;
}

/* -- looking up -------------------------------------------------------------------------- */

k_status_t handle_get_rights(struct process *process, k_handle_t handle, struct object **object,
			     uint32_t *rights)
{
	struct handle_table *table = &process->handles;
	struct spinlock *shard = shard_of(table, index_of(handle));
	struct handle_slot *slot;

	spin_lock(shard);
	slot = find(table, handle);
	if (slot) {
		*object = slot->object;
		*rights = slot->rights;
		object_get(slot->object);
	}
	spin_unlock(shard);
	return slot ? K_OK : K_ERR_BAD_HANDLE;
}

k_status_t handle_get(struct process *process, k_handle_t handle, enum k_type type,
		      uint32_t rights, struct object **object)
{
	struct handle_table *table = &process->handles;
	struct spinlock *shard = shard_of(table, index_of(handle));
	struct handle_slot *slot;
	k_status_t st = K_OK;

	spin_lock(shard);
	slot = find(table, handle);
	if (!slot) {
		st = K_ERR_BAD_HANDLE;
	} else if (type != K_TYPE_NONE && slot->object->type != type) {
		st = K_ERR_WRONG_TYPE;
	} else if ((slot->rights & rights) != rights) {
		st = K_ERR_NO_RIGHT;
	} else {
		*object = slot->object;
		object_get(slot->object);
	}
	spin_unlock(shard);
	return st;
}

void object_describe(struct object *object, struct k_handle_info *info)
{
	const struct object_type *type = &object_types[object->type];

	info->type = object->type;
	info->koid = object->koid;
	info->related = type->related ? type->related(object) : 0;
	if (type->object_name)
		strlcpy(info->name, type->object_name(object), sizeof(info->name));
}

bool handle_next(struct process *process, uint32_t *cursor, struct k_handle_info *info)
{
	struct handle_table *table = &process->handles;

	for (uint32_t index = *cursor; index < READ_ONCE(table->size); index++) {
		struct handle_slot *slot = slot_at(table, index);
		struct object *object;

		spin_lock(shard_of(table, index));
		object = slot->object;
		if (object) {
			*info = (struct k_handle_info){ .handle = handle_of(index, slot),
							.rights = slot->rights };
			object_get(object);
		}
		spin_unlock(shard_of(table, index));
		if (object) {
			object_describe(object, info);
			object_put(object);
			*cursor = index + 1;
			return true;
		}
	}
	return false;
}

/* -- life of the table ----------------------------------------------------------------- */

void handle_table_init(struct handle_table *table)
{
	memset(table, 0, sizeof(*table));
	spinlock_init(&table->lock, LOCK_HANDLES);
	for (unsigned int i = 0; i < HANDLE_SHARDS; i++)
		spinlock_init(&table->shard[i], LOCK_HANDLES);
}

void handle_table_close(struct process *process)
{
	struct handle_table *table = &process->handles;

	for (uint32_t index = 0;; index++) {
		struct object *object = NULL;
		struct handle_slot *slot;

		spin_lock(&table->lock);
		table->closed = true;
		if (index >= table->size) {
			spin_unlock(&table->lock);
			return;
		}
		slot = slot_at(table, index);
		if (slot->object)
			object = empty_slot(table, index, slot);
		check_table(table);
		spin_unlock(&table->lock);
		if (object) {
			uncharge(process, 1);
			object_name_put(object);
		}
	}
}

void handle_table_destroy(struct process *process)
{
	struct handle_table *table = &process->handles;

	kassert_checks(!table->used && !table->reserved);
	if (process->object.group)
		group_uncharge_bytes(process->object.group, (uint64_t)table->size / HANDLE_CHUNK *
							    sizeof(struct handle_chunk));
	for (unsigned int i = 0; i < HANDLE_LEAVES; i++) {
		struct handle_leaf *leaf = table->leaves[i];

		if (!leaf)
			continue;
		for (unsigned int j = 0; j < HANDLE_LEAF; j++)
			kfree(leaf->chunk[j]);
		kfree(leaf);
	}
}
