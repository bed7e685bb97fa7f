/* SPDX-License-Identifier: MIT */
/* Processes: waiting, groups and sessions, orphans, clone. */
#include "harness.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static pid_t child_that_exits(int code)
{
	pid_t child = fork();

	if (!child)
		_exit(code);
	CHECK(child > 0);
	return child;
}

static pid_t child_that_waits(void)
{
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	return child;
}

TEST(wait_by_group)
{
	pid_t a = fork(), b;
	int status;

	if (!a) {
		setpgid(0, 0);
		_exit(1);
	}
	setpgid(a, a);
	b = child_that_exits(2);
	CHECK_EQ(waitpid(-a, &status, 0), a);
	CHECK_EQ(waitpid(0, &status, 0), b);
	CHECK_EQ(WEXITSTATUS(status), 2);
	CHECK_ERRNO(waitpid(-a, &status, 0), ECHILD);
}

TEST(wait_nohang)
{
	pid_t child = child_that_waits();
	int status;

	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_ERRNO(waitpid(child, &status, WNOHANG), ECHILD);
}

TEST(wait_arguments_are_checked)
{
	siginfo_t info;

	CHECK_ERRNO(waitpid(-1, NULL, 0x100), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, 0), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
	CHECK_ERRNO(waitid(77, 0, &info, WEXITED), EINVAL);
	CHECK_ERRNO(waitid(P_PID, 0, &info, WEXITED), EINVAL);
	CHECK_ERRNO(syscall(SYS_wait4, (long)(int)0x80000000, NULL, 0, NULL), ESRCH);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
}

TEST(waitid_tells_everything)
{
	pid_t child = child_that_exits(9);
	siginfo_t info;

	CHECK_OK(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	CHECK_EQ(info.si_pid, child);
	CHECK_EQ(info.si_code, CLD_EXITED);
	CHECK_EQ(info.si_status, 9);
	CHECK_EQ(info.si_signo, SIGCHLD);
	CHECK_OK(waitid(P_PID, child, &info, WEXITED));
	CHECK_ERRNO(waitid(P_PID, child, &info, WEXITED), ECHILD);
}

TEST(waitid_nohang_without_news_zeroes_the_pid)
{
	pid_t child = child_that_waits();
	siginfo_t info = { .si_pid = 5 };

	CHECK_OK(waitid(P_PID, child, &info, WEXITED | WNOHANG));
	CHECK_EQ(info.si_pid, 0);
}

TEST(waitid_by_pidfd)
{
	pid_t child = child_that_exits(4);
	int fd = (int)syscall(SYS_pidfd_open, child, 0);
	siginfo_t info;

	CHECK(fd >= 0);
	CHECK_OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED));
	CHECK_EQ(info.si_status, 4);
	CHECK_ERRNO(waitid((idtype_t)P_PIDFD, 0, &info, WEXITED), EBADF);
}

TEST(ignored_sigchld_reaps_children)
{
	pid_t child;

	signal(SIGCHLD, SIG_IGN);
	child = child_that_exits(0);
	CHECK_ERRNO(waitpid(child, NULL, 0), ECHILD);
	CHECK_ERRNO(kill(child, 0), ESRCH);
}

TEST(nocldwait_reaps_children)
{
	struct sigaction sa = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
	pid_t child;

	sigaction(SIGCHLD, &sa, NULL);
	child = child_that_exits(0);
	CHECK_ERRNO(waitpid(child, NULL, 0), ECHILD);
}

TEST(wait4_tells_what_was_used)
{
	struct rusage u;
	pid_t child = fork();

	if (!child) {
		for (volatile long i = 0; i < 30000000; i++)
			;
		_exit(0);
	}
	CHECK_EQ(wait4(child, NULL, 0, &u), child);
	CHECK(u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec > 1000);
	CHECK(u.ru_maxrss > 0);
}

TEST(many_children_at_once)
{
	for (int i = 0; i < 50; i++)
		child_that_exits(i);
	int sum = 0, status;
	for (int i = 0; i < 50; i++) {
		CHECK(wait(&status) > 0);
		sum += WEXITSTATUS(status);
	}
	CHECK_EQ(sum, 50 * 49 / 2);
	CHECK_ERRNO(wait(&status), ECHILD);
}

