/* SPDX-License-Identifier: MIT */
#include "kernel/selftest.h"

#include "abi/status.h"
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

SELFTEST(log_lines_of_a_console_given_away_come_one_by_one)
{
	char line[K_LOG_LINE_MAX];
	k_status_t st[4];
	size_t n[4], m;
	uint64_t out;
	bool due[4];

	log_console_release();
	log_line(LOG_DEBUG, "not for the console");
	due[0] = log_console_is_due(&out);
	log_line(LOG_ERR, "for the console");
	due[1] = log_console_is_due(&out);
	st[0] = log_console_next(line, 4, &m);
	st[1] = log_console_next(line, sizeof(line), &n[1]);
	line[n[1] < sizeof(line) ? n[1] : 0] = '\0';
	due[2] = log_console_is_due(&out);	/* it may not be out yet */
	st[2] = log_console_next(line + n[1], sizeof(line) - n[1], &n[2]);
	/* Another look finds nothing either, and the kernel prints what is added later. */
	st[3] = log_console_next(line + n[1], sizeof(line) - n[1], &n[3]);
	due[3] = log_console_is_due(&out);
	log_console_take();
	check(!due[0] && due[1] && due[2] && !due[3]);
	check(st[0] == K_ERR_TOO_BIG && m == 0);
	check(st[1] == K_OK && line[0] == '[' && strstr(line, "] for the console\n"));
	check(st[2] == K_ERR_SHOULD_WAIT && n[2] == 0);
	check(st[3] == K_ERR_SHOULD_WAIT && n[3] == 0);
}

SELFTEST(log_lines_that_were_overwritten_are_counted)
{
	char line[K_LOG_LINE_MAX], text[400];
	k_status_t st;
	size_t n;

	memset(text, 'x', sizeof(text));
	log_console_release();
	for (unsigned int i = 0; i < 200; i++)
		log_text(LOG_ERR, text, sizeof(text));
	st = log_console_next(line, sizeof(line), &n);
	line[n < sizeof(line) ? n : 0] = '\0';
	check(log_console_is_behind());
	log_console_release();		/* as if all were printed: they are of no interest */
	log_console_take();
	check(st == K_OK && strstr(line, "log lines lost **\n") && line[n - 1] == '\n');
}
