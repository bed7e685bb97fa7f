/* SPDX-License-Identifier: MIT */
/* Bytes from descriptor to descriptor: splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2). */

#include "helpers.h"

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <pthread.h>

/* An address that the compiler must not see through. */
static void *volatile bad = (void *)8;

static void nothing(int signo)
{
}

static void interrupt_after(int ms)
{
	struct sigaction sa = { .sa_handler = nothing };
	struct itimerval it = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

static int waiting(int fd)
{
	int n = -1;

	CHECK_OK(ioctl(fd, FIONREAD, &n));
	return n;
}

/* A file whose byte at i is i % 251. */
static int pattern_file(size_t size)
{
	char *buf = malloc(size + 1);
	int fd = open("pattern", O_RDWR | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0 && buf);
	for (size_t i = 0; i < size; i++)
		buf[i] = (char)(i % 251);
	CHECK_EQ(write(fd, buf, size), (ssize_t)size);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	free(buf);
	return fd;
}

static void check_pattern(int fd, size_t from, size_t size)
{
	char *buf = malloc(size + 1);
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, buf + got, size - got);

		CHECK(n > 0);
		got += (size_t)n;
	}
	for (size_t i = 0; i < size; i++)
		CHECK_EQ((unsigned char)buf[i], (from + i) % 251);
	free(buf);
}

/* -- arguments ------------------------------------------------------------------------- */

TEST(splice_needs_a_pipe)
{
	int a = pattern_file(10), b = open("other", O_RDWR | O_CREAT, 0644);

	CHECK_ERRNO(splice(a, NULL, b, NULL, 10, 0), EINVAL);
}

