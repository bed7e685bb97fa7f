/* SPDX-License-Identifier: MIT */
/* Steps of ptrace_test and ptrace_breakpoint_test. */
#pragma once

#include "helpers.h"

#include <sys/ptrace.h>

/* A child that is traced from its start and stopped by its own SIGSTOP. */
HELPER pid_t traced(void (*body)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(90);
		raise(SIGSTOP);
		body();
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	return child;
}

/* Resume and wait for the next stop or end. */
HELPER int go(pid_t child, int request, int sig)
{
	int status;

	CHECK_OK(ptrace(request, child, 0, sig));
	CHECK_EQ(waitpid(child, &status, __WALL), child);
	return status;
}

HELPER void finish(pid_t child)
{
	int status = go(child, PTRACE_CONT, 0);

	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

HELPER void nothing(void)
{
}
