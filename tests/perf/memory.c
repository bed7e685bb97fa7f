/* SPDX-License-Identifier: MIT */
/* Mappings, page faults, files in memory, and copying. */

#include <fcntl.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "bench.h"

#define PAGE	4096
#define MIB	(1u << 20)
#define AREA	(4 * MIB)
#define CHUNK	(64u << 10)

static int fd;
static char *from, *to;
static char chunk[CHUNK];

static void run_mmap(uint64_t count)
{
	while (count--) {
		char *area = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		MUST(area != MAP_FAILED);
		*(volatile char *)area = 1;
		MUST(munmap(area, MIB) == 0);
	}
}

/* @count pages are touched, in mappings of AREA. */
static void touch(uint64_t count, int flags, int prot)
{
	while (count) {
		volatile char *area = mmap(NULL, AREA, prot, flags, fd, 0);
		uint64_t pages = count < AREA / PAGE ? count : AREA / PAGE;

		MUST(area != MAP_FAILED);
		for (uint64_t i = 0; i < pages; i++) {
			if (prot & PROT_WRITE)
				area[i * PAGE] = 1;
			else
				(void)area[i * PAGE];
		}
		MUST(munmap((void *)area, AREA) == 0);
		count -= pages;
	}
}

static void run_fault_anonymous(uint64_t count)
{
	fd = -1;
	touch(count, MAP_PRIVATE | MAP_ANONYMOUS, PROT_READ | PROT_WRITE);
}

static void run_fault_file(uint64_t count)
{
	touch(count, MAP_SHARED, PROT_READ);
}

static void make_file(void)
{
	char name[] = "/tmp/perf-XXXXXX";

	fd = mkstemp(name);
	MUST(fd >= 0);
	MUST(unlink(name) == 0);
	memset(chunk, 'x', CHUNK);
	for (unsigned int done = 0; done < AREA; done += CHUNK)
		MUST(write(fd, chunk, CHUNK) == (ssize_t)CHUNK);
}

static void run_create(uint64_t count)
{
	while (count--) {
		int created = open("/tmp/perf-created", O_CREAT | O_EXCL | O_WRONLY, 0600);

		MUST(created >= 0);
		MUST(close(created) == 0);
		MUST(unlink("/tmp/perf-created") == 0);
	}
}

/* These count MiB. */

static void run_file_read(uint64_t count)
{
	off_t at = 0;

	for (uint64_t i = 0; i < count * (MIB / CHUNK); i++) {
		MUST(pread(fd, chunk, CHUNK, at) == (ssize_t)CHUNK);
		at = (at + CHUNK) % AREA;
	}
}

static pid_t writer;

static void start_writer(void)
{
	int ends[2];

	MUST(pipe(ends) == 0);
	writer = fork();
	MUST(writer >= 0);
	if (writer == 0) {
		close(ends[0]);
		while (write(ends[1], chunk, CHUNK) > 0)
			;
		_exit(0);
	}
	close(ends[1]);
	fd = ends[0];
}

static void stop_writer(void)
{
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
}

static void run_pipe_read(uint64_t count)
{
	uint64_t left = count * MIB;

	while (left) {
		ssize_t n = read(fd, chunk, left < CHUNK ? left : CHUNK);

		MUST(n > 0);
		left -= (uint64_t)n;
	}
}

static void make_areas(void)
{
	from = malloc(AREA);
	to = malloc(AREA);
	MUST(from && to);
	memset(from, 1, AREA);
	memset(to, 2, AREA);
}

static void run_copy(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		size_t at = i % (AREA / MIB) * MIB;

		memcpy(to + at, from + at, MIB);
		__asm__ volatile("" : : "r"(to), "r"(from) : "memory");
	}
}

ROW(map, .name = "mmap", .unit = "mmap of 1 MiB, one page touched, munmap", .run = run_mmap,
    .fixed_count = 300)
ROW(fault_anonymous, .name = "fault-anonymous", .unit = "first touch of an anonymous page",
    .run = run_fault_anonymous, .fixed_count = 1024)
ROW(fault_file, .name = "fault-file", .unit = "first touch of a page of a mapped file",
    .run = run_fault_file, .prepare = make_file, .fixed_count = 1024)
ROW(create_delete, .name = "create-delete", .unit = "create, close, unlink on tmpfs",
    .run = run_create, .fixed_count = 300)
ROW(file_read, .name = "file-read", .unit = "MiB read from the page cache", .run = run_file_read,
    .prepare = make_file, .fixed_count = 8)
ROW(pipe_read, .name = "pipe-read", .unit = "MiB through a pipe", .run = run_pipe_read,
    .prepare = start_writer, .finish = stop_writer, .fixed_count = 4)
ROW(copy, .name = "memory-copy", .unit = "MiB copied by the program itself", .run = run_copy,
    .prepare = make_areas, .fixed_count = 8)
