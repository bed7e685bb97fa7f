/* SPDX-License-Identifier: MIT */
/* alarm, setitimer, POSIX timers, limits of CPU time. */
#include "harness.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

static volatile sig_atomic_t count;
static siginfo_t last;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	last = *info;
	count++;
}

static void handle(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	CHECK_OK(sigaction(sig, &sa, NULL));
}

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void spin(double seconds)
{
	double end = now(CLOCK_PROCESS_CPUTIME_ID) + seconds;

	while (now(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
}

static void wait_for(int n)
{
	double end = now(CLOCK_MONOTONIC) + 5;

	while (count < n && now(CLOCK_MONOTONIC) < end)
		usleep(1000);
}

TEST(alarm_tells_what_was_left)
{
	CHECK_EQ(alarm(100), 20);		/* the harness's own */
	CHECK_EQ(alarm(50), 100);
	CHECK_EQ(alarm(0), 50);
	CHECK_EQ(alarm(0), 0);
}

TEST(alarm_and_itimer_are_one)
{
	struct itimerval it;

	alarm(10);
	CHECK_OK(getitimer(ITIMER_REAL, &it));
	CHECK(it.it_value.tv_sec >= 9 && it.it_value.tv_sec <= 10);
	CHECK_EQ(it.it_interval.tv_sec, 0);
}

TEST(real_timer_repeats)
{
	struct itimerval it = { { 0, 10000 }, { 0, 10000 } }, old;
	double start = now(CLOCK_MONOTONIC);

	handle(SIGALRM);
	CHECK_OK(setitimer(ITIMER_REAL, &it, NULL));
	wait_for(5);
	CHECK(count >= 5);
	CHECK(now(CLOCK_MONOTONIC) - start >= 0.05);
	CHECK_EQ(last.si_code, SI_KERNEL);
	it = (struct itimerval){ 0 };
	CHECK_OK(setitimer(ITIMER_REAL, &it, &old));
	CHECK_EQ(old.it_interval.tv_usec, 10000);
}

TEST(itimer_arguments_are_checked)
{
	struct itimerval it = { { 0, 0 }, { 0, 1000000 } };

	CHECK_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	it.it_value.tv_usec = -1;
	CHECK_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	CHECK_ERRNO(setitimer(7, NULL, NULL), EINVAL);
	CHECK_ERRNO(getitimer(-1, &it), EINVAL);
	CHECK_ERRNO(syscall(SYS_getitimer, ITIMER_REAL, 8), EFAULT);
}

TEST(virtual_timer_counts_user_time)
{
	struct itimerval it = { { 0, 0 }, { 0, 50000 } };

	handle(SIGVTALRM);
	CHECK_OK(setitimer(ITIMER_VIRTUAL, &it, NULL));
	usleep(100000);
	CHECK_EQ(count, 0);
	for (double end = now(CLOCK_MONOTONIC) + 5; !count && now(CLOCK_MONOTONIC) < end;)
		for (volatile int i = 0; i < 100000; i++)
			;
	CHECK_EQ(count, 1);
}

TEST(prof_timer_counts_cpu_time)
{
	struct itimerval it = { { 0, 20000 }, { 0, 20000 } };

	double start = now(CLOCK_PROCESS_CPUTIME_ID);

	/*
	 * Again and again, as time is used and not as it passes.  Linux counts it here by what
	 * its ticks find, which is not the time that the clock says: twice as much is much.  How
	 * late a signal is, and so how many become one, is the machine's affair.
	 */
	handle(SIGPROF);
	CHECK_OK(setitimer(ITIMER_PROF, &it, NULL));
	usleep(100000);
	CHECK_EQ(count, 0);
	while (count < 4) {
		int before = count;
		double used = now(CLOCK_PROCESS_CPUTIME_ID) - start;

		CHECK(before <= 2 * used / 0.020 + 1);
	}
}

TEST(children_do_not_inherit_timers)
{
	struct itimerval it;

	alarm(10);
	IN_CHILD({
		CHECK_OK(getitimer(ITIMER_REAL, &it));
		CHECK(!it.it_value.tv_sec && !it.it_value.tv_usec);
	});
}

/* -- POSIX timers --------------------------------------------------------------------- */

static timer_t make(clockid_t clock, int notify, int sig, void *value)
{
	struct sigevent ev = { .sigev_notify = notify, .sigev_signo = sig,
			       .sigev_value = { .sival_ptr = value } };
	timer_t t;

	CHECK_OK(timer_create(clock, &ev, &t));
	return t;
}

static void set(timer_t t, int flags, long ms, long interval_ms)
{
	struct itimerspec its = {
		{ interval_ms / 1000, interval_ms % 1000 * 1000000 }, { ms / 1000, ms % 1000 * 1000000 },
	};

	CHECK_OK(timer_settime(t, flags, &its, NULL));
}

TEST(posix_timer_signals_with_its_value)
{
	timer_t t = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, (void *)0x1234);

	handle(SIGUSR1);
	set(t, 0, 20, 0);
	wait_for(1);
	CHECK_EQ(count, 1);
	CHECK_EQ(last.si_code, SI_TIMER);
	CHECK(last.si_value.sival_ptr == (void *)0x1234);
	CHECK_EQ(last.si_overrun, 0);
}

TEST(posix_timer_repeats_until_deleted)
{
	timer_t t = make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGUSR1, NULL);
	int n;

	handle(SIGUSR1);
	set(t, 0, 5, 5);
	wait_for(4);
	CHECK(count >= 4);
	CHECK_OK(timer_delete(t));
	n = count;
	usleep(30000);
	CHECK(count <= n + 1);
	CHECK_ERRNO(timer_delete(t), EINVAL);
}

