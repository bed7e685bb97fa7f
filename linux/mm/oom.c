/* SPDX-License-Identifier: MIT */
/*
 * Out of memory.  When an access cannot be given a page, the program that has most
 * is ended: the size of its memory, shifted by oom_score_adj as on Linux.  The
 * caller tries again then.  One victim at a time: while one is on its way out,
 * everybody else waits a moment for what it gives back.
 */

#include <asm/signal.h>

#include "abi/calls.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/system.h"
#include "lx/task.h"
#include "rt/log.h"
#include "rt/time.h"

#define PATIENCE_NS	20000000ull	/* between looks at a dying victim */
#define MAX_LOOKS	100

static struct rt_mutex victim_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct lx_group *victim;		/* victim_lock; a reference */

static uint64_t pages_of(struct lx_group *g)
{
	struct lx_task *leader = lx_group_leader(g);
	struct lx_mm *mm = leader ? lx_task_mm_get(leader) : NULL;
	struct k_space_info info;
	uint64_t pages = 0;

	if (mm && k_space_info(mm->space, &info) == K_OK)
		pages = info.resident_anon_pages + info.page_table_pages;
	if (mm)
		lx_mm_put(mm);
	if (leader)
		lx_task_put(leader);
	return pages;
}

static int64_t badness(struct lx_group *g)
{
	int64_t total = (int64_t)(lx_system.info.memory_bytes / K_PAGE_SIZE);
	int64_t pages;

	if (lx_group_has(g, LX_GROUP_UNKILLABLE) || lx_group_is_dead(g) || g->oom_score_adj == -1000)
		return -1;
	pages = (int64_t)pages_of(g);
	return pages ? MAX(pages + total * g->oom_score_adj / 1000, (int64_t)1) : -1;
}

static struct lx_group *choose(void)
{
	struct lx_group *best = NULL, *g;
	int64_t most = 0, points;
	lx_pid_t pid = 0;

	while ((g = lx_group_next(NULL, pid + 1))) {
		pid = g->pid;
		points = badness(g);
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

/* Somebody ends already: wait until it has, or for as long as is reasonable. */
static bool wait_for_victim(struct lx_task *self)
{
	_Atomic(uint32_t) never = 0;
	struct lx_group *g;
	int i;

	for (i = 0; i < MAX_LOOKS; i++) {
		rt_mutex_lock(&victim_lock);
		g = victim;
		if (g && !lx_group_is_live(g)) {
			victim = NULL;
			rt_mutex_unlock(&victim_lock);
			lx_group_put(g);
			return true;
		}
		rt_mutex_unlock(&victim_lock);
		if (!g || g == self->group || lx_fatal_signal_pending(self))
			return g != NULL;
		(void)!rt_wait(&never, 0, rt_now_ns() + PATIENCE_NS, false);
	}
	return false;
}

bool lx_oom_kill(const char *why)
{
	struct lx_task *self = lx_self();
	struct lx_group *g;
	char comm[16] = "?";

	if (wait_for_victim(self))
		return true;
	g = choose();
	if (!g)
		return false;
	rt_mutex_lock(&victim_lock);
	if (victim)
		lx_group_put(victim);
	victim = lx_group_get(g);
	rt_mutex_unlock(&victim_lock);

	rt_mutex_lock(&g->lock);
	if (g->leader)
		memcpy(comm, g->leader->comm, sizeof(comm));
	lx_group_kill_locked(g, SIGKILL);
	rt_mutex_unlock(&g->lock);
	rt_log(RT_LOG_ERR, "%s invoked oom-killer (%s): Out of memory: Killed process %d (%s)",
	       self->comm, why, g->pid, comm);
	lx_group_put(g);
	return true;
}
