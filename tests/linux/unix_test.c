/* SPDX-License-Identifier: MIT */
/* AF_UNIX sockets: unix(7). */
#include "unix.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <linux/sockios.h>

/* -- making and naming */

TEST(socket_errors)
{
	int s[2];

	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 99), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
	CHECK_ERRNO(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL);
	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 99, s), EPROTONOSUPPORT);
	CHECK_ERRNO(listen(0, 5), ENOTSOCK);
	CHECK_ERRNO(listen(150, 5), EBADF);
}

TEST(socket_flags_are_applied)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
}

TEST(socket_is_a_socket)
{
	struct stat st;
	int s[2];

	pair(SOCK_STREAM, s);
	CHECK_OK(fstat(s[0], &st));
	CHECK(S_ISSOCK(st.st_mode));
	CHECK_ERRNO(lseek(s[0], 0, SEEK_SET), ESPIPE);
}

TEST(bind_makes_a_node)
{
	struct stat st;

	listener(SOCK_STREAM, "sock");
	CHECK_OK(stat("sock", &st));
	CHECK(S_ISSOCK(st.st_mode));
	CHECK_EQ(st.st_mode & 0777, 0755);
	CHECK_ERRNO(open("sock", O_RDWR), ENXIO);
}

TEST(bind_errors)
{
	struct sockaddr_un a;
	socklen_t len = name(&a, "s");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK_OK(bind(fd, (void *)&a, len));
	CHECK_ERRNO(bind(other, (void *)&a, len), EADDRINUSE);
	name(&a, "t");
	CHECK_ERRNO(bind(fd, (void *)&a, len), EINVAL);
	name(&a, "no/such/dir");
	CHECK_ERRNO(bind(other, (void *)&a, len), ENOENT);
	a.sun_family = AF_INET;
	CHECK_ERRNO(bind(other, (void *)&a, len), EINVAL);
	a.sun_family = AF_UNIX;
	CHECK_ERRNO(bind(other, (void *)&a, 1), EINVAL);
	CHECK_ERRNO(bind(other, (void *)&a, len + 1), EINVAL);
}

TEST(names_are_reported)
{
	struct sockaddr_un a, b;
	socklen_t len = sizeof(b);
	int l = listener(SOCK_STREAM, "n"), c, s;

	c = connected(SOCK_STREAM, "n");
	s = accept(l, NULL, NULL);
	CHECK_OK(getsockname(s, (void *)&b, &len));
	CHECK_STR(b.sun_path, "n");
	CHECK_EQ(len, 2 + 2);
	len = sizeof(b);
	CHECK_OK(getpeername(c, (void *)&b, &len));
	CHECK_STR(b.sun_path, "n");
	len = sizeof(b);
	CHECK_OK(getpeername(s, (void *)&b, &len));
	CHECK_EQ(len, 2);
	len = 3;
	CHECK_OK(getsockname(l, (void *)&a, &len));
	CHECK_EQ(len, 4);
	CHECK_ERRNO(getpeername(l, (void *)&a, &len), ENOTCONN);
}

TEST(accept_gives_the_peers_name)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	int l = listener(SOCK_STREAM, "l"), c = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK_OK(bind(c, (void *)&a, name(&a, "client")));
	CHECK_OK(connect(c, (void *)&a, name(&a, "l")));
	CHECK_OK(accept(l, (void *)&a, &len));
	CHECK_STR(a.sun_path, "client");
	CHECK_EQ(len, 2 + 7);
}

TEST(abstract_names_work)
{
	struct sockaddr_un a, b;
	socklen_t len = abstract(&a, "x"), blen = sizeof(b);
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK_OK(bind(l, (void *)&a, len));
	CHECK_OK(listen(l, 1));
	CHECK_ERRNO(bind(c, (void *)&a, len), EADDRINUSE);
	CHECK_OK(connect(c, (void *)&a, len));
	CHECK_OK(getpeername(c, (void *)&b, &blen));
	CHECK_EQ(blen, len);
	CHECK(!memcmp(&a, &b, len));
	close(l);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(connect(c, (void *)&a, len), ECONNREFUSED);
}

TEST(autobind_gives_an_abstract_name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK_OK(bind(fd, (void *)&a, sizeof(sa_family_t)));
	CHECK_OK(getsockname(fd, (void *)&a, &len));
	CHECK_EQ(len, 2 + 6);
	CHECK_EQ(a.sun_path[0], 0);
	for (int i = 1; i < 6; i++)
		CHECK(strchr("0123456789abcdef", a.sun_path[i]));
}

