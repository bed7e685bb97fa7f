/* SPDX-License-Identifier: MIT */
/*
 * Which CPU a thread runs on: load balancing.
 *
 * Threads move at three moments only: when they wake (to an idle CPU if theirs is busy, or
 * to the waker's if that is about to sleep), when a CPU has nothing left to run (it takes
 * from others' queues), and when they may no longer use the CPU that they are on.
 *
 * Nobody waits for a second run queue: a CPU that takes from another's queue, its own
 * locked, only tries that lock.
 */
#include "arch/smp.h"
#include "kernel/shuffle.h"
#include "sched_priv.h"

/* @t, on no queue, belongs to another CPU now. */
static void set_thread_cpu(struct thread *t, uint32_t cpu)
{
	atomic_store_explicit(&t->cpu, cpu, memory_order_relaxed);
	/* Seen where it goes on: what it reads there was written before its switch. */
	if (t->report_moves)
		atomic_fetch_or_explicit(&t->pending, THREAD_MOVED, memory_order_relaxed);
}

/* Shuffling: any CPU that @t may use. */
static uint32_t any_cpu(const struct thread *t)
{
	uint32_t cpu = (uint32_t)(shuffle_random() % cpu_count);

	while (!may_run_on(t, cpu))
		cpu = (cpu + 1) % cpu_count;
	return cpu;
}

uint32_t sched_choose_cpu(struct thread *t, bool sync)
{
	uint32_t last = atomic_load_explicit(&t->cpu, memory_order_relaxed);
	uint32_t here = cpu_id();
	uint64_t idle;

	if (cpu_count == 1)
		return 0;
	if (shuffle_is_on() && shuffle_one_in(3))
		return any_cpu(t);
	if (sync && !in_interrupt() && may_run_on(t, here))
		return here;
	idle = atomic_load_explicit(&sched_idle_cpus, memory_order_relaxed) & t->se.affinity;
	if (idle >> last & 1)
		return last;
	if (idle)
		return (uint32_t)__builtin_ctzll(idle);
	if (may_run_on(t, last))
		return last;
	return (uint32_t)__builtin_ctzll(t->se.affinity);
}

/*
 * On the way, t->cpu names a queue that it is not on; nobody but us looks at more than
 * its parameters then.
 */
struct runq *sched_join_cpu(struct thread *t, uint32_t target)
{
	for (;;) {
		struct runq *rq = &sched_runqs[target];

		set_thread_cpu(t, target);
		spin_lock_irqoff(&rq->lock);
		if (likely(may_run_on(t, target))) {
			runq_join(rq, &t->se);
			return rq;
		}
		spin_unlock_irqoff(&rq->lock);
		target = sched_choose_cpu(t, false);
	}
}

struct thread *sched_steal(struct runq *rq)
{
	uint32_t self = runq_cpu_id(rq);

	for (uint32_t i = 1; i < cpu_count; i++) {
		struct runq *other = &sched_runqs[(self + i) % cpu_count];
		struct sched_entity *se;

		if (!READ_ONCE(other->count) || !spin_trylock_irqoff(&other->lock))
			continue;
		se = runq_steal(other, self);
		if (se) {
			struct thread *t = container_of(se, struct thread, se);

			if (other->next_hint == t)
				other->next_hint = NULL;
			runq_leave(other, se);
			set_thread_cpu(t, self);
			spin_unlock_irqoff(&other->lock);
			runq_join(rq, se);
			return t;
		}
		spin_unlock_irqoff(&other->lock);
	}
	return NULL;
}

void sched_push_away(struct thread *t)
{
	struct runq *rq = sched_join_cpu(t, sched_choose_cpu(t, false));

	sched_enqueue_woken(rq, t, false);
	sched_release(rq);
}
