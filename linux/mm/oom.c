/* SPDX-License-Identifier: MIT */
/*
 * Out of memory.  When an access cannot be given a page, and no page of a file can be
 * given up for it, or programs only wait for pages that they have just lost
 * (mm/thrash.c), the program that has most is ended: the size of its memory, shifted
 * by oom_score_adj as on Linux.  The caller tries again then.  One victim at a time:
 * while one is on its way out, everybody else waits a moment for what it gives back.
 *
 * Programs meet the end of memory before the personality, the kernel and components do
 * (the reserve, kernel/page.h), so that all of this has memory to work with.
 */

#include <asm/signal.h>

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/vfs.h"
#include "mm/mm_impl.h"
#include "rt/log.h"
#include "rt/time.h"

#define PATIENCE_NS	20000000ull	/* between looks at a dying victim */
#define MAX_LOOKS	100
#define FLUSHES		50		/* write-backs that are waited for, and how long for one */
#define FLUSH_NS	2000000000ull
#define WANT		32u		/* pages that are looked for at a time */
#define PLENTY_TRIES	4u		/* of what fails although there is memory: others may have given it back just now */
#define NEVER		INT64_MIN	/* badness of those that may not be ended */

static struct rt_mutex victim_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct lx_group *victim;		/* victim_lock; a reference */
static _Atomic(uint64_t) kills;

uint64_t lx_oom_kills(void)
{
	return atomic_load_explicit(&kills, memory_order_relaxed);
}

/* What @g's memory is like; false: it has none. */
static bool memory_of(struct lx_group *g, struct k_space_info *info)
{
	struct lx_task *leader = lx_group_leader(g);
	struct lx_mm *mm = leader ? lx_task_mm_get(leader) : NULL;
	bool ok = mm && k_space_info(mm->space, info) == K_OK;

	if (mm)
		lx_mm_put(mm);
	if (leader)
		lx_task_put(leader);
	return ok;
}

static int64_t total_pages(void)
{
	return (int64_t)(lx_system.info.memory_bytes / K_PAGE_SIZE);
}

/* @all: also if oom_score_adj says that it is not to be ended. */
static int64_t badness(struct lx_group *g, bool all)
{
	struct k_space_info info;

	if (lx_group_has(g, LX_GROUP_UNKILLABLE) || lx_group_is_dead(g) ||
	    (g->oom_score_adj == -1000 && !all) || !memory_of(g, &info))
		return NEVER;
	return (int64_t)(info.resident_anon_pages + info.resident_object_pages +
			 info.page_table_pages) + total_pages() * g->oom_score_adj / 1000;
}

int lx_oom_score(struct lx_group *g)
{
	int64_t points = badness(g, false);

	return points == NEVER ? 0 : (int)MAX((1000 + points * 1000 / total_pages()) * 2 / 3, 0);
}

static struct lx_group *choose(bool all)
{
	struct lx_group *best = NULL, *g;
	int64_t most = NEVER, points;
	lx_pid_t pid = 0;

	while ((g = lx_group_next(NULL, pid + 1))) {
		pid = g->pid;
		points = badness(g, all);
		if (points > most) {
			if (best)
				lx_group_put(best);
			best = g;
			most = points;
		} else {
			lx_group_put(g);
		}
	}
	return best;
}

static void forget_victim(struct lx_group *g)
{
	bool it = false;

	rt_mutex_lock(&victim_lock);
	if (victim == g) {
		victim = NULL;
		it = true;
	}
	rt_mutex_unlock(&victim_lock);
	if (it)
		lx_group_put(g);
}

/* All its threads end, and its memory is given back. */
static bool is_gone(struct lx_group *g)
{
	struct k_space_info info;

	return !lx_group_is_live(g) && !memory_of(g, &info);
}

/* Somebody ends already: wait until it has, or for as long as is reasonable. */
static bool wait_for_victim(struct lx_task *self)
{
	_Atomic(uint32_t) never = 0;
	struct lx_group *g;
	int i;

	for (i = 0; i < MAX_LOOKS; i++) {
		rt_mutex_lock(&victim_lock);
		g = victim ? lx_group_get(victim) : NULL;
		rt_mutex_unlock(&victim_lock);
		if (!g)
			return false;
		if (g == self->group || lx_fatal_signal_pending(self)) {
			lx_group_put(g);
			return true;
		}
		if (is_gone(g)) {
			forget_victim(g);
			lx_group_put(g);
			return true;
		}
		lx_group_put(g);
		(void)!rt_wait(&never, 0, rt_now_ns() + PATIENCE_NS, false);
	}
	return false;
}

