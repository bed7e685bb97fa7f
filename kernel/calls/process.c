/* SPDX-License-Identifier: MIT */
/*
 * Calls on processes.
 */

#include "base/string.h"
#include "kernel/bell.h"
#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/kmem.h"
#include "kernel/placement.h"
#include "kernel/process.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "thread_priv.h"

k_status_t kcall_process_create(struct thread *self, struct group *group,
				const struct kbytes *name, struct new_handle *process,
				struct new_handle *space)
{
	char text[sizeof(((struct process *)0)->name)];
	struct process *fresh;
	k_status_t st;

	st = kbytes_name(name, text, sizeof(text));
	if (st == K_OK)
		st = process_create(group, text, false, &fresh);
	if (st != K_OK)
		return st;
	process->object = &fresh->object;
	object_get(&fresh->space->object);
	space->object = &fresh->space->object;
	return K_OK;
}

/* Move @handle of @self into a reserved slot of @to.  @moved is its number there. */
static k_status_t move_handle(struct thread *self, k_handle_t handle, struct process *to,
			      k_handle_t *moved, struct object **object)
{
	uint32_t rights;
	k_status_t st = handle_lift(self->process, handle, K_RIGHT_TRANSFER, object, &rights);

	if (st != K_OK)
		return st;
	/* A name and a reference of its own, until it is certain that the old one goes. */
	object_name_get(*object);
	*moved = handle_install_named(to, *object, rights);
	return K_OK;
}

static k_status_t start_with_handle(struct thread *self, struct process *process,
				    struct thread_params *params,
				    const struct process_start *start, k_handle_t bootstrap)
{
	struct object *object = NULL;
	k_handle_t moved = K_HANDLE_NONE;
	k_status_t st;

	if (bootstrap != K_HANDLE_NONE) {
		st = handle_reserve(process, 1);
		if (st != K_OK)
			return st;
		st = move_handle(self, bootstrap, process, &moved, &object);
		if (st != K_OK) {
			handle_unreserve(process, 1);
			return st;
		}
		params->arg = moved;
	}
	st = process_start_thread(process, params, start);
	if (bootstrap == K_HANDLE_NONE)
		return st;
	if (st != K_OK) {
		(void)!handle_close(process, moved);
		handle_lower(self->process, bootstrap, object);
	} else {
		handle_lower(self->process, bootstrap, NULL);
		object_name_put(object);
	}
	return st;
}

k_status_t kcall_process_start(struct thread *self, struct process *process,
			       const struct k_thread_start *start, k_handle_t bootstrap)
{
	struct process_start process_start = { .first = true };
	struct thread_params params;
	k_status_t st;

	if (process->in_kernel)
		return K_ERR_BAD_STATE;
	st = thread_params_decode(self, process, start, &params, &process_start);
	if (st != K_OK)
		return st;
	st = start_with_handle(self, process, &params, &process_start, bootstrap);
	thread_params_done(&process_start);
	return st;
}

/* The personality's entry; absent from a kernel that was linked without one. */
extern void lx_main(k_handle_t bootstrap) __attribute__((weak));

static void personality_main(uint64_t bootstrap)
{
	lx_main((k_handle_t)bootstrap);
}

k_status_t kcall_personality_start(struct thread *self, struct object *power,
				   struct process *process, k_handle_t bootstrap)
{
	struct process_start start = { .first = true };
	struct thread_params params = { .name = process->name, .fn = personality_main,
					.runs_programs = true };
	k_status_t st;

	if (!lx_main)
		return K_ERR_NOT_SUPPORTED;
	start.frame = placement_frame_create();
	if (!start.frame)
		return K_ERR_NO_MEMORY;
	st = process_move_into_kernel(process);
	if (st == K_OK)
		st = start_with_handle(self, process, &params, &start, bootstrap);
	if (st != K_OK)
		kfree(start.frame);
	return st;
}

void kcall_process_exit(struct thread *self, uint32_t status)
{
	/* A process inside the kernel image cannot be ended; its threads can end themselves. */
	(void)!process_end(self->process, status);
	thread_exit();
}

k_status_t kcall_process_kill(struct thread *self, struct process *process, uint32_t status)
{
	return process_end(process, status);
}

k_status_t kcall_process_info(struct thread *self, struct process *process,
			      struct k_process_info *info)
{
	process_read(process, info);
	return K_OK;
}

k_status_t kcall_process_watch(struct thread *self, struct process *process, struct bell *bell,
			       uint64_t bits)
{
	return process_watch(process, bell, bits);
}

k_status_t kcall_process_fixups(struct thread *self, const struct kbytes *bytes)
{
	struct k_fixup fixups[K_FIXUPS_MAX];

	if (!bytes->length || bytes->length > sizeof(fixups) ||
	    bytes->length % sizeof(fixups[0]))
		return K_ERR_BAD_ARGUMENT;
	if (!kbytes_read(bytes, 0, fixups, bytes->length))
		return K_ERR_BAD_ADDRESS;
	return process_set_fixups(self->process, fixups,
				  (uint32_t)(bytes->length / sizeof(fixups[0])));
}

k_status_t kcall_process_threads(struct thread *self, struct process *process,
				 const struct kbytes *ids, uint64_t *count)
{
	return process_list_threads(process, ids, count);
}

k_status_t kcall_process_calls(struct thread *self, struct process *process,
			       const struct kbytes *counts, uint64_t *count)
{
	/* Only builds with checks count. */
	if (!CONFIG_CHECKS)
		return K_ERR_NOT_SUPPORTED;
	for (uint64_t i = 0; i < MIN(counts->length / sizeof(i), (uint64_t)K_CALL_COUNT); i++) {
		uint64_t made = atomic_load_explicit(&process->calls[i], memory_order_relaxed);

		if (!kbytes_write(counts, i * sizeof(made), &made, sizeof(made)))
			return K_ERR_BAD_ADDRESS;
	}
	*count = K_CALL_COUNT;
	return K_OK;
}
