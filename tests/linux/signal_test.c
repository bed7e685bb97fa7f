/* SPDX-License-Identifier: MIT */
/* Signals: sending, masks, handlers, restarts, job control. */
#include "harness.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t count, last, order[16];
static siginfo_t last_info;

static void counting(int sig)
{
	if (count < 16)
		order[count] = sig;
	count++;
	last = sig;
}

static void informing(int sig, siginfo_t *info, void *context)
{
	(void)context;
	last_info = *info;
	counting(sig);
}

static void handle(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	CHECK_OK(sigaction(sig, &sa, NULL));
}

static void handle_info(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = informing, .sa_flags = flags | SA_SIGINFO };

	CHECK_OK(sigaction(sig, &sa, NULL));
}

static sigset_t set_of(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	if (sig)
		sigaddset(&set, sig);
	return set;
}

static void mask(int how, int sig)
{
	sigset_t set = set_of(sig);

	CHECK_OK(sigprocmask(how, &set, NULL));
}

static bool is_pending(int sig)
{
	sigset_t set;

	CHECK_OK(sigpending(&set));
	return sigismember(&set, sig);
}

static void msleep(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* -- handlers ------------------------------------------------------------------------ */

TEST(handler_runs_before_kill_returns)
{
	handle(SIGUSR1, counting, 0);
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(count, 1);
	CHECK_EQ(last, SIGUSR1);
}

TEST(siginfo_of_kill_names_the_sender)
{
	handle_info(SIGUSR1, 0);
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(last_info.si_signo, SIGUSR1);
	CHECK_EQ(last_info.si_code, SI_USER);
	CHECK_EQ(last_info.si_pid, getpid());
	CHECK_EQ(last_info.si_uid, getuid());
}

TEST(siginfo_of_tgkill_says_tkill)
{
	handle_info(SIGUSR1, 0);
	CHECK_OK(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1));
	CHECK_EQ(last_info.si_code, SI_TKILL);
	CHECK_EQ(last_info.si_pid, getpid());
}

TEST(sigqueue_carries_a_value)
{
	union sigval v = { .sival_ptr = (void *)0x123456789abc };

	handle_info(SIGRTMIN, 0);
	CHECK_OK(sigqueue(getpid(), SIGRTMIN, v));
	CHECK_EQ(last_info.si_code, SI_QUEUE);
	CHECK(last_info.si_value.sival_ptr == v.sival_ptr);
}

TEST(queued_info_may_not_pretend_to_be_from_the_kernel)
{
	siginfo_t info = { .si_code = SI_USER };
	pid_t child = fork();

	if (!child) {
		pause();
		_exit(0);
	}
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, child, SIGUSR1, &info), EPERM);
	info.si_code = SI_TKILL;
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, child, SIGUSR1, &info), EPERM);
	info.si_code = -60;
	CHECK_OK(syscall(SYS_rt_sigqueueinfo, child, 0, &info));
}

