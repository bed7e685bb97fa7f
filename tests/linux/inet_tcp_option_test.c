/* SPDX-License-Identifier: MIT */
/* TCP's options, and what SOL_SOCKET's mean to a connection. */

#include "inet_tcp.h"

static void range(int name, int least, int most)
{
	int fd = tcp_socket(), v;

	set_int(fd, IPPROTO_TCP, name, least);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, name), least);
	set_int(fd, IPPROTO_TCP, name, most);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, name), most);
	v = least - 1;
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, name, &v, sizeof(v)), EINVAL);
	v = most + 1;
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, name, &v, sizeof(v)), EINVAL);
	close(fd);
}

TEST(defaults_are_those_of_the_system)
{
	int fd = tcp_socket();

	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_CORK), 0);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_MAXSEG), 536);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL), 75);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_KEEPCNT), 9);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_SYNCNT), 6);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_LINGER2), 60);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 0);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_SNDBUF), 16384);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_RCVBUF), 131072);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
}

TEST(ranges_are_checked)
{
	range(TCP_KEEPIDLE, 1, 32767);
	range(TCP_KEEPINTVL, 1, 32767);
	range(TCP_KEEPCNT, 1, 127);
	range(TCP_SYNCNT, 1, 127);
}

TEST(maxseg_is_checked)
{
	int fd = tcp_socket(), v;

	set_int(fd, IPPROTO_TCP, TCP_MAXSEG, 1000);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_MAXSEG), 1000);
	v = 87;
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &v, sizeof(v)), EINVAL);
	v = 32768;
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &v, sizeof(v)), EINVAL);
	set_int(fd, IPPROTO_TCP, TCP_MAXSEG, 0);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_MAXSEG), 536);
}

TEST(maxseg_bounds_segments)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int l = tcp_socket(), c, s;

	set_int(l, IPPROTO_TCP, TCP_MAXSEG, 1000);
	CHECK_OK(bind(l, (void *)&a, sizeof(a)));
	CHECK_OK(listen(l, 1));
	c = tcp_connect(l);
	s = tcp_accept(l);
	/* less 12 bytes of time stamp */
	CHECK_EQ(get_int(c, IPPROTO_TCP, TCP_MAXSEG), 988);
	CHECK_EQ(get_int(s, IPPROTO_TCP, TCP_MAXSEG), 988);
}

TEST(linger2_and_defer_accept_are_rounded)
{
	int fd = tcp_socket();

	set_int(fd, IPPROTO_TCP, TCP_LINGER2, 5);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_LINGER2), 5);
	set_int(fd, IPPROTO_TCP, TCP_LINGER2, 1000);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_LINGER2), 120);
	set_int(fd, IPPROTO_TCP, TCP_LINGER2, -7);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_LINGER2), -1);
	set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 1);
	set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 7);
	set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 31);
}

TEST(switches_are_on_or_off)
{
	int fd = tcp_socket();

	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 5);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	set_int(fd, IPPROTO_TCP, TCP_CORK, 2);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_CORK), 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 3);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 12345);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
	set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 777);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 777);
	set_int(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 100);
	CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP), 1152);
}

TEST(lengths_are_checked)
{
	int fd = tcp_socket(), v = 1;
	unsigned char two[2] = { 9, 9 };
	socklen_t len = 2;

	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, 3), EINVAL);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (void *)8, 4), EFAULT);
	CHECK_OK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, two, &len));
	CHECK_EQ(len, 2);
	CHECK_ERRNO(getsockopt(fd, IPPROTO_TCP, 12345, &v, &(socklen_t){ 4 }), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, 12345, &v, 4), ENOPROTOOPT);
}

TEST(congestion_has_a_name)
{
	char name[32];
	socklen_t len = sizeof(name);
	int fd = tcp_socket();

	CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	CHECK_OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	CHECK_STR(name, "reno");
	CHECK_EQ(len, 16);
	CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5));
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6), ENOENT);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "", 0), EINVAL);
	len = 3;
	CHECK_OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	CHECK_EQ(len, 3);
	CHECK(memcmp(name, "cub", 3) == 0);
}

