/* SPDX-License-Identifier: MIT */
/* TCP's listeners: ports, queues, what connections inherit. */

#include "inet_tcp.h"

#include <pthread.h>

TEST(bind_to_a_port_in_use_fails)
{
	int l = tcp_listener(1), fd = tcp_socket();
	struct sockaddr_in a = name_of(l);

	CHECK_ERRNO(bind(fd, (void *)&a, sizeof(a)), EADDRINUSE);
	/* SO_REUSEADDR does not take a listener's port */
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(l, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_ERRNO(bind(fd, (void *)&a, sizeof(a)), EADDRINUSE);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	CHECK_OK(bind(fd, (void *)&a, sizeof(a)));
	CHECK_OK(listen(fd, 1));
}

TEST(bind_twice_is_einval)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int fd = tcp_socket();

	CHECK_OK(bind(fd, (void *)&a, sizeof(a)));
	CHECK_ERRNO(bind(fd, (void *)&a, sizeof(a)), EINVAL);
}

TEST(bind_to_a_foreign_address_fails)
{
	struct sockaddr_in a = address("192.0.2.1", 0);
	int fd = tcp_socket();

	CHECK_ERRNO(bind(fd, (void *)&a, sizeof(a)), EADDRNOTAVAIL);
}

TEST(both_may_bind_but_one_listens)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int x = tcp_socket(), y = tcp_socket();

	set_int(x, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(y, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_OK(bind(x, (void *)&a, sizeof(a)));
	a = name_of(x);
	CHECK_OK(bind(y, (void *)&a, sizeof(a)));
	CHECK_OK(listen(x, 1));
	CHECK_ERRNO(listen(y, 1), EADDRINUSE);
}

/* What has been connected, and listens then: its reset is told by SO_ERROR, and accept() waits as ever. */
TEST(accept_waits_beside_an_error_of_before)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct timeval patience = { .tv_usec = 50000 };
	int l = tcp_listener(1), fd = tcp_connect(l), other;

	CHECK_OK(connect(fd, &none, sizeof(none)));
	CHECK_OK(listen(fd, 1));
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	CHECK_ERRNO(accept(fd, NULL, NULL), EAGAIN);
	other = tcp_connect(fd);
	CHECK_OK(accept(fd, NULL, NULL));
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_ERROR), ECONNRESET);
	close(other);
}

TEST(listen_without_bind_takes_a_port)
{
	int fd = tcp_socket();

	CHECK_OK(listen(fd, 1));
	CHECK(name_of(fd).sin_port != 0);
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	CHECK_OK(listen(fd, 5));
}

TEST(listen_of_a_connection_is_einval)
{
	int s[2];

	tcp_pair(s);
	CHECK_ERRNO(listen(s[0], 1), EINVAL);
	CHECK_ERRNO(listen(s[1], 1), EINVAL);
}

