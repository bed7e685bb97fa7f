/* SPDX-License-Identifier: MIT */
/*
 * Calls on address spaces: handles and rights become objects and limits here; the
 * rest is kernel/mm.
 */

#include "kernel/shootdown.h"
#include "kernel/space.h"

#include "base/string.h"
#include "kernel/backing.h"
#include "kernel/fault.h"
#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/kmem.h"
#include "kernel/memory.h"
#include "kernel/process.h"
#include "kernel/thread.h"

#define CHUNK	K_PAGE_SIZE		/* bytes copied at a time through kernel memory */

k_status_t kcall_space_create(struct thread *self, struct group *group, uint32_t flags,
			      struct new_handle *space)
{
	struct process *process = self->process;
	struct space *fresh;
	/* A personality that is a process appears in the spaces of its programs. */
	struct space *owner = flags & K_SPACE_PROGRAM ? process->space : NULL;
	k_status_t st = space_create(group, flags, owner, &fresh);

	if (st == K_OK)
		space->object = &fresh->object;
	return st;
}

k_status_t kcall_space_clone(struct thread *self, struct space *space, struct new_handle *copy)
{
	struct space *fresh;
	k_status_t st;

	/* What a process runs on itself cannot be forked: its slot would be shared. */
	if (!(space->flags & K_SPACE_PROGRAM))
		return K_ERR_BAD_ARGUMENT;
	st = space_clone(space, &fresh);
	if (st == K_OK)
		copy->object = &fresh->object;
	return st;
}

/* The object that @map names, with a reference, and what its rights let a mapping do. */
static k_status_t mapped_object(struct thread *self, const struct k_map *map,
				struct object **object, uint32_t *allowed)
{
	k_handle_t handle = map->backing ? map->backing : map->memory;
	uint32_t rights;
	k_status_t st;

	*allowed = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC;
	*object = NULL;
	if (map->backing && map->memory)
		return K_ERR_BAD_ARGUMENT;
	if (!handle)
		return K_OK;
	st = handle_get_rights(self->process, handle, object, &rights);
	if (st != K_OK)
		return st;
	if ((*object)->type != (map->backing ? K_TYPE_BACKING : K_TYPE_MEMORY))
		st = K_ERR_WRONG_TYPE;
	else if ((rights & (K_RIGHT_MAP | K_RIGHT_READ)) != (K_RIGHT_MAP | K_RIGHT_READ))
		st = K_ERR_NO_RIGHT;
	if (!(rights & K_RIGHT_EXECUTE))
		*allowed &= ~K_PROT_EXEC;
	/* A private mapping is written to in copies. */
	if (!(rights & K_RIGHT_WRITE) && (map->flags & K_MAP_SHARED))
		*allowed &= ~K_PROT_WRITE;
	if (st != K_OK)
		object_put(*object);
	return st;
}

k_status_t kcall_space_map(struct thread *self, struct space *space, struct k_map *map)
{
	struct backing *backing = NULL;
	struct memory *memory = NULL;
	struct object *object;
	uint32_t allowed;
	k_status_t st;

	if (!space)
		return K_ERR_BAD_ARGUMENT;
	st = mapped_object(self, map, &object, &allowed);
	if (st != K_OK)
		return st;
	if (object && map->backing)
		backing = container_of(object, struct backing, object);
	else if (object)
		memory = container_of(object, struct memory, object);
	map->max_prot &= allowed;
	st = space_map(space, map, memory, backing);
	map->reap = reap_list_waits(self->process->reap);
	if (object)
		object_put(object);
	return st;
}

k_status_t kcall_space_unmap(struct thread *self, struct space *space, uint64_t addr,
			     uint64_t length, uint64_t *reap)
{
	k_status_t st = space ? space_unmap(space, addr, length) : K_ERR_BAD_ARGUMENT;

	*reap = reap_list_waits(self->process->reap);
	return st;
}

k_status_t kcall_space_protect(struct thread *self, struct space *space, uint64_t addr,
			       uint64_t length, uint32_t prot)
{
	return space ? space_protect(space, addr, length, prot) : K_ERR_BAD_ARGUMENT;
}

