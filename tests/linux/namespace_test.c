/* SPDX-License-Identifier: MIT */
/* Namespaces: /proc/PID/ns, setns(2), unshare(2), clone(2); namespaces(7). */
#include "harness.h"

#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define KEY 0x6e730001

static const struct { const char *name; int kind; } kinds[] = {
	{ "cgroup", CLONE_NEWCGROUP }, { "ipc", CLONE_NEWIPC }, { "mnt", CLONE_NEWNS },
	{ "net", CLONE_NEWNET }, { "pid", CLONE_NEWPID }, { "user", CLONE_NEWUSER },
	{ "uts", CLONE_NEWUTS },
};

static int open_ns(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static ino_t number(int fd)
{
	struct stat st;

	CHECK_OK(fstat(fd, &st));
	return st.st_ino;
}

static ino_t number_of(const char *name)
{
	int fd = open_ns(getpid(), name);
	ino_t n = number(fd);

	close(fd);
	return n;
}

/* A child in new namespaces, asleep until killed. */
static pid_t stranger(int flags)
{
	int ready[2];
	pid_t pid;
	char c;

	CHECK_OK(pipe(ready));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK_OK(unshare(flags));
		if (flags & CLONE_NEWUTS)
			CHECK_OK(sethostname("stranger", 8));
		if (flags & CLONE_NEWIPC)
			CHECK(msgget(KEY, IPC_CREAT | 0600) >= 0);
		if (flags & CLONE_NEWNS) {
			CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
			CHECK_OK(mount("none", "/tmp", "tmpfs", 0, NULL));
			CHECK_OK(mkdir("/tmp/strange", 0755));
		}
		write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	read(ready[0], &c, 1);
	return pid;
}

TEST(files_name_namespaces)
{
	char path[64], text[64], want[64];
	struct statfs fs;
	ssize_t n;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd = open_ns(getpid(), kinds[i].name);

		snprintf(want, sizeof(want), "%s:[%lu]", kinds[i].name, (unsigned long)number(fd));
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i].name);
		n = readlink(path, text, sizeof(text) - 1);
		CHECK(n > 0);
		text[n] = '\0';
		CHECK_STR(text, want);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, text, sizeof(text) - 1);
		CHECK(n > 0);
		text[n] = '\0';
		CHECK_STR(text, want);
		CHECK_EQ(ioctl(fd, NS_GET_NSTYPE), kinds[i].kind);
		CHECK_OK(fstatfs(fd, &fs));
		CHECK_EQ(fs.f_type, 0x6e736673);
		CHECK_ERRNO(read(fd, text, 1), EINVAL);
		CHECK_ERRNO(fchmod(fd, 0), EPERM);
		CHECK_EQ(number(fd), number_of(kinds[i].name));
		close(fd);
	}
}

TEST(processes_share_namespaces_until_they_unshare)
{
	CHECK_ROOT();
	IN_CHILD({
		ino_t uts = number_of("uts");
		ino_t ipc = number_of("ipc");
		ino_t mnt = number_of("mnt");

		CHECK_EQ(number(open_ns(getppid(), "uts")), uts);
		CHECK_EQ(number(open_ns(getppid(), "ipc")), ipc);
		CHECK_OK(unshare(CLONE_NEWUTS));
		CHECK(number_of("uts") != uts);
		CHECK_EQ(number_of("ipc"), ipc);
		CHECK_OK(unshare(CLONE_NEWIPC | CLONE_NEWNS));
		CHECK(number_of("ipc") != ipc);
		CHECK(number_of("mnt") != mnt);
		CHECK(number_of("mnt") != number_of("ipc"));
		CHECK(number_of("uts") != number_of("ipc"));
	});
}

TEST(setns_enters_a_uts_namespace)
{
	char name[65], before[65];
	pid_t pid;
	int fd;

	CHECK_ROOT();
	CHECK_OK(gethostname(before, sizeof(before)));
	pid = stranger(CLONE_NEWUTS);
	fd = open_ns(pid, "uts");
	IN_CHILD({
		CHECK_OK(setns(fd, 0));
		CHECK_OK(gethostname(name, sizeof(name)));
		CHECK_STR(name, "stranger");
		CHECK_EQ(number_of("uts"), number(fd));
	});
	CHECK_OK(gethostname(name, sizeof(name)));
	CHECK_STR(name, before);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_OK(setns(fd, CLONE_NEWUTS));	/* the file keeps it */
	CHECK_OK(gethostname(name, sizeof(name)));
	CHECK_STR(name, "stranger");
}

