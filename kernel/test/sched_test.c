/* SPDX-License-Identifier: MIT */
/*
 * Threads, waiting, timers, mutexes, preemption.
 */
#include "kernel/selftest.h"

#include "abi/status.h"
#include "base/util.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/timer.h"

/* One waiter at a time, by the protocol of kernel/sched.h. */
struct event {
	struct spinlock lock;
	struct thread *waiter;		/* lock */
	bool set;			/* lock */
};

#define EVENT_INIT { .lock = SPINLOCK_INIT(LOCK_UNRANKED) }

static void event_set(struct event *e)
{
	arch_irqflags_t flags = spin_lock_irqsave(&e->lock);

	e->set = true;
	if (e->waiter)
		sched_wake(e->waiter);
	spin_unlock_irqrestore(&e->lock, flags);
}

/* Takes the event; the status of the wait if it did not come. */
static k_status_t event_wait(struct event *e, uint32_t block_flags, uint64_t deadline)
{
	k_status_t status = K_OK;

	for (;;) {
		arch_irqflags_t flags = spin_lock_irqsave(&e->lock);

		e->waiter = NULL;
		if (e->set) {
			e->set = false;
			spin_unlock_irqrestore(&e->lock, flags);
			return K_OK;
		}
		if (status != K_OK) {
			spin_unlock_irqrestore(&e->lock, flags);
			return status;
		}
		sched_prepare(block_flags);
		e->waiter = current_thread();
		spin_unlock_irqrestore(&e->lock, flags);
		status = sched_block(deadline);
	}
}

/*
 * The machine may not be let run for any time, so what has to happen is waited for without a
 * deadline (its absence is a machine that hangs), and what has to be over soon is tried again.
 */
#define TRIES 20u

static uint64_t in_ms(uint64_t ms)
{
	return time_now_ns() + ms * NS_PER_MS;
}

/* -- threads -------------------------------------------------------------------- */

static struct event done = EVENT_INIT;
static _Atomic(uint32_t) counter;

static void count_and_exit(uint64_t last)
{
	if (atomic_fetch_add(&counter, 1) + 1 == last)
		event_set(&done);
}

SELFTEST(threads_run_and_end)
{
	atomic_store(&counter, 0);
	for (unsigned int i = 0; i < 50; i++)
		thread_spawn_kernel("count", count_and_exit, 50);
	check(event_wait(&done, 0, K_DEADLINE_NEVER) == K_OK);
	check(atomic_load(&counter) == 50);
}

/* -- blocking --------------------------------------------------------------------- */

static struct event ping = EVENT_INIT, pong = EVENT_INIT;

static void answer(uint64_t rounds)
{
	while (rounds--) {
		if (event_wait(&ping, 0, K_DEADLINE_NEVER) != K_OK)
			return;
		event_set(&pong);
	}
	event_set(&done);
}

SELFTEST(wakeups_are_not_lost)
{
	thread_spawn_kernel("answer", answer, 2000);
	for (unsigned int i = 0; i < 2000; i++) {
		event_set(&ping);
		if (!check(event_wait(&pong, 0, K_DEADLINE_NEVER) == K_OK))
			return;
	}
	check(event_wait(&done, 0, K_DEADLINE_NEVER) == K_OK);
}

SELFTEST(waits_time_out)
{
	uint64_t start, took = 0;

	for (unsigned int i = 0; i < TRIES; i++) {
		start = time_now_ns();
		check(event_wait(&done, 0, start + 5 * NS_PER_MS) == K_ERR_TIMED_OUT);
		took = time_now_ns() - start;
		check(took >= 5 * NS_PER_MS);
		if (took < 500 * NS_PER_MS)
			break;
	}
	check(took < 500 * NS_PER_MS);
	check(event_wait(&done, 0, 0) == K_ERR_TIMED_OUT);
}

static struct thread *victim;
static k_status_t victim_status;

static void wait_kickable(uint64_t flags)
{
	static struct event never = EVENT_INIT;

	victim_status = event_wait(&never, (uint32_t)flags, K_DEADLINE_NEVER);
	event_set(&done);
}

static void kick_one(uint32_t flags, void (*interrupt)(struct thread *), bool before)
{
	struct thread_params params = { .name = "victim", .fn = wait_kickable, .arg = flags };

	if (!check(thread_create(&params, &victim) == K_OK))
		return;
	if (before)
		interrupt(victim);	/* sticky: the wait that comes ends at once */
	thread_start(victim);
	if (!before) {
		sched_sleep_until(in_ms(2));
		interrupt(victim);
	}
	check(event_wait(&done, 0, K_DEADLINE_NEVER) == K_OK);
	check(victim_status == K_ERR_KICKED);
	thread_put(victim);
}

