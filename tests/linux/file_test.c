/* SPDX-License-Identifier: MIT */
/* Regular files: reading, writing, positions, sizes, holes, copies between files. */

#include "harness.h"

#include <limits.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int make(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0644);

	CHECK_OK(fd);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

TEST(open_modes_are_enforced)
{
	char c;
	int fd;

	close(make("f", "x"));
	CHECK_OK(fd = open("f", O_RDONLY));
	CHECK_ERRNO(write(fd, "y", 1), EBADF);
	CHECK_OK(fd = open("f", O_WRONLY));
	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	CHECK_ERRNO(open("f", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
	CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
	CHECK_ERRNO(open(".", O_RDWR), EISDIR);
	CHECK_ERRNO(open(".", O_RDONLY | O_CREAT, 0644), EISDIR);
	CHECK_ERRNO(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
}

TEST(umask_takes_bits_away)
{
	struct stat st;

	umask(027);
	CHECK_EQ(umask(027), 027);
	close(open("f", O_CREAT | O_WRONLY, 0777));
	CHECK_OK(stat("f", &st));
	CHECK_EQ(st.st_mode & 07777, 0750);
	CHECK_OK(mkdir("d", 0777));
	CHECK_OK(stat("d", &st));
	CHECK_EQ(st.st_mode & 0777, 0750);
}

TEST(a_new_file_without_write_permission_can_be_written)
{
	int fd = open("f", O_CREAT | O_WRONLY, 0);

	CHECK_OK(fd);
	CHECK_EQ(write(fd, "x", 1), 1);
}

TEST(positions_are_shared_by_dup_and_fork)
{
	int fd = make("f", "abcdef"), copy = dup(fd);
	char c;

	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(read(copy, &c, 1), 1);
	CHECK_EQ(c, 'b');
	IN_CHILD(CHECK_EQ(read(fd, &c, 1), 1));
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
}

TEST(pread_and_pwrite_leave_the_position)
{
	int fd = make("f", "abcdef");
	char c;

	CHECK_EQ(pread(fd, &c, 1, 4), 1);
	CHECK_EQ(c, 'e');
	CHECK_EQ(pwrite(fd, "X", 1, 2), 1);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_ERRNO(pread(fd, &c, 1, -1), EINVAL);
	CHECK_EQ(pread(fd, &c, 1, 100), 0);
}

TEST(lseek_whences)
{
	int fd = make("f", "abcdef"), p[2];

	CHECK_EQ(lseek(fd, -2, SEEK_END), 4);
	CHECK_EQ(lseek(fd, 1, SEEK_CUR), 5);
	CHECK_EQ(lseek(fd, 100, SEEK_SET), 100);
	CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERRNO(lseek(fd, -7, SEEK_END), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, 77), EINVAL);
	CHECK_OK(pipe(p));
	CHECK_ERRNO(lseek(p[0], 0, SEEK_SET), ESPIPE);
}

TEST(writing_behind_the_end_leaves_zeros)
{
	int fd = make("f", "ab");
	char buf[6];

	CHECK_EQ(pwrite(fd, "z", 1, 5), 1);
	CHECK_EQ(pread(fd, buf, 6, 0), 6);
	CHECK(!memcmp(buf, "ab\0\0\0z", 6));
}

TEST(append_goes_to_the_end_whatever_the_position)
{
	int a, b;
	char buf[16] = { 0 };

	close(make("f", ""));
	CHECK_OK(a = open("f", O_WRONLY | O_APPEND));
	CHECK_OK(b = open("f", O_RDWR | O_APPEND));
	CHECK_EQ(write(a, "one", 3), 3);
	CHECK_EQ(lseek(b, 0, SEEK_SET), 0);
	CHECK_EQ(write(b, "two", 3), 3);
	CHECK_EQ(pwrite(b, "!", 1, 0), 1);	/* Linux appends here, too */
	CHECK_EQ(pread(b, buf, 16, 0), 7);
	CHECK_STR(buf, "onetwo!");
	CHECK_OK(fcntl(b, F_SETFL, 0));
	CHECK_EQ(pwrite(b, "X", 1, 0), 1);
	CHECK_EQ(pread(b, buf, 16, 0), 7);
	CHECK_EQ(buf[0], 'X');
}

TEST(vectors)
{
	int fd = make("f", "");
	char a[3], b[4] = { 0 };
	struct iovec w[3] = { { "ab", 2 }, { "", 0 }, { "cdef", 4 } };
	struct iovec r[2] = { { a, 3 }, { b, 3 } };
	struct iovec big[1025];

	CHECK_EQ(writev(fd, w, 3), 6);
	CHECK_EQ(preadv(fd, r, 2, 0), 6);
	CHECK(!memcmp(a, "abc", 3) && !memcmp(b, "def", 3));
	CHECK_EQ(pwritev(fd, w, 1, 10), 2);
	CHECK_ERRNO(syscall(SYS_readv, fd, r, -1), EINVAL);
	CHECK_ERRNO(syscall(SYS_readv, fd, big, 1025), EINVAL);
	r[1].iov_len = (size_t)-1;
	CHECK_ERRNO(readv(fd, r, 2), EINVAL);
	CHECK_EQ(readv(fd, r, 0), 0);
}

TEST(preadv2_flags)
{
	int fd = make("f", "abc");
	char c;
	struct iovec v = { &c, 1 };

	CHECK_EQ(syscall(SYS_preadv2, fd, &v, 1, -1l, 0, 0), 1);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1);
	CHECK_ERRNO(syscall(SYS_preadv2, fd, &v, 1, 0, 0, 1 << 20), EOPNOTSUPP);
	CHECK_EQ(syscall(SYS_pwritev2, fd, &v, 1, 0, 0, 16 /* RWF_APPEND */), 1);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 4);
}

