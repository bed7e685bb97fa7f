/* SPDX-License-Identifier: MIT */
/*
 * The log ring.
 *
 * Sequence numbers count bytes since boot; the byte with sequence s is at s modulo
 * the ring's size.  Records are whole lines, so a reader can start at any newline.
 * Invariant: oldest <= a reader's position <= end, and oldest is the start of a
 * record; adding a record moves oldest past what it overwrites.
 *
 * The early console is written under the same lock, so that lines do not mix.
 */
#include "kernel/log.h"

#include "arch/console.h"
#include "arch/smp.h"
#include "base/format.h"
#include "base/string.h"
#include "kernel/lock.h"
#include "kernel/time.h"

#define LOG_SIZE (64u << 10)	/* power of two */
#define LINE_MAX_BYTES 512u

static struct spinlock log_lock = SPINLOCK_INIT(LOCK_LOG);
static char ring[LOG_SIZE];		/* log_lock, and all below */
static uint64_t oldest, end;
static bool console_released;
static int console_level = LOG_INFO + 1;
static void (*notify)(void);
static _Atomic(bool) notify_wanted;

/* Make room for @n bytes: drop the oldest records. */
static void ring_reserve(size_t n)
{
	while (end + n - oldest > LOG_SIZE) {
		while (ring[oldest++ % LOG_SIZE] != '\n')
			;
	}
}

static void ring_add(const char *record, size_t n)
{
	ring_reserve(n);
	for (size_t i = 0; i < n; i++)
		ring[end++ % LOG_SIZE] = record[i];
}

/* Add one record; @text is cut to what fits. */
static void log_add(enum log_level level, const char *text, size_t length)
{
	char line[LINE_MAX_BYTES + 32];
	uint64_t us = time_now_ns() / NS_PER_US;
	arch_irqflags_t flags;
	size_t prefix, n;
	bool wake;

	prefix = (size_t)scnprintf(line, sizeof(line), "<%u>[%5llu.%06llu] ", (unsigned int)level,
				   (unsigned long long)(us / 1000000),
				   (unsigned long long)(us % 1000000));
	n = prefix;
	for (size_t i = 0; i < length && n < sizeof(line) - 1; i++) {
		char c = text[i];

		line[n++] = (c < ' ' && c != '\t') || c == 0x7f ? '?' : c;
	}
	line[n++] = '\n';

	flags = spin_lock_irqsave(&log_lock);
	ring_add(line, n);
	if (!console_released && (int)level < console_level)
		arch_console_write(line + 3, n - 3);
	wake = notify != NULL;
	spin_unlock_irqrestore(&log_lock, flags);

	if (wake && !atomic_exchange_explicit(&notify_wanted, true, memory_order_relaxed))
		arch_ipi_send(cpu_id(), IPI_RESCHEDULE);
}

void log_vline(enum log_level level, const char *fmt, va_list args)
{
	char text[LINE_MAX_BYTES];
	int n = vscnprintf(text, sizeof(text), fmt, args);

	log_add(level, text, (size_t)n);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vline(level, fmt, args);
	va_end(args);
}

void log_text(enum log_level level, const char *text, size_t length)
{
	while (length && text[length - 1] == '\n')
		length--;
	log_add(level, text, length < LINE_MAX_BYTES ? length : LINE_MAX_BYTES);
}

size_t log_read(uint64_t sequence, char *dst, size_t size, uint64_t *next)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);
	uint64_t s = sequence < oldest || sequence > end ? oldest : sequence;
	size_t copied = 0, n = 0;

	while (s + n < end && n < size) {
		dst[n] = ring[(s + n) % LOG_SIZE];
		if (dst[n++] == '\n')
			copied = n;
	}
	*next = s + copied;
	spin_unlock_irqrestore(&log_lock, flags);
	return copied;
}

uint64_t log_end(void)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);
	uint64_t s = end;

	spin_unlock_irqrestore(&log_lock, flags);
	return s;
}

void log_set_notify(void (*fn)(void))
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);

	notify = fn;
	spin_unlock_irqrestore(&log_lock, flags);
}

void log_run_notify(void)
{
	if (atomic_load_explicit(&notify_wanted, memory_order_relaxed) &&
	    atomic_exchange_explicit(&notify_wanted, false, memory_order_relaxed))
		notify();
}

void log_console_release(void)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);

	console_released = true;
	spin_unlock_irqrestore(&log_lock, flags);
}

void log_console_take(void)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);

	if (console_released)
		arch_console_init();
	console_released = false;
	spin_unlock_irqrestore(&log_lock, flags);
}

void log_set_console_level(int level)
{
	console_level = level;
}

void log_panic_write(const char *text, size_t length)
{
	/* The other CPUs are stopped, perhaps with the lock held. */
	arch_console_write(text, length);
	ring_add(text, length);
}

void log_panic_begin(void)
{
	if (console_released)
		arch_console_init();
	console_released = false;
	console_level = LOG_DEBUG + 1;
}