static bool become_victim(struct lx_group *g)
{
	struct lx_group *old;

	rt_mutex_lock(&victim_lock);
	old = victim;
	victim = lx_group_get(g);
	rt_mutex_unlock(&victim_lock);
	if (old)
		lx_group_put(old);
	return old != g;
}

/* As Linux says it: people search their logs for these words. */
static void report(struct lx_task *self, struct lx_group *g, const char *comm, const char *why)
{
	struct lx_task *leader = lx_group_leader(g);
	struct k_space_info m = { 0 };
	const struct lx_cred *cred = leader ? lx_task_cred_get(leader) : NULL;

	(void)memory_of(g, &m);
	rt_log(RT_LOG_WARNING, "%s invoked oom-killer: %s, order=0, oom_score_adj=%d", self->comm, why,
	       self->group->oom_score_adj);
	rt_log(RT_LOG_ERR, "Out of memory: Killed process %d (%s) total-vm:%llukB, anon-rss:%llukB, "
	       "file-rss:%llukB, shmem-rss:0kB, UID:%u pgtables:%llukB oom_score_adj:%d",
	       g->pid, comm, (unsigned long long)m.mapped_bytes / 1024,
	       (unsigned long long)m.resident_anon_pages * (K_PAGE_SIZE / 1024),
	       (unsigned long long)m.resident_object_pages * (K_PAGE_SIZE / 1024),
	       cred ? cred->uid : 0, (unsigned long long)m.page_table_pages * (K_PAGE_SIZE / 1024),
	       g->oom_score_adj);
	if (cred)
		lx_cred_put(cred);
	if (leader)
		lx_task_put(leader);
}

/* @needed: nothing goes on without it, so that even who is protected may be ended. */
static bool kill_largest(struct lx_task *self, const char *why, bool needed)
{
	struct lx_group *g;
	char comm[16] = "?";

	if (wait_for_victim(self))
		return true;
	g = choose(false);
	/*
	 * Nobody may be ended: Linux panics then ("System is deadlocked on memory").  The
	 * machine is worth more than the wish of one program.
	 */
	if (!g && needed)
		g = choose(true);
	if (!g)
		return false;		/* only init is left */
	rt_mutex_lock(&g->lock);
	if (g->leader)
		memcpy(comm, g->leader->comm, sizeof(comm));
	rt_mutex_unlock(&g->lock);
	if (become_victim(g)) {
		report(self, g, comm, why);
		atomic_fetch_add_explicit(&kills, 1, memory_order_relaxed);
	}
	rt_mutex_lock(&g->lock);
	lx_group_kill_locked(g, SIGKILL);
	rt_mutex_unlock(&g->lock);
	lx_group_put(g);
	return true;
}

/* What may be given up @for_cache, and for all else (mm/kswapd.c): how many pages that was. */
static uint64_t give_up(bool for_cache)
{
	return for_cache || !lx_cache_is_least() ? lx_reclaim(WANT) : lx_reclaim_names(WANT);
}

bool lx_out_of_memory(const char *why, bool for_cache)
{
	struct lx_task *self = lx_self();
	uint64_t found;

	if (lx_fatal_signal_pending(self))
		return true;		/* it is what memory is waited for */
	found = give_up(for_cache);
	/* before a program is ended, what can be written is */
	for (unsigned int i = 0; i < FLUSHES && !found && lx_memory_is_low(); i++) {
		if (!lx_dirty_wait(FLUSH_NS) || lx_fatal_signal_pending(self))
			break;
		found = give_up(for_cache);
	}
	return found || !lx_memory_is_low() || kill_largest(self, why, true);
}

bool lx_find_memory(const char *why, bool for_cache, unsigned int *tries)
{
	if (lx_fatal_signal_pending(lx_self()))
		return false;
	/* Whatever it failed of then, giving pages up for ever would not help. */
	if (!lx_memory_is_low() && ++*tries > PLENTY_TRIES)
		return false;
	return lx_out_of_memory(why, for_cache);
}

void lx_oom_thrash(void)
{
	struct lx_task *self = lx_self();
	struct k_space_info info;
	struct k_system_info system;
	struct lx_group *g = choose(false);

	/* Somebody whose end would not give the cache as much again as it has is ended for nothing. */
	if (g && memory_of(g, &info) && k_system_info(&system) == K_OK &&
	    info.resident_anon_pages >= system.cached_bytes / K_PAGE_SIZE)
		(void)kill_largest(self, "thrashing", false);
	if (g)
		lx_group_put(g);
}
