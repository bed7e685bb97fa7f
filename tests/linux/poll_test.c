/* SPDX-License-Identifier: MIT */
/* poll, ppoll, select, pselect, epoll. */

#include "helpers.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <pthread.h>

/* Addresses that the compiler must not see through. */
static void *volatile bad = (void *)8;
static volatile nfds_t many = 1u << 30;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_signal(int signo)
{
}

static void handle(int signo)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(signo, &sa, NULL);
}

TEST(poll_reports_each_end_of_a_pipe)
{
	int p[2];

	pipe(p);
	CHECK_EQ(ready(p[0], POLLIN), 0);
	CHECK_EQ(ready(p[1], POLLOUT), POLLOUT);
	write(p[1], "x", 1);
	CHECK_EQ(ready(p[0], POLLIN), POLLIN);
	close(p[1]);
	CHECK_EQ(ready(p[0], POLLIN), POLLIN | POLLHUP);
}

TEST(poll_reports_error_without_reader)
{
	int p[2];

	pipe(p);
	close(p[0]);
	CHECK_EQ(ready(p[1], POLLOUT), POLLOUT | POLLERR);
	CHECK_EQ(ready(p[1], 0), POLLERR);
}

TEST(poll_of_closed_number_is_pollnval)
{
	CHECK_EQ(ready(150, POLLIN), POLLNVAL);
}

TEST(poll_ignores_negative_numbers)
{
	struct pollfd p = { .fd = -5, .events = POLLIN, .revents = 7 };

	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(p.revents, 0);
}

