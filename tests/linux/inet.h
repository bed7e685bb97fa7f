/* SPDX-License-Identifier: MIT */
/*
 * What tests of AF_INET have in common: a network of their own, addresses of lo, sockets with
 * ports.
 */
#pragma once

#include "net.h"

#include <netinet/in.h>

#ifndef SO_RXQ_OVFL
#define SO_RXQ_OVFL	40
#endif

static __attribute__((unused)) struct sockaddr_in address_of(const char *text, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	CHECK(inet_pton(AF_INET, text, &a.sin_addr) == 1);
	return a;
}

static __attribute__((unused)) int inet_socket(int type, int protocol)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);

	CHECK_OK(fd);
	return fd;
}

static __attribute__((unused)) int try_bind(int fd, const char *text, int port)
{
	struct sockaddr_in a = address_of(text, port);

	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static __attribute__((unused)) int try_connect(int fd, const char *text, int port)
{
	struct sockaddr_in a = address_of(text, port);

	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static __attribute__((unused)) ssize_t try_send_to(int fd, const void *data, size_t len,
						   const char *text, int port)
{
	struct sockaddr_in a = address_of(text, port);

	return sendto(fd, data, len, 0, (struct sockaddr *)&a, sizeof(a));
}

static __attribute__((unused)) struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	CHECK_OK(getsockname(fd, (struct sockaddr *)&a, &len));
	CHECK_EQ(len, sizeof(a));
	CHECK_EQ(a.sin_family, AF_INET);
	return a;
}

static __attribute__((unused)) int port_of(int fd)
{
	return ntohs(name_of(fd).sin_port);
}

/* Of UDP, bound to @text and a port that the system chooses. */
static __attribute__((unused)) int udp_at(const char *text)
{
	int fd = inet_socket(SOCK_DGRAM, 0);

	CHECK_OK(try_bind(fd, text, 0));
	return fd;
}

/* Two sockets of UDP that are connected to each other. */
static __attribute__((unused)) void udp_pair(int fd[2])
{
	fd[0] = udp_at("127.0.0.1");
	fd[1] = udp_at("127.0.0.1");
	CHECK_OK(try_connect(fd[0], "127.0.0.1", port_of(fd[1])));
	CHECK_OK(try_connect(fd[1], "127.0.0.1", port_of(fd[0])));
}

static __attribute__((unused)) void set_int(int fd, int level, int name, int value)
{
	CHECK_OK(setsockopt(fd, level, name, &value, sizeof(value)));
}

static __attribute__((unused)) int try_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static __attribute__((unused)) int get_int(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	CHECK_OK(getsockopt(fd, level, name, &value, &len));
	CHECK_EQ(len, sizeof(value));
	return value;
}

/* What poll(2) says now, without waiting. */
static __attribute__((unused)) int poll_now(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = (short)events };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

/* A message received with its control data. */
struct received {
	char data[2048], control[512];
	struct sockaddr_in from;
	ssize_t len;
	int flags;
	struct msghdr msg;
	struct iovec iov;
};

static __attribute__((unused)) ssize_t receive(int fd, struct received *r, int flags)
{
	r->iov = (struct iovec){ r->data, sizeof(r->data) };
	r->msg = (struct msghdr){
		.msg_name = &r->from, .msg_namelen = sizeof(r->from), .msg_iov = &r->iov, .msg_iovlen = 1,
		.msg_control = r->control, .msg_controllen = sizeof(r->control),
	};
	r->len = recvmsg(fd, &r->msg, flags);
	r->flags = r->msg.msg_flags;
	return r->len;
}

/* The data of its control message, which has @len bytes; NULL: there is none. */
static __attribute__((unused)) void *control_of(struct received *r, int level, int type, size_t len)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&r->msg); c; c = CMSG_NXTHDR(&r->msg, c))
		if (c->cmsg_level == level && c->cmsg_type == type) {
			CHECK_EQ(c->cmsg_len, CMSG_LEN(len));
			return CMSG_DATA(c);
		}
	return NULL;
}

/* Send with one control message; @text NULL: to the peer. */
static __attribute__((unused)) ssize_t send_with(int fd, const char *data, const char *text,
						 int port, int level,
						 int type, const void *value, size_t len)
{
	struct sockaddr_in to = address_of(text ? text : "0.0.0.0", port);
	char control[128] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, strlen(data) };
	struct msghdr m = {
		.msg_name = text ? &to : NULL, .msg_namelen = text ? sizeof(to) : 0, .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(len),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	return sendmsg(fd, &m, 0);
}
