/* SPDX-License-Identifier: MIT */
/* Scheduling: classes, priorities, affinity, and what they do. */

#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
}

static void spin_ms(int ms)
{
	double end = harness_now() + ms / 1e3;

	while (harness_now() < end)
		;
}

TEST(default_is_other_with_nice_0)
{
	struct sched_param p = { .sched_priority = 7 };

	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	CHECK_OK(sched_getparam(0, &p));
	CHECK_EQ(p.sched_priority, 0);
	errno = 0;
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
}

TEST(priority_ranges)
{
	CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1);
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_EQ(sched_get_priority_min(SCHED_RR), 1);
	CHECK_EQ(sched_get_priority_max(SCHED_RR), 99);
	CHECK_EQ(sched_get_priority_min(SCHED_OTHER), 0);
	CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
	CHECK_EQ(sched_get_priority_max(SCHED_BATCH), 0);
	CHECK_ERRNO(sched_get_priority_max(77), EINVAL);
}

TEST(parameters_are_checked)
{
	struct sched_param p = { .sched_priority = 0 };

	CHECK_ERRNO(sched_setscheduler(0, SCHED_FIFO, &p), EINVAL);
	p.sched_priority = 100;
	CHECK_ERRNO(sched_setscheduler(0, SCHED_FIFO, &p), EINVAL);
	p.sched_priority = 1;
	CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
	CHECK_ERRNO(sched_setscheduler(0, 99, &p), EINVAL);
	CHECK_ERRNO(sched_setscheduler(-1, SCHED_FIFO, &p), EINVAL);
	CHECK_ERRNO(sched_getscheduler(0x3fffffff), ESRCH);
	CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, NULL), EINVAL);
}

TEST(real_time_classes_can_be_set)
{
	struct sched_param p = { .sched_priority = 10 };

	CHECK_ROOT();
	CHECK_OK(sched_setscheduler(0, SCHED_FIFO, &p));
	CHECK_EQ(sched_getscheduler(0), SCHED_FIFO);
	p.sched_priority = 0;
	CHECK_OK(sched_getparam(0, &p));
	CHECK_EQ(p.sched_priority, 10);
	p.sched_priority = 20;
	CHECK_OK(sched_setparam(0, &p));
	CHECK_OK(sched_setscheduler(0, SCHED_RR, &p));
	CHECK_EQ(sched_getscheduler(0), SCHED_RR);
	p.sched_priority = 0;
	CHECK_OK(sched_setscheduler(0, SCHED_OTHER, &p));
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
}

TEST(batch_and_idle_can_be_set)
{
	struct sched_param p = { .sched_priority = 0 };

	CHECK_OK(sched_setscheduler(0, SCHED_BATCH, &p));
	CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
	CHECK_OK(sched_setscheduler(0, SCHED_IDLE, &p));
	CHECK_EQ(sched_getscheduler(0), SCHED_IDLE);
}

TEST(ordinary_users_cannot_have_real_time)
{
	struct sched_param p = { .sched_priority = 1 };

	CHECK_ROOT();
	CHECK_OK(setresuid(12345, 12345, 12345));
	CHECK_ERRNO(sched_setscheduler(0, SCHED_FIFO, &p), EPERM);
	CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, -5), EACCES);
	CHECK_OK(setpriority(PRIO_PROCESS, 0, 5));
	CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 0), EACCES);
	CHECK_ERRNO(setpriority(PRIO_PROCESS, 1, 5), EPERM);
}

TEST(rr_interval_is_told)
{
	struct sched_param p = { .sched_priority = 1 };
	struct timespec t = { -1, -1 };

	CHECK_ROOT();
	CHECK_OK(sched_setscheduler(0, SCHED_RR, &p));
	CHECK_OK(sched_rr_get_interval(0, &t));
	CHECK(t.tv_sec == 0 && t.tv_nsec > 0);
	CHECK_ERRNO(sched_rr_get_interval(-5, &t), EINVAL);
}

TEST(children_inherit)
{
	struct sched_param p = { .sched_priority = 3 };

	CHECK_ROOT();
	CHECK_OK(setpriority(PRIO_PROCESS, 0, 7));
	IN_CHILD(CHECK_EQ(getpriority(PRIO_PROCESS, 0), 7));
	CHECK_OK(sched_setscheduler(0, SCHED_FIFO, &p));
	IN_CHILD(CHECK_EQ(sched_getscheduler(0), SCHED_FIFO));
	CHECK_OK(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p));
	CHECK_EQ(sched_getscheduler(0), SCHED_FIFO | SCHED_RESET_ON_FORK);
	IN_CHILD(CHECK_EQ(sched_getscheduler(0), SCHED_OTHER));
}

