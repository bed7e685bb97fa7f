/* SPDX-License-Identifier: MIT */
/* Threads: what clone(2), exit_group(2), exec and the scheduler calls do with several of them. */

#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
	return t;
}

static void *sleep_for_ever(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

/* The status of a child that runs @fn. */
static int child_status(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(99);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

/* -- identity ---------------------------------------------------------------------------- */

static void *own_ids(void *arg)
{
	pid_t *ids = arg;

	ids[0] = getpid();
	ids[1] = (pid_t)syscall(SYS_gettid);
	ids[2] = getppid();
	return NULL;
}

TEST(threads_share_the_pid_and_have_their_own_tid)
{
	pid_t ids[3];

	CHECK_EQ(syscall(SYS_gettid), getpid());
	pthread_join(start(own_ids, ids), NULL);
	CHECK_EQ(ids[0], getpid());
	CHECK(ids[1] != getpid());
	CHECK_EQ(ids[2], getppid());
}

static __thread int own_value = 7;

static void *change_own_value(void *arg)
{
	int seen = own_value;

	own_value = 8;
	return (void *)(long)seen;
}

TEST(thread_local_storage_is_local)
{
	void *seen;

	own_value = 9;
	CHECK_EQ(pthread_join(start(change_own_value, NULL), &seen), 0);
	CHECK_EQ((long)seen, 7);
	CHECK_EQ(own_value, 9);
}

static void *add_one(void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
	return NULL;
}

TEST(many_threads_come_and_go)
{
	_Atomic int count = 0;
	pthread_t t[50];

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++)
			t[i] = start(add_one, (void *)&count);
		for (int i = 0; i < 50; i++)
			CHECK_EQ(pthread_join(t[i], NULL), 0);
	}
	CHECK_EQ(atomic_load(&count), 1000);
}

TEST(detached_threads_go_by_themselves)
{
	_Atomic int count = 0;

	for (int i = 0; i < 200; i++)
		CHECK_EQ(pthread_detach(start(add_one, (void *)&count)), 0);
	for (int i = 0; i < 500 && atomic_load(&count) < 200; i++)
		usleep(10000);
	CHECK_EQ(atomic_load(&count), 200);
}

/* -- ends ---------------------------------------------------------------------------------- */

static void *exit_with_five(void *arg)
{
	usleep(20000);
	exit(5);
}

static void exit_from_a_thread(void)
{
	start(sleep_for_ever, NULL);
	start(exit_with_five, NULL);
	pause();
}

TEST(exit_of_one_thread_ends_all)
{
	int status = child_status(exit_from_a_thread);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 5);
}

static void *exit_late(void *arg)
{
	usleep(50000);
	_exit(6);
}

static void leave_main_thread(void)
{
	start(exit_late, NULL);
	pthread_exit(NULL);
}

TEST(process_outlives_its_first_thread)
{
	int status = child_status(leave_main_thread);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 6);
}

static void just_the_thread(void)
{
	syscall(SYS_exit, 3);
}

TEST(exit_status_of_the_last_thread_counts)
{
	int status = child_status(just_the_thread);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 3);
}

static void many_sleepers(void)
{
	for (int i = 0; i < 20; i++)
		start(sleep_for_ever, NULL);
	raise(SIGKILL);
}

TEST(sigkill_ends_all_threads)
{
	int status = child_status(many_sleepers);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGKILL);
}

static void *fault(void *arg)
{
	*(volatile int *)16 = 1;
	return NULL;
}

static void fault_in_a_thread(void)
{
	start(fault, NULL);
	pause();
}

TEST(fault_of_one_thread_ends_all)
{
	int status = child_status(fault_in_a_thread);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSEGV);
}

static void *spin(void *arg)
{
	for (;;)
		atomic_fetch_add((_Atomic int *)arg, 1);
	return NULL;
}

static _Atomic int spins;

static void exit_beside_spinners(void)
{
	for (int i = 0; i < 4; i++)
		start(spin, (void *)&spins);
	usleep(20000);
	_exit(4);
}

TEST(busy_threads_are_ended_too)
{
	int status = child_status(exit_beside_spinners);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 4);
}

/* -- exec ------------------------------------------------------------------------------------ */

static char self_path[256];

static void *exec_main(void *arg)
{
	char expected[16];
	char *argv[] = { self_path, "-l", NULL };

	snprintf(expected, sizeof(expected), "%d", getpid());
	(void)expected;
	execv(self_path, argv);
	_exit(98);
}

static void exec_from_a_thread(void)
{
	int null = open("/dev/null", O_WRONLY);

	if (null >= 0)
		dup2(null, 1);
	start(sleep_for_ever, NULL);
	start(spin, (void *)&spins);
	start(exec_main, NULL);
	pause();
}

