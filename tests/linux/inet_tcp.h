/* SPDX-License-Identifier: MIT */
/* Steps of the cases about TCP: inet_tcp_test, inet_listen_test, inet_close_test and others. */
#pragma once

#include "helpers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

HELPER struct sockaddr_in address(const char *ip, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	CHECK_EQ(inet_pton(AF_INET, ip, &a.sin_addr), 1);
	return a;
}

HELPER int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_OK(fd);
	return fd;
}

HELPER struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	CHECK_OK(getsockname(fd, (void *)&a, &len));
	CHECK_EQ(len, sizeof(a));
	return a;
}

HELPER struct sockaddr_in peer_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	CHECK_OK(getpeername(fd, (void *)&a, &len));
	CHECK_EQ(len, sizeof(a));
	return a;
}

/* On a free port of 127.0.0.1. */
HELPER int tcp_listener(int backlog)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int fd = tcp_socket();

	CHECK_OK(bind(fd, (void *)&a, sizeof(a)));
	CHECK_OK(listen(fd, backlog));
	return fd;
}

HELPER int tcp_connect(int listener)
{
	struct sockaddr_in a = name_of(listener);
	int fd = tcp_socket();

	CHECK_OK(connect(fd, (void *)&a, sizeof(a)));
	return fd;
}

HELPER int tcp_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	CHECK_OK(fd);
	return fd;
}

/* s[0] has connected to s[1], which was accepted. */
HELPER void tcp_pair(int s[2])
{
	int l = tcp_listener(1);

	s[0] = tcp_connect(l);
	s[1] = tcp_accept(l);
	close(l);
}

HELPER int get_int(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int v = -12345;

	CHECK_OK(getsockopt(fd, level, name, &v, &len));
	CHECK_EQ(len, sizeof(int));
	return v;
}

HELPER void set_int(int fd, int level, int name, int v)
{
	CHECK_OK(setsockopt(fd, level, name, &v, sizeof(v)));
}

HELPER int error_of(int fd)
{
	return get_int(fd, SOL_SOCKET, SO_ERROR);
}

HELPER void nonblocking(int fd)
{
	CHECK_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

/* Until poll() says one of @events of @fd. */
HELPER short wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	CHECK_EQ(poll(&p, 1, 10000), 1);
	return p.revents;
}

HELPER void send_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		CHECK_OK(k);
		p += k;
		n -= (size_t)k;
	}
}

HELPER void expect(int fd, const char *text)
{
	char buf[256];
	size_t n = strlen(text);

	CHECK_EQ(recv(fd, buf, n, MSG_WAITALL), (ssize_t)n);
	CHECK(memcmp(buf, text, n) == 0);
}

/* close() with a RST. */
HELPER void reset(int fd)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	close(fd);
}

HELPER int tcp_state(int fd)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);

	CHECK_OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len));
	return i.tcpi_state;
}

/* Until it is in @state: ACKs may be late. */
HELPER void wait_state(int fd, int state)
{
	while (tcp_state(fd) != state)
		usleep(1000);
}
