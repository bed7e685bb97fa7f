/* SPDX-License-Identifier: MIT */
/* Filters on system calls: seccomp(2), prctl(2) PR_SET_SECCOMP. */

#include "harness.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <pthread.h>
#include <ucontext.h>

/* An address that the compiler must not see through. */
static void *volatile bad = (void *)8;

#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(what)	BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW		RET(SECCOMP_RET_ALLOW)
#define SKIP_UNLESS(v, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (v), 0, (n))
/* @what for the call @nr, all others are allowed. */
#define FILTER_CALL(call, what)	LOAD(nr), SKIP_UNLESS((call), 1), RET(what), ALLOW

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define APPLY(...) ({							\
	struct sock_filter code_[] = { __VA_ARGS__ };			\
	struct sock_fprog prog_ = { LENGTH(code_), code_ };		\
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog_);		\
})
#define APPLY_FLAGS(flags, ...) ({					\
	struct sock_filter code_[] = { __VA_ARGS__ };			\
	struct sock_fprog prog_ = { LENGTH(code_), code_ };		\
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (flags), &prog_);	\
})

static void no_new_privs(void)
{
	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* How a child that runs the statement ends: its wait status. */
#define STATUS_OF(statement) ({					\
	int status_ = -1;					\
	pid_t child_ = fork();					\
	CHECK(child_ >= 0);					\
	if (!child_) {						\
		statement;					\
		_exit(0);					\
	}							\
	CHECK(waitpid(child_, &status_, 0) == child_);		\
	status_;						\
})

static bool killed_by(int status, int signo)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == signo;
}

/* -- arguments ------------------------------------------------------------------------- */

TEST(seccomp_checks_its_arguments)
{
	struct sock_filter allow[] = { ALLOW };
	struct sock_fprog none = { 0, allow }, null = { 1, NULL }, far = { 1, bad };

	no_new_privs();
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
	CHECK_ERRNO(syscall(SYS_seccomp, 99, 0, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, &none), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, bad), EFAULT);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &none), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &null), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &far), EFAULT);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1 << 20, &none), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_SECCOMP, 3, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_SECCOMP, 0, 0), EINVAL);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
}

TEST(seccomp_needs_no_new_privs_or_root)
{
	if (geteuid() == 0)
		CHECK_OK(setresuid(65534, 65534, 65534));
	CHECK_ERRNO(APPLY(ALLOW), EACCES);
	no_new_privs();
	CHECK_OK(APPLY(ALLOW));
	CHECK_EQ(prctl(PR_GET_SECCOMP), SECCOMP_MODE_FILTER);
	CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), EINVAL);
}

TEST(seccomp_says_which_actions_there_are)
{
	unsigned int action = SECCOMP_RET_ERRNO;

	CHECK_OK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	action = SECCOMP_RET_KILL_PROCESS;
	CHECK_OK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	action = 0x12340000;
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &action), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL), EFAULT);
}

#define REFUSED(...) CHECK_ERRNO(APPLY(__VA_ARGS__), EINVAL)

TEST(filters_are_checked)
{
	no_new_privs();
	REFUSED(LOAD(nr));						/* no end */
	REFUSED(BPF_STMT(BPF_JMP | BPF_JA, 1), ALLOW);			/* jump out of it */
	REFUSED(BPF_STMT(BPF_JMP | BPF_JA, ~0u), ALLOW);
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), ALLOW);
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 255), ALLOW);
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW);		/* not aligned */
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW);		/* beyond the data */
	REFUSED(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), ALLOW);		/* half a word */
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ALLOW);
	REFUSED(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW);
	REFUSED(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), ALLOW);
	REFUSED(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW);
	REFUSED(BPF_STMT(BPF_ST, 16), ALLOW);
	REFUSED(BPF_STMT(BPF_LD | BPF_MEM, 3), ALLOW);			/* never stored */
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LD | BPF_MEM, 3), ALLOW);			/* not on every way */
	REFUSED(BPF_STMT(0xffff, 0), ALLOW);
	REFUSED(BPF_STMT(BPF_RET | BPF_X, 0));
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
}

