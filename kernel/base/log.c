/* SPDX-License-Identifier: MIT */
/*
 * The log ring.
 *
 * Sequence numbers count bytes since boot; the byte with sequence s is at s modulo
 * the ring's size.  Records are whole lines, so a reader can start at any newline.
 * Invariant: oldest <= a reader's position <= end, and oldest is the start of a
 * record; adding a record moves oldest past what it overwrites.
 *
 * The early console is written under the same lock, so that lines do not mix.  Once
 * it is given away (device/console.c), whoever has it fetches lines one by one.
 * Further invariant: printed <= end, and every line of the console's level that ends
 * at or before printed is out; those that were overwritten before count as lost.
 */
#include "kernel/log.h"

#include "abi/status.h"
#include "arch/console.h"
#include "arch/smp.h"
#include "base/format.h"
#include "base/string.h"
#include "kernel/lock.h"
#include "kernel/time.h"

#define LOG_SIZE (64u << 10)	/* power of two */
#define LINE_MAX_BYTES 512u	/* of text */
#define LEVEL_TAG 3u		/* "<6>" before each record */

_Static_assert(K_LOG_LINE_MAX >= LINE_MAX_BYTES + 32, "text, level, time, newline");

static struct spinlock log_lock = SPINLOCK_INIT(LOCK_LOG);
static char ring[LOG_SIZE];		/* log_lock, and all below */
static uint64_t oldest, end;
static bool console_released;
static bool within_line;		/* whoever had the console may have stopped within one */
static uint64_t printed;		/* what is known to be on the console */
static uint64_t fetched;		/* printed <= fetched: end of the line being printed */
static uint32_t lost;			/* lines that were overwritten unprinted */
static int console_level = LOG_INFO + 1;
static void (*notify)(void);
static _Atomic(bool) notify_wanted;

static bool is_due(uint64_t record)
{
	return ring[(record + 1) % LOG_SIZE] - '0' < console_level;
}

/* Only what is really printed ends a driver's line: its successor goes on there. */
static void print_line(const char *line, size_t n)
{
	if (within_line)
		arch_console_write("\n", 1);
	within_line = false;
	arch_console_write(line, n);
}

/* Make room for @n bytes: drop the oldest records. */
static void ring_reserve(size_t n)
{
	while (end + n - oldest > LOG_SIZE) {
		lost += console_released && oldest >= fetched && is_due(oldest);
		while (ring[oldest++ % LOG_SIZE] != '\n')
			;
	}
	printed = MAX(printed, oldest);
	fetched = MAX(fetched, oldest);
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
	char line[K_LOG_LINE_MAX];
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
	if (!console_released) {
		if ((int)level < console_level)
			print_line(line + LEVEL_TAG, n - LEVEL_TAG);
		printed = end;
	}
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

/* -- the console given away -------------------------------------------------------------------- */

/*
 * The next line that is due, from fetched on, without its level; fetched is behind it
 * then.  0: there is none.  @size is enough for every line, or TOO_BIG below.
 */
static size_t fetch(char *dst, size_t size, size_t *needed)
{
	size_t n = 0;

	while (fetched < end && !is_due(fetched))
		while (ring[fetched++ % LOG_SIZE] != '\n')
			;
	if (fetched == end)
		return 0;
	for (uint64_t s = fetched + LEVEL_TAG; !n || ring[(s - 1) % LOG_SIZE] != '\n'; s++) {
		if (n < size)
			dst[n] = ring[s % LOG_SIZE];
		n++;
	}
	*needed = n;
	if (n > size)
		return 0;
	fetched += LEVEL_TAG + n;
	return n;
}

static size_t say_lost(char *dst, size_t size)
{
	size_t n = (size_t)scnprintf(dst, size, "** %u log lines lost **\n", lost);

	lost = 0;
	return n;
}

k_status_t log_console_next(char *line, size_t size, size_t *length)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);
	size_t needed = 0;

	printed = fetched;
	*length = lost ? say_lost(line, size) : fetch(line, size, &needed);
	spin_unlock_irqrestore(&log_lock, flags);
	if (*length)
		return K_OK;
	return needed ? K_ERR_TOO_BIG : K_ERR_SHOULD_WAIT;
}

bool log_console_is_behind(void)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);
	bool behind = console_released && end - printed > LOG_SIZE / 2;

	spin_unlock_irqrestore(&log_lock, flags);
	return behind;
}

bool log_console_is_due(uint64_t *out)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);
	uint64_t s = printed;
	bool due;

	while (s < end && !is_due(s))
		while (ring[s++ % LOG_SIZE] != '\n')
			;
	due = console_released && (s < end || lost);
	*out = printed;
	spin_unlock_irqrestore(&log_lock, flags);
	return due;
}

/* The kernel prints again.  Its caller holds the lock, or is alone in the machine. */
static void take_back(void)
{
	char line[K_LOG_LINE_MAX];
	size_t n, needed;

	if (!console_released)
		return;
	console_released = false;
	arch_console_resume();
	fetched = printed;
	within_line = true;
	if (lost)
		print_line(line, say_lost(line, sizeof(line)));
	while ((n = fetch(line, sizeof(line), &needed)))
		print_line(line, n);
	printed = end;
}

void log_console_release(void)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);

	console_released = true;
	within_line = false;
	printed = fetched = end;
	spin_unlock_irqrestore(&log_lock, flags);
}

void log_console_take(void)
{
	arch_irqflags_t flags = spin_lock_irqsave(&log_lock);

	take_back();
	spin_unlock_irqrestore(&log_lock, flags);
}

void log_set_console_level(int level)
{
	console_level = level;
}

/* -- the others are stopped, perhaps with the lock held ------------------------------------------ */

void log_last_words(void)
{
	take_back();
}

void log_panic_begin(void)
{
	take_back();
	console_level = LOG_DEBUG + 1;
}

void log_panic_write(const char *text, size_t length)
{
	print_line(text, length);
	ring_add(text, length);
}
