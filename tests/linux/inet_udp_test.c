/* SPDX-License-Identifier: MIT */
/* Sockets of UDP: datagrams over lo, what comes with them, buffers, poll (udp(7), ip(7)). */
#include "inet.h"

#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/time.h>

TEST(datagram_arrives_with_its_sender)
{
	int a = udp_at("127.0.0.1"), b = udp_at("127.0.0.1");
	struct received r;

	CHECK_EQ(try_send_to(a, "hello", 5, "127.0.0.1", port_of(b)), 5);
	CHECK_EQ(receive(b, &r, 0), 5);
	CHECK(memcmp(r.data, "hello", 5) == 0);
	CHECK_EQ(r.msg.msg_namelen, sizeof(r.from));
	CHECK_EQ(ntohs(r.from.sin_port), port_of(a));
	CHECK_EQ(ntohl(r.from.sin_addr.s_addr), INADDR_LOOPBACK);
	CHECK_EQ(r.flags, 0);
	CHECK_EQ(r.msg.msg_controllen, 0);
	CHECK_ERRNO(receive(b, &r, MSG_DONTWAIT), EAGAIN);
}

TEST(empty_and_largest_datagrams)
{
	static char data[65508], back[65508];
	int fd[2];

	udp_pair(fd);
	memset(data, 'x', sizeof(data));
	CHECK_EQ(send(fd[0], "", 0, 0), 0);
	CHECK_EQ(poll_now(fd[1], POLLIN), POLLIN);
	CHECK_EQ(recv(fd[1], back, sizeof(back), 0), 0);
	CHECK_EQ(send(fd[0], data, 65507, 0), 65507);
	CHECK_EQ(recv(fd[1], back, sizeof(back), 0), 65507);
	CHECK(memcmp(data, back, 65507) == 0);
	CHECK_ERRNO(send(fd[0], data, 65508, 0), EMSGSIZE);
}

TEST(too_small_a_buffer_cuts_the_datagram)
{
	char data[4] = "";
	struct received r;
	int fd[2];

	udp_pair(fd);
	CHECK_EQ(send(fd[0], "0123456789", 10, 0), 10);
	CHECK_EQ(send(fd[0], "ab", 2, 0), 2);
	CHECK_EQ(recv(fd[1], data, 4, MSG_PEEK), 4);
	CHECK_EQ(recv(fd[1], data, 4, MSG_PEEK | MSG_TRUNC), 10);
	r.iov = (struct iovec){ data, 4 };
	r.msg = (struct msghdr){ .msg_iov = &r.iov, .msg_iovlen = 1 };
	CHECK_EQ(recvmsg(fd[1], &r.msg, 0), 4);
	CHECK_EQ(r.msg.msg_flags, MSG_TRUNC);
	CHECK(memcmp(data, "0123", 4) == 0);
	CHECK_EQ(recv(fd[1], data, 4, 0), 2);
}

