/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark's rows have in common.
 *
 * A row is a function that does something `count` times.  The driver (main.c)
 * finds a count that takes long enough to measure, repeats it and prints the best
 * time per operation.  The best and not the mean: whatever else the machine does
 * only ever adds.
 *
 * Time is the processor's counter, read directly, and its frequency comes from the
 * host: so a kernel whose clock is wrong does not flatter itself, and under
 * QEMU's -icount the counter counts instructions.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct row {
	const char *name;
	const char *unit;		/* what one operation is, for the reader */
	void (*run)(uint64_t count);
	void (*prepare)(void);		/* before, or NULL: not measured */
	void (*finish)(void);		/* after, or NULL */
	uint64_t fixed_count;		/* operations in the mode that counts instructions */
	struct row *next;
};

void row_add(struct row *row);

#define ROW(id, ...)						\
	static struct row id = { __VA_ARGS__ };			\
	__attribute__((constructor)) static void add_##id(void)	\
	{							\
		row_add(&id);					\
	}

/* A benchmark whose calls fail measures nothing: say which, and stop. */
#define MUST(condition) do {							\
	if (!(condition)) {							\
		fprintf(stderr, "%s:%d: ", __FILE_NAME__, __LINE__);		\
		perror(#condition);						\
		_exit(1);							\
	}									\
} while (0)

static inline uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}