/* -- connections */

TEST(connect_errors)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), file = open("plain", O_CREAT | O_RDWR, 0600);
	int d = socket(AF_UNIX, SOCK_DGRAM, 0), other;

	CHECK_OK(file);
	CHECK_ERRNO(connect(fd, (void *)&a, name(&a, "nothing")), ENOENT);
	CHECK_ERRNO(connect(fd, (void *)&a, name(&a, "plain")), ECONNREFUSED);
	CHECK_OK(bind(d, (void *)&a, name(&a, "dgram")));
	CHECK_ERRNO(connect(fd, (void *)&a, name(&a, "dgram")), EPROTOTYPE);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_OK(bind(other, (void *)&a, name(&a, "quiet")));
	CHECK_ERRNO(connect(fd, (void *)&a, name(&a, "quiet")), ECONNREFUSED);
	CHECK_OK(listen(other, 1));
	CHECK_OK(connect(fd, (void *)&a, name(&a, "quiet")));
	CHECK_ERRNO(connect(fd, (void *)&a, name(&a, "quiet")), EISCONN);
	CHECK_ERRNO(listen(fd, 1), EINVAL);
}

TEST(connect_needs_write_permission)
{
	struct sockaddr_un a;
	int fd;

	CHECK_ROOT();
	listener(SOCK_STREAM, "private");
	CHECK_OK(chmod("private", 0600));
	IN_CHILD({
		CHECK_OK(setuid(12345));
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK_ERRNO(connect(fd, (void *)&a, name(&a, "private")), EACCES);
	});
}

TEST(stale_node_refuses)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	close(listener(SOCK_STREAM, "stale"));
	CHECK_ERRNO(connect(fd, (void *)&a, name(&a, "stale")), ECONNREFUSED);
}

TEST(full_backlog_is_eagain)
{
	struct sockaddr_un a;
	int l = socket(AF_UNIX, SOCK_STREAM, 0), fd, n = 0;

	CHECK_OK(bind(l, (void *)&a, name(&a, "b")));
	CHECK_OK(listen(l, 1));
	for (;; n++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fd, (void *)&a, name(&a, "b")) < 0)
			break;
	}
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(n, 2);
	CHECK_OK(accept(l, NULL, NULL));
	CHECK_OK(connect(fd, (void *)&a, name(&a, "b")));
}

TEST(accept_waits_for_a_connection)
{
	int l = listener(SOCK_STREAM, "w");

	CHECK_EQ(ready(l, POLLIN), 0);
	if (fork() == 0) {
		pause_ms(40);
		connected(SOCK_STREAM, "w");
		_exit(0);
	}
	CHECK_OK(accept4(l, NULL, NULL, SOCK_CLOEXEC));
}

TEST(accept_errors)
{
	int l = listener(SOCK_STREAM, "e"), s[2], d = socket(AF_UNIX, SOCK_DGRAM, 0);

	fcntl(l, F_SETFL, O_NONBLOCK);
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
	CHECK_ERRNO(accept4(l, NULL, NULL, 1), EINVAL);
	pair(SOCK_STREAM, s);
	CHECK_ERRNO(accept(s[0], NULL, NULL), EINVAL);
	CHECK_ERRNO(accept(d, NULL, NULL), EOPNOTSUPP);
	CHECK_ERRNO(listen(d, 1), EOPNOTSUPP);
}

TEST(data_sent_before_accept_arrives)
{
	int l = listener(SOCK_STREAM, "early"), c = connected(SOCK_STREAM, "early"), s;
	char buf[8] = "";

	CHECK_EQ(write(c, "hello", 5), 5);
	close(c);
	CHECK_OK(s = accept(l, NULL, NULL));
	CHECK_EQ(read(s, buf, 8), 5);
	CHECK_STR(buf, "hello");
	CHECK_EQ(read(s, buf, 8), 0);
}

/* -- streams */

TEST(stream_has_no_bounds)
{
	char buf[16] = "";
	int s[2];

	pair(SOCK_STREAM, s);
	write(s[0], "abc", 3);
	write(s[0], "def", 3);
	CHECK_EQ(read(s[1], buf, 4), 4);
	CHECK_STR(buf, "abcd");
	CHECK_EQ(read(s[1], buf, 16), 2);
}

