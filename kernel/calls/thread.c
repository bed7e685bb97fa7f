/* SPDX-License-Identifier: MIT */
/*
 * Calls on threads, and running programs.
 */

#include "arch/thread.h"
#include "arch/user.h"
#include "base/string.h"
#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/kmem.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/ucopy.h"
#include "thread_priv.h"

/* Where code of a process can be: its half, or the slot of personalities.  Anything else
 * could be an address that the processor refuses while it still runs kernel code. */
static bool is_code_address(uint64_t addr)
{
	return addr < K_PROGRAM_MAX || addr - K_PERSONALITY_BASE < K_PERSONALITY_SIZE;
}

/*
 * Whether threads of @process may run programs in @space.  A program space that a
 * personality process made shows that personality's memory to whoever runs on it, and
 * refers to its tables: it is for that process alone.
 */
static bool may_use_space(struct process *process, const struct space *space)
{
	if (!(space->flags & K_SPACE_PROGRAM))
		return false;
	return space->slot_owner == (process->in_kernel ? NULL : process->space);
}

k_status_t thread_params_decode(struct thread *self, struct process *process,
				const struct k_thread_start *start, struct thread_params *params,
				struct process_start *process_start)
{
	struct object *object;
	k_status_t st;

	if ((start->flags & ~(K_THREAD_INHERIT_FPU | K_THREAD_INHERIT_SCHED)) ||
	    !name_is_valid(start->name, sizeof(start->name)))
		return K_ERR_BAD_ARGUMENT;
	*params = (struct thread_params){
		.name = start->name,
		.arg = start->arg,
		.inherit_fpu = start->flags & K_THREAD_INHERIT_FPU ? self : NULL,
		.inherit_sched = start->flags & K_THREAD_INHERIT_SCHED,
	};
	if (process->in_kernel) {
		/* Only code inside the kernel image has such a process to name: it is trusted. */
		if (process != self->process)
			return K_ERR_BAD_ARGUMENT;
		params->fn = (void (*)(uint64_t))(uintptr_t)start->entry;
		params->runs_programs = true;
	} else {
		/* An entry of 0 would mean kernel code to thread_create(). */
		if (!start->entry || !is_code_address(start->entry) ||
		    !is_code_address(start->stack_top))
			return K_ERR_BAD_ARGUMENT;
		params->user_entry = start->entry;
		params->user_stack = start->stack_top;
		params->runs_programs = start->frame != 0;
	}
	process_start->frame_address = start->frame;
	process_start->space = NULL;
	if (start->space == K_HANDLE_NONE)
		return K_OK;
	st = handle_get(self->process, start->space, K_TYPE_SPACE, K_RIGHT_MAP, &object);
	if (st != K_OK)
		return st;
	process_start->space = container_of(object, struct space, object);
	if (!may_use_space(process, process_start->space)) {
		object_put(object);
		return K_ERR_BAD_ARGUMENT;
	}
	return K_OK;
}

void thread_params_done(struct process_start *process_start)
{
	if (process_start->space)
		object_put(&process_start->space->object);
}

/* Only now: what the thread does first may be to look for its handle. */
static void start_object(struct object *object)
{
	thread_start(container_of(object, struct thread, object));
}

k_status_t kcall_thread_create(struct thread *self, struct process *process,
			       const struct k_thread_start *start, struct new_handle *thread)
{
	struct process_start process_start = { 0 };
	struct thread_params params;
	struct thread *fresh;
	k_status_t st;

	st = thread_params_decode(self, process, start, &params, &process_start);
	if (st != K_OK)
		return st;
	st = process_make_thread(process, &params, &process_start, &fresh);
	thread_params_done(&process_start);
	if (st == K_OK) {
		thread->object = &fresh->object;
		thread->installed = start_object;
	}
	return st;
}

void kcall_thread_exit(struct thread *self)
{
	thread_exit();
}

