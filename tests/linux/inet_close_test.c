/* SPDX-License-Identifier: MIT */
/* How TCP's connections end: shutdown, close, resets, TIME_WAIT. */

#include "inet_tcp.h"

#include <pthread.h>

TEST(shutdown_of_writing_is_end_of_file)
{
	char c;
	int s[2];

	tcp_pair(s);
	send_all(s[0], "last", 4);
	CHECK_OK(shutdown(s[0], SHUT_WR));
	expect(s[1], "last");
	CHECK_EQ(recv(s[1], &c, 1, 0), 0);
	CHECK_EQ(recv(s[1], &c, 1, 0), 0);
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(tcp_state(s[1]), TCP_CLOSE_WAIT);
	wait_state(s[0], TCP_FIN_WAIT2);
	/* the other way is open */
	send_all(s[1], "answer", 6);
	expect(s[0], "answer");
	close(s[1]);
	CHECK_EQ(recv(s[0], &c, 1, 0), 0);
	CHECK_EQ(tcp_state(s[0]), TCP_CLOSE);
}

TEST(shutdown_of_reading_is_local)
{
	char c;
	int s[2];

	tcp_pair(s);
	CHECK_OK(shutdown(s[0], SHUT_RD));
	CHECK_EQ(recv(s[0], &c, 1, 0), 0);
	CHECK_EQ(ready(s[0], POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
	/* what comes is there, all the same */
	send_all(s[1], "y", 1);
	while (recv(s[0], &c, 1, 0) == 0)
		;
	CHECK_EQ(c, 'y');
	send_all(s[0], "x", 1);
	expect(s[1], "x");
}

TEST(shutdown_twice_and_of_both)
{
	char c;
	int s[2];

	tcp_pair(s);
	CHECK_OK(shutdown(s[0], SHUT_RDWR));
	CHECK_EQ(recv(s[1], &c, 1, 0), 0);
	CHECK_OK(shutdown(s[0], SHUT_WR));
	CHECK_OK(shutdown(s[1], SHUT_RDWR));
	CHECK_ERRNO(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	wait_for(s[1], POLLHUP);
	CHECK_ERRNO(shutdown(s[1], SHUT_RDWR), ENOTCONN);
	CHECK_ERRNO(shutdown(s[1], 3), EINVAL);
}

static void *read_byte(void *arg)
{
	char c;

	return (void *)(long)recv(*(int *)arg, &c, 1, 0);
}

TEST(shutdown_wakes_a_reader)
{
	pthread_t t;
	void *n;
	int s[2];

	tcp_pair(s);
	CHECK_EQ(pthread_create(&t, NULL, read_byte, &s[0]), 0);
	usleep(20000);
	CHECK_OK(shutdown(s[0], SHUT_RD));
	CHECK_EQ(pthread_join(t, &n), 0);
	CHECK_EQ((long)n, 0);
}

TEST(close_with_unread_data_resets)
{
	char c;
	int s[2];

	tcp_pair(s);
	send_all(s[0], "unread", 6);
	wait_for(s[1], POLLIN);
	close(s[1]);
	CHECK_ERRNO(recv(s[0], &c, 1, 0), ECONNRESET);
	CHECK_EQ(recv(s[0], &c, 1, 0), 0);
	CHECK_EQ(tcp_state(s[0]), TCP_CLOSE);
}

TEST(linger_of_zero_resets)
{
	char c;
	int s[2];

	tcp_pair(s);
	reset(s[1]);
	CHECK_ERRNO(recv(s[0], &c, 1, 0), ECONNRESET);
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST(reset_throws_queued_data_away)
{
	char buf[8];
	int s[2];

	tcp_pair(s);
	send_all(s[1], "abc", 3);
	wait_for(s[0], POLLIN);
	reset(s[1]);
	wait_for(s[0], POLLERR);
	/* the error comes first or the data, but never both in one call */
	CHECK_EQ(recv(s[0], buf, 3, 0), 3);
	CHECK_ERRNO(recv(s[0], buf, 3, 0), ECONNRESET);
}

TEST(linger_waits_for_the_peer)
{
	static char big[1 << 20];
	struct linger l = { .l_onoff = 1, .l_linger = 10 };
	struct timespec a, b;
	ssize_t n;
	pid_t pid;
	int s[2], p[2];
	char c;

	CHECK_OK(pipe(p));
	tcp_pair(s);
	nonblocking(s[0]);
	while ((n = send(s[0], big, sizeof(big), 0)) > 0)
		;
	CHECK_OK(fcntl(s[0], F_SETFL, 0));
	CHECK_OK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	pid = fork();
	if (!pid) {
		close(s[0]);
		write(p[1], "c", 1);
		usleep(100000);
		while (recv(s[1], big, sizeof(big), 0) > 0)
			;
		_exit(0);
	}
	close(s[1]);
	CHECK_EQ(read(p[0], &c, 1), 1);
	clock_gettime(CLOCK_MONOTONIC, &a);
	close(s[0]);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 50);
	CHECK_EQ(exit_of(pid), 0);
}

TEST(closed_data_still_arrives)
{
	static char big[300000], in[300000];
	int s[2];
	char c;

	memset(big, 'b', sizeof(big));
	tcp_pair(s);
	set_int(s[0], SOL_SOCKET, SO_SNDBUF, 1 << 19);
	nonblocking(s[0]);
	CHECK_EQ(send(s[0], big, 200000, 0), 200000);
	close(s[0]);
	CHECK_EQ(recv(s[1], in, 200000, MSG_WAITALL), 200000);
	CHECK(memcmp(in, big, 200000) == 0);
	CHECK_EQ(recv(s[1], &c, 1, 0), 0);
}

TEST(both_close_at_once)
{
	int s[2];

	tcp_pair(s);
	CHECK_OK(shutdown(s[0], SHUT_WR));
	CHECK_OK(shutdown(s[1], SHUT_WR));
	CHECK(wait_for(s[0], POLLHUP) & POLLHUP);
	CHECK(wait_for(s[1], POLLHUP) & POLLHUP);
	CHECK_EQ(tcp_state(s[0]), TCP_CLOSE);
	CHECK_EQ(tcp_state(s[1]), TCP_CLOSE);
}

TEST(time_wait_keeps_the_port)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int l = tcp_listener(1), c = tcp_connect(l), s = tcp_accept(l), fd;
	char b;

	/* the server ends it, and has the port in TIME_WAIT */
	a = name_of(l);
	close(s);
	CHECK_EQ(recv(c, &b, 1, 0), 0);
	close(c);
	close(l);
	fd = tcp_socket();
	CHECK_ERRNO(bind(fd, (void *)&a, sizeof(a)), EADDRINUSE);
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* (which both have to have had) */
	CHECK_ERRNO(bind(fd, (void *)&a, sizeof(a)), EADDRINUSE);
}

TEST(server_restarts_with_reuseaddr)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int l = tcp_socket(), c, s;
	char b;

	set_int(l, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_OK(bind(l, (void *)&a, sizeof(a)));
	CHECK_OK(listen(l, 1));
	a = name_of(l);
	c = tcp_connect(l);
	s = tcp_accept(l);
	close(s);
	CHECK_EQ(recv(c, &b, 1, 0), 0);
	close(c);
	close(l);
	l = tcp_socket();
	set_int(l, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_OK(bind(l, (void *)&a, sizeof(a)));
	CHECK_OK(listen(l, 1));
	c = tcp_connect(l);
	send_all(c, "again", 5);
	expect(tcp_accept(l), "again");
}

TEST(client_keeps_time_wait)
{
	int l = tcp_listener(1), c = tcp_connect(l), s = tcp_accept(l);
	struct sockaddr_in a = name_of(c);
	int fd = tcp_socket();
	char b;

	close(c);
	CHECK_EQ(recv(s, &b, 1, 0), 0);
	close(s);
	CHECK_ERRNO(bind(fd, (void *)&a, sizeof(a)), EADDRINUSE);
	close(fd);
	/* others are not in its way */
	c = tcp_connect(l);
	tcp_accept(l);
}

TEST(many_short_connections_to_one_port)
{
	int l = tcp_listener(16);

	for (int i = 0; i < 500; i++) {
		int c = tcp_connect(l), s = tcp_accept(l);
		char b;

		close(c);
		CHECK_EQ(recv(s, &b, 1, 0), 0);
		close(s);
	}
}

TEST(exit_ends_connections)
{
	int l = tcp_listener(1), s;
	pid_t pid = fork();
	char c;

	if (!pid) {
		int fd = tcp_connect(l);

		send_all(fd, "bye", 3);
		_exit(0);
	}
	s = tcp_accept(l);
	CHECK_EQ(exit_of(pid), 0);
	expect(s, "bye");
	CHECK_EQ(recv(s, &c, 1, 0), 0);
}

TEST(close_while_another_reads)
{
	pthread_t t;
	void *n;
	int s[2], other;

	/* the reader has the file, so the connection ends when the peer does */
	tcp_pair(s);
	other = s[0];
	CHECK_EQ(pthread_create(&t, NULL, read_byte, &other), 0);
	usleep(20000);
	close(s[0]);
	send_all(s[1], "z", 1);
	CHECK_EQ(pthread_join(t, &n), 0);
	CHECK_EQ((long)n, 1);
}

TEST(fin_wait_2_of_a_program_stays)
{
	int s[2];

	tcp_pair(s);
	CHECK_OK(shutdown(s[0], SHUT_WR));
	set_int(s[0], IPPROTO_TCP, TCP_LINGER2, 1);
	usleep(1200000);
	wait_state(s[0], TCP_FIN_WAIT2);
	send_all(s[1], "x", 1);
	expect(s[0], "x");
}