TEST(filters_have_a_limit_of_length)
{
	static struct sock_filter code[4097];
	struct sock_fprog prog = { 4097, code };
	int n = 0;

	no_new_privs();
	for (int i = 0; i < 4096; i++)
		code[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
	code[4095] = code[4096] = (struct sock_filter)ALLOW;
	CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), EINVAL);
	prog.len = 4096;
	/* All of a task's filters together: 32768 instructions, four counted for each filter. */
	while (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0 && n < 100)
		n++;
	CHECK_EQ(errno, ENOMEM);
	CHECK_EQ(n, 7);
}

/* -- what filters see and do ------------------------------------------------------------ */

TEST(filter_answers_with_an_errno)
{
	no_new_privs();
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_ERRNO | EDOM)));
	CHECK_ERRNO(syscall(SYS_getppid), EDOM);
	CHECK(getpid() > 0);
	CHECK_OK(APPLY(FILTER_CALL(SYS_getuid, SECCOMP_RET_ERRNO | 0xffff)));
	CHECK_EQ(syscall(SYS_getuid), -1);
	CHECK_EQ(errno, 4095);
	CHECK_OK(APPLY(FILTER_CALL(SYS_getgid, SECCOMP_RET_ERRNO | 0)));
	CHECK_EQ(syscall(SYS_getgid), 0);
	/* Calls that do not exist can be filtered, too. */
	CHECK_OK(APPLY(FILTER_CALL(2000, SECCOMP_RET_ERRNO | EXDEV)));
	CHECK_ERRNO(syscall(2000), EXDEV);
	CHECK_ERRNO(syscall(2001), ENOSYS);
}

TEST(filter_sees_the_architecture_and_arguments)
{
	no_new_privs();
	CHECK_OK(APPLY(LOAD(arch), SKIP_UNLESS(AUDIT_ARCH_X86_64, 7),
		       LOAD(nr), SKIP_UNLESS(SYS_lseek, 4),
		       LOAD(args[1]), SKIP_UNLESS(0x12345678, 2),
		       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
		       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1abcdef0, 1, 0),
		       ALLOW, RET(SECCOMP_RET_ERRNO | EBADE)));
	CHECK_ERRNO(syscall(SYS_lseek, -1, 0x1abcdef012345678, 0), EBADE);
	CHECK_ERRNO(syscall(SYS_lseek, -1, 0x1abcdef112345678, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_lseek, -1, 0x12345678, 0), EBADF);
}

/* A filter that computes: the errno of getppid is what it comes to. */
#define COMPUTES(wanted, ...) do {							\
	int computed_ = STATUS_OF(({							\
		no_new_privs();								\
		CHECK_OK(APPLY(LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),	\
			       ALLOW, __VA_ARGS__,					\
			       BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),	\
			       BPF_STMT(BPF_RET | BPF_A, 0)));				\
		CHECK_ERRNO(syscall(SYS_getppid), (wanted));				\
	}));										\
	CHECK_EQ(computed_, 0);								\
} while (0)

#define IMM(k)		BPF_STMT(BPF_LD | BPF_IMM, (k))
#define IMX(k)		BPF_STMT(BPF_LDX | BPF_IMM, (k))
#define ALU_K(op, k)	BPF_STMT(BPF_ALU | (op) | BPF_K, (k))
#define ALU_X(op)	BPF_STMT(BPF_ALU | (op) | BPF_X, 0)