TEST(overruns_are_counted)
{
	timer_t t = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL);
	sigset_t set_usr1;

	handle(SIGUSR1);
	sigemptyset(&set_usr1);
	sigaddset(&set_usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set_usr1, NULL);
	set(t, 0, 5, 5);
	usleep(100000);
	sigprocmask(SIG_UNBLOCK, &set_usr1, NULL);
	CHECK(count >= 1);
	CHECK(timer_getoverrun(t) >= 0);
	CHECK_OK(timer_delete(t));
}

TEST(absolute_time_that_is_past_expires_at_once)
{
	timer_t t = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL);

	handle(SIGUSR1);
	set(t, TIMER_ABSTIME, 1, 0);
	wait_for(1);
	CHECK_EQ(count, 1);
}

TEST(gettime_tells_the_rest)
{
	timer_t t = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL);
	struct itimerspec its;

	set(t, 0, 10000, 3000);
	CHECK_OK(timer_gettime(t, &its));
	CHECK(its.it_value.tv_sec == 9 && its.it_interval.tv_sec == 3);
	set(t, 0, 0, 0);
	CHECK_OK(timer_gettime(t, &its));
	CHECK(!its.it_value.tv_sec && !its.it_value.tv_nsec);
}

TEST(timer_arguments_are_checked)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 100 };
	struct itimerspec its = { { 0, 0 }, { 0, 1000000000 } };
	timer_t t;

	CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &ev, &t), EINVAL);
	ev = (struct sigevent){ .sigev_notify = 55 };
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &t), EINVAL);
	CHECK_ERRNO(timer_create(77, NULL, &t), EINVAL);
	CHECK_OK(timer_create(CLOCK_MONOTONIC, NULL, &t));
	CHECK_ERRNO(timer_settime(t, 0, &its, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_gettime, 9999, &its), EINVAL);
}

TEST(timers_end_with_exec_and_are_not_inherited)
{
	timer_t t = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL);

	IN_CHILD({
		struct itimerspec its;

		CHECK_ERRNO(timer_gettime(t, &its), EINVAL);
	});
}

TEST(process_cpu_timer)
{
	timer_t t = make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR1, NULL);

	double start = now(CLOCK_PROCESS_CPUTIME_ID);

	handle(SIGUSR1);
	set(t, 0, 50, 0);
	usleep(100000);
	CHECK_EQ(count, 0);
	while (!count)
		;
	CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - start >= 0.050);
	while (now(CLOCK_PROCESS_CPUTIME_ID) - start < 0.2)
		;
	CHECK_EQ(count, 1);
}

TEST(cpu_limit_sends_sigxcpu_then_sigkill)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct rlimit limit = { 1, 2 };

		handle(SIGXCPU);
		CHECK_OK(setrlimit(RLIMIT_CPU, &limit));
		spin(1.3);
		if (!count)
			_exit(1);
		spin(5);
		_exit(2);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
