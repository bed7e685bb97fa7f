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
 * Placement: a woken thread stays on its CPU if that is idle, or if the waker says
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
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/runq.h"
#include "kernel/shootdown.h"
#include "kernel/shuffle.h"
#include "kernel/time.h"

static struct runq runqs[MAX_CPUS];
static _Atomic(uint64_t) idle_cpus;		/* bit per CPU that runs its idle thread */

/* -- queues ------------------------------------------------------------------- */

static struct runq *this_runq(void)
{
	return &runqs[cpu_id()];
}

static struct runq *thread_lock_runq(struct thread *t, arch_irqflags_t *flags)
{
	*flags = arch_irq_save();
	for (;;) {
		struct runq *rq = &runqs[atomic_load_explicit(&t->cpu, memory_order_relaxed)];

		spin_lock_irqoff(&rq->lock);
		if (rq == &runqs[atomic_load_explicit(&t->cpu, memory_order_relaxed)])
			return rq;
		spin_unlock_irqoff(&rq->lock);
	}
}

static struct cpu *runq_cpu(const struct runq *rq)
{
	return cpus[rq - runqs];
}

static bool may_run_on(const struct thread *t, uint32_t cpu)
{
	return t->se.affinity >> cpu & 1;
}

/* @t, on no queue, belongs to another CPU now. */
static void set_thread_cpu(struct thread *t, uint32_t cpu)
{
	atomic_store_explicit(&t->cpu, cpu, memory_order_relaxed);
	/* Seen where it goes on: what it reads there was written before its switch. */
	if (t->report_moves)
		atomic_fetch_or_explicit(&t->pending, THREAD_MOVED, memory_order_relaxed);
}

/* Bring the running thread's times up to @now. */
static void account_current(struct runq *rq, struct thread *t, uint64_t now)
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

/* Ask @rq's CPU to reschedule: another one is interrupted once @rq is released. */
static void resched_cpu(struct runq *rq)
{
	uint32_t cpu = (uint32_t)(rq - runqs);

	if (cpu == cpu_id())
		set_need_resched();
	else
		rq->ipi_wanted = true;
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

/*
 * Release @rq and do what was put off until now; interrupts are disabled and stay
 * so.  (Sending an interrupt can take long under a hypervisor.)
 */
static void runq_release(struct runq *rq)
{
	bool set = rq->slice_wanted && rq == this_runq();
	bool ipi = rq->ipi_wanted;

	if (set)
		rq->slice_wanted = false;
	rq->ipi_wanted = false;
	spin_unlock_irqoff(&rq->lock);
	if (unlikely(set))
		ktimer_set(&rq->slice_timer, time_now_ns() + SLICE_NS, SLICE_NS);
	if (unlikely(ipi) && !shuffle_puts_off((uint32_t)(rq - runqs)))
		arch_ipi_send((uint32_t)(rq - runqs), IPI_RESCHEDULE);
}

static void runq_unlock(struct runq *rq, arch_irqflags_t flags)
{
	preempt_disable();
	runq_release(rq);
	arch_irq_restore(flags);
	preempt_enable();
}

/* Put @t on @rq and see whether it should preempt.  @rq is locked, and t->cpu names it. */
static void enqueue_woken(struct runq *rq, struct thread *t, bool sync)
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

/* Shuffling: any CPU that @t may use. */
static uint32_t any_cpu(const struct thread *t)
{
	uint32_t cpu = (uint32_t)(shuffle_random() % cpu_count);

	while (!may_run_on(t, cpu))
		cpu = (cpu + 1) % cpu_count;
	return cpu;
}

/* The CPU where a thread that waits no longer should run. */
static uint32_t choose_cpu(struct thread *t, bool sync)
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
	idle = atomic_load_explicit(&idle_cpus, memory_order_relaxed) & t->se.affinity;
	if (idle >> last & 1)
		return last;
	if (idle)
		return (uint32_t)__builtin_ctzll(idle);
	if (may_run_on(t, last))
		return last;
	return (uint32_t)__builtin_ctzll(t->se.affinity);
}

/*
 * Make @t, which is RUNNABLE and on no queue, one of CPU @target, or, if what it may
 * use has changed since @target was chosen, of another.  Returns that CPU's queue,
 * locked.  (On the way, t->cpu names a queue that it is not on; nobody but us looks at
 * more than its parameters then.)
 */
static struct runq *join_cpu(struct thread *t, uint32_t target)
{
	for (;;) {
		struct runq *rq = &runqs[target];

		set_thread_cpu(t, target);
		spin_lock_irqoff(&rq->lock);
		if (likely(may_run_on(t, target))) {
			runq_join(rq, &t->se);
			return rq;
		}
		spin_unlock_irqoff(&rq->lock);
		target = choose_cpu(t, false);
	}
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
		runq_unlock(rq, flags);
		return false;
	}
	t->wake_status = status;
	atomic_store_explicit(&t->state, THREAD_RUNNABLE, memory_order_relaxed);
	if (state == THREAD_BLOCKING) {
		runq_unlock(rq, flags);
		return true;
	}
	target = choose_cpu(t, sync);
	if (target != (uint32_t)(rq - runqs)) {
		runq_leave(rq, &t->se);
		spin_unlock_irqoff(&rq->lock);
		rq = join_cpu(t, target);
	}
	runq_place_woken(rq, &t->se);
	enqueue_woken(rq, t, sync && rq == this_runq());
	runq_unlock(rq, flags);
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
	runq_unlock(rq, flags);
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

