/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs: pipe(7), fifo(7). */

#include "helpers.h"

#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define F_SETPIPE_SZ_ 1031
#define F_GETPIPE_SZ_ 1032

/* An address that the compiler must not see through. */
static void *volatile bad = (void *)8;

static void pipe_of(int p[2], int flags)
{
	CHECK_OK(pipe2(p, flags));
}

static void on_signal(int signo)
{
}

static void interrupt_after(int ms)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct itimerval it = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

TEST(pipe_passes_bytes_in_order)
{
	char buf[16] = "";
	int p[2];

	pipe_of(p, 0);
	CHECK_EQ(write(p[1], "abc", 3), 3);
	CHECK_EQ(write(p[1], "def", 3), 3);
	CHECK_EQ(read(p[0], buf, 2), 2);
	CHECK_EQ(read(p[0], buf + 2, 10), 4);
	CHECK_STR(buf, "abcdef");
}

TEST(pipe2_rejects_unknown_flags)
{
	int p[2];

	CHECK_ERRNO(pipe2(p, 0x4000000), EINVAL);
}

TEST(pipe2_to_bad_address_leaves_no_descriptor)
{
	int before = dup(0);

	close(before);
	CHECK_ERRNO(pipe2(bad, 0), EFAULT);
	CHECK_EQ(dup(0), before);
}

TEST(pipe_ends_share_an_inode_of_type_fifo)
{
	struct stat a, b;
	int p[2];

	pipe_of(p, 0);
	CHECK_OK(fstat(p[0], &a));
	CHECK_OK(fstat(p[1], &b));
	CHECK(S_ISFIFO(a.st_mode));
	CHECK_EQ(a.st_ino, b.st_ino);
	CHECK_EQ(a.st_dev, b.st_dev);
	CHECK_EQ(a.st_mode & 0777, 0600);
}