TEST(sigaction_checks_its_arguments)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };

	CHECK_ERRNO(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_ERRNO(sigaction(SIGSTOP, &sa, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	CHECK_OK(sigaction(SIGKILL, NULL, &sa));
	CHECK(sa.sa_handler == SIG_DFL);
}

TEST(sigaction_tells_the_old_action)
{
	struct sigaction sa = { .sa_handler = counting, .sa_flags = SA_RESTART | SA_NODEFER }, old;

	sigaddset(&sa.sa_mask, SIGUSR2);
	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
	CHECK_OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == counting);
	CHECK(old.sa_flags & SA_RESTART && old.sa_flags & SA_NODEFER);
	CHECK(sigismember(&old.sa_mask, SIGUSR2) && !sigismember(&old.sa_mask, SIGUSR1));
}

static void look_at_mask(int sig)
{
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	count = 1 + sigismember(&set, sig) + 2 * sigismember(&set, SIGUSR2);
}

TEST(signal_is_blocked_while_its_handler_runs)
{
	sigset_t set;

	handle(SIGUSR1, look_at_mask, 0);
	raise(SIGUSR1);
	CHECK_EQ(count, 2);
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK(!sigismember(&set, SIGUSR1));
	handle(SIGUSR1, look_at_mask, SA_NODEFER);
	raise(SIGUSR1);
	CHECK_EQ(count, 1);
}

TEST(mask_of_the_action_holds_in_the_handler)
{
	struct sigaction sa = { .sa_handler = look_at_mask };

	sigaddset(&sa.sa_mask, SIGUSR2);
	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	CHECK_EQ(count, 4);
}

TEST(resethand_makes_it_default_again)
{
	struct sigaction old;

	handle(SIGUSR1, counting, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK_EQ(count, 1);
	CHECK_OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == SIG_DFL);
}

static void raising(int sig)
{
	if (count++ == 0)
		raise(sig);
	order[last++] = (int)count;
}

TEST(blocked_in_handler_runs_after_it)
{
	handle(SIGUSR1, raising, 0);
	raise(SIGUSR1);
	CHECK_EQ(count, 2);
	CHECK_EQ(order[0], 1);
	CHECK_EQ(order[1], 2);
}

TEST(nodefer_nests)
{
	handle(SIGUSR1, raising, SA_NODEFER);
	raise(SIGUSR1);
	CHECK_EQ(order[0], 2);
	CHECK_EQ(order[1], 2);
}

static sigjmp_buf jump;

static void jumping(int sig)
{
	siglongjmp(jump, sig);
}

TEST(siglongjmp_out_of_a_handler_restores_the_mask)
{
	sigset_t set;
	int sig;

	handle(SIGUSR1, jumping, 0);
	sig = sigsetjmp(jump, 1);
	if (!sig) {
		raise(SIGUSR1);
		CHECK(false);
	}
	CHECK_EQ(sig, SIGUSR1);
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK(!sigismember(&set, SIGUSR1));
}

/* -- masks and queues -------------------------------------------------------------------- */

TEST(blocked_signal_stays_pending)
{
	handle(SIGUSR1, counting, 0);
	mask(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQ(count, 0);
	CHECK(is_pending(SIGUSR1));
	mask(SIG_UNBLOCK, SIGUSR1);
	CHECK_EQ(count, 1);
	CHECK(!is_pending(SIGUSR1));
}

TEST(standard_signals_do_not_queue)
{
	handle(SIGUSR1, counting, 0);
	mask(SIG_BLOCK, SIGUSR1);
	for (int i = 0; i < 5; i++)
		raise(SIGUSR1);
	mask(SIG_UNBLOCK, SIGUSR1);
	CHECK_EQ(count, 1);
}

TEST(realtime_signals_queue_in_order)
{
	handle_info(SIGRTMIN + 1, 0);
	mask(SIG_BLOCK, SIGRTMIN + 1);
	for (int i = 0; i < 5; i++)
		CHECK_OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i }));
	mask(SIG_UNBLOCK, SIGRTMIN + 1);
	CHECK_EQ(count, 5);
	/* Unblocked all at once, each handler ran before the next: the last was delivered last. */
	CHECK_EQ(last_info.si_value.sival_int, 4);
}

TEST(lower_numbers_come_first)
{
	sigset_t set;

	handle(SIGRTMIN + 2, counting, 0);
	handle(SIGRTMIN + 1, counting, 0);
	handle(SIGUSR1, counting, 0);
	sigfillset(&set);
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
	raise(SIGRTMIN + 2);
	raise(SIGRTMIN + 1);
	raise(SIGUSR1);
	sigemptyset(&set);
	CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
	CHECK_EQ(count, 3);
	/* Frames are stacked: the lowest is set up first, so that it runs last. */
	CHECK_EQ(order[2], SIGUSR1);
	CHECK_EQ(order[0], SIGRTMIN + 2);
}

