/* SPDX-License-Identifier: MIT */
/* What goes with messages of AF_UNIX sockets, open files and credentials: cmsg(3), unix(7). */
#include "unix.h"

#include <sys/epoll.h>

static ssize_t send_fds(int s, const int *fds, int n, int flags)
{
	char control[CMSG_SPACE(sizeof(int) * 256)];
	struct iovec iov = { "f", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *c;

	memset(control, 0, sizeof(control));
	m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n);
	return sendmsg(s, &m, flags);
}

/* Receive; returns the number of descriptors. */
static int recv_fds(int s, int *fds, int room, int flags, int *msg_flags)
{
	char control[CMSG_SPACE(sizeof(int) * 256)], buf[4];
	struct iovec iov = { buf, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *c;
	int n;

	m.msg_controllen = room ? CMSG_SPACE(sizeof(int) * (size_t)room) : 0;
	CHECK_EQ(recvmsg(s, &m, flags), 1);
	if (msg_flags)
		*msg_flags = m.msg_flags;
	c = CMSG_FIRSTHDR(&m);
	if (!c)
		return 0;
	CHECK_EQ(c->cmsg_type, SCM_RIGHTS);
	n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)n);
	return n;
}

TEST(rights_pass_open_files)
{
	int s[2], p[2], got = -1;
	char c = 0;

	pair(SOCK_STREAM, s);
	pipe(p);
	CHECK_EQ(send_fds(s[0], &p[0], 1, 0), 1);
	close(p[0]);
	CHECK_EQ(recv_fds(s[1], &got, 1, MSG_CMSG_CLOEXEC, NULL), 1);
	CHECK_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
	write(p[1], "k", 1);
	CHECK_EQ(read(got, &c, 1), 1);
	CHECK_EQ(c, 'k');
}

TEST(rights_pass_between_processes)
{
	int s[2], got = -1;
	char buf[8] = "";

	pair(SOCK_DGRAM, s);
	IN_CHILD({
		int fd = open("made", O_RDWR | O_CREAT, 0600);

		write(fd, "child", 5);
		CHECK_EQ(send_fds(s[0], &fd, 1, 0), 1);
	});
	CHECK_EQ(recv_fds(s[1], &got, 1, 0, NULL), 1);
	CHECK_EQ(pread(got, buf, 8, 0), 5);
	CHECK_STR(buf, "child");
}

TEST(rights_that_do_not_fit_are_dropped)
{
	int s[2], p[2], got[4], flags = 0;
	char c;

	pair(SOCK_STREAM, s);
	pipe(p);
	CHECK_EQ(send_fds(s[0], (int[]){ p[1], p[1], p[1] }, 3, 0), 1);
	close(p[1]);
	CHECK_EQ(recv_fds(s[1], got, 0, 0, &flags), 0);
	CHECK_EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
	CHECK_EQ(read(p[0], &c, 1), 0);
}

TEST(rights_of_bad_descriptor_is_ebadf)
{
	int s[2], bad = 150;

	pair(SOCK_STREAM, s);
	CHECK_ERRNO(send_fds(s[0], &bad, 1, 0), EBADF);
	CHECK_ERRNO(recv(s[1], &bad, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(rights_too_many_is_einval)
{
	int s[2], fds[256] = { 0 };

	pair(SOCK_STREAM, s);
	CHECK_ERRNO(send_fds(s[0], fds, 254, 0), EINVAL);
	CHECK_EQ(send_fds(s[0], fds, 100, 0), 1);
}

/* The other end of the pipe whose last writing end is in a message that waits at s[1]. */
static int send_writing_end(int s[2])
{
	int p[2];

	pair(SOCK_STREAM, s);
	CHECK_OK(pipe(p));
	CHECK_EQ(send_fds(s[0], &p[1], 1, 0), 1);
	close(p[1]);
	return p[0];
}

TEST(rights_are_closed_with_an_unread_message)
{
	int s[2], reading = send_writing_end(s);
	char c;

	close(s[0]);
	close(s[1]);
	CHECK_EQ(read(reading, &c, 1), 0);
}

TEST(rights_are_dropped_by_plain_read)
{
	int s[2], reading = send_writing_end(s);
	char c;

	CHECK_EQ(read(s[1], &c, 1), 1);
	CHECK_EQ(read(reading, &c, 1), 0);
}

TEST(rights_end_a_stream_read)
{
	char buf[8] = "", control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { buf, 8 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int s[2], zero = 0;

	pair(SOCK_STREAM, s);
	CHECK_EQ(send_fds(s[0], &zero, 1, 0), 1);
	write(s[0], "rest", 4);
	CHECK_EQ(recvmsg(s[1], &m, 0), 1);
	CHECK(CMSG_FIRSTHDR(&m));
	CHECK_EQ(read(s[1], buf, 8), 4);
}

TEST(rights_in_a_cycle_are_collected)
{
	int s[2], p[2], both[2];
	char c;

	/* Each end is in the other's queue, with the pipe; then everything is closed. */
	pipe(p);
	pair(SOCK_STREAM, s);
	both[0] = s[0];
	both[1] = p[1];
	CHECK_EQ(send_fds(s[0], both, 2, 0), 1);
	both[0] = s[1];
	CHECK_EQ(send_fds(s[1], both, 2, 0), 1);
	close(s[0]);
	close(s[1]);
	close(p[1]);
	/* A further close gives the collector its chance. */
	for (int i = 0; i < 100; i++) {
		pair(SOCK_STREAM, s);
		send_fds(s[0], &s[0], 1, 0);
		close(s[0]);
		close(s[1]);
		if (poll(&(struct pollfd){ p[0], POLLIN, 0 }, 1, 20) == 1)
			break;
	}
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	CHECK_EQ(read(p[0], &c, 1), 0);
}

TEST(credentials_are_passed_on_request)
{
	char buf[4], control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = { buf, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	struct ucred u;
	int s[2], on = 1;

	pair(SOCK_DGRAM, s);
	CHECK_OK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	CHECK_EQ(write(s[0], "x", 1), 1);
	CHECK_EQ(recvmsg(s[1], &m, 0), 1);
	c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_type == SCM_CREDENTIALS);
	CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(u)));
	memcpy(&u, CMSG_DATA(c), sizeof(u));
	CHECK_EQ(u.pid, getpid());
	CHECK_EQ(u.uid, getuid());
	CHECK_EQ(u.gid, getgid());
}

TEST(credentials_cannot_be_forged)
{
	char control[CMSG_SPACE(sizeof(struct ucred))] = "";
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct ucred u = { getpid(), 4321, getgid() };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int s[2];

	CHECK_ROOT();
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(u));
	memcpy(CMSG_DATA(c), &u, sizeof(u));
	pair(SOCK_DGRAM, s);
	CHECK_EQ(sendmsg(s[0], &m, 0), 1);
	IN_CHILD({
		CHECK_OK(setgid(4322));
		CHECK_OK(setuid(4322));
		CHECK_ERRNO(sendmsg(s[0], &m, 0), EPERM);
	});
}

TEST(control_garbage_is_einval)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int s[2];

	pair(SOCK_DGRAM, s);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = 77;
	c->cmsg_len = CMSG_LEN(4);
	CHECK_ERRNO(sendmsg(s[0], &m, 0), EINVAL);
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = 3;
	CHECK_ERRNO(sendmsg(s[0], &m, 0), EINVAL);
	c->cmsg_len = 1000;
	CHECK_ERRNO(sendmsg(s[0], &m, 0), EINVAL);
}
