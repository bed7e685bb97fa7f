/* SPDX-License-Identifier: MIT */
/* POSIX message queues: mq_overview(7).  Each case has an IPC namespace of its own. */
#include "helpers.h"

#include <dirent.h>
#include <limits.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

static char buf[65536];

static void fresh(void)
{
	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWIPC));
}

static mqd_t make(const char *name, long max, long size, int flags)
{
	struct mq_attr attr = { .mq_maxmsg = max, .mq_msgsize = size };
	mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr);

	CHECK(q >= 0);
	return q;
}

static long count(mqd_t q)
{
	struct mq_attr attr;

	CHECK_OK(mq_getattr(q, &attr));
	return attr.mq_curmsgs;
}

static void put(mqd_t q, const char *text, unsigned int priority)
{
	CHECK_OK(mq_send(q, text, strlen(text) + 1, priority));
}

#define CHECK_RECEIVES(q, text, priority) do {					\
	unsigned int harness_priority = 77777;					\
	CHECK_EQ(mq_receive(q, buf, sizeof(buf), &harness_priority),		\
		 (ssize_t)strlen(text) + 1);					\
	CHECK_STR(buf, text);							\
	CHECK_EQ(harness_priority, priority);					\
} while (0)

static struct timespec in_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

static void handler(int sig)
{
	(void)sig;
}

