/* SPDX-License-Identifier: MIT */
/* The network below any protocol: frames through the loopback device. */

#include "bench.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define PROTOCOL	0x88b5		/* for local experiments */

static int frame_socket;

/* A network of its own: whatever the system sends through its lo is not counted. */
static void frame_start(void)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(PROTOCOL) };
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	MUST(unshare(CLONE_NEWNET) == 0);
	frame_socket = socket(AF_PACKET, SOCK_RAW, 0);
	MUST(frame_socket >= 0);
	MUST(ioctl(frame_socket, SIOCSIFFLAGS, &request) == 0);
	address.sll_ifindex = (int)if_nametoindex("lo");
	MUST(bind(frame_socket, (struct sockaddr *)&address, sizeof(address)) == 0);
}

static void frame_run(uint64_t count)
{
	char frame[114] = { 0 }, back[200];

	frame[12] = (char)(PROTOCOL >> 8);
	frame[13] = (char)(PROTOCOL & 0xff);
	for (uint64_t i = 0; i < count; i++) {
		MUST(send(frame_socket, frame, sizeof(frame), 0) == sizeof(frame));
		MUST(recv(frame_socket, back, sizeof(back), 0) == sizeof(frame));
	}
}

static void frame_finish(void)
{
	close(frame_socket);
}

ROW(frame, .name = "frame", .unit = "frame of 114 bytes through lo, sent and received by AF_PACKET",
    .run = frame_run, .prepare = frame_start, .finish = frame_finish, .fixed_count = 2000)