k_status_t kcall_space_barrier(struct thread *self, struct space *space, uint32_t everywhere)
{
	if (!space && !everywhere)
		return K_ERR_BAD_ARGUMENT;
	tlb_barrier(everywhere ? NULL : space);
	return K_OK;
}

k_status_t kcall_space_move(struct thread *self, struct space *space, struct k_move *move)
{
	k_status_t st = space_move(space, move);

	move->reap = reap_list_waits(self->process->reap);
	return st;
}

k_status_t kcall_space_query(struct thread *self, struct space *space, uint64_t addr,
			     uint32_t flags, struct k_region *region)
{
	if (!space || (flags & ~K_QUERY_PAGES))
		return K_ERR_BAD_ARGUMENT;
	return space_query(space, addr, flags, region);
}

k_status_t kcall_space_advise(struct thread *self, struct space *space, uint64_t addr,
			      uint64_t length, uint32_t advice)
{
	return space ? space_advise(space, addr, length, advice) : K_ERR_BAD_ARGUMENT;
}

k_status_t kcall_space_read(struct thread *self, struct space *space, uint64_t addr,
			    const struct kbytes *data, uint64_t *done)
{
	k_status_t st = K_OK;
	void *buffer;

	*done = 0;
	if (!data->user)
		return space_read(space, addr, (void *)(uintptr_t)data->addr, data->length, done);
	buffer = kmalloc(CHUNK);
	if (!buffer)
		return K_ERR_NO_MEMORY;
	while (st == K_OK && *done < data->length) {
		uint64_t n = MIN(data->length - *done, (uint64_t)CHUNK), got;

		st = space_read(space, addr + *done, buffer, n, &got);
		if (!kbytes_write(data, *done, buffer, got))
			st = K_ERR_BAD_ADDRESS;
		else
			*done += got;
	}
	kfree(buffer);
	return st;
}

k_status_t kcall_space_write(struct thread *self, struct space *space, uint64_t addr,
			     const struct kbytes *data, uint64_t *done)
{
	k_status_t st = K_OK;
	void *buffer;

	*done = 0;
	if (!data->user)
		return space_write(space, addr, (void *)(uintptr_t)data->addr, data->length, done);
	buffer = kmalloc(CHUNK);
	if (!buffer)
		return K_ERR_NO_MEMORY;
	while (st == K_OK && *done < data->length) {
		uint64_t n = MIN(data->length - *done, (uint64_t)CHUNK), got = 0;

		if (!kbytes_read(data, *done, buffer, n))
			st = K_ERR_BAD_ADDRESS;
		else
			st = space_write(space, addr + *done, buffer, n, &got);
		*done += got;
	}
	kfree(buffer);
	return st;
}

k_status_t kcall_space_info(struct thread *self, struct space *space, struct k_space_info *info)
{
	if (!space)
		return K_ERR_BAD_ARGUMENT;
	space_info(space, info);
	return K_OK;
}

k_status_t kcall_space_resident(struct thread *self, struct space *space, uint64_t addr,
				uint64_t length, const struct kbytes *map)
{
	uint8_t buffer[256];
	k_status_t st = K_OK;

	for (uint64_t done = 0; st == K_OK && done < map->length && length;) {
		uint64_t pages = MIN(map->length - done, (uint64_t)sizeof(buffer));
		uint64_t bytes = MIN(length, pages << K_PAGE_SHIFT);

		pages = (bytes + K_PAGE_SIZE - 1) >> K_PAGE_SHIFT;
		st = space_resident(space, addr, bytes, buffer);
		if (st == K_OK && !kbytes_write(map, done, buffer, pages))
			st = K_ERR_BAD_ADDRESS;
		done += pages;
		addr += bytes;
		length -= bytes;
	}
	return st != K_OK ? st : length ? K_ERR_BAD_ARGUMENT : K_OK;
}

k_status_t kcall_space_fault(struct thread *self, struct space *space, uint64_t addr,
			     uint32_t access, struct k_fault *fault)
{
	if (!space)
		return K_ERR_BAD_ARGUMENT;
	return fault_handle(space, addr, access, fault);
}