SELFTEST(kicks_end_kickable_waits)
{
	kick_one(BLOCK_KICKABLE, thread_kick, false);
	kick_one(BLOCK_KICKABLE, thread_kick, true);
	kick_one(BLOCK_KILLABLE, thread_kill, false);
	kick_one(BLOCK_KILLABLE, thread_kill, true);
}

SELFTEST(kicks_leave_other_waits_alone)
{
	thread_kick(current_thread());
	check(event_wait(&done, BLOCK_KILLABLE, in_ms(2)) == K_ERR_TIMED_OUT);
	check(event_wait(&done, BLOCK_KICKABLE, in_ms(1000)) == K_ERR_KICKED);
	check(event_wait(&done, BLOCK_KICKABLE, in_ms(2)) == K_ERR_TIMED_OUT);
}

/* -- timers ------------------------------------------------------------------------- */

#define TIMERS 20

static struct ktimer timers[TIMERS];
static uint32_t fired_order[TIMERS], fired;

static void timer_fired(struct ktimer *t)
{
	fired_order[fired++] = (uint32_t)(t - timers);
	if (fired == TIMERS)
		event_set(&done);
}

SELFTEST(timers_fire_in_order)
{
	arch_irqflags_t flags;
	uint64_t now;

	fired = 0;
	/* One CPU's heap; and none fires before all are set, however slow the machine is. */
	flags = arch_irq_save();
	now = time_now_ns();
	for (uint32_t i = 0; i < TIMERS; i++) {
		uint32_t which = i * 7 % TIMERS;

		ktimer_init(&timers[which], timer_fired);
		ktimer_set(&timers[which], now + 2 * NS_PER_MS + which * 50 * NS_PER_US, 0);
	}
	arch_irq_restore(flags);
	check(event_wait(&done, 0, K_DEADLINE_NEVER) == K_OK);
	for (uint32_t i = 0; i < TIMERS; i++)
		check(fired_order[i] == i);
}

static _Atomic(uint32_t) single_fired;

static void single_timer_fired(struct ktimer *t)
{
	atomic_fetch_add(&single_fired, 1);
}

/* A machine that was not let run for a while finds the timer fired: again, with more time. */
SELFTEST(cancelled_timers_do_not_fire)
{
	static struct ktimer t;
	uint64_t ms = 2, deadline;
	bool cancelled;

	ktimer_init(&t, single_timer_fired);
	do {
		atomic_store(&single_fired, 0);
		deadline = in_ms(ms);
		ktimer_set(&t, deadline, 0);
		cancelled = ktimer_cancel_sync(&t);
		check(!ktimer_cancel_sync(&t));
		sched_sleep_until(deadline + 2 * NS_PER_MS);
		check(atomic_load(&single_fired) == !cancelled);
		ms *= 2;
	} while (!cancelled);
}

/* -- preemption ------------------------------------------------------------------------ */

static _Atomic(bool) stop_spinning;

static void spin(uint64_t arg)
{
	while (!atomic_load_explicit(&stop_spinning, memory_order_relaxed))
		atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
	event_set(&done);
}

SELFTEST(busy_threads_share_a_cpu)
{
	struct k_sched here = { .sched_class = K_SCHED_FAIR, .weight = 1024,
				.affinity = BIT(cpu_id()) };
	uint64_t end;

	check(sched_set(current_thread(), &here) == K_OK);
	atomic_store(&stop_spinning, false);
	atomic_store(&counter, 0);
	victim = thread_spawn_kernel("spin", spin, 0);
	check(sched_set(victim, &here) == K_OK);
	/* Never blocks: only the slice timer gives the other one its turn, and us ours. */
	for (end = in_ms(20000); !atomic_load(&counter) && time_now_ns() < end;)
		;
	check(atomic_load(&counter) > 0);
	atomic_store(&stop_spinning, true);
	check(event_wait(&done, 0, K_DEADLINE_NEVER) == K_OK);
	thread_put(victim);
	here.affinity = UINT64_MAX;
	check(sched_set(current_thread(), &here) == K_OK);
}

