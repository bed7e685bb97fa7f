/* SPDX-License-Identifier: MIT */
/*
 * The rate of the time-stamp counter and of the local APIC's timer, and the
 * board's clock.
 *
 * Boot must be short, so the first measurement takes about two milliseconds, or
 * none where the processor or the hypervisor tells the rate.  A second one, over a
 * hundred milliseconds of the ACPI timer and without anybody waiting for it, makes
 * it exact.  The first one's reference is, in this order: the local APIC's timer
 * under QEMU's emulation, which is exactly 1 GHz there; the ACPI timer; the 8254.
 */
#include "x86.h"

#include "arch/cpu.h"
#include "arch/io.h"
#include "arch/time.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time.h"
#include "kernel/timer.h"

#define PIT_HZ		1193182u
#define PM_TIMER_HZ	3579545u
#define EMULATED_APIC_KHZ 1000000u

#define FIRST_NS	(2 * NS_PER_MS)
#define REFINE_NS	(100 * NS_PER_MS)

/* -- references: a count that grows, its rate, its range ------------------------- */

static uint64_t apic_count(void)
{
	return UINT32_MAX - x86_apic_timer_count();
}

static uint64_t pm_timer_count(void)
{
	return arch_port_read32(x86_acpi_power()->pm_timer) & 0xffffff;
}

/* Channel 2 counts down from 0xffff once its gate is open; the speaker stays off. */
static void pit_start(void)
{
	arch_port_write8(0x61, (arch_port_read8(0x61) & ~3) | 1);
	arch_port_write8(0x43, 0xb0);
	arch_port_write8(0x42, 0xff);
	arch_port_write8(0x42, 0xff);
}

static uint64_t pit_count(void)
{
	uint8_t low;

	arch_port_write8(0x43, 0x80);	/* latch */
	low = arch_port_read8(0x42);
	return 0xffff - (low | (uint64_t)arch_port_read8(0x42) << 8);
}

static struct reference {
	const char *name;		/* for the log */
	uint64_t (*count)(void);
	uint64_t hz, mask;
} reference;

static void choose_reference(void)
{
	if (x86_features.tcg && !x86_features.tsc_deadline) {
		reference = (struct reference){ "APIC timer", apic_count,
						EMULATED_APIC_KHZ * 1000ull, UINT32_MAX };
		x86_apic_timer_start(UINT32_MAX);
	} else if (x86_acpi_power()->pm_timer) {
		reference = (struct reference){ "ACPI timer", pm_timer_count, PM_TIMER_HZ,
						0xffffff };
	} else {
		reference = (struct reference){ "8254", pit_count, PIT_HZ, 0xffff };
		pit_start();
	}
}

/* A count of the reference and the cycles at the same moment: the tightest of a few tries. */
struct sample {
	uint64_t count, cycles;
};

static struct sample take_sample(void)
{
	struct sample best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < 5; i++) {
		uint64_t before = arch_cycles(), count = reference.count(), after = arch_cycles();

		if (after - before < least) {
			least = after - before;
			best = (struct sample){ count, before + (after - before) / 2 };
		}
	}
	return best;
}

static uint64_t khz_between(const struct sample *a, const struct sample *b)
{
	uint64_t counts = (b->count - a->count) & reference.mask;

	return counts ? arch_mul_div(b->cycles - a->cycles, reference.hz, counts) / 1000 : 0;
}

/* -- the better measurement ------------------------------------------------------- */

static struct sample refine_from;
static struct ktimer refine_timer;

static void refine(struct ktimer *t)
{
	struct sample now = take_sample();
	uint64_t khz = khz_between(&refine_from, &now);
	uint64_t old = time_cycles_khz();

	/* A guest that was stopped in between would see nonsense. */
	if (khz > old - old / 64 && khz < old + old / 64)
		time_adjust_rate(khz);
}

/* The APIC's timer is in use and the 8254 wraps too soon: only with the ACPI timer. */
static void refine_start(void)
{
	if (!x86_acpi_power()->pm_timer)
		return;
	reference = (struct reference){ "ACPI timer", pm_timer_count, PM_TIMER_HZ, 0xffffff };
	refine_from = take_sample();
	ktimer_init(&refine_timer, refine);
	ktimer_set(&refine_timer, time_now_ns() + REFINE_NS, 0);
}

