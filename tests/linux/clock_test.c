/* SPDX-License-Identifier: MIT */
/* Clocks, sleeping, and how processor time is counted. */

#include "harness.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

static double seconds(const struct timespec *t)
{
	return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

static double clock_now(clockid_t clock)
{
	struct timespec t;

	CHECK_OK(clock_gettime(clock, &t));
	CHECK(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return seconds(&t);
}

/* The call itself, where the C library would use the vDSO. */
static double clock_call(clockid_t clock)
{
	struct timespec t;

	CHECK_OK(syscall(SYS_clock_gettime, clock, &t));
	return seconds(&t);
}

TEST(clocks_can_be_read)
{
	static const clockid_t clocks[] = {
		CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
		CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
		CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI,
	};
	struct timespec t;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		CHECK(clock_now(clocks[i]) >= 0);
		CHECK_OK(clock_getres(clocks[i], &t));
		CHECK(t.tv_sec == 0 && t.tv_nsec > 0 && t.tv_nsec <= 10000000);
	}
	CHECK_ERRNO(clock_gettime(77, &t), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 16), EFAULT);
	CHECK_OK(clock_getres(CLOCK_MONOTONIC, NULL));
}

TEST(monotonic_time_does_not_go_back)
{
	double last = clock_now(CLOCK_MONOTONIC);

	for (int i = 0; i < 100000; i++) {
		double now = clock_now(CLOCK_MONOTONIC);

		CHECK(now >= last);
		last = now;
	}
}

TEST(library_and_call_agree)
{
	for (int i = 0; i < 100; i++) {
		double a = clock_now(CLOCK_MONOTONIC), b = clock_call(CLOCK_MONOTONIC);
		double c = clock_now(CLOCK_MONOTONIC);

		CHECK(a <= b && b <= c);
		a = clock_now(CLOCK_REALTIME);
		b = clock_call(CLOCK_REALTIME);
		c = clock_now(CLOCK_REALTIME);
		CHECK(a <= b && b <= c);
	}
}

TEST(time_and_gettimeofday_agree)
{
	struct timeval tv;
	time_t a, b;

	a = time(NULL);
	CHECK_OK(gettimeofday(&tv, NULL));
	b = time(NULL);
	CHECK(a <= tv.tv_sec && tv.tv_sec <= b + 1);
	CHECK(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
	CHECK(a > 1600000000);		/* not the year 1970 */
}

TEST(sleeps_last_long_enough)
{
	struct timespec t = { 0, 30000000 };
	double start = harness_now(), took;

	CHECK_OK(nanosleep(&t, NULL));
	took = harness_now() - start;
	CHECK(took >= 0.03);
	CHECK(took < 1.0);
	t.tv_nsec = 0;
	CHECK_OK(nanosleep(&t, NULL));
	t.tv_nsec = 1000000000;
	CHECK_ERRNO(nanosleep(&t, NULL), EINVAL);
	t.tv_nsec = -1;
	CHECK_ERRNO(nanosleep(&t, NULL), EINVAL);
	t = (struct timespec){ -1, 0 };
	CHECK_ERRNO(nanosleep(&t, NULL), EINVAL);
	CHECK_ERRNO(nanosleep((void *)16, NULL), EFAULT);
}

TEST(absolute_sleep)
{
	struct timespec t;
	double start = clock_now(CLOCK_MONOTONIC);

	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &t));
	t.tv_nsec += 20000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
	CHECK(clock_now(CLOCK_MONOTONIC) >= seconds(&t));
	CHECK(clock_now(CLOCK_MONOTONIC) - start < 1.0);
	/* In the past: at once. */
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
	CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(99, 0, &t, NULL), EINVAL);
}

static void nothing(int signal)
{
}

TEST(signals_end_sleeps_and_tell_what_is_left)
{
	struct timespec t = { 10, 0 }, left = { 0, 0 };
	struct itimerval soon = { .it_value = { 0, 50000 } };
	struct sigaction act = { .sa_handler = nothing };

	CHECK_OK(sigaction(SIGALRM, &act, NULL));
	CHECK_OK(setitimer(ITIMER_REAL, &soon, NULL));
	CHECK_ERRNO(nanosleep(&t, &left), EINTR);
	CHECK(seconds(&left) > 8.0 && seconds(&left) < 9.99);
}

