/* SPDX-License-Identifier: MIT */
/* ptrace: breakpoints in the debug registers. */
#include "ptrace.h"

#include <stddef.h>
#include <sys/user.h>
#include <sys/utsname.h>

static volatile long watched[2];
static volatile int written;

__attribute__((noinline)) static void landmark(void)
{
	__asm__ volatile("" : : : "memory");
}

static void write_what_is_watched(void)
{
	watched[1] = 7;
	watched[0] = 8;
	landmark();
	landmark();
	_exit(watched[0] == 8 ? 0 : 1);
}

static long debug_offset(int i)
{
	return (long)offsetof(struct user, u_debugreg[0]) + i * 8;
}

static long set_debug(pid_t child, int i, unsigned long v)
{
	return ptrace(PTRACE_POKEUSER, child, debug_offset(i), v);
}

static unsigned long get_debug(pid_t child, int i)
{
	errno = 0;
	return (unsigned long)ptrace(PTRACE_PEEKUSER, child, debug_offset(i), 0);
}

/* Local enable of number @i, with the type and length bits of DR7. */
static unsigned long enable(int i, unsigned long type, unsigned long length)
{
	return 1ul << (2 * i) | (length << 2 | type) << (16 + 4 * i);
}

static siginfo_t trapped(pid_t child, int status)
{
	siginfo_t info = { 0 };

	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	CHECK_OK(ptrace(PTRACE_GETSIGINFO, child, 0, &info));
	return info;
}

/* A machine whose hypervisor keeps its debug registers to itself. */
static bool has_breakpoints(pid_t child)
{
	return set_debug(child, 0, (uintptr_t)watched) == 0 && set_debug(child, 7, enable(0, 1, 2)) == 0;
}

/*
 * The debug registers of some virtual machines can be set and never trap.  That is for Linux to say of the
 * machine that it runs on: Concord's own are to work.
 */
static void require_breakpoints(void)
{
	struct utsname name;
	pid_t child;
	int status;

	CHECK_OK(uname(&name));
	if (strstr(name.release, "concord"))
		return;
	child = traced(write_what_is_watched);
	CHECK(has_breakpoints(child));
	status = go(child, PTRACE_CONT, 0);
	if (WIFEXITED(status))
		SKIP("this machine's debug registers do not trap");
	CHECK_OK(set_debug(child, 7, 0));
	finish(child);
}

TEST(data_breakpoint_stops_after_the_write)
{
	pid_t child;

	require_breakpoints();
	child = traced(write_what_is_watched);
	CHECK(has_breakpoints(child));
	CHECK_EQ(get_debug(child, 0), (uintptr_t)watched);
	CHECK_EQ(get_debug(child, 7), enable(0, 1, 2));
	CHECK_EQ(get_debug(child, 6), 0xffff0ff0);
	siginfo_t info = trapped(child, go(child, PTRACE_CONT, 0));
	CHECK_EQ(info.si_code, TRAP_HWBKPT);
	CHECK_EQ(get_debug(child, 6), 0xffff0ff1);
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, child, &watched[0], 0), 8);
	finish(child);
}

TEST(execution_breakpoint_stops_before_the_instruction_each_time)
{
	struct user_regs_struct regs;
	pid_t child;

	require_breakpoints();
	child = traced(write_what_is_watched);
	CHECK_OK(set_debug(child, 2, (uintptr_t)landmark));
	CHECK_OK(set_debug(child, 7, enable(2, 0, 0)));
	for (int i = 0; i < 2; i++) {
		siginfo_t info = trapped(child, go(child, PTRACE_CONT, 0));

		CHECK_EQ(info.si_code, TRAP_HWBKPT);
		CHECK_EQ(get_debug(child, 6), 0xffff0ff4);
		CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
		CHECK_EQ(regs.rip, (uintptr_t)landmark);
	}
	finish(child);
}

TEST(breakpoints_that_there_are_not_are_refused)
{
	pid_t child = traced(nothing);

	CHECK_ERRNO(set_debug(child, 0, 0xffffffff80000000), EINVAL);
	CHECK_ERRNO(set_debug(child, 1, ~0ul), EINVAL);
	CHECK_OK(set_debug(child, 0, (uintptr_t)watched + 1));
	CHECK_ERRNO(set_debug(child, 7, enable(0, 1, 3)), EINVAL);	/* misaligned */
	CHECK_ERRNO(set_debug(child, 7, enable(0, 0, 1)), EINVAL);	/* execution of two bytes */
	CHECK_ERRNO(set_debug(child, 7, enable(0, 2, 0)), EINVAL);	/* I/O */
	CHECK_EQ(get_debug(child, 7), 0);
	CHECK_OK(set_debug(child, 7, enable(0, 1, 0)));
	CHECK_ERRNO(set_debug(child, 4, 1), EIO);
	CHECK_ERRNO(set_debug(child, 5, 1), EIO);
	CHECK_EQ(get_debug(child, 4), 0);
	CHECK_OK(set_debug(child, 7, 0));
	finish(child);
}

static int watched_pipe[2];

static void read_into_what_is_watched(void)
{
	char c = 9;

	if (pipe(watched_pipe) < 0 || write(watched_pipe[1], &c, 1) != 1)
		_exit(2);
	if (read(watched_pipe[0], (void *)watched, 1) != 1)
		_exit(3);
	written = 1;
	_exit(watched[0] == 9 ? 0 : 4);
}

TEST(what_the_kernel_writes_for_a_program_is_no_hit)
{
	pid_t child;

	require_breakpoints();
	child = traced(read_into_what_is_watched);
	CHECK_OK(set_debug(child, 0, (uintptr_t)watched));
	CHECK_OK(set_debug(child, 1, (uintptr_t)&written));
	CHECK_OK(set_debug(child, 7, enable(0, 1, 0) | enable(1, 1, 3)));
	trapped(child, go(child, PTRACE_CONT, 0));
	CHECK_EQ(get_debug(child, 6) & 0xf, 2);
	finish(child);
}

static void fork_and_write(void)
{
	sigset_t chld;
	int status;
	pid_t child;

	/* The tracer would see it come. */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	child = fork();
	if (!child)
		write_what_is_watched();
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
		_exit(1);
}

TEST(breakpoints_are_not_inherited)
{
	pid_t child = traced(fork_and_write);

	CHECK(has_breakpoints(child));
	finish(child);
}

static void spin_for_a_while(void)
{
	for (volatile int i = 0; i < 3000000; i++)
		;
}

TEST(breakpoints_are_of_one_task)
{
	pid_t bystander = fork();

	if (!bystander) {
		for (;;)
			watched[0]++;
	}
	pid_t child = traced(spin_for_a_while);
	int status;

	CHECK(has_breakpoints(child));
	finish(child);
	CHECK_OK(kill(bystander, SIGKILL));
	CHECK_EQ(waitpid(bystander, &status, 0), bystander);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
