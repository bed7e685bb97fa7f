/* SPDX-License-Identifier: MIT */
/*
 * Self-tests, run by the word "selftest" on the command line, or "selftest=NAME" for
 * those whose name begins so.
 */
#include "kernel/selftest.h"

#include "arch/power.h"
#include "base/string.h"
#include "kernel/log.h"
#include "kernel/main.h"

#define SELFTEST_STATUS_OK	0x10	/* QEMU exits with 33 */
#define SELFTEST_STATUS_FAILED	0x11	/* 35 */

static const char *current_test;
static uint32_t passed, failed;
static bool current_failed;

extern const struct selftest selftests[], selftests_end[];

void selftest_fail(const char *file, int line, const char *what)
{
	log_line(LOG_ERR, "selftest %s: %s:%d: %s", current_test, file, line, what);
	current_failed = true;
}

void selftest_run(const char *command_line)
{
	const char *only = "";
	size_t length = 0;

	(void)command_line_value(command_line, "selftest", &only, &length);
	for (const struct selftest *t = selftests; t < selftests_end; t++) {
		if (strncmp(t->name, only, length))
			continue;
		current_test = t->name;
		current_failed = false;
		t->run();
		if (current_failed)
			failed++;
		else
			passed++;
		log_line(LOG_NOTICE, "selftest %s: %s", t->name, current_failed ? "FAILED" : "ok");
	}
	log_line(LOG_NOTICE, "selftest: %u passed, %u failed", passed, failed);
	arch_power_exit(failed ? SELFTEST_STATUS_FAILED : SELFTEST_STATUS_OK);
	arch_power_off(failed ? SELFTEST_STATUS_FAILED : SELFTEST_STATUS_OK);
}
