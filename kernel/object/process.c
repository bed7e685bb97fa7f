/* SPDX-License-Identifier: MIT */
/*
 * Processes (theory in kernel/process.h).
 *
 * Invariants, under the process's lock:
 *
 *   (1) thread_count is the length of threads; each of them holds a reference on the
 *       process and is charged to its group.
 *   (2) Dead: no threads, no watches; the handle table is closed or being closed by
 *       the one that killed it.
 *   (3) exit_status and report do not change once ending is set.
 */

#include "kernel/process.h"

#include "base/format.h"
#include "base/string.h"
#include "kernel/bell.h"
#include "kernel/calls.h"
#include "kernel/console.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/ucopy.h"

/* One bell to ring when the process is dead. */
struct process_watch {
	struct list link;
	struct bell *bell;		/* referenced */
	uint64_t bits;
};

static struct spinlock all_lock = SPINLOCK_INIT(LOCK_OBJECT);
static struct list all_processes = LIST_INIT(all_processes);

struct process *init_process;

static void check_process(const struct process *process)
{
	assert_kmutex_held(&process->lock);
	kassert_checks(list_count(&process->threads) == process->thread_count);
	kassert_checks(process->state == PROCESS_RUNNING || !process->thread_count);
	kassert_checks(process->state != PROCESS_DEAD || process->ending);
}

/* -- life ----------------------------------------------------------------------------- */

k_status_t process_create(struct group *group, const char *name, bool in_kernel,
			  struct process **out)
{
	struct process *process = kzalloc(sizeof(*process));
	k_status_t st = K_ERR_NO_MEMORY;

	if (!process)
		return st;
	strlcpy(process->name, name, sizeof(process->name));
	process->in_kernel = in_kernel;
	handle_table_init(&process->handles);
	kmutex_init(&process->lock, LOCK_PROCESS);
	list_init(&process->threads);
	list_init(&process->watches);

	process->reap = reap_list_create();
	if (!process->reap)
		goto free_process;
	if (!in_kernel) {
		st = space_create(group, 0, 0, &process->space);
		if (st != K_OK)
			goto put_reap;
	}
	st = object_init(&process->object, K_TYPE_PROCESS, group, sizeof(*process));
	if (st != K_OK)
		goto put_space;
	spin_lock(&all_lock);
	list_add_last(&all_processes, &process->all_link);
	spin_unlock(&all_lock);
	*out = process;
	return K_OK;

put_space:
	if (process->space)
		object_put(&process->space->object);
put_reap:
	reap_list_put(process->reap);
free_process:
	kfree(process);
	return st;
}

/* It has no threads any more, or never had any: give back what others may wait for. */
static void bury(struct process *process, struct list *watches)
{
	struct process_watch *watch;

	console_left(process);
	handle_table_close(process);
	if (process->space)
		(void)space_unmap(process->space, K_PROGRAM_MIN, K_PROGRAM_MAX - K_PROGRAM_MIN);
	while ((watch = list_pop_entry(watches, struct process_watch, link))) {
		bell_ring(watch->bell, watch->bits);
		object_put(&watch->bell->object);
		kfree(watch);
	}
}

void process_destroy(struct object *object)
{
	struct process *process = container_of(object, struct process, object);

	kassert_checks(!process->thread_count);
	if (process->state != PROCESS_DEAD)
		bury(process, &process->watches);
	spin_lock(&all_lock);
	list_remove(&process->all_link);
	spin_unlock(&all_lock);
	handle_table_destroy(process);
	if (process->space)
		object_put(&process->space->object);
	reap_list_put(process->reap);
	kfree(process);
}

/* -- threads -------------------------------------------------------------------------- */

k_status_t process_add_thread(struct process *process, struct thread *thread)
{
	k_status_t st = K_OK;

	if (process->object.group && !group_charge_threads(process->object.group, 1))
		return K_ERR_LIMIT;
	kmutex_lock(&process->lock);
	if (process->state == PROCESS_RUNNING && !process->ending) {
		object_get(&process->object);	/* dropped in process_remove_thread */
		thread->process = process;
		thread->process_koid = process->object.koid;
		list_add_last(&process->threads, &thread->process_link);
		process->thread_count++;
	} else {
		st = K_ERR_BAD_STATE;
	}
	check_process(process);
	kmutex_unlock(&process->lock);
	if (st != K_OK && process->object.group)
		group_uncharge_threads(process->object.group, 1);
	return st;
}