TEST(bad_buffers_are_efault_and_partial_reads_count)
{
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static char data[8192];
	int fd = open("f", O_CREAT | O_RDWR, 0644);

	CHECK(m != MAP_FAILED);
	CHECK_EQ(write(fd, data, sizeof(data)), sizeof(data));
	CHECK_OK(munmap(m + 4096, 4096));
	CHECK_ERRNO(pread(fd, m + 4096, 10, 0), EFAULT);
	CHECK_ERRNO(pwrite(fd, m + 4096, 10, 0), EFAULT);
	CHECK_EQ(pread(fd, m + 4000, 200, 0), 96);
	CHECK_EQ(pread(fd, (void *)8, 0, 0), 0);
}

TEST(reading_into_a_mapping_of_the_same_file)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	char page[4096], *m;

	memset(page, 'a', sizeof(page));
	CHECK_EQ(write(fd, page, 4096), 4096);
	memset(page, 'b', sizeof(page));
	CHECK_EQ(write(fd, page, 4096), 4096);
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	CHECK_EQ(pread(fd, m, 4096, 4096), 4096);
	CHECK_EQ(m[0], 'b');
	CHECK_EQ(pwrite(fd, m + 4096, 4096, 0), 4096);
}

TEST(truncate_cuts_and_extends)
{
	int fd = make("f", "abcdef");
	struct stat st;
	char buf[8];

	CHECK_OK(ftruncate(fd, 3));
	CHECK_OK(ftruncate(fd, 6));
	CHECK_EQ(pread(fd, buf, 8, 0), 6);
	CHECK(!memcmp(buf, "abc\0\0\0", 6));
	CHECK_OK(truncate("f", 1));
	CHECK_OK(stat("f", &st));
	CHECK_EQ(st.st_size, 1);
	CHECK_ERRNO(truncate("f", -1), EINVAL);
	CHECK_ERRNO(truncate(".", 0), EISDIR);
	CHECK_ERRNO(truncate("none", 0), ENOENT);
	CHECK_ERRNO(ftruncate(open("f", O_RDONLY), 0), EINVAL);
}

