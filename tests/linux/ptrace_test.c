/* SPDX-License-Identifier: MIT */
/* ptrace: what debuggers and strace do. */
#include "ptrace.h"

#include <elf.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

static volatile long marker = 1111;

static void check_marker(void)
{
	_exit(marker == 2222 ? 0 : 1);
}

TEST(traceme_stops_at_signals)
{
	finish(traced(nothing));
}

TEST(memory_can_be_read_and_written)
{
	pid_t child = traced(check_marker);

	errno = 0;
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, child, &marker, 0), 1111);
	CHECK_OK(ptrace(PTRACE_POKEDATA, child, &marker, 2222));
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, child, &marker, 0), 2222);
	CHECK_EQ(marker, 1111);
	CHECK_ERRNO(ptrace(PTRACE_PEEKDATA, child, 8, 0), EIO);
	finish(child);
}

TEST(code_can_be_written_although_read_only)
{
	pid_t child = traced(check_marker);
	long word = ptrace(PTRACE_PEEKTEXT, child, check_marker, 0);

	CHECK_OK(ptrace(PTRACE_POKETEXT, child, check_marker, (word & ~0xffL) | 0xcc));
	int status = go(child, PTRACE_CONT, 0);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	struct user_regs_struct regs;
	CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
	CHECK_EQ(regs.rip, (uintptr_t)check_marker + 1);
	CHECK_OK(ptrace(PTRACE_POKETEXT, child, check_marker, word));
	CHECK_OK(ptrace(PTRACE_POKEDATA, child, &marker, 2222));
	regs.rip--;
	CHECK_OK(ptrace(PTRACE_SETREGS, child, 0, &regs));
	finish(child);
}

TEST(requests_need_a_stopped_tracee_of_ours)
{
	pid_t child = fork();

	if (!child) {
		pause();
		_exit(0);
	}
	CHECK_ERRNO(ptrace(PTRACE_CONT, child, 0, 0), ESRCH);
	CHECK_ERRNO(ptrace(PTRACE_PEEKDATA, child, &marker, 0), ESRCH);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, 4000000, 0, 0), ESRCH);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
	CHECK_OK(ptrace(PTRACE_SEIZE, child, 0, 0));
	CHECK_ERRNO(ptrace(PTRACE_CONT, child, 0, 0), ESRCH);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, child, 0, 0), EPERM);
}

static void three_calls(void)
{
	syscall(SYS_getpid);
	syscall(SYS_close, 77);
	syscall(SYS_getuid);
}

TEST(syscall_stops_come_in_pairs)
{
	pid_t child = traced(three_calls);
	struct user_regs_struct regs;
	long numbers[3], results[3];
	int status;

	CHECK_OK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD));
	/* The first stops may be the rest of raise(). */
	for (int i = 0; i < 3;) {
		status = go(child, PTRACE_SYSCALL, 0);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80));
		CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
		long nr = (long)regs.orig_rax;
		bool entry = (long)regs.rax == -ENOSYS;

		if (nr != SYS_getpid && nr != SYS_close && nr != SYS_getuid)
			continue;
		CHECK(entry);
		status = go(child, PTRACE_SYSCALL, 0);
		CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
		numbers[i] = nr;
		results[i++] = (long)regs.rax;
	}
	CHECK_EQ(numbers[0], SYS_getpid);
	CHECK_EQ(results[0], child);
	CHECK_EQ(results[1], -EBADF);
	CHECK_EQ(results[2], getuid());
	finish(child);
}

static void ask_pid(void)
{
	_exit(syscall(SYS_getpid) == 4242 ? 0 : 1);
}

TEST(calls_can_be_replaced)
{
	pid_t child = traced(ask_pid);
	struct user_regs_struct regs;

	do {
		go(child, PTRACE_SYSCALL, 0);
		CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
	} while (regs.orig_rax != SYS_getpid);
	regs.orig_rax = (unsigned long)-1;		/* no call at all */
	CHECK_OK(ptrace(PTRACE_SETREGS, child, 0, &regs));
	go(child, PTRACE_SYSCALL, 0);
	CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
	CHECK_EQ((long)regs.rax, -ENOSYS);
	regs.rax = 4242;
	CHECK_OK(ptrace(PTRACE_SETREGS, child, 0, &regs));
	finish(child);
}

TEST(get_syscall_info)
{
	pid_t child = traced(three_calls);
	struct __ptrace_syscall_info info;

	CHECK_OK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD));
	CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) > 0);
	CHECK_EQ(info.op, PTRACE_SYSCALL_INFO_NONE);
	do {
		go(child, PTRACE_SYSCALL, 0);
		CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) > 0);
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_close);
	CHECK_EQ(info.entry.args[0], 77);
	CHECK_EQ(info.arch, 0xc000003e);
	go(child, PTRACE_SYSCALL, 0);
	CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) > 0);
	CHECK_EQ(info.op, PTRACE_SYSCALL_INFO_EXIT);
	CHECK_EQ(info.exit.rval, -EBADF);
	CHECK_EQ(info.exit.is_error, 1);
	finish(child);
}

