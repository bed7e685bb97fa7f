/* SPDX-License-Identifier: MIT */
/* TCP through the loopback device. */

#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PIECE	65536u

static int listener, end[2];
static struct sockaddr_in listener_name;
static pid_t other;
static char piece[PIECE];

/* Somebody who listens, in a network of their own. */
static void listen_start(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	socklen_t len = sizeof(listener_name);

	MUST(unshare(CLONE_NEWNET) == 0);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	MUST(listener >= 0);
	MUST(ioctl(listener, SIOCSIFFLAGS, &request) == 0);
	listener_name = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(bind(listener, (struct sockaddr *)&listener_name, len) == 0);
	MUST(getsockname(listener, (struct sockaddr *)&listener_name, &len) == 0);
	MUST(listen(listener, 16) == 0);
}

static int connect_to_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST(fd >= 0);
	MUST(connect(fd, (struct sockaddr *)&listener_name, sizeof(listener_name)) == 0);
	return fd;
}

/* Both ends of a connection, which do not wait for more to send. */
static void pair_start(void)
{
	int one = 1;

	listen_start();
	end[0] = connect_to_listener();
	end[1] = accept(listener, NULL, NULL);
	MUST(end[1] >= 0);
	for (int i = 0; i < 2; i++)
		MUST(setsockopt(end[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
}

static void pair_finish(void)
{
	close(end[0]);
	close(end[1]);
	close(listener);
}

static void other_finish(void)
{
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	pair_finish();
}

/* -- a byte there and back */

static void rtt_start(void)
{
	char byte;

	pair_start();
	other = fork();
	MUST(other >= 0);
	if (other)
		return;
	while (recv(end[1], &byte, 1, 0) == 1)
		MUST(send(end[1], &byte, 1, 0) == 1);
	_exit(0);
}

static void rtt_run(uint64_t count)
{
	char byte = 'x';

	while (count--) {
		MUST(send(end[0], &byte, 1, 0) == 1);
		MUST(recv(end[0], &byte, 1, 0) == 1);
	}
}

/* -- a stream */

static void stream_start(void)
{
	pair_start();
	other = fork();
	MUST(other >= 0);
	if (other)
		return;
	while (recv(end[1], piece, PIECE, 0) > 0)
		;
	_exit(0);
}

static void stream_run(uint64_t count)
{
	while (count--)
		MUST(send(end[0], piece, PIECE, 0) == PIECE);
}

/* -- connections: one thread has both ends, so that nobody is waited for */

static void connect_run(uint64_t count)
{
	while (count--) {
		int here = connect_to_listener(), there = accept(listener, NULL, NULL);

		MUST(there >= 0);
		close(here);
		close(there);
	}
}

static void connect_finish(void)
{
	close(listener);
}

ROW(tcp_rtt, .name = "tcp-rtt", .unit = "byte there and back by TCP through lo between 2 processes",
    .run = rtt_run, .prepare = rtt_start, .finish = other_finish, .fixed_count = 500)
ROW(tcp_stream, .name = "tcp-stream", .unit = "64 KiB by TCP through lo, between 2 processes",
    .run = stream_run, .prepare = stream_start, .finish = other_finish, .fixed_count = 500)
ROW(tcp_connect, .name = "tcp-connect",
    .unit = "connection of TCP through lo: connect, accept, close, by one thread",
    .run = connect_run, .prepare = listen_start, .finish = connect_finish, .fixed_count = 200)
