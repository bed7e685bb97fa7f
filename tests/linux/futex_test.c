/* SPDX-License-Identifier: MIT */
/* Futexes: futex(2), as the C library and its rivals use it. */

#include "harness.h"

#include <linux/futex.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

static long futex(_Atomic int *word, int op, int val, const void *timeout, void *word2, int val3)
{
	return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

static long futex_move(_Atomic int *word, int op, int wake, unsigned long move, void *word2,
		       int val3)
{
	return syscall(SYS_futex, word, op, wake, move, word2, val3);
}

static const struct timespec ten_ms = { .tv_nsec = 10000000 };

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/* A thread (or process) that waits on a word until it is woken. */
struct sleeper {
	_Atomic int *word;
	int op, bits;
	_Atomic int asleep;		/* about to sleep */
	_Atomic int result;		/* 1 + errno, or 1 when woken; 0: still asleep */
	pthread_t thread;
};

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	long r;

	atomic_store(&s->asleep, 1);
	r = futex(s->word, s->op, 0, NULL, NULL, s->bits);
	atomic_store(&s->result, r ? 1 + errno : 1);
	return NULL;
}

static void sleeper_start(struct sleeper *s, _Atomic int *word, int op, int bits)
{
	*s = (struct sleeper){ .word = word, .op = op, .bits = bits };
	CHECK_EQ(pthread_create(&s->thread, NULL, sleeper_main, s), 0);
	while (!atomic_load(&s->asleep))
		sched_yield();
	usleep(20000);			/* it cannot say that it sleeps already */
}

static void sleeper_join(struct sleeper *s)
{
	CHECK_EQ(pthread_join(s->thread, NULL), 0);
	CHECK_EQ(atomic_load(&s->result), 1);
}

TEST(changed_word_is_eagain)
{
	_Atomic int word = 5;

	CHECK_ERRNO(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 4, NULL, NULL, 0), EAGAIN);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 4, NULL, NULL, 1), EAGAIN);
}

TEST(relative_timeout_is_at_least_that_long)
{
	_Atomic int word = 0;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &ten_ms, NULL, 0), ETIMEDOUT);
	CHECK(elapsed_ms(&start) >= 10);
	CHECK(elapsed_ms(&start) < 2000);
}

TEST(bitset_timeout_is_absolute)
{
	_Atomic int word = 0;
	struct timespec when, start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	when = start;
	when.tv_nsec += 20000000;
	if (when.tv_nsec >= 1000000000) {
		when.tv_nsec -= 1000000000;
		when.tv_sec++;
	}
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, &when, NULL, 1), ETIMEDOUT);
	CHECK(elapsed_ms(&start) >= 20);
	clock_gettime(CLOCK_REALTIME, &when);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &when, NULL, 1),
		    ETIMEDOUT);
}