TEST(poll_regular_file_is_always_ready)
{
	int fd = open("file", O_RDWR | O_CREAT, 0600);

	CHECK_EQ(ready(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
}

TEST(poll_times_out)
{
	struct pollfd p = { .events = POLLIN };
	double start = now();
	int fds[2];

	pipe(fds);
	p.fd = fds[0];
	CHECK_EQ(poll(&p, 1, 60), 0);
	CHECK(now() - start >= 0.059);
	CHECK(now() - start < 2);
}

TEST(poll_without_files_sleeps)
{
	double start = now();

	CHECK_EQ(poll(NULL, 0, 30), 0);
	CHECK(now() - start >= 0.029);
}

TEST(poll_wakes_on_data)
{
	struct pollfd p = { .events = POLLIN };
	int fds[2];

	pipe(fds);
	p.fd = fds[0];
	if (fork() == 0) {
		pause_ms(50);
		write(fds[1], "x", 1);
		_exit(0);
	}
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLIN);
}

TEST(poll_too_many_is_einval)
{
	struct pollfd p;

	CHECK_ERRNO(poll(&p, many, 0), EINVAL);
}

TEST(poll_bad_address_is_efault)
{
	CHECK_ERRNO(poll(bad, 1, 0), EFAULT);
}

TEST(poll_is_interrupted)
{
	handle(SIGUSR1);
	if (fork() == 0) {
		pause_ms(50);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	CHECK_ERRNO(poll(NULL, 0, 5000), EINTR);
}

TEST(poll_finds_one_of_many)
{
	struct pollfd p[100];
	int fds[2];

	for (int i = 0; i < 100; i++) {
		pipe(fds);
		p[i].fd = fds[0];
		p[i].events = POLLIN;
		if (i == 77)
			write(fds[1], "x", 1);
		if (fds[1] > 180)
			close(fds[1]), p[i].fd = -1;
	}
	CHECK(poll(p, 100, 1000) >= 1);
	CHECK_EQ(p[77].revents & POLLIN, POLLIN);
}

TEST(ppoll_uses_its_mask)
{
	struct timespec ts = { 5, 0 };
	sigset_t block, empty;

	handle(SIGUSR1);
	sigemptyset(&empty);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	kill(getpid(), SIGUSR1);
	CHECK_ERRNO(ppoll(NULL, 0, &ts, &empty), EINTR);
	sigprocmask(SIG_BLOCK, NULL, &empty);
	CHECK(sigismember(&empty, SIGUSR1));
}

TEST(ppoll_rejects_bad_times)
{
	struct timespec ts = { 0, 1000000000 };

	CHECK_ERRNO(ppoll(NULL, 0, &ts, NULL), EINVAL);
	ts = (struct timespec){ -1, 0 };
	CHECK_ERRNO(ppoll(NULL, 0, &ts, NULL), EINVAL);
}

TEST(select_reports_readable_and_writable)
{
	struct timeval tv = { 0, 0 };
	fd_set r, w;
	int p[2];

	pipe(p);
	write(p[1], "x", 1);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	CHECK_EQ(select(p[1] + 1, &r, &w, NULL, &tv), 2);
	CHECK(FD_ISSET(p[0], &r));
	CHECK(FD_ISSET(p[1], &w));
}

TEST(select_asks_a_file_in_two_sets_for_both)
{
	struct timeval tv = { 0, 0 };
	fd_set r, w;
	int pair[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(pair[0], &r);
	FD_SET(pair[0], &w);
	CHECK_EQ(select(pair[0] + 1, &r, &w, NULL, &tv), 1);
	CHECK(!FD_ISSET(pair[0], &r));
	CHECK(FD_ISSET(pair[0], &w));

	/* and with another that is only to be read */
	FD_SET(pair[0], &r);
	FD_SET(pair[1], &r);
	CHECK_EQ(write(pair[0], "x", 1), 1);
	CHECK_EQ(select((pair[0] > pair[1] ? pair[0] : pair[1]) + 1, &r, &w, NULL, &tv), 2);
	CHECK(!FD_ISSET(pair[0], &r));
	CHECK(FD_ISSET(pair[1], &r));
	CHECK(FD_ISSET(pair[0], &w));
	close(pair[0]);
	close(pair[1]);
}

TEST(select_clears_what_is_not_ready)
{
	struct timeval tv = { 0, 20000 };
	fd_set r;
	int p[2];

	pipe(p);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_EQ(select(p[0] + 1, &r, NULL, NULL, &tv), 0);
	CHECK(!FD_ISSET(p[0], &r));
	CHECK_EQ(tv.tv_sec, 0);
	CHECK_EQ(tv.tv_usec, 0);
}

TEST(select_of_closed_number_is_ebadf)
{
	struct timeval tv = { 0, 0 };
	fd_set r;
	int fd = dup(0);

	close(fd);
	FD_ZERO(&r);
	FD_SET(fd, &r);
	CHECK_ERRNO(select(fd + 1, &r, NULL, NULL, &tv), EBADF);
}

TEST(select_negative_count_is_einval)
{
	struct timeval tv = { 0, 0 };

	CHECK_ERRNO(select(-1, NULL, NULL, NULL, &tv), EINVAL);
}

TEST(select_negative_time_is_einval)
{
	struct timeval tv = { -1, 0 };

	CHECK_ERRNO(select(0, NULL, NULL, NULL, &tv), EINVAL);
}

TEST(select_leaves_the_rest_of_the_timeout)
{
	struct timeval tv = { 5, 0 };
	fd_set r;
	int p[2];

	pipe(p);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	if (fork() == 0) {
		pause_ms(50);
		write(p[1], "x", 1);
		_exit(0);
	}
	CHECK_EQ(select(p[0] + 1, &r, NULL, NULL, &tv), 1);
	CHECK(tv.tv_sec == 4);
}

TEST(pselect_is_interrupted_with_its_mask)
{
	struct timespec ts = { 5, 0 };
	sigset_t block, empty;

	handle(SIGUSR1);
	sigemptyset(&empty);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	kill(getpid(), SIGUSR1);
	CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &ts, &empty), EINTR);
}

/* -- epoll */

static int ep_new(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);

	CHECK(ep >= 0);
	return ep;
}

static int ep_op(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = 0x1122334400000000ull + (unsigned)fd };

	return epoll_ctl(ep, op, fd, &e);
}

static int ep_wait(int ep, struct epoll_event *e, int timeout)
{
	return epoll_wait(ep, e, 8, timeout);
}

TEST(epoll_create_checks_its_argument)
{
	CHECK_ERRNO(epoll_create(0), EINVAL);
	CHECK_ERRNO(epoll_create1(1), EINVAL);
}

TEST(epoll_level_triggered_reports_until_read)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();
	char c;

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN));
	CHECK_EQ(ep_wait(ep, e, 0), 0);
	write(p[1], "x", 1);
	CHECK_EQ(ep_wait(ep, e, 0), 1);
	CHECK_EQ(e[0].events, EPOLLIN);
	CHECK(e[0].data.u64 == 0x1122334400000000ull + (unsigned)p[0]);
	CHECK_EQ(ep_wait(ep, e, 0), 1);
	read(p[0], &c, 1);
	CHECK_EQ(ep_wait(ep, e, 0), 0);
}

