/* SPDX-License-Identifier: MIT */
/*
 * Calls on memory objects and backings.
 */

#include "kernel/memory.h"

#include "kernel/backing.h"
#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "kernel/ucopy.h"

k_status_t kcall_memory_create(struct thread *self, struct group *group, uint64_t size,
			       uint32_t flags, struct new_handle *memory)
{
	struct memory *fresh;
	k_status_t st = memory_create(group, size, flags, &fresh);

	if (st == K_OK)
		memory->object = &fresh->object;
	return st;
}

k_status_t kcall_memory_slice(struct thread *self, struct memory *memory, uint64_t offset,
			      uint64_t length, struct new_handle *slice)
{
	struct memory *fresh;
	k_status_t st = memory_slice(memory, offset, length, &fresh);

	if (st == K_OK) {
		slice->object = &fresh->object;
		slice->rights = K_RIGHT_DUPLICATE | K_RIGHT_TRANSFER | K_RIGHT_READ |
				K_RIGHT_EXECUTE | K_RIGHT_MAP;
	}
	return st;
}

k_status_t kcall_memory_resize(struct thread *self, struct memory *memory, uint64_t size)
{
	return memory_resize(memory, size);
}

k_status_t kcall_memory_read(struct thread *self, struct memory *memory, uint64_t offset,
			     const struct kbytes *data, uint64_t *done)
{
	*done = 0;
	if (data->user && !caller_range_ok(data->addr, data->length))
		return K_ERR_BAD_ADDRESS;
	return memory_read(memory, offset, (void *)(uintptr_t)data->addr, data->length,
			   data->user, done);
}

k_status_t kcall_memory_write(struct thread *self, struct memory *memory, uint64_t offset,
			      const struct kbytes *data, uint64_t *done)
{
	*done = 0;
	if (data->user && !caller_range_ok(data->addr, data->length))
		return K_ERR_BAD_ADDRESS;
	return memory_write(memory, offset, (const void *)(uintptr_t)data->addr, data->length,
			    data->user, done);
}

k_status_t kcall_memory_supply(struct thread *self, struct memory *memory, uint64_t offset,
			       const struct kbytes *data)
{
	if (data->user && !caller_range_ok(data->addr, data->length))
		return K_ERR_BAD_ADDRESS;
	return memory_supply(memory, offset, (const void *)(uintptr_t)data->addr, data->length,
			     data->user);
}

k_status_t kcall_memory_discard(struct thread *self, struct memory *memory, uint64_t offset,
				uint64_t length)
{
	return memory_discard(memory, offset, length);
}

k_status_t kcall_memory_clean(struct thread *self, struct memory *memory, struct k_clean *clean)
{
	return memory_clean(memory, clean);
}

k_status_t kcall_memory_evict(struct thread *self, struct memory *memory, struct k_evict *evict)
{
	return memory_evict(memory, evict);
}

k_status_t kcall_memory_next(struct thread *self, struct memory *memory, uint64_t offset,
			     uint32_t what, uint64_t *found)
{
	*found = 0;
	return memory_next(memory, offset, what, found);
}

k_status_t kcall_memory_info(struct thread *self, struct memory *memory,
			     struct k_memory_info *info)
{
	memory_info(memory, info);
	return K_OK;
}

/* -- backings ----------------------------------------------------------------------------- */

#define PASSED_ON (K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_EXECUTE | K_RIGHT_MAP)

/* The handle is looked up here, because the backing has the rights that it has. */
k_status_t kcall_backing_create(struct thread *self, k_handle_t memory, uint64_t cookie,
				struct new_handle *backing)
{
	struct process *process = self->process;
	uint32_t rights = PASSED_ON;
	struct object *object = NULL;
	struct backing *fresh;
	k_status_t st = K_OK;

	if (memory)
		st = handle_get_rights(process, memory, &object, &rights);
	if (st != K_OK)
		return st;
	if (object && object->type != K_TYPE_MEMORY)
		st = K_ERR_WRONG_TYPE;
	else if (!(rights & K_RIGHT_READ))
		st = K_ERR_NO_RIGHT;
	else
		st = backing_create(process->reap, process->object.group,
				    object ? container_of(object, struct memory, object) : NULL,
				    cookie, &fresh);
	if (st == K_OK) {
		backing->object = &fresh->object;
		backing->rights = K_RIGHT_DUPLICATE | K_RIGHT_TRANSFER | (rights & PASSED_ON);
	}
	if (object)
		object_put(object);
	return st;
}

k_status_t kcall_backing_reap(struct thread *self, struct bell *bell, uint64_t bits,
			      const struct kbytes *cookies, uint64_t *count)
{
	struct reap_list *list = self->process->reap;
	uint64_t batch[32], room = cookies->length / sizeof(batch[0]), n;

	*count = 0;
	if (bell)
		backing_watch(list, bell, bits);
	/* What has been taken off the list is gone: look at the caller's memory first. */
	if (cookies->user && !caller_range_ok(cookies->addr, cookies->length))
		return K_ERR_BAD_ADDRESS;
	do {
		n = backing_reap(list, batch, MIN(room - *count, (uint64_t)ARRAY_SIZE(batch)));
		if (!kbytes_write(cookies, *count * sizeof(batch[0]), batch, n * sizeof(batch[0])))
			return K_ERR_BAD_ADDRESS;
		*count += n;
	} while (n == ARRAY_SIZE(batch) && *count < room);
	return K_OK;
}
