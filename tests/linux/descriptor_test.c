/* SPDX-License-Identifier: MIT */
/* Descriptors: numbers, copies, flags, pipes. */

#include "harness.h"

TEST(open_takes_the_lowest_number)
{
	int a = open("/dev/null", O_RDONLY);
	int b = open("/dev/null", O_RDONLY);

	CHECK(a >= 0 && b > a);
	CHECK_OK(close(a));
	CHECK_EQ(open("/dev/null", O_RDONLY), a);
}

TEST(dup3_rejects_equal_descriptors)
{
	CHECK_ERRNO(dup3(1, 1, 0), EINVAL);
}

TEST(dup2_of_equal_descriptors_checks_the_descriptor)
{
	CHECK_EQ(dup2(1, 1), 1);
	CHECK_ERRNO(dup2(150, 150), EBADF);
}

TEST(close_on_exec_is_per_descriptor)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int copy = dup(fd);

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(copy, F_GETFD), 0);
}

TEST(pipe_without_reader_is_epipe)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	CHECK_OK(pipe(ends));
	CHECK_OK(close(ends[0]));
	CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
}

TEST(pipe_without_writer_is_end_of_file)
{
	int ends[2];
	char byte;

	CHECK_OK(pipe(ends));
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_OK(close(ends[1]));
	CHECK_EQ(read(ends[0], &byte, 1), 1);
	CHECK_EQ(read(ends[0], &byte, 1), 0);
}