TEST(kill_and_stop_cannot_be_blocked)
{
	sigset_t set;

	sigfillset(&set);
	CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
	CHECK_OK(sigprocmask(SIG_SETMASK, NULL, &set));
	CHECK(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP));
	CHECK(sigismember(&set, SIGTERM));
}

TEST(sigprocmask_checks_its_arguments)
{
	unsigned long set = 0;

	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 17, &set, NULL, 8), EINVAL);
	CHECK_OK(syscall(SYS_rt_sigprocmask, 17, NULL, &set, 8));
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)1, NULL, 8), EFAULT);
}

TEST(ignoring_throws_pending_ones_away)
{
	mask(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	CHECK(is_pending(SIGUSR1));
	handle(SIGUSR1, SIG_IGN, 0);
	CHECK(!is_pending(SIGUSR1));
}

TEST(ignored_but_blocked_signal_is_kept)
{
	handle(SIGUSR1, SIG_IGN, 0);
	mask(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	CHECK(is_pending(SIGUSR1));
}

TEST(child_inherits_mask_but_not_what_is_pending)
{
	mask(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	IN_CHILD({
		sigset_t set;

		CHECK(!is_pending(SIGUSR1));
		CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
		CHECK(sigismember(&set, SIGUSR1));
	});
	CHECK(is_pending(SIGUSR1));
}

TEST(sigpending_limit_of_realtime_signals)
{
	struct rlimit limit = { 3, 3 };

	mask(SIG_BLOCK, SIGRTMIN);
	IN_CHILD({
		int n = 0;

		CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &limit));
		while (sigqueue(getpid(), SIGRTMIN, (union sigval){ 0 }) == 0 && n < 10)
			n++;
		CHECK_EQ(errno, EAGAIN);
		CHECK(n <= 3);
	});
}

/* -- waiting ---------------------------------------------------------------------------------- */

TEST(sigsuspend_takes_the_signal_and_restores_the_mask)
{
	sigset_t empty = set_of(0), now;

	handle(SIGUSR1, counting, 0);
	mask(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	CHECK_ERRNO(sigsuspend(&empty), EINTR);
	CHECK_EQ(count, 1);
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
	CHECK(sigismember(&now, SIGUSR1));
}

TEST(pause_ends_with_a_handler)
{
	struct itimerval it = { .it_value = { 0, 20000 } };

	handle(SIGALRM, counting, SA_RESTART);
	CHECK_OK(setitimer(ITIMER_REAL, &it, NULL));
	CHECK_ERRNO(pause(), EINTR);
	CHECK_EQ(count, 1);
}

TEST(sigtimedwait_takes_a_pending_signal)
{
	sigset_t set = set_of(SIGUSR1);
	struct timespec none = { 0, 0 };
	siginfo_t info;

	mask(SIG_BLOCK, SIGUSR1);
	CHECK_ERRNO(sigtimedwait(&set, &info, &none), EAGAIN);
	raise(SIGUSR1);
	CHECK_EQ(sigtimedwait(&set, &info, &none), SIGUSR1);
	CHECK_EQ(info.si_pid, getpid());
	CHECK(!is_pending(SIGUSR1));
}

TEST(sigtimedwait_times_out)
{
	sigset_t set = set_of(SIGUSR1);
	struct timespec short_time = { 0, 20000000 }, a, b;

	mask(SIG_BLOCK, SIGUSR1);
	clock_gettime(CLOCK_MONOTONIC, &a);
	CHECK_ERRNO(sigtimedwait(&set, NULL, &short_time), EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec >= 20000000);
}

TEST(sigtimedwait_is_interrupted_by_others)
{
	sigset_t set = set_of(SIGUSR1);
	struct itimerval it = { .it_value = { 0, 20000 } };

	handle(SIGALRM, counting, SA_RESTART);
	mask(SIG_BLOCK, SIGUSR1);
	CHECK_OK(setitimer(ITIMER_REAL, &it, NULL));
	CHECK_ERRNO(sigwaitinfo(&set, NULL), EINTR);
	CHECK_EQ(count, 1);
}

TEST(sigwaitinfo_wakes_when_sent)
{
	sigset_t set = set_of(SIGUSR1);
	siginfo_t info;
	pid_t child, parent = getpid();

	mask(SIG_BLOCK, SIGUSR1);
	child = fork();
	if (!child) {
		msleep(20);
		kill(parent, SIGUSR1);
		_exit(0);
	}
	CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
	CHECK_EQ(info.si_pid, child);
}

/* -- restarts ------------------------------------------------------------------------------------ */

static void alarm_in(int ms)
{
	struct itimerval it = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

	CHECK_OK(setitimer(ITIMER_REAL, &it, NULL));
}

static int slow_pipe(int ms)
{
	int fd[2];

	CHECK_OK(pipe(fd));
	if (!fork()) {
		msleep(ms);
		write(fd[1], "x", 1);
		_exit(0);
	}
	return fd[0];
}

TEST(read_without_restart_is_eintr)
{
	char c;

	handle(SIGALRM, counting, 0);
	alarm_in(20);
	CHECK_ERRNO(read(slow_pipe(200), &c, 1), EINTR);
	CHECK_EQ(count, 1);
}

TEST(read_with_restart_goes_on)
{
	int fd = slow_pipe(100);
	char c;

	handle(SIGALRM, counting, SA_RESTART);
	alarm_in(20);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(count, 1);
}

TEST(wait_with_restart_goes_on)
{
	pid_t child = fork();
	int status;

	if (!child) {
		msleep(100);
		_exit(5);
	}
	handle(SIGALRM, counting, SA_RESTART);
	alarm_in(20);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 5);
	CHECK_EQ(count, 1);
}

TEST(nanosleep_ends_and_tells_the_rest_even_with_restart)
{
	struct timespec ts = { 5, 0 }, rest = { 0 };

	handle(SIGALRM, counting, SA_RESTART);
	alarm_in(20);
	CHECK_ERRNO(nanosleep(&ts, &rest), EINTR);
	CHECK(rest.tv_sec == 4 && rest.tv_nsec > 0);
}

TEST(poll_ends_even_with_restart)
{
	handle(SIGALRM, counting, SA_RESTART);
	alarm_in(20);
	CHECK_ERRNO(poll(NULL, 0, 5000), EINTR);
}

TEST(stop_and_continue_do_not_end_a_sleep)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct timespec ts = { 0, 200000000 };

		_exit(nanosleep(&ts, NULL) == 0 ? 0 : 1);
	}
	msleep(30);
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	kill(child, SIGCONT);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(stop_and_continue_do_not_end_a_read)
{
	int fd[2], status;
	pid_t child;
	char c;

	CHECK_OK(pipe(fd));
	child = fork();
	if (!child)
		_exit(read(fd[0], &c, 1) == 1 ? 0 : 1);
	msleep(30);
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	kill(child, SIGCONT);
	msleep(20);
	CHECK_EQ(write(fd[1], "x", 1), 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* -- default actions, job control ---------------------------------------------------------------------- */

static int status_of(int sig)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(sig, SIG_DFL);
		raise(sig);
		_exit(42);
	}
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	if (WIFSTOPPED(status))
		kill(child, SIGKILL);
	return status;
}

