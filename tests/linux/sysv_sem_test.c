/* SPDX-License-Identifier: MIT */
/* System V semaphores: semget(2), semop(2), semctl(2).  Each case has an IPC namespace of its own. */
#include "helpers.h"

#include <pthread.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#define KEY 0x53454d31

union semun { int val; struct semid_ds *buf; unsigned short *array; struct seminfo *info; };

static void fresh(void)
{
	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWIPC));
}

static int make(int count)
{
	int id = semget(IPC_PRIVATE, count, 0600);

	CHECK(id >= 0);
	return id;
}

static int value(int id, int num)
{
	return semctl(id, num, GETVAL);
}

static void set(int id, int num, int val)
{
	CHECK_OK(semctl(id, num, SETVAL, val));
}

static int op(int id, int num, int n, int flags)
{
	struct sembuf b = { (unsigned short)num, (short)n, (short)flags };

	return semop(id, &b, 1);
}

/* A child that does the operations and exits with 0, or its errno. */
static pid_t spawn(int id, struct sembuf *ops, size_t n)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		_exit(semop(id, ops, n) == 0 ? 0 : errno);
	return pid;
}

static void wait_for(int id, int num, int cmd, int n)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	while (semctl(id, num, cmd) != n)
		nanosleep(&pause, NULL);
}

static void handler(int sig)
{
	(void)sig;
}

TEST(get_finds_the_set_of_a_key)
{
	int id;

	fresh();
	CHECK_ERRNO(semget(KEY, 1, 0600), ENOENT);
	CHECK_ERRNO(semget(KEY, 0, IPC_CREAT | 0600), EINVAL);
	CHECK_ERRNO(semget(IPC_PRIVATE, -1, 0600), EINVAL);
	CHECK_ERRNO(semget(IPC_PRIVATE, 32001, 0600), EINVAL);
	id = semget(KEY, 3, IPC_CREAT | 0600);
	CHECK(id >= 0);
	CHECK_EQ(semget(KEY, 3, 0600), id);
	CHECK_EQ(semget(KEY, 0, 0), id);
	CHECK_ERRNO(semget(KEY, 4, 0600), EINVAL);
	CHECK_ERRNO(semget(KEY, 3, IPC_CREAT | IPC_EXCL), EEXIST);
}

TEST(values_and_limits_of_values)
{
	int id;

	fresh();
	id = make(2);
	CHECK_EQ(value(id, 0), 0);
	set(id, 0, 32767);
	CHECK_EQ(value(id, 0), 32767);
	CHECK_ERRNO(semctl(id, 0, SETVAL, 32768), ERANGE);
	CHECK_ERRNO(semctl(id, 0, SETVAL, -1), ERANGE);
	CHECK_ERRNO(semctl(id, 2, SETVAL, 1), EINVAL);
	CHECK_ERRNO(semctl(id, -1, SETVAL, 1), EINVAL);
	CHECK_ERRNO(semctl(id, 2, GETVAL), EINVAL);
	CHECK_ERRNO(semctl(id, -1, GETPID), EINVAL);
	CHECK_ERRNO(op(id, 0, 1, 0), ERANGE);
	CHECK_EQ(value(id, 0), 32767);
	CHECK_OK(op(id, 0, -32767, 0));
	CHECK_EQ(value(id, 0), 0);
}

TEST(all_values_at_once)
{
	unsigned short v[3] = { 1, 2, 3 }, w[3] = { 0 };
	int id;

	fresh();
	id = make(3);
	CHECK_OK(semctl(id, 0, SETALL, v));
	CHECK_OK(semctl(id, 0, GETALL, w));
	CHECK(memcmp(v, w, sizeof(v)) == 0);
	v[2] = 40000;
	CHECK_ERRNO(semctl(id, 0, SETALL, v), ERANGE);
	CHECK_EQ(value(id, 0), 1);
	CHECK_ERRNO(semctl(id, 0, SETALL, 8L), EFAULT);
	CHECK_ERRNO(semctl(id, 0, GETALL, 8L), EFAULT);
}

