/* SPDX-License-Identifier: MIT */
/* Our formats against the C library's. */
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>

#include "unit/unit.h"

int base_vsnprintf(char *dst, size_t size, const char *fmt, va_list args);
int scnprintf(char *dst, size_t size, const char *fmt, ...);

static void agree(size_t size, const char *fmt, ...)
{
	char want[256], got[256];
	va_list ap;
	int w, g;

	memset(want, 'x', sizeof(want));
	memset(got, 'x', sizeof(got));
	va_start(ap, fmt);
	w = vsnprintf(want, size, fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
	g = base_vsnprintf(got, size, fmt, ap);
	va_end(ap);
	if (w != g || memcmp(want, got, sizeof(got)) != 0)
		unit_fail(__FILE__, __LINE__, "\"%s\": \"%.*s\" (%d), not \"%.*s\" (%d)", fmt,
			  (int)size, got, g, (int)size, want, w);
}

TEST(formats_agree)
{
	static const char *const ints[] = { "%d", "%i", "%u", "%x", "%X", "%o", "%5d", "%-5d|",
		"%05d", "%+d", "% d", "%#x", "%#o", "%.3d", "%8.3d", "%-8.3x|", "%08x", "%.0d",
		"%hhd", "%hd", "%hhu", "%#010x", "%+5d", "%c" };
	static const char *const longs[] = { "%ld", "%lld", "%lu", "%llx", "%zu", "%zx", "%jd",
		"%020ld", "%#lx", "%lo", "%td" };
	static const long values[] = { 0, 1, -1, 9, 10, 127, 128, 255, 256, INT_MAX, INT_MIN,
		LONG_MAX, LONG_MIN, 1234567890123 };

	for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
		for (size_t i = 0; i < sizeof(ints) / sizeof(*ints); i++)
			agree(100, ints[i], (int)values[v]);
		for (size_t i = 0; i < sizeof(longs) / sizeof(*longs); i++)
			agree(100, longs[i], values[v]);
	}
	agree(100, "%s|%10s|%-10s|%.2s|%-6.3s|", "abc", "def", "ghi", "jkl", "mnopq");
	agree(100, "%*d|%-*d|%.*s|%*s", 5, 42, 6, 43, 2, "abc", -5, "x");
	agree(100, "%p %%%c%5c|%-3c|", (void *)0x1234, 'a', 'b', 'c');
	agree(100, "plain");
	agree(100, "");
	for (size_t size = 0; size < 12; size++)
		agree(size, "ab%dcd%sef", 123, "ghi");
}

TEST(scnprintf_returns_what_it_wrote)
{
	char b[4];

	CHECK_EQ(scnprintf(b, sizeof(b), "%s", "abcdef"), 3);
	CHECK_STR(b, "abc");
	CHECK_EQ(scnprintf(b, 0, "abc"), 0);
	CHECK_EQ(scnprintf(b, sizeof(b), "%s", (char *)0), 3);
	CHECK_STR(b, "(nu");
}