/* -- the first measurement --------------------------------------------------------- */

static uint64_t measure(void)
{
	uint64_t counts = reference.hz * FIRST_NS / NS_PER_SEC;
	struct sample first, second;

	first = take_sample();
	/* A dead reference must not hang the boot: some seconds of any TSC. */
	for (uint64_t start = arch_cycles(); arch_cycles() - start < 1ull << 34;) {
		if (((reference.count() - first.count) & reference.mask) >= counts)
			break;
		arch_cpu_relax();
	}
	second = take_sample();
	return khz_between(&first, &second);
}

/* What CPUID says, or 0. */
static uint64_t khz_from_cpuid(void)
{
	struct x86_cpuid r;

	if (x86_features.hypervisor && x86_features.hypervisor_leaf >= 0x40000010 &&
	    !x86_features.tcg)
		return x86_cpuid(0x40000010, 0).eax;
	if (x86_features.max_leaf < 0x15)
		return 0;
	r = x86_cpuid(0x15, 0);
	return r.eax && r.ebx && r.ecx ? (uint64_t)r.ecx * r.ebx / r.eax / 1000 : 0;
}

/* -- the board's clock ------------------------------------------------------------ */

static uint8_t cmos(uint8_t reg)
{
	arch_port_write8(0x70, reg | 0x80);
	return arch_port_read8(0x71);
}

static unsigned int decimal(uint8_t v, bool bcd)
{
	return bcd ? (v >> 4) * 10u + (v & 15u) : v;
}

/* Days from 1970-01-01 to the given date of the Gregorian calendar. */
static int64_t days_from_date(int64_t year, unsigned int month, unsigned int day)
{
	/* Years from March on, so that the leap day is the last one. */
	int64_t y = year - (month <= 2);
	int64_t m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

uint64_t arch_rtc_seconds(void)
{
	uint8_t t[6], again[6];
	static const uint8_t regs[6] = { 0x00, 0x02, 0x04, 0x07, 0x08, 0x09 };
	bool bcd, pm;
	int64_t days;
	unsigned int hour;

	if (cmos(0x0a) == 0xff)
		return 0;	/* no clock */
	/* Twice the same: not in the middle of an update. */
	for (unsigned int tries = 0; tries < 4; tries++) {
		bool same = true;

		for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
			t[i] = cmos(regs[i]);
		for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
			again[i] = cmos(regs[i]);
			same &= again[i] == t[i];
		}
		if (same)
			break;
	}
	bcd = !(cmos(0x0b) & 4);
	pm = !(cmos(0x0b) & 2) && (t[2] & 0x80);
	hour = decimal(t[2] & 0x7f, bcd);
	if (!(cmos(0x0b) & 2))
		hour = hour % 12 + (pm ? 12 : 0);
	days = days_from_date(2000 + decimal(t[5], bcd), decimal(t[4], bcd), decimal(t[3], bcd));
	return (uint64_t)(((days * 24 + hour) * 60 + decimal(t[1], bcd)) * 60 + decimal(t[0], bcd));
}

/* -- start ---------------------------------------------------------------------------- */

/* Count APIC timer ticks over some cycles of known rate. */
static uint64_t measure_apic(uint64_t khz)
{
	uint64_t start, cycles = khz, ticks;	/* one millisecond */

	x86_apic_timer_start(UINT32_MAX);
	start = arch_cycles();
	while (arch_cycles() - start < cycles)
		arch_cpu_relax();
	ticks = UINT32_MAX - x86_apic_timer_count();
	return ticks ? ticks : 1;
}

void x86_clock_init(void)
{
	uint64_t khz = khz_from_cpuid();

	if (!khz) {
		choose_reference();
		khz = measure();
	}
	if (!khz)
		panic("the time-stamp counter does not count");
	log_line(LOG_DEBUG, "clock: %llu kHz by %s", (unsigned long long)khz,
		 reference.name ? reference.name : "CPUID");
	time_init(khz, arch_rtc_seconds() * NS_PER_SEC);
	if (x86_features.tcg)
		x86_apic_timer_rate(EMULATED_APIC_KHZ);
	else if (!x86_features.tsc_deadline)
		x86_apic_timer_rate(measure_apic(khz));
	refine_start();
}
