/* SPDX-License-Identifier: MIT */
/*
 * Random decisions, see kernel/shuffle.h.
 *
 * Each CPU has a tick at random intervals, idle or not.  It sends what was put off,
 * may stand still for a while, and asks for a reschedule.
 */
#include "kernel/shuffle.h"

#include "arch/cpu.h"
#include "arch/smp.h"
#include "base/parse.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/percpu.h"
#include "kernel/sched.h"
#include "kernel/time.h"
#include "kernel/timer.h"

#define SHUFFLE_TICK_NS	500000u	/* the longest time between two ticks */
#define STANDSTILL_NS	200000u		/* the longest time that a CPU stands still */

bool shuffle_enabled;

/* The CPU's own.  An interrupt may draw in the middle of a draw: it is random all the same. */
static struct shuffle_cpu {
	_Atomic(uint64_t) state;
	uint64_t late;			/* bit per CPU to interrupt; interrupts disabled */
	struct ktimer tick;
} shuffle_cpus[MAX_CPUS];

void shuffle_configure(const char *command_line)
{
	const char *value;
	size_t length;
	uint64_t seed;

	if (!command_line_value(command_line, "sched.shuffle", &value, &length))
		return;
	if (!CONFIG_CHECKS) {
		log_line(LOG_WARNING, "sched.shuffle: this build is without checks");
		return;
	}
	if (!length || parse_u64(value, length, 0, &seed) != length) {
		log_line(LOG_WARNING, "sched.shuffle: not a number");
		return;
	}
	for (uint32_t i = 0; i < MAX_CPUS; i++)
		atomic_store_explicit(&shuffle_cpus[i].state, seed * MAX_CPUS + i,
				      memory_order_relaxed);
	shuffle_enabled = true;
	log_line(LOG_NOTICE, "the scheduler shuffles, seed %llu", (unsigned long long)seed);
}

/* splitmix64 */
uint64_t shuffle_random(void)
{
	struct shuffle_cpu *own = &shuffle_cpus[cpu_id()];
	uint64_t z = atomic_fetch_add_explicit(&own->state, 0x9e3779b97f4a7c15ull,
					       memory_order_relaxed);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

bool shuffle_one_in(uint32_t n)
{
	return shuffle_random() % n == 0;
}

void shuffle_point(void)
{
	if (shuffle_is_on() && shuffle_one_in(64))
		set_need_resched();
}

bool shuffle_puts_off(uint32_t cpu)
{
	if (!shuffle_is_on() || !shuffle_one_in(4))
		return false;
	shuffle_cpus[cpu_id()].late |= BIT(cpu);
	return true;
}

static void stand_still(void)
{
	uint64_t end = time_now_ns() + shuffle_random() % STANDSTILL_NS;

	while (time_now_ns() < end)
		arch_cpu_relax();
}

static void tick(struct ktimer *timer)
{
	struct shuffle_cpu *own = container_of(timer, struct shuffle_cpu, tick);
	uint64_t late = own->late;

	own->late = 0;
	if (shuffle_one_in(16))
		stand_still();
	arch_ipi_send_mask(late, IPI_RESCHEDULE);
	set_need_resched();
	ktimer_set(timer, time_now_ns() + shuffle_random() % SHUFFLE_TICK_NS, 0);
}

void shuffle_start_cpu(void)
{
	struct shuffle_cpu *own = &shuffle_cpus[cpu_id()];

	if (!shuffle_is_on())
		return;
	ktimer_init(&own->tick, tick);
	ktimer_set(&own->tick, time_now_ns() + SHUFFLE_TICK_NS, 0);
}
