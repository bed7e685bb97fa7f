/* SPDX-License-Identifier: MIT */
/*
 * Errors that come back for what a socket of AF_INET sent: SO_ERROR and IP_RECVERR (ip(7),
 * udp(7)).
 */
#include "inet.h"

#include <linux/errqueue.h>
#include <linux/icmp.h>

/* A port of 127.0.0.1 that nobody has. */
static int free_port(void)
{
	int fd = udp_at("127.0.0.1"), port = port_of(fd);

	close(fd);
	return port;
}

static struct sock_extended_err *error_of(struct received *r)
{
	return control_of(r, IPPROTO_IP, IP_RECVERR,
			  sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in));
}

TEST(nobody_there_is_told_to_the_connected)
{
	int fd = inet_socket(SOCK_DGRAM, 0);
	char byte;

	CHECK_OK(try_connect(fd, "127.0.0.1", free_port()));
	CHECK_EQ(send(fd, "x", 1, 0), 1);
	CHECK_EQ(poll_now(fd, POLLIN), POLLERR);
	CHECK_ERRNO(recv(fd, &byte, 1, 0), ECONNREFUSED);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(send(fd, "x", 1, 0), 1);
	CHECK_ERRNO(send(fd, "x", 1, 0), ECONNREFUSED);
	CHECK_EQ(send(fd, "x", 1, 0), 1);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_ERROR), 0);
}

TEST(unconnected_hear_nothing)
{
	int fd = udp_at("127.0.0.1");
	char byte;

	CHECK_EQ(try_send_to(fd, "x", 1, "127.0.0.1", free_port()), 1);
	CHECK_EQ(poll_now(fd, POLLIN), 0);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(error_wakes_a_sleeping_reader)
{
	int fd = inet_socket(SOCK_DGRAM, 0);
	pid_t child;
	char byte;

	CHECK_OK(try_connect(fd, "127.0.0.1", free_port()));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		CHECK_ERRNO(recv(fd, &byte, 1, 0), ECONNREFUSED);
		_exit(0);
	}
	/* each message causes an error; the reader has one of them */
	while (waitpid(child, NULL, WNOHANG) == 0) {
		(void)!send(fd, "x", 1, 0);
		sched_yield();
	}
}

TEST(queue_of_errors_says_all)
{
	int fd = udp_at("127.0.0.1"), port = free_port();
	struct sock_extended_err *e;
	struct received r;
	char byte;

	set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_RECVERR), 1);
	CHECK_ERRNO(receive(fd, &r, MSG_ERRQUEUE), EAGAIN);
	CHECK_EQ(try_send_to(fd, "abcde", 5, "127.0.0.1", port), 5);
	CHECK_EQ(poll_now(fd, POLLIN), POLLERR);
	CHECK_EQ(receive(fd, &r, MSG_ERRQUEUE), 5);	/* what was sent, as far as it came back */
	CHECK(memcmp(r.data, "abcde", 5) == 0);
	CHECK_EQ(r.flags, MSG_ERRQUEUE);
	CHECK_EQ(ntohs(r.from.sin_port), port);		/* to whom it went */
	CHECK_EQ(ntohl(r.from.sin_addr.s_addr), INADDR_LOOPBACK);
	e = error_of(&r);
	CHECK(e != NULL);
	CHECK_EQ(e->ee_errno, ECONNREFUSED);
	CHECK_EQ(e->ee_origin, SO_EE_ORIGIN_ICMP);
	CHECK_EQ(e->ee_type, ICMP_DEST_UNREACH);
	CHECK_EQ(e->ee_code, ICMP_PORT_UNREACH);
	CHECK_EQ(e->ee_info, 0);
	CHECK_EQ(((struct sockaddr_in *)SO_EE_OFFENDER(e))->sin_family, AF_INET);
	CHECK_EQ(ntohl(((struct sockaddr_in *)SO_EE_OFFENDER(e))->sin_addr.s_addr),
		 INADDR_LOOPBACK);
	/* with its last message the error is gone, too */
	CHECK_EQ(poll_now(fd, POLLIN), 0);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(errors_queue_up)
{
	int fd = udp_at("127.0.0.1"), port = free_port();
	struct received r;
	char byte;

	set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
	CHECK_EQ(try_send_to(fd, "1", 1, "127.0.0.1", port), 1);
	/* the pending one is reported by the next call, which sends nothing */
	CHECK_ERRNO(try_send_to(fd, "2", 1, "127.0.0.1", port), ECONNREFUSED);
	CHECK_EQ(try_send_to(fd, "33", 2, "127.0.0.1", port), 2);
	CHECK_EQ(receive(fd, &r, MSG_ERRQUEUE), 1);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), ECONNREFUSED);
	CHECK_EQ(receive(fd, &r, MSG_ERRQUEUE), 2);
	CHECK_ERRNO(receive(fd, &r, MSG_ERRQUEUE), EAGAIN);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	/* who wants no more of them loses those that are there */
	CHECK_EQ(try_send_to(fd, "4", 1, "127.0.0.1", port), 1);
	set_int(fd, IPPROTO_IP, IP_RECVERR, 0);
	CHECK_ERRNO(receive(fd, &r, MSG_ERRQUEUE), EAGAIN);
}

TEST(too_large_for_the_way)
{
	static char data[60000];
	struct ifreq q = ifreq_of("lo");
	struct sock_extended_err *e;
	int fd, to, control;
	struct received r;

	own_loopback();
	q.ifr_mtu = 1500;
	control = control_socket();
	CHECK_OK(ioctl(control, SIOCSIFMTU, &q));
	to = udp_at("127.0.0.1");
	fd = udp_at("127.0.0.1");
	set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	CHECK_EQ(try_send_to(fd, data, 1472, "127.0.0.1", port_of(to)), 1472);
	CHECK_EQ(recv(to, data, sizeof(data), MSG_DONTWAIT), 1472);
	CHECK_ERRNO(try_send_to(fd, data, 1473, "127.0.0.1", port_of(to)), EMSGSIZE);
	set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
	CHECK_ERRNO(try_send_to(fd, data, 1473, "127.0.0.1", port_of(to)), EMSGSIZE);
	CHECK_EQ(receive(fd, &r, MSG_ERRQUEUE), 0);
	e = error_of(&r);
	CHECK(e != NULL);
	CHECK_EQ(e->ee_errno, EMSGSIZE);
	CHECK_EQ(e->ee_origin, SO_EE_ORIGIN_LOCAL);
	CHECK_EQ(e->ee_info, 1500);
	CHECK_OK(try_connect(fd, "127.0.0.1", port_of(to)));
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_MTU), 1500);
}

TEST(no_way_there)
{
	int fd;

	own_network();
	fd = inet_socket(SOCK_DGRAM, 0);
	CHECK_ERRNO(try_send_to(fd, "x", 1, "198.51.100.1", 9), ENETUNREACH);
	CHECK_ERRNO(try_connect(fd, "198.51.100.1", 9), ENETUNREACH);
	/* lo is down, and its addresses with it */
	CHECK_ERRNO(try_connect(fd, "127.0.0.1", 9), ENETUNREACH);
	set_flags("lo", IFF_UP);
	CHECK_OK(try_connect(fd, "127.0.0.1", 9));
	CHECK_OK(try_bind(inet_socket(SOCK_DGRAM, 0), "127.0.0.1", 0));
}
