/* SPDX-License-Identifier: MIT */
/* Signals, and the life of processes. */

#include <signal.h>
#include <sys/wait.h>

#include "bench.h"

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	(void)number;
	caught++;
}

static void run_install(uint64_t count)
{
	struct sigaction action = { .sa_handler = on_signal };

	while (count--)
		MUST(sigaction(SIGUSR1, &action, NULL) == 0);
}

static void install(void)
{
	run_install(1);
}

static void run_deliver(uint64_t count)
{
	pid_t self = getpid();

	while (count--)
		MUST(kill(self, SIGUSR1) == 0);
}

static void reap(pid_t pid)
{
	int status;

	MUST(pid > 0);
	MUST(waitpid(pid, &status, 0) == pid);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void run_fork(uint64_t count)
{
	while (count--) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		reap(pid);
	}
}

static void spawn(uint64_t count, char **argv)
{
	char *env[] = { "PATH=/usr/bin:/bin", NULL };

	while (count--) {
		pid_t pid = fork();

		if (pid == 0) {
			execve(argv[0], argv, env);
			_exit(1);
		}
		reap(pid);
	}
}

static void run_exec_static(uint64_t count)
{
	spawn(count, (char *[]){ "/perf/perf-true", NULL });
}

static void run_exec_dynamic(uint64_t count)
{
	spawn(count, (char *[]){ "/bin/true", NULL });
}

static void run_shell(uint64_t count)
{
	spawn(count, (char *[]){ "/bin/sh", "-c", "/bin/true", NULL });
}

ROW(signal_install, .name = "signal-install", .unit = "sigaction", .run = run_install,
    .fixed_count = 2000)
ROW(signal_deliver, .name = "signal-deliver", .unit = "kill of itself, handler and return",
    .run = run_deliver, .prepare = install, .fixed_count = 1000)
ROW(fork_exit, .name = "fork", .unit = "fork, exit, wait", .run = run_fork, .fixed_count = 60)
ROW(exec_static, .name = "exec-static", .unit = "fork, exec of a static program, wait",
    .run = run_exec_static, .fixed_count = 30)
ROW(exec_dynamic, .name = "exec-dynamic", .unit = "fork, exec of /bin/true, wait",
    .run = run_exec_dynamic, .fixed_count = 20)
ROW(shell, .name = "sh", .unit = "fork, exec of sh -c /bin/true, wait", .run = run_shell,
    .fixed_count = 12)
