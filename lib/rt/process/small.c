/* SPDX-License-Identifier: MIT */
/* Waiting, log, time, random: one kernel call each, or less. */
#include "abi/calls.h"
#include "base/format.h"
#include "base/string.h"
#include "base/util.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "rt/random.h"
#include "rt/time.h"

/* -- waiting ---------------------------------------------------------------------- */

k_status_t rt_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns,
		   bool interruptible)
{
	return k_wait(0, (uint64_t)word, expected, K_WAIT_ANY_BITS, deadline_ns,
		      interruptible ? K_WAIT_INTERRUPTIBLE : 0);
}

void rt_wake(_Atomic(uint32_t) *word, uint32_t count)
{
	uint64_t woken;

	(void)!k_wake(0, (uint64_t)word, count, K_WAIT_ANY_BITS, 0, &woken);
}

/* -- log --------------------------------------------------------------------------- */

enum { LINE = 512 };

void rt_log(int level, const char *fmt, ...)
{
	char line[LINE];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vscnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	(void)!k_log_write((uint32_t)level, line, (uint64_t)n);
}

/* An illegal instruction, not an exit: the kernel keeps registers and backtrace. */
void rt_panic(const char *fmt, ...)
{
	char line[LINE];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vscnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	(void)!k_log_write(RT_LOG_CRIT, line, (uint64_t)n);
	__builtin_trap();
}

/* -- time ---------------------------------------------------------------------------- */

static _Atomic(const struct k_clock_page *) clock_page;

static const struct k_clock_page *clock_page_map(void)
{
	k_handle_t memory;
	void *page;

	if (k_clock_page(&memory) != K_OK)
		return NULL;
	if (rt_map(memory, 0, K_PAGE_SIZE, K_PROT_READ, &page) != K_OK)
		page = NULL;
	rt_close(memory);
	if (page)	/* two threads may both map it: harmless, one stays unused */
		atomic_store_explicit(&clock_page, page, memory_order_release);
	return page;
}

/* Monotonic time, and what has to be added for real time; false: make the call. */
static bool read_clock(uint64_t *ns, uint64_t *offset)
{
	const struct k_clock_page *p = atomic_load_explicit(&clock_page, memory_order_acquire);
	uint32_t seq;

	if (!p && !(p = clock_page_map()))
		return false;
	do {
		seq = READ_ONCE(p->seq);
		atomic_thread_fence(memory_order_acquire);
		if (!p->usable)
			return false;
		*ns = p->base_ns + (((__builtin_ia32_rdtsc() - p->base_tsc) * (__uint128_t)p->mult) >>
				    p->shift);
		*offset = p->realtime_offset_ns;
		atomic_thread_fence(memory_order_acquire);
	} while ((seq & 1) || READ_ONCE(p->seq) != seq);
	return true;
}

uint64_t rt_now_ns(void)
{
	uint64_t ns = 0, offset;

	if (!read_clock(&ns, &offset))
		(void)!k_clock_read(K_CLOCK_MONOTONIC, &ns);
	return ns;
}

uint64_t rt_realtime_ns(void)
{
	uint64_t ns = 0, offset = 0;

	if (read_clock(&ns, &offset))
		return ns + offset;
	(void)!k_clock_read(K_CLOCK_REALTIME, &ns);
	return ns;
}

/* -- random ---------------------------------------------------------------------------- */

void rt_random(void *dst, size_t n)
{
	if (k_random(dst, n) != K_OK)
		rt_panic("no random numbers for %p", dst);
}
