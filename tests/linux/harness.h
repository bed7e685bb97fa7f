/* SPDX-License-Identifier: MIT */
/*
 * The harness of the Linux-behaviour tests.
 *
 * A test program is one file, NAME_test.c, that includes this header and has
 * cases; there is no main() to write:
 *
 *	TEST(dup3_rejects_equal_descriptors)
 *	{
 *		CHECK_ERRNO(dup3(1, 1, 0), EINVAL);
 *	}
 *
 * What is right is what Linux does: the same binary runs on Linux first, where
 * every case has to pass, and then on Concord.  So a case checks what is
 * promised (manual page) or what programs see in practice, and says CHECK_ROOT(),
 * or SKIP("why"), when it needs something that a Linux machine may lack.
 *
 * Each case runs in a process of its own, with an alarm, as leader of a process
 * group that is killed afterwards, and in an empty directory of its own that is
 * removed afterwards (in /tmp, or where TEST_DIR says, to try another file system):
 * so a case may crash, hang, leave children, change the directory or the signal mask.  Running the program without arguments runs all
 * cases, with arguments those whose names are given; -l lists them.  Output is one
 * line per case:
 *
 *	ok CASE
 *	skip CASE: why
 *	not ok CASE: file.c:12: what did not hold
 *
 * The harness relies on fork, wait, kill, pipes, poll and tmpfs and little else:
 * it has to work when most things do not.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct harness_case {
	const char *name;
	void (*run)(void);
	unsigned int seconds;
	struct harness_case *next;
};

/* In the order of the file: constructors of one file run top down. */
static struct harness_case *harness_first, **harness_last = &harness_first;

/* In a case: where its verdict goes. */
static int harness_verdict = -1;

#define TEST_SECONDS(case_name, limit)						\
	static void case_name(void);						\
	static struct harness_case harness_##case_name = {			\
		.name = #case_name, .run = case_name, .seconds = (limit),	\
	};									\
	__attribute__((constructor)) static void harness_add_##case_name(void)	\
	{									\
		*harness_last = &harness_##case_name;				\
		harness_last = &harness_##case_name.next;			\
	}									\
	static void case_name(void)

/* A case, with the usual limit of time (of an emulated machine). */
#define TEST(case_name)	TEST_SECONDS(case_name, 20)

/* End the case with a verdict: "not ok" or "skip". Works in threads and children too. */
static void __attribute__((noreturn, format(printf, 2, 3), unused))
harness_end(int status, const char *format, ...)
{
	char text[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len > (int)sizeof(text) - 1)
		len = sizeof(text) - 1;
	for (int i = 0; i < len; i++)
		if (text[i] == '\n')
			text[i] = ' ';
	if (write(harness_verdict, text, (size_t)len) != len)
		_exit(99);
	_exit(status);
}

#define HARNESS_FAILED	1
#define HARNESS_SKIPPED	77

/* errno is kept for the message; the conditions of the checks are evaluated once. */
#define CHECK(condition) do {								\
	if (!(condition))								\
		harness_end(HARNESS_FAILED, "%s:%d: %s (errno %d, %s)", __FILE_NAME__,	\
			    __LINE__, #condition, errno, strerror(errno));		\
} while (0)

#define CHECK_EQ(got, wanted) do {							\
	long long harness_got = (long long)(got), harness_wanted = (long long)(wanted);	\
	if (harness_got != harness_wanted)						\
		harness_end(HARNESS_FAILED, "%s:%d: %s is %lld, not %s (%lld) (errno %d, %s)",	\
			    __FILE_NAME__, __LINE__, #got, harness_got, #wanted,	\
			    harness_wanted, errno, strerror(errno));			\
} while (0)

/* The call fails (returns -1) with this errno. */
#define CHECK_ERRNO(call, wanted) do {							\
	long long harness_got;								\
	errno = 0;									\
	harness_got = (long long)(call);						\
	if (harness_got != -1 || errno != (wanted))					\
		harness_end(HARNESS_FAILED, "%s:%d: %s is %lld, errno %d (%s); wanted -1, %s",	\
			    __FILE_NAME__, __LINE__, #call, harness_got, errno,		\
			    strerror(errno), #wanted);					\
} while (0)

/* The call succeeds (does not return -1). */
#define CHECK_OK(call) do {								\
	if ((long long)(call) == -1)							\
		harness_end(HARNESS_FAILED, "%s:%d: %s failed: errno %d, %s",		\
			    __FILE_NAME__, __LINE__, #call, errno, strerror(errno));	\
} while (0)

#define CHECK_STR(got, wanted) do {							\
	const char *harness_got = (got), *harness_wanted = (wanted);			\
	if (strcmp(harness_got, harness_wanted) != 0)					\
		harness_end(HARNESS_FAILED, "%s:%d: %s is \"%s\", not \"%s\"", __FILE_NAME__,	\
			    __LINE__, #got, harness_got, harness_wanted);		\
} while (0)