TEST(operations_are_done_all_or_none)
{
	struct sembuf ops[3] = { { 0, 5, 0 }, { 1, -1, IPC_NOWAIT }, { 2, 1, 0 } };
	int id;

	fresh();
	id = make(3);
	CHECK_ERRNO(semop(id, ops, 3), EAGAIN);
	CHECK_EQ(value(id, 0), 0);
	set(id, 1, 1);
	CHECK_OK(semop(id, ops, 3));
	CHECK_EQ(value(id, 0), 5);
	CHECK_EQ(value(id, 1), 0);
	CHECK_EQ(value(id, 2), 1);
	ops[1] = (struct sembuf){ 1, 32767, 0 };
	ops[2] = (struct sembuf){ 1, 1, 0 };
	CHECK_ERRNO(semop(id, ops, 3), ERANGE);
	CHECK_EQ(value(id, 0), 5);
	CHECK_EQ(value(id, 1), 0);
}

TEST(operations_on_one_semaphore_are_done_in_order)
{
	struct sembuf ops[3] = { { 0, 1, 0 }, { 0, -1, IPC_NOWAIT }, { 0, 0, IPC_NOWAIT } };
	int id;

	fresh();
	id = make(1);
	CHECK_OK(semop(id, ops, 3));
	CHECK_EQ(value(id, 0), 0);
	set(id, 0, 1);
	CHECK_ERRNO(semop(id, ops, 3), EAGAIN);
}

TEST(op_rejects_nonsense)
{
	struct sembuf b = { 0, 1, 0 }, many[501] = { 0 };
	struct timespec bad = { 0, 1000000000 }, negative = { -1, 0 };
	int id;

	fresh();
	id = make(1);
	CHECK_ERRNO(semop(id, &b, 0), EINVAL);
	CHECK_ERRNO(semop(-1, &b, 1), EINVAL);
	CHECK_ERRNO(semop(id + 1, &b, 1), EINVAL);
	CHECK_ERRNO(semop(id, many, 501), E2BIG);
	b.sem_num = 1;
	CHECK_ERRNO(semop(id, &b, 1), EFBIG);
	b.sem_num = 0xffff;
	CHECK_ERRNO(semop(id, &b, 1), EFBIG);
	CHECK_ERRNO(syscall(SYS_semop, id, 8L, 1L), EFAULT);
	CHECK_ERRNO(syscall(SYS_semtimedop, id, many, 1L, 8L), EFAULT);
	CHECK_ERRNO(semtimedop(id, many, 1, &bad), EINVAL);
	CHECK_ERRNO(semtimedop(id, many, 1, &negative), EINVAL);
	CHECK_OK(semop(id, many, 500));
}

TEST(pid_is_of_the_last_operation)
{
	int id;
	pid_t child;

	fresh();
	id = make(2);
	CHECK_EQ(semctl(id, 0, GETPID), 0);
	CHECK_OK(op(id, 0, 1, 0));
	CHECK_EQ(semctl(id, 0, GETPID), getpid());
	CHECK_EQ(semctl(id, 1, GETPID), 0);
	child = spawn(id, &(struct sembuf){ 0, -1, 0 }, 1);
	exit_of(child);
	CHECK_EQ(semctl(id, 0, GETPID), child);
	set(id, 1, 0);
	CHECK_EQ(semctl(id, 1, GETPID), getpid());
}

TEST(waits_until_it_can_go_on)
{
	pid_t child;
	int id;

	fresh();
	id = make(1);
	child = spawn(id, &(struct sembuf){ 0, -2, 0 }, 1);
	wait_for(id, 0, GETNCNT, 1);
	CHECK_OK(op(id, 0, 1, 0));
	CHECK_EQ(semctl(id, 0, GETNCNT), 1);
	CHECK_OK(op(id, 0, 1, 0));
	CHECK_EQ(value(id, 0), 0);
	CHECK_EQ(semctl(id, 0, GETNCNT), 0);
	CHECK_EQ(semctl(id, 0, GETPID), child);
	CHECK_EQ(exit_of(child), 0);
}

TEST(waits_for_zero)
{
	pid_t child;
	int id;

	fresh();
	id = make(1);
	set(id, 0, 2);
	child = spawn(id, &(struct sembuf){ 0, 0, 0 }, 1);
	wait_for(id, 0, GETZCNT, 1);
	CHECK_EQ(semctl(id, 0, GETNCNT), 0);
	CHECK_OK(op(id, 0, -1, 0));
	CHECK_EQ(semctl(id, 0, GETZCNT), 1);
	CHECK_OK(op(id, 0, -1, 0));
	CHECK_EQ(exit_of(child), 0);
}