TEST(single_steps)
{
	pid_t child = traced(nothing);
	struct user_regs_struct a, b;
	siginfo_t info;
	int status, moved = 0;

	CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &a));
	for (int i = 0; i < 20; i++) {
		status = go(child, PTRACE_SINGLESTEP, 0);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &b));
		moved += a.rip != b.rip;
		a = b;
	}
	CHECK(moved >= 18);
	CHECK_OK(ptrace(PTRACE_GETSIGINFO, child, 0, &info));
	CHECK_EQ(info.si_signo, SIGTRAP);
	CHECK(!(b.eflags & 0x100));
	finish(child);
}

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	handled = sig;
}

static void raise_usr1(void)
{
	signal(SIGUSR1, handler);
	signal(SIGUSR2, handler);
	raise(SIGUSR1);
	_exit(handled);
}

TEST(signals_can_be_swallowed_changed_and_passed)
{
	int wanted[3] = { 0, SIGUSR2, SIGUSR1 };

	for (int i = 0; i < 3; i++) {
		pid_t child = traced(raise_usr1);
		int status = go(child, PTRACE_CONT, 0);

		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
		status = go(child, PTRACE_CONT, wanted[i]);
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), wanted[i]);
	}
}

TEST(siginfo_can_be_read_and_changed)
{
	pid_t child = traced(raise_usr1);
	siginfo_t info;

	go(child, PTRACE_CONT, 0);
	CHECK_OK(ptrace(PTRACE_GETSIGINFO, child, 0, &info));
	CHECK_EQ(info.si_signo, SIGUSR1);
	CHECK_EQ(info.si_pid, child);
	CHECK_OK(ptrace(PTRACE_SETSIGINFO, child, 0, &info));
	CHECK_EQ(WEXITSTATUS(go(child, PTRACE_CONT, SIGUSR1)), SIGUSR1);
}

TEST(regsets)
{
	pid_t child = traced(nothing);
	struct user_regs_struct regs, again;
	struct iovec iov = { &regs, sizeof(regs) };
	char xstate[4096];

	CHECK_OK(ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &iov));
	CHECK_EQ(iov.iov_len, sizeof(regs));
	CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &again));
	CHECK(memcmp(&regs, &again, sizeof(regs)) == 0);
	CHECK_EQ(regs.cs, 0x33);
	CHECK_EQ(regs.ss, 0x2b);
	iov = (struct iovec){ xstate, sizeof(xstate) };
	CHECK_OK(ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &iov));
	CHECK(iov.iov_len >= 576);
	CHECK_OK(ptrace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &iov));
	iov = (struct iovec){ xstate, sizeof(xstate) };
	CHECK_OK(ptrace(PTRACE_GETREGSET, child, NT_FPREGSET, &iov));
	CHECK_EQ(iov.iov_len, 512);
	CHECK_ERRNO(ptrace(PTRACE_GETREGSET, child, 0x7777, &iov), EINVAL);
	finish(child);
}

TEST(peekuser_reads_registers)
{
	pid_t child = traced(nothing);
	struct user_regs_struct regs;

	CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
	errno = 0;
	CHECK_EQ(ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, rip), 0), regs.rip);
	CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, child, 3, 0), EIO);
	CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, child, 100000, 0), EIO);
	finish(child);
}

/* -- attach, seize, detach ------------------------------------------------------------------- */

static pid_t sleeper(void)
{
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	usleep(20000);
	return child;
}

TEST(attach_stops_and_detach_lets_go)
{
	pid_t child = sleeper();
	int status;

	CHECK_OK(ptrace(PTRACE_ATTACH, child, 0, 0));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK_OK(ptrace(PTRACE_DETACH, child, 0, 0));
	CHECK_ERRNO(ptrace(PTRACE_CONT, child, 0, 0), ESRCH);
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
}

TEST(detach_may_deliver_a_signal)
{
	pid_t child = sleeper();
	int status;

	CHECK_OK(ptrace(PTRACE_ATTACH, child, 0, 0));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_OK(ptrace(PTRACE_DETACH, child, 0, SIGTERM));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST(seize_does_not_stop_but_interrupt_does)
{
	pid_t child = sleeper();
	int status;

	CHECK_OK(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD));
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	CHECK_OK(ptrace(PTRACE_INTERRUPT, child, 0, 0));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_STOP << 8);
	CHECK_OK(ptrace(PTRACE_CONT, child, 0, 0));
	usleep(10000);
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
}

