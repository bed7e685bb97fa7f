/* SPDX-License-Identifier: MIT */
/*
 * The load average (proc(5), getloadavg(3)): how many tasks run, want to, or wait for a disk, over
 * the last one, five and fifteen minutes.  They are counted every five seconds, and the averages decay
 * as Linux's do, in its fixed point, so that programs see the same numbers for the same load.
 */
#include <linux/sysinfo.h>

#include "lx/system.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "rt/time.h"

#define PERIOD_NS	5000000000ull
#define SHIFT		11u
#define ONE		(1ul << SHIFT)
/* e to the power of -5 s/1 min, -5 s/5 min and -5 s/15 min */
static const unsigned long decay[LX_LOADS] = { 1884, 2014, 2037 };

static struct lx_timer timer;
static _Atomic(unsigned long) loads[LX_LOADS];	/* fixed point; written by the timer task only */
static uint64_t next_count;			/* the timer task's */

void lx_count_tasks(struct lx_task *self, struct lx_task_counts *counts)
{
	struct lx_group *g;
	lx_pid_t pid = 0;

	*counts = (struct lx_task_counts){ 0 };
	while ((g = lx_group_next(self, pid))) {
		struct lx_task *t;
		lx_pid_t tid = 0;

		while ((t = lx_group_next_task(g, tid))) {
			uint32_t state = atomic_load(&t->state);

			counts->running += state == LX_RUNNING;
			counts->blocked += state == LX_DISK_SLEEP;
			counts->all++;
			tid = t->tid + 1;
			lx_task_put(t);
		}
		pid = g->pid + 1;
		lx_group_put(g);
	}
}

/* Rounded up while it rises, so that it gets where it tends to. */
static unsigned long decayed(unsigned long load, unsigned long factor, unsigned long active)
{
	unsigned long sum = load * factor + active * (ONE - factor);

	return (active >= load ? sum + ONE - 1 : sum) >> SHIFT;
}

static void count(struct lx_timer *t)
{
	struct lx_task_counts now;
	uint64_t time = rt_now_ns();

	lx_count_tasks(NULL, &now);
	/* One that comes late counts for the periods that it missed. */
	do {
		for (unsigned int i = 0; i < LX_LOADS; i++) {
			unsigned long load = atomic_load_explicit(&loads[i], memory_order_relaxed);

			load = decayed(load, decay[i], (now.running + now.blocked) * ONE);
			atomic_store_explicit(&loads[i], load, memory_order_relaxed);
		}
		next_count += PERIOD_NS;
	} while (next_count <= time);
	lx_timer_set(t, next_count);
}

void lx_load_averages(unsigned long out[LX_LOADS])
{
	for (unsigned int i = 0; i < LX_LOADS; i++)
		out[i] = atomic_load_explicit(&loads[i], memory_order_relaxed) << (SI_LOAD_SHIFT - SHIFT);
}

void lx_loadavg_start(void)
{
	lx_timer_init(&timer, count, LX_TIMER_MONOTONIC);
	next_count = rt_now_ns() + PERIOD_NS;
	lx_timer_set(&timer, next_count);
}
