/* SPDX-License-Identifier: MIT */
/*
 * The runtime of a personality that is linked into the kernel image: what lib/rt
 * promises, made of the kernel's own functions.  User copies and memory objects are
 * in memory_*.c.
 *
 * The personality is a process whose threads run kernel code; its heap is the
 * kernel's, charged to its group.
 */

#include "abi/calls.h"
#include "arch/thread.h"
#include "base/format.h"
#include "base/string.h"
#include "kernel/console.h"
#include "kernel/group.h"
#include "kernel/handle.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/placement.h"
#include "kernel/process.h"
#include "kernel/random.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/waitword.h"
#include "rt/held.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/random.h"
#include "rt/thread.h"
#include "rt/time.h"

/* -- threads ---------------------------------------------------------------------------------- */

/* What a thread of the personality has besides its struct thread.  The frame is first:
 * thread->user_frame points here, and freeing that frees all. */
struct rt_thread {
	struct k_user_frame frame;
	void (*fn)(void *self);
	void *self;
	struct rt_held held;
};

static struct rt_thread *own(void)
{
	struct thread *t = current_thread();

	return t->user_frame ? container_of(t->user_frame, struct rt_thread, frame) : NULL;
}

void *rt_self(void)
{
	return own()->self;
}

void rt_set_self(void *self)
{
	own()->self = self;
}

struct k_user_frame *rt_frame(void)
{
	return current_thread()->user_frame;
}

struct rt_held *rt_held(void)
{
	struct rt_thread *rt = own();

	return rt ? &rt->held : NULL;
}

void *rt_thread_token(void)
{
	return current_thread();
}

uint64_t rt_stack_left(void)
{
	return arch_stack_left();
}

void rt_thread_exit(void)
{
	thread_exit();
}

struct k_user_frame *placement_frame_create(void)
{
	struct rt_thread *rt = kzalloc(sizeof(*rt));

	return rt ? &rt->frame : NULL;
}

static void thread_main(uint64_t arg)
{
	struct rt_thread *rt = own();

	rt->fn(rt->self);
}

static k_status_t space_of(struct process *process, k_handle_t handle, struct space **space)
{
	struct object *object;
	k_status_t st;

	*space = NULL;
	if (handle == K_HANDLE_NONE)
		return K_OK;
	st = handle_get(process, handle, K_TYPE_SPACE, K_RIGHT_MAP, &object);
	if (st == K_OK)
		*space = container_of(object, struct space, object);
	return st;
}

k_status_t rt_thread_create(void (*fn)(void *self), void *self, const struct k_user_frame *frame,
			    k_handle_t space, uint32_t flags, const char *name,
			    _Atomic(k_handle_t) *handle)
{
	struct process *process = current_thread()->process;
	struct thread_params params = {
		.name = name, .fn = thread_main, .runs_programs = true,
		.inherit_fpu = flags & K_THREAD_INHERIT_FPU ? current_thread() : NULL,
		.inherit_sched = flags & K_THREAD_INHERIT_SCHED,
	};
	struct process_start start = { 0 };
	struct rt_thread *rt;
	struct thread *thread;
	k_status_t st;

	st = handle_reserve(process, 1);
	if (st != K_OK)
		return st;
	st = space_of(process, space, &start.space);
	if (st != K_OK)
		goto unreserve;
	rt = kzalloc(sizeof(*rt));
	st = K_ERR_NO_MEMORY;
	if (!rt)
		goto put_space;
	if (frame)
		rt->frame = *frame;
	rt->fn = fn;
	rt->self = self;
	start.frame = &rt->frame;
	st = process_make_thread(process, &params, &start, &thread);
	if (st == K_OK) {
		/* (The run's reference keeps the thread until it is started.) */
		atomic_store(handle, handle_install(process, &thread->object, 0));
		thread_start(thread);
	} else {
		kfree(rt);
	}
put_space:
	if (start.space)
		object_put(&start.space->object);
unreserve:
	if (st != K_OK)
		handle_unreserve(process, 1);
	return st;
}

/* -- waiting words ------------------------------------------------------------------------------ */

k_status_t rt_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns,
		   bool interruptible)
{
	return waitword_wait(NULL, (uint64_t)(uintptr_t)word, expected, K_WAIT_ANY_BITS,
			     deadline_ns, interruptible ? K_WAIT_INTERRUPTIBLE : 0);
}

void rt_wake(_Atomic(uint32_t) *word, uint32_t count)
{
	uint64_t woken;

	(void)!waitword_wake(NULL, (uint64_t)(uintptr_t)word, count, K_WAIT_ANY_BITS, 0, &woken);
}

/* -- log ------------------------------------------------------------------------------------------ */

void rt_log(int level, const char *fmt, ...)
{
	va_list args;

	console_throttle(current_thread()->process);
	va_start(args, fmt);
	log_vline((enum log_level)level, fmt, args);
	va_end(args);
}

void rt_panic(const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	panic("personality: %s", text);
}

/* -- clocks and random bytes ---------------------------------------------------------------------- */

uint64_t rt_now_ns(void)
{
	return time_now_ns();
}

uint64_t rt_realtime_ns(void)
{
	return time_realtime_ns();
}

void rt_random(void *dst, size_t n)
{
	random_fill(dst, n);
}
