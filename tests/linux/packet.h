/* SPDX-License-Identifier: MIT */
/* What tests of packet sockets have in common: frames on lo. */
#pragma once

#include "net.h"

#include <sys/time.h>

/* A frame to lo with @n bytes of payload after the link's header. */
struct frame {
	struct ethhdr header;
	uint8_t payload[1500];
} __attribute__((packed));

static __attribute__((unused)) void make_frame(struct frame *f, uint16_t protocol, uint8_t fill)
{
	memset(f, 0, sizeof(*f));
	f->header.h_proto = htons(protocol);
	f->header.h_source[5] = 7;
	memset(f->payload, fill, sizeof(f->payload));
}

static __attribute__((unused)) int packet_socket(int type, uint16_t protocol)
{
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, htons(protocol));

	CHECK(fd >= 0);
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	return fd;
}

static __attribute__((unused)) struct sockaddr_ll address(int ifindex, uint16_t protocol)
{
	return (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_ifindex = ifindex,
				     .sll_protocol = htons(protocol), .sll_halen = 6 };
}

static __attribute__((unused)) void bind_to(int fd, int ifindex, uint16_t protocol)
{
	struct sockaddr_ll a = address(ifindex, protocol);

	CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

static __attribute__((unused)) int sender(void)
{
	int fd = packet_socket(SOCK_RAW, 0);

	bind_to(fd, LO, 0);
	return fd;
}

/* Send a frame of @n bytes of payload, each @fill. */
static __attribute__((unused)) void send_frame(int fd, uint16_t protocol, uint8_t fill, size_t n)
{
	struct frame f;

	make_frame(&f, protocol, fill);
	CHECK_EQ(send(fd, &f, sizeof(f.header) + n, 0), sizeof(f.header) + n);
}

/* The next packet's first byte of payload; 0: nothing is there. */
static __attribute__((unused)) int next_fill(int fd, int flags)
{
	struct frame f;
	ssize_t n = recv(fd, &f, sizeof(f), flags);

	if (n < 0) {
		CHECK_EQ(errno, EAGAIN);
		return 0;
	}
	CHECK(n > (ssize_t)sizeof(f.header));
	return f.payload[0];
}