TEST(default_actions_end_the_process)
{
	static const int fatal[] = { SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS,
		SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT,
		SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSYS, 40 };

	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++) {
		int status = status_of(fatal[i]);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != fatal[i])
			CHECK_EQ(status, fatal[i]);
		CHECK(!WCOREDUMP(status));
	}
}

TEST(default_actions_that_do_nothing)
{
	static const int harmless[] = { SIGCHLD, SIGCONT, SIGURG, SIGWINCH };

	for (size_t i = 0; i < 4; i++)
		CHECK_EQ(status_of(harmless[i]), 42 << 8);
}

TEST(default_action_of_stop_signals)
{
	/* (The others do not stop a process of an orphaned group, which this one may be in.) */
	int status = status_of(SIGSTOP);

	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

TEST(kill_zero_checks_existence)
{
	CHECK_OK(kill(getpid(), 0));
	CHECK_ERRNO(kill(4000000, 0), ESRCH);
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK_ERRNO(kill(getpid(), -1), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, 0, getpid(), SIGUSR1), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 4000000, SIGUSR1), ESRCH);
}

TEST(zombies_can_be_signalled)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	siginfo_t info;
	CHECK_OK(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	CHECK_OK(kill(child, SIGTERM));
	CHECK_EQ(waitpid(child, NULL, 0), child);
	CHECK_ERRNO(kill(child, 0), ESRCH);
}