TEST(open_create_and_unlink)
{
	mqd_t q, r;

	fresh();
	CHECK_ERRNO(mq_open("/a", O_RDWR), ENOENT);
	CHECK_ERRNO(mq_unlink("/a"), ENOENT);
	q = mq_open("/a", O_RDWR | O_CREAT, 0600, NULL);
	CHECK(q >= 0);
	CHECK_EQ(fcntl(q, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(mq_open("/a", O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	r = mq_open("/a", O_RDWR);
	CHECK(r >= 0);
	put(q, "x", 0);
	CHECK_OK(mq_unlink("/a"));
	CHECK_RECEIVES(r, "x", 0);
	CHECK_ERRNO(mq_open("/a", O_RDWR), ENOENT);
	CHECK(mq_open("/a", O_RDWR | O_CREAT, 0600, NULL) >= 0);
	CHECK_OK(mq_unlink("/a"));
	CHECK_OK(mq_close(q));
	CHECK_ERRNO(mq_close(q), EBADF);
}

TEST(names)
{
	char name[300];

	fresh();
	CHECK_ERRNO(mq_open("a", O_RDWR | O_CREAT, 0600, NULL), EINVAL);
	CHECK_ERRNO(mq_open("/", O_RDWR | O_CREAT, 0600, NULL), ENOENT);
	CHECK_ERRNO(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERRNO(mq_open("/.", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERRNO(mq_open("/..", O_RDWR, 0600, NULL), EACCES);
	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[257] = '\0';
	CHECK_ERRNO(mq_open(name, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
	name[256] = '\0';
	CHECK(mq_open(name, O_RDWR | O_CREAT, 0600, NULL) >= 0);
	CHECK_ERRNO(syscall(SYS_mq_open, 8L, O_RDWR, 0, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_mq_open, "x", O_RDWR | O_CREAT, 0600, 8L), EFAULT);
	CHECK_ERRNO(syscall(SYS_mq_unlink, 8L), EFAULT);
	CHECK_ERRNO(syscall(SYS_mq_unlink, ""), ENOENT);
}

TEST(attributes)
{
	struct mq_attr attr, set = { .mq_flags = O_NONBLOCK, .mq_maxmsg = 99 };
	mqd_t q;

	fresh();
	q = mq_open("/a", O_RDWR | O_CREAT, 0600, NULL);
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_maxmsg, 10);
	CHECK_EQ(attr.mq_msgsize, 8192);
	CHECK_EQ(attr.mq_curmsgs, 0);
	CHECK_EQ(attr.mq_flags, 0);
	CHECK_OK(mq_setattr(q, &set, &attr));
	CHECK_EQ(attr.mq_flags, 0);
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_flags, O_NONBLOCK);
	CHECK_EQ(attr.mq_maxmsg, 10);
	CHECK_ERRNO(mq_receive(q, buf, sizeof(buf), NULL), EAGAIN);
	set.mq_flags = O_NONBLOCK | O_APPEND;
	CHECK_ERRNO(mq_setattr(q, &set, NULL), EINVAL);
	CHECK_ERRNO(mq_getattr(0, &attr), EBADF);
	CHECK_ERRNO(mq_getattr(-1, &attr), EBADF);
	CHECK_ERRNO(syscall(SYS_mq_getsetattr, q, 8L, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_mq_getsetattr, q, NULL, 8L), EFAULT);
	q = make("/b", 3, 100, O_NONBLOCK);
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_maxmsg, 3);
	CHECK_EQ(attr.mq_msgsize, 100);
	CHECK_EQ(attr.mq_flags, O_NONBLOCK);
}

TEST(bad_attributes)
{
	static const struct { long max, size; } bad[] = {
		{ 0, 1 }, { 1, 0 }, { -1, 1 }, { 1, -1 }, { 65537, 1 }, { 1, 16777217 },
		{ LONG_MAX, LONG_MAX }, { 1l << 32, 1 },
	};

	fresh();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mq_attr attr = { .mq_maxmsg = bad[i].max, .mq_msgsize = bad[i].size };

		CHECK_ERRNO(mq_open("/a", O_RDWR | O_CREAT, 0600, &attr), EINVAL);
	}
	CHECK_ERRNO(mq_unlink("/a"), ENOENT);
}

TEST(messages_come_by_priority)
{
	mqd_t q;

	fresh();
	q = make("/a", 8, 100, 0);
	put(q, "low", 1);
	put(q, "high", 32767);
	put(q, "low again", 1);
	put(q, "middle", 5);
	put(q, "high again", 32767);
	CHECK_EQ(count(q), 5);
	CHECK_RECEIVES(q, "high", 32767);
	CHECK_RECEIVES(q, "high again", 32767);
	CHECK_RECEIVES(q, "middle", 5);
	CHECK_RECEIVES(q, "low", 1);
	CHECK_RECEIVES(q, "low again", 1);
	CHECK_EQ(count(q), 0);
	CHECK_OK(mq_send(q, "", 0, 3));
	CHECK_EQ(mq_receive(q, buf, sizeof(buf), NULL), 0);
}

TEST(send_and_receive_reject_nonsense)
{
	struct timespec bad = { 0, 1000000000 }, negative = { -1, 0 };
	mqd_t q, reader, writer;

	fresh();
	q = make("/a", 2, 10, 0);
	reader = mq_open("/a", O_RDONLY);
	writer = mq_open("/a", O_WRONLY);
	CHECK_ERRNO(mq_send(q, "x", 1, 32768), EINVAL);
	CHECK_ERRNO(mq_send(q, buf, 11, 0), EMSGSIZE);
	CHECK_ERRNO(mq_receive(q, buf, 9, NULL), EMSGSIZE);
	CHECK_ERRNO(mq_send(reader, "x", 1, 0), EBADF);
	CHECK_ERRNO(mq_receive(writer, buf, 10, NULL), EBADF);
	CHECK_ERRNO(mq_send(0, "x", 1, 0), EBADF);
	CHECK_ERRNO(mq_receive(-1, buf, 10, NULL), EBADF);
	CHECK_ERRNO(mq_timedsend(q, "x", 1, 0, &bad), EINVAL);
	CHECK_ERRNO(mq_timedreceive(q, buf, 10, NULL, &negative), EINVAL);
	CHECK_ERRNO(syscall(SYS_mq_timedsend, q, 8L, 5L, 0, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_mq_timedsend, q, "x", 1L, 0, 8L), EFAULT);
	CHECK_EQ(count(q), 0);
	put(q, "x", 0);
	CHECK_ERRNO(syscall(SYS_mq_timedreceive, q, 8L, 10L, NULL, NULL), EFAULT);
	CHECK_EQ(count(q), 0);
	CHECK_ERRNO(write(q, "x", 1), EINVAL);
}

TEST(full_and_empty_queues_do_not_block_if_told)
{
	mqd_t q;

	fresh();
	q = make("/a", 2, 10, O_NONBLOCK);
	CHECK_ERRNO(mq_receive(q, buf, 10, NULL), EAGAIN);
	put(q, "1", 0);
	put(q, "2", 0);
	CHECK_ERRNO(mq_send(q, "3", 2, 0), EAGAIN);
	CHECK_RECEIVES(q, "1", 0);
	put(q, "3", 0);
}

TEST(timeouts)
{
	struct timespec soon, past = { 1, 0 };
	mqd_t q;

	fresh();
	q = make("/a", 1, 10, 0);
	soon = in_ms(30);
	CHECK_ERRNO(mq_timedreceive(q, buf, 10, NULL, &soon), ETIMEDOUT);
	CHECK_ERRNO(mq_timedreceive(q, buf, 10, NULL, &past), ETIMEDOUT);
	CHECK_OK(mq_timedsend(q, "x", 2, 0, &past));
	soon = in_ms(30);
	CHECK_ERRNO(mq_timedsend(q, "y", 2, 0, &soon), ETIMEDOUT);
	CHECK_EQ(mq_timedreceive(q, buf, 10, NULL, &past), 2);
}

TEST(receiver_waits_for_a_message)
{
	pid_t child;
	mqd_t q;

	fresh();
	q = make("/a", 2, 10, 0);
	child = fork();
	if (!child) {
		CHECK_RECEIVES(q, "hello", 9);
		_exit(0);
	}
	wait_asleep(child);
	put(q, "hello", 9);
	CHECK_EQ(count(q), 0);
	CHECK_EQ(exit_of(child), 0);
}

TEST(sender_waits_for_room)
{
	pid_t child;
	mqd_t q;

	fresh();
	q = make("/a", 1, 10, 0);
	put(q, "one", 1);
	child = fork();
	if (!child) {
		put(q, "two", 2);
		_exit(0);
	}
	wait_asleep(child);
	CHECK_RECEIVES(q, "one", 1);
	CHECK_EQ(count(q), 1);
	CHECK_RECEIVES(q, "two", 2);
	CHECK_EQ(exit_of(child), 0);
}

TEST(signals_interrupt_or_restart)
{
	struct sigaction sa = { .sa_handler = handler };
	pid_t child;
	mqd_t q;

	fresh();
	q = make("/a", 1, 10, 0);
	sigaction(SIGUSR1, &sa, NULL);
	child = fork();
	if (!child)
		_exit(mq_receive(q, buf, 10, NULL) < 0 ? errno : 0);
	wait_asleep(child);
	kill(child, SIGUSR1);
	CHECK_EQ(exit_of(child), EINTR);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	child = fork();
	if (!child)
		_exit(mq_receive(q, buf, 10, NULL) < 0 ? errno : 0);
	wait_asleep(child);
	kill(child, SIGUSR1);
	usleep(20000);
	wait_asleep(child);
	put(q, "x", 0);
	CHECK_EQ(exit_of(child), 0);
}

TEST(poll_and_epoll)
{
	struct pollfd p = { .events = POLLIN | POLLOUT };
	struct epoll_event e = { .events = EPOLLIN };
	pid_t child;
	mqd_t q;
	int ep;

	fresh();
	q = make("/a", 1, 10, 0);
	p.fd = q;
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLOUT);
	put(q, "x", 0);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN);
	CHECK_RECEIVES(q, "x", 0);
	ep = epoll_create1(0);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, q, &e));
	CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
	child = fork();
	if (!child) {
		usleep(20000);
		put(q, "y", 0);
		_exit(0);
	}
	CHECK_EQ(epoll_wait(ep, &e, 1, -1), 1);
	CHECK_EQ(exit_of(child), 0);
	CHECK_RECEIVES(q, "y", 0);
}

static siginfo_t seen;

static void remember(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	seen = *info;
}

TEST(notify_by_signal_once)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
			       .sigev_value.sival_int = 4711 };
	struct sigaction sa = { .sa_sigaction = remember, .sa_flags = SA_SIGINFO | SA_RESTART };
	mqd_t q;

	fresh();
	q = make("/a", 4, 10, 0);
	sigaction(SIGUSR1, &sa, NULL);
	CHECK_OK(mq_notify(q, &ev));
	CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	put(q, "1", 0);
	CHECK_EQ(seen.si_signo, SIGUSR1);
	CHECK_EQ(seen.si_code, SI_MESGQ);
	CHECK_EQ(seen.si_value.sival_int, 4711);
	CHECK_EQ(seen.si_pid, getpid());
	CHECK_EQ(seen.si_uid, getuid());
	memset(&seen, 0, sizeof(seen));
	CHECK_RECEIVES(q, "1", 0);
	put(q, "2", 0);			/* only once */
	CHECK_EQ(seen.si_signo, 0);
	CHECK_OK(mq_notify(q, &ev));
	put(q, "3", 0);			/* not empty */
	CHECK_EQ(seen.si_signo, 0);
	CHECK_RECEIVES(q, "2", 0);
	CHECK_RECEIVES(q, "3", 0);
	IN_CHILD(put(q, "4", 0));
	CHECK_EQ(seen.si_signo, SIGUSR1);
	CHECK(seen.si_pid != getpid());
}