TEST(setting_values_lets_waiters_go_on)
{
	unsigned short v[2] = { 1, 1 };
	struct sembuf both[2] = { { 0, -1, 0 }, { 1, -1, 0 } };
	pid_t a, b;
	int id;

	fresh();
	id = make(2);
	a = spawn(id, &(struct sembuf){ 0, -1, 0 }, 1);
	wait_for(id, 0, GETNCNT, 1);
	set(id, 0, 1);
	CHECK_EQ(exit_of(a), 0);
	b = spawn(id, both, 2);
	wait_for(id, 0, GETNCNT, 1);
	CHECK_OK(semctl(id, 0, SETALL, v));
	CHECK_EQ(exit_of(b), 0);
	CHECK_EQ(value(id, 0) + value(id, 1), 0);
}

/* It waits for one semaphore at a time, and is counted there. */
TEST(waiter_moves_to_what_stops_it_next)
{
	struct sembuf both[2] = { { 0, -1, 0 }, { 1, -1, 0 } };
	pid_t child;
	int id;

	fresh();
	id = make(2);
	child = spawn(id, both, 2);
	wait_for(id, 0, GETNCNT, 1);
	CHECK_EQ(semctl(id, 1, GETNCNT), 0);
	CHECK_OK(op(id, 0, 1, 0));
	CHECK_EQ(semctl(id, 0, GETNCNT), 0);
	CHECK_EQ(semctl(id, 1, GETNCNT), 1);
	CHECK_EQ(value(id, 0), 1);
	CHECK_OK(op(id, 0, -1, 0));		/* taken away again */
	CHECK_OK(op(id, 1, 1, 0));
	CHECK_EQ(semctl(id, 0, GETNCNT), 1);
	CHECK_OK(op(id, 0, 1, 0));
	CHECK_EQ(exit_of(child), 0);
}

TEST(one_operation_lets_a_chain_go_on)
{
	struct sembuf step[3][2] = {
		{ { 0, -1, 0 }, { 1, 1, 0 } }, { { 1, -1, 0 }, { 2, 1, 0 } }, { { 2, -1, 0 }, { 3, 1, 0 } },
	};
	pid_t child[3];
	int id;

	fresh();
	id = make(4);
	for (int i = 2; i >= 0; i--) {
		child[i] = spawn(id, step[i], 2);
		wait_for(id, i, GETNCNT, 1);
	}
	CHECK_OK(op(id, 0, 1, 0));
	CHECK_EQ(value(id, 3), 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(exit_of(child[i]), 0);
}

TEST(waiters_go_on_in_the_order_of_arrival)
{
	pid_t child[4];
	int id;

	fresh();
	id = make(1);
	for (int i = 0; i < 4; i++) {
		child[i] = spawn(id, &(struct sembuf){ 0, -1, 0 }, 1);
		wait_for(id, 0, GETNCNT, i + 1);
	}
	for (int i = 0; i < 4; i++) {
		CHECK_OK(op(id, 0, 1, 0));
		CHECK_EQ(semctl(id, 0, GETPID), child[i]);
		CHECK_EQ(exit_of(child[i]), 0);
	}
}

TEST(small_wish_is_not_kept_by_a_large_one)
{
	pid_t large, small;
	int id;

	fresh();
	id = make(1);
	large = spawn(id, &(struct sembuf){ 0, -5, 0 }, 1);
	wait_for(id, 0, GETNCNT, 1);
	small = spawn(id, &(struct sembuf){ 0, -1, 0 }, 1);
	wait_for(id, 0, GETNCNT, 2);
	CHECK_OK(op(id, 0, 1, 0));
	CHECK_EQ(exit_of(small), 0);
	CHECK_OK(op(id, 0, 5, 0));
	CHECK_EQ(exit_of(large), 0);
}

TEST(removal_ends_waits)
{
	pid_t a, b;
	int id;

	fresh();
	id = make(2);
	a = spawn(id, &(struct sembuf){ 0, -1, 0 }, 1);
	set(id, 1, 1);
	b = spawn(id, &(struct sembuf){ 1, 0, SEM_UNDO }, 1);
	wait_for(id, 0, GETNCNT, 1);
	wait_for(id, 1, GETZCNT, 1);
	CHECK_OK(semctl(id, 0, IPC_RMID));
	CHECK_EQ(exit_of(a), EIDRM);
	CHECK_EQ(exit_of(b), EIDRM);
	CHECK_ERRNO(semctl(id, 0, GETVAL), EINVAL);
}

TEST(signal_ends_a_wait_whatever_sa_restart_says)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	pid_t child;
	int id;

	fresh();
	id = make(1);
	sigaction(SIGUSR1, &sa, NULL);
	child = spawn(id, &(struct sembuf){ 0, -1, 0 }, 1);
	wait_for(id, 0, GETNCNT, 1);
	kill(child, SIGUSR1);
	CHECK_EQ(exit_of(child), EINTR);
	CHECK_EQ(semctl(id, 0, GETNCNT), 0);
}

