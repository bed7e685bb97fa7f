/* SPDX-License-Identifier: MIT */
/*
 * Timers: one task that sleeps until the earliest of them.
 *
 * Two trees, by deadline, one per clock: the realtime one keeps realtime
 * deadlines, so that setting the clock moves all of its timers.  A timer is in a
 * tree while it is set.  Its callback runs without the lock; cancel waits for
 * that to end, so that whoever has cancelled may free it.
 */

#include "lx/timer.h"

#include "lx/lock_rank.h"
#include "lx/task.h"
#include "rt/time.h"
#include "time/time_impl.h"

static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_TIMERS);
static struct rb_tree trees[2];		/* lock; of lx_timer.node */
static struct lx_timer *running;	/* lock */
static _Atomic(uint32_t) changed;	/* the task should look again */
static _Atomic(uint32_t) finished;	/* counts callbacks that ended: cancel waits on it */
static struct lx_task *timer_task;	/* constant after start */

_Atomic(uint32_t) lx_clock_was_set;
struct lx_waitq lx_clock_set_wait = { .lock = RT_MUTEX_INIT(LX_LOCK_WAITQ),
				      .entries = LIST_INIT(lx_clock_set_wait.entries) };

void lx_timer_init(struct lx_timer *t, void (*fn)(struct lx_timer *t), uint32_t clock)
{
	*t = (struct lx_timer){ .fn = fn, .clock = clock };
	rb_node_init(&t->node);
}

static void insert(struct lx_timer *t)
{
	struct rb_tree *tree = &trees[t->clock];
	struct rb_node **link = &tree->root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = t->deadline < rb_entry(parent, struct lx_timer, node)->deadline ?
		       &parent->left : &parent->right;
	}
	rb_insert(tree, &t->node, parent, link);
}

static void unset(struct lx_timer *t)
{
	if (t->deadline)
		rb_remove(&trees[t->clock], &t->node);
	t->deadline = 0;
}

static void look_again(void)
{
	atomic_store(&changed, 1);
	rt_wake(&changed, 1);
}

void lx_timer_set(struct lx_timer *t, uint64_t abs_ns)
{
	bool first;

	rt_mutex_lock(&lock);
	unset(t);
	t->deadline = abs_ns ? abs_ns : 1;
	insert(t);
	first = rb_first(&trees[t->clock]) == &t->node;
	rt_mutex_unlock(&lock);
	if (first)
		look_again();
}

bool lx_timer_cancel(struct lx_timer *t)
{
	bool was_set;

	rt_mutex_lock(&lock);
	was_set = t->deadline != 0;
	unset(t);
	while (running == t && lx_self() != timer_task) {
		uint32_t count = atomic_load(&finished);

		rt_mutex_unlock(&lock);
		(void)rt_wait(&finished, count, K_DEADLINE_NEVER, false);
		rt_mutex_lock(&lock);
	}
	rt_mutex_unlock(&lock);
	return was_set;
}

/* Run what is due on @clock; returns the next deadline of it as a monotonic time. */
static uint64_t run_due(uint32_t clock)
{
	struct lx_timer *t;
	uint64_t next;

	for (;;) {
		uint64_t now = clock == LX_TIMER_REALTIME ? rt_realtime_ns() : rt_now_ns();

		t = rb_first_entry(&trees[clock], struct lx_timer, node);
		if (!t)
			return K_DEADLINE_NEVER;
		if (t->deadline > now) {
			next = t->deadline;
			return clock == LX_TIMER_REALTIME ? lx_deadline_after(next - now) : next;
		}
		unset(t);
		running = t;
		rt_mutex_unlock(&lock);
		t->fn(t);
		rt_mutex_lock(&lock);
		running = NULL;
		atomic_fetch_add(&finished, 1);
		rt_wake(&finished, ~0u);
	}
}

static void timer_main(void *arg)
{
	uint64_t next, real;

	for (;;) {
		atomic_store(&changed, 0);
		rt_mutex_lock(&lock);
		next = run_due(LX_TIMER_MONOTONIC);
		real = run_due(LX_TIMER_REALTIME);
		rt_mutex_unlock(&lock);
		(void)rt_wait(&changed, 0, MIN(next, real), false);
	}
}

int lx_timer_start(void)
{
	timer_task = lx_kthread_create("timers", timer_main, NULL);
	return timer_task ? 0 : -ENOMEM;
}

void lx_clock_changed(void)
{
	atomic_fetch_add(&lx_clock_was_set, 1);
	lx_wake_all(&lx_clock_set_wait);
	look_again();
}
