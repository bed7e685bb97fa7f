/* SPDX-License-Identifier: MIT */
/* UDP through the loopback device. */

#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int udp_end[2];
static pid_t udp_echo;

static void bind_to_loopback(int fd, struct sockaddr_in *name)
{
	socklen_t len = sizeof(*name);

	*name = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(bind(fd, (struct sockaddr *)name, sizeof(*name)) == 0);
	MUST(getsockname(fd, (struct sockaddr *)name, &len) == 0);
}

/* Two sockets that are each other's peer, in a network of their own. */
static void udp_start(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct sockaddr_in name[2];

	MUST(unshare(CLONE_NEWNET) == 0);
	for (int i = 0; i < 2; i++) {
		udp_end[i] = socket(AF_INET, SOCK_DGRAM, 0);
		MUST(udp_end[i] >= 0);
		if (!i)
			MUST(ioctl(udp_end[0], SIOCSIFFLAGS, &request) == 0);
		bind_to_loopback(udp_end[i], &name[i]);
	}
	for (int i = 0; i < 2; i++)
		MUST(connect(udp_end[i], (struct sockaddr *)&name[1 - i], sizeof(name[0])) == 0);
}

static void udp_run(uint64_t count)
{
	char byte = 'x';

	while (count--) {
		MUST(send(udp_end[0], &byte, 1, 0) == 1);
		MUST(recv(udp_end[1], &byte, 1, 0) == 1);
	}
}

static void udp_finish(void)
{
	close(udp_end[0]);
	close(udp_end[1]);
}

static void udp_rtt_start(void)
{
	char byte;

	udp_start();
	udp_echo = fork();
	MUST(udp_echo >= 0);
	if (udp_echo)
		return;
	while (recv(udp_end[1], &byte, 1, 0) == 1)
		MUST(send(udp_end[1], &byte, 1, 0) == 1);
	_exit(0);
}

static void udp_rtt_run(uint64_t count)
{
	char byte = 'x';

	while (count--) {
		MUST(send(udp_end[0], &byte, 1, 0) == 1);
		MUST(recv(udp_end[0], &byte, 1, 0) == 1);
	}
}

static void udp_rtt_finish(void)
{
	kill(udp_echo, SIGKILL);
	waitpid(udp_echo, NULL, 0);
	udp_finish();
}

/* To an address that is given each time, as servers of names do it. */
static void udp_to_run(uint64_t count)
{
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	char byte = 'x';

	MUST(getsockname(udp_end[1], (struct sockaddr *)&to, &len) == 0);
	while (count--) {
		MUST(sendto(udp_end[0], &byte, 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1);
		MUST(recvfrom(udp_end[1], &byte, 1, 0, NULL, NULL) == 1);
	}
}

ROW(udp, .name = "udp",
    .unit = "byte through lo in a datagram of UDP, sent and received by one thread",
    .run = udp_run, .prepare = udp_start, .finish = udp_finish, .fixed_count = 2000)
ROW(udp_to, .name = "udp-to", .unit = "the same, to an address",
    .run = udp_to_run, .prepare = udp_start, .finish = udp_finish, .fixed_count = 2000)
ROW(udp_rtt, .name = "udp-rtt", .unit = "byte there and back by UDP through lo between 2 processes",
    .run = udp_rtt_run, .prepare = udp_rtt_start, .finish = udp_rtt_finish, .fixed_count = 500)
