/* SPDX-License-Identifier: MIT */
/*
 * A thread's scheduling parameters (class, priority, weight, affinity), and its times.
 *
 * Parameters change under the lock of the thread's queue, with the thread taken off the
 * heap meanwhile, since they are what orders it.  Whoever takes the CPU that a thread runs
 * on from its affinity waits until the thread has left it: sched_set() promises that.
 */
#include "abi/status.h"
#include "arch/cpu.h"
#include "kernel/time.h"
#include "sched_priv.h"

/* One who waits for a thread to leave its CPU.  On the waiter's stack. */
struct mover {
	struct list link;		/* thread->movers */
	struct thread *thread;		/* constant */
	_Atomic(bool) left;		/* seq_cst, as is the waiter's state: one sees the other's */
};

void sched_wake_movers(struct list *left)
{
	struct mover *m;

	while ((m = list_pop_entry(left, struct mover, link))) {
		struct thread *t = m->thread;

		thread_get(t);
		atomic_store(&m->left, true);	/* @m may be gone now */
		sched_wake(t);
		object_put_deferred(&t->object);
	}
}

static void wait_for_move(struct mover *m)
{
	for (;;) {
		sched_prepare(0);
		if (atomic_load(&m->left))
			break;
		(void)!sched_block(K_DEADLINE_NEVER);
	}
	sched_cancel();
}

void sched_init_thread(struct thread *t)
{
	t->se.weight = 1024;
	t->se.sched_class = K_SCHED_FAIR;
	t->se.affinity = UINT64_MAX;
	t->se.slice_ns = RR_SLICE_NS;
	list_init(&t->movers);
	atomic_init(&t->state, THREAD_NEW);
	atomic_init(&t->cpu, cpu_id());
}

/* A child starts with its creator's class and affinity. */
void sched_inherit(struct thread *t, struct thread *from)
{
	arch_irqflags_t flags;
	struct runq *rq = thread_lock_runq(from, &flags);

	t->se.weight = from->se.weight;
	t->se.sched_class = from->se.sched_class;
	t->se.priority = from->se.priority;
	t->se.affinity = from->se.affinity;
	t->se.slice_ns = from->se.slice_ns;
	sched_unlock(rq, flags);
}

static bool sched_params_valid(const struct k_sched *p)
{
	uint64_t online = cpu_count >= 64 ? UINT64_MAX : BIT(cpu_count) - 1;

	if (p->affinity && !(p->affinity & online))
		return false;
	switch (p->sched_class) {
	case K_SCHED_FAIR:
	case K_SCHED_IDLE:
		return p->weight >= 1 && p->weight <= 1u << 20;
	case K_SCHED_FIFO:
	case K_SCHED_RR:
		return p->priority >= 1 && p->priority <= 99 && p->slice_ns <= NS_PER_SEC;
	default:
		return false;
	}
}

k_status_t sched_set(struct thread *t, const struct k_sched *p)
{
	struct mover m = { .thread = current_thread() };
	struct list left = LIST_INIT(left);
	arch_irqflags_t flags;
	bool queued, wait = false;
	struct runq *rq;

	if (!sched_params_valid(p))
		return K_ERR_BAD_ARGUMENT;

	rq = thread_lock_runq(t, &flags);
	queued = t->se.queued;
	if (queued)
		runq_dequeue(rq, &t->se);
	t->se.sched_class = p->sched_class;
	if (p->sched_class == K_SCHED_FIFO || p->sched_class == K_SCHED_RR) {
		t->se.priority = p->priority;
		t->se.slice_ns = p->slice_ns ? p->slice_ns : RR_SLICE_NS;
	} else {
		t->se.priority = 0;
		t->se.weight = p->sched_class == K_SCHED_IDLE ? IDLE_WEIGHT : p->weight;
	}
	if (p->affinity)
		t->se.affinity = p->affinity;
	if (may_run_on(t, runq_cpu_id(rq)))
		list_splice_last(&left, &t->movers);	/* it may stay after all */
	if (queued && !may_run_on(t, runq_cpu_id(rq))) {
		if (rq->next_hint == t)
			rq->next_hint = NULL;	/* it is not on this queue any more */
		runq_leave(rq, &t->se);
		spin_unlock_irqoff(&rq->lock);
		sched_push_away(t);
		arch_irq_restore(flags);
		return K_OK;
	}
	if (queued) {
		sched_enqueue_woken(rq, t, false);
	} else if (runq_cpu(rq)->current == t) {
		resched_cpu(rq);
		wait = rq != this_runq() && !may_run_on(t, runq_cpu_id(rq));
	}
	if (wait)
		list_add_last(&t->movers, &m.link);
	sched_unlock(rq, flags);
	sched_wake_movers(&left);
	if (wait)
		wait_for_move(&m);
	return K_OK;
}

void sched_get(struct thread *t, struct k_sched *p)
{
	arch_irqflags_t flags;
	struct runq *rq = thread_lock_runq(t, &flags);

	*p = (struct k_sched){
		.sched_class = t->se.sched_class, .weight = t->se.weight,
		.priority = t->se.priority, .affinity = t->se.affinity,
		.slice_ns = t->se.slice_ns,
	};
	sched_unlock(rq, flags);
}

uint64_t sched_run_time_ns(struct thread *t)
{
	arch_irqflags_t flags;
	struct runq *rq = thread_lock_runq(t, &flags);
	uint64_t ns;

	if (runq_cpu(rq)->current == t)
		sched_account(rq, t, time_now_ns());
	ns = t->se.ran_ns;
	sched_unlock(rq, flags);
	return ns;
}

void sched_cpu_times(uint32_t cpu, struct k_cpu_info *info)
{
	struct runq *rq = &sched_runqs[cpu];
	arch_irqflags_t flags = spin_lock_irqsave(&rq->lock);
	uint64_t busy;

	sched_account(rq, cpus[cpu]->current, time_now_ns());
	info->idle_ns = cpus[cpu]->idle_ns;
	busy = rq->clock_ns - rq->start_ns - info->idle_ns;
	sched_unlock(rq, flags);
	info->system_ns = MIN(arch_cpu_system_ns(cpus[cpu]), busy);
	info->user_ns = busy - info->system_ns;
	info->interrupt_ns = 0;
}
