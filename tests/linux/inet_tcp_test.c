/* SPDX-License-Identifier: MIT */
/* TCP over lo: connecting, sending, receiving. */

#include "inet_tcp.h"

#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

/* A port that nobody listens on: it is bound, and stays so. */
static struct sockaddr_in silent_port(void)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int fd = tcp_socket();

	CHECK_OK(bind(fd, (void *)&a, sizeof(a)));
	return name_of(fd);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int signo)
{
	pipes++;
}

static void count_pipes(void)
{
	struct sigaction sa = { .sa_handler = on_pipe };

	sigaction(SIGPIPE, &sa, NULL);
	pipes = 0;
}

/* -- making and connecting */

TEST(socket_takes_stream_and_its_protocol)
{
	CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_OK(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 1000), EINVAL);
}

TEST(connect_and_accept_know_each_other)
{
	int l = tcp_listener(1), c = tcp_connect(l), s = tcp_accept(l);
	struct sockaddr_in a = name_of(c), b = peer_of(s);

	CHECK(memcmp(&a, &b, sizeof(a)) == 0);
	a = peer_of(c);
	b = name_of(s);
	CHECK(memcmp(&a, &b, sizeof(a)) == 0);
	CHECK_EQ(a.sin_port, name_of(l).sin_port);
	CHECK_EQ(tcp_state(c), TCP_ESTABLISHED);
	CHECK_EQ(tcp_state(l), TCP_LISTEN);
}

TEST(connect_to_nobody_is_refused)
{
	struct sockaddr_in a = silent_port();
	int fd = tcp_socket();

	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), ECONNREFUSED);
	CHECK_EQ(error_of(fd), 0);
	/* it can be tried again */
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), ECONNREFUSED);
	a = name_of(tcp_listener(1));
	CHECK_OK(connect(fd, (void *)&a, sizeof(a)));
}

TEST(connect_twice_is_eisconn)
{
	int s[2];
	struct sockaddr_in a;

	tcp_pair(s);
	a = peer_of(s[0]);
	CHECK_ERRNO(connect(s[0], (void *)&a, sizeof(a)), EISCONN);
	CHECK_ERRNO(connect(s[1], (void *)&a, sizeof(a)), EISCONN);
}

TEST(connect_checks_its_address)
{
	struct sockaddr_in a = address("127.0.0.1", 1);
	int fd = tcp_socket();

	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a) - 1), EINVAL);
	CHECK_ERRNO(connect(fd, (void *)&a, 1), EINVAL);
	a.sin_family = AF_UNIX;
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), EAFNOSUPPORT);
	a = address("224.0.0.1", 1);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), ENETUNREACH);
}

TEST(connect_to_any_is_to_this_machine)
{
	int l = tcp_listener(1), fd = tcp_socket();
	struct sockaddr_in a = name_of(l);

	a.sin_addr.s_addr = htonl(INADDR_ANY);
	CHECK_OK(connect(fd, (void *)&a, sizeof(a)));
	CHECK_EQ(peer_of(fd).sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

TEST(nonblocking_connect_finishes_later)
{
	int l = tcp_listener(1), fd = tcp_socket();
	struct sockaddr_in a = name_of(l);

	nonblocking(fd);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), EINPROGRESS);
	CHECK_EQ(wait_for(fd, POLLOUT), POLLOUT);
	CHECK_EQ(error_of(fd), 0);
	CHECK_OK(connect(fd, (void *)&a, sizeof(a)));
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), EISCONN);
}

TEST(nonblocking_connect_that_fails_says_so)
{
	struct sockaddr_in a = silent_port();
	int fd = tcp_socket();

	nonblocking(fd);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), EINPROGRESS);
	CHECK_EQ(wait_for(fd, POLLOUT), POLLOUT | POLLERR | POLLHUP);
	CHECK_EQ(error_of(fd), ECONNREFUSED);
	CHECK_EQ(error_of(fd), 0);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), ECONNABORTED);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), EINPROGRESS);
	wait_for(fd, POLLOUT);
	CHECK_ERRNO(connect(fd, (void *)&a, sizeof(a)), ECONNREFUSED);
}

TEST(unspec_disconnects)
{
	struct sockaddr u = { .sa_family = AF_UNSPEC };
	int s[2], l = tcp_listener(1);
	struct sockaddr_in a;
	char c;

	tcp_pair(s);
	CHECK_OK(connect(s[0], &u, sizeof(u)));
	CHECK_ERRNO(recv(s[1], &c, 1, 0), ECONNRESET);
	CHECK_ERRNO(recv(s[0], &c, 1, 0), ECONNRESET);
	CHECK_ERRNO(recv(s[0], &c, 1, 0), ENOTCONN);
	a = name_of(l);
	CHECK_OK(connect(s[0], (void *)&a, sizeof(a)));
	send_all(s[0], "x", 1);
	expect(tcp_accept(l), "x");
}

