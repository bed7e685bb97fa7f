/* SPDX-License-Identifier: MIT */
/*
 * The scheduler.
 *
 * Each CPU has a run queue: two heaps, one of real-time threads by priority and
 * arrival, one of fair threads by virtual run time (run time divided by weight).
 * The running thread is on neither.  A real-time thread always goes before a fair
 * one; among fair ones the least virtual run time goes first.
 *
 * There is no periodic tick.  While somebody waits on the queue, a slice timer is
 * armed at most every SLICE_NS; it only looks whether the running thread has had
 * its share.  A woken thread preempts if it is behind by more than GRANULARITY_NS.
 *
 * Placement (balance.c): a woken thread stays on its CPU if that is idle, or if the waker says
 * that it is about to sleep; else it goes to an idle CPU that it may use.  A CPU
 * without work takes from others' queues before it idles.
 *
 * The run queue lock is held across the switch: the thread that runs next releases
 * it (sched_finish_switch).  So whoever holds the lock of a thread's queue knows
 * that a thread which is not the CPU's current one is completely switched out.
 * Every thread enters and leaves the switch with a preemption count of 1 (that
 * lock), so the count needs no saving.
 *
 * Invariants: (1) thread->se.queued iff on a heap of cpus[thread->cpu]; (2) the idle
 * thread is never queued; (3) a queued thread is RUNNABLE or BLOCKING and may run
 * on that CPU; (4) min_vruntime never goes back.
 */
#include "kernel/sched.h"

#include "abi/status.h"
#include "arch/cpu.h"
#include "arch/smp.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/shootdown.h"
#include "kernel/shuffle.h"
#include "kernel/time.h"
#include "sched_priv.h"

struct runq sched_runqs[MAX_CPUS];
_Atomic(uint64_t) sched_idle_cpus;

/* -- queues ------------------------------------------------------------------- */

void sched_account(struct runq *rq, struct thread *t, uint64_t now)
{
	uint64_t ran = now - rq->clock_ns;

	/* Another CPU asks, and its counter is a little behind this one's. */
	if ((int64_t)ran < 0)
		return;
	rq->clock_ns = now;
	if (t == runq_cpu(rq)->idle)
		runq_cpu(rq)->idle_ns += ran;
	else
		runq_charge(rq, &t->se, ran);
}

/*
 * Somebody waits on @rq, locked: have its slice timer armed.  The timer belongs to
 * its CPU and its lock comes before this one: the CPU itself sets it, once it has
 * released the lock (slice_timer_set), another one has to interrupt it for that.
 */
static void slice_timer_want(struct runq *rq)
{
	if (rq->slice_armed)
		return;
	if (rq == this_runq())
		rq->slice_armed = rq->slice_wanted = true;
	else
		rq->ipi_wanted = true;
}

void sched_release(struct runq *rq)
{
	bool set = rq->slice_wanted && rq == this_runq();
	bool ipi = rq->ipi_wanted;

	if (set)
		rq->slice_wanted = false;
	rq->ipi_wanted = false;
	spin_unlock_irqoff(&rq->lock);
	if (unlikely(set))
		ktimer_set(&rq->slice_timer, time_now_ns() + SLICE_NS, SLICE_NS);
	if (unlikely(ipi) && !shuffle_puts_off(runq_cpu_id(rq)))
		arch_ipi_send(runq_cpu_id(rq), IPI_RESCHEDULE);
}

void sched_unlock(struct runq *rq, arch_irqflags_t flags)
{
	preempt_disable();
	sched_release(rq);
	arch_irq_restore(flags);
	preempt_enable();
}

void sched_enqueue_woken(struct runq *rq, struct thread *t, bool sync)
{
	struct thread *current = runq_cpu(rq)->current;

	runq_enqueue(rq, &t->se);
	if (shuffle_is_on() && shuffle_one_in(4))
		set_need_resched();	/* the waker's turn may be over */
	if (sync)
		rq->next_hint = t;
	else if (current == runq_cpu(rq)->idle || runq_preempts(&t->se, &current->se)) {
		resched_cpu(rq);
		return;
	}
	slice_timer_want(rq);
}

