/* SPDX-License-Identifier: MIT */
/* System calls that do little: the price of the way in and out, of paths and of descriptors. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "bench.h"

static int fd;

static void open_zero(void)
{
	fd = open("/dev/zero", O_RDONLY);
	MUST(fd >= 0);
}

static void open_null(void)
{
	fd = open("/dev/null", O_WRONLY);
	MUST(fd >= 0);
}

static void run_null(uint64_t count)
{
	while (count--)
		syscall(SYS_getppid);
}

static void run_read(uint64_t count)
{
	char byte;

	while (count--)
		MUST(read(fd, &byte, 1) == 1);
}

static void run_write(uint64_t count)
{
	while (count--)
		MUST(write(fd, "x", 1) == 1);
}

static void run_stat(uint64_t count)
{
	struct stat st;

	while (count--)
		MUST(stat("/usr/include/stdio.h", &st) == 0);
}

static void run_open(uint64_t count)
{
	while (count--) {
		int opened = open("/usr/include/stdio.h", O_RDONLY);

		MUST(opened >= 0);
		MUST(close(opened) == 0);
	}
}

ROW(null_call, .name = "null-call", .unit = "getppid", .run = run_null, .fixed_count = 2000)
ROW(read_byte, .name = "read-1", .unit = "read of a byte of /dev/zero", .run = run_read,
    .prepare = open_zero, .fixed_count = 2000)
ROW(write_byte, .name = "write-1", .unit = "write of a byte to /dev/null", .run = run_write,
    .prepare = open_null, .fixed_count = 2000)
ROW(stat_file, .name = "stat", .unit = "stat of a file", .run = run_stat, .fixed_count = 1000)
ROW(open_close, .name = "open-close", .unit = "open and close of a file", .run = run_open,
    .fixed_count = 1000)
