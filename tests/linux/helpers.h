/* SPDX-License-Identifier: MIT */
/*
 * Steps that the cases of several programs take: files as text, identity, children, time.
 * What only one program needs is in that program.
 */
#pragma once

#include "harness.h"

#define HELPER	__attribute__((unused)) static

/* -- files as text */

/* The file has this text alone. */
HELPER void put_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	CHECK_OK(fd);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	CHECK_OK(close(fd));
}

/* A short file's text, until the next call; "(none)" if it cannot be opened. */
HELPER const char *get_file(const char *path)
{
	static char buf[256];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return "(none)";
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

/* Write to what is there (a file of /proc). */
HELPER void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* -- identity */

HELPER void become_nobody(void)
{
	CHECK_OK(setresgid(65534, 65534, 65534));
	CHECK_OK(setresuid(65534, 65534, 65534));
}

/* -- children */

/* Wait for a child that exits: its status. */
HELPER int exit_of(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Until the process sleeps in a system call. */
HELPER void wait_asleep(pid_t pid)
{
	char path[64], text[512], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (;;) {
		int fd = open(path, O_RDONLY);
		ssize_t n;

		CHECK(fd >= 0);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		CHECK(n > 0);
		text[n] = '\0';
		p = strrchr(text, ')');
		CHECK(p);
		if (p[2] == 'S')
			return;
		usleep(1000);
	}
}

/* -- time and readiness */

HELPER void pause_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* What poll(2) says of @fd now. */
HELPER int ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}