TEST(nice_is_clamped)
{
	CHECK_ROOT();
	errno = 0;
	CHECK_EQ(nice(5), 5);
	CHECK_EQ(nice(100), 19);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	CHECK_EQ(nice(-100), -20);
	CHECK_OK(setpriority(PRIO_PROCESS, 0, 50));
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	CHECK_ERRNO(setpriority(9, 0, 0), EINVAL);
	CHECK_ERRNO(getpriority(PRIO_PROCESS, 0x3fffffff), ESRCH);
}

TEST(affinity_is_kept_and_obeyed)
{
	cpu_set_t all, got;
	int count;

	CHECK_OK(sched_getaffinity(0, sizeof(all), &all));
	count = CPU_COUNT(&all);
	CHECK(count >= 1);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		pin(cpu);
		CHECK_OK(sched_getaffinity(0, sizeof(got), &got));
		CHECK_EQ(CPU_COUNT(&got), 1);
		CHECK(CPU_ISSET(cpu, &got));
		for (int i = 0; i < 20; i++) {
			CHECK_EQ(sched_getcpu(), cpu);
			sched_yield();
		}
	}
	IN_CHILD({
		CHECK_OK(sched_getaffinity(0, sizeof(got), &got));
		CHECK_EQ(CPU_COUNT(&got), 1);
	});
}

/* The CPUs that the case may use. */
static int usable_cpus(int cpus[CPU_SETSIZE])
{
	cpu_set_t all;
	int count = 0;

	CHECK_OK(sched_getaffinity(0, sizeof(all), &all));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all))
			cpus[count++] = cpu;
	return count;
}

static int here(void)
{
	unsigned int cpu;

	CHECK_OK(syscall(SYS_getcpu, &cpu, NULL, NULL));
	return (int)cpu;
}

static void spin_for_ever(void)
{
	for (;;)
		;
}

/* Children that keep every CPU busy. */
static void keep_busy(const int cpus[], int count)
{
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			pin(cpus[i]);
			spin_for_ever();
		}
	}
}

TEST_SECONDS(child_starts_where_it_may_run, 60)
{
	int cpus[CPU_SETSIZE], count = usable_cpus(cpus);

	for (int round = 0; round < 100; round++) {
		int cpu = cpus[round % count];

		pin(cpu);
		IN_CHILD(CHECK_EQ(here(), cpu));
	}
}

/*
 * What a child asks for holds from its first instruction on, also while its parent is
 * still in the call that makes it: a nicer parent on a busy CPU loses that to the child.
 */
TEST_SECONDS(newborn_moves_itself, 60)
{
	int cpus[CPU_SETSIZE], count = usable_cpus(cpus);

	keep_busy(cpus, count);
	CHECK_OK(setpriority(PRIO_PROCESS, 0, 19));
	for (int round = 0; round < 25; round++) {
		int cpu = cpus[(round + 1) % count];

		pin(cpus[round % count]);
		IN_CHILD({
			pin(cpu);
			CHECK_EQ(here(), cpu);
		});
	}
}

static _Atomic int moved_tid;
static _Atomic unsigned int move_number;	/* odd: the thread is on moved_to, and only there */
static _Atomic int moved_to;
static _Atomic unsigned int looks;

static void *look_where_it_is(void *arg)
{
	(void)arg;
	atomic_store(&moved_tid, (int)syscall(SYS_gettid));
	for (;;) {
		unsigned int number = atomic_load(&move_number);
		int to = atomic_load(&moved_to), cpu = here();

		if ((number & 1) && atomic_load(&move_number) == number)
			CHECK_EQ(cpu, to);
		atomic_fetch_add(&looks, 1);
	}
	return NULL;
}

/* sched_setaffinity returns when the other thread has left the CPU that it may not use. */
TEST_SECONDS(other_thread_is_moved_before_the_return, 60)
{
	int cpus[CPU_SETSIZE], count = usable_cpus(cpus);
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, look_where_it_is, NULL), 0);
	while (!atomic_load(&moved_tid))
		sched_yield();
	for (int round = 0; round < 200; round++) {
		unsigned int seen;
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpus[round % count], &set);
		CHECK_OK(sched_setaffinity(atomic_load(&moved_tid), sizeof(set), &set));
		atomic_store(&moved_to, cpus[round % count]);
		seen = atomic_load(&looks);
		atomic_fetch_add(&move_number, 1);
		while (atomic_load(&looks) - seen < 3)
			sched_yield();
		atomic_fetch_add(&move_number, 1);
	}
}

TEST(affinity_arguments_are_checked)
{
	unsigned long mask[128] = { 0 };
	long n;

	CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), EINVAL);
	mask[120] = 1;
	CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 7, mask), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 0, mask), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0x3fffffff, sizeof(mask), mask), ESRCH);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, sizeof(mask), NULL), EFAULT);
	n = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	CHECK(n >= 8 && n % 8 == 0);
	mask[0] = ~0ul;		/* more than there are is fine */
	CHECK_OK(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask));
}