/* -- switching -------------------------------------------------------------------- */

/* A thread for an idle @rq from somebody's queue; @rq is locked. */
static struct thread *steal(struct runq *rq)
{
	uint32_t self = (uint32_t)(rq - runqs);

	for (uint32_t i = 1; i < cpu_count; i++) {
		struct runq *other = &runqs[(self + i) % cpu_count];
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
		struct thread *t = steal(rq);

		if (t)
			return t;
	}
	return runq_cpu(rq)->idle;
}

/* Give a thread that may not run here any more to another CPU. */
static void push_away(struct thread *t)
{
	struct runq *rq = join_cpu(t, choose_cpu(t, false));

	enqueue_woken(rq, t, false);
	runq_release(rq);
}

/* One who waits for a thread to leave its CPU.  On the waiter's stack. */
struct mover {
	struct list link;		/* thread->movers */
	struct thread *thread;		/* constant */
	_Atomic(bool) left;		/* seq_cst, as is the waiter's state: one sees the other's */
};

/* Tell those of @left, who are on no thread's list any more. */
static void wake_movers(struct list *left)
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
	runq_release(rq);
	if (unlikely(push))
		push_away(prev);
	wake_movers(&left);
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
	account_current(rq, prev, now);

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
		atomic_fetch_and_explicit(&idle_cpus, ~BIT(cpu->id), memory_order_relaxed);
	else if (preempted)
		prev->involuntary_switches++;
	else
		prev->voluntary_switches++;
	if (next == cpu->idle)
		atomic_fetch_or_explicit(&idle_cpus, BIT(cpu->id), memory_order_relaxed);
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
	account_current(rq, current, now);
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
	runq_unlock(rq, flags);
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

/* -- starting, parameters ---------------------------------------------------------------- */

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
	runq_unlock(rq, flags);
}

void thread_start(struct thread *t)
{
	arch_irqflags_t flags = arch_irq_save();
	struct runq *rq;

	kassert(t->state == THREAD_NEW);
	rq = join_cpu(t, choose_cpu(t, false));
	atomic_store_explicit(&t->state, THREAD_RUNNABLE, memory_order_relaxed);
	runq_place_new(rq, &t->se);
	enqueue_woken(rq, t, false);
	runq_unlock(rq, flags);
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
	if (may_run_on(t, (uint32_t)(rq - runqs)))
		list_splice_last(&left, &t->movers);	/* it may stay after all */
	if (queued && !may_run_on(t, (uint32_t)(rq - runqs))) {
		if (rq->next_hint == t)
			rq->next_hint = NULL;	/* it is not on this queue any more */
		runq_leave(rq, &t->se);
		spin_unlock_irqoff(&rq->lock);
		push_away(t);
		arch_irq_restore(flags);
		return K_OK;
	}
	if (queued) {
		enqueue_woken(rq, t, false);
	} else if (runq_cpu(rq)->current == t) {
		resched_cpu(rq);
		wait = rq != this_runq() && !may_run_on(t, (uint32_t)(rq - runqs));
	}
	if (wait)
		list_add_last(&t->movers, &m.link);
	runq_unlock(rq, flags);
	wake_movers(&left);
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
	runq_unlock(rq, flags);
}

uint64_t sched_run_time_ns(struct thread *t)
{
	arch_irqflags_t flags;
	struct runq *rq = thread_lock_runq(t, &flags);
	uint64_t ns;

	if (runq_cpu(rq)->current == t)
		account_current(rq, t, time_now_ns());
	ns = t->se.ran_ns;
	runq_unlock(rq, flags);
	return ns;
}

void sched_cpu_times(uint32_t cpu, struct k_cpu_info *info)
{
	struct runq *rq = &runqs[cpu];
	arch_irqflags_t flags = spin_lock_irqsave(&rq->lock);
	uint64_t busy;

	account_current(rq, cpus[cpu]->current, time_now_ns());
	info->idle_ns = cpus[cpu]->idle_ns;
	busy = rq->clock_ns - rq->start_ns - info->idle_ns;
	runq_unlock(rq, flags);
	info->system_ns = MIN(arch_cpu_system_ns(cpus[cpu]), busy);
	info->user_ns = busy - info->system_ns;
	info->interrupt_ns = 0;
}

/* -- per CPU ------------------------------------------------------------------------------- */

void sched_init_cpu(struct cpu *cpu)
{
	struct runq *rq = &runqs[cpu->id];

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
	atomic_fetch_or_explicit(&idle_cpus, BIT(cpu_id()), memory_order_relaxed);
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