TEST(stream_close_is_end_of_file_and_epipe)
{
	int s[2];
	char c;

	signal(SIGPIPE, SIG_IGN);
	pair(SOCK_STREAM, s);
	write(s[0], "x", 1);
	close(s[0]);
	CHECK_EQ(read(s[1], &c, 1), 1);
	CHECK_EQ(read(s[1], &c, 1), 0);
	CHECK_ERRNO(write(s[1], "y", 1), EPIPE);
	CHECK_EQ(ready(s[1], POLLIN | POLLOUT | POLLRDHUP),
		 POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
}

TEST(stream_epipe_raises_sigpipe_unless_told_not_to)
{
	int s[2], status;
	pid_t pid;

	pair(SOCK_STREAM, s);
	close(s[0]);
	CHECK_ERRNO(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	pid = fork();
	if (!pid) {
		send(s[1], "x", 1, 0);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

TEST(stream_close_with_unread_data_is_a_reset)
{
	int s[2];
	char c;

	pair(SOCK_STREAM, s);
	write(s[1], "unread", 6);
	close(s[0]);
	CHECK_ERRNO(read(s[1], &c, 1), ECONNRESET);
	CHECK_EQ(read(s[1], &c, 1), 0);
}

TEST(stream_peek_leaves_the_bytes)
{
	char buf[8] = "";
	int s[2];

	pair(SOCK_STREAM, s);
	write(s[0], "abc", 3);
	write(s[0], "def", 3);
	CHECK_EQ(recv(s[1], buf, 8, MSG_PEEK), 6);
	CHECK_STR(buf, "abcdef");
	CHECK_EQ(recv(s[1], buf, 8, 0), 6);
	CHECK_ERRNO(recv(s[1], buf, 8, MSG_DONTWAIT), EAGAIN);
}

TEST(stream_waitall_waits_for_all)
{
	char buf[8] = "";
	int s[2];

	pair(SOCK_STREAM, s);
	write(s[0], "abc", 3);
	if (fork() == 0) {
		pause_ms(50);
		write(s[0], "def", 3);
		_exit(0);
	}
	CHECK_EQ(recv(s[1], buf, 6, MSG_WAITALL), 6);
	CHECK_STR(buf, "abcdef");
}

TEST(stream_waitall_carries_more_than_the_buffer)
{
	static char buf[1000000];
	int s[2];

	pair(SOCK_STREAM, s);
	if (fork() == 0) {
		for (int i = 0; i < 1000000; i += 10000)
			write(s[0], buf, 10000);
		_exit(0);
	}
	CHECK_EQ(recv(s[1], buf, sizeof(buf), MSG_WAITALL), (ssize_t)sizeof(buf));
}

/* Each write waits for room, and each read makes some: no wake-up may be lost between the two. */
TEST(stream_writers_hear_of_all_room)
{
	enum { TURNS = 20000, SIZE = 1500 };
	static char buf[SIZE];
	int s[2], small = 1;

	pair(SOCK_STREAM, s);
	CHECK_OK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	if (fork() == 0) {
		for (int i = 0; i < TURNS; i++)
			if (write(s[0], buf, SIZE) != SIZE)
				_exit(1);
		_exit(0);
	}
	for (size_t left = (size_t)TURNS * SIZE; left;) {
		ssize_t n = read(s[1], buf, left < SIZE ? left : SIZE);

		CHECK(n > 0);
		left -= (size_t)n;
	}
}

TEST(stream_fills_up)
{
	static char buf[4096];
	int s[2], n = 0;

	pair(SOCK_STREAM | SOCK_NONBLOCK, s);
	while (write(s[0], buf, sizeof(buf)) > 0)
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(n >= 20 && n < 200);
	CHECK_EQ(ready(s[0], POLLOUT), 0);
	while (read(s[1], buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(ready(s[0], POLLOUT), POLLOUT);
}

TEST(stream_blocking_write_waits_for_the_reader)
{
	static char buf[400000];
	size_t n = 0;
	int s[2];

	pair(SOCK_STREAM, s);
	if (fork() == 0) {
		close(s[1]);
		_exit(write(s[0], buf, sizeof(buf)) != sizeof(buf));
	}
	close(s[0]);
	for (ssize_t got; (got = read(s[1], buf, 7000)) > 0; n += (size_t)got)
		;
	CHECK_EQ(n, sizeof(buf));
}

TEST(shutdown_of_writing_is_end_of_file)
{
	int s[2];
	char c;

	signal(SIGPIPE, SIG_IGN);
	pair(SOCK_STREAM, s);
	CHECK_OK(shutdown(s[0], SHUT_WR));
	CHECK_EQ(read(s[1], &c, 1), 0);
	CHECK_ERRNO(write(s[0], "x", 1), EPIPE);
	CHECK_EQ(write(s[1], "y", 1), 1);
	CHECK_EQ(read(s[0], &c, 1), 1);
	CHECK_EQ(ready(s[1], POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
}

TEST(shutdown_of_reading_is_end_of_file)
{
	int s[2];
	char c;

	signal(SIGPIPE, SIG_IGN);
	pair(SOCK_STREAM, s);
	CHECK_OK(shutdown(s[0], SHUT_RD));
	CHECK_EQ(read(s[0], &c, 1), 0);
	CHECK_ERRNO(write(s[1], "x", 1), EPIPE);
	CHECK_ERRNO(shutdown(s[0], 3), EINVAL);
}

TEST(shutdown_wakes_a_reader)
{
	int s[2];
	char c;

	pair(SOCK_STREAM, s);
	if (fork() == 0) {
		pause_ms(40);
		shutdown(s[0], SHUT_WR);
		_exit(0);
	}
	CHECK_EQ(read(s[1], &c, 1), 0);
}

TEST(receive_timeout_is_eagain)
{
	struct timeval tv = { 0, 50000 }, got = { 0 };
	socklen_t len = sizeof(got);
	int s[2];
	char c;

	pair(SOCK_STREAM, s);
	CHECK_OK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	CHECK_OK(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &got, &len));
	CHECK(got.tv_usec >= 50000 && got.tv_usec < 70000);	/* in ticks on Linux */
	CHECK_ERRNO(read(s[0], &c, 1), EAGAIN);
}

TEST(stream_ioctls_count)
{
	int s[2], n = -1;

	pair(SOCK_STREAM, s);
	write(s[0], "hello", 5);
	CHECK_OK(ioctl(s[1], SIOCINQ, &n));
	CHECK_EQ(n, 5);
	CHECK_OK(ioctl(s[0], SIOCOUTQ, &n));
	CHECK(n > 0);
	CHECK_OK(ioctl(s[1], SIOCOUTQ, &n));
	CHECK_EQ(n, 0);
}

TEST(stream_send_to_address_is_an_error)
{
	struct sockaddr_un a;
	int s[2], fd = socket(AF_UNIX, SOCK_STREAM, 0);

	pair(SOCK_STREAM, s);
	CHECK_ERRNO(sendto(s[0], "x", 1, 0, (void *)&a, name(&a, "q")), EISCONN);
	CHECK_ERRNO(sendto(fd, "x", 1, 0, (void *)&a, name(&a, "q")), EOPNOTSUPP);
	CHECK_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
	CHECK_ERRNO(recv(fd, &a, 1, 0), EINVAL);
	CHECK_EQ(ready(fd, POLLIN | POLLOUT), POLLOUT | POLLHUP);
}

/* -- datagrams and packets */

TEST(datagrams_keep_their_bounds)
{
	char buf[8];
	int s[2];

	pair(SOCK_DGRAM, s);
	write(s[0], "one", 3);
	write(s[0], "", 0);
	write(s[0], "three", 5);
	CHECK_EQ(read(s[1], buf, 8), 3);
	CHECK_EQ(read(s[1], buf, 8), 0);
	CHECK_EQ(read(s[1], buf, 2), 2);
	CHECK_ERRNO(recv(s[1], buf, 8, MSG_DONTWAIT), EAGAIN);
}

TEST(datagram_truncation_is_reported)
{
	char buf[3];
	struct iovec iov = { buf, 3 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int s[2];

	pair(SOCK_DGRAM, s);
	write(s[0], "12345", 5);
	CHECK_EQ(recv(s[1], buf, 3, MSG_TRUNC | MSG_PEEK), 5);
	CHECK_EQ(recvmsg(s[1], &m, 0), 3);
	CHECK_EQ(m.msg_flags, MSG_TRUNC);
}

TEST(datagrams_find_their_way_by_name)
{
	struct sockaddr_un a, from;
	socklen_t len = sizeof(from);
	int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0);
	char buf[8];

	CHECK_OK(bind(x, (void *)&a, name(&a, "x")));
	CHECK_EQ(sendto(y, "anon", 4, 0, (void *)&a, name(&a, "x")), 4);
	CHECK_EQ(recvfrom(x, buf, 8, 0, (void *)&from, &len), 4);
	CHECK_EQ(len, 0);
	CHECK_OK(bind(y, (void *)&a, name(&a, "y")));
	CHECK_EQ(sendto(y, "named", 5, 0, (void *)&a, name(&a, "x")), 5);
	len = sizeof(from);
	CHECK_EQ(recvfrom(x, buf, 8, 0, (void *)&from, &len), 5);
	CHECK_STR(from.sun_path, "y");
	CHECK_ERRNO(send(y, "x", 1, 0), ENOTCONN);
	CHECK_ERRNO(sendto(y, "x", 1, 0, (void *)&a, name(&a, "gone")), ENOENT);
}

TEST(datagram_connect_sets_and_clears_the_destination)
{
	struct sockaddr_un a;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0);
	char c;

	CHECK_OK(bind(x, (void *)&a, name(&a, "x")));
	CHECK_OK(connect(y, (void *)&a, name(&a, "x")));
	CHECK_EQ(send(y, "x", 1, 0), 1);
	CHECK_EQ(read(x, &c, 1), 1);
	CHECK_OK(connect(y, &none, sizeof(none)));
	CHECK_ERRNO(send(y, "x", 1, 0), ENOTCONN);
}

TEST(datagram_to_a_closed_socket_is_refused)
{
	struct sockaddr_un a;
	int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK_OK(bind(x, (void *)&a, name(&a, "x")));
	CHECK_OK(connect(y, (void *)&a, name(&a, "x")));
	close(x);
	CHECK_ERRNO(send(y, "x", 1, 0), ECONNREFUSED);
	CHECK_ERRNO(send(y, "x", 1, 0), ENOTCONN);
}

TEST(datagram_queue_is_short)
{
	struct sockaddr_un a;
	int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int n = 0;
	char c;

	CHECK_OK(bind(x, (void *)&a, name(&a, "x")));
	CHECK_OK(connect(y, (void *)&a, name(&a, "x")));
	while (send(y, "x", 1, 0) == 1)
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(n >= 5 && n < 600);
	CHECK_EQ(ready(y, POLLOUT), 0);
	CHECK_EQ(read(x, &c, 1), 1);
	CHECK_EQ(ready(y, POLLOUT), POLLOUT);
	CHECK_EQ(send(y, "x", 1, 0), 1);
}

TEST(datagram_room_wakes_epoll)
{
	struct sockaddr_un a;
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET };
	int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int ep = epoll_create1(0);
	char c;

	CHECK_OK(bind(x, (void *)&a, name(&a, "x")));
	CHECK_OK(connect(y, (void *)&a, name(&a, "x")));
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, y, &e));
	while (send(y, "x", 1, 0) == 1)
		;
	while (epoll_wait(ep, &e, 1, 0) == 1)
		;
	if (fork() == 0) {
		pause_ms(40);
		read(x, &c, 1);
		_exit(0);
	}
	CHECK_EQ(epoll_wait(ep, &e, 1, 5000), 1);
}

TEST(datagram_larger_than_the_buffer_is_emsgsize)
{
	static char big[400000];
	int s[2];

	pair(SOCK_DGRAM, s);
	CHECK_ERRNO(send(s[0], big, sizeof(big), 0), EMSGSIZE);
}

TEST(datagram_from_a_stranger_is_eperm)
{
	struct sockaddr_un a;
	int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0);
	int z = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK_OK(bind(x, (void *)&a, name(&a, "x")));
	CHECK_OK(bind(y, (void *)&a, name(&a, "y")));
	CHECK_OK(connect(x, (void *)&a, name(&a, "y")));
	CHECK_ERRNO(sendto(z, "q", 1, 0, (void *)&a, name(&a, "x")), EPERM);
	CHECK_EQ(sendto(y, "q", 1, 0, (void *)&a, name(&a, "x")), 1);
}

TEST(seqpacket_is_connected_and_bounded)
{
	int l = listener(SOCK_SEQPACKET, "sp"), c = connected(SOCK_SEQPACKET, "sp"), s;
	char buf[8];

	CHECK_OK(s = accept(l, NULL, NULL));
	write(c, "ab", 2);
	write(c, "cde", 3);
	CHECK_EQ(read(s, buf, 8), 2);
	CHECK_EQ(read(s, buf, 8), 3);
	close(c);
	CHECK_EQ(read(s, buf, 8), 0);
	s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CHECK_ERRNO(send(s, "x", 1, 0), ENOTCONN);
	CHECK_ERRNO(recv(s, buf, 1, 0), ENOTCONN);
}

/* -- options */

static int option(int fd, int opt)
{
	socklen_t len = sizeof(int);
	int v = -1;

	CHECK_OK(getsockopt(fd, SOL_SOCKET, opt, &v, &len));
	CHECK_EQ(len, sizeof(int));
	return v;
}

TEST(options_can_be_asked)
{
	int s[2], v = 10000, l = listener(SOCK_STREAM, "o");
	socklen_t len = sizeof(v);

	pair(SOCK_SEQPACKET, s);
	CHECK_EQ(option(s[0], SO_TYPE), SOCK_SEQPACKET);
	CHECK_EQ(option(s[0], SO_DOMAIN), AF_UNIX);
	CHECK_EQ(option(s[0], SO_PROTOCOL), 0);
	CHECK_EQ(option(s[0], SO_ERROR), 0);
	CHECK_EQ(option(s[0], SO_ACCEPTCONN), 0);
	CHECK_EQ(option(l, SO_ACCEPTCONN), 1);
	CHECK_OK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	CHECK_EQ(option(s[0], SO_SNDBUF), 20000);
	CHECK_ERRNO(getsockopt(s[0], SOL_SOCKET, 999, &v, &len), ENOPROTOOPT);
	CHECK_ERRNO(getsockopt(s[0], 6, 1, &v, &len), EOPNOTSUPP);
	CHECK_ERRNO(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, 2), EINVAL);
	v = 1;
	CHECK_OK(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &v, sizeof(v)));
	CHECK_EQ(option(s[0], SO_REUSEADDR), 1);
}

