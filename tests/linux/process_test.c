/* SPDX-License-Identifier: MIT */
/* Processes: fork, wait, exit statuses. */

#include "harness.h"

TEST(wait_reports_exit_status)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(42);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 42);
}

TEST(wait_reports_signal)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	CHECK_OK(kill(pid, SIGTERM));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGTERM);
}

TEST(wait_without_children_is_echild)
{
	CHECK_ERRNO(wait(NULL), ECHILD);
}

TEST(fork_copies_memory)
{
	volatile int value = 1;

	IN_CHILD({ value = 2; });
	CHECK_EQ(value, 1);
}

TEST(exec_of_missing_file_is_enoent)
{
	char *argv[] = { "nothing", NULL };

	CHECK_ERRNO(execv("./nothing", argv), ENOENT);
}

TEST(orphan_gets_another_parent)
{
	int ends[2];
	pid_t seen = 0;

	CHECK_OK(pipe(ends));
	IN_CHILD({
		pid_t middle = getpid();

		if (fork() == 0) {
			while (getppid() == middle)
				usleep(1000);
			seen = getppid();
			CHECK_EQ(write(ends[1], &seen, sizeof(seen)), sizeof(seen));
			_exit(0);
		}
	});
	CHECK_EQ(read(ends[0], &seen, sizeof(seen)), sizeof(seen));
	CHECK(seen > 0 && seen != getpid());
}

static volatile sig_atomic_t children_heard_of;

static void hear(int sig)
{
	(void)sig;
	children_heard_of++;
}

/* The exit and its SIGCHLD are one event: a wait for it does not end with EINTR. */
TEST(wait_is_not_interrupted_by_the_exit_it_waits_for)
{
	struct sigaction act = { .sa_handler = hear };
	int status;

	CHECK_OK(sigaction(SIGCHLD, &act, NULL));
	for (int i = 0; i < 300; i++) {
		pid_t child = fork();

		if (!child) {
			if (i % 3)
				usleep((useconds_t)(i % 7) * 50);
			_exit(i & 0x7f);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(WEXITSTATUS(status), i & 0x7f);
		CHECK_EQ(children_heard_of, i + 1);
	}
}
