/* SPDX-License-Identifier: MIT */
/* What tests of the network have in common: a network of their own, its devices, packet sockets. */
#pragma once

#include "harness.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define TEST_PROTOCOL	0x88b5		/* IEEE 802: for local experiments */
#define LO		1		/* the number of lo, in each namespace */

/* Only lo is there, and it is down: nothing that a test does disturbs the machine. */
static __attribute__((unused)) void own_network(void)
{
	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWNET));
}

static int control_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	return fd;
}

static struct ifreq ifreq_of(const char *name)
{
	struct ifreq r = { .ifr_ifindex = 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return r;
}

static __attribute__((unused)) short flags_of(const char *name)
{
	struct ifreq r = ifreq_of(name);
	int fd = control_socket();

	CHECK_OK(ioctl(fd, SIOCGIFFLAGS, &r));
	close(fd);
	return r.ifr_flags;
}

static __attribute__((unused)) void set_flags(const char *name, short flags)
{
	struct ifreq r = ifreq_of(name);
	int fd = control_socket();

	r.ifr_flags = flags;
	CHECK_OK(ioctl(fd, SIOCSIFFLAGS, &r));
	close(fd);
}

/* A network of its own with lo up. */
static __attribute__((unused)) void own_loopback(void)
{
	own_network();
	set_flags("lo", IFF_UP);
}

/* The file's first line, without its end. */
static __attribute__((unused)) const char *line_of(const char *path)
{
	static char line[256];
	FILE *f = fopen(path, "re");

	CHECK(f != NULL);
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return line;
}