TEST(filters_compute)
{
	COMPUTES(30, IMM(10), ALU_K(BPF_ADD, 20));
	COMPUTES(7, IMM(10), IMX(3), ALU_X(BPF_SUB));
	COMPUTES(21, IMM(7), IMX(3), ALU_X(BPF_MUL));
	COMPUTES(14, IMM(43), ALU_K(BPF_DIV, 3));
	COMPUTES(14, IMM(43), IMX(3), ALU_X(BPF_DIV));
	COMPUTES(5, IMM(0xf5), ALU_K(BPF_AND, 0x0f));
	COMPUTES(0x31, IMM(0x30), IMX(1), ALU_X(BPF_OR));
	COMPUTES(6, IMM(5), ALU_K(BPF_XOR, 3));
	COMPUTES(40, IMM(5), ALU_K(BPF_LSH, 3));
	COMPUTES(5, IMM(40), IMX(3), ALU_X(BPF_RSH));
	COMPUTES(1, IMM(~0u), BPF_STMT(BPF_ALU | BPF_NEG, 0));
	COMPUTES(9, IMM(9), BPF_STMT(BPF_MISC | BPF_TAX, 0), IMM(1), BPF_STMT(BPF_MISC | BPF_TXA, 0));
	COMPUTES(8, IMM(8), BPF_STMT(BPF_ST, 15), IMM(1), BPF_STMT(BPF_LD | BPF_MEM, 15));
	COMPUTES(8, IMX(8), BPF_STMT(BPF_STX, 0), IMX(1), BPF_STMT(BPF_LDX | BPF_MEM, 0),
		 BPF_STMT(BPF_MISC | BPF_TXA, 0));
	COMPUTES(64, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0));
	COMPUTES(64, BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0));
	COMPUTES(2, IMM(1), BPF_STMT(BPF_JMP | BPF_JA, 1), IMM(3), ALU_K(BPF_ADD, 1));
	COMPUTES(2, IMM(5), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 4, 1, 0), IMM(9), IMM(2));
	COMPUTES(5, IMM(5), IMX(5), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 1, 0), IMM(9), ALU_K(BPF_ADD, 0));
	COMPUTES(6, IMM(6), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 1, 0), IMM(9), ALU_K(BPF_ADD, 0));
}

TEST(division_by_nothing_ends_the_filter)
{
	int status = STATUS_OF(({
		no_new_privs();
		CHECK_OK(APPLY(LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0), ALLOW,
			       IMX(0), ALU_X(BPF_DIV), RET(SECCOMP_RET_ERRNO | 1)));
		syscall(SYS_getppid);
	}));

	CHECK(killed_by(status, SIGSYS));
}

TEST(strictest_filter_wins)
{
	no_new_privs();
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_ERRNO | 1)));
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_ERRNO | 2)));
	CHECK_ERRNO(syscall(SYS_getppid), 2);		/* equal: the newer */
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_LOG)));
	CHECK_ERRNO(syscall(SYS_getppid), 2);
	CHECK(killed_by(STATUS_OF(({
		CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_KILL_PROCESS)));
		CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_TRAP)));
		signal(SIGSYS, SIG_IGN);
		syscall(SYS_getppid);
	})), SIGSYS));
}

TEST(filter_can_end_the_program)
{
	CHECK(killed_by(STATUS_OF(({
		no_new_privs();
		signal(SIGSYS, SIG_IGN);
		CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_KILL_PROCESS)));
		syscall(SYS_getppid);
	})), SIGSYS));
	CHECK(killed_by(STATUS_OF(({
		no_new_privs();
		CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_KILL_THREAD)));
		syscall(SYS_getppid);
	})), SIGSYS));
	/* An action that nobody knows. */
	CHECK(killed_by(STATUS_OF(({
		no_new_privs();
		CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, 0x12340000)));
		syscall(SYS_getppid);
	})), SIGSYS));
}

static void *call_getppid(void *arg)
{
	syscall(SYS_getppid);
	_exit(5);
	return NULL;
}

TEST(filter_can_end_a_thread)
{
	int status;

	status = STATUS_OF(({
		pthread_t t;

		no_new_privs();
		CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_KILL_THREAD)));
		CHECK_EQ(pthread_create(&t, NULL, call_getppid, NULL), 0);
		pthread_join(t, NULL);
		_exit(3);
	}));
	CHECK_EQ(status, 3 << 8);
	status = STATUS_OF(({
		pthread_t t;

		no_new_privs();
		CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_KILL_PROCESS)));
		CHECK_EQ(pthread_create(&t, NULL, call_getppid, NULL), 0);
		pthread_join(t, NULL);
		_exit(3);
	}));
	CHECK(killed_by(status, SIGSYS));
}