k_status_t kcall_thread_kick(struct thread *self, struct thread *thread)
{
	thread_kick(thread);
	return K_OK;
}

k_status_t kcall_thread_use_space(struct thread *self, struct space *space)
{
	struct space *old = self->space;

	/* The null handle means none here, as for the thread's start, not the caller's own. */
	if (space == self->own_space)
		space = NULL;
	if (space && !may_use_space(self->process, space))
		return K_ERR_BAD_ARGUMENT;
	if (space == old)
		return K_OK;
	if (space)
		object_get(&space->object);
	self->space = space;
	/* A personality process stays visible beside its program. */
	thread_set_run_space(space ? space : self->own_space, space && !self->process->in_kernel);
	if (old)
		object_put(&old->object);
	return K_OK;
}

/* -- the state of programs ------------------------------------------------------------------ */

#define STATE_MAX (16u << 10)

/* A thread's frame is the kernel's, or lies in its process's memory: then only that
 * process, which has the same memory before it, is served. */
static bool frame_is_near(const struct thread *self, const struct thread *thread)
{
	return thread->frame_address && thread->process_koid == self->process_koid &&
	       self->process->space;
}

static k_status_t frame_read(struct thread *self, struct thread *thread, struct k_user_frame *frame)
{
	uint64_t done;

	if (thread->user_frame) {
		*frame = *thread->user_frame;
		return K_OK;
	}
	if (!frame_is_near(self, thread))
		return K_ERR_BAD_STATE;
	return space_read(self->process->space, thread->frame_address, frame, sizeof(*frame),
			  &done) == K_OK ? K_OK : K_ERR_BAD_STATE;
}

static k_status_t frame_write(struct thread *self, struct thread *thread,
			      const struct k_user_frame *frame)
{
	uint64_t done;

	if (thread->user_frame) {
		*thread->user_frame = *frame;
		return K_OK;
	}
	if (!frame_is_near(self, thread))
		return K_ERR_BAD_STATE;
	return space_write(self->process->space, thread->frame_address, frame, sizeof(*frame),
			   &done) == K_OK ? K_OK : K_ERR_BAD_STATE;
}

/* Whether K_STATE_XSAVE_PROGRAM can be asked for: the address is the program's in both placements. */
static k_status_t check_program_state(struct thread *self, struct thread *thread,
				      const struct kbytes *state)
{
	if (thread != self)
		return K_ERR_BAD_ARGUMENT;
	return user_range_ok(state->addr, state->length) ? K_OK : K_ERR_BAD_ADDRESS;
}

k_status_t kcall_thread_state_read(struct thread *self, struct thread *thread, uint32_t kind,
				   const struct kbytes *state, uint64_t *length)
{
	k_status_t st = K_OK;
	void *copy;

	*length = STATE_MAX;
	if (kind == K_STATE_FRAME) {
		struct k_user_frame frame;

		*length = sizeof(frame);
		if (state->length < *length)
			return K_ERR_TOO_BIG;
		st = frame_read(self, thread, &frame);
		if (st == K_OK && !kbytes_write(state, 0, &frame, *length))
			st = K_ERR_BAD_ADDRESS;
		return st;
	}
	if (kind == K_STATE_XSAVE_PROGRAM || kind == K_STATE_XSAVE_TAKE) {
		*length = state->length;
		st = check_program_state(self, thread, state);
		if (st != K_OK)
			return st;
		return arch_xsave_to_user(state->addr, length, kind == K_STATE_XSAVE_TAKE);
	}
	if (kind != K_STATE_XSAVE)
		return K_ERR_BAD_ARGUMENT;
	if (!state->user) {		/* no need for a copy that cannot fault */
		*length = state->length;
		return arch_thread_xsave_read(thread, (void *)(uintptr_t)state->addr, length);
	}
	copy = kzalloc(STATE_MAX);
	if (!copy)
		return K_ERR_NO_MEMORY;
	st = arch_thread_xsave_read(thread, copy, length);
	if (st == K_OK && state->length < *length)
		st = K_ERR_TOO_BIG;
	if (st == K_OK && !kbytes_write(state, 0, copy, *length))
		st = K_ERR_BAD_ADDRESS;
	kfree(copy);
	return st;
}