TEST(splice_checks_its_arguments)
{
	int p[2], file = pattern_file(100), wronly = open("w", O_WRONLY | O_CREAT, 0644);
	loff_t off = 0, negative = -1;

	CHECK_OK(pipe(p));
	CHECK_EQ(splice(-1, NULL, -1, NULL, 0, ~0u), 0);	/* nothing to do comes first */
	CHECK_ERRNO(splice(file, NULL, p[1], NULL, 1, 16), EINVAL);
	CHECK_ERRNO(splice(-1, NULL, p[1], NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(file, NULL, -1, NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(wronly, NULL, p[1], NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(file, NULL, p[0], NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(p[1], NULL, file, NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(p[0], &off, file, NULL, 1, 0), ESPIPE);
	CHECK_ERRNO(splice(file, NULL, p[1], &off, 1, 0), ESPIPE);
	CHECK_ERRNO(splice(file, bad, p[1], NULL, 1, 0), EFAULT);
	CHECK_ERRNO(splice(file, &negative, p[1], NULL, 1, 0), EINVAL);
	CHECK_ERRNO(splice(file, NULL, p[1], NULL, (size_t)-1, 0), EINVAL);
	CHECK_EQ(waiting(p[0]), 0);
}

TEST(splice_of_a_pipe_to_itself_is_refused)
{
	int p[2];

	CHECK_OK(pipe(p));
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_ERRNO(splice(p[0], NULL, p[1], NULL, 1, 0), EINVAL);
	CHECK_ERRNO(tee(p[0], p[1], 1, 0), EINVAL);
}

TEST(splice_from_files_that_cannot)
{
	int p[2], dir = open(".", O_RDONLY), event = eventfd(1, 0);

	CHECK_OK(pipe(p));
	CHECK_ERRNO(splice(dir, NULL, p[1], NULL, 10, 0), EINVAL);
	CHECK_ERRNO(splice(event, NULL, p[1], NULL, 8, 0), EINVAL);
	CHECK_EQ(write(p[1], "12345678", 8), 8);
	CHECK_ERRNO(splice(p[0], NULL, event, NULL, 8, 0), EINVAL);
	CHECK_EQ(waiting(p[0]), 8);
}

/* -- files --------------------------------------------------------------------------- */

TEST(splice_from_a_file_moves_its_position)
{
	int p[2], file = pattern_file(20000);

	CHECK_OK(pipe(p));
	CHECK_EQ(lseek(file, 100, SEEK_SET), 100);
	CHECK_EQ(splice(file, NULL, p[1], NULL, 1000, SPLICE_F_MOVE | SPLICE_F_MORE | SPLICE_F_GIFT), 1000);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 1100);
	CHECK_EQ(waiting(p[0]), 1000);
	check_pattern(p[0], 100, 1000);
}

TEST(splice_with_an_offset_leaves_the_position)
{
	int p[2], file = pattern_file(20000), out = open("out", O_RDWR | O_CREAT, 0644);
	loff_t in_off = 5000, out_off = 300;
	char c[4];

	CHECK_OK(pipe(p));
	CHECK_EQ(splice(file, &in_off, p[1], NULL, 2000, 0), 2000);
	CHECK_EQ(in_off, 7000);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
	CHECK_EQ(splice(p[0], NULL, out, &out_off, 2000, 0), 2000);
	CHECK_EQ(out_off, 2300);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 0);
	CHECK_EQ(lseek(out, 0, SEEK_END), 2300);
	CHECK_EQ(pread(out, c, 4, 296), 4);
	CHECK(!memcmp(c, "\0\0\0\0", 4));
	CHECK_EQ(lseek(out, 300, SEEK_SET), 300);
	check_pattern(out, 5000, 2000);
}

TEST(splice_at_the_end_of_a_file_gives_nothing)
{
	int p[2], file = pattern_file(10);

	CHECK_OK(pipe(p));
	CHECK_EQ(splice(file, NULL, p[1], NULL, 100, 0), 10);
	CHECK_EQ(splice(file, NULL, p[1], NULL, 100, 0), 0);
}

TEST(splice_takes_what_the_pipe_has_room_for)
{
	int p[2], file = pattern_file(200000);
	size_t sent = 0;

	CHECK_OK(pipe(p));
	CHECK_EQ(splice(file, NULL, p[1], NULL, 200000, SPLICE_F_NONBLOCK), 65536);
	CHECK_ERRNO(splice(file, NULL, p[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 65536);
	check_pattern(p[0], 0, 65536);
	sent = 65536;
	while (sent < 200000) {
		ssize_t n = splice(file, NULL, p[1], NULL, 200000, 0);

		CHECK(n > 0);
		check_pattern(p[0], sent, (size_t)n);
		sent += (size_t)n;
	}
	CHECK_EQ(sent, 200000);
}

TEST(splice_fills_a_large_pipe)
{
	int p[2], file = pattern_file(300000);

	CHECK_OK(pipe(p));
	CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 262144), 262144);
	CHECK_EQ(splice(file, NULL, p[1], NULL, 300000, 0), 262144);
	CHECK_EQ(waiting(p[0]), 262144);
	check_pattern(p[0], 0, 262144);
}

TEST(splice_to_a_file_opened_for_appending_is_refused)
{
	int p[2], out = open("out", O_RDWR | O_CREAT | O_APPEND, 0644), in = pattern_file(1);

	CHECK_OK(pipe(p));
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_ERRNO(splice(p[0], NULL, out, NULL, 1, 0), EINVAL);
	CHECK_EQ(waiting(p[0]), 1);
	CHECK_ERRNO(sendfile(out, in, NULL, 1), EINVAL);
}

TEST(splice_moves_a_file_through_a_pipe)
{
	int p[2], file = pattern_file(500000), out = open("out", O_RDWR | O_CREAT, 0644);
	size_t total = 0;

	CHECK_OK(pipe(p));
	for (;;) {
		ssize_t in = splice(file, NULL, p[1], NULL, 70000, SPLICE_F_MOVE), n;

		CHECK(in >= 0);
		if (!in)
			break;
		while (in > 0) {
			n = splice(p[0], NULL, out, NULL, (size_t)in, SPLICE_F_MOVE);
			CHECK(n > 0);
			in -= n;
			total += (size_t)n;
		}
	}
	CHECK_EQ(total, 500000);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 500000);
	lseek(out, 0, SEEK_SET);
	check_pattern(out, 0, 500000);
}

TEST(splice_to_a_full_device_loses_nothing)
{
	int p[2], tty = open("/dev/null", O_WRONLY), limit = open("limited", O_RDWR | O_CREAT, 0644);
	struct rlimit small = { 10, 10 };

	CHECK_OK(pipe(p));
	CHECK_EQ(write(p[1], "0123456789abcdef", 16), 16);
	signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &small));
	CHECK_EQ(splice(p[0], NULL, limit, NULL, 16, 0), 10);
	CHECK_EQ(waiting(p[0]), 6);
	CHECK_ERRNO(splice(p[0], NULL, limit, NULL, 16, SPLICE_F_NONBLOCK), EFBIG);
	CHECK_EQ(waiting(p[0]), 6);
	CHECK_EQ(splice(p[0], NULL, tty, NULL, 100, SPLICE_F_NONBLOCK), 6);
}