/* -- waking --------------------------------------------------------------------- */

/* End a wait of @t with @status if it is waiting and @allowed has what its wait accepts. */
static bool wake_common(struct thread *t, k_status_t status, uint32_t allowed, bool sync)
{
	arch_irqflags_t flags;
	struct runq *rq = thread_lock_runq(t, &flags);
	uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);
	uint32_t target;

	if ((state != THREAD_BLOCKING && state != THREAD_BLOCKED) ||
	    (allowed && !(t->block_flags & allowed))) {
		sched_unlock(rq, flags);
		return false;
	}
	t->wake_status = status;
	atomic_store_explicit(&t->state, THREAD_RUNNABLE, memory_order_relaxed);
	if (state == THREAD_BLOCKING) {
		sched_unlock(rq, flags);
		return true;
	}
	target = sched_choose_cpu(t, sync);
	if (target != runq_cpu_id(rq)) {
		runq_leave(rq, &t->se);
		spin_unlock_irqoff(&rq->lock);
		rq = sched_join_cpu(t, target);
	}
	runq_place_woken(rq, &t->se);
	sched_enqueue_woken(rq, t, sync && rq == this_runq());
	sched_unlock(rq, flags);
	return true;
}

bool sched_wake(struct thread *t)
{
	return wake_common(t, K_OK, 0, false);
}

bool sched_wake_sync(struct thread *t)
{
	return wake_common(t, K_OK, 0, true);
}

void sched_timeout(struct ktimer *timer)
{
	wake_common(container_of(timer, struct thread, timeout), K_ERR_TIMED_OUT, 0, false);
}

/* Set @bits and make the thread notice: in a wait that @allowed ends, or in user mode. */
static void interrupt_thread(struct thread *t, uint32_t bits, uint32_t allowed)
{
	arch_irqflags_t flags;
	struct runq *rq;

	/* Before looking at its state: sched_block() looks in the other order. */
	atomic_fetch_or_explicit(&t->pending, bits, memory_order_seq_cst);
	if (wake_common(t, K_ERR_KICKED, allowed, false))
		return;
	rq = thread_lock_runq(t, &flags);
	if (runq_cpu(rq)->current == t && rq != this_runq())
		rq->ipi_wanted = true;
	sched_unlock(rq, flags);
}

void thread_kick(struct thread *t)
{
	interrupt_thread(t, THREAD_KICKED, BLOCK_KICKABLE);
}

void thread_kill(struct thread *t)
{
	interrupt_thread(t, THREAD_KILLED, BLOCK_KICKABLE | BLOCK_KILLABLE);
}

bool thread_is_killed(void)
{
	return atomic_load_explicit(&current_thread()->pending, memory_order_relaxed) &
	       THREAD_KILLED;
}

void thread_start(struct thread *t)
{
	arch_irqflags_t flags = arch_irq_save();
	struct runq *rq;

	kassert(t->state == THREAD_NEW);
	rq = sched_join_cpu(t, sched_choose_cpu(t, false));
	atomic_store_explicit(&t->state, THREAD_RUNNABLE, memory_order_relaxed);
	runq_place_new(rq, &t->se);
	sched_enqueue_woken(rq, t, false);
	sched_unlock(rq, flags);
}

/* -- switching -------------------------------------------------------------------- */

static struct thread *pick_next(struct runq *rq)
{
	struct thread *hint = rq->next_hint;
	struct sched_entity *se;

	rq->next_hint = NULL;
	if (hint && hint->se.queued && runq_may_jump(rq, &hint->se)) {
		runq_dequeue(rq, &hint->se);
		return hint;
	}
	se = shuffle_is_on() ? runq_pop_any(rq, shuffle_random()) : runq_pop(rq);
	if (se)
		return container_of(se, struct thread, se);
	if (cpu_count > 1) {
		struct thread *t = sched_steal(rq);

		if (t)
			return t;
	}
	return runq_cpu(rq)->idle;
}

