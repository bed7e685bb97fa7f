/* SPDX-License-Identifier: MIT */
/* eventfd, timerfd, signalfd, pidfd, memfd. */

#include "helpers.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

static uint64_t get8(int fd)
{
	uint64_t v = 0;

	CHECK_EQ(read(fd, &v, 8), 8);
	return v;
}

/* -- eventfd */

TEST(eventfd_read_takes_all)
{
	int fd = eventfd(3, EFD_NONBLOCK);
	uint64_t v = 4;

	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(get8(fd), 7);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
}

TEST(eventfd_semaphore_counts_down)
{
	int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	uint64_t v;

	CHECK_EQ(get8(fd), 1);
	CHECK_EQ(get8(fd), 1);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
}

TEST(eventfd_checks_sizes_and_values)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t v = ~0ull;

	CHECK_ERRNO(read(fd, &v, 7), EINVAL);
	CHECK_ERRNO(write(fd, &v, 4), EINVAL);
	CHECK_ERRNO(write(fd, &v, 8), EINVAL);
	v = ~0ull - 1;
	CHECK_EQ(write(fd, &v, 8), 8);
	v = 1;
	CHECK_ERRNO(write(fd, &v, 8), EAGAIN);
	CHECK_EQ(ready(fd, POLLIN | POLLOUT), POLLIN);
	CHECK_ERRNO(eventfd(0, 0x40), EINVAL);
}

TEST(eventfd_poll_follows_the_count)
{
	int fd = eventfd(0, 0);

	CHECK_EQ(ready(fd, POLLIN | POLLOUT), POLLOUT);
	eventfd_write(fd, 1);
	CHECK_EQ(ready(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
}

TEST(eventfd_wakes_reader_in_other_process)
{
	int fd = eventfd(0, 0);

	if (fork() == 0) {
		pause_ms(30);
		eventfd_write(fd, 9);
		_exit(0);
	}
	CHECK_EQ(get8(fd), 9);
}

/* -- timerfd */

static struct itimerspec in_ms(int first, int then)
{
	return (struct itimerspec){
		.it_value = { first / 1000, first % 1000 * 1000000L },
		.it_interval = { then / 1000, then % 1000 * 1000000L },
	};
}

TEST(timerfd_expires_once)
{
	struct itimerspec it = in_ms(30, 0);
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	CHECK_OK(timerfd_settime(fd, 0, &it, NULL));
	CHECK_EQ(ready(fd, POLLIN), 0);
	CHECK_EQ(get8(fd), 1);
	CHECK_OK(timerfd_gettime(fd, &it));
	CHECK_EQ(it.it_value.tv_sec, 0);
	CHECK_EQ(it.it_value.tv_nsec, 0);
}

TEST(timerfd_counts_missed_periods)
{
	struct itimerspec it = in_ms(10, 10);
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	uint64_t v;

	CHECK_OK(timerfd_settime(fd, 0, &it, NULL));
	pause_ms(105);
	v = get8(fd);
	CHECK(v >= 10 && v < 100);
	CHECK_OK(timerfd_gettime(fd, &it));
	CHECK_EQ(it.it_interval.tv_nsec, 10000000);
	CHECK(it.it_value.tv_nsec > 0 && it.it_value.tv_nsec <= 10000000);
}

TEST(timerfd_disarm)
{
	struct itimerspec it = in_ms(20, 0), off = { 0 }, old;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	uint64_t v;

	CHECK_OK(timerfd_settime(fd, 0, &it, NULL));
	CHECK_OK(timerfd_settime(fd, 0, &off, &old));
	CHECK(old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 20000000);
	pause_ms(40);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
}

TEST(timerfd_absolute_in_the_past_fires_at_once)
{
	struct itimerspec it = { .it_value = { 1, 0 } };
	int fd = timerfd_create(CLOCK_REALTIME, 0);

	CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL));
	CHECK_EQ(get8(fd), 1);
}

TEST(timerfd_wakes_epoll)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct itimerspec it = in_ms(30, 0);
	int fd = timerfd_create(CLOCK_BOOTTIME, 0), ep = epoll_create1(0);

	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	CHECK_OK(timerfd_settime(fd, 0, &it, NULL));
	CHECK_EQ(epoll_wait(ep, &e, 1, 5000), 1);
}

TEST(timerfd_errors)
{
	struct itimerspec it = { .it_value = { 0, 1000000000 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	char c[8];

	CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 2), EINVAL);
	CHECK_ERRNO(timerfd_settime(fd, 0, &it, NULL), EINVAL);
	it = in_ms(1, 0);
	CHECK_ERRNO(timerfd_settime(fd, 4, &it, NULL), EINVAL);
	CHECK_ERRNO(timerfd_settime(0, 0, &it, NULL), EINVAL);
	CHECK_ERRNO(timerfd_settime(150, 0, &it, NULL), EBADF);
	CHECK_ERRNO(read(fd, c, 4), EINVAL);
	CHECK_ERRNO(write(fd, c, 8), EINVAL);
}