#define SKIP(...)	harness_end(HARNESS_SKIPPED, __VA_ARGS__)

#define CHECK_ROOT() do {					\
	if (geteuid() != 0)					\
		SKIP("only root may do this");			\
} while (0)

/*
 * Run the statement in a child and check that it ends with exit status 0, unless
 * the child ended the case itself by a check that failed.
 */
#define IN_CHILD(statement) do {						\
	pid_t harness_child = fork();						\
	CHECK(harness_child >= 0);						\
	if (harness_child == 0) {						\
		statement;							\
		_exit(0);							\
	}									\
	harness_reap(harness_child, __FILE_NAME__, __LINE__);			\
} while (0)

static void __attribute__((unused)) harness_reap(pid_t pid, const char *file, int line)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		harness_end(HARNESS_FAILED, "%s:%d: lost the child", file, line);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == HARNESS_FAILED ||
				  WEXITSTATUS(status) == HARNESS_SKIPPED))
		_exit(WEXITSTATUS(status));	/* it has told why */
	harness_end(HARNESS_FAILED, "%s:%d: the child ended with wait status 0x%x", file, line, status);
}

/* The rest is the harness's own. */

static int harness_remove(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	remove(path);
	return 0;
}

static double harness_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void __attribute__((noreturn)) harness_child(const struct harness_case *test, int verdict,
						    const char *dir)
{
	setpgid(0, 0);
	/* Who started us may have had some ignored: a shell in the background, nohup. */
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	/* Out of the way of the low numbers that cases expect to be free. */
	harness_verdict = fcntl(verdict, F_DUPFD_CLOEXEC, 200);
	close(verdict);
	if (harness_verdict < 0 || chdir(dir) < 0)
		_exit(98);
	umask(022);
	alarm(test->seconds);
	errno = 0;
	test->run();
	_exit(0);
}

/* Wait for the case, and no longer than its time and some; true if it ended by itself. */
static bool harness_wait(pid_t pid, unsigned int seconds, int *status)
{
	double deadline = harness_now() + seconds + 3;
	struct timespec pause = { .tv_nsec = 200 * 1000 };

	while (waitpid(pid, status, WNOHANG) != pid) {
		if (harness_now() > deadline) {
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			waitpid(pid, status, 0);
			return false;
		}
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 10 * 1000 * 1000)
			pause.tv_nsec *= 2;
	}
	kill(-pid, SIGKILL);
	return true;
}

/* Run one case; true unless it failed. */
static bool harness_run(const struct harness_case *test)
{
	const char *top = getenv("TEST_DIR");
	char dir[256], text[600] = "";
	int verdict[2], status = 0;
	bool ended, fine = false;
	ssize_t len;
	pid_t pid;

	snprintf(dir, sizeof(dir), "%s/test-XXXXXX", top ? top : "/tmp");
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0 || pipe2(verdict, O_CLOEXEC) < 0) {
		printf("not ok %s: the harness cannot set the case up: %s\n", test->name,
		       strerror(errno));
		return false;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(verdict[0]);
		harness_child(test, verdict[1], dir);
	}
	close(verdict[1]);
	if (pid < 0) {
		close(verdict[0]);
		printf("not ok %s: the harness cannot fork: %s\n", test->name, strerror(errno));
		return false;
	}
	setpgid(pid, pid);
	ended = harness_wait(pid, test->seconds, &status);
	fcntl(verdict[0], F_SETFL, O_NONBLOCK);
	len = read(verdict[0], text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	close(verdict[0]);

	if (!ended)
		printf("not ok %s: hung, and its alarm did not end it\n", test->name);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("not ok %s: not done after %u s\n", test->name, test->seconds);
	else if (WIFSIGNALED(status))
		printf("not ok %s: killed by signal %d (%s)\n", test->name, WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == HARNESS_SKIPPED)
		printf("skip %s: %s\n", test->name, text);
	else if (WEXITSTATUS(status) != 0)
		printf("not ok %s: %s (exit status %d)\n", test->name, text, WEXITSTATUS(status));
	else if (text[0])
		printf("not ok %s: %s\n", test->name, text);	/* a thread or child said so */
	else
		printf("ok %s\n", test->name);
	fine = ended && WIFEXITED(status) && !(text[0] && WEXITSTATUS(status) == 0) &&
	       (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == HARNESS_SKIPPED);
	fflush(stdout);
	nftw(dir, harness_remove, 8, FTW_DEPTH | FTW_PHYS);
	return fine;
}

static bool harness_wanted(const char *name, int argc, char **argv)
{
	if (argc < 2)
		return true;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	bool list = argc > 1 && strcmp(argv[1], "-l") == 0;
	bool fine = true;

	for (const struct harness_case *test = harness_first; test; test = test->next) {
		if (list)
			printf("%s\n", test->name);
		else if (harness_wanted(test->name, argc, argv))
			fine = harness_run(test) && fine;
	}
	return fine ? 0 : 1;
}
