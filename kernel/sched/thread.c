/* SPDX-License-Identifier: MIT */
/*
 * Making and ending threads (kernel/thread.h).
 *
 * Stacks of ended threads stay with the CPU for the next thread: mapping one is
 * far dearer than a thread's other parts together, and the last use of a stack
 * is in a place that cannot sleep.
 */
#include "kernel/thread.h"

#include "abi/status.h"
#include "arch/cpu.h"
#include "arch/thread.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/shootdown.h"
#include "kernel/space.h"
#include "kernel/time.h"

#define DEAD_STACKS_MAX 8u

static struct kmem_cache thread_cache = KMEM_CACHE(struct thread);

/* -- stacks ------------------------------------------------------------------- */

static void *stack_get(void)
{
	struct list *node;

	arch_irqflags_t flags = arch_irq_save();
	node = list_pop(&this_cpu()->dead_stacks);
	if (node)
		this_cpu()->dead_stack_count--;
	arch_irq_restore(flags);
	return node ? (void *)node : kstack_alloc();
}

/* Interrupts are disabled.  The list's node lies in the stack itself. */
static void stack_keep(void *stack)
{
	struct cpu *cpu = this_cpu();

	list_add_first(&cpu->dead_stacks, (struct list *)stack);
	cpu->dead_stack_count++;
}

/* Give back what is too much; may sleep. */
static void stacks_trim(uint32_t keep)
{
	for (;;) {
		arch_irqflags_t flags = arch_irq_save();
		struct cpu *cpu = this_cpu();
		struct list *node = cpu->dead_stack_count > keep ? list_pop(&cpu->dead_stacks) :
								   NULL;

		cpu->dead_stack_count -= node != NULL;
		arch_irq_restore(flags);
		if (!node)
			return;
		kstack_free(node);
	}
}

void thread_drain_stacks(void)
{
	stacks_trim(0);
}

/* -- life --------------------------------------------------------------------- */

static struct group *params_group(const struct thread_params *params)
{
	return params->process ? params->process->object.group : NULL;
}

k_status_t thread_create(const struct thread_params *params, struct thread **out)
{
	struct thread *t = kmem_zalloc(&thread_cache);
	k_status_t status;

	if (!t)
		return K_ERR_NO_MEMORY;
	status = object_init(&t->object, K_TYPE_THREAD, params_group(params), KSTACK_SIZE);
	if (status != K_OK)
		goto free_thread;
	strlcpy(t->name, params->name, sizeof(t->name));
	list_init(&t->wait_link);
	list_init(&t->process_link);
	ktimer_init(&t->timeout, sched_timeout);
	sched_init_thread(t);
	if (params->inherit_sched)
		sched_inherit(t, current_thread());
	t->own_space = t->run_space = params->own_space;

	t->arch.stack = stack_get();
	status = t->arch.stack ? arch_thread_init(t, params) : K_ERR_NO_MEMORY;
	if (status != K_OK)
		goto free_stack;
	if (params->process) {
		status = process_add_thread(params->process, t);
		if (status != K_OK)
			goto free_arch;
	}
	object_get(&t->object);		/* the run's */
	*out = t;
	return K_OK;

free_arch:
	arch_thread_free(t);
free_stack:
	if (t->arch.stack)
		kstack_free(t->arch.stack);
	object_abandon(&t->object);
free_thread:
	kmem_free(&thread_cache, t);
	return status;
}

void thread_abandon(struct thread *t)
{
	kassert(t->state == THREAD_NEW);
	if (t->process)
		process_remove_thread(t);
	kstack_free(t->arch.stack);
	t->arch.stack = NULL;
	thread_put(t);
	thread_put(t);
}

void thread_destroy(struct object *object)
{
	struct thread *t = container_of(object, struct thread, object);

	kassert(!t->arch.stack && !t->space);
	arch_thread_free(t);
	kmem_free(&thread_cache, t);
}

void thread_exit(void)
{
	struct thread *self = current_thread();
	struct space *space = self->space;

	kassert(preempt_count() == 0);
	kassert_checks(self->held_count == 0);
	if (space) {
		self->space = NULL;
		if (self->run_space == space)
			thread_set_run_space(self->own_space, false);
		object_put(&space->object);
	}
	if (self->process)
		process_remove_thread(self);
	stacks_trim(DEAD_STACKS_MAX);
	thread_set_run_space(NULL, false);
	sched_exit();
}

void thread_reap(struct thread *t)
{
	stack_keep(t->arch.stack);
	t->arch.stack = NULL;
	object_put_deferred(&t->object);
}

void thread_set_run_space(struct space *space, bool unified)
{
	struct thread *self = current_thread();
	arch_irqflags_t flags;

	if (self->run_space == space && self->run_unified == unified)
		return;
	flags = arch_irq_save();
	self->run_space = space;
	self->run_unified = unified;
	tlb_switch(space, unified);
	arch_irq_restore(flags);
}

void thread_set_unified(bool unified)
{
	struct thread *self = current_thread();

	self->run_unified = unified;
	tlb_switch_root(self->run_space, unified);
}

struct thread *thread_spawn_kernel(const char *name, void (*fn)(uint64_t arg), uint64_t arg)
{
	struct thread_params params = { .name = name, .fn = fn, .arg = arg };
	struct thread *t;

	if (thread_create(&params, &t) != K_OK)
		panic("no memory for kernel thread %s", name);
	thread_start(t);
	return t;
}

void thread_info(struct thread *t, struct k_thread_info *info)
{
	uint64_t total = sched_run_time_ns(t), system = MIN(arch_thread_system_ns(t), total);
	uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);

	*info = (struct k_thread_info){
		.koid = t->object.koid,
		.user_ns = total - system,
		.system_ns = system,
		.voluntary_switches = t->voluntary_switches,
		.involuntary_switches = t->involuntary_switches,
		.minor_faults = t->minor_faults,
		.major_faults = t->major_faults,
		.cpu = atomic_load_explicit(&t->cpu, memory_order_relaxed),
		.state = state == THREAD_DEAD ? 2 : state == THREAD_BLOCKED ? 1 : 0,
	};
	sched_get(t, &info->sched);
}