TEST(bad_arguments_are_refused)
{
	_Atomic int word = 0;
	struct timespec bad = { .tv_nsec = 1000000000 };
	char *odd = (char *)&word + 1;

	CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	CHECK_ERRNO(futex((void *)odd, FUTEX_WAIT, 0, &ten_ms, NULL, 0), EINVAL);
	CHECK_ERRNO(futex((void *)odd, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, &ten_ms, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERRNO(futex((void *)8, FUTEX_WAIT, 0, &ten_ms, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, (void *)8, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
}

TEST(wake_says_how_many)
{
	_Atomic int word = 0;
	struct sleeper s[3];

	CHECK_EQ(futex(&word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 0);
	for (int i = 0; i < 3; i++)
		sleeper_start(&s[i], &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 1);
	CHECK_EQ(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0), 2);
	for (int i = 0; i < 3; i++)
		sleeper_join(&s[i]);
}

TEST(wake_bitset_chooses)
{
	_Atomic int word = 0;
	struct sleeper a, b;

	sleeper_start(&a, &word, FUTEX_WAIT_BITSET, 1);
	sleeper_start(&b, &word, FUTEX_WAIT_BITSET, 2);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 4), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 2), 1);
	sleeper_join(&b);
	CHECK_EQ(atomic_load(&a.result), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 1);
	sleeper_join(&a);
}

TEST(requeue_moves_the_rest)
{
	_Atomic int first = 0, second = 0;
	struct sleeper s[3];

	for (int i = 0; i < 3; i++)
		sleeper_start(&s[i], &first, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0);
	CHECK_ERRNO(futex_move(&first, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, 9, &second, 1),
		    EAGAIN);
	CHECK_EQ(futex_move(&first, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, 9, &second, 0), 3);
	CHECK_EQ(futex(&first, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&second, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 0), 2);
	for (int i = 0; i < 3; i++)
		sleeper_join(&s[i]);
}

/* futex(2) says that this one counts the woken only; Linux counts both. */
TEST(plain_requeue_counts_both)
{
	_Atomic int first = 0, second = 0;
	struct sleeper s[2];

	for (int i = 0; i < 2; i++)
		sleeper_start(&s[i], &first, FUTEX_WAIT, 0);
	CHECK_EQ(futex_move(&first, FUTEX_REQUEUE, 1, 9, &second, 0), 2);
	CHECK_EQ(futex(&second, FUTEX_WAKE, 9, NULL, NULL, 0), 1);
	for (int i = 0; i < 2; i++)
		sleeper_join(&s[i]);
}

TEST(wake_op_changes_the_second_word)
{
	_Atomic int first = 0, second = 5;
	struct sleeper a, b;

	sleeper_start(&a, &first, FUTEX_WAIT, 0);
	second = 0;
	sleeper_start(&b, &second, FUTEX_WAIT, 0);
	atomic_store(&second, 5);
	CHECK_EQ(futex_move(&first, FUTEX_WAKE_OP, 1, 1, &second,
			    FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)), 2);
	CHECK_EQ(atomic_load(&second), 8);
	sleeper_join(&a);
	sleeper_join(&b);
	CHECK_EQ(futex_move(&first, FUTEX_WAKE_OP, 1, 1, &second,
			    FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_GT, 100)), 0);
	CHECK_EQ(atomic_load(&second), 1);
}

static void on_alarm(int sig)
{
}

TEST(signal_ends_the_wait_with_eintr)
{
	_Atomic int word = 0;
	struct sigaction act = { .sa_handler = on_alarm };

	CHECK_OK(sigaction(SIGALRM, &act, NULL));
	ualarm(30000, 0);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EINTR);
}

static void *late_waker_main(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	usleep(100000);
	futex(arg, FUTEX_WAKE, 1, NULL, NULL, 0);
	return NULL;
}

