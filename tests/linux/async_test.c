/* SPDX-License-Identifier: MIT */
/* Signals that tell of input and output: fcntl(2) F_SETOWN, F_SETSIG, O_ASYNC; SIGIO. */

#include "harness.h"

#include <limits.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <pthread.h>
#include <asm/ioctls.h>

#ifndef FIOASYNC
#define FIOASYNC 0x5452
#endif
#define FIOSETOWN_ 0x8901
#define SIOCSPGRP_ 0x8902
#define FIOGETOWN_ 0x8903
#define SIOCGPGRP_ 0x8904

static volatile int count, last_code, last_fd;
static volatile long last_band;

static void on_io(int signo, siginfo_t *info, void *context)
{
	last_code = info->si_code;
	last_fd = info->si_fd;
	last_band = info->si_band;
	count++;
}

static void catch_signal(int signo)
{
	struct sigaction sa = { .sa_sigaction = on_io, .sa_flags = SA_SIGINFO | SA_RESTART };

	CHECK_OK(sigaction(signo, &sa, NULL));
}

static void set_async(int fd)
{
	CHECK_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
}

/* Signal @signo to this process when something happens to @fd. */
static void watch(int fd, int signo)
{
	catch_signal(signo ? signo : SIGIO);
	CHECK_OK(fcntl(fd, F_SETOWN, getpid()));
	CHECK_OK(fcntl(fd, F_SETSIG, signo));
	set_async(fd);
}

/* -- the owner -------------------------------------------------------------------------- */

TEST(owner_is_kept)
{
	struct f_owner_ex ex = { 77, 77 };
	int p[2];

	CHECK_OK(pipe(p));
	CHECK_EQ(fcntl(p[0], F_GETOWN), 0);
	CHECK_OK(fcntl(p[0], F_GETOWN_EX, &ex));
	CHECK_EQ(ex.type, F_OWNER_TID);
	CHECK_EQ(ex.pid, 0);
	CHECK_OK(fcntl(p[0], F_SETOWN, getpid()));
	CHECK_EQ(fcntl(p[0], F_GETOWN), getpid());
	CHECK_EQ(fcntl(p[1], F_GETOWN), 0);
	CHECK_OK(fcntl(p[0], F_GETOWN_EX, &ex));
	CHECK_EQ(ex.type, F_OWNER_PID);
	CHECK_EQ(ex.pid, getpid());
	CHECK_OK(fcntl(p[0], F_SETOWN, -getpgrp()));
	CHECK_EQ(syscall(SYS_fcntl, p[0], F_GETOWN_EX, &ex), 0);
	CHECK_EQ(ex.type, F_OWNER_PGRP);
	CHECK_EQ(ex.pid, getpgrp());
	ex = (struct f_owner_ex){ F_OWNER_TID, getpid() };
	CHECK_OK(fcntl(p[0], F_SETOWN_EX, &ex));
	CHECK_EQ(fcntl(p[0], F_GETOWN), getpid());
	CHECK_OK(fcntl(p[0], F_SETOWN, 0));
	CHECK_EQ(fcntl(p[0], F_GETOWN), 0);
}

TEST(owner_must_exist)
{
	struct f_owner_ex ex = { F_OWNER_PID, 0x3ffffff };
	pid_t child = fork();
	int p[2];

	if (!child) {
		pause();
		_exit(0);
	}
	CHECK_OK(pipe(p));
	CHECK_ERRNO(fcntl(p[0], F_SETOWN, 0x3ffffff), ESRCH);
	CHECK_ERRNO(fcntl(p[0], F_SETOWN, -0x3ffffff), ESRCH);
	CHECK_ERRNO(fcntl(p[0], F_SETOWN, INT_MIN), EINVAL);
	CHECK_ERRNO(fcntl(p[0], F_SETOWN_EX, &ex), ESRCH);
	ex.type = 3;
	CHECK_ERRNO(fcntl(p[0], F_SETOWN_EX, &ex), EINVAL);
	CHECK_OK(fcntl(p[0], F_SETOWN, child));
	CHECK_EQ(fcntl(p[0], F_GETOWN), child);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	CHECK_EQ(fcntl(p[0], F_GETOWN), 0);
}