TEST(opening_with_trunc_empties)
{
	struct stat st;

	close(make("f", "abc"));
	CHECK_OK(open("f", O_WRONLY | O_TRUNC));
	CHECK_OK(stat("f", &st));
	CHECK_EQ(st.st_size, 0);
}

TEST(holes_take_no_blocks_and_can_be_found)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	struct stat st;
	off_t data;

	CHECK_EQ(pwrite(fd, "x", 1, 1 << 20), 1);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, (1 << 20) + 1);
	CHECK(st.st_blocks < 1024);
	data = lseek(fd, 0, SEEK_DATA);
	CHECK(data >= 0 && data <= 1 << 20);
	CHECK_EQ(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 1);
	CHECK_ERRNO(lseek(fd, (1 << 20) + 1, SEEK_DATA), ENXIO);
	CHECK_ERRNO(lseek(fd, 1 << 21, SEEK_HOLE), ENXIO);
}

TEST(fallocate_makes_room_and_punches)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644), p[2];
	static char page[8192], buf[8192];
	struct stat st;

	if (fallocate(fd, 0, 0, 10000) < 0 && errno == EOPNOTSUPP)
		SKIP("no fallocate here");
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 10000);
	CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 10000);
	memset(page, 'p', sizeof(page));
	CHECK_EQ(pwrite(fd, page, 8192, 0), 8192);
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 5000));
	CHECK_EQ(pread(fd, buf, 8192, 0), 8192);
	CHECK(buf[99] == 'p' && buf[100] == 0 && buf[5099] == 0 && buf[5100] == 'p');
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 100), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
	CHECK_ERRNO(fallocate(open("f", O_RDONLY), 0, 0, 10), EBADF);
	CHECK_OK(pipe(p));
	CHECK_ERRNO(fallocate(p[1], 0, 0, 10), ESPIPE);
}

TEST(the_file_size_limit_sends_sigxfsz)
{
	struct rlimit r = { 10, 10 };
	int fd = open("f", O_CREAT | O_RDWR, 0644);

	signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &r));
	CHECK_EQ(write(fd, "0123456789abc", 13), 10);
	CHECK_ERRNO(write(fd, "x", 1), EFBIG);
	CHECK_ERRNO(ftruncate(fd, 11), EFBIG);
	IN_CHILD({
		int status;
		pid_t pid = fork();

		if (!pid) {
			signal(SIGXFSZ, SIG_DFL);
			write(fd, "x", 1);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
	});
}

TEST(an_unlinked_file_lives_until_it_is_closed)
{
	int fd = make("f", "data");
	struct stat st;
	char buf[8];

	CHECK_OK(unlink("f"));
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(pread(fd, buf, 8, 0), 4);
	CHECK_EQ(write(fd, "more", 4), 4);
	CHECK_ERRNO(open("f", O_RDONLY), ENOENT);
}

TEST(a_tmpfile_has_no_name_until_it_gets_one)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char path[64], buf[8];
	struct stat st;

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		SKIP("no O_TMPFILE here");
	CHECK_OK(fd);
	CHECK_EQ(write(fd, "tmp", 3), 3);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	CHECK_EQ(read(open("named", O_RDONLY), buf, 8), 3);
	CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
}