TEST(pipe_ends_have_their_access_modes)
{
	int p[2];
	char c;

	pipe_of(p, O_NONBLOCK);
	CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	CHECK_EQ(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	CHECK_ERRNO(read(p[1], &c, 1), EBADF);
	CHECK_ERRNO(write(p[0], "x", 1), EBADF);
}

TEST(pipe_read_returns_zero_without_writers)
{
	char c;
	int p[2];

	pipe_of(p, 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	close(p[1]);
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(read(p[0], &c, 1), 0);
}

TEST(pipe_nonblocking_read_of_empty_is_eagain)
{
	char c;
	int p[2];

	pipe_of(p, O_NONBLOCK);
	CHECK_ERRNO(read(p[0], &c, 1), EAGAIN);
	CHECK_EQ(read(p[0], &c, 0), 0);
}

TEST(pipe_write_without_reader_raises_sigpipe)
{
	int p[2], status;
	pid_t pid = fork();

	if (!pid) {
		pipe_of(p, 0);
		close(p[0]);
		signal(SIGPIPE, SIG_DFL);
		write(p[1], "x", 1);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

TEST(pipe_zero_write_without_reader_is_fine)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	pipe_of(p, 0);
	close(p[0]);
	CHECK_EQ(write(p[1], "", 0), 0);
	CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
}

TEST(pipe_holds_64k_by_default)
{
	static char page[4096];
	int p[2], n = 0;

	pipe_of(p, O_NONBLOCK);
	CHECK_EQ(fcntl(p[0], F_GETPIPE_SZ_), 65536);
	while (write(p[1], page, sizeof(page)) == (ssize_t)sizeof(page))
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(n, 16);
}

TEST(pipe_small_writes_share_pages)
{
	int p[2], n = 0;

	pipe_of(p, O_NONBLOCK);
	while (write(p[1], "x", 1) == 1)
		n++;
	CHECK_EQ(n, 65536);
}

TEST(pipe_atomic_write_is_all_or_nothing)
{
	static char buf[65536];
	int p[2];

	pipe_of(p, O_NONBLOCK);
	CHECK_EQ(write(p[1], buf, 65536 - 100), 65536 - 100);
	CHECK_ERRNO(write(p[1], buf, 4096), EAGAIN);
}

TEST(pipe_large_nonblocking_write_is_partial)
{
	static char buf[100000];
	int p[2];

	pipe_of(p, O_NONBLOCK);
	CHECK_EQ(write(p[1], buf, sizeof(buf)), 65536);
}

TEST(pipe_fionread_counts_bytes)
{
	int p[2], n = -1;
	char c;

	pipe_of(p, 0);
	CHECK_OK(ioctl(p[0], FIONREAD, &n));
	CHECK_EQ(n, 0);
	write(p[1], "hello", 5);
	read(p[0], &c, 1);
	CHECK_OK(ioctl(p[0], FIONREAD, &n));
	CHECK_EQ(n, 4);
	CHECK_OK(ioctl(p[1], FIONREAD, &n));
	CHECK_EQ(n, 4);
}

TEST(pipe_unknown_ioctl_is_enotty)
{
	int p[2], n;

	pipe_of(p, 0);
	CHECK_ERRNO(ioctl(p[0], TIOCGWINSZ, &n), ENOTTY);
}

TEST(pipe_does_not_seek)
{
	char c;
	int p[2];

	pipe_of(p, 0);
	CHECK_ERRNO(lseek(p[0], 0, SEEK_CUR), ESPIPE);
	CHECK_ERRNO(pread(p[0], &c, 1, 0), ESPIPE);
	CHECK_ERRNO(pwrite(p[1], "x", 1, 0), ESPIPE);
}

TEST(pipe_size_is_rounded_up_to_a_power_of_two)
{
	int p[2];

	pipe_of(p, 0);
	CHECK_EQ(fcntl(p[0], F_SETPIPE_SZ_, 3 * 4096), 4 * 4096);
	CHECK_EQ(fcntl(p[1], F_GETPIPE_SZ_), 4 * 4096);
	CHECK_EQ(fcntl(p[0], F_SETPIPE_SZ_, 1), 4096);
}

TEST(pipe_cannot_shrink_below_its_contents)
{
	static char buf[8192];
	int p[2];

	pipe_of(p, 0);
	CHECK_EQ(write(p[1], buf, sizeof(buf)), (ssize_t)sizeof(buf));
	CHECK_ERRNO(fcntl(p[0], F_SETPIPE_SZ_, 4096), EBUSY);
	CHECK_EQ(fcntl(p[0], F_SETPIPE_SZ_, 8192), 8192);
}

TEST(pipe_size_of_a_file_is_ebadf)
{
	CHECK_ERRNO(fcntl(open("/dev/null", O_RDONLY), F_GETPIPE_SZ_), EBADF);
}

TEST(pipe_packets_keep_their_bounds)
{
	char buf[32];
	int p[2];

	pipe_of(p, O_DIRECT);
	CHECK_EQ(write(p[1], "one", 3), 3);
	CHECK_EQ(write(p[1], "three", 5), 5);
	CHECK_EQ(read(p[0], buf, sizeof(buf)), 3);
	CHECK_EQ(read(p[0], buf, 2), 2);
	close(p[1]);
	CHECK_EQ(read(p[0], buf, sizeof(buf)), 0);
}

TEST(pipe_blocking_read_is_interrupted)
{
	char c;
	int p[2];

	pipe_of(p, 0);
	interrupt_after(50);
	CHECK_ERRNO(read(p[0], &c, 1), EINTR);
}

TEST(pipe_blocking_write_is_interrupted_with_what_it_wrote)
{
	static char buf[70000];
	int p[2];

	pipe_of(p, 0);
	interrupt_after(50);
	CHECK_EQ(write(p[1], buf, sizeof(buf)), 65536);
}

TEST(pipe_read_restarts_with_sa_restart)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval it = { .it_value = { 0, 30000 } };
	char c = 0;
	int p[2];

	pipe_of(p, 0);
	sigaction(SIGALRM, &sa, NULL);
	if (fork() == 0) {
		pause_ms(150);
		write(p[1], "r", 1);
		_exit(0);
	}
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(c, 'r');
}

TEST(pipe_bad_address_is_efault_and_loses_nothing)
{
	char buf[8] = "";
	int p[2];

	pipe_of(p, 0);
	CHECK_ERRNO(write(p[1], bad, 5), EFAULT);
	CHECK_EQ(write(p[1], "hello", 5), 5);
	CHECK_ERRNO(read(p[0], bad, 5), EFAULT);
	CHECK_EQ(read(p[0], buf, 5), 5);
	CHECK_STR(buf, "hello");
}

TEST(pipe_vectors_work)
{
	char a[3] = "", b[5] = "";
	struct iovec out[2] = { { "ab", 2 }, { "cdef", 4 } };
	struct iovec in[2] = { { a, 2 }, { b, 4 } };
	int p[2];

	pipe_of(p, 0);
	CHECK_EQ(writev(p[1], out, 2), 6);
	CHECK_EQ(readv(p[0], in, 2), 6);
	CHECK_STR(a, "ab");
	CHECK_STR(b, "cdef");
}

TEST(pipe_wakes_all_readers_in_turn)
{
	int p[2], done[2], kids = 4;
	char c;

	pipe_of(p, 0);
	pipe_of(done, 0);
	for (int i = 0; i < kids; i++) {
		if (fork() == 0) {
			close(p[1]);
			if (read(p[0], &c, 1) == 1)
				write(done[1], &c, 1);
			_exit(0);
		}
	}
	pause_ms(50);
	CHECK_EQ(write(p[1], "1234", 4), 4);
	for (int i = 0; i < kids; i++)
		CHECK_EQ(read(done[0], &c, 1), 1);
}

static void *ping(void *arg)
{
	int *fd = arg;
	char c;

	for (int i = 0; i < 2000; i++) {
		if (read(fd[0], &c, 1) != 1 || write(fd[1], &c, 1) != 1)
			return arg;
	}
	return NULL;
}

static _Atomic(int) taken;

static void ignore(int sig)
{
	(void)sig;
}

static void *take_bytes(void *arg)
{
	char c;

	while (read(*(int *)arg, &c, 1) == 1)
		atomic_fetch_add(&taken, 1);
	return NULL;
}

/* Reads unless interrupted: then it leaves the byte of that round to the other reader. */
static void *take_bytes_or_signals(void *arg)
{
	char c;

	for (;;) {
		int before = atomic_load(&taken);
		ssize_t n = read(*(int *)arg, &c, 1);

		if (n == 1)
			atomic_fetch_add(&taken, 1);
		else if (n == 0)
			return NULL;
		else
			while (atomic_load(&taken) == before)
				sched_yield();
	}
}

/* One byte wakes one reader.  If a signal reaches that one too, the byte must not lie there. */
TEST_SECONDS(pipe_wakeup_is_not_lost_to_a_signal, 60)
{
	struct sigaction act = { .sa_handler = ignore };
	pthread_t interrupted, other;
	int fds[2];

	CHECK_OK(sigaction(SIGUSR1, &act, NULL));
	CHECK_OK(pipe(fds));
	CHECK_EQ(pthread_create(&interrupted, NULL, take_bytes_or_signals, &fds[0]), 0);
	CHECK_EQ(pthread_create(&other, NULL, take_bytes, &fds[0]), 0);
	for (int i = 0; i < 1000; i++) {
		if (i & 1)
			pthread_kill(interrupted, SIGUSR1);
		CHECK_EQ(write(fds[1], "x", 1), 1);
		if (!(i & 1))
			pthread_kill(interrupted, SIGUSR1);
		while (atomic_load(&taken) == i)
			sched_yield();
	}
	close(fds[1]);
	pthread_join(interrupted, NULL);
	pthread_join(other, NULL);
}

TEST(pipe_ping_pong_between_threads)
{
	int a[2], b[2], ends[2];
	pthread_t t;
	void *failed;
	char c = 'p';

	pipe_of(a, 0);
	pipe_of(b, 0);
	ends[0] = a[0];
	ends[1] = b[1];
	CHECK(!pthread_create(&t, NULL, ping, ends));
	for (int i = 0; i < 2000; i++) {
		CHECK_EQ(write(a[1], &c, 1), 1);
		CHECK_EQ(read(b[0], &c, 1), 1);
	}
	pthread_join(t, &failed);
	CHECK(!failed);
}

TEST(pipe_carries_a_megabyte_unchanged)
{
	static unsigned char buf[5000];
	unsigned int n = 0, got;
	int p[2];

	pipe_of(p, 0);
	if (fork() == 0) {
		for (unsigned int i = 0; i < 1000000;) {
			unsigned int len = 1 + i % 4999;

			for (unsigned int j = 0; j < len; j++)
				buf[j] = (unsigned char)((i + j) * 7 >> 3);
			write(p[1], buf, len);
			i += len;
		}
		_exit(0);
	}
	close(p[1]);
	while ((got = (unsigned int)read(p[0], buf, 1 + n % 3001)) > 0) {
		for (unsigned int j = 0; j < got; j++)
			CHECK_EQ(buf[j], (unsigned char)((n + j) * 7 >> 3));
		n += got;
	}
	CHECK(n >= 1000000);
}

/* -- FIFOs */

TEST(fifo_nonblocking_writer_without_reader_is_enxio)
{
	CHECK_OK(mkfifo("f", 0600));
	CHECK_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
}

TEST(fifo_nonblocking_reader_opens_at_once)
{
	int r, w;
	char c;

	CHECK_OK(mkfifo("f", 0600));
	CHECK_OK(r = open("f", O_RDONLY | O_NONBLOCK));
	CHECK_EQ(read(r, &c, 1), 0);
	CHECK_OK(w = open("f", O_WRONLY | O_NONBLOCK));
	CHECK_ERRNO(read(r, &c, 1), EAGAIN);
	CHECK_EQ(write(w, "x", 1), 1);
	CHECK_EQ(read(r, &c, 1), 1);
}

TEST(fifo_blocking_open_waits_for_the_other_end)
{
	char buf[4] = "";
	int r;

	CHECK_OK(mkfifo("f", 0600));
	if (fork() == 0) {
		pause_ms(50);
		int w = open("f", O_WRONLY);

		write(w, "ok", 2);
		_exit(0);
	}
	CHECK_OK(r = open("f", O_RDONLY));
	CHECK_EQ(read(r, buf, 3), 2);
	CHECK_STR(buf, "ok");
	CHECK_EQ(read(r, buf, 3), 0);
}

TEST(fifo_blocking_open_is_interrupted)
{
	CHECK_OK(mkfifo("f", 0600));
	interrupt_after(50);
	CHECK_ERRNO(open("f", O_RDONLY), EINTR);
}

TEST(fifo_read_write_open_does_not_block)
{
	char c;
	int fd;

	CHECK_OK(mkfifo("f", 0600));
	CHECK_OK(fd = open("f", O_RDWR));
	CHECK_EQ(write(fd, "y", 1), 1);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'y');
}

TEST(fifo_contents_are_lost_when_all_close)
{
	char c;
	int fd;

	CHECK_OK(mkfifo("f", 0600));
	CHECK_OK(fd = open("f", O_RDWR));
	CHECK_EQ(write(fd, "z", 1), 1);
	close(fd);
	CHECK_OK(fd = open("f", O_RDONLY | O_NONBLOCK));
	CHECK_EQ(read(fd, &c, 1), 0);
}

TEST(fifo_poll_has_no_hangup_before_the_first_writer)
{
	struct pollfd p;
	int w;

	CHECK_OK(mkfifo("f", 0600));
	p.fd = open("f", O_RDONLY | O_NONBLOCK);
	p.events = POLLIN;
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_OK(w = open("f", O_WRONLY));
	CHECK_EQ(poll(&p, 1, 0), 0);
	close(w);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLHUP);
}
