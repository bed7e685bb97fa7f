/* SPDX-License-Identifier: MIT */
/*
 * Unit tests on the host.  A test is a function defined with TEST(name) in any
 * source of the program; it registers itself.  The program runs all of them, or
 * those named on its command line, prints what failed, and exits with 1 if
 * something did.  CHECK goes on after a failure, REQUIRE leaves the test.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_test {
	const char *name;
	void (*run)(void);
	struct unit_test *next;
};

void unit_register(struct unit_test *test);
void unit_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A repeatable pseudo-random number, the same sequence in each test. */
uint64_t unit_random(void);

#define TEST(test_name)                                                                            \
	static void test_name(void);                                                               \
	static struct unit_test test_name##_unit = { #test_name, test_name, 0 };                   \
	__attribute__((constructor)) static void test_name##_register(void)                        \
	{                                                                                          \
		unit_register(&test_name##_unit);                                                  \
	}                                                                                          \
	static void test_name(void)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			unit_fail(__FILE__, __LINE__, "%s", #cond);                                \
	} while (0)

#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			unit_fail(__FILE__, __LINE__, "%s", #cond);                                \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		long long a_ = (long long)(a), b_ = (long long)(b);                                \
		if (a_ != b_)                                                                      \
			unit_fail(__FILE__, __LINE__, "%s is %lld, not %s = %lld", #a, a_, #b, b_); \
	} while (0)

#define CHECK_STR(a, b)                                                                            \
	do {                                                                                       \
		const char *a_ = (a), *b_ = (b);                                                   \
		if (strcmp(a_, b_) != 0)                                                           \
			unit_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #a, a_, b_);     \
	} while (0)