TEST(listener_is_no_connection)
{
	int l = tcp_listener(1);
	struct sockaddr_in a = name_of(l);
	socklen_t len = sizeof(a);
	char c;
	int v;

	CHECK_ERRNO(connect(l, (void *)&a, sizeof(a)), EISCONN);
	CHECK_ERRNO(recv(l, &c, 1, 0), ENOTCONN);
	CHECK_ERRNO(send(l, &c, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(getpeername(l, (void *)&a, &len), ENOTCONN);
	CHECK_ERRNO(ioctl(l, FIONREAD, &v), EINVAL);
}

TEST(accept_of_what_does_not_listen_is_einval)
{
	int s[2], fd = tcp_socket();

	CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
	tcp_pair(s);
	CHECK_ERRNO(accept(s[0], NULL, NULL), EINVAL);
}

TEST(accept_gives_the_peers_address)
{
	int l = tcp_listener(1), c = tcp_connect(l), fd;
	struct sockaddr_in a = name_of(c), b;
	socklen_t len = sizeof(b);

	fd = accept4(l, (void *)&b, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK_OK(fd);
	CHECK_EQ(len, sizeof(b));
	CHECK(memcmp(&a, &b, sizeof(a)) == 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

TEST(nonblocking_accept_of_none_is_eagain)
{
	struct timeval tv = { .tv_usec = 20000 };
	int l = tcp_listener(1);

	CHECK_OK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
	nonblocking(l);
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
}

TEST(data_and_end_come_before_accept)
{
	int l = tcp_listener(4), c = tcp_connect(l), s;
	char b;

	send_all(c, "early", 5);
	close(c);
	s = tcp_accept(l);
	expect(s, "early");
	CHECK_EQ(recv(s, &b, 1, 0), 0);
}

TEST(connections_are_accepted_in_their_order)
{
	int l = tcp_listener(8), c[5];

	for (int i = 0; i < 5; i++) {
		c[i] = tcp_connect(l);
		send_all(c[i], &"abcde"[i], 1);
	}
	for (int i = 0; i < 5; i++)
		expect(tcp_accept(l), (char[]){ "abcde"[i], 0 });
}

TEST(full_accept_queue_holds_up_connections)
{
	int l = tcp_listener(1), c[2], late = tcp_socket();
	struct sockaddr_in a = name_of(l);

	/* one more than the backlog */
	c[0] = tcp_connect(l);
	c[1] = tcp_connect(l);
	nonblocking(late);
	CHECK_ERRNO(connect(late, (void *)&a, sizeof(a)), EINPROGRESS);
	CHECK_EQ(ready(late, POLLOUT), 0);
	CHECK_EQ(tcp_state(late), TCP_SYN_SENT);
	/* its SYN is sent again after a second */
	tcp_accept(l);
	tcp_accept(l);
	CHECK_EQ(wait_for(late, POLLOUT), POLLOUT);
	send_all(late, "x", 1);
	expect(tcp_accept(l), "x");
	(void)c;
}

TEST(closed_listener_resets_what_it_has)
{
	int l = tcp_listener(4), c = tcp_connect(l), fd = tcp_socket();
	struct sockaddr_in a = name_of(l);
	char b;

	close(l);
	CHECK_ERRNO(recv(c, &b, 1, 0), ECONNRESET);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), ECONNREFUSED);
}

TEST(shutdown_ends_listening)
{
	int l = tcp_listener(1), fd = tcp_socket();
	struct sockaddr_in a = name_of(l);

	CHECK_OK(shutdown(l, SHUT_RD));
	CHECK_ERRNO(accept(l, NULL, NULL), EINVAL);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), ECONNREFUSED);
	/* by a port of another choice */
	CHECK_OK(listen(l, 1));
	a = name_of(l);
	CHECK_OK(connect(fd, (void *)&a, sizeof(a)));
}

static void *accept_one(void *arg)
{
	int fd = accept(*(int *)arg, NULL, NULL);

	return (void *)(long)(fd < 0 ? -errno : fd);
}

TEST(shutdown_wakes_who_accepts)
{
	int l = tcp_listener(1);
	pthread_t t;
	void *ret;

	CHECK_EQ(pthread_create(&t, NULL, accept_one, &l), 0);
	usleep(20000);
	CHECK_OK(shutdown(l, SHUT_RDWR));
	CHECK_EQ(pthread_join(t, &ret), 0);
	CHECK_EQ((long)ret, -EINVAL);
}

TEST(accepted_connections_inherit)
{
	int fd = tcp_socket(), s, c;
	struct sockaddr_in a = address("127.0.0.1", 0);
	struct linger l = { .l_onoff = 1, .l_linger = 7 };
	struct timeval tv = { .tv_sec = 3 };
	socklen_t len = sizeof(tv);

	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, SOL_SOCKET, SO_SNDBUF, 20000);
	set_int(fd, SOL_SOCKET, SO_RCVBUF, 30000);
	set_int(fd, IPPROTO_IP, IP_TTL, 33);
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	CHECK_OK(bind(fd, (void *)&a, sizeof(a)));
	CHECK_OK(listen(fd, 1));
	nonblocking(fd);
	c = tcp_connect(fd);
	s = tcp_accept(fd);
	CHECK_EQ(fcntl(s, F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQ(get_int(s, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_EQ(get_int(s, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	CHECK_EQ(get_int(s, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_EQ(get_int(s, SOL_SOCKET, SO_SNDBUF), 40000);
	CHECK_EQ(get_int(s, SOL_SOCKET, SO_RCVBUF), 60000);
	CHECK_EQ(get_int(s, SOL_SOCKET, SO_ACCEPTCONN), 0);
	CHECK_EQ(get_int(s, IPPROTO_IP, IP_TTL), 33);
	CHECK_OK(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, &len));
	CHECK_EQ(tv.tv_sec, 3);
	len = sizeof(l);
	CHECK_OK(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &len));
	CHECK_EQ(l.l_linger, 7);
	close(c);
}

TEST(reuseport_shares_connections)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int l[2] = { tcp_socket(), tcp_socket() }, got[2] = { 0, 0 };

	set_int(l[0], SOL_SOCKET, SO_REUSEPORT, 1);
	set_int(l[1], SOL_SOCKET, SO_REUSEPORT, 1);
	CHECK_OK(bind(l[0], (void *)&a, sizeof(a)));
	a = name_of(l[0]);
	CHECK_OK(bind(l[1], (void *)&a, sizeof(a)));
	for (int i = 0; i < 2; i++) {
		CHECK_OK(listen(l[i], 64));
		nonblocking(l[i]);
	}
	for (int i = 0; i < 48; i++)
		tcp_connect(l[0]);
	for (int i = 0; i < 2; i++)
		while (accept(l[i], NULL, NULL) >= 0)
			got[i]++;
	CHECK_EQ(got[0] + got[1], 48);
	CHECK(got[0] > 0 && got[1] > 0);
}

TEST(listener_of_an_address_goes_before_that_of_any)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int any = tcp_socket(), one, c;

	a.sin_addr.s_addr = htonl(INADDR_ANY);
	set_int(any, SOL_SOCKET, SO_REUSEPORT, 1);
	CHECK_OK(bind(any, (void *)&a, sizeof(a)));
	CHECK_OK(listen(any, 4));
	a = name_of(any);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	one = tcp_socket();
	set_int(one, SOL_SOCKET, SO_REUSEPORT, 1);
	CHECK_OK(bind(one, (void *)&a, sizeof(a)));
	CHECK_OK(listen(one, 4));
	nonblocking(any);
	c = tcp_socket();
	CHECK_OK(connect(c, (void *)&a, sizeof(a)));
	tcp_accept(one);
	CHECK_ERRNO(accept(any, NULL, NULL), EAGAIN);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 5);
	c = tcp_socket();
	CHECK_OK(connect(c, (void *)&a, sizeof(a)));
	CHECK_EQ(name_of(tcp_accept(any)).sin_addr.s_addr, a.sin_addr.s_addr);
}

TEST(deferred_accept_waits_for_data)
{
	int fd = tcp_socket(), c;
	struct sockaddr_in a = address("127.0.0.1", 0);

	set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	CHECK_OK(bind(fd, (void *)&a, sizeof(a)));
	CHECK_OK(listen(fd, 4));
	c = tcp_connect(fd);
	CHECK_EQ(ready(fd, POLLIN), 0);
	send_all(c, "now", 3);
	CHECK_EQ(wait_for(fd, POLLIN), POLLIN);
	expect(tcp_accept(fd), "now");
}

TEST(ports_are_chosen_within_the_range)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int low, high;
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

	CHECK(f && fscanf(f, "%d %d", &low, &high) == 2);
	for (int i = 0; i < 50; i++) {
		int fd = tcp_socket(), port;

		CHECK_OK(bind(fd, (void *)&a, sizeof(a)));
		port = ntohs(name_of(fd).sin_port);
		CHECK(port >= low && port <= high);
	}
}