TEST(timeout_ends_a_wait)
{
	struct sembuf b = { 0, -1, 0 };
	struct timespec ms = { 0, 20000000 }, none = { 0, 0 };
	int id;

	fresh();
	id = make(1);
	CHECK_ERRNO(semtimedop(id, &b, 1, &ms), EAGAIN);
	CHECK_ERRNO(semtimedop(id, &b, 1, &none), EAGAIN);
	CHECK_EQ(semctl(id, 0, GETNCNT), 0);
	set(id, 0, 1);
	CHECK_OK(semtimedop(id, &b, 1, &none));
}

TEST(undo_at_exit)
{
	pid_t child;
	int id;

	fresh();
	id = make(2);
	set(id, 0, 5);
	child = fork();
	if (!child) {
		CHECK_OK(op(id, 0, -2, SEM_UNDO));
		CHECK_OK(op(id, 1, 3, SEM_UNDO));
		CHECK_OK(op(id, 1, 1, 0));
		CHECK_OK(op(id, 0, -1, SEM_UNDO));
		CHECK_EQ(value(id, 0), 2);
		_exit(0);
	}
	CHECK_EQ(exit_of(child), 0);
	CHECK_EQ(value(id, 0), 5);
	CHECK_EQ(value(id, 1), 1);
	CHECK_EQ(semctl(id, 0, GETPID), child);
}

TEST(undo_stops_at_zero)
{
	pid_t child;
	int id, p[2];
	char c;

	fresh();
	id = make(1);
	CHECK_OK(pipe(p));
	child = fork();
	if (!child) {
		op(id, 0, 3, SEM_UNDO);
		read(p[0], &c, 1);
		_exit(0);
	}
	while (value(id, 0) != 3)
		usleep(1000);
	CHECK_OK(op(id, 0, -2, 0));
	write(p[1], "x", 1);
	exit_of(child);
	CHECK_EQ(value(id, 0), 0);
}

TEST(undo_of_a_killed_process_wakes_waiters)
{
	pid_t holder, waiter;
	int id;

	fresh();
	id = make(1);
	set(id, 0, 1);
	holder = fork();
	if (!holder) {
		op(id, 0, -1, SEM_UNDO);
		pause();
	}
	while (value(id, 0))
		usleep(1000);
	waiter = spawn(id, &(struct sembuf){ 0, -1, 0 }, 1);
	wait_for(id, 0, GETNCNT, 1);
	kill(holder, SIGKILL);
	CHECK_EQ(exit_of(waiter), 0);
}

TEST(undo_of_what_was_done_while_waiting)
{
	pid_t child;
	int id, p[2];
	char c;

	fresh();
	id = make(1);
	CHECK_OK(pipe(p));
	child = fork();
	if (!child) {
		op(id, 0, -1, SEM_UNDO);
		read(p[0], &c, 1);
		_exit(0);
	}
	wait_for(id, 0, GETNCNT, 1);
	CHECK_OK(op(id, 0, 1, 0));
	CHECK_EQ(value(id, 0), 0);
	write(p[1], "x", 1);
	exit_of(child);
	CHECK_EQ(value(id, 0), 1);
}

TEST(undo_is_forgotten_when_the_value_is_set)
{
	int id, p[2], q[2];
	pid_t child;
	char c;

	fresh();
	id = make(1);
	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	child = fork();
	if (!child) {
		op(id, 0, 7, SEM_UNDO);
		write(q[1], "x", 1);
		read(p[0], &c, 1);
		_exit(0);
	}
	read(q[0], &c, 1);
	set(id, 0, 4);
	write(p[1], "x", 1);
	exit_of(child);
	CHECK_EQ(value(id, 0), 4);
}

TEST(undo_has_a_range)
{
	int id;

	fresh();
	id = make(1);
	CHECK_OK(op(id, 0, 32767, SEM_UNDO));
	CHECK_OK(op(id, 0, -32767, 0));
	CHECK_OK(op(id, 0, 1, SEM_UNDO));
	CHECK_ERRNO(op(id, 0, 1, SEM_UNDO), ERANGE);
	CHECK_EQ(value(id, 0), 1);
}