static k_status_t begin_running(struct process *process)
{
	k_status_t st = K_ERR_BAD_STATE;

	kmutex_lock(&process->lock);
	if (process->state == PROCESS_CREATED && !process->ending) {
		process->state = PROCESS_RUNNING;
		st = K_OK;
	}
	check_process(process);
	kmutex_unlock(&process->lock);
	return st;
}

/* The first thread could not be made: it can be tried again, unless somebody ended the
 * process meanwhile and expects it to die. */
static void undo_running(struct process *process)
{
	struct list watches = LIST_INIT(watches);
	bool ending;

	kmutex_lock(&process->lock);
	ending = process->ending;
	process->state = ending ? PROCESS_DEAD : PROCESS_CREATED;
	if (ending)
		list_splice_last(&watches, &process->watches);
	check_process(process);
	kmutex_unlock(&process->lock);
	if (ending)
		bury(process, &watches);
}

/*
 * Reach the page with the thread's frame through the kernel's map of all memory, so
 * that k_user_run() need not copy it.  Where that cannot be, it does.
 */
static void share_frame(struct process *process, struct thread *thread)
{
	uint64_t addr = thread->frame_address;
	struct page *page;

	if (!addr || addr % sizeof(uint64_t) ||
	    addr % K_PAGE_SIZE > K_PAGE_SIZE - sizeof(struct k_user_frame))
		return;
	if (space_pin(process->space, addr, &page) == K_OK)
		thread->shared_frame = (struct k_user_frame *)(void *)
				       ((char *)page_virt(page) + addr % K_PAGE_SIZE);
}

static void unshare_frame(struct process *process, struct thread *thread)
{
	if (thread->shared_frame)
		space_unpin(process->space, phys_to_page(virt_to_phys(thread->shared_frame)));
	thread->shared_frame = NULL;
}

k_status_t process_make_thread(struct process *process, struct thread_params *params,
			       const struct process_start *start, struct thread **out)
{
	struct thread *thread;
	k_status_t st;

	if (start->first) {
		st = begin_running(process);
		if (st != K_OK)
			return st;
	}
	params->process = process;
	params->own_space = process->space;
	st = thread_create(params, &thread);
	if (st != K_OK) {
		if (start->first)
			undo_running(process);
		return st;
	}
	thread->frame_address = start->frame_address;
	thread->user_frame = start->frame;
	share_frame(process, thread);
	if (start->space) {
		object_get(&start->space->object);	/* dropped in thread_exit */
		thread->space = start->space;
		thread->run_space = start->space;
		thread->run_unified = !process->in_kernel;
	}
	*out = thread;
	return K_OK;
}

k_status_t process_start_thread(struct process *process, struct thread_params *params,
				const struct process_start *start)
{
	struct thread *thread;
	k_status_t st = process_make_thread(process, params, start, &thread);

	if (st != K_OK)
		return st;
	thread_start(thread);
	thread_put(thread);
	return K_OK;
}

NORETURN static void init_died(struct process *process)
{
	process_log_report(process);
	panic("init died: exit status %#x", process->exit_status);
}

void process_remove_thread(struct thread *thread)
{
	struct process *process = thread->process;
	struct list watches = LIST_INIT(watches);
	bool last;

	/* The process keeps the space that this thread may have loaded. */
	if (thread == current_thread())
		thread_set_run_space(NULL, false);
	unshare_frame(process, thread);
	kmutex_lock(&process->lock);
	list_remove(&thread->process_link);
	process->thread_count--;
	process->dead_cpu_ns += sched_run_time_ns(thread);
	last = !process->thread_count;
	if (last) {
		process->state = PROCESS_DEAD;
		process->ending = true;
		list_splice_last(&watches, &process->watches);
	}
	check_process(process);
	kmutex_unlock(&process->lock);

	if (process->object.group)
		group_uncharge_threads(process->object.group, 1);
	if (last && process == init_process)
		init_died(process);
	if (last)
		bury(process, &watches);
	object_put(&process->object);
}