TEST(waiting_receiver_comes_before_notification)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction sa = { .sa_sigaction = remember, .sa_flags = SA_SIGINFO | SA_RESTART };
	pid_t child;
	mqd_t q;

	fresh();
	q = make("/a", 4, 10, 0);
	sigaction(SIGUSR1, &sa, NULL);
	CHECK_OK(mq_notify(q, &ev));
	child = fork();
	if (!child)
		_exit(mq_receive(q, buf, 10, NULL) == 2 ? 0 : 1);
	wait_asleep(child);
	put(q, "1", 0);
	CHECK_EQ(exit_of(child), 0);
	CHECK_EQ(seen.si_signo, 0);
	CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	put(q, "2", 0);
	CHECK_EQ(seen.si_signo, SIGUSR1);
}

TEST(notification_is_cancelled)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	mqd_t q, r;

	fresh();
	q = make("/a", 4, 10, 0);
	CHECK_OK(mq_notify(q, &ev));
	IN_CHILD({
		CHECK_OK(mq_notify(q, NULL));	/* not its own: nothing happens */
		CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	});
	CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	CHECK_OK(mq_notify(q, NULL));
	CHECK_OK(mq_notify(q, &ev));
	r = mq_open("/a", O_RDWR);
	mq_close(r);				/* any close by the process cancels it */
	CHECK_OK(mq_notify(q, &ev));
	put(q, "x", 0);			/* spends it */
	CHECK_OK(mq_notify(q, &ev));
	CHECK_OK(mq_notify(q, NULL));
	IN_CHILD(CHECK_OK(mq_notify(q, &ev)));	/* ends with the process */
	CHECK_OK(mq_notify(q, &ev));
}