TEST(epoll_edge_triggered_reports_once)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET));
	write(p[1], "x", 1);
	CHECK_EQ(ep_wait(ep, e, 0), 1);
	CHECK_EQ(ep_wait(ep, e, 0), 0);
	write(p[1], "y", 1);
	CHECK_EQ(ep_wait(ep, e, 0), 1);
	CHECK_EQ(ep_wait(ep, e, 0), 0);
}

TEST(epoll_oneshot_is_disarmed)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLONESHOT));
	write(p[1], "x", 1);
	CHECK_EQ(ep_wait(ep, e, 0), 1);
	write(p[1], "y", 1);
	CHECK_EQ(ep_wait(ep, e, 0), 0);
	CHECK_OK(ep_op(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT));
	CHECK_EQ(ep_wait(ep, e, 0), 1);
}

TEST(epoll_add_of_ready_file_reports_it)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	write(p[1], "x", 1);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET));
	CHECK_EQ(ep_wait(ep, e, 0), 1);
}

TEST(epoll_mod_of_ready_file_reports_it)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[1], 0));
	CHECK_EQ(ep_wait(ep, e, 0), 0);
	CHECK_OK(ep_op(ep, EPOLL_CTL_MOD, p[1], EPOLLOUT));
	CHECK_EQ(ep_wait(ep, e, 0), 1);
	CHECK_EQ(e[0].events, EPOLLOUT);
}

TEST(epoll_ctl_errors)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new(), file = open("f", O_RDWR | O_CREAT, 0600);

	pipe(p);
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_MOD, p[0], EPOLLIN), ENOENT);
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_DEL, p[0], 0), ENOENT);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN));
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), EEXIST);
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_ADD, ep, EPOLLIN), EINVAL);
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_ADD, 150, EPOLLIN), EBADF);
	CHECK_ERRNO(ep_op(150, EPOLL_CTL_ADD, p[0], EPOLLIN), EBADF);
	CHECK_ERRNO(ep_op(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN), EINVAL);
	CHECK_ERRNO(ep_op(ep, 77, p[1], EPOLLIN), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], bad), EFAULT);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	CHECK_ERRNO(epoll_wait(ep, e, 0, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(p[0], e, 1, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(150, e, 1, 0), EBADF);
}

TEST(epoll_directory_is_eperm)
{
	CHECK_ERRNO(ep_op(ep_new(), EPOLL_CTL_ADD, open(".", O_RDONLY), EPOLLIN), EPERM);
}

TEST(epoll_closed_file_leaves_the_set)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN));
	write(p[1], "x", 1);
	close(p[0]);
	CHECK_EQ(ep_wait(ep, e, 0), 0);
}

TEST(epoll_duplicate_keeps_the_file_in_the_set)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN));
	CHECK_OK(dup(p[0]));
	close(p[0]);
	write(p[1], "x", 1);
	CHECK_EQ(ep_wait(ep, e, 0), 1);
}

TEST(epoll_hangup_needs_no_asking)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], 0));
	close(p[1]);
	CHECK_EQ(ep_wait(ep, e, 0), 1);
	CHECK_EQ(e[0].events, EPOLLHUP);
}

TEST(epoll_wait_is_woken)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN));
	if (fork() == 0) {
		pause_ms(50);
		write(p[1], "x", 1);
		_exit(0);
	}
	CHECK_EQ(ep_wait(ep, e, 5000), 1);
}

TEST(epoll_wait_times_out)
{
	struct epoll_event e[8];
	double start = now();

	CHECK_EQ(ep_wait(ep_new(), e, 50), 0);
	CHECK(now() - start >= 0.049);
}

TEST(epoll_wait_is_interrupted)
{
	struct epoll_event e[8];

	handle(SIGUSR1);
	if (fork() == 0) {
		pause_ms(50);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	CHECK_ERRNO(ep_wait(ep_new(), e, 5000), EINTR);
}

TEST(epoll_pwait_uses_its_mask)
{
	struct epoll_event e[8];
	sigset_t block, empty;

	handle(SIGUSR1);
	sigemptyset(&empty);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	kill(getpid(), SIGUSR1);
	CHECK_ERRNO(epoll_pwait(ep_new(), e, 8, 5000, &empty), EINTR);
}

TEST(epoll_takes_turns_when_asked_for_few)
{
	struct epoll_event e[8];
	int a[2], b[2], ep = ep_new(), first;

	pipe(a);
	pipe(b);
	write(a[1], "x", 1);
	write(b[1], "x", 1);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, a[0], EPOLLIN));
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, b[0], EPOLLIN));
	CHECK_EQ(epoll_wait(ep, e, 1, 0), 1);
	first = (int)e[0].data.u32;
	CHECK_EQ(epoll_wait(ep, e, 1, 0), 1);
	CHECK((int)e[0].data.u32 != first);
}

