/* SPDX-License-Identifier: MIT */
/*
 * The load of a disk: WORKERS threads, each in a part of the disk of its own, past all caches.
 *
 * version[] says of each block which write of it was acknowledged last.  A write that failed may have
 * happened or not: its blocks are in doubt (attempt[] is what they may hold, too) until they are
 * written again.  Both belong to the block's worker during a round, else to the main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

enum { SHARE = BLOCKS / WORKERS, LONGEST = 32, STEPS = 3, PATIENCE_S = 60 };

struct worker {
	pthread_t thread;
	sem_t go;
	uint32_t first;			/* block of its part */
	uint64_t random;
	uint8_t *buffer;
	struct result result;		/* of the round */
};

static struct worker workers[WORKERS];
static sem_t done;
static int disk;
static uint8_t *whole;			/* the disk's size */
static uint32_t version[BLOCKS], attempt[BLOCKS];	/* attempt 0: no doubt */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One transfer or flush (@n 0); false, and counted: it failed. */
static bool timed(struct result *r, bool write, void *buffer, uint32_t block, uint32_t n)
{
	uint64_t begin = now_ns(), took;
	ssize_t wanted = (ssize_t)n * SECTOR, got;

	if (!n)
		got = fsync(disk);
	else if (write)
		got = pwrite(disk, buffer, (size_t)wanted, (off_t)block * SECTOR);
	else
		got = pread(disk, buffer, (size_t)wanted, (off_t)block * SECTOR);
	took = now_ns() - begin;
	if (took > r->stall_ns)
		r->stall_ns = took;
	if (got == wanted)
		return true;
	r->errors++;
	return false;
}

static void write_blocks(struct result *r, uint8_t *buffer, uint32_t block, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t b = block + i, last = attempt[b] > version[b] ? attempt[b] : version[b];

		attempt[b] = last + 1;
		block_fill(buffer + i * SECTOR, b, attempt[b]);
	}
	if (!timed(r, true, buffer, block, n))
		return;
	for (uint32_t i = 0; i < n; i++) {
		version[block + i] = attempt[block + i];
		attempt[block + i] = 0;
	}
}

/* The block holds what was acknowledged, or what may have come of a write that was not. */
static bool is_right(const void *data, uint32_t b)
{
	return block_is(data, b, version[b]) || (attempt[b] && block_is(data, b, attempt[b]));
}

static void read_blocks(struct result *r, uint8_t *buffer, uint32_t block, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		block_fill(buffer + i * SECTOR, UINT32_MAX, 0);
	if (!timed(r, false, buffer, block, n))
		return;
	for (uint32_t i = 0; i < n; i++)
		r->wrong += !is_right(buffer + i * SECTOR, block + i);
}

/* Some blocks of the worker's part. */
static void choose(struct worker *w, uint32_t *block, uint32_t *n)
{
	*n = 1 + (uint32_t)(next_random(&w->random) % LONGEST);
	*block = w->first + (uint32_t)(next_random(&w->random) % (SHARE - *n));
}

static void work(struct worker *w)
{
	uint32_t block, n;

	for (int i = 0; i < STEPS; i++) {
		choose(w, &block, &n);
		write_blocks(&w->result, w->buffer, block, n);
		if (i % 2)
			timed(&w->result, true, NULL, 0, 0);
		read_blocks(&w->result, w->buffer, block, n);
		choose(w, &block, &n);
		read_blocks(&w->result, w->buffer, block, n);
	}
	timed(&w->result, true, NULL, 0, 0);
}

__attribute__((noreturn)) static void *worker_main(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		while (sem_wait(&w->go))
			;
		work(w);
		sem_post(&done);
	}
}

static void *buffer_make(size_t n)
{
	void *p = NULL;

	if (posix_memalign(&p, 4096, n))
		give_up("no memory");
	return p;
}

static void start(const char *path)
{
	struct result r = { 0 };

	disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		give_up("%s: errno %d", path, errno);
	whole = buffer_make(BLOCKS * SECTOR);
	write_blocks(&r, whole, 0, BLOCKS);
	if (r.errors)
		give_up("%s cannot be written", path);
	sem_init(&done, 0, 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		workers[i].first = i * SHARE;
		workers[i].buffer = buffer_make(LONGEST * SECTOR);
		sem_init(&workers[i].go, 0, 0);
		if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]))
			give_up("no thread");
	}
}

static struct result play(uint64_t seed)
{
	struct result sum = { 0 };
	struct timespec until;

	for (uint32_t i = 0; i < WORKERS; i++) {
		workers[i].result = (struct result){ 0 };
		workers[i].random = (seed * WORKERS + i + 1) * 0x9e3779b97f4a7c15ull;
		sem_post(&workers[i].go);
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	for (uint32_t i = 0; i < WORKERS; i++)
		while (sem_timedwait(&done, &until))
			if (errno == ETIMEDOUT) {
				sum.stuck = true;
				return sum;
			}
	for (uint32_t i = 0; i < WORKERS; i++) {
		const struct result *r = &workers[i].result;

		sum.errors += r->errors;
		sum.wrong += r->wrong;
		sum.stall_ns = r->stall_ns > sum.stall_ns ? r->stall_ns : sum.stall_ns;
	}
	return sum;
}

static struct result verify(void)
{
	struct result r = { 0 };
	static uint8_t *again;

	if (!again)
		again = buffer_make(SECTOR);
	if (!timed(&r, false, whole, 0, BLOCKS))
		return r;
	for (uint32_t b = 0; b < BLOCKS; b++) {
		bool right = is_right(whole + b * SECTOR, b);

		r.wrong += !right;
		if (!right || attempt[b])
			write_blocks(&r, again, b, 1);
	}
	timed(&r, true, NULL, 0, 0);
	return r;
}

static uint64_t sum_of_all(void)
{
	uint64_t sum = CHECKSUM_START;
	uint8_t data[SECTOR];

	for (uint32_t b = 0; b < BLOCKS; b++) {
		block_fill(data, b, version[b]);
		sum = checksum(sum, data, SECTOR);
	}
	return sum;
}

const struct load disk_load = {
	.start = start, .round = play, .verify = verify, .checksum = sum_of_all,
};
