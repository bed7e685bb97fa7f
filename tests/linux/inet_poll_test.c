/* SPDX-License-Identifier: MIT */
/* poll and epoll of TCP sockets: levels, edges. */

#include "inet_tcp.h"

#include <sys/epoll.h>
#include <sys/resource.h>

#define ALL	(POLLIN | POLLOUT | POLLPRI | POLLRDHUP)
#define EDGE	(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)

static int epoll_of(int fd, uint32_t events)
{
	struct epoll_event e = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	CHECK_OK(ep);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	return ep;
}

/* What epoll says within @ms; 0: nothing. */
static uint32_t edge(int ep, int ms)
{
	struct epoll_event e = { .events = 0 };
	int n = epoll_wait(ep, &e, 1, ms);

	CHECK_OK(n);
	return n ? e.events : 0;
}

TEST(levels_of_a_connections_life)
{
	int fd = tcp_socket(), s[2];

	CHECK_EQ(ready(fd, ALL), POLLOUT | POLLHUP);
	tcp_pair(s);
	CHECK_EQ(ready(s[0], ALL), POLLOUT);
	send_all(s[1], "x", 1);
	wait_for(s[0], POLLIN);
	CHECK_EQ(ready(s[0], ALL), POLLOUT | POLLIN);
	CHECK_OK(shutdown(s[1], SHUT_WR));
	wait_for(s[0], POLLRDHUP);
	CHECK_EQ(ready(s[0], ALL), POLLOUT | POLLIN | POLLRDHUP);
	CHECK_OK(shutdown(s[0], SHUT_WR));
	wait_for(s[0], POLLHUP);
	CHECK_EQ(ready(s[0], ALL), POLLOUT | POLLIN | POLLRDHUP | POLLHUP);
}

TEST(listener_is_readable_when_there_is_one)
{
	int l = tcp_listener(2);

	CHECK_EQ(ready(l, ALL), 0);
	tcp_connect(l);
	CHECK_EQ(wait_for(l, ALL), POLLIN);
	tcp_accept(l);
	CHECK_EQ(ready(l, ALL), 0);
}

TEST(reset_is_all_at_once)
{
	int s[2];

	tcp_pair(s);
	reset(s[1]);
	wait_for(s[0], POLLERR);
	CHECK_EQ(ready(s[0], ALL), POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP);
	CHECK_EQ(error_of(s[0]), ECONNRESET);
	CHECK_EQ(ready(s[0], ALL), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

TEST(each_arrival_is_an_edge)
{
	int s[2], ep;
	char c;

	tcp_pair(s);
	ep = epoll_of(s[0], EDGE);
	CHECK_EQ(edge(ep, 0), EPOLLOUT);
	CHECK_EQ(edge(ep, 0), 0);
	send_all(s[1], "a", 1);
	CHECK_EQ(edge(ep, 5000), EPOLLIN | EPOLLOUT);
	CHECK_EQ(edge(ep, 20), 0);
	/* more, though the first was not read */
	send_all(s[1], "b", 1);
	CHECK_EQ(edge(ep, 5000), EPOLLIN | EPOLLOUT);
	CHECK_EQ(recv(s[0], &c, 1, 0), 1);
	CHECK_EQ(edge(ep, 20), 0);
}

TEST(end_and_reset_are_edges)
{
	int s[2], ep;

	tcp_pair(s);
	ep = epoll_of(s[0], EDGE);
	CHECK_EQ(edge(ep, 0), EPOLLOUT);
	CHECK_OK(shutdown(s[1], SHUT_WR));
	CHECK_EQ(edge(ep, 5000), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	CHECK_EQ(edge(ep, 20), 0);
	reset(s[1]);
	CHECK_EQ(edge(ep, 5000), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP);
}

TEST(room_after_none_is_an_edge)
{
	static char big[256 << 10];
	int s[2], ep;

	tcp_pair(s);
	nonblocking(s[0]);
	nonblocking(s[1]);
	ep = epoll_of(s[0], EPOLLOUT | EPOLLET);
	CHECK_EQ(edge(ep, 0), EPOLLOUT);
	while (send(s[0], big, sizeof(big), 0) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	while (edge(ep, 50))
		while (send(s[0], big, sizeof(big), 0) > 0)
			;
	for (;;) {
		struct pollfd p = { .fd = s[0], .events = POLLOUT };

		while (recv(s[1], big, sizeof(big), 0) > 0)
			;
		if (poll(&p, 1, 0) == 1)
			break;
	}
	CHECK_EQ(edge(ep, 5000), EPOLLOUT);
	CHECK_EQ(edge(ep, 20), 0);
}

TEST(connecting_is_an_edge)
{
	int l = tcp_listener(1), fd = tcp_socket(), ep;
	struct sockaddr_in a = name_of(l);

	nonblocking(fd);
	ep = epoll_of(fd, EDGE);
	CHECK_EQ(edge(ep, 0), EPOLLOUT | EPOLLHUP);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), EINPROGRESS);
	CHECK_EQ(edge(ep, 5000), EPOLLOUT);
}

TEST(urgent_data_is_pollpri)
{
	int s[2];
	char c;

	tcp_pair(s);
	CHECK_EQ(send(s[1], "U", 1, MSG_OOB), 1);
	CHECK_EQ(wait_for(s[0], POLLPRI), POLLPRI);
	CHECK_EQ(recv(s[0], &c, 1, MSG_OOB), 1);
	CHECK_EQ(ready(s[0], POLLPRI), 0);
}

TEST(each_connection_is_an_edge_of_its_listener)
{
	int l = tcp_listener(4), ep = epoll_of(l, EPOLLIN | EPOLLET);

	CHECK_EQ(edge(ep, 0), 0);
	tcp_connect(l);
	CHECK_EQ(edge(ep, 5000), EPOLLIN);
	CHECK_EQ(edge(ep, 20), 0);
	tcp_connect(l);
	CHECK_EQ(edge(ep, 5000), EPOLLIN);
	tcp_accept(l);
	CHECK_EQ(edge(ep, 20), 0);
}

#define MANY	1000

TEST_SECONDS(a_thousand_connections_in_one_epoll, 60)
{
	struct rlimit r = { 4096, 4096 };
	static int c[MANY], s[MANY];
	int l, ep = epoll_create1(0), seen = 0;

	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		SKIP("so many descriptors are not allowed");
	l = tcp_listener(128);
	for (int i = 0; i < MANY; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = (uint32_t)i };

		c[i] = tcp_connect(l);
		s[i] = tcp_accept(l);
		CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, s[i], &e));
	}
	for (int i = 0; i < MANY; i += 7)
		send_all(c[i], "x", 1);
	while (seen < (MANY + 6) / 7) {
		struct epoll_event e;
		char b;

		CHECK_EQ(epoll_wait(ep, &e, 1, 10000), 1);
		CHECK_EQ(e.data.u32 % 7, 0);
		CHECK_EQ(recv(s[e.data.u32], &b, 1, 0), 1);
		seen++;
	}
	CHECK_EQ(epoll_wait(ep, &(struct epoll_event){ .events = 0 }, 1, 0), 0);
}
