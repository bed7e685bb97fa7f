/* SPDX-License-Identifier: MIT */
/*
 * Self-tests inside the kernel: SELFTEST(name) { ... check(condition); ... }
 * They run one after the other in a kernel thread, and may sleep.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct selftest {
	const char *name;
	void (*run)(void);
};

void selftest_fail(const char *file, int line, const char *what);

/* Goes on after a failure; true if the condition holds. */
#define check(cond) \
	((cond) ? true : (selftest_fail(__FILE_NAME__, __LINE__, #cond), false))

#define SELFTEST(test_name) \
	static void selftest_##test_name(void); \
	static const struct selftest selftest_entry_##test_name \
		__attribute__((used, section(".selftests"), aligned(16))) = { #test_name, selftest_##test_name }; \
	static void selftest_##test_name(void)