TEST(epoll_nests)
{
	struct epoll_event e[8];
	int p[2], inner = ep_new(), outer = ep_new();

	pipe(p);
	CHECK_OK(ep_op(inner, EPOLL_CTL_ADD, p[0], EPOLLIN));
	CHECK_OK(ep_op(outer, EPOLL_CTL_ADD, inner, EPOLLIN));
	CHECK_EQ(ep_wait(outer, e, 0), 0);
	CHECK_EQ(ready(outer, POLLIN), 0);
	write(p[1], "x", 1);
	CHECK_EQ(ready(outer, POLLIN), POLLIN);
	CHECK_EQ(ep_wait(outer, e, 0), 1);
	CHECK_EQ((int)e[0].data.u32, inner);
	CHECK_EQ(ep_wait(inner, e, 0), 1);
}

TEST(epoll_nested_wait_is_woken)
{
	struct epoll_event e[8];
	int p[2], inner = ep_new(), outer = ep_new();

	pipe(p);
	CHECK_OK(ep_op(inner, EPOLL_CTL_ADD, p[0], EPOLLIN));
	CHECK_OK(ep_op(outer, EPOLL_CTL_ADD, inner, EPOLLIN));
	if (fork() == 0) {
		pause_ms(50);
		write(p[1], "x", 1);
		_exit(0);
	}
	CHECK_EQ(ep_wait(outer, e, 5000), 1);
}

TEST(epoll_refuses_loops)
{
	int a = ep_new(), b = ep_new(), c = ep_new();

	CHECK_OK(ep_op(a, EPOLL_CTL_ADD, b, EPOLLIN));
	CHECK_OK(ep_op(b, EPOLL_CTL_ADD, c, EPOLLIN));
	CHECK_ERRNO(ep_op(c, EPOLL_CTL_ADD, a, EPOLLIN), ELOOP);
}

TEST(epoll_refuses_deep_nesting)
{
	int ep[8], n;

	ep[0] = ep_new();
	for (n = 1; n < 8; n++) {
		ep[n] = ep_new();
		if (ep_op(ep[n], EPOLL_CTL_ADD, ep[n - 1], EPOLLIN) < 0)
			break;
	}
	CHECK(n < 8);
	CHECK(n >= 5);
	CHECK(errno == ELOOP || errno == EINVAL);
}

TEST(epoll_exclusive_has_rules)
{
	int p[2], ep = ep_new();

	pipe(p);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE));
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_MOD, p[0], EPOLLIN), EINVAL);
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT),
		    EINVAL);
	CHECK_ERRNO(ep_op(ep, EPOLL_CTL_ADD, ep_new(), EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
}

TEST(epoll_bad_buffer_keeps_the_event)
{
	struct epoll_event e[8];
	int p[2], ep = ep_new();

	pipe(p);
	write(p[1], "x", 1);
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET));
	CHECK_ERRNO(epoll_wait(ep, bad, 1, 0), EFAULT);
	CHECK_EQ(ep_wait(ep, e, 0), 1);
}

TEST(epoll_socket_write_edge_after_drain)
{
	static char buf[65536];
	struct epoll_event e[8];
	int s[2], ep = ep_new();

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, s[0], EPOLLOUT | EPOLLET));
	CHECK_EQ(ep_wait(ep, e, 0), 1);
	while (write(s[0], buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(ep_wait(ep, e, 0), 0);
	while (read(s[1], buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(ep_wait(ep, e, 1000), 1);
	CHECK_EQ(e[0].events, EPOLLOUT);
}

static void *wait_one(void *arg)
{
	struct epoll_event e;

	return (void *)(long)epoll_wait(*(int *)arg, &e, 1, 5000);
}

TEST(epoll_wakes_several_waiters_for_several_events)
{
	int ev[3], ep = ep_new();
	pthread_t t[3];
	void *n;

	for (int i = 0; i < 3; i++) {
		ev[i] = eventfd(0, 0);
		CHECK_OK(ep_op(ep, EPOLL_CTL_ADD, ev[i], EPOLLIN | EPOLLET));
	}
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, wait_one, &ep);
	pause_ms(50);
	for (int i = 0; i < 3; i++)
		eventfd_write(ev[i], 1);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &n);
		CHECK_EQ((long)n, 1);
	}
}