TEST(peer_credentials)
{
	struct ucred u;
	socklen_t len = sizeof(u);
	int s[2], l = listener(SOCK_STREAM, "pc");
	pid_t pid;

	pair(SOCK_STREAM, s);
	CHECK_OK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &len));
	CHECK_EQ(u.pid, getpid());
	CHECK_EQ(u.uid, geteuid());
	pid = fork();
	if (!pid) {
		connected(SOCK_STREAM, "pc");
		pause();
	}
	s[0] = accept(l, NULL, NULL);
	CHECK_OK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &len));
	CHECK_EQ(u.pid, pid);
	kill(pid, SIGKILL);
}

/* -- several messages, several processes */

TEST(mmsg_moves_several)
{
	char out[3][4] = { "a", "bb", "ccc" }, in[4][8] = { "" };
	struct iovec oi[3], ii[4];
	struct mmsghdr om[3] = { 0 }, im[4] = { 0 };
	int s[2];

	pair(SOCK_DGRAM, s);
	for (int i = 0; i < 3; i++) {
		oi[i] = (struct iovec){ out[i], strlen(out[i]) };
		om[i].msg_hdr = (struct msghdr){ .msg_iov = &oi[i], .msg_iovlen = 1 };
	}
	for (int i = 0; i < 4; i++) {
		ii[i] = (struct iovec){ in[i], 8 };
		im[i].msg_hdr = (struct msghdr){ .msg_iov = &ii[i], .msg_iovlen = 1 };
	}
	CHECK_EQ(sendmmsg(s[0], om, 3, 0), 3);
	CHECK_EQ(om[2].msg_len, 3);
	CHECK_EQ(recvmmsg(s[1], im, 4, MSG_WAITFORONE, NULL), 3);
	CHECK_EQ(im[1].msg_len, 2);
	CHECK_STR(in[2], "ccc");
	CHECK_ERRNO(recvmmsg(s[1], im, 4, MSG_DONTWAIT, NULL), EAGAIN);
}