TEST(two_sockets_connect_to_each_other)
{
	struct sockaddr_in a = address("127.0.0.1", 0);
	int fd = tcp_socket();

	/* to itself: both open at once */
	CHECK_OK(bind(fd, (void *)&a, sizeof(a)));
	a = name_of(fd);
	CHECK_OK(connect(fd, (void *)&a, sizeof(a)));
	send_all(fd, "me", 2);
	expect(fd, "me");
	CHECK_EQ(tcp_state(fd), TCP_ESTABLISHED);
}

TEST(unconnected_socket_has_no_peer)
{
	int fd = tcp_socket();
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	char c;

	CHECK_ERRNO(getpeername(fd, (void *)&a, &len), ENOTCONN);
	CHECK_ERRNO(recv(fd, &c, 1, 0), ENOTCONN);
	CHECK_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(shutdown(fd, SHUT_WR), ENOTCONN);
	CHECK_EQ(name_of(fd).sin_port, 0);
	CHECK_EQ(tcp_state(fd), TCP_CLOSE);
}

/* -- bytes */

TEST(bytes_arrive_in_order)
{
	static char out[1 << 20], in[1 << 20];
	int s[2];
	pid_t pid;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 251);
	tcp_pair(s);
	pid = fork();
	if (!pid) {
		send_all(s[0], out, sizeof(out));
		_exit(0);
	}
	CHECK_EQ(recv(s[1], in, sizeof(in), MSG_WAITALL), sizeof(in));
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	harness_reap(pid, __FILE_NAME__, __LINE__);
}

TEST(stream_has_no_boundaries)
{
	char buf[16];
	int s[2];

	tcp_pair(s);
	send_all(s[0], "abc", 3);
	send_all(s[0], "def", 3);
	CHECK_EQ(recv(s[1], buf, 6, MSG_WAITALL), 6);
	CHECK(memcmp(buf, "abcdef", 6) == 0);
	send_all(s[1], "0123456789", 10);
	CHECK_EQ(recv(s[0], buf, 4, 0), 4);
	expect(s[0], "456789");
}

TEST(read_write_and_vectors)
{
	char a[3], b[5];
	struct iovec out[2] = { { "hello ", 6 }, { "you", 3 } }, in[2] = { { a, 3 }, { b, 5 } };
	int s[2];

	tcp_pair(s);
	CHECK_EQ(writev(s[0], out, 2), 9);
	wait_for(s[1], POLLIN);
	CHECK_EQ(readv(s[1], in, 2), 8);
	CHECK(memcmp(a, "hel", 3) == 0 && memcmp(b, "lo yo", 5) == 0);
	CHECK_EQ(write(s[1], "xy", 2), 2);
	CHECK_EQ(read(s[1], a, 1), 1);
	CHECK_EQ(a[0], 'u');
	expect(s[0], "xy");
	CHECK_EQ(write(s[0], "", 0), 0);
	CHECK_EQ(read(s[0], a, 0), 0);
}

TEST(nonblocking_read_of_nothing_is_eagain)
{
	char c;
	int s[2];

	tcp_pair(s);
	CHECK_ERRNO(recv(s[0], &c, 1, MSG_DONTWAIT), EAGAIN);
	nonblocking(s[0]);
	CHECK_ERRNO(read(s[0], &c, 1), EAGAIN);
	/* even of no bytes */
	CHECK_ERRNO(recv(s[0], &c, 0, 0), EAGAIN);
	CHECK_EQ(read(s[0], &c, 0), 0);
}

TEST(peek_leaves_what_it_saw)
{
	char buf[8];
	int s[2];

	tcp_pair(s);
	send_all(s[0], "abcdef", 6);
	wait_for(s[1], POLLIN);
	CHECK_EQ(recv(s[1], buf, 4, MSG_PEEK), 4);
	CHECK(memcmp(buf, "abcd", 4) == 0);
	CHECK_EQ(recv(s[1], buf, 8, MSG_PEEK), 6);
	expect(s[1], "abcdef");
}

