/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdint.h>

#include "unit/unit.h"

static struct unit_test *tests, **tests_end = &tests;
static const char *current;
static int failures;
static uint64_t random_state;

void unit_register(struct unit_test *test)
{
	*tests_end = test;
	tests_end = &test->next;
}

void unit_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: %s: ", file, line, current);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	failures++;
}

uint64_t unit_random(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc == 1;
}

int main(int argc, char **argv)
{
	int ran = 0;

	for (struct unit_test *t = tests; t; t = t->next) {
		if (!wanted(t->name, argc, argv))
			continue;
		current = t->name;
		random_state = 1;
		t->run();
		ran++;
	}
	printf("%d tests, %d failures\n", ran, failures);
	return failures || !ran;
}