/* Processor time is never more than the time that passed, but for the ticks it is rounded to. */
#define SLACK	0.02

/* Uses processor time, as the process's clock counts it: a busy machine takes longer for it. */
static void spin_user(double for_seconds)
{
	double end = clock_now(CLOCK_PROCESS_CPUTIME_ID) + for_seconds;
	volatile int x = 0;

	while (clock_now(CLOCK_PROCESS_CPUTIME_ID) < end)
		for (int i = 0; i < 200000; i++)
			x += i;
	(void)x;
}

TEST(user_time_is_counted)
{
	struct rusage before, after;
	double start = harness_now(), cpu = clock_now(CLOCK_PROCESS_CPUTIME_ID);
	double user, system;

	CHECK_OK(getrusage(RUSAGE_SELF, &before));
	spin_user(0.3);
	CHECK_OK(getrusage(RUSAGE_SELF, &after));
	user = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
	       (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1e6;
	system = (double)(after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
		 (double)(after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
	cpu = clock_now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	CHECK(user > 3 * system);
	CHECK(user + system > 0.25);
	CHECK(cpu >= (user + system) * 0.5);
	CHECK(user + system <= harness_now() - start + SLACK && cpu <= harness_now() - start + SLACK);
}

TEST(system_time_is_counted)
{
	struct rusage before, after;
	double system, start = harness_now(), end = clock_now(CLOCK_PROCESS_CPUTIME_ID) + 0.3;
	static char buffer[65536];
	int zero = open("/dev/zero", O_RDONLY);

	CHECK_OK(zero);
	CHECK_OK(getrusage(RUSAGE_SELF, &before));
	while (clock_now(CLOCK_PROCESS_CPUTIME_ID) < end)
		CHECK_EQ(read(zero, buffer, sizeof(buffer)), sizeof(buffer));
	CHECK_OK(getrusage(RUSAGE_SELF, &after));
	system = (double)(after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
		 (double)(after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
	CHECK(system > 0.02);
	CHECK(system <= harness_now() - start + SLACK);
}

TEST(times_of_children_are_added_up)
{
	struct tms before, after;
	long ticks = sysconf(_SC_CLK_TCK);
	double start = harness_now();

	CHECK(times(&before) != (clock_t)-1);
	IN_CHILD(spin_user(0.3));
	CHECK(times(&after) != (clock_t)-1);
	CHECK(after.tms_cutime - before.tms_cutime >= ticks / 50);
	CHECK((double)(after.tms_cutime - before.tms_cutime) <=
	      (harness_now() - start + SLACK) * (double)ticks);
}

TEST(sleeping_costs_no_processor_time)
{
	double cpu = clock_now(CLOCK_PROCESS_CPUTIME_ID);

	usleep(400000);
	CHECK(clock_now(CLOCK_PROCESS_CPUTIME_ID) - cpu < 0.2);
}

static void *spin_thread(void *arg)
{
	spin_user(0.4);
	*(double *)arg = clock_now(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

TEST(threads_have_clocks_of_their_own)
{
	double mine = clock_now(CLOCK_THREAD_CPUTIME_ID), other = 0, start = harness_now();
	clockid_t clock;
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, spin_thread, &other), 0);
	CHECK_EQ(pthread_getcpuclockid(t, &clock), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK(other > 0.2 && other <= harness_now() - start);
	CHECK(clock_now(CLOCK_THREAD_CPUTIME_ID) - mine < 0.2);
	CHECK(clock_now(CLOCK_PROCESS_CPUTIME_ID) >= other);
}

TEST(time_can_be_set_by_root_only)
{
	struct timespec t;

	CHECK_ROOT();
	CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &t), EINVAL);
	CHECK_OK(clock_gettime(CLOCK_REALTIME, &t));
	CHECK_OK(setresuid(12345, 12345, 12345));
	CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &t), EPERM);
}
