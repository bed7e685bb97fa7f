/* SPDX-License-Identifier: MIT */
/* What there is to say of components that ended: on the log, and kept for those who ask later. */
#include "base/format.h"
#include "base/string.h"
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"

enum { MEMORY = 32 * 1024, LINE = 300 };

/* A ring of whole lines: bytes [first, end) counted since the start. */
static char memory[MEMORY];
static uint64_t first, end;

static void keep(const char *text, size_t n)
{
	while (end + n - first > MEMORY)
		while (memory[first++ % MEMORY] != '\n')
			;
	for (size_t i = 0; i < n; i++)
		memory[end++ % MEMORY] = text[i];
}

void report(int level, const char *fmt, ...)
{
	char text[LINE], line[LINE + 24];
	uint64_t now = 0;
	va_list args;
	int n;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	rt_log(level, "%s", text);
	(void)!k_clock_read(K_CLOCK_MONOTONIC, &now);
	n = scnprintf(line, sizeof(line), "[%5lu.%06lu] %s\n", now / 1000000000,
		      now / 1000 % 1000000, text);
	keep(line, (size_t)n);
}

size_t report_read(uint64_t *at, char *text, size_t size)
{
	uint64_t s = *at < first || *at > end ? first : *at;
	size_t whole = 0;

	for (size_t n = 0; s + n < end && n < size;) {
		text[n] = memory[(s + n) % MEMORY];
		if (text[n++] == '\n')
			whole = n;
	}
	*at = s + whole;
	return whole;
}
