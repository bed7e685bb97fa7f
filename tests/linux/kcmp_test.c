/* SPDX-License-Identifier: MIT */
/* Do processes share something: kcmp(2). */

#include "harness.h"

#include <linux/kcmp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <pthread.h>

static long kcmp(pid_t a, pid_t b, int type, unsigned long idx1, unsigned long idx2)
{
	return syscall(SYS_kcmp, a, b, type, idx1, idx2);
}

static pid_t paused_child(int flags)
{
	pid_t child = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (!child) {
		for (;;)
			pause();
	}
	CHECK(child > 0);
	return child;
}

TEST(descriptors_of_one_open_file_are_equal)
{
	int a = open("file", O_RDWR | O_CREAT, 0644), b = open("file", O_RDWR), c = dup(a);
	pid_t self = getpid(), child;

	CHECK_EQ(kcmp(self, self, KCMP_FILE, (unsigned long)a, (unsigned long)c), 0);
	CHECK(kcmp(self, self, KCMP_FILE, (unsigned long)a, (unsigned long)b) > 0);
	CHECK_EQ(kcmp(self, self, KCMP_FILE, (unsigned long)a, (unsigned long)b) +
		 kcmp(self, self, KCMP_FILE, (unsigned long)b, (unsigned long)a), 3);
	CHECK_ERRNO(kcmp(self, self, KCMP_FILE, (unsigned long)a, 999), EBADF);
	CHECK_ERRNO(kcmp(self, self, KCMP_FILE, (unsigned long)a, -1ul), EBADF);
	child = paused_child(0);
	CHECK_EQ(kcmp(self, child, KCMP_FILE, (unsigned long)a, (unsigned long)c), 0);
	kill(child, SIGKILL);
}

TEST(processes_share_what_clone_was_told)
{
	pid_t self = getpid(), child = paused_child(0), sharing = paused_child(CLONE_FILES | CLONE_FS);

	CHECK(kcmp(self, child, KCMP_VM, 0, 0) > 0);
	CHECK(kcmp(self, child, KCMP_FILES, 0, 0) > 0);
	CHECK(kcmp(self, child, KCMP_FS, 0, 0) > 0);
	CHECK(kcmp(self, child, KCMP_SIGHAND, 0, 0) > 0);
	CHECK_EQ(kcmp(self, sharing, KCMP_FILES, 0, 0), 0);
	CHECK_EQ(kcmp(self, sharing, KCMP_FS, 0, 0), 0);
	CHECK(kcmp(self, sharing, KCMP_VM, 0, 0) > 0);
	CHECK_EQ(kcmp(self, self, KCMP_VM, 0, 0), 0);
	CHECK_EQ(kcmp(self, child, KCMP_SYSVSEM, 0, 0), 0);
	CHECK_EQ(kcmp(self, self, KCMP_IO, 0, 0), 0);
	kill(child, SIGKILL);
	kill(sharing, SIGKILL);
}

TEST(kcmp_checks_its_arguments)
{
	pid_t self = getpid();

	CHECK_ERRNO(kcmp(self, self, 99, 0, 0), EINVAL);
	CHECK_ERRNO(kcmp(self, 0x3ffffff, KCMP_VM, 0, 0), ESRCH);
	CHECK_ERRNO(kcmp(0x3ffffff, self, KCMP_VM, 0, 0), ESRCH);
	if (geteuid() == 0)
		IN_CHILD(({
			CHECK_OK(setresuid(65534, 65534, 65534));
			CHECK_ERRNO(kcmp(getpid(), 1, KCMP_VM, 0, 0), EPERM);
		}));
}