TEST(what_was_looked_at_stays)
{
	int a = udp_at("127.0.0.1"), b = udp_at("127.0.0.1");
	struct received r;

	CHECK_EQ(try_send_to(a, "one", 3, "127.0.0.1", port_of(b)), 3);
	CHECK_EQ(try_send_to(a, "three", 5, "127.0.0.1", port_of(b)), 5);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(receive(b, &r, MSG_PEEK), 3);
		CHECK_EQ(ntohs(r.from.sin_port), port_of(a));
	}
	CHECK_EQ(receive(b, &r, 0), 3);
	CHECK_EQ(receive(b, &r, MSG_PEEK), 5);
	CHECK_EQ(receive(b, &r, 0), 5);
	CHECK_ERRNO(receive(b, &r, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

TEST(addresses_of_messages_are_checked)
{
	struct sockaddr_in to = address_of("127.0.0.1", 0);
	int a = inet_socket(SOCK_DGRAM, IPPROTO_UDP);

	CHECK_ERRNO(send(a, "x", 1, 0), EDESTADDRREQ);
	CHECK_ERRNO(sendto(a, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), EINVAL);	/* port 0 */
	to.sin_port = htons(9);
	CHECK_ERRNO(sendto(a, "x", 1, 0, (struct sockaddr *)&to, sizeof(to) - 1), EINVAL);
	to.sin_family = AF_UNIX;
	CHECK_ERRNO(sendto(a, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), EAFNOSUPPORT);
	to.sin_family = AF_INET;
	CHECK_ERRNO(sendto(a, "x", 1, MSG_OOB, (struct sockaddr *)&to, sizeof(to)), EOPNOTSUPP);
}

TEST(peer_is_set_changed_and_forgotten)
{
	struct sockaddr_in to = address_of("127.0.0.1", 0), name;
	int a = inet_socket(SOCK_DGRAM, 0), b = udp_at("127.0.0.1"), c = udp_at("127.0.0.2");
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	socklen_t len = sizeof(name);
	struct received r;

	CHECK_ERRNO(getpeername(a, (struct sockaddr *)&name, &len), ENOTCONN);
	CHECK_EQ(name_of(a).sin_addr.s_addr, 0);
	CHECK_EQ(port_of(a), 0);
	CHECK_OK(try_connect(a, "127.0.0.1", port_of(b)));
	CHECK_OK(getpeername(a, (struct sockaddr *)&name, &len));
	CHECK_EQ(ntohs(name.sin_port), port_of(b));
	CHECK_EQ(ntohl(name_of(a).sin_addr.s_addr), INADDR_LOOPBACK);
	CHECK(port_of(a) != 0);
	/* only the peer is heard */
	CHECK_EQ(try_send_to(c, "no", 2, "127.0.0.1", port_of(a)), 2);
	CHECK_ERRNO(receive(a, &r, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(try_send_to(b, "yes", 3, "127.0.0.1", port_of(a)), 3);
	CHECK_EQ(receive(a, &r, MSG_DONTWAIT), 3);
	/* but others may be sent to */
	to = name_of(c);
	CHECK_EQ(sendto(a, "to c", 4, 0, (struct sockaddr *)&to, sizeof(to)), 4);
	CHECK_EQ(receive(c, &r, 0), 4);
	CHECK_OK(try_connect(a, "127.0.0.2", port_of(c)));
	CHECK_EQ(send(a, "again", 5, 0), 5);
	CHECK_EQ(receive(c, &r, 0), 5);
	CHECK_OK(connect(a, &nobody, sizeof(nobody)));
	CHECK_ERRNO(getpeername(a, (struct sockaddr *)&name, &len), ENOTCONN);
	CHECK_EQ(port_of(a), 0);
	CHECK_EQ(name_of(a).sin_addr.s_addr, 0);
	CHECK_ERRNO(send(a, "x", 1, 0), EDESTADDRREQ);
}

TEST(what_the_program_bound_outlives_the_peer)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int a = inet_socket(SOCK_DGRAM, 0), b = udp_at("127.0.0.1"), port;

	CHECK_OK(try_bind(a, "127.0.0.3", 0));
	port = port_of(a);
	set_int(a, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_OK(try_connect(a, "127.0.0.1", port_of(b)));
	CHECK_OK(connect(a, &nobody, sizeof(nobody)));
	CHECK_EQ(ntohl(name_of(a).sin_addr.s_addr), INADDR_LOOPBACK + 2);
	/* a port that the system chose is not the program's */
	CHECK_EQ(port_of(a), 0);
	CHECK_OK(try_bind(a, "127.0.0.3", port));
	CHECK_OK(try_connect(a, "127.0.0.1", port_of(b)));
	CHECK_OK(connect(a, &nobody, sizeof(nobody)));
	CHECK_EQ(port_of(a), port);
}

TEST(nobody_is_this_machine)
{
	int a = inet_socket(SOCK_DGRAM, 0), b = udp_at("0.0.0.0");
	struct received r;

	CHECK_EQ(try_send_to(a, "x", 1, "0.0.0.0", port_of(b)), 1);
	CHECK_EQ(receive(b, &r, 0), 1);
	CHECK_EQ(ntohl(r.from.sin_addr.s_addr), INADDR_LOOPBACK);
}

TEST(packet_information_comes_and_goes)
{
	int a = udp_at("0.0.0.0"), b = udp_at("0.0.0.0"), ttl = 77, tos = 0x10, *number;
	struct in_pktinfo from = { .ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK + 4) }, *info;
	struct sockaddr_in *orig;
	struct received r;

	set_int(b, IPPROTO_IP, IP_PKTINFO, 1);
	set_int(b, IPPROTO_IP, IP_RECVTTL, 1);
	set_int(b, IPPROTO_IP, IP_RECVTOS, 1);
	set_int(b, IPPROTO_IP, IP_RECVORIGDSTADDR, 1);
	CHECK_EQ(send_with(a, "abc", "127.0.0.9", port_of(b), IPPROTO_IP, IP_PKTINFO, &from,
			   sizeof(from)), 3);
	CHECK_EQ(receive(b, &r, 0), 3);
	CHECK_EQ(ntohl(r.from.sin_addr.s_addr), INADDR_LOOPBACK + 4);
	info = control_of(&r, IPPROTO_IP, IP_PKTINFO, sizeof(*info));
	CHECK(info != NULL);
	CHECK_EQ(info->ipi_ifindex, if_nametoindex("lo"));
	CHECK_EQ(ntohl(info->ipi_addr.s_addr), INADDR_LOOPBACK + 8);
	CHECK_EQ(ntohl(info->ipi_spec_dst.s_addr), INADDR_LOOPBACK + 8);
	orig = control_of(&r, IPPROTO_IP, IP_ORIGDSTADDR, sizeof(*orig));
	CHECK(orig != NULL);
	CHECK_EQ(ntohs(orig->sin_port), port_of(b));
	CHECK_EQ(ntohl(orig->sin_addr.s_addr), INADDR_LOOPBACK + 8);
	number = control_of(&r, IPPROTO_IP, IP_TTL, sizeof(int));
	CHECK(number != NULL && *number == 64);
	CHECK_EQ(send_with(a, "t", "127.0.0.1", port_of(b), IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)),
		 1);
	CHECK_EQ(receive(b, &r, 0), 1);
	number = control_of(&r, IPPROTO_IP, IP_TTL, sizeof(int));
	CHECK(number != NULL && *number == 77);
	CHECK_EQ(send_with(a, "o", "127.0.0.1", port_of(b), IPPROTO_IP, IP_TOS, &tos, sizeof(tos)),
		 1);
	CHECK_EQ(receive(b, &r, 0), 1);
	CHECK_EQ(*(uint8_t *)control_of(&r, IPPROTO_IP, IP_TOS, 1), 0x10);
	ttl = 256;
	CHECK_ERRNO(send_with(a, "t", "127.0.0.1", port_of(b), IPPROTO_IP, IP_TTL, &ttl,
			      sizeof(ttl)), EINVAL);
	from.ipi_spec_dst.s_addr = htonl(0x08080808);
	CHECK_ERRNO(send_with(a, "t", "127.0.0.1", port_of(b), IPPROTO_IP, IP_PKTINFO, &from,
			      sizeof(from)), ENETUNREACH);
	CHECK_ERRNO(send_with(a, "t", "127.0.0.1", port_of(b), IPPROTO_IP, IP_RECVERR, &ttl,
			      sizeof(ttl)), EINVAL);
}

TEST(options_of_ip_have_their_values)
{
	int fd = inet_socket(SOCK_DGRAM, 0);
	socklen_t len = 1;
	uint8_t byte = 5;

	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_TTL), 64);
	set_int(fd, IPPROTO_IP, IP_TTL, 9);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_TTL), 9);
	CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_TTL, &byte, 1));
	CHECK_OK(getsockopt(fd, IPPROTO_IP, IP_TTL, &byte, &len));
	CHECK_EQ(len, 1);
	CHECK_EQ(byte, 5);
	CHECK_ERRNO(try_int(fd, IPPROTO_IP, IP_TTL, 0), EINVAL);
	CHECK_ERRNO(try_int(fd, IPPROTO_IP, IP_TTL, 256), EINVAL);
	set_int(fd, IPPROTO_IP, IP_TTL, -1);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_TTL), 64);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_TOS), 0);
	set_int(fd, IPPROTO_IP, IP_TOS, 0x28);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_TOS), 0x28);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_WANT);
	CHECK_ERRNO(try_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, 6), EINVAL);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_MULTICAST_TTL), 1);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
	CHECK_ERRNO(try_int(fd, IPPROTO_IP, IP_HDRINCL, 1), ENOPROTOOPT);
	CHECK_ERRNO(try_int(fd, IPPROTO_IP, 99, 1), ENOPROTOOPT);
	len = sizeof(int);
	CHECK_ERRNO(getsockopt(fd, IPPROTO_IP, IP_MTU, &byte, &len), ENOTCONN);
	CHECK_OK(try_connect(fd, "127.0.0.1", 9));
	/* 65536, but for a Linux that has it cut */
	CHECK(get_int(fd, IPPROTO_IP, IP_MTU) >= 65535);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
}