static volatile int trapped, trap_code, trap_errno, trap_nr;
static volatile unsigned int trap_arch;
static void *volatile trap_addr;

static void on_sigsys(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	trapped++;
	trap_code = info->si_code;
	trap_errno = info->si_errno;
	trap_nr = info->si_syscall;
	trap_arch = info->si_arch;
	trap_addr = info->si_call_addr;
	CHECK_EQ(u->uc_mcontext.gregs[REG_RAX], SYS_getppid);
	CHECK_EQ(u->uc_mcontext.gregs[REG_RIP], (long long)(uintptr_t)trap_addr);
	u->uc_mcontext.gregs[REG_RAX] = 4711;		/* the handler does the call */
}

TEST(filter_can_trap)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	CHECK_OK(sigaction(SIGSYS, &sa, NULL));
	no_new_privs();
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_TRAP | 77)));
	CHECK_EQ(syscall(SYS_getppid), 4711);
	CHECK_EQ(trapped, 1);
	CHECK_EQ(trap_code, 1 /* SYS_SECCOMP */);
	CHECK_EQ(trap_errno, 77);
	CHECK_EQ(trap_nr, SYS_getppid);
	CHECK_EQ(trap_arch, AUDIT_ARCH_X86_64);
	CHECK(killed_by(STATUS_OF(({
		signal(SIGSYS, SIG_IGN);
		syscall(SYS_getppid);
	})), SIGSYS));
	CHECK(killed_by(STATUS_OF(({
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGSYS);
		sigprocmask(SIG_BLOCK, &set, NULL);
		syscall(SYS_getppid);
	})), SIGSYS));
}

/* -- strict mode -------------------------------------------------------------------------- */

TEST(strict_mode_allows_four_calls)
{
	int p[2], status;
	char c;

	CHECK_OK(pipe(p));
	status = STATUS_OF(({
		CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		write(p[1], "x", 1);
		read(p[0], &c, 1);
		syscall(SYS_exit, 6);
	}));
	CHECK_EQ(status, 6 << 8);
	status = STATUS_OF(({
		CHECK_OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL));
		syscall(SYS_getppid);
	}));
	CHECK(killed_by(status, SIGKILL));
	status = STATUS_OF(({
		CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		_exit(0);			/* exit_group is none of them */
	}));
	CHECK(killed_by(status, SIGKILL));
}

/* -- inheritance and threads ---------------------------------------------------------------- */

TEST(filters_survive_fork_and_exec)
{
	static const char script[] = "kill -0 1 2>/dev/null; exit $?";

	no_new_privs();
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_ERRNO | ELNRNG)));
	IN_CHILD(({
		CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
		CHECK_ERRNO(syscall(SYS_getppid), ELNRNG);
	}));
	CHECK_OK(APPLY(FILTER_CALL(SYS_kill, SECCOMP_RET_KILL_PROCESS)));
	CHECK(killed_by(STATUS_OF(({
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(99);
	})), SIGSYS));
}

static pthread_barrier_t barrier;
static volatile long other_result, other_errno, other_nnp;

static void *filtered_thread(void *arg)
{
	if (arg)
		CHECK_OK(APPLY(ALLOW));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	errno = 0;
	other_result = syscall(SYS_getppid);
	other_errno = errno;
	other_nnp = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

TEST(filters_are_for_one_thread)
{
	pthread_t t;

	pthread_barrier_init(&barrier, NULL, 2);
	CHECK_EQ(pthread_create(&t, NULL, filtered_thread, NULL), 0);
	pthread_barrier_wait(&barrier);
	no_new_privs();
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_ERRNO | EDOM)));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	CHECK(other_result > 0);
	CHECK_EQ(other_nnp, 0);
}

TEST(filters_can_be_for_all_threads)
{
	pthread_t t;

	pthread_barrier_init(&barrier, NULL, 2);
	CHECK_EQ(pthread_create(&t, NULL, filtered_thread, NULL), 0);
	pthread_barrier_wait(&barrier);
	no_new_privs();
	CHECK_OK(APPLY_FLAGS(SECCOMP_FILTER_FLAG_TSYNC, FILTER_CALL(SYS_getppid, SECCOMP_RET_ERRNO | EDOM)));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	CHECK_EQ(other_errno, EDOM);
	CHECK_EQ(other_nnp, 1);
}