k_status_t kcall_thread_state_write(struct thread *self, struct thread *thread, uint32_t kind,
				    const struct kbytes *state)
{
	k_status_t st;
	void *copy;

	if (kind == K_STATE_FRAME) {
		struct k_user_frame frame;

		/* user_run() sanitises what it loads: any contents are fine. */
		if (state->length != sizeof(frame))
			return K_ERR_BAD_ARGUMENT;
		if (!kbytes_read(state, 0, &frame, sizeof(frame)))
			return K_ERR_BAD_ADDRESS;
		return frame_write(self, thread, &frame);
	}
	if (kind == K_STATE_XSAVE_PROGRAM) {
		st = check_program_state(self, thread, state);
		return st == K_OK ? arch_xsave_from_user(state->addr, state->length) : st;
	}
	if (kind == K_STATE_DEBUG) {
		struct k_debug_state debug;

		if (state->length != sizeof(debug))
			return K_ERR_BAD_ARGUMENT;
		if (!kbytes_read(state, 0, &debug, sizeof(debug)))
			return K_ERR_BAD_ADDRESS;
		return arch_thread_debug_write(thread, &debug);
	}
	if (kind != K_STATE_XSAVE)
		return K_ERR_BAD_ARGUMENT;
	if (!state->length) {
		arch_thread_xsave_reset(thread);
		return K_OK;
	}
	if (state->length > STATE_MAX)
		return K_ERR_TOO_BIG;
	if (!state->user)
		return arch_thread_xsave_write(thread, (void *)(uintptr_t)state->addr,
					       state->length);
	copy = kmalloc(state->length);
	if (!copy)
		return K_ERR_NO_MEMORY;
	st = kbytes_read(state, 0, copy, state->length)
		     ? arch_thread_xsave_write(thread, copy, state->length)
		     : K_ERR_BAD_ADDRESS;
	kfree(copy);
	return st;
}

k_status_t kcall_thread_sched(struct thread *self, struct thread *thread,
			      const struct k_sched *params)
{
	return sched_set(thread, params);
}

k_status_t kcall_thread_info(struct thread *self, struct thread *thread,
			     struct k_thread_info *info)
{
	thread_info(thread, info);
	return K_OK;
}

k_status_t kcall_thread_report_moves(struct thread *self, uint32_t on)
{
	/* Before anybody could miss a move: the caller reads its CPU when it was told of one. */
	self->report_moves = on;
	if (on)
		atomic_fetch_or_explicit(&self->pending, THREAD_MOVED, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&self->pending, ~THREAD_MOVED, memory_order_relaxed);
	return K_OK;
}

k_status_t kcall_thread_yield(struct thread *self)
{
	sched_yield();
	return K_OK;
}

/* The frame is somewhere in the caller's memory. */
static k_status_t __attribute__((noinline)) run_copied(uint64_t addr)
{
	struct k_user_frame frame;
	k_status_t st;

	if (caller_read(&frame, addr, sizeof(frame)) != K_OK)
		return K_ERR_BAD_ADDRESS;
	st = user_run_in_process(&frame);
	return caller_write(addr, &frame, sizeof(frame)) == K_OK ? st : K_ERR_BAD_ADDRESS;
}

k_status_t kcall_user_run(struct thread *self, uint64_t frame)
{
	if (unlikely(!self->space))
		return K_ERR_BAD_STATE;
	if (self->process->in_kernel)
		return user_run((struct k_user_frame *)(uintptr_t)frame);
	if (unlikely(!self->shared_frame || frame != self->frame_address))
		return run_copied(frame);
	return user_run_in_process(self->shared_frame);
}