TEST(reads_wait_as_they_are_told)
{
	struct timeval soon = { .tv_usec = 20000 };
	int fd = udp_at("127.0.0.1"), port = port_of(fd);
	char byte;

	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)));
	CHECK_ERRNO(recv(fd, &byte, 1, 0), EAGAIN);
	soon.tv_usec = 0;
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)));
	IN_CHILD(CHECK_EQ(try_send_to(inet_socket(SOCK_DGRAM, 0), "x", 1, "127.0.0.1", port), 1));
	CHECK_EQ(recv(fd, &byte, 1, 0), 1);
	CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(recv(fd, &byte, 1, 0), EAGAIN);
	CHECK_ERRNO(read(fd, &byte, 1), EAGAIN);
}

TEST(sleeping_reader_is_woken)
{
	int fd[2], status;
	char byte = 0;
	pid_t child;

	udp_pair(fd);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		for (int i = 0; i < 200; i++)
			if (recv(fd[1], &byte, 1, 0) != 1 || send(fd[1], &byte, 1, 0) != 1)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 200; i++) {
		CHECK_EQ(send(fd[0], "p", 1, 0), 1);
		CHECK_EQ(recv(fd[0], &byte, 1, 0), 1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

TEST(poll_says_what_can_be_done)
{
	int fd[2], n = -1;
	char data[8];

	udp_pair(fd);
	CHECK_EQ(poll_now(fd[0], POLLIN | POLLOUT), POLLOUT);
	CHECK_EQ(send(fd[1], "12345", 5, 0), 5);
	CHECK_EQ(send(fd[1], "12", 2, 0), 2);
	CHECK_EQ(poll_now(fd[0], POLLIN | POLLOUT), POLLIN | POLLOUT);
	CHECK_OK(ioctl(fd[0], FIONREAD, &n));
	CHECK_EQ(n, 5);
	CHECK_EQ(recv(fd[0], data, sizeof(data), 0), 5);
	CHECK_OK(ioctl(fd[0], SIOCINQ, &n));
	CHECK_EQ(n, 2);
	CHECK_OK(ioctl(fd[0], SIOCOUTQ, &n));
	CHECK_EQ(n, 0);
}

TEST(each_datagram_is_an_edge_for_epoll)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int fd[2], ep = epoll_create1(0);

	udp_pair(fd);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd[1], &e));
	CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
	CHECK_EQ(send(fd[0], "1", 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &e, 1, 1000), 1);
	CHECK_EQ(e.events, EPOLLIN);
	CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
	CHECK_EQ(send(fd[0], "2", 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &e, 1, 1000), 1);
	CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
}