TEST(cork_holds_back_what_fills_no_segment)
{
	char buf[8];
	int s[2];

	tcp_pair(s);
	set_int(s[0], IPPROTO_TCP, TCP_CORK, 1);
	send_all(s[0], "ab", 2);
	send_all(s[0], "cd", 2);
	CHECK_ERRNO(recv(s[1], buf, 8, MSG_DONTWAIT), EAGAIN);
	set_int(s[0], IPPROTO_TCP, TCP_CORK, 0);
	wait_for(s[1], POLLIN);
	CHECK_EQ(recv(s[1], buf, 8, 0), 4);
	/* one message of several parts */
	CHECK_EQ(send(s[0], "ef", 2, MSG_MORE), 2);
	CHECK_ERRNO(recv(s[1], buf, 8, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(send(s[0], "gh", 2, 0), 2);
	wait_for(s[1], POLLIN);
	CHECK_EQ(recv(s[1], buf, 8, 0), 4);
}

TEST(low_water_mark_delays_readiness)
{
	int s[2];

	tcp_pair(s);
	set_int(s[1], SOL_SOCKET, SO_RCVLOWAT, 4);
	send_all(s[0], "abc", 3);
	usleep(20000);
	CHECK_EQ(ready(s[1], POLLIN), 0);
	send_all(s[0], "d", 1);
	CHECK_EQ(wait_for(s[1], POLLIN), POLLIN);
	expect(s[1], "abcd");
	send_all(s[0], "e", 1);
	usleep(20000);
	CHECK_EQ(ready(s[1], POLLIN), 0);
	set_int(s[1], SOL_SOCKET, SO_RCVLOWAT, 1);
	CHECK_EQ(ready(s[1], POLLIN), POLLIN);
}

TEST(queue_lengths)
{
	int s[2], n;

	tcp_pair(s);
	send_all(s[0], "12345", 5);
	wait_for(s[1], POLLIN);
	CHECK_OK(ioctl(s[1], FIONREAD, &n));
	CHECK_EQ(n, 5);
	expect(s[1], "12");
	CHECK_OK(ioctl(s[1], FIONREAD, &n));
	CHECK_EQ(n, 3);
	do {
		CHECK_OK(ioctl(s[0], TIOCOUTQ, &n));
	} while (n);
	CHECK_OK(ioctl(s[0], 0x894b /* SIOCOUTQNSD */, &n));
	CHECK_EQ(n, 0);
}

TEST(info_counts_what_was_sent)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);
	char buf[100] = "";
	int s[2];

	tcp_pair(s);
	send_all(s[0], buf, 100);
	CHECK_EQ(recv(s[1], buf, 100, MSG_WAITALL), 100);
	memset(&i, 0, sizeof(i));
	CHECK_OK(getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &i, &len));
	CHECK_EQ(i.tcpi_state, TCP_ESTABLISHED);
	CHECK_EQ(i.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE),
		 TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
	/* half of the largest window, which is 64 KiB or some bytes less */
	CHECK(i.tcpi_snd_mss > 32700 && i.tcpi_snd_mss <= 32768);
	CHECK_EQ(i.tcpi_advmss, 65483);
	CHECK_EQ(i.tcpi_pmtu, 65535);
	CHECK(i.tcpi_snd_cwnd >= 10 && i.tcpi_snd_cwnd <= 12);	/* more, if ACKs have opened it */
	CHECK_EQ(i.tcpi_reordering, 3);
	CHECK(i.tcpi_rto >= 200000 && i.tcpi_rto < 1000000);
	CHECK(i.tcpi_rtt > 0 && i.tcpi_rtt < 200000);
	len = 8;
	CHECK_OK(getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &i, &len));
	CHECK_EQ(len, 8);
}

TEST(inq_comes_with_what_is_read)
{
	char buf[4], control[64];
	struct iovec v = { buf, 2 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int s[2], n;

	tcp_pair(s);
	set_int(s[1], IPPROTO_TCP, 36 /* TCP_INQ */, 1);
	send_all(s[0], "abcde", 5);
	wait_for(s[1], POLLIN);
	CHECK_EQ(recvmsg(s[1], &m, 0), 2);
	c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_level == IPPROTO_TCP && c->cmsg_type == 36);
	memcpy(&n, CMSG_DATA(c), sizeof(n));
	CHECK_EQ(n, 3);
}

TEST(buffers_are_as_large_as_asked)
{
	int s[2];

	tcp_pair(s);
	set_int(s[0], SOL_SOCKET, SO_SNDBUF, 30000);
	CHECK_EQ(get_int(s[0], SOL_SOCKET, SO_SNDBUF), 60000);
	set_int(s[0], SOL_SOCKET, SO_RCVBUF, 1);
	CHECK_EQ(get_int(s[0], SOL_SOCKET, SO_RCVBUF), 2304);
	set_int(s[0], SOL_SOCKET, SO_SNDBUF, 1);
	CHECK_EQ(get_int(s[0], SOL_SOCKET, SO_SNDBUF), 4608);
}

TEST(keepalive_keeps_a_peer_that_answers)
{
	int s[2];

	tcp_pair(s);
	set_int(s[0], IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set_int(s[0], IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set_int(s[0], IPPROTO_TCP, TCP_KEEPCNT, 1);
	set_int(s[0], SOL_SOCKET, SO_KEEPALIVE, 1);
	usleep(3200000);
	CHECK_EQ(tcp_state(s[0]), TCP_ESTABLISHED);
}
