/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU timer heaps (kernel/timer.h).
 *
 * The event timer is only moved to an earlier time, or from an interrupt: most
 * timeouts are cancelled before they pass, and a needless interrupt now and then
 * is cheaper than programming the timer at each cancellation.
 */
#include "kernel/timer.h"

#include "arch/cpu.h"
#include "arch/smp.h"
#include "arch/time.h"
#include "kernel/lock.h"
#include "kernel/percpu.h"
#include "kernel/time.h"

struct timer_queue {
	struct spinlock lock;		/* rank LOCK_TIMER; interrupts disabled */
	struct heap heap;		/* lock, by deadline */
	uint64_t programmed_ns;		/* lock; when the event timer will interrupt; MAX: never */
	struct ktimer *running;		/* lock; whose function runs now */
};

static bool timer_less(const struct heap_node *a, const struct heap_node *b)
{
	return container_of(a, struct ktimer, node)->deadline_ns <
	       container_of(b, struct ktimer, node)->deadline_ns;
}

static struct timer_queue queues[MAX_CPUS] = {
	[0 ... MAX_CPUS - 1] = {
		.lock = SPINLOCK_INIT(LOCK_TIMER),
		.heap = HEAP_INIT(timer_less),
		.programmed_ns = UINT64_MAX,
	},
};

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *t))
{
	t->fn = fn;
	t->armed = false;
	atomic_init(&t->cpu, 0);
}

static struct timer_queue *lock_queue_of(struct ktimer *t)
{
	for (;;) {
		uint32_t cpu = atomic_load_explicit(&t->cpu, memory_order_relaxed);

		spin_lock_irqoff(&queues[cpu].lock);
		if (cpu == atomic_load_explicit(&t->cpu, memory_order_relaxed))
			return &queues[cpu];
		spin_unlock_irqoff(&queues[cpu].lock);
	}
}

/* The event timer is this CPU's own: @q is its queue, locked. */
static void program(struct timer_queue *q, uint64_t ns)
{
	q->programmed_ns = ns;
	arch_timer_set(ns);
}

void ktimer_set(struct ktimer *t, uint64_t deadline_ns, uint64_t slack_ns)
{
	arch_irqflags_t flags = arch_irq_save();
	struct timer_queue *q;

	(void)ktimer_cancel(t);
	q = &queues[cpu_id()];
	spin_lock_irqoff(&q->lock);
	t->deadline_ns = deadline_ns + slack_ns < deadline_ns ? UINT64_MAX - 1 :
							       deadline_ns + slack_ns;
	atomic_store_explicit(&t->cpu, cpu_id(), memory_order_relaxed);
	t->armed = true;
	heap_insert(&q->heap, &t->node);
	if (t->deadline_ns < q->programmed_ns)
		program(q, t->deadline_ns);
	spin_unlock_irqoff(&q->lock);
	arch_irq_restore(flags);
}

bool ktimer_cancel(struct ktimer *t)
{
	arch_irqflags_t flags = arch_irq_save();
	struct timer_queue *q = lock_queue_of(t);
	bool armed = t->armed;

	if (armed) {
		heap_remove(&q->heap, &t->node);
		t->armed = false;
	}
	spin_unlock_irqoff(&q->lock);
	arch_irq_restore(flags);
	return armed;
}

bool ktimer_cancel_sync(struct ktimer *t)
{
	bool armed = false;

	for (;;) {
		arch_irqflags_t flags = arch_irq_save();
		struct timer_queue *q = lock_queue_of(t);
		bool running = q->running == t;

		if (t->armed) {
			heap_remove(&q->heap, &t->node);
			t->armed = false;
			armed = true;
		}
		spin_unlock_irqoff(&q->lock);
		arch_irq_restore(flags);
		if (!running)
			return armed;
		arch_cpu_relax();
	}
}

void timer_interrupt(void)
{
	struct timer_queue *q = &queues[cpu_id()];
	struct heap_node *first;

	spin_lock_irqoff(&q->lock);
	q->programmed_ns = UINT64_MAX;
	while ((first = heap_first(&q->heap))) {
		struct ktimer *t = container_of(first, struct ktimer, node);

		if (t->deadline_ns > time_now_ns())
			break;
		heap_pop(&q->heap);
		t->armed = false;
		q->running = t;
		spin_unlock_irqoff(&q->lock);
		t->fn(t);
		spin_lock_irqoff(&q->lock);
		q->running = NULL;
	}
	first = heap_first(&q->heap);
	if (first) {
		uint64_t next = container_of(first, struct ktimer, node)->deadline_ns;

		if (next < q->programmed_ns)
			program(q, next);
	}
	spin_unlock_irqoff(&q->lock);
}