TEST(threads_with_filters_of_their_own_cannot_be_synchronized)
{
	char path[64];
	pthread_t t;
	long ret;

	no_new_privs();
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK_EQ(pthread_create(&t, NULL, filtered_thread, &barrier), 0);
	pthread_barrier_wait(&barrier);
	ret = APPLY_FLAGS(SECCOMP_FILTER_FLAG_TSYNC, FILTER_CALL(SYS_getppid, SECCOMP_RET_ERRNO | EDOM));
	CHECK(ret > 0 && ret != getpid());
	snprintf(path, sizeof(path), "/proc/self/task/%ld", ret);
	CHECK_OK(access(path, F_OK));
	CHECK_ERRNO(APPLY_FLAGS(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, ALLOW), ESRCH);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
}

TEST(status_shows_the_mode)
{
	char buf[8192] = "";
	int fd;

	no_new_privs();
	CHECK_OK(APPLY(ALLOW));
	CHECK_OK(APPLY(ALLOW));
	fd = open("/proc/self/status", O_RDONLY);
	CHECK(read(fd, buf, sizeof(buf) - 1) > 0);
	CHECK(strstr(buf, "\nNoNewPrivs:\t1\n"));
	CHECK(strstr(buf, "\nSeccomp:\t2\n"));
	CHECK(strstr(buf, "\nSeccomp_filters:\t2\n"));
}

/* -- tracers ---------------------------------------------------------------------------------- */

TEST(trace_without_tracer_is_no_such_call)
{
	no_new_privs();
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_TRACE | 5)));
	CHECK_ERRNO(syscall(SYS_getppid), ENOSYS);
}

/* Runs in a child: its first getppid is traced. */
static void traced_child(void)
{
	CHECK_OK(ptrace(PTRACE_TRACEME, 0, 0, 0));
	raise(SIGSTOP);
	no_new_privs();
	CHECK_OK(APPLY(FILTER_CALL(SYS_getppid, SECCOMP_RET_TRACE | 0x123)));
}

static pid_t start_traced(void (*rest)(void))
{
	pid_t child = fork();
	unsigned long data = 0;
	int status;

	CHECK(child >= 0);
	if (!child) {
		traced_child();
		rest();
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSTOPPED(status));
	CHECK_OK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESECCOMP));
	CHECK_OK(ptrace(PTRACE_CONT, child, 0, 0));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
	CHECK_OK(ptrace(PTRACE_GETEVENTMSG, child, 0, &data));
	CHECK_EQ(data, 0x123);
	return child;
}

static void expect_parent(void)
{
	CHECK(syscall(SYS_getppid) > 1);
}

static void expect_own_pid(void)
{
	CHECK_EQ(syscall(SYS_getppid), getpid());
}

static void expect_42(void)
{
	CHECK_EQ(syscall(SYS_getppid), 42);
}

static void finish(pid_t child)
{
	int status;

	CHECK_OK(ptrace(PTRACE_CONT, child, 0, 0));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

TEST(tracer_is_asked)
{
	struct user_regs_struct regs;
	pid_t child = start_traced(expect_parent);

	CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
	CHECK_EQ(regs.orig_rax, SYS_getppid);
	CHECK_EQ((long)regs.rax, -ENOSYS);
	finish(child);
}

TEST(tracer_can_change_the_call)
{
	struct user_regs_struct regs;
	pid_t child = start_traced(expect_own_pid);

	CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
	regs.orig_rax = SYS_getpid;
	CHECK_OK(ptrace(PTRACE_SETREGS, child, 0, &regs));
	finish(child);
}

TEST(tracer_can_skip_the_call)
{
	struct user_regs_struct regs;
	pid_t child = start_traced(expect_42);

	CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
	regs.orig_rax = ~0ull;
	regs.rax = 42;
	CHECK_OK(ptrace(PTRACE_SETREGS, child, 0, &regs));
	finish(child);
}
