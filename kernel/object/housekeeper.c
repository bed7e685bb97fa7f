/* SPDX-License-Identifier: MIT */
/*
 * The housekeeper: the kernel thread for what cannot be done where it comes up,
 * because sleeping or taking locks is forbidden there.  Jobs are bits; setting one
 * wakes the thread.  While memory is low it also looks by itself from time to time.
 */

#include "kernel/housekeeper.h"

#include "kernel/group.h"
#include "kernel/leak.h"
#include "kernel/main.h"
#include "kernel/object.h"
#include "kernel/sched.h"
#include "kernel/time.h"

#define POLL_NS (100 * NS_PER_MS)
#define COUNT_NS NS_PER_SEC

static _Atomic(uint32_t) jobs;
static struct thread *housekeeper;	/* constant once started */
static _Atomic(bool) started;
static bool log_counts;			/* constant once started: "concord.counts" */

void housekeeper_wake(uint32_t job)
{
	uint32_t old = atomic_fetch_or_explicit(&jobs, job, memory_order_acq_rel);

	if (!(old & job) && atomic_load_explicit(&started, memory_order_acquire))
		sched_wake(housekeeper);
}

void housekeeper_run(void)
{
	uint32_t todo = atomic_exchange_explicit(&jobs, 0, memory_order_acq_rel);

	object_reap_deferred();
	if (todo & HOUSEKEEPER_MEMORY)
		group_memory_check();
}

/* When the thread is to look by itself; not at all, normally. */
static uint64_t next_look(void)
{
	if (log_counts)
		return time_now_ns() + COUNT_NS;
	return group_memory_is_low() ? time_now_ns() + POLL_NS : K_DEADLINE_NEVER;
}

static void count(void)
{
	struct k_object_counts counts;

	leak_count(&counts);
	leak_log(&counts);
}

static void housekeeper_main(uint64_t arg)
{
	for (;;) {
		uint64_t deadline;

		housekeeper_run();
		deadline = next_look();
		sched_prepare(0);
		if (atomic_load_explicit(&jobs, memory_order_acquire)) {
			sched_cancel();
			continue;
		}
		if (sched_block(deadline) != K_ERR_TIMED_OUT)
			continue;
		atomic_fetch_or_explicit(&jobs, HOUSEKEEPER_MEMORY, memory_order_relaxed);
		if (log_counts)
			count();
	}
}

void housekeeper_start(const char *command_line)
{
	log_counts = command_line_has(command_line, "concord.counts");
	housekeeper = thread_spawn_kernel("housekeeper", housekeeper_main, 0);
	/* release: whoever sees this sees the thread */
	atomic_store_explicit(&started, true, memory_order_release);
}