TEST(kill_reaches_a_whole_process_group)
{
	pid_t a, b;
	int status;

	a = fork();
	if (!a) {
		setpgid(0, 0);
		pause();
	}
	setpgid(a, a);
	b = fork();
	if (!b) {
		setpgid(0, a);
		pause();
	}
	setpgid(b, a);
	CHECK_OK(kill(-a, SIGTERM));
	CHECK_EQ(waitpid(a, &status, 0), a);
	CHECK_EQ(WTERMSIG(status), SIGTERM);
	CHECK_EQ(waitpid(b, &status, 0), b);
	CHECK_EQ(WTERMSIG(status), SIGTERM);
	CHECK_ERRNO(kill(-a, SIGTERM), ESRCH);
}

TEST(parent_hears_of_stop_and_continue)
{
	pid_t child = fork();
	siginfo_t info;
	sigset_t chld;
	int status;

	if (!child)
		for (;;)
			pause();
	handle_info(SIGCHLD, 0);
	mask(SIG_BLOCK, SIGCHLD);
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK(WIFSTOPPED(status));
	/* The child is stopped first, and says so then: the signal may come after the wait. */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	CHECK_EQ(sigwaitinfo(&chld, &info), SIGCHLD);
	mask(SIG_UNBLOCK, SIGCHLD);
	CHECK_EQ(info.si_code, CLD_STOPPED);
	CHECK_EQ(info.si_status, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED | WNOHANG), 0);
	kill(child, SIGCONT);
	CHECK_EQ(waitpid(child, &status, WCONTINUED), child);
	CHECK(WIFCONTINUED(status));
	CHECK_EQ(waitpid(child, &status, WCONTINUED | WNOHANG), 0);
	kill(child, SIGKILL);
	/* That it continued is said by the child itself, and may come only now. */
	while (waitid(P_PID, child, &info, WEXITED) < 0)
		CHECK_EQ(errno, EINTR);
	CHECK_EQ(info.si_code, CLD_KILLED);
	CHECK_EQ(info.si_status, SIGKILL);
}

TEST(nocldstop_hides_stops)
{
	pid_t child = fork();
	int status;

	if (!child)
		for (;;)
			pause();
	handle(SIGCHLD, counting, SA_NOCLDSTOP);
	kill(child, SIGSTOP);
	while (waitpid(child, &status, WUNTRACED) < 0)
		;
	CHECK_EQ(count, 0);
	kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0)
		CHECK_EQ(errno, EINTR);
	CHECK_EQ(count, 1);
}

TEST(sigkill_ends_a_stopped_process)
{
	pid_t child = fork();
	int status;

	if (!child)
		for (;;)
			pause();
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	kill(child, SIGTERM);		/* has to wait */
	msleep(20);
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WTERMSIG(status), SIGKILL);
}