SELFTEST(real_time_threads_go_first)
{
	struct k_sched rt = { .sched_class = K_SCHED_FIFO, .weight = 1024, .priority = 10,
			      .affinity = BIT(0) };
	struct k_sched fair = { .sched_class = K_SCHED_FAIR, .weight = 1024,
				.affinity = BIT(0) };
	uint64_t start, took = 0;

	check(sched_set(current_thread(), &fair) == K_OK);
	atomic_store(&stop_spinning, false);
	victim = thread_spawn_kernel("spin", spin, 0);
	check(sched_set(victim, &fair) == K_OK);
	check(sched_set(current_thread(), &rt) == K_OK);
	/* Woken by the timer, it does not wait for the end of the other's slice. */
	for (unsigned int i = 0; i < TRIES; i++) {
		start = time_now_ns();
		sched_sleep_until(start + 10 * NS_PER_MS);
		took = time_now_ns() - start;
		if (took < 500 * NS_PER_MS)
			break;
	}
	check(took < 500 * NS_PER_MS);
	atomic_store(&stop_spinning, true);
	check(event_wait(&done, 0, K_DEADLINE_NEVER) == K_OK);
	thread_put(victim);
	fair.affinity = UINT64_MAX;
	check(sched_set(current_thread(), &fair) == K_OK);
}

static void report_cpu(uint64_t arg)
{
	*(uint32_t *)(uintptr_t)arg = cpu_id();
	event_set(&done);
}

SELFTEST(affinity_moves_threads)
{
	for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
		struct k_sched there = { .sched_class = K_SCHED_FAIR, .weight = 1024,
					 .affinity = BIT(cpu) };
		uint32_t ran_on = UINT32_MAX;
		struct thread_params params = { .name = "there", .fn = report_cpu,
						.arg = (uint64_t)(uintptr_t)&ran_on };
		struct thread *t;

		if (!check(thread_create(&params, &t) == K_OK))
			return;
		check(sched_set(t, &there) == K_OK);
		thread_start(t);
		check(event_wait(&done, 0, K_DEADLINE_NEVER) == K_OK);
		check(ran_on == cpu);
		thread_put(t);
		/* And the caller itself, while it runs. */
		check(sched_set(current_thread(), &there) == K_OK);
		sched_yield();
		check(cpu_id() == cpu);
	}
	check(sched_set(current_thread(), &(struct k_sched){ .sched_class = K_SCHED_FAIR,
		.weight = 1024, .affinity = UINT64_MAX }) == K_OK);
}

SELFTEST(bad_parameters_are_refused)
{
	struct k_sched p = { .sched_class = K_SCHED_FIFO, .priority = 100 };

	check(sched_set(current_thread(), &p) == K_ERR_BAD_ARGUMENT);
	p = (struct k_sched){ .sched_class = 7 };
	check(sched_set(current_thread(), &p) == K_ERR_BAD_ARGUMENT);
	p = (struct k_sched){ .sched_class = K_SCHED_FAIR, .weight = 0 };
	check(sched_set(current_thread(), &p) == K_ERR_BAD_ARGUMENT);
	p = (struct k_sched){ .sched_class = K_SCHED_FAIR, .weight = 1024, .affinity = BIT(63) };
	check(sched_set(current_thread(), &p) == K_ERR_BAD_ARGUMENT);
}

/* -- mutexes ---------------------------------------------------------------------------- */

#define LOCKERS 6
#define LOCK_ROUNDS 300

static struct kmutex mutex = KMUTEX_INIT(mutex, LOCK_UNRANKED);
static uint64_t guarded;

static void lock_often(uint64_t arg)
{
	for (unsigned int i = 0; i < LOCK_ROUNDS; i++) {
		uint64_t seen;

		kmutex_lock(&mutex);
		seen = guarded;
		if (i % 16 == 0)
			sched_yield();
		guarded = seen + 1;
		kmutex_unlock(&mutex);
	}
	count_and_exit(LOCKERS);
}

SELFTEST(mutexes_exclude)
{
	atomic_store(&counter, 0);
	guarded = 0;
	for (unsigned int i = 0; i < LOCKERS; i++)
		thread_spawn_kernel("locker", lock_often, 0);
	check(event_wait(&done, 0, K_DEADLINE_NEVER) == K_OK);
	check(guarded == LOCKERS * LOCK_ROUNDS);
	check(!kmutex_is_held(&mutex));
	check(kmutex_trylock(&mutex));
	kmutex_unlock(&mutex);
}

/* -- time ------------------------------------------------------------------------------- */

SELFTEST(time_never_goes_back)
{
	uint64_t last = time_now_ns(), end = last + 20 * NS_PER_MS;

	while (last < end) {
		uint64_t now = time_now_ns();

		if (!check(now >= last))
			return;
		last = now;
		if (cpu_count > 1 && (now & 63) == 0)
			sched_yield();
	}
}