TEST(stream_bad_address_loses_nothing)
{
	static void *volatile bad = (void *)8;
	char buf[8] = "";
	int s[2];

	pair(SOCK_STREAM, s);
	CHECK_ERRNO(write(s[0], bad, 4), EFAULT);
	CHECK_EQ(write(s[0], "safe", 4), 4);
	CHECK_ERRNO(read(s[1], bad, 4), EFAULT);
	CHECK_EQ(read(s[1], buf, 8), 4);
	CHECK_STR(buf, "safe");
}

TEST(other_processes_meet_over_a_path)
{
	int l = listener(SOCK_STREAM, "meet"), s;
	char buf[8] = "";

	if (fork() == 0) {
		int c = connected(SOCK_STREAM, "meet");

		read(c, buf, 4);
		write(c, "pong", 4);
		_exit(0);
	}
	CHECK_OK(s = accept(l, NULL, NULL));
	CHECK_EQ(write(s, "ping", 4), 4);
	CHECK_EQ(recv(s, buf, 4, MSG_WAITALL), 4);
	CHECK_STR(buf, "pong");
	CHECK_EQ(read(s, buf, 1), 0);
}

/* -- SO_PEEK_OFF -------------------------------------------------------------------------- */

static void set_peek_off(int fd, int off)
{
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
}