TEST(signal_number_is_kept)
{
	int p[2];

	CHECK_OK(pipe(p));
	CHECK_EQ(fcntl(p[0], F_GETSIG), 0);
	CHECK_OK(fcntl(p[0], F_SETSIG, SIGRTMIN));
	CHECK_EQ(fcntl(p[0], F_GETSIG), SIGRTMIN);
	CHECK_EQ(fcntl(p[1], F_GETSIG), 0);
	CHECK_ERRNO(fcntl(p[0], F_SETSIG, 65), EINVAL);
	CHECK_ERRNO(fcntl(p[0], F_SETSIG, -1), EINVAL);
	CHECK_OK(fcntl(p[0], F_SETSIG, 0));
}

TEST(async_is_for_some_files)
{
	int event = eventfd(0, 0), file = open("file", O_RDWR | O_CREAT, 0644), on = 1, p[2];

	CHECK_OK(pipe(p));
	CHECK_OK(fcntl(event, F_SETFL, O_ASYNC));
	CHECK(!(fcntl(event, F_GETFL) & O_ASYNC));
	CHECK_OK(fcntl(file, F_SETFL, O_ASYNC));
	CHECK(!(fcntl(file, F_GETFL) & O_ASYNC));
	CHECK_ERRNO(ioctl(event, FIOASYNC, &on), ENOTTY);
	CHECK_ERRNO(ioctl(file, FIOASYNC, &on), ENOTTY);
	CHECK_OK(ioctl(p[0], FIOASYNC, &on));
	CHECK(fcntl(p[0], F_GETFL) & O_ASYNC);
	CHECK(!(fcntl(p[1], F_GETFL) & O_ASYNC));
	on = 0;
	CHECK_OK(ioctl(p[0], FIOASYNC, &on));
	CHECK(!(fcntl(p[0], F_GETFL) & O_ASYNC));
	CHECK_ERRNO(ioctl(p[0], FIOASYNC, NULL), EFAULT);
}

TEST(sockets_have_ioctls_for_the_owner)
{
	int s[2], pid = getpid(), got = 0;

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_OK(ioctl(s[0], FIOSETOWN_, &pid));
	CHECK_EQ(fcntl(s[0], F_GETOWN), pid);
	CHECK_OK(ioctl(s[0], SIOCGPGRP_, &got));
	CHECK_EQ(got, pid);
	pid = -getpgrp();
	CHECK_OK(ioctl(s[0], SIOCSPGRP_, &pid));
	CHECK_OK(ioctl(s[0], FIOGETOWN_, &got));
	CHECK_EQ(got, -getpgrp());
}

/* -- pipes -------------------------------------------------------------------------------- */

TEST(sigio_for_a_pipe)
{
	char buf[8];
	int p[2];

	CHECK_OK(pipe(p));
	watch(p[0], 0);
	CHECK_EQ(count, 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, SI_KERNEL);
	/* Also when there is something already. */
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 2);
	CHECK_EQ(read(p[0], buf, 8), 2);
	CHECK_EQ(count, 2);
	CHECK_OK(fcntl(p[0], F_SETFL, 0));
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 2);
}

TEST(realtime_signal_says_what_and_where)
{
	int p[2], fd;

	CHECK_OK(pipe(p));
	fd = fcntl(p[0], F_DUPFD, 50);
	watch(fd, SIGRTMIN);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, POLL_IN);
	CHECK_EQ(last_fd, fd);
	CHECK_EQ(last_band, POLLIN | POLLRDNORM);
	close(p[1]);
	CHECK_EQ(count, 2);
	CHECK_EQ(last_code, POLL_IN);
}

TEST(setsig_sigio_says_what_too)
{
	int p[2];

	CHECK_OK(pipe(p));
	watch(p[0], SIGIO);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, POLL_IN);
	CHECK_EQ(last_fd, p[0]);
	/* Signals whose codes mean something else get this one. */
	watch(p[0], SIGCHLD);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(last_code, SI_SIGIO);
	CHECK_EQ(last_fd, p[0]);
}

TEST(writer_of_a_pipe_hears_of_room)
{
	static char page[4096];
	int p[2];

	CHECK_OK(pipe2(p, O_NONBLOCK));
	while (write(p[1], page, sizeof(page)) > 0)
		;
	watch(p[1], SIGRTMIN);
	CHECK_EQ(read(p[0], page, sizeof(page)), (ssize_t)sizeof(page));
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, POLL_OUT);
	CHECK_EQ(last_fd, p[1]);
	CHECK_EQ(last_band, POLLOUT | POLLWRNORM | POLLWRBAND);
}