TEST(setns_enters_an_ipc_namespace)
{
	pid_t pid;
	int fd, id, home;
	struct sembuf up = { 0, 1, SEM_UNDO };

	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWIPC));
	home = open_ns(getpid(), "ipc");
	pid = stranger(CLONE_NEWIPC);
	fd = open_ns(pid, "ipc");
	CHECK_ERRNO(msgget(KEY, 0600), ENOENT);
	id = semget(IPC_PRIVATE, 1, 0600);
	CHECK_OK(semop(id, &up, 1));
	CHECK_OK(setns(fd, CLONE_NEWIPC));
	CHECK(msgget(KEY, 0600) >= 0);
	CHECK_ERRNO(semctl(id, 0, GETVAL), EINVAL);
	CHECK_OK(setns(home, CLONE_NEWIPC));
	CHECK_EQ(semctl(id, 0, GETVAL), 0);	/* undone on the way out */
	kill(pid, SIGKILL);
}

TEST(setns_enters_a_mount_namespace)
{
	pid_t pid;
	int fd;

	CHECK_ROOT();
	pid = stranger(CLONE_NEWNS);
	fd = open_ns(pid, "mnt");
	CHECK_ERRNO(access("/tmp/strange", F_OK), ENOENT);
	IN_CHILD({
		char cwd[64];

		CHECK_OK(setns(fd, CLONE_NEWNS));
		CHECK_OK(access("/tmp/strange", F_OK));
		CHECK(getcwd(cwd, sizeof(cwd)));
		CHECK_STR(cwd, "/");
	});
	CHECK_ERRNO(access("/tmp/strange", F_OK), ENOENT);
	kill(pid, SIGKILL);
}

TEST(setns_enters_those_of_a_process)
{
	char name[65];
	pid_t pid;
	int fd;

	CHECK_ROOT();
	pid = stranger(CLONE_NEWUTS | CLONE_NEWIPC);
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(fd >= 0);
	CHECK_ERRNO(setns(fd, 0), EINVAL);
	CHECK_ERRNO(setns(fd, CLONE_VM), EINVAL);
	CHECK_OK(setns(fd, CLONE_NEWUTS | CLONE_NEWIPC));
	CHECK_OK(gethostname(name, sizeof(name)));
	CHECK_STR(name, "stranger");
	CHECK(msgget(KEY, 0600) >= 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_ERRNO(setns(fd, CLONE_NEWUTS), ESRCH);
}

TEST(setns_rejects_nonsense)
{
	int uts = open_ns(getpid(), "uts"), user = open_ns(getpid(), "user"), p[2];

	CHECK_ROOT();
	CHECK_OK(pipe(p));
	CHECK_ERRNO(setns(-1, 0), EBADF);
	CHECK_ERRNO(setns(p[0], 0), EINVAL);
	CHECK_ERRNO(setns(uts, CLONE_NEWIPC), EINVAL);
	CHECK_ERRNO(setns(uts, 1), EINVAL);
	CHECK_ERRNO(setns(user, 0), EINVAL);		/* where we are */
	CHECK_OK(setns(uts, 0));
	IN_CHILD({
		CHECK_OK(setresuid(65534, 65534, 65534));
		CHECK_ERRNO(setns(uts, 0), EPERM);
		CHECK_ERRNO(unshare(CLONE_NEWIPC), EPERM);
	});
}

TEST(setns_of_mounts_needs_a_place_of_ones_own)
{
	CHECK_ROOT();
	IN_CHILD({
		pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL);

		CHECK(pid >= 0);
		if (!pid)
			for (;;)
				pause();
		CHECK_ERRNO(setns(open_ns(getpid(), "mnt"), 0), EINVAL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		CHECK_OK(setns(open_ns(getpid(), "mnt"), 0));
	});
}

TEST(clone_makes_an_ipc_namespace)
{
	ino_t ipc = number_of("ipc");
	int status;
	pid_t pid;

	CHECK_ROOT();
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWIPC | SIGCHLD, NULL, NULL, NULL, NULL);
	CHECK(pid >= 0);
	if (!pid)
		_exit(number_of("ipc") == ipc);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(number_of("ipc"), ipc);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD, NULL, NULL, NULL, NULL),
		    EINVAL);
}

TEST(bound_file_keeps_its_namespace)
{
	char name[65];
	pid_t pid;
	int fd;

	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWNS));
	CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	pid = stranger(CLONE_NEWUTS);
	close(open("kept", O_RDWR | O_CREAT, 0600));
	snprintf(name, sizeof(name), "/proc/%d/ns/uts", pid);
	CHECK_OK(mount(name, "kept", NULL, MS_BIND, NULL));
	CHECK_ERRNO(mount("/proc/self/ns/mnt", "kept", NULL, MS_BIND, NULL), EINVAL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fd = open("kept", O_RDONLY);
	CHECK(fd >= 0);
	IN_CHILD({
		CHECK_OK(setns(fd, CLONE_NEWUTS));
		CHECK_OK(gethostname(name, sizeof(name)));
		CHECK_STR(name, "stranger");
	});
	close(fd);
	CHECK_OK(umount("kept"));
}