TEST(undo_is_not_inherited_but_kept_over_exec)
{
	pid_t child;
	int id;

	fresh();
	id = make(1);
	set(id, 0, 1);
	CHECK_OK(op(id, 0, 2, SEM_UNDO));
	IN_CHILD((void)0);
	CHECK_EQ(value(id, 0), 3);
	child = fork();
	if (!child) {
		op(id, 0, 10, SEM_UNDO);
		execl("/bin/true", "true", NULL);
		_exit(9);
	}
	CHECK_EQ(exit_of(child), 0);
	CHECK_EQ(value(id, 0), 3);
}

static void *undo_thread(void *arg)
{
	CHECK_OK(op(*(int *)arg, 0, 1, SEM_UNDO));
	return NULL;
}

TEST(undo_belongs_to_the_process_not_to_the_thread)
{
	int id;

	fresh();
	id = make(1);
	IN_CHILD({
		pthread_t t;

		pthread_create(&t, NULL, undo_thread, &id);
		pthread_join(t, NULL);
		CHECK_EQ(value(id, 0), 1);
	});
	CHECK_EQ(value(id, 0), 0);
}

TEST(unshare_sysvsem_undoes)
{
	int id;

	fresh();
	id = make(1);
	CHECK_OK(op(id, 0, 1, SEM_UNDO));
	CHECK_OK(unshare(CLONE_SYSVSEM));
	CHECK_EQ(value(id, 0), 0);
	CHECK_OK(op(id, 0, 1, SEM_UNDO));
	CHECK_EQ(value(id, 0), 1);
}

TEST(undo_of_removed_sets_does_not_pile_up)
{
	fresh();
	for (int i = 0; i < 2000; i++) {
		int id = make(1);

		CHECK_OK(op(id, 0, 1, SEM_UNDO));
		CHECK_OK(semctl(id, 0, IPC_RMID));
	}
}

TEST(stat_and_set)
{
	time_t now = time(NULL);
	struct semid_ds ds;
	int id;

	fresh();
	id = semget(KEY, 4, IPC_CREAT | 0640);
	CHECK_OK(semctl(id, 0, IPC_STAT, &ds));
	CHECK_EQ(ds.sem_nsems, 4);
	CHECK_EQ(ds.sem_perm.mode, 0640);
	CHECK_EQ(ds.sem_perm.__key, KEY);
	CHECK_EQ(ds.sem_otime, 0);
	CHECK(ds.sem_ctime >= now);
	CHECK_OK(op(id, 0, 0, 0));
	CHECK_OK(semctl(id, 0, IPC_STAT, &ds));
	CHECK(ds.sem_otime >= now);
	ds.sem_perm.uid = 65534;
	ds.sem_perm.mode = 0600;
	CHECK_OK(semctl(id, 0, IPC_SET, &ds));
	IN_CHILD({
		become_nobody();
		CHECK_OK(op(id, 0, 1, 0));
		CHECK_OK(semctl(id, 0, IPC_RMID));
	});
}

TEST(permissions_count)
{
	int id, readable;

	fresh();
	id = semget(KEY, 1, IPC_CREAT | 0600);
	readable = semget(KEY + 1, 1, IPC_CREAT | 0644);
	IN_CHILD({
		struct semid_ds ds;

		become_nobody();
		CHECK_ERRNO(semget(KEY, 1, 0600), EACCES);
		CHECK_ERRNO(op(id, 0, 0, 0), EACCES);
		CHECK_ERRNO(value(id, 0), EACCES);
		CHECK_ERRNO(semctl(id, 0, IPC_STAT, &ds), EACCES);
		CHECK_ERRNO(semctl(id, 0, IPC_RMID), EPERM);
		CHECK_OK(op(readable, 0, 0, 0));
		CHECK_ERRNO(op(readable, 0, 1, 0), EACCES);
		CHECK_EQ(value(readable, 0), 0);
		CHECK_ERRNO(semctl(readable, 0, SETVAL, 1), EACCES);
	});
}