static int peek_off(int fd)
{
	socklen_t len = sizeof(int);
	int off = 0;

	CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, &len));
	return off;
}

TEST(peek_offset_of_a_stream)
{
	char buf[16];
	int s[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_EQ(peek_off(s[0]), -1);
	CHECK_EQ(write(s[1], "abcdef", 6), 6);
	CHECK_EQ(write(s[1], "ghi", 3), 3);
	set_peek_off(s[0], 4);
	CHECK_EQ(recv(s[0], buf, 1, MSG_PEEK), 1);
	CHECK(buf[0] == 'e');
	CHECK_EQ(peek_off(s[0]), 5);
	CHECK_EQ(recv(s[0], buf, 3, MSG_PEEK), 3);
	CHECK(!memcmp(buf, "fgh", 3));
	CHECK_EQ(peek_off(s[0]), 8);
	/* What is read before it moves it back. */
	CHECK_EQ(recv(s[0], buf, 5, 0), 5);
	CHECK(!memcmp(buf, "abcde", 5));
	CHECK_EQ(peek_off(s[0]), 3);
	CHECK_EQ(recv(s[0], buf, 16, MSG_PEEK), 1);
	CHECK(buf[0] == 'i');
	CHECK_ERRNO(recv(s[0], buf, 16, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	set_peek_off(s[0], -1);
	CHECK_EQ(recv(s[0], buf, 16, MSG_PEEK), 4);
	CHECK_EQ(peek_off(s[0]), -1);
	CHECK_EQ(recv(s[0], buf, 16, 0), 4);
	CHECK(!memcmp(buf, "fghi", 4));
}

TEST(peek_offset_waits_for_bytes_behind_it)
{
	char buf[16];
	int s[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_EQ(write(s[1], "abc", 3), 3);
	set_peek_off(s[0], 3);
	if (fork() == 0) {
		usleep(30000);
		_exit(write(s[1], "de", 2) != 2);
	}
	CHECK_EQ(recv(s[0], buf, 16, MSG_PEEK), 2);
	CHECK(!memcmp(buf, "de", 2));
}

TEST(peek_offset_of_datagrams)
{
	char buf[16];
	int s[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	CHECK_EQ(send(s[1], "abc", 3, 0), 3);
	CHECK_EQ(send(s[1], "defg", 4, 0), 4);
	set_peek_off(s[0], 0);
	CHECK_EQ(recv(s[0], buf, 2, MSG_PEEK), 2);
	CHECK(!memcmp(buf, "ab", 2));
	CHECK_EQ(peek_off(s[0]), 2);
	CHECK_EQ(recv(s[0], buf, 16, MSG_PEEK), 1);
	CHECK(buf[0] == 'c');
	CHECK_EQ(recv(s[0], buf, 16, MSG_PEEK), 4);
	CHECK(!memcmp(buf, "defg", 4));
	CHECK_EQ(peek_off(s[0]), 7);
	CHECK_ERRNO(recv(s[0], buf, 16, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(recv(s[0], buf, 16, 0), 3);
	CHECK_EQ(peek_off(s[0]), 4);
	CHECK_EQ(recv(s[0], buf, 16, 0), 4);
	CHECK_EQ(peek_off(s[0]), 0);
}
