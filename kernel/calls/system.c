/* SPDX-License-Identifier: MIT */
/*
 * Calls on the system as a whole: clocks, log, random bytes, counts, power.
 */

#include "arch/cpu.h"
#include "arch/power.h"
#include "base/string.h"
#include "kernel/bell.h"
#include "kernel/console.h"
#include "kernel/handle.h"
#include "kernel/irq.h"
#include "kernel/kcalls.h"
#include "kernel/kmem.h"
#include "kernel/leak.h"
#include "kernel/log.h"
#include "kernel/log_watch.h"
#include "kernel/memory.h"
#include "kernel/page.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/random.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/time.h"

/* -- clocks ---------------------------------------------------------------------------------- */

k_status_t kcall_clock_read(struct thread *self, uint32_t clock, uint64_t *ns)
{
	switch (clock) {
	case K_CLOCK_MONOTONIC:
		*ns = time_now_ns();
		return K_OK;
	case K_CLOCK_REALTIME:
		*ns = time_realtime_ns();
		return K_OK;
	default:
		return K_ERR_BAD_ARGUMENT;
	}
}

k_status_t kcall_clock_page(struct thread *self, struct new_handle *memory)
{
	paddr_t page = (uint64_t)(uintptr_t)time_clock_page() - ARCH_KERNEL_IMAGE;
	struct memory *fresh;
	k_status_t st = memory_create_physical(page, K_PAGE_SIZE, ARCH_CACHED, &fresh);

	if (st != K_OK)
		return st;
	memory->object = &fresh->object;
	memory->rights = K_RIGHT_READ | K_RIGHT_MAP | K_RIGHT_DUPLICATE | K_RIGHT_TRANSFER;
	return K_OK;
}

k_status_t kcall_clock_adjust(struct thread *self, struct object *power, uint64_t realtime_ns)
{
	time_set_realtime_ns(realtime_ns);
	return K_OK;
}

k_status_t kcall_random(struct thread *self, const struct kbytes *data)
{
	uint8_t chunk[256];
	k_status_t st = K_OK;

	for (uint64_t done = 0; st == K_OK && done < data->length; done += sizeof(chunk)) {
		size_t n = MIN(sizeof(chunk), data->length - done);

		if (thread_is_killed())
			break;
		random_fill(chunk, n);
		if (!kbytes_write(data, done, chunk, n))
			st = K_ERR_BAD_ADDRESS;
	}
	memset(chunk, 0, sizeof(chunk));
	__asm__ volatile("" : : "r"(chunk) : "memory");	/* the erasure is not for nothing */
	return st;
}

/* -- log ------------------------------------------------------------------------------------- */

#define LOG_LINE_MAX	512u
#define LOG_READ_MAX	(16u << 10)

k_status_t kcall_log_write(struct thread *self, uint32_t level, const struct kbytes *text)
{
	char line[LOG_LINE_MAX];
	size_t n = MIN(text->length, sizeof(line));

	if (level > LOG_DEBUG)
		return K_ERR_BAD_ARGUMENT;
	if (!kbytes_read(text, 0, line, n))
		return K_ERR_BAD_ADDRESS;
	console_throttle(self->process);
	log_text((enum log_level)level, line, n);
	return K_OK;
}

k_status_t kcall_log_read(struct thread *self, struct object *log, uint64_t sequence,
			  const struct kbytes *text, uint64_t *length, uint64_t *next)
{
	size_t room = MIN(text->length, LOG_READ_MAX);
	k_status_t st = K_OK;
	char *copy;

	*length = 0;
	*next = sequence;
	copy = kmalloc(room);
	if (!copy)
		return K_ERR_NO_MEMORY;
	*length = log_read(sequence, copy, room, next);
	if (!*length)
		st = K_ERR_SHOULD_WAIT;
	else if (!kbytes_write(text, 0, copy, *length))
		st = K_ERR_BAD_ADDRESS;
	kfree(copy);
	return st;
}

k_status_t kcall_log_watch(struct thread *self, struct object *log, struct bell *bell,
			   uint64_t bits)
{
	return log_watch(self->process->object.koid, bell, bits);
}

/* -- counts ---------------------------------------------------------------------------------- */

k_status_t kcall_system_info(struct thread *self, struct k_system_info *info)
{
	struct page_stats stats;

	page_stats(&stats);
	*info = (struct k_system_info){
		.page_size = K_PAGE_SIZE,
		.memory_bytes = stats.managed << K_PAGE_SHIFT,
		.free_bytes = stats.free << K_PAGE_SHIFT,
		.cached_bytes = stats.kinds[PAGE_CACHE] << K_PAGE_SHIFT,
		.shared_bytes = stats.kinds[PAGE_SHARED] << K_PAGE_SHIFT,
		.anon_bytes = stats.kinds[PAGE_ANON] << K_PAGE_SHIFT,
		.uptime_ns = time_now_ns(),
		.cpus = cpu_count,
	};
	info->kernel_bytes = (stats.kinds[PAGE_KERNEL] + stats.kinds[PAGE_SLAB] +
			      stats.kinds[PAGE_TABLE] + stats.kinds[PAGE_STACK] +
			      stats.kinds[PAGE_META]) << K_PAGE_SHIFT;
	for (uint32_t i = 0; i < CPU_MAX; i++) {
		if (!cpus[i])
			continue;
		info->context_switches += READ_ONCE(cpus[i]->context_switches);
		info->interrupts += READ_ONCE(cpus[i]->interrupts);
	}
	arch_system_info(info);
	return K_OK;
}

k_status_t kcall_system_objects(struct thread *self, struct k_object_counts *counts)
{
	leak_count(counts);
	return K_OK;
}

k_status_t kcall_cpu_info(struct thread *self, uint32_t cpu, struct k_cpu_info *info)
{
	if (cpu >= CPU_MAX || !cpus[cpu] || !arch_cpu_info(cpu, info))
		return K_ERR_NOT_FOUND;
	sched_cpu_times(cpu, info);
	info->timer_interrupts = READ_ONCE(cpus[cpu]->timer_interrupts);
	info->reschedules = READ_ONCE(cpus[cpu]->reschedules);
	info->shootdowns = READ_ONCE(cpus[cpu]->shootdowns);
	info->online = atomic_load_explicit(&cpus[cpu]->online, memory_order_relaxed);
	return K_OK;
}

k_status_t kcall_irq_info(struct thread *self, uint32_t from, struct k_irq_info *info)
{
	return irq_info(from, info);
}

/* -- power ------------------------------------------------------------------------------------ */

k_status_t kcall_power(struct thread *self, struct object *object, uint32_t action,
		       uint32_t status)
{
	if (action == K_POWER_OFF || action == K_POWER_REBOOT || action == K_POWER_HALT)
		console_finish();
	switch (action) {
	case K_POWER_OFF:
		arch_power_off(status);
	case K_POWER_REBOOT:
		arch_reboot();
	case K_POWER_HALT:
		arch_halt();
	case K_POWER_PANIC:
		panic("asked for by %s", self->process->name);
	default:
		return K_ERR_BAD_ARGUMENT;
	}
}