/* What remains to be done for the thread that ran before, on the next one's stack. */
void sched_finish_switch(struct thread *prev)
{
	struct runq *rq = this_runq();
	struct list left = LIST_INIT(left);
	bool dead = atomic_load_explicit(&prev->state, memory_order_relaxed) == THREAD_DEAD;
	bool push = rq->push == prev;

	if (push) {
		rq->push = NULL;
		runq_leave(rq, &prev->se);
	}
	if (unlikely(!list_is_empty(&prev->movers)) && prev != current_thread())
		list_splice_last(&left, &prev->movers);
	sched_release(rq);
	if (unlikely(push))
		sched_push_away(prev);
	sched_wake_movers(&left);
	if (unlikely(dead))
		thread_reap(prev);
}

/*
 * Run somebody else, or go on.  Interrupts are disabled.  @preempted: the thread
 * stays runnable even if it has announced a wait.
 */
static void schedule(bool preempted)
{
	struct runq *rq = this_runq();
	struct cpu *cpu = this_cpu();
	struct thread *prev = cpu->current, *next;
	uint64_t now;

	kassert_checks(preempt_count() == 0);
	spin_lock_irqoff(&rq->lock);
	arch_percpu_or32(offsetof(struct cpu, preempt_count), PREEMPT_NO_RESCHED);
	now = time_now_ns();
	sched_account(rq, prev, now);

	if (prev == cpu->idle) {
		/* never queued */
	} else if (prev->state == THREAD_DEAD) {
		runq_leave(rq, &prev->se);
	} else if (prev->state == THREAD_BLOCKING && !preempted) {
		atomic_store_explicit(&prev->state, THREAD_BLOCKED, memory_order_relaxed);
	} else if (unlikely(!may_run_on(prev, cpu->id))) {
		rq->push = prev;
	} else {
		runq_requeue(rq, &prev->se);
	}

	next = pick_next(rq);
	if (rq->count)
		slice_timer_want(rq);
	if (next == prev) {
		sched_finish_switch(prev);
		return;
	}
	if (prev == cpu->idle)
		atomic_fetch_and_explicit(&sched_idle_cpus, ~BIT(cpu->id), memory_order_relaxed);
	else if (preempted)
		prev->involuntary_switches++;
	else
		prev->voluntary_switches++;
	if (next == cpu->idle)
		atomic_fetch_or_explicit(&sched_idle_cpus, BIT(cpu->id), memory_order_relaxed);
	cpu->context_switches++;
	cpu->current = next;
	tlb_switch(next->run_space, next->run_unified);
	sched_finish_switch(arch_context_switch(prev, next));
}

void preempt_schedule(void)
{
	if (!arch_irq_enabled())
		return;
	do {
		arch_irq_disable();
		schedule(true);
		arch_irq_enable();
	} while (arch_percpu_read32(offsetof(struct cpu, preempt_count)) == 0);
}

void sched_preempt_irq(void)
{
	while (arch_percpu_read32(offsetof(struct cpu, preempt_count)) == 0)
		schedule(true);
}

void sched_ipi(void)
{
	set_need_resched();
	log_run_notify();
}

/* The slice is over: has somebody waited long enough?  Interrupt context. */
static void slice_expired(struct ktimer *timer)
{
	struct runq *rq = container_of(timer, struct runq, slice_timer);
	struct thread *current = runq_cpu(rq)->current;
	uint64_t now = time_now_ns();
	uint64_t again = 0;

	spin_lock_irqoff(&rq->lock);
	rq->slice_armed = false;
	sched_account(rq, current, now);
	if (rq->count) {
		if (current != runq_cpu(rq)->idle && !runq_slice_over(rq, &current->se)) {
			rq->slice_armed = true;
			again = now + SLICE_NS;
		} else {
			set_need_resched();
		}
	}
	spin_unlock_irqoff(&rq->lock);
	if (again)
		ktimer_set(timer, again, SLICE_NS);
}

/* -- blocking ------------------------------------------------------------------------ */