/* What part of the processor time of @n children each has had; the sum in seconds. */
static double shares(int n, const pid_t *pids, double got[])
{
	double all = 0;

	for (int i = 0; i < n; i++) {
		struct timespec t;
		clockid_t clock;

		CHECK_EQ(clock_getcpuclockid(pids[i], &clock), 0);
		CHECK_OK(clock_gettime(clock, &t));
		got[i] = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
		all += got[i];
	}
	for (int i = 0; i < n; i++)
		got[i] /= all;
	return all;
}

/*
 * Children that share a CPU: @fair becomes true of what part of it each has had.  The first look
 * is after a fifth of a second of processor time, so that a busy machine makes it last longer and
 * does not make it a worse sample.  While a virtual processor is kept from running, the time that goes by
 * is its present program's: who lost a turn by that gets it back later, so the last look is when
 * they have used six seconds.
 */
static void share(int n, void (*setup)(int), bool (*fair)(const double got[]))
{
	int *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double all = 0, got[8];
	bool good = false;
	int ready[2];
	pid_t pids[8];
	char c;

	CHECK(stop != MAP_FAILED);
	pin(0);
	CHECK_OK(pipe(ready));
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i])
			continue;
		close(ready[1]);
		if (read(ready[0], &c, 1) != 0)	/* all start together */
			_exit(1);
		setup(i);
		while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
			;
		_exit(0);
	}
	close(ready[1]);
	while (!good && all < 6) {
		usleep(20000);
		all = shares(n, pids, got);
		good = all >= 0.2 && fair(got);
	}
	__atomic_store_n(stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < n; i++)
		harness_reap(pids[i], __FILE_NAME__, __LINE__);
	if (!good)
		harness_end(HARNESS_FAILED, "of %.1f s they had %.2f, %.2f, %.2f", all, got[0], got[1],
			    n > 2 ? got[2] : 0);
}

static void nothing(int i)
{
}

static bool are_equal(const double got[])
{
	for (int i = 0; i < 3; i++)
		if (got[i] <= 0.2 || got[i] >= 0.48)
			return false;
	return true;
}

TEST(equals_share_equally)
{
	share(3, nothing, are_equal);
}

static void second_is_nice(int i)
{
	if (i == 1)
		CHECK_OK(setpriority(PRIO_PROCESS, 0, 10));
}

/* The weights are 1024 and 110. */
static bool second_has_less(const double got[])
{
	return got[0] > 3 * got[1] && got[1] > 0;
}

TEST(nice_gives_less)
{
	share(2, second_is_nice, second_has_less);
}

TEST(fifo_runs_before_others)
{
	struct sched_param p = { .sched_priority = 5 };
	int *order = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	CHECK_ROOT();
	CHECK(order != MAP_FAILED);
	pin(0);
	CHECK_OK(sched_setscheduler(0, SCHED_FIFO, &p));
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		p.sched_priority = 0;
		if (sched_setscheduler(0, SCHED_OTHER, &p))
			_exit(1);
		order[0] = 1;
		_exit(0);
	}
	/* The child needs the CPU as OTHER, which a FIFO process that does not sleep keeps. */
	spin_ms(50);
	CHECK_EQ(order[0], 0);
	usleep(50000);
	CHECK_EQ(order[0], 1);
	harness_reap(child, __FILE_NAME__, __LINE__);
}

static volatile int turn;

static void *wait_for_turn(void *arg)
{
	while (turn != (int)(long)arg)
		sched_yield();
	turn++;
	return NULL;
}

TEST(yield_lets_others_run)
{
	pthread_t t[4];

	pin(0);
	turn = 0;
	for (long i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, wait_for_turn, (void *)(3 - i)), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(turn, 4);
}

TEST(switches_are_counted)
{
	struct rusage before, after;

	CHECK_OK(getrusage(RUSAGE_SELF, &before));
	/* Not every sleep is a switch: the time may be over before the processor is given away. */
	for (int i = 0; i < 20; i++)
		usleep(5000);
	CHECK_OK(getrusage(RUSAGE_SELF, &after));
	CHECK(after.ru_nvcsw - before.ru_nvcsw >= 5);
}

TEST(sched_attr_round_trip)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = { .size = 48, .policy = SCHED_OTHER, .nice = 4 };

	CHECK_OK(syscall(SYS_sched_setattr, 0, &attr, 0));
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 4);
	memset(&attr, 0, sizeof(attr));
	CHECK_OK(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0));
	CHECK_EQ(attr.policy, SCHED_OTHER);
	CHECK_EQ(attr.nice, 4);
	CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &attr, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &attr, 4, 0), EINVAL);
}