TEST(trunc_throws_away)
{
	char buf[8] = "-------";
	int s[2];

	tcp_pair(s);
	send_all(s[0], "abcdef", 6);
	wait_for(s[1], POLLIN);
	CHECK_EQ(recv(s[1], buf, 4, MSG_TRUNC), 4);
	CHECK_STR(buf, "-------");
	expect(s[1], "ef");
}

TEST(receive_timeout_is_eagain)
{
	struct timeval tv = { .tv_usec = 30000 };
	char c;
	int s[2];

	tcp_pair(s);
	CHECK_OK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	CHECK_ERRNO(recv(s[0], &c, 1, 0), EAGAIN);
}

TEST(full_buffer_makes_senders_wait)
{
	static char big[256 << 10];
	struct timeval tv = { .tv_usec = 30000 };
	ssize_t n, sent = 0, got = 0;
	int s[2];

	tcp_pair(s);
	set_int(s[0], SOL_SOCKET, SO_SNDBUF, 16384);
	nonblocking(s[0]);
	while ((n = send(s[0], big, sizeof(big), 0)) > 0)
		sent += n;
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(ready(s[0], POLLOUT), 0);
	CHECK_OK(fcntl(s[0], F_SETFL, 0));
	CHECK_OK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	CHECK_ERRNO(send(s[0], big, 1, 0), EAGAIN);
	/* all of it is there, and room comes back */
	while (got < sent) {
		n = recv(s[1], big, sizeof(big), 0);
		CHECK(n > 0);
		got += n;
	}
	CHECK_EQ(got, sent);
	CHECK_EQ(wait_for(s[0], POLLOUT), POLLOUT);
	CHECK_EQ(send(s[0], "x", 1, 0), 1);
	expect(s[1], (char[]){ 'x', 0 });
}

static void *read_all(void *arg)
{
	static char buf[65536];
	int fd = *(int *)arg;
	size_t n = 0;
	ssize_t k;

	while ((k = read(fd, buf, sizeof(buf))) > 0)
		n += (size_t)k;
	return (void *)n;
}

TEST(blocking_send_takes_all)
{
	static char big[3 << 20];
	pthread_t t;
	void *n;
	int s[2];

	tcp_pair(s);
	CHECK_EQ(pthread_create(&t, NULL, read_all, &s[1]), 0);
	CHECK_EQ(send(s[0], big, sizeof(big), 0), sizeof(big));
	CHECK_OK(shutdown(s[0], SHUT_WR));
	CHECK_EQ(pthread_join(t, &n), 0);
	CHECK_EQ((size_t)n, sizeof(big));
}

TEST(bad_memory_is_efault)
{
	void *volatile bad = (void *)8;
	int s[2];

	tcp_pair(s);
	CHECK_ERRNO(send(s[0], bad, 10, 0), EFAULT);
	send_all(s[0], "abc", 3);
	wait_for(s[1], POLLIN);
	CHECK_ERRNO(recv(s[1], bad, 3, 0), EFAULT);
	expect(s[1], "abc");
}

TEST(waitall_waits_for_all_unless_it_ends)
{
	char buf[8];
	int s[2];
	pid_t pid;

	tcp_pair(s);
	pid = fork();
	if (!pid) {
		send_all(s[0], "ab", 2);
		usleep(20000);
		send_all(s[0], "cd", 2);
		shutdown(s[0], SHUT_WR);
		_exit(0);
	}
	CHECK_EQ(recv(s[1], buf, 8, MSG_WAITALL), 4);
	CHECK(memcmp(buf, "abcd", 4) == 0);
	CHECK_EQ(recv(s[1], buf, 8, MSG_WAITALL), 0);
	harness_reap(pid, __FILE_NAME__, __LINE__);
}

TEST(sendfile_to_a_socket)
{
	char block[4096];
	int s[2], fd = open("file", O_RDWR | O_CREAT, 0600);
	off_t off = 0;

	memset(block, 'f', sizeof(block));
	for (int i = 0; i < 10; i++)
		CHECK_EQ(write(fd, block, sizeof(block)), sizeof(block));
	tcp_pair(s);
	CHECK_EQ(sendfile(s[0], fd, &off, 40960), 40960);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(recv(s[1], block, sizeof(block), MSG_WAITALL), sizeof(block));
		CHECK(block[0] == 'f' && block[4095] == 'f');
	}
}

