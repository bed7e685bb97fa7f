/* SPDX-License-Identifier: MIT */
/*
 * Clocks (kernel/time.h).
 *
 * Monotonic time is base_ns + (cycles - base_cycles) * mult >> shift.  The
 * parameters live in the clock page, under its sequence counter, so that programs
 * and kernel compute the same; the kernel alone changes them, under time_lock.
 * Invariant: a change of parameters keeps the value at the moment of the change.
 */
#include "kernel/time.h"

#include "arch/cpu.h"
#include "kernel/lock.h"
#include "kernel/panic.h"

static union {
	struct k_clock_page clock;	/* written under time_lock, read through seq */
	uint8_t bytes[K_PAGE_SIZE];
} page __attribute__((aligned(K_PAGE_SIZE)));

static struct spinlock time_lock = SPINLOCK_INIT(LOCK_TIME);
static uint64_t cycles_khz;		/* constant after time_init() */

static uint64_t scale(uint64_t cycles, uint32_t mult, uint32_t shift)
{
	return (uint64_t)((unsigned __int128)cycles * mult >> shift);
}

static uint32_t read_begin(void)
{
	uint32_t seq;

	while ((seq = __atomic_load_n(&page.clock.seq, __ATOMIC_ACQUIRE)) & 1)
		arch_cpu_relax();
	return seq;
}

static bool read_retry(uint32_t seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&page.clock.seq, __ATOMIC_RELAXED) != seq;
}

uint64_t time_now_ns(void)
{
	const struct k_clock_page *c = &page.clock;
	uint64_t ns, cycles;
	uint32_t seq;

	do {
		seq = read_begin();
		cycles = arch_cycles();
		/* Another CPU's counter may be a few cycles behind the one that set the base. */
		cycles = cycles > c->base_tsc ? cycles - c->base_tsc : 0;
		ns = c->base_ns + scale(cycles, c->mult, c->shift);
	} while (unlikely(read_retry(seq)));
	return ns;
}

uint64_t time_realtime_ns(void)
{
	return time_now_ns() + __atomic_load_n(&page.clock.realtime_offset_ns, __ATOMIC_RELAXED);
}

static void write_begin(void)
{
	__atomic_store_n(&page.clock.seq, page.clock.seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void write_end(void)
{
	__atomic_store_n(&page.clock.seq, page.clock.seq + 1, __ATOMIC_RELEASE);
}

void time_set_realtime_ns(uint64_t ns)
{
	arch_irqflags_t flags = spin_lock_irqsave(&time_lock);
	uint64_t offset = ns - time_now_ns();

	write_begin();
	__atomic_store_n(&page.clock.realtime_offset_ns, offset, __ATOMIC_RELAXED);
	write_end();
	spin_unlock_irqrestore(&time_lock, flags);
}

struct k_clock_page *time_clock_page(void)
{
	return &page.clock;
}

uint64_t time_cycles_to_ns(uint64_t cycles)
{
	return scale(cycles, page.clock.mult, page.clock.shift);
}

uint64_t time_ns_to_cycles(uint64_t ns)
{
	return arch_mul_div(ns, cycles_khz, 1000000);
}

uint64_t time_cycles_khz(void)
{
	return cycles_khz;
}

/* The largest shift for which mult fits 32 bits. */
static void rate_set(struct k_clock_page *c, uint64_t khz)
{
	c->shift = 32;
	while ((NS_PER_MS << c->shift) / khz > UINT32_MAX)
		c->shift--;
	c->mult = (uint32_t)((NS_PER_MS << c->shift) / khz);
}

void time_init(uint64_t khz, uint64_t realtime_ns)
{
	kassert(khz);
	cycles_khz = khz;
	rate_set(&page.clock, khz);
	page.clock.base_tsc = arch_cycles();
	page.clock.base_ns = 0;
	page.clock.realtime_offset_ns = realtime_ns;
	page.clock.usable = 1;
}

void time_adjust_rate(uint64_t khz)
{
	arch_irqflags_t flags = spin_lock_irqsave(&time_lock);
	struct k_clock_page *c = &page.clock;
	uint64_t cycles = arch_cycles();

	write_begin();
	c->base_ns += scale(cycles - c->base_tsc, c->mult, c->shift);
	c->base_tsc = cycles;
	rate_set(c, khz);
	cycles_khz = khz;
	write_end();
	spin_unlock_irqrestore(&time_lock, flags);
}

void time_delay_ns(uint64_t ns)
{
	uint64_t start = arch_cycles(), cycles = time_ns_to_cycles(ns);

	while (arch_cycles() - start < cycles)
		arch_cpu_relax();
}