TEST(shutdown_of_a_socket_without_connection)
{
	int fd[2], a = udp_at("127.0.0.1");
	char byte;

	udp_pair(fd);
	CHECK_ERRNO(shutdown(a, SHUT_RD), ENOTCONN);
	CHECK_EQ(recv(a, &byte, 1, 0), 0);	/* it is shut down all the same */
	CHECK_OK(shutdown(fd[0], SHUT_WR));
	CHECK_ERRNO(send(fd[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(send(fd[1], "x", 1, 0), 1);
	CHECK_EQ(recv(fd[0], &byte, 1, 0), 1);
	CHECK_OK(shutdown(fd[0], SHUT_RD));
	CHECK_EQ(recv(fd[0], &byte, 1, 0), 0);
	CHECK_EQ(poll_now(fd[0], POLLIN | POLLRDHUP), POLLIN | POLLRDHUP | POLLHUP);
}

TEST(full_buffer_drops_and_counts)
{
	static char data[1000];
	struct received r;
	int fd[2], n = 0;
	uint32_t *drops = NULL;

	udp_pair(fd);
	set_int(fd[1], SOL_SOCKET, SO_RCVBUF, 4096);
	CHECK_EQ(get_int(fd[1], SOL_SOCKET, SO_RCVBUF), 8192);
	set_int(fd[1], SOL_SOCKET, SO_RXQ_OVFL, 1);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(send(fd[0], data, sizeof(data), 0), sizeof(data));
	while (receive(fd[1], &r, MSG_DONTWAIT) > 0)
		n++;
	CHECK(n >= 2 && n <= 12);
	CHECK_EQ(send(fd[0], data, 1, 0), 1);
	CHECK_EQ(receive(fd[1], &r, 0), 1);
	drops = control_of(&r, SOL_SOCKET, SO_RXQ_OVFL, sizeof(*drops));
	CHECK(drops != NULL);
	CHECK_EQ(*drops, 100 - n);
}

TEST(arrival_is_told)
{
	struct timespec *ns, now;
	struct timeval *tv;
	struct received r;
	int fd[2];

	udp_pair(fd);
	set_int(fd[1], SOL_SOCKET, SO_TIMESTAMPNS, 1);
	CHECK_OK(clock_gettime(CLOCK_REALTIME, &now));
	CHECK_EQ(send(fd[0], "x", 1, 0), 1);
	CHECK_EQ(receive(fd[1], &r, 0), 1);
	ns = control_of(&r, SOL_SOCKET, SO_TIMESTAMPNS, sizeof(*ns));
	CHECK(ns != NULL);
	CHECK(ns->tv_sec >= now.tv_sec - 1 && ns->tv_sec <= now.tv_sec + 5);
	set_int(fd[1], SOL_SOCKET, SO_TIMESTAMP, 1);
	CHECK_EQ(send(fd[0], "x", 1, 0), 1);
	CHECK_EQ(receive(fd[1], &r, 0), 1);
	tv = control_of(&r, SOL_SOCKET, SO_TIMESTAMP, sizeof(*tv));
	CHECK(tv != NULL && tv->tv_usec < 1000000);
}

TEST(parts_make_one_datagram)
{
	char data[16] = "";
	int fd[2];

	udp_pair(fd);
	CHECK_EQ(send(fd[0], "ab", 2, MSG_MORE), 2);
	CHECK_ERRNO(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(send(fd[0], "cd", 2, MSG_MORE), 2);
	CHECK_EQ(send(fd[0], "e", 1, 0), 1);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 5);
	CHECK(memcmp(data, "abcde", 5) == 0);
	set_int(fd[0], IPPROTO_UDP, UDP_CORK, 1);
	CHECK_EQ(send(fd[0], "12", 2, 0), 2);
	CHECK_EQ(send(fd[0], "34", 2, 0), 2);
	CHECK_ERRNO(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), EAGAIN);
	set_int(fd[0], IPPROTO_UDP, UDP_CORK, 0);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 4);
	CHECK(memcmp(data, "1234", 4) == 0);
}

TEST(segments_are_datagrams)
{
	char data[16] = "";
	uint16_t size = 4;
	int fd[2];

	udp_pair(fd);
	CHECK_EQ(send_with(fd[0], "aaaabbbbcc", NULL, 0, IPPROTO_UDP, UDP_SEGMENT, &size,
			   sizeof(size)), 10);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 4);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 4);
	CHECK(memcmp(data, "bbbb", 4) == 0);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 2);
	set_int(fd[0], IPPROTO_UDP, UDP_SEGMENT, 3);
	CHECK_EQ(get_int(fd[0], IPPROTO_UDP, UDP_SEGMENT), 3);
	CHECK_EQ(send(fd[0], "xyz1", 4, 0), 4);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 3);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 1);
}