TEST(group_stop_of_a_seized_process)
{
	pid_t child = sleeper();
	int status;

	CHECK_OK(ptrace(PTRACE_SEIZE, child, 0, 0));
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, 0), child);	/* the signal */
	CHECK_EQ(status >> 8, SIGSTOP);
	CHECK_OK(ptrace(PTRACE_CONT, child, 0, SIGSTOP));
	CHECK_EQ(waitpid(child, &status, 0), child);	/* the stop */
	CHECK_EQ(status >> 8, SIGSTOP | PTRACE_EVENT_STOP << 8);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
}

/* -- events ------------------------------------------------------------------------------------- */

static void forks(void)
{
	pid_t child = fork();

	if (!child)
		_exit(3);
	waitpid(child, NULL, 0);
}

TEST(fork_event_and_the_new_tracee)
{
	pid_t child = traced(forks), second;
	unsigned long message;
	int status;

	CHECK_OK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEFORK));
	status = go(child, PTRACE_CONT, 0);
	CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_FORK << 8);
	CHECK_OK(ptrace(PTRACE_GETEVENTMSG, child, 0, &message));
	second = (pid_t)message;
	CHECK_EQ(waitpid(second, &status, __WALL), second);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK_OK(ptrace(PTRACE_CONT, child, 0, 0));
	status = go(second, PTRACE_CONT, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	CHECK_EQ(waitpid(child, &status, 0), child);
	if (WIFSTOPPED(status))		/* SIGCHLD */
		status = go(child, PTRACE_CONT, 0);
	CHECK(WIFEXITED(status));
}

static void execs(void)
{
	execl("/proc/self/exe", "x", "-l", NULL);
	_exit(1);
}

TEST(exec_is_a_sigtrap_or_an_event)
{
	pid_t child = traced(execs);
	int status;

	if (access("/proc/self/exe", X_OK) < 0)
		SKIP("no /proc");
	status = go(child, PTRACE_CONT, 0);
	CHECK_EQ(status >> 8, SIGTRAP);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = traced(execs);
	CHECK_OK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXEC));
	status = go(child, PTRACE_CONT, 0);
	CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_EXEC << 8);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void exits(void)
{
	_exit(5);
}

TEST(exit_event_comes_before_the_end)
{
	pid_t child = traced(exits);
	unsigned long message;
	int status;

	CHECK_OK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT));
	status = go(child, PTRACE_CONT, 0);
	CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
	CHECK_OK(ptrace(PTRACE_GETEVENTMSG, child, 0, &message));
	CHECK_EQ(message, 5 << 8);
	status = go(child, PTRACE_CONT, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

TEST(exitkill_takes_the_tracees_along)
{
	int fd[2];
	pid_t child;
	char c;

	CHECK_OK(pipe(fd));
	child = fork();
	if (!child) {
		pid_t tracee = sleeper();

		close(fd[0]);
		ptrace(PTRACE_SEIZE, tracee, 0, PTRACE_O_EXITKILL);
		_exit(0);
	}
	close(fd[1]);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	CHECK_EQ(read(fd[0], &c, 1), 0);	/* the tracee held the other end */
}

TEST(tracee_of_a_dead_tracer_goes_on)
{
	int fd[2], go_on[2];
	pid_t tracer;
	char c;

	CHECK_OK(pipe(fd));
	CHECK_OK(pipe(go_on));
	tracer = fork();
	if (!tracer) {
		pid_t tracee = fork();

		if (!tracee) {
			read(go_on[0], &c, 1);
			write(fd[1], "x", 1);
			_exit(0);
		}
		ptrace(PTRACE_ATTACH, tracee, 0, 0);
		waitpid(tracee, NULL, 0);
		_exit(0);
	}
	CHECK_EQ(waitpid(tracer, NULL, 0), tracer);
	CHECK_EQ(write(go_on[1], "g", 1), 1);
	CHECK_EQ(read(fd[0], &c, 1), 1);
}

TEST(options_are_checked)
{
	pid_t child = traced(nothing);

	CHECK_ERRNO(ptrace(PTRACE_SETOPTIONS, child, 0, 1 << 25), EINVAL);
	CHECK_ERRNO(ptrace(PTRACE_CONT, child, 0, 100), EIO);
	CHECK_ERRNO(ptrace(12345, child, 0, 0), EIO);
	finish(child);
}

/* What strace does with the program that it starts. */
TEST(seized_while_stopped_it_goes_on_after_sigcont)
{
	for (int i = 0; i < 50; i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			raise(SIGSTOP);
			_exit(7);
		}
		CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
		CHECK(WIFSTOPPED(status));
		CHECK_OK(ptrace(PTRACE_SEIZE, child, 0, 0));
		CHECK_OK(kill(child, SIGCONT));
		while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status)) {
			int event = status >> 16, sig = WSTOPSIG(status);

			if (event == PTRACE_EVENT_STOP && sig == SIGSTOP)
				CHECK_OK(ptrace(PTRACE_LISTEN, child, 0, 0));
			else
				CHECK_OK(ptrace(PTRACE_CONT, child, 0, event ? 0 : sig));
		}
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	}
}