TEST(wait_is_restarted_where_it_has_no_timeout)
{
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct timespec timeout = { .tv_nsec = 100000000 }, start;
	static _Atomic int word;
	pthread_t t;

	CHECK_OK(sigaction(SIGALRM, &act, NULL));
	ualarm(20000, 0);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &timeout, NULL, 0), EINTR);

	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(pthread_create(&t, NULL, late_waker_main, (void *)&word), 0);
	ualarm(20000, 0);
	CHECK_EQ(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
	CHECK(elapsed_ms(&start) >= 90);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static _Atomic int *shared_words(void)
{
	_Atomic int *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(w != MAP_FAILED);
	return w;
}

TEST(processes_meet_at_shared_memory)
{
	_Atomic int *w = shared_words();
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		while (atomic_load(&w[0]) == 0)
			futex(&w[0], FUTEX_WAIT, 0, NULL, NULL, 0);
		atomic_store(&w[1], 1);
		futex(&w[1], FUTEX_WAKE, 1, NULL, NULL, 0);
		_exit(7);
	}
	usleep(20000);
	atomic_store(&w[0], 1);
	CHECK_EQ(futex(&w[0], FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	while (atomic_load(&w[1]) == 0)
		futex(&w[1], FUTEX_WAIT, 0, NULL, NULL, 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

TEST(two_mappings_of_a_file_are_one_word)
{
	_Atomic int *a, *b;
	struct sleeper s;
	int fd = open("word", O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0);
	CHECK_OK(ftruncate(fd, 4096));
	a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(a != MAP_FAILED && b != MAP_FAILED && a != b);
	sleeper_start(&s, a, FUTEX_WAIT, 0);
	CHECK_EQ(futex(b, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	sleeper_join(&s);
}

TEST(private_words_of_relatives_are_not_one)
{
	static _Atomic int word;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		struct timespec t = { .tv_nsec = 100000000 };

		_exit(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0) == -1 && errno == ETIMEDOUT);
	}
	usleep(30000);
	CHECK_EQ(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 1);
}

/* -- locks made of it ------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void *count_main(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

TEST(mutex_excludes)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, count_main, NULL), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(counter, 80000);
}

static int ball, last_ball;		/* both under the mutex */

static void *player_main(void *arg)
{
	int me = (int)(long)arg;

	pthread_mutex_lock(&mutex);
	for (;;) {
		while (ball % 3 != me)
			pthread_cond_wait(&cond, &mutex);
		if (ball >= last_ball)
			break;
		ball++;
		pthread_cond_broadcast(&cond);
	}
	/* The others come to their end, too. */
	ball++;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

/* Round after round, as many as a slow or busy machine has done in five seconds. */
TEST(condition_takes_turns)
{
	struct timespec start;
	pthread_t t[3];

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int round = 0; round < 30 && elapsed_ms(&start) < 5000; round++) {
		ball = 0;
		last_ball = 300;
		for (long i = 0; i < 3; i++)
			CHECK_EQ(pthread_create(&t[i], NULL, player_main, (void *)i), 0);
		for (int i = 0; i < 3; i++)
			CHECK_EQ(pthread_join(t[i], NULL), 0);
		CHECK_EQ(ball, last_ball + 3);
	}
}

static pthread_barrier_t barrier;
static _Atomic int serial;

static void *barrier_main(void *arg)
{
	for (int i = 0; i < 200; i++)
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			atomic_fetch_add(&serial, 1);
	return NULL;
}

TEST(barrier_lets_all_pass_together)
{
	pthread_t t[4];

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 4), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, barrier_main, NULL), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(atomic_load(&serial), 200);
}

/* -- priority-inheriting locks and conditions ---------------------------------------------- */

static _Atomic int pi_cond, pi_lock;
static _Atomic int pi_holders, pi_passed;

static void *pi_waiter_main(void *arg)
{
	_Atomic int *asleep = arg;
	int me = (int)syscall(SYS_gettid);

	atomic_fetch_add(asleep, 1);
	CHECK_EQ(futex(&pi_cond, FUTEX_WAIT_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 0, NULL, (void *)&pi_lock, 0),
		 0);
	CHECK_EQ(atomic_load(&pi_lock) & FUTEX_TID_MASK, me);
	CHECK_EQ(atomic_fetch_add(&pi_holders, 1), 0);
	sched_yield();
	atomic_fetch_sub(&pi_holders, 1);
	atomic_fetch_add(&pi_passed, 1);
	CHECK_OK(futex(&pi_lock, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
	return NULL;
}

static void start_pi_waiters(pthread_t *t, int n)
{
	static _Atomic int asleep;

	atomic_store(&asleep, 0);
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, pi_waiter_main, (void *)&asleep), 0);
	while (atomic_load(&asleep) < n)
		sched_yield();
	usleep(20000);			/* they cannot say that they sleep already */
}

/* Until all of @n have been requeued: some may have been late to sleep. */
static void requeue_pi(int n, int move)
{
	int done = 0;

	while (done < n) {
		long r = futex_move(&pi_cond, FUTEX_CMP_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 1,
				    (unsigned long)move, (void *)&pi_lock, 0);

		CHECK_OK(r);
		done += (int)r;
		sched_yield();
	}
	CHECK_EQ(done, n);
}

TEST(waiters_are_requeued_to_a_pi_lock_that_is_held)
{
	pthread_t t[3];

	CHECK_OK(futex(&pi_lock, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
	start_pi_waiters(t, 3);
	requeue_pi(3, INT_MAX);
	CHECK(atomic_load(&pi_lock) & FUTEX_WAITERS);
	usleep(10000);
	CHECK_EQ(atomic_load(&pi_passed), 0);
	CHECK_OK(futex(&pi_lock, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(atomic_load(&pi_passed), 3);
}

TEST(a_waiter_gets_a_pi_lock_that_is_free)
{
	pthread_t t[2];

	start_pi_waiters(t, 2);
	requeue_pi(2, 0);		/* one at a time */
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(atomic_load(&pi_passed), 2);
	CHECK_EQ(atomic_load(&pi_lock) & FUTEX_TID_MASK, 0);
}

TEST(requeueing_to_a_pi_lock_checks_its_arguments)
{
	struct timespec past = { 0 };

	CHECK_ERRNO(futex_move(&pi_cond, FUTEX_CMP_REQUEUE_PI, 1, 1, (void *)&pi_lock, 5), EAGAIN);
	CHECK_ERRNO(futex_move(&pi_cond, FUTEX_CMP_REQUEUE_PI, 2, 1, (void *)&pi_lock, 0), EINVAL);
	CHECK_ERRNO(futex_move(&pi_cond, FUTEX_CMP_REQUEUE_PI, 1, 1, (void *)&pi_cond, 0), EINVAL);
	CHECK_EQ(futex_move(&pi_cond, FUTEX_CMP_REQUEUE_PI, 1, 1, (void *)&pi_lock, 0), 0);
	CHECK_ERRNO(futex(&pi_cond, FUTEX_WAIT_REQUEUE_PI, 1, NULL, (void *)&pi_lock, 0), EAGAIN);
	CHECK_ERRNO(futex(&pi_cond, FUTEX_WAIT_REQUEUE_PI, 0, NULL, (void *)&pi_cond, 0), EINVAL);
	CHECK_ERRNO(futex(&pi_cond, FUTEX_WAIT_REQUEUE_PI, 0, &past, (void *)&pi_lock, 0), ETIMEDOUT);
	CHECK_ERRNO(futex(&pi_cond, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0, &past,
			  (void *)&pi_lock, 0), ETIMEDOUT);
	CHECK_EQ(atomic_load(&pi_lock), 0);
}

/* One that unlocks while others are being requeued forgets none of them. */
static void *pi_owner_main(void *arg)
{
	while (!atomic_load((_Atomic int *)arg)) {
		CHECK_OK(futex(&pi_lock, FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
		CHECK_EQ(atomic_fetch_add(&pi_holders, 1), 0);
		atomic_fetch_sub(&pi_holders, 1);
		CHECK_OK(futex(&pi_lock, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
	}
	return NULL;
}

TEST(requeueing_races_with_the_owner)
{
	static _Atomic int stop;
	struct timespec start;
	pthread_t owner, t[2];

	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(pthread_create(&owner, NULL, pi_owner_main, (void *)&stop), 0);
	for (int round = 0; round < 30 && elapsed_ms(&start) < 3000; round++) {
		start_pi_waiters(t, 2);
		requeue_pi(2, round % 2);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(pthread_join(t[i], NULL), 0);
	}
	atomic_store(&stop, 1);
	CHECK_EQ(pthread_join(owner, NULL), 0);
	CHECK_EQ(atomic_load(&pi_lock) & FUTEX_TID_MASK, 0);
}

/* -- robust mutexes -------------------------------------------------------------------------- */

static pthread_mutex_t *robust_mutex(void)
{
	pthread_mutex_t *m = (pthread_mutex_t *)shared_words();
	pthread_mutexattr_t attr;

	CHECK_EQ(pthread_mutexattr_init(&attr), 0);
	CHECK_EQ(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	CHECK_EQ(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
	CHECK_EQ(pthread_mutex_init(m, &attr), 0);
	return m;
}

TEST(robust_mutex_survives_the_death_of_a_process)
{
	pthread_mutex_t *m = robust_mutex();
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		pthread_mutex_lock(m);
		raise(SIGKILL);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(m), 0);
	CHECK_EQ(pthread_mutex_unlock(m), 0);
	CHECK_EQ(pthread_mutex_lock(m), 0);
}

static pthread_mutex_t *left_behind;

static void *forgetful_main(void *arg)
{
	pthread_mutex_lock(left_behind);
	usleep(50000);
	return NULL;
}

TEST(robust_mutex_wakes_who_waits_when_a_thread_ends)
{
	pthread_t t;

	left_behind = robust_mutex();
	CHECK_EQ(pthread_create(&t, NULL, forgetful_main, NULL), 0);
	usleep(10000);
	CHECK_EQ(pthread_mutex_lock(left_behind), EOWNERDEAD);
	CHECK_EQ(pthread_join(t, NULL), 0);
}
