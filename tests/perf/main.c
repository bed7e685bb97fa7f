/* SPDX-License-Identifier: MIT */
/*
 * The driver of the benchmark's rows.
 *
 *	perf [--hz TICKS] [--fixed] [ROW...]	measure rows (all, by default)
 *	perf --list				their names and units
 *	perf --measure-hz			the counter's frequency, by this system's clock
 *
 * One line per row: name, a tab, nanoseconds per operation.
 */

#include <string.h>
#include <sys/wait.h>

#include "bench.h"

#define ROUNDS		5
#define ROUND_NS	20e6

static struct row *rows, **rows_end = &rows;
static double ns_per_tick = 1;

void row_add(struct row *row)
{
	*rows_end = row;
	rows_end = &row->next;
}

static double time_ns(const struct row *row, uint64_t count)
{
	uint64_t begin = ticks();

	row->run(count);
	return (double)(ticks() - begin) * ns_per_tick;
}

/* A count that takes about ROUND_NS. */
static uint64_t calibrate(const struct row *row)
{
	uint64_t count = 1;
	double ns;

	for (;;) {
		ns = time_ns(row, count);
		if (ns >= ROUND_NS / 4)
			break;
		count *= ns < ROUND_NS / 40 ? 8 : 2;
	}
	count = (uint64_t)((double)count * ROUND_NS / ns);
	return count ? count : 1;
}

static void measure(const struct row *row, bool fixed)
{
	uint64_t count = row->fixed_count;
	double best = 0;

	if (row->prepare)
		row->prepare();
	if (fixed)
		row->run(count / 4 + 1);	/* warm up: caches of every kind */
	else
		count = calibrate(row);
	for (int round = 0; round < ROUNDS; round++) {
		double ns = time_ns(row, count) / (double)count;

		if (round == 0 || ns < best)
			best = ns;
	}
	if (row->finish)
		row->finish();
	printf("%s\t%.2f\n", row->name, best);
	fflush(stdout);
}

/* Each row in a process of its own: one that crashes or leaks disturbs no other. */
static bool measure_apart(const struct row *row, bool fixed)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		measure(row, fixed);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "%s failed\n", row->name);
		return false;
	}
	return true;
}

static double measure_hz(void)
{
	struct timespec from, to, pause = { .tv_nsec = 200 * 1000 * 1000 };
	uint64_t begin;

	clock_gettime(CLOCK_MONOTONIC, &from);
	begin = ticks();
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (double)(ticks() - begin) /
	       ((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
}

static bool wanted(const struct row *row, int argc, char **argv)
{
	if (argc == 0)
		return true;
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], row->name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	bool fixed = false, fine = true;

	argv++, argc--;
	for (; argc && argv[0][0] == '-'; argv++, argc--) {
		if (strcmp(argv[0], "--list") == 0) {
			for (const struct row *row = rows; row; row = row->next)
				printf("%s\t%s\n", row->name, row->unit);
			return 0;
		} else if (strcmp(argv[0], "--measure-hz") == 0) {
			printf("%.0f\n", measure_hz());
			return 0;
		} else if (strcmp(argv[0], "--fixed") == 0) {
			fixed = true;
		} else if (strcmp(argv[0], "--hz") == 0 && argc > 1) {
			ns_per_tick = 1e9 / atof(argv[1]);
			argv++, argc--;
		} else {
			fprintf(stderr, "perf: unknown option %s\n", argv[0]);
			return 2;
		}
	}
	for (const struct row *row = rows; row; row = row->next)
		if (wanted(row, argc, argv))
			fine = measure_apart(row, fixed) && fine;
	return fine ? 0 : 1;
}