static int handler_pipe;

static void read_in_handler(int signo)
{
	static char buf[65536];

	while (read(handler_pipe, buf, sizeof(buf)) > 0)
		count++;
}

TEST(writer_that_waits_for_its_signalled_reader)
{
	static char buf[200000];
	sigset_t block, old;
	pid_t child;
	int p[2], gate[2];

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(gate));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		struct sigaction sa = { .sa_handler = read_in_handler };

		handler_pipe = p[0];
		sigemptyset(&block);
		sigaddset(&block, SIGIO);
		sigprocmask(SIG_BLOCK, &block, &old);
		sigaction(SIGIO, &sa, NULL);
		CHECK_OK(fcntl(p[0], F_SETOWN, getpid()));
		CHECK_OK(fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK));
		close(p[1]);
		CHECK_EQ(write(gate[1], "x", 1), 1);
		for (;;)
			sigsuspend(&old);
	}
	CHECK_EQ(read(gate[0], buf, 1), 1);
	CHECK_EQ(write(p[1], buf, sizeof(buf)), (ssize_t)sizeof(buf));
	kill(child, SIGKILL);
}

TEST(signal_that_cannot_be_queued_becomes_sigio)
{
	struct rlimit none = { 0, 0 };
	int p[2];

	CHECK_OK(pipe(p));
	catch_signal(SIGIO);
	watch(p[0], SIGRTMIN);
	CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &none));
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, SI_KERNEL);
}

TEST(no_owner_no_signal)
{
	int p[2];

	CHECK_OK(pipe(p));
	catch_signal(SIGIO);
	set_async(p[0]);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 0);
}

TEST(default_action_of_sigio_ends_the_program)
{
	int p[2], status;
	pid_t child;

	CHECK_OK(pipe(p));
	child = fork();
	if (!child) {
		fcntl(p[0], F_SETOWN, getpid());
		set_async(p[0]);
		write(p[1], "x", 1);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGIO);
}

/* -- who gets it ---------------------------------------------------------------------------- */

static pthread_barrier_t barrier;
static volatile pid_t target_tid, got_tid;

static void note_tid(int signo)
{
	got_tid = (pid_t)syscall(SYS_gettid);
	count++;
}

static void *target(void *arg)
{
	target_tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	while (!count)
		usleep(1000);
	return NULL;
}

TEST(thread_can_be_the_owner)
{
	struct sigaction sa = { .sa_handler = note_tid };
	struct f_owner_ex ex = { .type = F_OWNER_TID };
	pthread_t t;
	int p[2];

	CHECK_OK(pipe(p));
	CHECK_OK(sigaction(SIGIO, &sa, NULL));
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK_EQ(pthread_create(&t, NULL, target, NULL), 0);
	pthread_barrier_wait(&barrier);
	ex.pid = target_tid;
	CHECK_OK(fcntl(p[0], F_SETOWN_EX, &ex));
	set_async(p[0]);
	CHECK_EQ(write(p[1], "x", 1), 1);
	pthread_join(t, NULL);
	CHECK_EQ(got_tid, target_tid);
}

TEST(process_group_can_be_the_owner)
{
	int p[2], gate[2], status;
	pid_t child;
	char c;

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(gate));
	catch_signal(SIGIO);
	child = fork();
	if (!child) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGIO);
		sigprocmask(SIG_BLOCK, &set, NULL);
		write(gate[1], "x", 1);
		_exit(sigwaitinfo(&set, NULL) == SIGIO ? 0 : 1);
	}
	CHECK_EQ(read(gate[0], &c, 1), 1);
	CHECK_OK(fcntl(p[0], F_SETOWN, -getpgrp()));
	set_async(p[0]);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

TEST(owner_is_signalled_if_who_set_it_may)
{
	pid_t parent = getpid();
	int p[2], q[2];

	CHECK_ROOT();
	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	catch_signal(SIGIO);
	IN_CHILD(({
		CHECK_OK(fcntl(q[0], F_SETOWN, parent));
		set_async(q[0]);
		CHECK_OK(setresuid(65534, 65534, 65534));
		CHECK_OK(fcntl(p[0], F_SETOWN, parent));
		set_async(p[0]);
		write(p[1], "x", 1);
	}));
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(count, 0);
	/* It is about who set the owner, not about who writes. */
	IN_CHILD(({
		CHECK_OK(setresuid(65534, 65534, 65534));
		write(q[1], "x", 1);
	}));
	CHECK_EQ(count, 1);
}