TEST(a_running_program_is_text_busy)
{
	char buf[4096];
	int in = open("/proc/self/exe", O_RDONLY), out = open("prog", O_CREAT | O_WRONLY, 0755);
	ssize_t n;
	int p[2];
	pid_t pid;

	CHECK_OK(in);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		CHECK_EQ(write(out, buf, (size_t)n), n);
	/* open for writing: cannot be run */
	IN_CHILD(CHECK_ERRNO(execl("./prog", "prog", "-l", NULL), ETXTBSY));
	CHECK_OK(close(out));
	CHECK_OK(pipe(p));
	pid = fork();
	CHECK_OK(pid);
	if (!pid) {
		/* the list is longer than nobody reads: it stays there, writing */
		dup2(p[1], 1);
		fcntl(p[1], F_SETPIPE_SZ, 4096);
		execl("./prog", "prog", "-l", NULL);
		_exit(1);
	}
	CHECK_EQ(read(p[0], buf, 1), 1);
	if (open("prog", O_WRONLY) < 0)
		CHECK_EQ(errno, ETXTBSY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_OK(open("prog", O_WRONLY));
}

TEST(sendfile_moves_the_position_it_is_told_to)
{
	int in = make("in", "abcdefgh"), out = make("out", ""), p[2];
	off_t off = 2;
	char buf[16];

	CHECK_EQ(sendfile(out, in, &off, 3), 3);
	CHECK_EQ(off, 5);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_EQ(sendfile(out, in, NULL, 100), 8);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 8);
	CHECK_EQ(pread(out, buf, 16, 0), 11);
	CHECK(!memcmp(buf, "cdeabcdefgh", 11));
	CHECK_OK(pipe(p));
	off = 0;
	CHECK_EQ(sendfile(p[1], in, &off, 4), 4);
	CHECK_EQ(read(p[0], buf, 16), 4);
	CHECK_ERRNO(sendfile(in, open("in", O_WRONLY), NULL, 1), EBADF);
	off = -1;
	CHECK_ERRNO(sendfile(out, in, &off, 1), EINVAL);
}

TEST(copy_file_range_copies)
{
	int in = make("in", "abcdefgh"), out = make("out", "");
	off_t from = 1, to = 3;
	char buf[16];

	CHECK_EQ(copy_file_range(in, &from, out, &to, 4, 0), 4);
	CHECK_EQ(from, 5);
	CHECK_EQ(to, 7);
	CHECK_EQ(pread(out, buf, 16, 0), 7);
	CHECK(!memcmp(buf, "\0\0\0bcde", 7));
	CHECK_ERRNO(copy_file_range(in, NULL, out, NULL, 1, 1), EINVAL);
	CHECK_ERRNO(copy_file_range(open(".", O_RDONLY), NULL, out, NULL, 1, 0), EISDIR);
	from = 0;
	to = 2;
	CHECK_ERRNO(copy_file_range(in, &from, in, &to, 4, 0), EINVAL);
}

TEST(sync_calls_accept_files_and_refuse_pipes)
{
	int fd = make("f", "x"), p[2];

	CHECK_OK(fsync(fd));
	CHECK_OK(fdatasync(fd));
	CHECK_OK(syncfs(fd));
	sync();
	CHECK_OK(pipe(p));
	CHECK_ERRNO(fsync(p[0]), EINVAL);
	CHECK_ERRNO(fsync(150), EBADF);
	CHECK_OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	CHECK_ERRNO(sync_file_range(fd, -1, 0, 0), EINVAL);
	CHECK_ERRNO(sync_file_range(fd, 1, INT64_MAX, 0), EINVAL);
	CHECK_OK(sync_file_range(fd, 0, INT64_MAX, 0));
	CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
	CHECK_EQ(posix_fadvise(p[0], 0, 0, 0), ESPIPE);
	CHECK_OK(readahead(fd, 0, 100));
	CHECK_ERRNO(readahead(fd, 1 << 20, -1ul), EINVAL);
	CHECK_OK(readahead(fd, 1 << 20, 1ul << 62));
	CHECK_OK(readahead(fd, -1, 100));
	CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
}

TEST(setfl_changes_only_some_flags)
{
	int fd = make("f", "x");

	CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR);
	CHECK_OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_RDONLY | O_CREAT));
	CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_CREAT),
		 O_RDWR | O_APPEND | O_NONBLOCK);
	CHECK_ERRNO(fcntl(fd, 9999, 0), EINVAL);
}

TEST(dupfd_takes_the_lowest_from)
{
	int fd = make("f", "x");

	CHECK_EQ(fcntl(fd, F_DUPFD, 50), 50);
	CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 50), 51);
	CHECK_EQ(fcntl(51, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, 1 << 30), EINVAL);
}