TEST(notify_rejects_nonsense)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65 };
	mqd_t q;

	fresh();
	q = make("/a", 4, 10, 0);
	CHECK_ERRNO(mq_notify(q, &ev), EINVAL);
	ev.sigev_signo = -1;
	CHECK_ERRNO(mq_notify(q, &ev), EINVAL);
	ev.sigev_notify = 77;
	CHECK_ERRNO(mq_notify(q, &ev), EINVAL);
	ev.sigev_notify = SIGEV_SIGNAL;
	ev.sigev_signo = SIGUSR1;
	CHECK_ERRNO(mq_notify(0, &ev), EBADF);
	CHECK_ERRNO(mq_notify(-1, NULL), EBADF);
	CHECK_ERRNO(syscall(SYS_mq_notify, q, 8L), EFAULT);
	ev.sigev_notify = SIGEV_THREAD;
	ev.sigev_value.sival_ptr = (void *)8;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &ev), EFAULT);
	ev.sigev_value.sival_ptr = buf;
	ev.sigev_signo = 199;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &ev), EBADF);
	ev.sigev_signo = q;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &ev), ENOTSOCK);
	ev.sigev_signo = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &ev), EINVAL);
}

TEST(permissions_count)
{
	fresh();
	make("/secret", 1, 1, 0);
	umask(0);
	CHECK(mq_open("/open", O_RDWR | O_CREAT, 0604, NULL) >= 0);
	IN_CHILD({
		become_nobody();
		CHECK_ERRNO(mq_open("/secret", O_RDONLY), EACCES);
		CHECK(mq_open("/open", O_RDONLY) >= 0);
		CHECK_ERRNO(mq_open("/open", O_RDWR), EACCES);
		CHECK_ERRNO(mq_unlink("/open"), EACCES);
		CHECK(mq_open("/mine", O_RDWR | O_CREAT, 0600, NULL) >= 0);
		CHECK_OK(mq_unlink("/mine"));
	});
}