k_status_t process_move_into_kernel(struct process *process)
{
	struct space *space = NULL;
	k_status_t st = K_ERR_BAD_STATE;

	kmutex_lock(&process->lock);
	if (process->state == PROCESS_CREATED && !process->in_kernel) {
		space = process->space;
		process->space = NULL;
		process->in_kernel = true;
		st = K_OK;
	}
	kmutex_unlock(&process->lock);
	if (space)
		object_put(&space->object);
	return st;
}

/* -- ending --------------------------------------------------------------------------- */

static void end_locked(struct process *process, uint32_t status)
{
	struct thread *thread;

	if (!process->ending) {
		process->ending = true;
		process->exit_status = status;
	}
	list_for_each_entry(thread, &process->threads, process_link)
		thread_kill(thread);
}

k_status_t process_end(struct process *process, uint32_t status)
{
	struct list watches = LIST_INIT(watches);
	bool never_ran;

	if (process->in_kernel)
		return K_ERR_BAD_STATE;
	kmutex_lock(&process->lock);
	never_ran = process->state == PROCESS_CREATED;
	end_locked(process, status);
	if (never_ran) {
		process->state = PROCESS_DEAD;
		list_splice_last(&watches, &process->watches);
	}
	check_process(process);
	kmutex_unlock(&process->lock);
	if (never_ran)
		bury(process, &watches);
	return K_OK;
}

/* Return addresses from the chain of frame pointers, as far as it can be believed. */
static void walk_stack(uint64_t frame, uint64_t trace[16])
{
	for (unsigned int i = 0; i < 16; i++) {
		uint64_t words[2];

		if (frame % 8 || caller_read(words, frame, sizeof(words)) != K_OK || !words[1])
			return;
		trace[i] = words[1];
		if (words[0] <= frame)		/* stacks grow downwards: no progress, no chain */
			return;
		frame = words[0];
	}
}

void process_fault(struct thread *self, const struct fault_report *report)
{
	struct process *process = self->process;
	uint64_t trace[16] = { 0 };
	bool first;

	walk_stack(report->regs[6], trace);
	kmutex_lock(&process->lock);
	first = !process->ending;
	if (first) {
		process->has_report = true;
		process->report = *report;
		memcpy(process->trace, trace, sizeof(trace));
	}
	end_locked(process, K_EXIT_FAULT | (uint32_t)(report->vector & 0xff));
	kmutex_unlock(&process->lock);
	if (first)
		process_log_report(process);
}

static bool fixup_is_valid(const struct k_fixup *f)
{
	uint64_t base = f->start < K_PROGRAM_MAX ? 0 : K_PERSONALITY_BASE;
	uint64_t size = f->start < K_PROGRAM_MAX ? K_PROGRAM_MAX : K_PERSONALITY_SIZE;

	return f->start >= base && f->start < f->end && f->end - base <= size &&
	       f->landing >= base && f->landing - base < size;
}

k_status_t process_set_fixups(struct process *process, const struct k_fixup *fixups, uint32_t count)
{
	k_status_t st = K_ERR_BAD_STATE;

	for (uint32_t i = 0; i < count; i++)
		if (!fixup_is_valid(&fixups[i]))
			return K_ERR_BAD_ARGUMENT;
	kmutex_lock(&process->lock);
	if (!process->in_kernel && !process->fixup_count) {
		memcpy(process->fixups, fixups, count * sizeof(fixups[0]));
		/* release: pairs with the acquire in process_find_fixup */
		atomic_store_explicit(&process->fixup_count, count, memory_order_release);
		st = K_OK;
	}
	kmutex_unlock(&process->lock);
	return st;
}

bool process_find_fixup(uint64_t rip, uint64_t *landing)
{
	const struct process *process = current_thread()->process;
	uint32_t count = process ? atomic_load_explicit(&process->fixup_count,
							memory_order_acquire) : 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct k_fixup *f = &process->fixups[i];

		if (rip >= f->start && rip < f->end) {
			*landing = f->landing;
			return true;
		}
	}
	return false;
}

/* One entry for each bell: how many there can be is bounded by what bells are charged. */
static struct process_watch *find_watch(struct process *process, const struct bell *bell)
{
	struct process_watch *watch;

	list_for_each_entry(watch, &process->watches, link)
		if (watch->bell == bell)
			return watch;
	return NULL;
}