TEST(close_range_closes_and_marks)
{
	CHECK_EQ(dup2(1, 60), 60);
	CHECK_EQ(dup2(1, 62), 62);
	CHECK_OK(syscall(SYS_close_range, 60, 61, 0));
	CHECK_ERRNO(fcntl(60, F_GETFD), EBADF);
	CHECK_OK(syscall(SYS_close_range, 62, 70, 4 /* CLOEXEC */));
	CHECK_EQ(fcntl(62, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(syscall(SYS_close_range, 62, 61, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_close_range, 62, 63, 64), EINVAL);
}

TEST(the_limit_of_open_files)
{
	struct rlimit r = { 20, 20 };

	CHECK_OK(setrlimit(RLIMIT_NOFILE, &r));
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	CHECK_EQ(errno, EMFILE);
	CHECK_ERRNO(dup(0), EMFILE);
	CHECK_ERRNO(dup2(0, 20), EBADF);
	CHECK_OK(close(5));
	CHECK_EQ(open("/dev/null", O_RDONLY), 5);
}

TEST(writing_drops_set_user_id)
{
	struct stat st;

	CHECK_ROOT();
	close(make("f", "x"));
	CHECK_OK(chmod("f", 06777));
	IN_CHILD({
		int fd;

		CHECK_OK(setresgid(1000, 1000, 1000));
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_OK(fd = open("f", O_WRONLY));
		CHECK_EQ(write(fd, "y", 1), 1);
	});
	CHECK_OK(stat("f", &st));
	CHECK_EQ(st.st_mode & 07777, 0777);
}

TEST(a_mapping_shows_what_is_written_and_back)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	char *m, c;

	CHECK_OK(ftruncate(fd, 4096));
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	CHECK_EQ(pwrite(fd, "w", 1, 10), 1);
	CHECK_EQ(m[10], 'w');
	m[20] = 'm';
	CHECK_EQ(pread(fd, &c, 1, 20), 1);
	CHECK_EQ(c, 'm');
}

TEST(fionread_and_other_ioctls_of_files)
{
	int fd = make("f", "abc"), n;

	CHECK_OK(ioctl(fd, 0x541b /* FIONREAD */, &n));
	CHECK_EQ(n, 3);
	CHECK_ERRNO(ioctl(fd, 0x5401 /* TCGETS */, &n), ENOTTY);
	CHECK_OK(ioctl(fd, 0x5451 /* FIOCLEX */));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	n = 1;
	CHECK_OK(ioctl(fd, 0x5421 /* FIONBIO */, &n));
	CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_ERRNO(ioctl(150, 0x5401, &n), EBADF);
}

/* How many of the first @pages pages of the mapping are in memory. */
static size_t in_memory(void *map, size_t pages)
{
	unsigned char vec[64];
	size_t n = 0;

	CHECK(pages <= sizeof(vec));
	CHECK_OK(mincore(map, pages * 4096, vec));
	for (size_t i = 0; i < pages; i++)
		n += vec[i] & 1;
	return n;
}

TEST(advice_brings_pages_into_memory)
{
	static const char *names[] = { "/usr/bin/perl", "/usr/bin/bash", "/bin/sh" };
	struct stat st;
	int fd = -1;
	size_t pages;
	void *map;

	for (size_t i = 0; fd < 0 && i < sizeof(names) / sizeof(names[0]); i++)
		fd = open(names[i], O_RDONLY);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 4096)
		SKIP("no program to look at");
	pages = (size_t)st.st_size / 4096 < 64 ? (size_t)st.st_size / 4096 : 64;
	map = mmap(NULL, pages * 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK_OK(posix_fadvise(fd, 0, (off_t)(pages * 4096), POSIX_FADV_WILLNEED));
	/* Linux reads in the background. */
	for (int i = 0; i < 2000 && in_memory(map, pages) < pages; i++)
		usleep(1000);
	CHECK_EQ(in_memory(map, pages), pages);
}