TEST(filter_keeps_datagrams_out)
{
	/* the first byte behind the header of UDP, 8 bytes: 'y' passes */
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 10), BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = 4, .filter = f };
	char data[8];
	int fd[2];

	udp_pair(fd);
	CHECK_OK(setsockopt(fd[1], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	CHECK_EQ(send(fd[0], "no", 2, 0), 2);
	CHECK_EQ(send(fd[0], "yes!", 4, 0), 4);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 2);	/* 10 bytes with the header */
	CHECK_OK(setsockopt(fd[1], SOL_SOCKET, SO_DETACH_FILTER, &prog, sizeof(prog)));
	CHECK_EQ(send(fd[0], "no", 2, 0), 2);
	CHECK_EQ(recv(fd[1], data, sizeof(data), MSG_DONTWAIT), 2);
}

TEST(broadcasts_need_leave)
{
	int a = udp_at("0.0.0.0"), b = udp_at("0.0.0.0");
	struct received r;

	CHECK_ERRNO(try_send_to(a, "x", 1, "127.255.255.255", port_of(b)), EACCES);
	CHECK_ERRNO(try_connect(a, "127.255.255.255", port_of(b)), EACCES);
	set_int(a, SOL_SOCKET, SO_BROADCAST, 1);
	CHECK_EQ(try_send_to(a, "x", 1, "127.255.255.255", port_of(b)), 1);
	CHECK_EQ(receive(b, &r, MSG_DONTWAIT), 1);
}