k_status_t process_watch(struct process *process, struct bell *bell, uint64_t bits)
{
	struct process_watch *fresh = kmalloc(sizeof(*fresh)), *watch;
	bool dead;

	if (!fresh)
		return K_ERR_NO_MEMORY;
	fresh->bell = bell;
	fresh->bits = 0;
	kmutex_lock(&process->lock);
	dead = process->state == PROCESS_DEAD;
	watch = find_watch(process, bell);
	if (!dead && !watch) {
		object_get(&bell->object);
		list_add_last(&process->watches, &fresh->link);
		watch = fresh;
		fresh = NULL;
	}
	if (!dead)
		watch->bits |= bits;
	kmutex_unlock(&process->lock);
	if (dead)
		bell_ring(bell, bits);
	kfree(fresh);
	return K_OK;
}

/* -- looking --------------------------------------------------------------------------- */

k_status_t process_list_threads(struct process *process, const struct kbytes *ids,
				uint64_t *count)
{
	k_status_t st = K_OK;
	struct thread *thread;
	uint64_t n = 0;

	kmutex_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, process_link) {
		uint64_t koid = thread->object.koid, at = n++ * sizeof(koid);

		if (range_within(at, sizeof(koid), ids->length) &&
		    !kbytes_write(ids, at, &koid, sizeof(koid)))
			st = K_ERR_BAD_ADDRESS;
	}
	kmutex_unlock(&process->lock);
	*count = n;
	return st;
}

void process_read(struct process *process, struct k_process_info *info)
{
	static const uint32_t states[] = { [PROCESS_CREATED] = 0, [PROCESS_RUNNING] = 1,
					   [PROCESS_DEAD] = 2 };
	struct k_space_info space = { 0 };
	struct thread *thread;

	memset(info, 0, sizeof(*info));
	kmutex_lock(&process->lock);
	info->koid = process->object.koid;
	info->state = states[process->state];
	info->exit_status = process->exit_status;
	info->threads = process->thread_count;
	info->handles = READ_ONCE(process->handles.used);
	info->cpu_ns = process->dead_cpu_ns;
	list_for_each_entry(thread, &process->threads, process_link)
		info->cpu_ns += sched_run_time_ns(thread);
	strlcpy(info->name, process->name, sizeof(info->name));
	if (process->space)
		space_info(process->space, &space);
	info->memory_bytes = space.resident_anon_pages << K_PAGE_SHIFT;
	if (process->has_report) {
		info->fault_vector = process->report.vector;
		info->fault_error = process->report.error;
		info->fault_address = process->report.address;
		info->fault_rip = process->report.rip;
		info->fault_rsp = process->report.rsp;
		memcpy(info->fault_regs, process->report.regs, sizeof(info->fault_regs));
		memcpy(info->fault_trace, process->trace, sizeof(info->fault_trace));
	}
	kmutex_unlock(&process->lock);
}

void process_log_report(struct process *process)
{
	const struct fault_report *r = &process->report;
	char trace[16 * 20];
	size_t used = 0;

	if (!process->has_report) {
		log_line(LOG_ERR, "%s ended with status %#x", process->name, process->exit_status);
		return;
	}
	log_line(LOG_ERR, "%s: exception %llu error %#llx at %#llx, address %#llx, stack %#llx",
		 process->name, (unsigned long long)r->vector, (unsigned long long)r->error,
		 (unsigned long long)r->rip, (unsigned long long)r->address,
		 (unsigned long long)r->rsp);
	for (unsigned int i = 0; i < 16 && process->trace[i]; i++)
		used += (size_t)scnprintf(trace + used, sizeof(trace) - used, " %#llx",
					  (unsigned long long)process->trace[i]);
	if (used)
		log_line(LOG_ERR, "%s: called from%s", process->name, trace);
}

void process_log_all(void)
{
	struct process *process;

	spin_lock(&all_lock);
	list_for_each_entry(process, &all_processes, all_link)
		log_line(LOG_INFO, "process %llu %s: state %d, %u threads, %u handles",
			 (unsigned long long)process->object.koid, process->name,
			 (int)process->state, process->thread_count, process->handles.used);
	spin_unlock(&all_lock);
}