TEST(splice_from_and_to_character_devices)
{
	int p[2], zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
	char buf[100];

	CHECK_OK(pipe(p));
	CHECK_EQ(splice(zero, NULL, p[1], NULL, 100, 0), 100);
	memset(buf, 1, sizeof(buf));
	CHECK_EQ(read(p[0], buf, 100), 100);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(buf[i], 0);
	CHECK_EQ(write(p[1], buf, 50), 50);
	CHECK_EQ(splice(p[0], NULL, null, NULL, 50, 0), 50);
}

TEST(splice_from_a_terminal)
{
	int p[2], master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char buf[16] = "";

	CHECK(master >= 0);
	CHECK_OK(grantpt(master));
	CHECK_OK(unlockpt(master));
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
	CHECK_OK(pipe(p));
	CHECK_EQ(write(master, "line\n", 5), 5);
	CHECK_EQ(splice(slave, NULL, p[1], NULL, 100, 0), 5);
	CHECK_EQ(read(p[0], buf, 16), 5);
	CHECK_STR(buf, "line\n");
}

TEST(splice_from_proc)
{
	int p[2], file = open("/proc/meminfo", O_RDONLY);
	char buf[4097] = "";

	CHECK_OK(pipe(p));
	CHECK(splice(file, NULL, p[1], NULL, 4096, 0) > 10);
	CHECK(read(p[0], buf, 4096) > 10);
	CHECK(!strncmp(buf, "MemTotal:", 9));
}

/* -- blocking ------------------------------------------------------------------------- */