TEST(exec_of_one_thread_replaces_all)
{
	ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	int status;

	if (n <= 0)
		SKIP("no /proc/self/exe");
	status = child_status(exec_from_a_thread);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST(vfork_parent_waits_for_the_child)
{
	volatile int seen = 0;
	int status;
	pid_t pid = vfork();

	CHECK(pid >= 0);
	if (pid == 0) {
		seen = 1;
		_exit(2);
	}
	CHECK_EQ(seen, 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 2);
}

TEST(fork_in_a_thread_copies_that_thread_only)
{
	pid_t ids[3];
	int status;
	pid_t pid;

	start(spin, (void *)&spins);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		int before = atomic_load(&spins);

		usleep(20000);
		if (atomic_load(&spins) != before)
			_exit(1);
		own_ids(ids);
		_exit(ids[0] == ids[1] ? 0 : 2);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* -- clone flags ------------------------------------------------------------------------------- */

static char child_stack[65536] __attribute__((aligned(16)));
static _Atomic pid_t set_tid, cleared_tid;

static int clone_child(void *arg)
{
	syscall(SYS_exit, atomic_load(&set_tid) == syscall(SYS_gettid) ? 0 : 1);
	return 0;
}

TEST(clone_sets_and_clears_the_tid)
{
	pid_t parent_tid = 0;
	pid_t pid;
	int status;

	atomic_store(&cleared_tid, 1);
	pid = clone(clone_child, child_stack + sizeof(child_stack),
		    CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, NULL,
		    &parent_tid, NULL, &set_tid);
	CHECK(pid > 0);
	CHECK_EQ(parent_tid, pid);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);

	pid = clone(clone_child, child_stack + sizeof(child_stack),
		    CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, &cleared_tid);
	CHECK(pid > 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(atomic_load(&cleared_tid), 0);
}

TEST(clone_refuses_flags_that_contradict)
{
	CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0), EINVAL);
}

/* -- signals ------------------------------------------------------------------------------------- */

static _Atomic pid_t handled_by;

static void on_usr1(int sig)
{
	atomic_store(&handled_by, (pid_t)syscall(SYS_gettid));
}

static _Atomic pid_t waiter_tid;

static void *wait_for_signal(void *arg)
{
	atomic_store(&waiter_tid, (pid_t)syscall(SYS_gettid));
	while (!atomic_load(&handled_by))
		usleep(1000);
	return NULL;
}

TEST(tgkill_reaches_the_very_thread)
{
	struct sigaction act = { .sa_handler = on_usr1 };
	pthread_t t;

	CHECK_OK(sigaction(SIGUSR1, &act, NULL));
	t = start(wait_for_signal, NULL);
	while (!atomic_load(&waiter_tid))
		usleep(1000);
	CHECK_OK(syscall(SYS_tgkill, getpid(), atomic_load(&waiter_tid), SIGUSR1));
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(atomic_load(&handled_by), atomic_load(&waiter_tid));
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0x3fffffff, SIGUSR1), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL);
}

TEST(process_signal_goes_to_a_thread_that_does_not_block_it)
{
	struct sigaction act = { .sa_handler = on_usr1 };
	sigset_t set;
	pthread_t t;

	CHECK_OK(sigaction(SIGUSR1, &act, NULL));
	t = start(wait_for_signal, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(atomic_load(&handled_by), atomic_load(&waiter_tid));
}

TEST(cancelled_thread_ends)
{
	pthread_t t = start(sleep_for_ever, NULL);
	void *result;

	usleep(10000);
	CHECK_EQ(pthread_cancel(t), 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK(result == PTHREAD_CANCELED);
}

/* -- stacks ----------------------------------------------------------------------------------------- */

static int __attribute__((noinline)) dive(int depth)
{
	volatile char page[4096];

	page[0] = (char)depth;
	return depth ? dive(depth - 1) + page[0] - (char)depth : 0;
}

TEST(main_stack_grows)
{
	CHECK_EQ(dive(1000), 0);
}

static void dive_too_deep(void)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_STACK, &limit);
	_exit(dive(1000));
}

TEST(stack_limit_is_the_end)
{
	int status = child_status(dive_too_deep);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSEGV);
}

/* -- time and CPUs ------------------------------------------------------------------------------------ */

static long long cpu_ns(clockid_t clock)
{
	struct timespec t;

	CHECK_OK(clock_gettime(clock, &t));
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void *burn(void *arg)
{
	long long start_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID);

	while (cpu_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns < 300000000)
		;
	return NULL;
}

/*
 * Time in which the machine does not let a virtual processor run counts as its program's.  So
 * sleep more than once: if sleeping counted, it would each time.
 */
TEST(cpu_time_counts_work_not_sleep)
{
	long long process = cpu_ns(CLOCK_PROCESS_CPUTIME_ID), thread, slept;
	bool other_counts = true;

	for (int i = 0; i < 20; i++) {
		slept = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
		usleep(100000);
		slept = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - slept;
		if (slept < 50000000)
			break;
	}
	CHECK(slept < 50000000);
	for (int i = 0; i < 5 && other_counts; i++) {
		thread = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
		pthread_join(start(burn, NULL), NULL);
		other_counts = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - thread >= 200000000;
	}
	CHECK(!other_counts);
	CHECK(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - process >= 300000000);
}

TEST(affinity_is_kept)
{
	cpu_set_t all, one, seen;

	CHECK_OK(sched_getaffinity(0, sizeof(all), &all));
	CHECK(CPU_COUNT(&all) >= 1);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		CHECK_OK(sched_setaffinity(0, sizeof(one), &one));
		CHECK_EQ(sched_getcpu(), cpu);
		CHECK_OK(sched_getaffinity(0, sizeof(seen), &seen));
		CHECK(CPU_EQUAL(&one, &seen));
	}
	CPU_ZERO(&one);
	CHECK_ERRNO(sched_setaffinity(0, sizeof(one), &one), EINVAL);
}

TEST(nice_is_inherited_and_cannot_be_taken_back)
{
	errno = 0;
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
	CHECK_EQ(nice(5), 5);
	IN_CHILD({ CHECK_EQ(getpriority(PRIO_PROCESS, 0), 5); });
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_EQ(sched_get_priority_min(SCHED_OTHER), 0);
}