void sched_prepare(uint32_t block_flags)
{
	struct thread *self = current_thread();

	self->block_flags = block_flags;
	self->wake_status = K_OK;
	/* Before the caller's look at its condition; pairs with the waker, who changes the
	 * condition first and then looks at the state under the run queue lock. */
	atomic_store_explicit(&self->state, THREAD_BLOCKING, memory_order_seq_cst);
}

/* BLOCKING -> RUNNABLE with @status, unless a wake was first; returns how the wait ended. */
static k_status_t end_wait(struct thread *self, k_status_t status)
{
	arch_irqflags_t flags;
	struct runq *rq = thread_lock_runq(self, &flags);

	if (self->state == THREAD_BLOCKING) {
		atomic_store_explicit(&self->state, THREAD_RUNNABLE, memory_order_relaxed);
		self->wake_status = status;
	}
	status = self->wake_status;
	sched_unlock(rq, flags);
	return status;
}

void sched_cancel(void)
{
	(void)end_wait(current_thread(), K_OK);
}

static bool wait_is_interrupted(struct thread *self)
{
	uint32_t pending = atomic_load_explicit(&self->pending, memory_order_seq_cst);

	return ((self->block_flags & BLOCK_KICKABLE) && (pending & (THREAD_KICKED | THREAD_KILLED))) ||
	       ((self->block_flags & BLOCK_KILLABLE) && (pending & THREAD_KILLED));
}

k_status_t sched_block(uint64_t deadline_ns)
{
	struct thread *self = current_thread();
	bool timed = deadline_ns != K_DEADLINE_NEVER;
	k_status_t status;

	kassert_checks(preempt_count() == 0);
	if (unlikely(self->block_flags && wait_is_interrupted(self))) {
		status = end_wait(self, K_ERR_KICKED);
	} else if (timed && deadline_ns <= time_now_ns()) {
		status = end_wait(self, K_ERR_TIMED_OUT);
	} else {
		if (timed)
			ktimer_set(&self->timeout, deadline_ns, 0);
		arch_irq_disable();
		schedule(false);
		arch_irq_enable();
		if (timed)
			ktimer_cancel_sync(&self->timeout);
		status = self->wake_status;
	}
	if (status == K_ERR_KICKED)
		atomic_fetch_and_explicit(&self->pending, ~THREAD_KICKED, memory_order_relaxed);
	return status;
}

void sched_sleep_until(uint64_t deadline_ns)
{
	while (time_now_ns() < deadline_ns) {
		sched_prepare(0);
		(void)!sched_block(deadline_ns);
	}
}

void sched_yield(void)
{
	struct runq *rq;

	arch_irq_disable();
	rq = this_runq();
	spin_lock_irqoff(&rq->lock);
	runq_yield(rq, &current_thread()->se);
	spin_unlock_irqoff(&rq->lock);
	schedule(true);
	arch_irq_enable();
}

/* The calling thread's last act; its state is DEAD and its run reference still held. */
void sched_exit(void)
{
	arch_irq_disable();
	atomic_store_explicit(&current_thread()->state, THREAD_DEAD, memory_order_relaxed);
	schedule(false);
	panic("a dead thread runs");
}

/* -- per CPU ------------------------------------------------------------------------------- */

void sched_init_cpu(struct cpu *cpu)
{
	struct runq *rq = &sched_runqs[cpu->id];

	spinlock_init(&rq->lock, LOCK_RUNQ);
	runq_init(rq);
	ktimer_init(&rq->slice_timer, slice_expired);
	rq->clock_ns = rq->start_ns = time_now_ns();
	atomic_store_explicit(&cpu->idle->state, THREAD_RUNNABLE, memory_order_relaxed);
	atomic_store_explicit(&cpu->idle->cpu, cpu->id, memory_order_relaxed);
	cpu->current = cpu->idle;
}

void sched_idle_loop(void)
{
	atomic_fetch_or_explicit(&sched_idle_cpus, BIT(cpu_id()), memory_order_relaxed);
	arch_irq_disable();
	shuffle_start_cpu();
	set_need_resched();
	for (;;) {
		if (arch_percpu_read32(offsetof(struct cpu, preempt_count)) == 0)
			schedule(true);
		else
			arch_cpu_idle();
	}
}
