/* SPDX-License-Identifier: MIT */
#include "kernel/selftest.h"

#include "base/string.h"
#include "kernel/log.h"

SELFTEST(log_gives_back_whole_lines)
{
	char text[128];
	uint64_t start = log_end(), next;
	size_t n;

	log_line(LOG_DEBUG, "one");
	log_text(LOG_DEBUG, "two\x01\n", 5);
	n = log_read(start, text, sizeof(text) - 1, &next);
	text[n] = '\0';
	check(n > 0 && text[n - 1] == '\n' && next == start + n);
	check(strstr(text, "one\n") != NULL);
	check(strstr(text, "two?\n") != NULL);
	/* No part of a line. */
	check(log_read(start, text, 5, &next) == 0 && next == start);
	check(log_read(log_end(), text, sizeof(text), &next) == 0);
}
