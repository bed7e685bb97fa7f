/* SPDX-License-Identifier: MIT */
/* Steps of the cases about files in whatever file system TEST_DIR is on: fs_test, fallocate_test, names_test. */
#pragma once

#include "helpers.h"

#include <linux/magic.h>
#include <sys/statfs.h>

#define KIB 1024l
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

HELPER int make(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_EXCL, 0644);

	CHECK_OK(fd);
	return fd;
}

HELPER struct stat st_of(const char *path)
{
	struct stat st;

	CHECK_OK(lstat(path, &st));
	return st;
}

HELPER struct stat st_at(int fd)
{
	struct stat st;

	CHECK_OK(fstat(fd, &st));
	return st;
}

HELPER long fs_type(void)
{
	struct statfs s;

	CHECK_OK(statfs(".", &s));
	return (long)s.f_type;
}

HELPER void own_file_system(void)
{
	if (!getenv("TEST_DIR"))
		SKIP("not on a file system of its own (TEST_DIR)");
}

/* Bytes that say where they are. */
HELPER void pattern(char *buf, size_t n, off_t at, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)((at + (off_t)i) * 31 / 7 + seed);
}

HELPER void check_zeros(int fd, off_t at, size_t n)
{
	char buf[4096];

	while (n) {
		size_t part = n < sizeof(buf) ? n : sizeof(buf);

		memset(buf, 1, part);
		CHECK_EQ(pread(fd, buf, part, at), part);
		for (size_t i = 0; i < part; i++)
			CHECK_EQ(buf[i], 0);
		at += (off_t)part;
		n -= part;
	}
}

HELPER void fill(int fd, size_t n, unsigned int seed)
{
	char buf[4096];

	for (size_t at = 0; at < n; at += sizeof(buf)) {
		pattern(buf, sizeof(buf), (off_t)at, seed);
		CHECK_EQ(pwrite(fd, buf, sizeof(buf), (off_t)at), sizeof(buf));
	}
}

HELPER void check_pattern(int fd, off_t at, size_t n, unsigned int seed)
{
	char buf[4096], want[4096];

	while (n) {
		size_t part = n < sizeof(buf) ? n : sizeof(buf);

		pattern(want, part, at, seed);
		CHECK_EQ(pread(fd, buf, part, at), part);
		CHECK(!memcmp(buf, want, part));
		at += (off_t)part;
		n -= part;
	}
}

HELPER long block_of_fs(void)
{
	struct statfs s;

	CHECK_OK(statfs(".", &s));
	return s.f_bsize;
}

/* The next @n of them to end did all right. */
HELPER void wait_for_children(int n)
{
	int status;

	while (n--) {
		CHECK_OK(wait(&status));
		CHECK_EQ(status, 0);
	}
}