TEST(splice_from_and_to_a_socket)
{
	int s[2], p[2];

	tcp_pair(s);
	CHECK_OK(pipe(p));
	CHECK_EQ(write(p[1], "pipe", 4), 4);
	CHECK_EQ(splice(p[0], NULL, s[0], NULL, 4, 0), 4);
	expect(s[1], "pipe");
	send_all(s[1], "back", 4);
	wait_for(s[0], POLLIN);
	CHECK_EQ(splice(s[0], NULL, p[1], NULL, 4, 0), 4);
	{
		char buf[4];

		CHECK_EQ(read(p[0], buf, 4), 4);
		CHECK(memcmp(buf, "back", 4) == 0);
	}
}

/* -- errors of writers */

TEST(write_after_reset_is_epipe_and_sigpipe)
{
	char c;
	int s[2];

	count_pipes();
	tcp_pair(s);
	reset(s[1]);
	CHECK_EQ(wait_for(s[0], POLLIN), POLLIN | POLLERR | POLLHUP);
	CHECK_ERRNO(send(s[0], "x", 1, 0), ECONNRESET);
	CHECK_EQ(pipes, 0);
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(pipes, 0);
	CHECK_ERRNO(send(s[0], "x", 1, 0), EPIPE);
	CHECK_EQ(pipes, 1);
	CHECK_EQ(recv(s[0], &c, 1, 0), 0);
}

TEST(write_to_a_closed_peer_resets)
{
	char c;
	int s[2];

	count_pipes();
	tcp_pair(s);
	close(s[1]);
	CHECK_EQ(recv(s[0], &c, 1, 0), 0);
	CHECK_EQ(send(s[0], "x", 1, 0), 1);
	wait_for(s[0], POLLERR);
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(error_of(s[0]), 0);
}

/* -- urgent data */

TEST(urgent_byte_is_apart)
{
	char buf[8];
	int s[2];

	tcp_pair(s);
	CHECK_ERRNO(recv(s[1], buf, 1, MSG_OOB), EINVAL);
	send_all(s[0], "ab", 2);
	CHECK_EQ(send(s[0], "cU", 2, MSG_OOB), 2);
	send_all(s[0], "de", 2);
	CHECK(wait_for(s[1], POLLPRI) & POLLPRI);
	CHECK_EQ(recv(s[1], buf, 1, MSG_OOB | MSG_PEEK), 1);
	CHECK_EQ(recv(s[1], buf, 1, MSG_OOB), 1);
	CHECK_EQ(buf[0], 'U');
	CHECK_ERRNO(recv(s[1], buf, 1, MSG_OOB), EINVAL);
	/* a read ends at the mark */
	CHECK_EQ(recv(s[1], buf, 8, 0), 3);
	CHECK(memcmp(buf, "abc", 3) == 0);
	expect(s[1], "de");
}

TEST(urgent_byte_inline)
{
	int s[2], mark;
	char buf[8];

	tcp_pair(s);
	set_int(s[1], SOL_SOCKET, SO_OOBINLINE, 1);
	send_all(s[0], "ab", 2);
	CHECK_EQ(send(s[0], "U", 1, MSG_OOB), 1);
	wait_for(s[1], POLLIN);
	CHECK_OK(ioctl(s[1], SIOCATMARK, &mark));
	CHECK_EQ(mark, 0);
	CHECK_EQ(recv(s[1], buf, 8, 0), 2);
	CHECK_OK(ioctl(s[1], SIOCATMARK, &mark));
	CHECK_EQ(mark, 1);
	CHECK_ERRNO(recv(s[1], buf, 1, MSG_OOB), EINVAL);
	expect(s[1], "U");
}

/* -- many */

#define THREADS	4
#define ROUNDS	50

static struct sockaddr_in meeting;

static void *come_and_go(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		char c = (char)i;
		int fd = tcp_socket();

		CHECK_OK(connect(fd, (void *)&meeting, sizeof(meeting)));
		CHECK_EQ(send(fd, &c, 1, 0), 1);
		CHECK_EQ(recv(fd, &c, 1, 0), 1);
		CHECK_EQ(c, (char)i);
		if (i & 1)
			reset(fd);
		else
			close(fd);
	}
	return NULL;
}

static void *serve(void *arg)
{
	int l = *(int *)arg, fd;
	char c;

	while ((fd = accept(l, NULL, NULL)) >= 0) {
		if (recv(fd, &c, 1, 0) == 1)
			send(fd, &c, 1, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

TEST_SECONDS(many_connections_from_many_threads, 60)
{
	int l = tcp_listener(128);
	pthread_t t[THREADS], s[2];

	meeting = name_of(l);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&s[i], NULL, serve, &l), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, come_and_go, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_OK(shutdown(l, SHUT_RD));
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(s[i], NULL), 0);
}
