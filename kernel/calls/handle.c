/* SPDX-License-Identifier: MIT */
/*
 * Calls on handles.
 */

#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/process.h"
#include "kernel/thread.h"

k_status_t kcall_handle_close(struct thread *self, k_handle_t handle)
{
	return handle_close(self->process, handle);
}

k_status_t kcall_handle_duplicate(struct thread *self, k_handle_t handle, uint32_t rights,
				  struct new_handle *copy)
{
	struct object *object;
	uint32_t have;
	k_status_t st;

	if (!rights || rights & ~(K_RIGHTS_ALL | K_RIGHTS_SAME))
		return K_ERR_BAD_ARGUMENT;
	st = handle_get_rights(self->process, handle, &object, &have);
	if (st != K_OK)
		return st;
	if (rights & K_RIGHTS_SAME)
		rights = have;
	if (!(have & K_RIGHT_DUPLICATE) || (rights & ~have))
		st = K_ERR_NO_RIGHT;
	if (st != K_OK) {
		object_put(object);
		return st;
	}
	copy->object = object;
	copy->rights = rights;
	return K_OK;
}

k_status_t kcall_handle_info(struct thread *self, k_handle_t handle, struct k_handle_info *info)
{
	struct object *object;
	uint32_t rights;
	k_status_t st = handle_get_rights(self->process, handle, &object, &rights);

	if (st != K_OK)
		return st;
	*info = (struct k_handle_info){ .handle = handle, .rights = rights };
	object_describe(object, info);
	object_put(object);
	return K_OK;
}

k_status_t kcall_handle_list(struct thread *self, struct process *process,
			     const struct kbytes *infos, uint64_t *count)
{
	uint64_t room = infos->length / sizeof(struct k_handle_info);
	struct k_handle_info info;
	uint32_t cursor = 0;
	uint64_t n = 0;

	for (; handle_next(process, &cursor, &info); n++)
		if (n < room && !kbytes_write(infos, n * sizeof(info), &info, sizeof(info)))
			return K_ERR_BAD_ADDRESS;
	*count = n;
	return K_OK;
}