/* -- orphans --------------------------------------------------------------------------------- */

TEST(subreaper_adopts_orphans)
{
	int fd[2];
	pid_t orphan;

	CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	CHECK_OK(pipe(fd));
	if (!fork()) {
		if (!fork()) {
			pid_t me = getpid();

			usleep(50000);
			write(fd[1], &me, sizeof(me));
			_exit(getppid() == (pid_t)prctl(PR_GET_PDEATHSIG) ? 1 : 8);
		}
		_exit(0);
	}
	CHECK(wait(NULL) > 0);
	CHECK_EQ(read(fd[0], &orphan, sizeof(orphan)), sizeof(orphan));
	int status;
	CHECK_EQ(waitpid(orphan, &status, 0), orphan);
	CHECK_EQ(WEXITSTATUS(status), 8);
}

TEST(orphaned_stopped_group_gets_hup_and_cont)
{
	int fd[2], status;
	pid_t middle;
	char c = 0;

	CHECK_OK(pipe(fd));
	middle = fork();
	if (!middle) {
		pid_t child = fork();

		if (!child) {
			setpgid(0, 0);
			close(fd[0]);
			kill(getpid(), SIGSTOP);
			pause();
			_exit(0);
		}
		setpgid(child, child);
		waitpid(child, NULL, WUNTRACED);
		_exit(0);
	}
	close(fd[1]);
	CHECK_EQ(waitpid(middle, &status, 0), middle);
	CHECK_EQ(read(fd[0], &c, 1), 0);	/* SIGHUP has ended it */
}

/* -- groups and sessions ----------------------------------------------------------------------- */

TEST(setpgid_rules)
{
	pid_t child = child_that_waits();

	CHECK_OK(setpgid(child, child));
	CHECK_EQ(getpgid(child), child);
	CHECK_OK(setpgid(child, getpgrp()));
	CHECK_EQ(getpgid(child), getpgrp());
	CHECK_ERRNO(setpgid(child, 4000000), EPERM);
	CHECK_ERRNO(setpgid(child, -1), EINVAL);
	CHECK_ERRNO(setpgid(4000000, 0), ESRCH);
	CHECK_ERRNO(setpgid(getppid(), 0), ESRCH);
	CHECK_ERRNO(getpgid(4000000), ESRCH);
}

TEST(setsid_makes_a_session_and_group)
{
	IN_CHILD({
		CHECK_EQ(setsid(), getpid());
		CHECK_EQ(getsid(0), getpid());
		CHECK_EQ(getpgrp(), getpid());
		CHECK_ERRNO(setsid(), EPERM);
		CHECK_ERRNO(setpgid(0, 0), EPERM);
	});
	CHECK_ERRNO(setsid(), EPERM);		/* the harness made us leader of a group */
}

TEST(setpgid_of_another_session_is_refused)
{
	int fd[2];
	pid_t child;
	char c;

	CHECK_OK(pipe(fd));
	child = fork();
	if (!child) {
		setsid();
		write(fd[1], "x", 1);
		pause();
	}
	CHECK_EQ(read(fd[0], &c, 1), 1);
	CHECK_ERRNO(setpgid(child, getpgrp()), EPERM);
	CHECK_EQ(getsid(child), child);
	CHECK_OK(kill(child, SIGKILL));
}

/* -- clone ----------------------------------------------------------------------------------------- */

static long clone3(struct clone_args *a, size_t size)
{
	return syscall(SYS_clone3, a, size);
}

TEST(clone3_forks)
{
	struct clone_args a = { .exit_signal = SIGCHLD };
	pid_t child = (pid_t)clone3(&a, sizeof(a));
	int status;

	if (!child)
		_exit(12);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 12);
}

