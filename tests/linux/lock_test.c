/* SPDX-License-Identifier: MIT */
/* File locks: POSIX record locks, open-file-description locks, flock. */

#include "harness.h"

#include <sys/file.h>

static int make(void)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644);

	CHECK_OK(fd);
	return fd;
}

static int lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock fl = { .l_type = type, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &fl);
}

/* What another process would meet in [start, start+len). */
static struct flock seen(off_t start, off_t len)
{
	struct flock fl = { .l_type = F_WRLCK, .l_start = start, .l_len = len };
	int p[2];
	pid_t pid;

	CHECK_OK(pipe(p));
	pid = fork();
	if (!pid) {
		int fd = open("f", O_RDWR);

		fcntl(fd, F_GETLK, &fl);
		write(p[1], &fl, sizeof(fl));
		_exit(0);
	}
	CHECK_EQ(read(p[0], &fl, sizeof(fl)), sizeof(fl));
	waitpid(pid, NULL, 0);
	close(p[0]);
	close(p[1]);
	return fl;
}

TEST(write_locks_exclude_other_processes)
{
	int fd = make();
	struct flock fl;

	CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 10, 10));
	fl = seen(0, 0);
	CHECK_EQ(fl.l_type, F_WRLCK);
	CHECK_EQ(fl.l_start, 10);
	CHECK_EQ(fl.l_len, 10);
	CHECK_EQ(fl.l_pid, getpid());
	CHECK_EQ(seen(0, 10).l_type, F_UNLCK);
	CHECK_EQ(seen(20, 0).l_type, F_UNLCK);
	IN_CHILD(CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, 15, 1), EAGAIN));
	CHECK_OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	CHECK_EQ(seen(0, 0).l_type, F_UNLCK);
}

TEST(read_locks_are_shared)
{
	int fd = make();

	CHECK_OK(lock(fd, F_SETLK, F_RDLCK, 0, 100));
	IN_CHILD({
		CHECK_OK(lock(fd, F_SETLK, F_RDLCK, 50, 100));
		CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 50, 1), EAGAIN);
		CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 100, 10));
	});
}

TEST(unlocking_the_middle_splits)
{
	int fd = make();

	CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 0, 100));
	CHECK_OK(lock(fd, F_SETLK, F_UNLCK, 40, 20));
	CHECK_EQ(seen(0, 0).l_len, 40);
	CHECK_EQ(seen(40, 20).l_type, F_UNLCK);
	CHECK_EQ(seen(60, 0).l_start, 60);
	CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 40, 20));
	CHECK_EQ(seen(0, 0).l_len, 100);	/* one again */
	CHECK_OK(lock(fd, F_SETLK, F_RDLCK, 40, 20));
	CHECK_EQ(seen(40, 20).l_type, F_RDLCK);
	CHECK_EQ(seen(0, 30).l_type, F_WRLCK);
}

TEST(any_close_drops_the_process_locks)
{
	int fd = make(), other = open("f", O_RDONLY);

	CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	CHECK_OK(close(other));
	CHECK_EQ(seen(0, 0).l_type, F_UNLCK);
}

TEST(locks_are_not_inherited_and_end_with_the_process)
{
	int fd = make();

	CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	IN_CHILD(CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 20, 10)));
	CHECK_EQ(seen(20, 10).l_type, F_UNLCK);
	CHECK_EQ(seen(0, 10).l_type, F_WRLCK);
}

TEST(ranges_by_whence_and_to_the_end)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -5, .l_len = 0 };
	int fd = make();

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_OK(fcntl(fd, F_SETLK, &fl));
	CHECK_EQ(seen(0, 0).l_start, 5);
	CHECK_EQ(seen(0, 0).l_len, 0);
	CHECK_EQ(seen(1 << 30, 1).l_type, F_WRLCK);
	fl = (struct flock){ .l_type = F_WRLCK, .l_start = 5, .l_len = -5 };
	CHECK_OK(fcntl(fd, F_SETLK, &fl));
	CHECK_EQ(seen(0, 0).l_start, 0);
	CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, -1, 10), EINVAL);
	CHECK_ERRNO(lock(fd, F_SETLK, 77, 0, 10), EINVAL);
	CHECK_ERRNO(lock(open("f", O_RDONLY), F_SETLK, F_WRLCK, 0, 10), EBADF);
}