TEST(many_messages_in_one_call)
{
	struct iovec iov[3] = { { (void *)"a", 1 }, { (void *)"bb", 2 }, { (void *)"ccc", 3 } };
	struct mmsghdr out[3] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
				  { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } },
				  { .msg_hdr = { .msg_iov = &iov[2], .msg_iovlen = 1 } } };
	char data[3][8];
	struct iovec into[3] = { { data[0], 8 }, { data[1], 8 }, { data[2], 8 } };
	struct mmsghdr in[3] = { { .msg_hdr = { .msg_iov = &into[0], .msg_iovlen = 1 } },
				 { .msg_hdr = { .msg_iov = &into[1], .msg_iovlen = 1 } },
				 { .msg_hdr = { .msg_iov = &into[2], .msg_iovlen = 1 } } };
	int fd[2];

	udp_pair(fd);
	CHECK_EQ(sendmmsg(fd[0], out, 3, 0), 3);
	CHECK_EQ(recvmmsg(fd[1], in, 3, MSG_WAITFORONE, NULL), 3);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(in[i].msg_len, i + 1);
}

TEST(what_it_is_not)
{
	int a = inet_socket(SOCK_DGRAM, 0);

	CHECK_ERRNO(listen(a, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(a, NULL, NULL), EOPNOTSUPP);
	CHECK_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_DGRAM, -1), EINVAL);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_DGRAM, 0, (int[2]){ 0 }), EOPNOTSUPP);
}

TEST(large_datagrams_go_in_pieces)
{
	static char data[60000], back[65536];
	struct ifreq q = ifreq_of("lo");
	int fd[2], control;

	own_loopback();
	q.ifr_mtu = 1500;
	control = control_socket();
	CHECK_OK(ioctl(control, SIOCSIFMTU, &q));
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 2654435761u >> 24);
	udp_pair(fd);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(send(fd[0], data, sizeof(data), 0), sizeof(data));
		CHECK_EQ(recv(fd[1], back, sizeof(back), MSG_DONTWAIT), sizeof(data));
		CHECK(memcmp(data, back, sizeof(data)) == 0);
	}
}