TEST(splice_from_an_empty_pipe)
{
	int p[2], out = open("out", O_RDWR | O_CREAT, 0644), q[2];

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	CHECK_ERRNO(splice(p[0], NULL, out, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERRNO(splice(p[0], NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERRNO(tee(p[0], q[1], 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_OK(fcntl(p[0], F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(splice(p[0], NULL, out, NULL, 10, 0), EAGAIN);
	CHECK_ERRNO(splice(p[0], NULL, q[1], NULL, 10, 0), EAGAIN);
	CHECK_ERRNO(tee(p[0], q[1], 10, 0), EAGAIN);
	close(p[1]);
	CHECK_EQ(splice(p[0], NULL, out, NULL, 10, 0), 0);
	CHECK_EQ(splice(p[0], NULL, q[1], NULL, 10, 0), 0);
	CHECK_EQ(tee(p[0], q[1], 10, 0), 0);
}

TEST(splice_to_a_pipe_waits_for_data)
{
	int p[2], q[2];
	char buf[8];

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	if (fork() == 0) {
		pause_ms(30);
		_exit(write(p[1], "abc", 3) != 3);
	}
	CHECK_EQ(splice(p[0], NULL, q[1], NULL, 100, 0), 3);
	CHECK_EQ(read(q[0], buf, 8), 3);
}

TEST(splice_to_a_file_waits_for_the_first_bytes_only)
{
	int p[2], out = open("out", O_RDWR | O_CREAT, 0644);

	CHECK_OK(pipe(p));
	if (fork() == 0) {
		pause_ms(30);
		_exit(write(p[1], "abc", 3) != 3);
	}
	CHECK_EQ(splice(p[0], NULL, out, NULL, 100, 0), 3);
}

TEST(splice_is_interrupted_by_a_signal)
{
	int p[2], q[2], out = open("out", O_RDWR | O_CREAT, 0644), in = pattern_file(100);
	char page[4096] = "";

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	interrupt_after(30);
	CHECK_ERRNO(splice(p[0], NULL, out, NULL, 10, 0), EINTR);
	interrupt_after(30);
	CHECK_ERRNO(splice(p[0], NULL, q[1], NULL, 10, 0), EINTR);
	interrupt_after(30);
	CHECK_ERRNO(tee(p[0], q[1], 10, 0), EINTR);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(write(p[1], page, 4096), 4096);
	interrupt_after(30);
	CHECK_ERRNO(splice(in, NULL, p[1], NULL, 10, 0), EINTR);
}

static void *read_one_page(void *arg)
{
	static char buf[4096];

	pause_ms(30);
	CHECK_EQ(read(*(int *)arg, buf, 4096), 4096);
	return NULL;
}

TEST(splice_to_a_full_pipe_waits_for_room)
{
	int p[2], in = pattern_file(100);
	char page[4096] = "";
	pthread_t t;

	CHECK_OK(pipe(p));
	for (int i = 0; i < 16; i++)
		CHECK_EQ(write(p[1], page, 4096), 4096);
	CHECK_EQ(pthread_create(&t, NULL, read_one_page, &p[0]), 0);
	CHECK_EQ(splice(in, NULL, p[1], NULL, 100, 0), 100);
	pthread_join(t, NULL);
	CHECK_EQ(waiting(p[0]), 15 * 4096 + 100);
}

static volatile int sigpipes;

static void on_sigpipe(int signo)
{
	sigpipes++;
}

TEST(splice_to_a_pipe_without_reader_is_broken)
{
	int p[2], q[2], in = pattern_file(100);
	struct iovec iov = { (char *)"x", 1 };

	signal(SIGPIPE, on_sigpipe);
	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	close(p[0]);
	CHECK_EQ(write(q[1], "x", 1), 1);
	CHECK_ERRNO(splice(in, NULL, p[1], NULL, 10, 0), EPIPE);
	CHECK_EQ(sigpipes, 1);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_ERRNO(splice(q[0], NULL, p[1], NULL, 10, 0), EPIPE);
	CHECK_EQ(sigpipes, 2);
	CHECK_ERRNO(tee(q[0], p[1], 10, 0), EPIPE);
	CHECK_EQ(sigpipes, 3);
	CHECK_ERRNO(vmsplice(p[1], &iov, 1, 0), EPIPE);
	CHECK_EQ(sigpipes, 4);
	CHECK_EQ(waiting(q[0]), 1);
}

/* -- pipe to pipe ------------------------------------------------------------------- */

TEST(splice_between_pipes_splits_a_write)
{
	char buf[16] = "";
	int p[2], q[2];

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	CHECK_EQ(write(p[1], "abcdefgh", 8), 8);
	CHECK_EQ(splice(p[0], NULL, q[1], NULL, 3, 0), 3);
	/* What is written to either afterwards shows up there alone. */
	CHECK_EQ(write(p[1], "ij", 2), 2);
	CHECK_EQ(write(q[1], "XY", 2), 2);
	CHECK_EQ(read(q[0], buf, 16), 5);
	CHECK_STR(buf, "abcXY");
	memset(buf, 0, sizeof(buf));
	CHECK_EQ(read(p[0], buf, 16), 7);
	CHECK_STR(buf, "defghij");
}

TEST(splice_between_pipes_moves_all_that_fits)
{
	int p[2], q[2], file = pattern_file(65536);

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	CHECK_EQ(fcntl(q[1], F_SETPIPE_SZ, 4096 * 4), 4096 * 4);
	CHECK_EQ(splice(file, NULL, p[1], NULL, 65536, 0), 65536);
	CHECK_EQ(splice(p[0], NULL, q[1], NULL, 65536, 0), 4096 * 4);
	CHECK_ERRNO(splice(p[0], NULL, q[1], NULL, 65536, SPLICE_F_NONBLOCK), EAGAIN);
	check_pattern(q[0], 0, 4096 * 4);
	check_pattern(p[0], 4096 * 4, 4096 * 12);
}

TEST(tee_copies_without_taking)
{
	char buf[16] = "";
	int p[2], q[2];

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	CHECK_EQ(write(p[1], "abcdefgh", 8), 8);
	CHECK_EQ(tee(p[0], q[1], 5, 0), 5);
	CHECK_EQ(waiting(p[0]), 8);
	CHECK_EQ(tee(p[0], q[1], 100, 0), 8);
	CHECK_EQ(write(p[1], "IJ", 2), 2);
	CHECK_EQ(write(q[1], "..", 2), 2);
	CHECK_EQ(read(q[0], buf, 16), 15);
	CHECK(!memcmp(buf, "abcdeabcdefgh..", 15));
	CHECK_EQ(read(p[0], buf, 16), 10);
	CHECK(!memcmp(buf, "abcdefghIJ", 10));
}

TEST(tee_checks_its_arguments)
{
	int p[2], q[2], file = pattern_file(10);

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	CHECK_ERRNO(tee(p[0], q[1], 1, 16), EINVAL);
	CHECK_EQ(tee(-1, -1, 0, 0), 0);
	CHECK_ERRNO(tee(-1, q[1], 1, 0), EBADF);
	CHECK_ERRNO(tee(p[1], q[1], 1, 0), EBADF);
	CHECK_ERRNO(tee(p[0], q[0], 1, 0), EBADF);
	CHECK_ERRNO(tee(file, q[1], 1, 0), EINVAL);
	CHECK_ERRNO(tee(p[0], file, 1, 0), EINVAL);
}

TEST(tee_then_splice_copies_a_stream)
{
	int in[2], copy[2], out = open("out", O_RDWR | O_CREAT, 0644), file = pattern_file(60000);

	CHECK_OK(pipe(in));
	CHECK_OK(pipe(copy));
	CHECK_EQ(splice(file, NULL, in[1], NULL, 60000, 0), 60000);
	CHECK_EQ(tee(in[0], copy[1], 60000, 0), 60000);
	for (int left = 60000; left;) {
		ssize_t n = splice(in[0], NULL, out, NULL, (size_t)left, 0);

		CHECK(n > 0);
		left -= (int)n;
	}
	check_pattern(copy[0], 0, 60000);
	lseek(out, 0, SEEK_SET);
	check_pattern(out, 0, 60000);
}

/* -- vmsplice ----------------------------------------------------------------------- */

TEST(vmsplice_gives_and_takes_memory)
{
	static char data[10000], back[10000];
	struct iovec iov[3] = { { data, 3000 }, { data + 3000, 0 }, { data + 3000, 7000 } };
	struct iovec to[2] = { { back, 1234 }, { back + 1234, 10000 - 1234 } };
	int p[2];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i % 253);
	CHECK_OK(pipe(p));
	CHECK_EQ(vmsplice(p[1], iov, 3, 0), 10000);
	CHECK_EQ(waiting(p[0]), 10000);
	CHECK_EQ(vmsplice(p[0], to, 2, 0), 10000);
	CHECK(!memcmp(data, back, sizeof(data)));
	CHECK_EQ(waiting(p[0]), 0);
}

TEST(vmsplice_checks_its_arguments)
{
	struct iovec iov = { (char *)"abc", 3 }, none = { 0 }, hole = { bad, 3 };
	int p[2], file = pattern_file(10);

	CHECK_OK(pipe(p));
	CHECK_ERRNO(vmsplice(p[1], &iov, 1, 16), EINVAL);
	CHECK_ERRNO(vmsplice(-1, &iov, 1, 0), EBADF);
	CHECK_ERRNO(vmsplice(file, &iov, 1, 0), EBADF);
	CHECK_EQ(vmsplice(p[1], &none, 1, 0), 0);
	CHECK_EQ(vmsplice(p[1], &none, 0, 0), 0);
	CHECK_ERRNO(vmsplice(p[1], bad, 1, 0), EFAULT);
	CHECK_ERRNO(vmsplice(p[1], &iov, 1025, 0), EINVAL);
	CHECK_ERRNO(vmsplice(p[1], &hole, 1, 0), EFAULT);
	CHECK_EQ(waiting(p[0]), 0);
}

TEST(vmsplice_without_waiting)
{
	static char page[4096];
	struct iovec iov = { page, 4096 };
	int p[2];

	CHECK_OK(pipe(p));
	CHECK_ERRNO(vmsplice(p[0], &iov, 1, SPLICE_F_NONBLOCK), EAGAIN);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(write(p[1], page, 4096), 4096);
	CHECK_ERRNO(vmsplice(p[1], &iov, 1, SPLICE_F_NONBLOCK), EAGAIN);
	interrupt_after(30);
	CHECK_ERRNO(vmsplice(p[1], &iov, 1, 0), EINTR);
}

TEST(vmsplice_stops_at_a_full_pipe)
{
	size_t size = 40 * 4096;
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { mem, size };
	int p[2];

	CHECK(mem != MAP_FAILED);
	CHECK_OK(pipe(p));
	CHECK_EQ(vmsplice(p[1], &iov, 1, 0), 65536);
}

TEST(vmsplice_from_a_file_that_is_not_in_memory)
{
	int p[2], file = pattern_file(8192);
	char *mem = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, file, 0);
	struct iovec iov = { mem, 8192 };

	CHECK(mem != MAP_FAILED);
	CHECK_OK(pipe(p));
	CHECK_EQ(vmsplice(p[1], &iov, 1, SPLICE_F_GIFT), 8192);
	check_pattern(p[0], 0, 8192);
}

/* -- sockets ------------------------------------------------------------------------- */

TEST(splice_through_sockets)
{
	int p[2], q[2], s[2], file = pattern_file(30000);
	loff_t off = 0;

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_ERRNO(splice(s[0], &off, p[1], NULL, 10, 0), EINVAL);
	CHECK_ERRNO(splice(s[0], NULL, p[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_EQ(splice(file, NULL, p[1], NULL, 30000, 0), 30000);
	CHECK_EQ(splice(p[0], NULL, s[1], NULL, 30000, SPLICE_F_MORE), 30000);
	for (int got = 0; got < 30000;) {
		ssize_t n = splice(s[0], NULL, q[1], NULL, 65536, 0);

		CHECK(n > 0);
		check_pattern(q[0], (size_t)got, (size_t)n);
		got += (int)n;
	}
	close(s[1]);
	CHECK_EQ(splice(s[0], NULL, q[1], NULL, 100, 0), 0);
}

TEST(splice_to_a_socket_without_peer)
{
	int p[2], s[2];

	signal(SIGPIPE, on_sigpipe);
	CHECK_OK(pipe(p));
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_EQ(write(p[1], "abc", 3), 3);
	close(s[1]);
	CHECK_ERRNO(splice(p[0], NULL, s[0], NULL, 3, 0), EPIPE);
	CHECK_EQ(sigpipes, 1);
}

TEST(splice_to_a_full_socket_keeps_the_rest)
{
	int p[2], s[2], zero = open("/dev/zero", O_RDONLY);
	static char buf[65536];
	ssize_t n = 0, sent = 0, got = 0;

	CHECK_OK(pipe(p));
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	for (;;) {
		n = splice(zero, NULL, p[1], NULL, 65536, SPLICE_F_NONBLOCK);
		CHECK(n > 0 || errno == EAGAIN);
		if (n > 0)
			got += n;
		n = splice(p[0], NULL, s[0], NULL, 65536, 0);
		if (n < 0)
			break;
		sent += n;
	}
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(waiting(p[0]), got - sent);
	while ((n = read(s[1], buf, sizeof(buf))) > 0)
		sent -= n;
	CHECK_EQ(sent, 0);
}

/* Two splice from one pipe, and nothing is lost or seen twice. */
static int shared_pipe[2];

static void *take_bytes(void *arg)
{
	int out = *(int *)arg;
	ssize_t n;

	while ((n = splice(shared_pipe[0], NULL, out, NULL, 5000, 0)) > 0)
		;
	CHECK_EQ(n, 0);
	return NULL;
}

TEST(splice_by_several_readers)
{
	int a = open("a", O_RDWR | O_CREAT, 0644), b = open("b", O_RDWR | O_CREAT, 0644);
	static unsigned int words[1000], counts[40000], back[40000];
	pthread_t t[2];
	unsigned int next = 0;
	ssize_t n;

	CHECK_OK(pipe(shared_pipe));
	CHECK_EQ(pthread_create(&t[0], NULL, take_bytes, &a), 0);
	CHECK_EQ(pthread_create(&t[1], NULL, take_bytes, &b), 0);
	for (int i = 0; i < 40; i++) {
		for (int k = 0; k < 1000; k++)
			words[k] = next++;
		CHECK_EQ(write(shared_pipe[1], words, sizeof(words)), sizeof(words));
	}
	close(shared_pipe[1]);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	for (int i = 0; i < 2; i++) {
		n = pread(i ? b : a, back, sizeof(back), 0);
		CHECK(n >= 0);
		for (size_t k = 0; k < (size_t)n / 4; k++) {
			CHECK(back[k] < 40000);
			counts[back[k]]++;
		}
	}
	for (int i = 0; i < 40000; i++)
		CHECK_EQ(counts[i], 1);
}

/* -- sendfile, copy_file_range ------------------------------------------------------- */

TEST(sendfile_to_a_pipe_stops_when_it_is_full)
{
	int p[2], file = pattern_file(200000);
	off_t off = 1000;

	CHECK_OK(pipe(p));
	CHECK_EQ(sendfile(p[1], file, &off, 200), 200);
	CHECK_EQ(off, 1200);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
	check_pattern(p[0], 1000, 200);
	CHECK_OK(fcntl(p[1], F_SETFL, O_NONBLOCK));
	CHECK_EQ(sendfile(p[1], file, NULL, 200000), 65536);
	CHECK_ERRNO(sendfile(p[1], file, NULL, 200000), EAGAIN);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 65536);
	check_pattern(p[0], 0, 65536);
}

TEST(sendfile_checks_its_arguments)
{
	int p[2], file = pattern_file(10), wronly = open("w", O_WRONLY | O_CREAT, 0644);
	off_t off = -1;

	CHECK_OK(pipe(p));
	CHECK_ERRNO(sendfile(p[1], p[0], NULL, 10), EINVAL);
	CHECK_ERRNO(sendfile(p[1], wronly, NULL, 10), EBADF);
	CHECK_ERRNO(sendfile(p[0], file, NULL, 10), EBADF);
	CHECK_ERRNO(sendfile(p[1], file, &off, 10), EINVAL);
	off = 0;
	CHECK_ERRNO(sendfile(p[1], p[0], &off, 10), ESPIPE);
}

TEST(copy_file_range_within_a_file_system)
{
	int in = pattern_file(100000), out = open("out", O_RDWR | O_CREAT, 0644);
	loff_t in_off = 10, out_off = 20;

	CHECK_EQ(copy_file_range(in, &in_off, out, &out_off, 50000, 0), 50000);
	CHECK_EQ(in_off, 50010);
	CHECK_EQ(out_off, 50020);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_EQ(lseek(out, 20, SEEK_SET), 20);
	check_pattern(out, 10, 50000);
	in_off = 100000;
	CHECK_EQ(copy_file_range(in, &in_off, out, NULL, 50000, 0), 0);
	in_off = 0;
	out_off = 50;
	CHECK_ERRNO(copy_file_range(in, &in_off, in, &out_off, 100, 0), EINVAL);
	CHECK_ERRNO(copy_file_range(in, &in_off, out, &out_off, 100, 2), EINVAL);
}

/* Programs ask for "everything" by a length that no file has. */
TEST(copy_file_range_of_any_length)
{
	int in = open("in", O_RDWR | O_CREAT, 0600), out = open("out", O_RDWR | O_CREAT, 0600);
	loff_t at, to;

	CHECK_EQ(write(in, "0123456789", 10), 10);
	at = to = 0;
	CHECK_EQ(copy_file_range(in, &at, out, &to, SIZE_MAX, 0), 10);
	at = 4, to = 0;
	CHECK_EQ(copy_file_range(in, &at, out, &to, INT64_MAX, 0), 6);
	at = 1, to = 0;
	CHECK_ERRNO(copy_file_range(in, &at, out, &to, SIZE_MAX, 0), EOVERFLOW);
	at = 0, to = 1;
	CHECK_ERRNO(copy_file_range(in, &at, out, &to, SIZE_MAX, 0), EOVERFLOW);
	/* What is behind the end does not overlap. */
	at = 0, to = 10;
	CHECK_EQ(copy_file_range(in, &at, in, &to, 1000, 0), 10);
	at = 0, to = 19;
	CHECK_ERRNO(copy_file_range(in, &at, in, &to, 1000, 0), EINVAL);
	at = 20, to = 20;
	CHECK_EQ(copy_file_range(in, &at, in, &to, 1000, 0), 0);
}

TEST(copy_file_range_between_file_systems_is_refused)
{
	int in = pattern_file(10), out = memfd_create("other", 0), proc = open("/proc/self/stat", O_RDONLY);

	CHECK_ERRNO(copy_file_range(in, NULL, out, NULL, 10, 0), EXDEV);
	CHECK_ERRNO(copy_file_range(proc, NULL, in, NULL, 10, 0), EXDEV);
}