TEST(waiting_for_a_lock)
{
	int fd = make(), p[2];
	pid_t pid;
	char c;

	CHECK_OK(pipe(p));
	CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	pid = fork();
	if (!pid) {
		write(p[1], "s", 1);
		_exit(lock(fd, F_SETLKW, F_WRLCK, 0, 0) == 0 ? 0 : 1);
	}
	CHECK_EQ(read(p[0], &c, 1), 1);
	usleep(20000);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	CHECK_OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	harness_reap(pid, __FILE_NAME__, __LINE__);
}

static void nothing(int sig)
{
}

TEST(a_signal_ends_the_wait)
{
	struct sigaction sa = { .sa_handler = nothing };
	int fd = make();

	CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	IN_CHILD({
		sigaction(SIGALRM, &sa, NULL);
		ualarm(30000, 0);
		CHECK_ERRNO(lock(fd, F_SETLKW, F_WRLCK, 0, 0), EINTR);
	});
}

TEST(deadlocks_are_found)
{
	int fd = make(), p[2];
	pid_t pid;
	char c;

	CHECK_OK(pipe(p));
	CHECK_OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	pid = fork();
	if (!pid) {
		lock(fd, F_SETLK, F_WRLCK, 1, 1);
		write(p[1], "s", 1);
		_exit(lock(fd, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : 1);
	}
	CHECK_EQ(read(p[0], &c, 1), 1);
	usleep(50000);
	CHECK_ERRNO(lock(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	CHECK_OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	harness_reap(pid, __FILE_NAME__, __LINE__);
}

TEST(ofd_locks_belong_to_the_open_file)
{
	int a = make(), b = open("f", O_RDWR), copy = dup(a);
	struct flock fl = { .l_type = F_WRLCK };

	CHECK_OK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 5, 10), EAGAIN);
	CHECK_ERRNO(lock(b, F_SETLK, F_WRLCK, 5, 10), EAGAIN);
	CHECK_OK(lock(copy, F_OFD_SETLK, F_WRLCK, 5, 10));
	CHECK_OK(fcntl(b, F_OFD_GETLK, &fl));
	CHECK_EQ(fl.l_type, F_WRLCK);
	CHECK_EQ(fl.l_pid, -1);
	CHECK_OK(close(a));
	CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0), EAGAIN);
	CHECK_OK(close(copy));
	CHECK_OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
	fl.l_pid = 5;
	CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &fl), EINVAL);
}

TEST(flock_is_shared_or_exclusive)
{
	int a = make(), b = open("f", O_RDONLY), c = open("f", O_RDWR);

	CHECK_OK(flock(a, LOCK_SH));
	CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
	CHECK_ERRNO(flock(c, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(flock(a, LOCK_UN));
	CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
	CHECK_ERRNO(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(close(b));
	CHECK_OK(flock(a, LOCK_SH | LOCK_NB));
	CHECK_ERRNO(flock(a, 0), EINVAL);
	CHECK_ERRNO(flock(150, LOCK_SH), EBADF);
	/* POSIX locks are another world */
	CHECK_OK(lock(c, F_SETLK, F_WRLCK, 0, 0));
}

TEST(flock_is_inherited_by_fork)
{
	int a = make(), b;

	CHECK_OK(flock(a, LOCK_EX));
	IN_CHILD(CHECK_OK(flock(a, LOCK_UN)));
	CHECK_OK(b = open("f", O_RDWR));
	CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
}