TEST(limits_hold)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = 8192 };

	fresh();
	umask(0);
	IN_CHILD({
		become_nobody();
		attr.mq_maxmsg = 11;
		CHECK_ERRNO(mq_open("/a", O_RDWR | O_CREAT, 0600, &attr), EINVAL);
		attr.mq_maxmsg = 10;
		attr.mq_msgsize = 8193;
		CHECK_ERRNO(mq_open("/a", O_RDWR | O_CREAT, 0600, &attr), EINVAL);
	});
	write_file("/proc/sys/fs/mqueue/msg_max", "12");
	write_file("/proc/sys/fs/mqueue/msg_default", "5");
	write_file("/proc/sys/fs/mqueue/msgsize_default", "200");
	write_file("/proc/sys/fs/mqueue/queues_max", "2");
	IN_CHILD({
		become_nobody();
		attr.mq_maxmsg = 11;
		attr.mq_msgsize = 8192;
		CHECK(mq_open("/a", O_RDWR | O_CREAT, 0600, &attr) >= 0);
		CHECK_OK(mq_getattr(mq_open("/b", O_RDWR | O_CREAT, 0600, NULL), &attr));
		CHECK_EQ(attr.mq_maxmsg, 5);
		CHECK_EQ(attr.mq_msgsize, 200);
		CHECK_ERRNO(mq_open("/c", O_RDWR | O_CREAT, 0600, NULL), ENOSPC);
		CHECK_OK(mq_unlink("/b"));
	});
	IN_CHILD({
		become_nobody();
		CHECK(mq_open("/c", O_RDWR | O_CREAT, 0600, NULL) >= 0);
	});
}

TEST(rlimit_msgqueue_holds)
{
	/* The user's queues: 10 * (8192 + 2 * 48) bytes fit, and one byte less does not. */
	struct rlimit limit = { 10 * (8192 + 96), 819200 };
	mqd_t q;

	fresh();
	umask(0);
	IN_CHILD({
		CHECK_OK(setresuid(54321, 54321, 54321));
		CHECK_OK(setrlimit(RLIMIT_MSGQUEUE, &limit));
		q = mq_open("/a", O_RDWR | O_CREAT, 0600, NULL);
		CHECK(q >= 0);
		CHECK_ERRNO(mq_open("/b", O_RDWR | O_CREAT, 0600, NULL), EMFILE);
		CHECK_OK(mq_unlink("/a"));
		CHECK_ERRNO(mq_open("/b", O_RDWR | O_CREAT, 0600, NULL), EMFILE);
		CHECK_OK(mq_close(q));
		limit.rlim_cur--;
		CHECK_OK(setrlimit(RLIMIT_MSGQUEUE, &limit));
		CHECK_ERRNO(mq_open("/b", O_RDWR | O_CREAT, 0600, NULL), EMFILE);
		limit.rlim_cur++;
		CHECK_OK(setrlimit(RLIMIT_MSGQUEUE, &limit));
		CHECK(mq_open("/b", O_RDWR | O_CREAT, 0600, NULL) >= 0);
	});
}

static void mount_here(void)
{
	CHECK_OK(unshare(CLONE_NEWNS));
	CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK_OK(mkdir("mq", 0755));
	CHECK_OK(mount("none", "mq", "mqueue", 0, NULL));
}

TEST(file_system_shows_queues)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	char text[200], want[200];
	struct dirent *d;
	struct statfs fs;
	struct stat st;
	int n = 0, fd;
	mqd_t q;
	DIR *dir;

	fresh();
	mount_here();
	CHECK_OK(statfs("mq", &fs));
	CHECK_EQ(fs.f_type, 0x19800202);
	CHECK_OK(stat("mq", &st));
	CHECK_EQ(st.st_mode, S_IFDIR | 01777);
	q = make("/one", 4, 10, 0);
	make("/two", 4, 10, 0);
	CHECK_OK(stat("mq/one", &st));
	CHECK_EQ(st.st_mode, S_IFREG | 0600);
	CHECK_EQ(st.st_size, 80);
	dir = opendir("mq");
	CHECK(dir);
	while ((d = readdir(dir)))
		n += strcmp(d->d_name, "one") == 0 || strcmp(d->d_name, "two") == 0;
	CHECK_EQ(n, 2);
	CHECK_OK(mq_notify(q, &ev));
	fd = open("mq/one", O_RDONLY);
	memset(text, 0, sizeof(text));
	CHECK_EQ(read(fd, text, sizeof(text)), snprintf(want, sizeof(want),
		"QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", 0, SIGEV_SIGNAL, SIGUSR1,
		getpid()));
	CHECK_STR(text, want);
	CHECK_OK(mq_notify(q, NULL));
	put(q, "1234", 0);
	memset(text, 0, sizeof(text));
	CHECK_EQ(pread(fd, text, 20, 0), 20);
	CHECK_STR(text, "QSIZE:5          NOT");
	CHECK_OK(unlink("mq/two"));
	CHECK_ERRNO(mq_open("/two", O_RDWR), ENOENT);
	CHECK_ERRNO(mkdir("mq/dir", 0755), EPERM);
	CHECK_ERRNO(symlink("x", "mq/link"), EPERM);
}