/* -- signalfd */

static int sigfd_of(int signo, int flags)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, signo);
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_OK(fd = signalfd(-1, &set, flags));
	return fd;
}

TEST(signalfd_reads_pending_signals)
{
	int fd = sigfd_of(SIGUSR1, SFD_NONBLOCK);
	struct signalfd_siginfo si;

	CHECK_ERRNO(read(fd, &si, sizeof(si)), EAGAIN);
	CHECK_EQ(ready(fd, POLLIN), 0);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(ready(fd, POLLIN), POLLIN);
	CHECK_EQ(read(fd, &si, sizeof(si)), (ssize_t)sizeof(si));
	CHECK_EQ(si.ssi_signo, SIGUSR1);
	CHECK_EQ(si.ssi_pid, getpid());
	CHECK_EQ(si.ssi_uid, getuid());
	CHECK_EQ(si.ssi_code, SI_USER);
	CHECK_ERRNO(read(fd, &si, sizeof(si)), EAGAIN);
}

TEST(signalfd_queued_value)
{
	int fd = sigfd_of(SIGRTMIN, 0);
	struct signalfd_siginfo si[3];
	union sigval v = { .sival_int = 42 };

	sigqueue(getpid(), SIGRTMIN, v);
	v.sival_int = 43;
	sigqueue(getpid(), SIGRTMIN, v);
	CHECK_EQ(read(fd, si, sizeof(si)), 2 * (ssize_t)sizeof(si[0]));
	CHECK_EQ(si[0].ssi_int, 42);
	CHECK_EQ(si[1].ssi_int, 43);
	CHECK_EQ(si[0].ssi_code, SI_QUEUE);
}

TEST(signalfd_tells_of_children)
{
	int fd = sigfd_of(SIGCHLD, 0);
	struct signalfd_siginfo si;
	pid_t pid = fork();

	if (!pid)
		_exit(7);
	CHECK_EQ(read(fd, &si, sizeof(si)), (ssize_t)sizeof(si));
	CHECK_EQ(si.ssi_signo, SIGCHLD);
	CHECK_EQ(si.ssi_pid, pid);
	CHECK_EQ(si.ssi_status, 7);
	CHECK_EQ(si.ssi_code, CLD_EXITED);
}

TEST(signalfd_wakes_a_waiting_reader)
{
	int fd = sigfd_of(SIGUSR2, 0);
	struct signalfd_siginfo si;

	if (fork() == 0) {
		pause_ms(40);
		kill(getppid(), SIGUSR2);
		_exit(0);
	}
	CHECK_EQ(read(fd, &si, sizeof(si)), (ssize_t)sizeof(si));
	CHECK_EQ(si.ssi_signo, SIGUSR2);
}

TEST(signalfd_epoll_wakes)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd = sigfd_of(SIGUSR2, 0), ep = epoll_create1(0);

	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	if (fork() == 0) {
		pause_ms(40);
		kill(getppid(), SIGUSR2);
		_exit(0);
	}
	CHECK_EQ(epoll_wait(ep, &e, 1, 5000), 1);
}

TEST(signalfd_mask_can_be_replaced)
{
	int fd = sigfd_of(SIGUSR1, SFD_NONBLOCK);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR2);
	CHECK_EQ(ready(fd, POLLIN), 0);
	CHECK_EQ(signalfd(fd, &set, 0), fd);
	CHECK_EQ(ready(fd, POLLIN), POLLIN);
}

TEST(signalfd_errors)
{
	int fd = sigfd_of(SIGUSR1, 0);
	sigset_t set;
	char c[16];

	sigemptyset(&set);
	CHECK_ERRNO(read(fd, c, sizeof(c)), EINVAL);
	CHECK_ERRNO(signalfd(0, &set, 0), EINVAL);
	CHECK_ERRNO(signalfd(150, &set, 0), EBADF);
	CHECK_ERRNO(signalfd(-1, &set, 1), EINVAL);
}

/* -- pidfd */

static int pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

TEST(pidfd_becomes_readable_at_exit)
{
	int fd, status;
	pid_t pid = fork();

	if (!pid) {
		pause_ms(60);
		_exit(3);
	}
	CHECK_OK(fd = pidfd(pid));
	CHECK_EQ(ready(fd, POLLIN), 0);
	CHECK_EQ(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 5000), 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(ready(fd, POLLIN) & POLLIN);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
}

TEST(pidfd_sends_signals)
{
	int fd, status;
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	CHECK_OK(fd = pidfd(pid));
	CHECK_OK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	CHECK_OK(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0), EBADF);
}

TEST(pidfd_can_be_waited_for)
{
	siginfo_t si;
	pid_t pid = fork();

	if (!pid)
		_exit(5);
	CHECK_OK(waitid(P_PIDFD, (id_t)pidfd(pid), &si, WEXITED));
	CHECK_EQ(si.si_pid, pid);
	CHECK_EQ(si.si_status, 5);
}