TEST(info_counts_what_is_there)
{
	struct seminfo info;
	struct semid_ds ds;
	int a, b;

	fresh();
	CHECK_EQ(semctl(0, 0, IPC_INFO, &info), 0);
	CHECK_EQ(info.semmni, 32000);
	CHECK_EQ(info.semmsl, 32000);
	CHECK_EQ(info.semopm, 500);
	CHECK_EQ(info.semvmx, 32767);
	a = make(3);
	b = make(4);
	CHECK_EQ(semctl(0, 0, SEM_INFO, &info), 1);
	CHECK_EQ(info.semusz, 2);
	CHECK_EQ(info.semaem, 7);
	CHECK_EQ(semctl(1, 0, SEM_STAT, &ds), b);
	CHECK_EQ(ds.sem_nsems, 4);
	CHECK_EQ(semctl(0, 0, SEM_STAT_ANY, &ds), a);
	CHECK_ERRNO(semctl(9, 0, SEM_STAT, &ds), EINVAL);
	CHECK_ERRNO(semctl(a, 0, 4711, &ds), EINVAL);
	CHECK_ERRNO(semctl(a, 0, IPC_STAT, 8L), EFAULT);
	CHECK_ERRNO(semctl(-1, 0, GETVAL), EINVAL);
}

TEST(limits_hold)
{
	int id;

	fresh();
	write_file("/proc/sys/kernel/sem", "10 15 3 4");
	CHECK_ERRNO(semget(IPC_PRIVATE, 11, 0600), EINVAL);
	id = make(10);
	CHECK_ERRNO(semget(IPC_PRIVATE, 6, 0600), ENOSPC);
	CHECK_ERRNO(semop(id, (struct sembuf[4]){ 0 }, 4), E2BIG);
	make(1);
	make(1);
	make(1);
	CHECK_ERRNO(semget(IPC_PRIVATE, 1, 0600), ENOSPC);
}

TEST(proc_lists_sets)
{
	char want[64], line[256];
	bool found = false;
	FILE *f;
	int id;

	fresh();
	id = semget(KEY, 4, IPC_CREAT | 0640);
	snprintf(want, sizeof(want), "%10d %10d  %4o %10u %5u", KEY, id, 0640, 4, 0);
	f = fopen("/proc/sysvipc/sem", "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		found = found || strstr(line, want);
	CHECK(found);
}

/* Four processes that pass a token round, and one semaphore as a mutex. */
TEST_SECONDS(many_processes_at_once, 60)
{
	int *counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int id;

	fresh();
	id = make(5);
	set(id, 4, 1);
	set(id, 0, 1);
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		for (int n = 0; n < 500; n++) {
			CHECK_OK(op(id, i, -1, 0));
			CHECK_OK(op(id, 4, -1, SEM_UNDO));
			++*counter;
			CHECK_OK(op(id, 4, 1, SEM_UNDO));
			CHECK_OK(op(id, (i + 1) % 4, 1, 0));
		}
		_exit(0);
	}
	for (int i = 0, status; i < 4; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(*counter, 2000);
	CHECK_EQ(value(id, 0), 1);
}

/*
 * Whatever happens in whichever order: nobody hangs, and errors are those of the manual.  EINTR
 * is among them without a signal: a wait whose time runs out just while the set is removed ends
 * with it on Linux, which looks whether the set is still there before it looks why it was woken.
 */
TEST_SECONDS(sets_come_and_go_under_use, 60)
{
	fresh();
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		srand((unsigned int)i);
		for (int n = 0; n < 1500; n++) {
			struct sembuf ops[2] = {
				{ (unsigned short)(rand() % 3), (short)(rand() % 5 - 2), (short)(rand() % 2 ? SEM_UNDO : 0) },
				{ (unsigned short)(rand() % 3), (short)(rand() % 3 - 1), 0 },
			};
			struct timespec soon = { 0, rand() % 300000 };
			int id = semget(KEY, 3, IPC_CREAT | 0600);

			if (id < 0)
				continue;
			if (semtimedop(id, ops, 1 + (size_t)(rand() % 2), &soon) < 0)
				CHECK(errno == EAGAIN || errno == EIDRM || errno == EINVAL || errno == ERANGE ||
				      errno == EINTR);
			if (rand() % 16 == 0 && semctl(id, 0, IPC_RMID) < 0)
				CHECK(errno == EIDRM || errno == EINVAL);
			if (rand() % 16 == 0 && semctl(id, rand() % 3, SETVAL, rand() % 4) < 0)
				CHECK(errno == EIDRM || errno == EINVAL);
		}
		_exit(0);
	}
	for (int i = 0, status; i < 4; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
}