TEST(clone3_arguments_are_checked)
{
	struct { struct clone_args a; uint64_t more; } big = { { .exit_signal = SIGCHLD }, 1 };
	struct clone_args a = { .exit_signal = 65 };

	CHECK_ERRNO(clone3(&a, sizeof(a)), EINVAL);
	a = (struct clone_args){ .flags = CLONE_THREAD };
	CHECK_ERRNO(clone3(&a, sizeof(a)), EINVAL);
	a = (struct clone_args){ .flags = CLONE_SIGHAND };
	CHECK_ERRNO(clone3(&a, sizeof(a)), EINVAL);
	a = (struct clone_args){ .stack = 4096 };
	CHECK_ERRNO(clone3(&a, sizeof(a)), EINVAL);
	a = (struct clone_args){ .flags = CLONE_NEWNS | CLONE_FS };
	CHECK_ERRNO(clone3(&a, sizeof(a)), EINVAL);
	CHECK_ERRNO(clone3(&a, 8), EINVAL);
	CHECK_ERRNO(clone3(&a, 8192), E2BIG);
	CHECK_ERRNO(clone3(&big.a, sizeof(big)), E2BIG);
}

TEST(clone_gives_a_pidfd)
{
	int fd = -1, status;
	struct clone_args a = { .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD };
	pid_t child = (pid_t)clone3(&a, sizeof(a));
	struct pollfd p;

	if (!child)
		_exit(0);
	CHECK(child > 0 && fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
}

TEST(clone_parent_makes_a_sibling)
{
	int fd[2];
	pid_t sibling = 0;

	CHECK_OK(pipe(fd));
	IN_CHILD({
		pid_t p = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

		if (!p) {
			p = getpid();
			write(fd[1], &p, sizeof(p));
			_exit(6);
		}
	});
	CHECK_EQ(read(fd[0], &sibling, sizeof(sibling)), sizeof(sibling));
	int status;
	CHECK_EQ(waitpid(sibling, &status, 0), sibling);
	CHECK_EQ(WEXITSTATUS(status), 6);
}

TEST(clone_children_need_wclone)
{
	pid_t child;
	int status;

	signal(SIGUSR1, SIG_IGN);
	child = (pid_t)syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0);
	if (!child)
		_exit(1);
	CHECK_ERRNO(waitpid(child, &status, 0), ECHILD);
	CHECK_EQ(waitpid(child, &status, __WCLONE), child);
	child = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (!child)
		_exit(1);
	CHECK_EQ(waitpid(child, &status, __WALL), child);
}

TEST(shared_files_and_directory)
{
	volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	CHECK_OK(mkdir("d", 0755));
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		*shared = open("/dev/null", O_RDONLY);
		umask(0111);
		_exit(chdir("d"));
	}
	CHECK_EQ(waitpid(child, NULL, 0), child);
	CHECK_OK(fcntl(*shared, F_GETFD));
	CHECK_OK(access("../d", F_OK));
	CHECK_EQ(umask(0), 0111);
}

static long in_child_tid;

TEST(child_tid_is_set_in_the_child_only)
{
	int tid = 0, parent_tid = 0;
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | SIGCHLD, 0,
				     &parent_tid, &tid, 0);

	if (!child)
		_exit(tid == getpid() ? 0 : 1);
	CHECK_EQ(parent_tid, child);
	CHECK_EQ(tid, 0);
	in_child_tid = child;
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

TEST(vfork_shares_memory_and_waits)
{
	volatile int seen = 0;
	pid_t child = vfork();

	if (!child) {
		seen = 7;
		_exit(0);
	}
	CHECK_EQ(seen, 7);
	CHECK_EQ(waitpid(child, NULL, 0), child);
}

TEST(pids_are_not_reused_at_once)
{
	pid_t a = child_that_exits(0), b;

	CHECK_EQ(waitpid(a, NULL, 0), a);
	b = child_that_exits(0);
	CHECK(a != b);
	CHECK_EQ(waitpid(b, NULL, 0), b);
}

TEST(fork_storm_leaves_nothing)
{
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 10; i++)
			if (!fork()) {
				if (!fork())
					_exit(0);
				_exit(wait(NULL) > 0 ? 0 : 1);
			}
		for (int i = 0; i < 10; i++) {
			int status;

			CHECK(wait(&status) > 0);
			CHECK_EQ(status, 0);
		}
	}
}

TEST(exit_status_is_cut_to_a_byte)
{
	pid_t child = fork();
	int status;

	if (!child)
		syscall(SYS_exit_group, 0x1234);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0x3400);
}
