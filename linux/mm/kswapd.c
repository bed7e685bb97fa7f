/* SPDX-License-Identifier: MIT */
/*
 * kswapd0: the task that gets memory back before it runs out.  The kernel rings the
 * low-memory bell of our group when free memory falls below a mark; the task works until
 * memory is well above it, and looks again from time to time while it has not got there
 * (what could not be given up may be clean, or unused, by then).
 *
 * The mark lies above the kernel's reserve (kernel/page.h), so that programs do not meet
 * the end of memory while there is a page cache to take from.
 *
 * As much as the mark is left to the page cache.  What remains of it when programs' own memory
 * has taken the rest is what they and everybody else are running right now: to give that up
 * brings nothing, because it is read again at once, and room for the next page of a program
 * that grows is found by reading the same pages for ever.  Such a program meets the end of
 * memory (mm/oom.c) while the others still run.  Pages of files take each other's place there.
 */
#include "abi/calls.h"
#include "base/util.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/vfs.h"
#include "rt/time.h"

#define BATCH		256u			/* pages wanted at a time */
#define MARK_MIN	(1ull << 20)
#define MARK_MAX	(64ull << 20)
#define CPU_CACHE	(256ull << 10)
#define RETRY_NS	100000000ull		/* between looks while memory stays low */

/* Bytes, constant after the start; 0 before. */
static uint64_t mark;			/* kswapd begins */
static uint64_t enough;			/* and ends */
static uint64_t room;			/* what memory-only files leave: small machines have to be used up */

/* What may still be had: of the machine, and of the group's quota. */
static uint64_t free_bytes(void)
{
	struct k_system_info info;
	struct k_group_info group;
	uint64_t free = k_system_info(&info) == K_OK ? info.free_bytes : UINT64_MAX;

	if (k_group_info(lx_system.group, &group) == K_OK && group.limits.memory_bytes)
		free = MIN(free, group.limits.memory_bytes -
				 MIN(group.memory_bytes, group.limits.memory_bytes));
	return free;
}

bool lx_memory_is_low(void)
{
	return free_bytes() < mark;
}

uint64_t lx_memory_mark(void)
{
	return mark;
}

bool lx_memory_has_room(void)
{
	return free_bytes() >= room;
}

/* Pages of files beyond what is left to them. */
static uint64_t spare_pages(void)
{
	struct k_system_info info;

	if (k_system_info(&info) != K_OK)
		return BATCH;
	return (info.cached_bytes - MIN(info.cached_bytes, mark)) / K_PAGE_SIZE;
}

bool lx_cache_is_least(void)
{
	return !spare_pages();
}

static void balance(void)
{
	uint64_t spare;

	while (free_bytes() < enough && (spare = spare_pages()))
		if (!lx_reclaim_cold(MIN(spare, (uint64_t)BATCH)))
			return;
}

static void kswapd(void *arg)
{
	k_handle_t bell = (k_handle_t)(uintptr_t)arg;
	uint64_t bits;

	for (;;) {
		k_status_t st = k_bell_wait(bell, 1, lx_memory_is_low() ? rt_now_ns() + RETRY_NS : K_DEADLINE_NEVER,
					    0, &bits);

		if (st != K_OK && st != K_ERR_TIMED_OUT)
			return;
		balance();
	}
}

int lx_reclaim_start(void)
{
	struct k_group_info group;
	uint64_t memory = lx_system.info.memory_bytes;
	k_handle_t bell;

	if (k_group_info(lx_system.group, &group) != K_OK)
		return -EIO;
	if (group.limits.memory_bytes)
		memory = MIN(memory, group.limits.memory_bytes);
	mark = CLAMP(memory / 32, MARK_MIN, MARK_MAX);
	/* Free pages in the caches of processors count here, and do not for the bell. */
	enough = mark + mark / 4 + lx_system.info.cpus * CPU_CACHE;
	room = MIN(enough, memory / 16);
	lx_dirty_start(memory);
	if (lx_workingset_start(memory))
		return -ENOMEM;
	group.limits.low_memory_bytes = mark;
	if (k_bell_create(&bell) != K_OK)
		return -ENOMEM;
	if (k_group_limits(lx_system.group, &group.limits) == K_OK &&
	    k_group_watch(lx_system.group, bell, 1) == K_OK &&
	    lx_kthread_create("kswapd0", kswapd, (void *)(uintptr_t)bell))
		return 0;
	(void)!k_handle_close(bell);
	return -ENOMEM;
}