TEST(pidfd_open_errors)
{
	CHECK_ERRNO(pidfd(-1), EINVAL);
	CHECK_ERRNO(pidfd(0), EINVAL);
	CHECK_ERRNO(pidfd(4000000), ESRCH);
}

TEST(pidfd_getfd_takes_a_descriptor)
{
	char c = 0;
	int p[2], fd;
	pid_t pid;

	pipe(p);
	pid = fork();
	if (!pid) {
		write(p[1], "g", 1);
		pause();
		_exit(0);
	}
	close(p[1]);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd(pid), p[0], 0);
	if (fd < 0 && errno == EPERM)
		SKIP("ptrace of children is not allowed here");
	CHECK_OK(fd);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'g');
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, pidfd(pid), 150, 0), EBADF);
	kill(pid, SIGKILL);
}

/* -- memfd */

TEST(memfd_is_a_file)
{
	struct stat st;
	char buf[8] = "";
	int fd = memfd_create("name", 0);

	CHECK_OK(fd);
	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK_EQ(pread(fd, buf, 5, 0), 5);
	CHECK_STR(buf, "hello");
	CHECK_OK(fstat(fd, &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_size, 5);
	CHECK_EQ(st.st_nlink, 0);
}

TEST(memfd_is_as_large_as_offsets_are)
{
	int fd = memfd_create("large", 0);
	struct stat st;
	char c = 0;

	CHECK_EQ(pwrite(fd, "x", 1, 6051295877490877129), 1);
	CHECK_EQ(pwrite(fd, "y", 1, INT64_MAX - 1), 1);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, INT64_MAX);
	CHECK_EQ(st.st_blocks, 16);
	CHECK_EQ(pread(fd, &c, 1, 6051295877490877129), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(pread(fd, &c, 1, INT64_MAX - 1), 1);
	CHECK_EQ(c, 'y');
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), 6051295877490877129 & ~4095ll);
	CHECK_ERRNO(pwrite(fd, "z", 1, INT64_MAX), EINVAL);
	CHECK_OK(ftruncate(fd, 0));
	CHECK_OK(ftruncate(fd, INT64_MAX));
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_blocks, 0);
}

/* Writes that stop, because the program's memory is not there yet, or not at all, count once. */
TEST(memfd_counts_the_pages_that_it_has)
{
	char *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("sparse", 0);
	struct stat st;

	CHECK_OK(ftruncate(fd, 1 << 20));
	for (int i = 0; i < 16; i++) {
		char *fresh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(fresh != MAP_FAILED);
		CHECK_EQ(pwrite(fd, fresh, 4096, i * 8192 + 4096), 4096);
	}
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_blocks, 16 * 8);
	for (int i = 0; i < 100; i++)
		CHECK_ERRNO(pwrite(fd, nowhere, 4096, 1 << 19), EFAULT);
	/* Linux keeps the page that it had got ready. */
	CHECK_OK(fstat(fd, &st));
	CHECK(st.st_blocks <= 17 * 8);
}

TEST(memfd_is_shown_by_its_name)
{
	char path[64], text[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd_create("some name", 0));
	CHECK(readlink(path, text, sizeof(text) - 1) > 0);
	CHECK_STR(text, "/memfd:some name (deleted)");
}

TEST(memfd_maps_shared)
{
	int fd = memfd_create("m", MFD_CLOEXEC);
	char *a, *b;

	CHECK_OK(ftruncate(fd, 8192));
	a = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(a != MAP_FAILED && b != MAP_FAILED);
	strcpy(a + 5000, "seen");
	CHECK_STR(b + 5000, "seen");
}

TEST(memfd_seals_are_kept)
{
	int fd = memfd_create("s", MFD_ALLOW_SEALING);

	CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
	CHECK_EQ(write(fd, "12345", 5), 5);
	CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	CHECK_ERRNO(ftruncate(fd, 2), EPERM);
	CHECK_OK(ftruncate(fd, 10));
	CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	CHECK_ERRNO(ftruncate(fd, 20), EPERM);
	CHECK_ERRNO(pwrite(fd, "x", 1, 10), EPERM);
	CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
	CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
	CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0), EPERM);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	CHECK(mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, EPERM);
	CHECK(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
}

TEST(memfd_without_sealing_is_sealed)
{
	int fd = memfd_create("s", 0);

	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	CHECK_ERRNO(fcntl(0, F_GET_SEALS), EINVAL);
}

TEST(memfd_errors)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[250] = '\0';
	CHECK_ERRNO(memfd_create(name, 0), EINVAL);
	name[249] = '\0';
	CHECK_OK(memfd_create(name, 0));
	CHECK_ERRNO(memfd_create("x", 0x100), EINVAL);
}

TEST(memfd_write_seal_with_mapping_is_busy)
{
	int fd = memfd_create("b", MFD_ALLOW_SEALING);
	char *a;

	CHECK_OK(ftruncate(fd, 4096));
	a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(a != MAP_FAILED);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	CHECK_OK(munmap(a, 4096));
	CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
}
