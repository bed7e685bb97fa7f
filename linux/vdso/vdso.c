/* SPDX-License-Identifier: MIT */
/*
 * The vDSO: a small shared library that the personality maps into every program,
 * with the calls that need no privilege.  It runs as part of the program: no
 * writable data, no calls to anything outside.
 *
 * The page before the image is the kernel's clock page (struct k_clock_page).  A
 * reader takes seq, reads, and takes seq again: odd or changed means that the page
 * was being written.  Where the page says that the TSC cannot be used, and for
 * every clock that it does not have, the system call is made.
 */

#include <stdint.h>

#include "abi/types.h"

#if !defined(__x86_64__)
#error "written for x86_64 so far"
#endif

#define NSEC_PER_SEC	1000000000ull

#define NR_gettimeofday		96
#define NR_time			201
#define NR_clock_gettime	228
#define NR_clock_getres		229
#define NR_getcpu		309

#define EXPORT __attribute__((visibility("default")))
#define ALIAS(of) __attribute__((weak, alias(#of), visibility("default")))

struct timespec64 { int64_t sec, nsec; };

extern const volatile struct k_clock_page vvar_clock __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int clock, struct timespec64 *ts);
int __vdso_clock_getres(int clock, struct timespec64 *ts);
int __vdso_gettimeofday(struct timespec64 *tv, int32_t *tz);
int64_t __vdso_time(int64_t *t);
long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused);

static inline long call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline uint64_t read_tsc(void)
{
	uint32_t low, high;

	/* Not before what precedes it in program order. */
	__asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Nanoseconds of the monotonic clock, and what to add for the time of day.  0: ask the kernel. */
static inline int now(uint64_t *ns, uint64_t *offset)
{
	const volatile struct k_clock_page *p = &vvar_clock;
	uint32_t seq;
	uint64_t delta;

	do {
		seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE);
		if (!p->usable)
			return 0;
		delta = read_tsc() - p->base_tsc;
		*ns = p->base_ns + (uint64_t)((unsigned __int128)delta * p->mult >> p->shift);
		*offset = p->realtime_offset_ns;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq & 1 || seq != __atomic_load_n(&p->seq, __ATOMIC_RELAXED));
	return 1;
}

EXPORT int __vdso_clock_gettime(int clock, struct timespec64 *ts)
{
	uint64_t ns, offset;

	/* REALTIME, MONOTONIC, MONOTONIC_RAW, the coarse ones, BOOTTIME, TAI */
	if ((unsigned int)clock > 11 || !(1u << clock & 0x8f3) || !now(&ns, &offset))
		return (int)call(NR_clock_gettime, clock, (long)ts, 0);
	if (1u << clock & 0x821)	/* REALTIME, REALTIME_COARSE, TAI */
		ns += offset;
	ts->sec = (int64_t)(ns / NSEC_PER_SEC);
	ts->nsec = (int64_t)(ns % NSEC_PER_SEC);
	return 0;
}

EXPORT int __vdso_gettimeofday(struct timespec64 *tv, int32_t *tz)
{
	uint64_t ns, offset;

	if (!now(&ns, &offset))
		return (int)call(NR_gettimeofday, (long)tv, (long)tz, 0);
	ns += offset;
	if (tv) {
		tv->sec = (int64_t)(ns / NSEC_PER_SEC);
		tv->nsec = (int64_t)(ns % NSEC_PER_SEC / 1000);
	}
	if (tz)
		tz[0] = tz[1] = 0;
	return 0;
}

EXPORT int64_t __vdso_time(int64_t *t)
{
	uint64_t ns, offset;
	int64_t sec;

	if (!now(&ns, &offset))
		return call(NR_time, (long)t, 0, 0);
	sec = (int64_t)((ns + offset) / NSEC_PER_SEC);
	if (t)
		*t = sec;
	return sec;
}

EXPORT int __vdso_clock_getres(int clock, struct timespec64 *ts)
{
	return (int)call(NR_clock_getres, clock, (long)ts, 0);
}

EXPORT long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused)
{
	return call(NR_getcpu, (long)cpu, (long)node, 0);
}

int clock_gettime(int clock, struct timespec64 *ts) ALIAS(__vdso_clock_gettime);
int clock_getres(int clock, struct timespec64 *ts) ALIAS(__vdso_clock_getres);
int gettimeofday(struct timespec64 *tv, int32_t *tz) ALIAS(__vdso_gettimeofday);
int64_t time(int64_t *t) ALIAS(__vdso_time);
long getcpu(uint32_t *cpu, uint32_t *node, void *unused) ALIAS(__vdso_getcpu);