/* -- sockets, terminals, inotify ------------------------------------------------------------ */

TEST(sigio_for_a_stream_socket)
{
	char buf[8];
	int s[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	watch(s[0], SIGRTMIN);
	CHECK_EQ(write(s[1], "x", 1), 1);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, POLL_IN);
	CHECK_EQ(last_fd, s[0]);
	CHECK_EQ(write(s[0], "y", 1), 1);
	/* That there is room is no news to who did not lack it. */
	CHECK_EQ(read(s[1], buf, 1), 1);
	CHECK_EQ(count, 1);
	CHECK_OK(shutdown(s[1], SHUT_WR));
	CHECK_EQ(count, 2);
	CHECK_EQ(last_code, POLL_IN);
	close(s[1]);
	CHECK_EQ(count, 3);
	CHECK_EQ(last_code, POLL_HUP);
	CHECK_EQ(last_band, POLLHUP | POLLERR);
}

TEST(sigio_for_room_in_a_socket)
{
	static char buf[65536];
	int s[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	watch(s[0], SIGRTMIN);
	while (write(s[0], buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(count, 0);
	while (read(s[1], buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, POLL_OUT);
}

TEST(sigio_for_a_datagram_and_a_connection)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int s[2], l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	watch(s[0], SIGRTMIN);
	CHECK_EQ(send(s[1], "x", 1, 0), 1);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, POLL_IN);
	CHECK_OK(bind(l, (void *)&addr, sizeof(addr)));
	CHECK_OK(listen(l, 5));
	watch(l, SIGRTMIN);
	CHECK_OK(connect(c, (void *)&addr, sizeof(addr)));
	CHECK_EQ(count, 2);
	CHECK_EQ(last_fd, l);
	CHECK_EQ(last_code, POLL_IN);
}

TEST(sigio_for_a_terminal)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char buf[16];

	CHECK(master >= 0);
	CHECK_OK(grantpt(master));
	CHECK_OK(unlockpt(master));
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
	catch_signal(SIGIO);
	set_async(slave);
	CHECK_EQ(fcntl(slave, F_GETOWN), getpid());	/* unlike others, a terminal has one */
	CHECK_EQ(write(master, "line\n", 5), 5);
	for (int i = 0; i < 1000 && !count; i++)
		usleep(1000);
	CHECK(count >= 1);
	CHECK_EQ(read(slave, buf, 16), 5);
	CHECK_OK(fcntl(slave, F_SETFL, 0));
	watch(master, SIGRTMIN);
	count = 0;
	CHECK_EQ(write(slave, "x", 1), 1);
	for (int i = 0; i < 1000 && !count; i++)
		usleep(1000);
	CHECK_EQ(last_code, POLL_IN);
	CHECK_EQ(last_fd, master);
}

TEST(sigio_for_inotify)
{
	int in = inotify_init1(0), fd;

	CHECK_OK(inotify_add_watch(in, ".", IN_CREATE));
	watch(in, SIGRTMIN);
	fd = open("new", O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_code, POLL_IN);
	CHECK_EQ(last_fd, in);
}

TEST(closing_ends_the_signals)
{
	int p[2];

	CHECK_OK(pipe(p));
	watch(p[0], 0);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
	CHECK_EQ(count, 0);
}

/* Files that come and go while others write to them. */
static volatile int stop_writing;
static int churn_pipe[2];

static void *write_on(void *arg)
{
	char buf[64];

	while (!stop_writing) {
		write(churn_pipe[1], "x", 1);
		read(churn_pipe[0], buf, sizeof(buf));
	}
	return NULL;
}

TEST(async_comes_and_goes_under_load)
{
	char path[64];
	pthread_t t;

	CHECK_OK(pipe2(churn_pipe, O_NONBLOCK));
	catch_signal(SIGIO);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", churn_pipe[0]);
	CHECK_EQ(pthread_create(&t, NULL, write_on, NULL), 0);
	for (int i = 0; i < 300; i++) {
		int fd = open(path, O_RDONLY | O_NONBLOCK);

		CHECK(fd >= 0);
		CHECK_OK(fcntl(fd, F_SETOWN, getpid()));
		CHECK_OK(fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
		if (i % 3 == 0)
			CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
		close(fd);
	}
	stop_writing = 1;
	pthread_join(t, NULL);
}