/* From the moment on that the parent can know of the stop. */
TEST(stopped_process_takes_no_other_signal)
{
	int status;

	for (int i = 0; i < 100; i++) {
		pid_t child = fork();

		if (!child)
			for (;;)
				pause();
		kill(child, SIGSTOP);
		CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
		kill(child, SIGTERM);
		usleep(500);
		CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
		kill(child, SIGCONT);
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(WTERMSIG(status), SIGTERM);
	}
}

TEST(continue_discards_pending_stops)
{
	mask(SIG_BLOCK, SIGTSTP);
	raise(SIGTSTP);
	CHECK(is_pending(SIGTSTP));
	raise(SIGCONT);
	CHECK(!is_pending(SIGTSTP));
}

TEST(handler_of_sigcont_runs_after_continue)
{
	int fd[2], status;
	pid_t child;
	char c;

	CHECK_OK(pipe(fd));
	child = fork();
	if (!child) {
		sigset_t cont, none;

		/* Blocked until it is waited for: it could come just before a pause(). */
		sigemptyset(&none);
		sigemptyset(&cont);
		sigaddset(&cont, SIGCONT);
		sigprocmask(SIG_BLOCK, &cont, NULL);
		handle(SIGCONT, counting, 0);
		write(fd[1], "r", 1);
		sigsuspend(&none);
		_exit(count == 1 ? 0 : 1);
	}
	CHECK_EQ(read(fd[0], &c, 1), 1);
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	kill(child, SIGCONT);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

/* SIGCONT ends a stop whose signal was sent before, also one that is just being taken. */
TEST_SECONDS(continue_after_stop_always_wins, 60)
{
	volatile unsigned int *steps = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	CHECK(steps != MAP_FAILED);
	child = fork();
	CHECK(child >= 0);
	if (!child)
		for (;;)
			++*steps;
	for (int round = 0; round < 1000; round++) {
		unsigned int seen;

		CHECK_OK(kill(child, SIGSTOP));
		for (volatile int i = 0; i < round * 7 % 1000; i++)
			;
		CHECK_OK(kill(child, SIGCONT));
		seen = *steps;
		while (*steps == seen)
			sched_yield();
	}
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
}

/* -- frames ---------------------------------------------------------------------------------------------- */

static char *alt;
static volatile int on_alt, alt_flags;

static void where(int sig)
{
	char here;
	stack_t ss;

	(void)sig;
	on_alt = &here >= alt && &here < alt + 65536;
	sigaltstack(NULL, &ss);
	alt_flags = ss.ss_flags;
}

static void set_alt(int flags)
{
	stack_t ss;

	alt = malloc(65536);
	ss = (stack_t){ .ss_sp = alt, .ss_size = 65536, .ss_flags = flags };
	CHECK_OK(sigaltstack(&ss, NULL));
}

TEST(alternate_stack_is_used)
{
	stack_t old;

	set_alt(0);
	handle(SIGUSR1, where, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(on_alt);
	CHECK_EQ(alt_flags, SS_ONSTACK);
	CHECK_OK(sigaltstack(NULL, &old));
	CHECK_EQ(old.ss_flags, 0);
	handle(SIGUSR1, where, 0);
	raise(SIGUSR1);
	CHECK(!on_alt);
}

static void change_alt(int sig)
{
	stack_t ss = { .ss_flags = SS_DISABLE };

	(void)sig;
	count = sigaltstack(&ss, NULL) == 0 ? 1 : errno;
}

TEST(alternate_stack_in_use_cannot_be_changed)
{
	set_alt(0);
	handle(SIGUSR1, change_alt, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK_EQ(count, EPERM);
}

TEST(autodisarm_takes_the_stack_away_meanwhile)
{
	stack_t old;

	set_alt(1 << 31 /* SS_AUTODISARM */);
	handle(SIGUSR1, change_alt, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK_EQ(count, 1);
	CHECK_OK(sigaltstack(NULL, &old));
	CHECK(old.ss_sp == alt);
}

TEST(alternate_stack_arguments_are_checked)
{
	stack_t ss = { .ss_sp = (void *)4096, .ss_size = 100 };

	CHECK_ERRNO(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_size = 65536;
	ss.ss_flags = 64;
	CHECK_ERRNO(sigaltstack(&ss, NULL), EINVAL);
}

TEST(stack_overflow_can_be_handled_on_the_alternate_stack)
{
	struct rlimit limit = { 1 << 20, RLIM_INFINITY };
	volatile char *p;

	CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
	set_alt(0);
	handle(SIGSEGV, jumping, SA_ONSTACK);
	if (!sigsetjmp(jump, 1)) {
		for (p = (char *)&limit;; p -= 4096)
			*p = 1;
	}
	CHECK(true);
}

static void bump_rip(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	last_info = *info;
	uc->uc_mcontext.gregs[REG_RIP] += 2;	/* behind UD2 */
	uc->uc_mcontext.gregs[REG_RAX] = 1234;
	sigaddset(&uc->uc_sigmask, SIGUSR2);
}

TEST(handler_may_change_registers_and_mask)
{
	struct sigaction sa = { .sa_sigaction = bump_rip, .sa_flags = SA_SIGINFO };
	long rax = 0;
	sigset_t set;

	CHECK_OK(sigaction(SIGILL, &sa, NULL));
	__asm__ volatile("ud2" : "+a"(rax));
	CHECK_EQ(rax, 1234);
	CHECK_EQ(last_info.si_code, ILL_ILLOPN);
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK(sigismember(&set, SIGUSR2));
}

static uint32_t magic1, extended, magic2;
static uint64_t xstate_header[8];

static void look_at_fpu(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char *fp = (char *)uc->uc_mcontext.fpregs;

	(void)sig;
	(void)info;
	memcpy(&magic1, fp + 464, 4);
	memcpy(&extended, fp + 468, 4);
	if (magic1 == 0x46505853) {
		memcpy(&magic2, fp + extended - 4, 4);
		memcpy(xstate_header, fp + 512, sizeof(xstate_header));
	}
	last = (uintptr_t)fp % 64 == 0;
}

TEST(frame_has_the_extended_floating_point_state)
{
	struct sigaction sa = { .sa_sigaction = look_at_fpu, .sa_flags = SA_SIGINFO };

	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	CHECK_EQ(magic1, 0x46505853);
	CHECK_EQ(magic2, 0x46505845);
	CHECK(last);
	CHECK_EQ(xstate_header[0] & 3, 3);	/* x87 and SSE, whatever the processor has found unused */
	for (int i = 1; i < 8; i++)
		CHECK_EQ(xstate_header[i], 0);
}

/* A frame that lies where nothing has been touched, in memory that a file backs. */
TEST(frame_on_untouched_pages)
{
	FILE *file = tmpfile();
	stack_t ss = { .ss_size = 1 << 16 };

	CHECK(file != NULL);
	CHECK_OK(ftruncate(fileno(file), 1 << 16));
	for (int flags = MAP_PRIVATE; flags; flags = flags == MAP_PRIVATE ? MAP_SHARED : 0) {
		ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, flags, fileno(file), 0);
		CHECK(ss.ss_sp != MAP_FAILED);
		CHECK_OK(sigaltstack(&ss, NULL));
		handle(SIGUSR1, counting, SA_ONSTACK);
		count = 0;
		raise(SIGUSR1);
		raise(SIGUSR1);
		CHECK_EQ(count, 2);
	}
	fclose(file);
}

/* What a handler does to its frame's floating point state. */
static void (*spoil_frame)(char *fp);

static void spoiler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	spoil_frame((char *)((ucontext_t *)context)->uc_mcontext.fpregs);
}

static void reserved_mxcsr_bit(char *fp)	{ fp[27] |= 0x80; }
static void unknown_component(char *fp)		{ fp[519] |= 0x40; }
static void reserved_header_word(char *fp)	{ fp[512 + 16] = 1; }
static void ignored_header_word(char *fp)	{ fp[512 + 40] = 1; }
static void no_second_magic(char *fp)		{ memset(fp + extended - 4, 0, 4); }
static void no_first_magic(char *fp)		{ memset(fp + 464, 0, 4); }

static int status_after_spoiling(void (*spoil)(char *fp))
{
	pid_t child = fork();
	int status = -1;

	if (!child) {
		struct sigaction sa = { .sa_sigaction = spoiler, .sa_flags = SA_SIGINFO };
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		spoil_frame = spoil;
		sigaction(SIGUSR1, &sa, NULL);
		raise(SIGUSR1);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}

TEST(floating_point_state_of_a_frame_is_checked)
{
	struct sigaction sa = { .sa_sigaction = look_at_fpu, .sa_flags = SA_SIGINFO };

	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	/* Without a magic number, it is an FXSAVE area and no more. */
	CHECK_EQ(status_after_spoiling(no_second_magic), 0);
	CHECK_EQ(status_after_spoiling(no_first_magic), 0);
	CHECK_EQ(status_after_spoiling(reserved_header_word), SIGSEGV);
	CHECK_EQ(status_after_spoiling(ignored_header_word), 0);
	CHECK_EQ(status_after_spoiling(unknown_component), SIGSEGV);
	CHECK_EQ(status_after_spoiling(reserved_mxcsr_bit), SIGSEGV);
}

TEST(fault_in_a_blocked_sigsegv_ends_the_process)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		handle(SIGSEGV, counting, 0);
		mask(SIG_BLOCK, SIGSEGV);
		*(volatile int *)8 = 1;
		_exit(1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(hostile_frames_end_the_process)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		__asm__ volatile("mov $8, %%rsp; mov $15, %%eax; syscall" ::: "memory");
		_exit(1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* -- permissions and threads -------------------------------------------------------------------------------- */

TEST(strangers_may_not_signal)
{
	pid_t root;

	CHECK_ROOT();
	root = getpid();
	IN_CHILD({
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(kill(root, SIGUSR1), EPERM);
		CHECK_ERRNO(kill(root, 0), EPERM);
		CHECK_OK(kill(getpid(), 0));
	});
}

static void *wait_for_signal(void *arg)
{
	sigset_t set = set_of(SIGUSR1);
	int sig;

	sigwait(&set, &sig);
	*(int *)arg = sig;
	return NULL;
}

TEST(signal_to_a_thread_goes_to_that_thread)
{
	pthread_t a, b;
	int got_a = 0, got_b = 0;

	mask(SIG_BLOCK, SIGUSR1);
	pthread_create(&a, NULL, wait_for_signal, &got_a);
	pthread_create(&b, NULL, wait_for_signal, &got_b);
	CHECK_EQ(pthread_kill(b, SIGUSR1), 0);
	pthread_join(b, NULL);
	CHECK_EQ(got_b, SIGUSR1);
	CHECK_EQ(got_a, 0);
	CHECK_EQ(pthread_kill(a, SIGUSR1), 0);
	pthread_join(a, NULL);
}

TEST(parent_death_signal)
{
	int fd[2];
	char c = 0;

	CHECK_OK(pipe(fd));
	if (!fork()) {
		if (!fork()) {
			sigset_t set = set_of(SIGUSR1);
			int sig;

			sigprocmask(SIG_BLOCK, &set, NULL);
			prctl(PR_SET_PDEATHSIG, SIGUSR1);
			write(fd[1], "r", 1);
			sigwait(&set, &sig);
			write(fd[1], "d", 1);
			_exit(0);
		}
		msleep(50);
		_exit(0);
	}
	CHECK_EQ(read(fd[0], &c, 1), 1);
	CHECK_EQ(read(fd[0], &c, 1), 1);
	CHECK_EQ(c, 'd');
}