TEST(file_system_makes_queues)
{
	struct mq_attr attr;
	int fd;

	fresh();
	mount_here();
	fd = open("mq/made", O_RDWR | O_CREAT | O_NONBLOCK, 0600);
	CHECK(fd >= 0);
	CHECK_OK(mq_getattr(fd, &attr));
	CHECK_EQ(attr.mq_maxmsg, 10);
	put(fd, "x", 3);
	CHECK_RECEIVES(mq_open("/made", O_RDONLY), "x", 3);
}

TEST(proc_fd_shows_the_name)
{
	char path[64], text[300];
	ssize_t n;
	mqd_t q;

	fresh();
	q = make("/name", 1, 1, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", q);
	n = readlink(path, text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = '\0';
	CHECK_STR(text, "/name");
	CHECK_OK(mq_unlink("/name"));
	n = readlink(path, text, sizeof(text) - 1);
	text[n] = '\0';
	CHECK_STR(text, "/name (deleted)");
}

TEST(namespace_has_queues_of_its_own)
{
	mqd_t q;

	fresh();
	q = make("/a", 2, 10, 0);
	put(q, "outer", 0);
	IN_CHILD({
		CHECK_OK(unshare(CLONE_NEWIPC));
		CHECK_ERRNO(mq_open("/a", O_RDWR), ENOENT);
		make("/a", 1, 1, 0);
		CHECK_RECEIVES(q, "outer", 0);
	});
	CHECK_OK(unshare(CLONE_NEWIPC));	/* the namespace ends, the open queue does not */
	put(q, "still", 0);
	CHECK_RECEIVES(q, "still", 0);
	CHECK_OK(mq_close(q));
}

TEST(mounted_file_system_outlives_its_namespace)
{
	mqd_t q;

	fresh();
	mount_here();
	make("/a", 2, 10, 0);
	CHECK_OK(unshare(CLONE_NEWIPC));
	q = open("mq/a", O_RDWR);
	CHECK(q >= 0);
	put(q, "x", 0);
	CHECK_RECEIVES(q, "x", 0);
	CHECK_ERRNO(open("mq/b", O_RDWR | O_CREAT, 0600), EACCES);
	CHECK_OK(unlink("mq/a"));
}

TEST_SECONDS(many_processes_at_once, 60)
{
	mqd_t q;

	fresh();
	q = make("/a", 3, 2000, 0);
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		for (int n = 0; n < 400; n++) {
			if (i < 2)
				CHECK_OK(mq_send(q, buf, 1000, (unsigned int)(n % 7)));
			else
				CHECK_EQ(mq_receive(q, buf, sizeof(buf), NULL), 1000);
		}
		_exit(0);
	}
	for (int i = 0, status; i < 4; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(count(q), 0);
}

/* Whatever happens in whichever order: nobody hangs, and errors are those of the manual. */
TEST_SECONDS(queues_come_and_go_under_use, 60)
{
	fresh();
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		srand((unsigned int)i);
		for (int n = 0; n < 800; n++) {
			struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 0 };
			struct timespec soon = in_ms(0);
			mqd_t q = mq_open("/a", O_CREAT | O_RDWR, 0600, &(struct mq_attr){ .mq_maxmsg = 2, .mq_msgsize = 64 });
			int ret;

			CHECK(q >= 0);
			soon.tv_nsec += rand() % 300000;
			if (soon.tv_nsec >= 1000000000)
				soon.tv_nsec = 999999999;
			if (rand() % 4 == 0)
				mq_notify(q, &ev);
			ret = rand() % 2 ? mq_timedsend(q, buf, (size_t)(rand() % 64), (unsigned int)(rand() % 9), &soon)
					 : (int)mq_timedreceive(q, buf, 64, NULL, &soon);
			if (ret < 0)
				CHECK_EQ(errno, ETIMEDOUT);
			if (rand() % 8 == 0 && mq_unlink("/a") < 0)
				CHECK_EQ(errno, ENOENT);
			mq_close(q);
		}
		_exit(0);
	}
	for (int i = 0, status; i < 4; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
}
