/* SPDX-License-Identifier: MIT */
/*
 * Thrashing: there is memory, but only as long as somebody else's pages are taken for it.
 * When programs' own memory has taken so much that the text of what runs does not fit into
 * the rest, every page that is read costs one that is needed next.  No allocation fails, so
 * nobody is ended for want of memory, and nothing gets done.
 *
 * That is told by rounds.  A round is as long as it takes until as many pages as the cache
 * has came back by faults soon after they were given up (vfs/workingset.c), and ROUND_NS
 * at least.  It was wasted if
 *
 *   hardly any memory was free or cached: whoever has all of it for a file that is a little
 *	larger is left to read that again and again;
 *   the tasks that were hit waited twice as long for these pages as they ran in between
 *	(four times with the fastest disks, a hundred times with others), and for half of
 *	the round altogether, which idle ones do not.
 *
 * Streams do not count, because nothing of them comes back, and read(2) does not: whoever
 * gets data gets on.  Each round that was not wasted makes up for two that were; when ROUNDS
 * are left, the largest program is ended as if an allocation had failed.  Linux counts as many
 * before it does that, but only of such as found no page at all; it leaves this case to
 * programs that watch /proc/pressure/memory (systemd-oomd) or count refaults themselves
 * (Android's lmkd).
 */
#include "abi/calls.h"
#include "base/util.h"
#include "lx/lock_rank.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/vfs.h"
#include "mm/mm_impl.h"
#include "rt/time.h"

#define ROUND_NS	1000000000ull
#define ROUNDS		16u
#define WAITING		2u		/* times as long as running */
#define MARKS		4u		/* free and cached: kswapd0 keeps two to three (mm/kswapd.c) */

/* What happened since the round began. */
struct round {
	uint64_t start_ns;
	uint64_t refaults;		/* pages */
	uint64_t waited_ns, ran_ns;	/* sums over tasks */
};

static struct {
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF */
	struct round round;		/* lock */
	unsigned int wasted;		/* lock: rounds that nothing made up for */
} thrash = { .lock = RT_MUTEX_INIT(LX_LOCK_LEAF) };

/* Since it was asked last: how long @self ran its program. */
static uint64_t ran_since(struct lx_task *self)
{
	struct lx_rusage_sum sum;
	uint64_t ran;

	lx_task_usage(self, &sum);
	ran = sum.utime_ns - MIN(self->refault_utime_ns, sum.utime_ns);
	self->refault_utime_ns = sum.utime_ns;
	return ran;
}

/* With the lock: ends a round that was long enough.  True: that was one too many. */
static bool end_round(uint64_t now)
{
	struct round *r = &thrash.round;
	uint64_t ns = now - r->start_ns;
	struct k_system_info info;
	bool last;

	if (ns < ROUND_NS || k_system_info(&info) != K_OK ||
	    r->refaults < info.cached_bytes / K_PAGE_SIZE)
		return false;
	if (info.free_bytes + info.cached_bytes < MARKS * lx_memory_mark() &&
	    r->waited_ns >= WAITING * r->ran_ns && r->waited_ns >= ns / 2)
		thrash.wasted++;
	else
		thrash.wasted -= MIN(thrash.wasted, 2u);
	last = thrash.wasted >= ROUNDS;
	if (last)
		thrash.wasted = 0;
	*r = (struct round){ .start_ns = now };
	return last;
}

void lx_refaulted(struct lx_task *self, uint64_t refaults, uint64_t waited_ns)
{
	uint64_t now = rt_now_ns(), ran = ran_since(self);
	bool last;

	rt_mutex_lock(&thrash.lock);
	/* Who was not here for long ran before the round as well. */
	thrash.round.ran_ns += MIN(ran, now - MIN(thrash.round.start_ns, now));
	thrash.round.waited_ns += waited_ns;
	thrash.round.refaults += refaults;
	last = end_round(now);
	rt_mutex_unlock(&thrash.lock);
	if (last)
		lx_oom_thrash();
}
