/* SPDX-License-Identifier: MIT */
/* The locks under many host threads; waiting words are the host's futexes. */
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/status.h"
#include "rt/held.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "unit/unit.h"

static __thread struct rt_held held;
static __thread jmp_buf *panic_to;

struct rt_held *rt_held(void)
{
	return &held;
}

void *rt_thread_token(void)
{
	return &held;
}

k_status_t rt_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns,
		   bool interruptible)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL);
	return K_OK;
}

void rt_wake(_Atomic(uint32_t) *word, uint32_t count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count > INT32_MAX ? INT32_MAX : count);
}

void rt_panic(const char *fmt, ...)
{
	va_list args;

	if (panic_to)
		longjmp(*panic_to, 1);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	abort();
}

enum { THREADS = 8, ROUNDS = 20000 };

static struct rt_mutex mutex = RT_MUTEX_INIT(1);
static struct rt_rwlock rwlock = RT_RWLOCK_INIT(2);
static unsigned long counter, twin;

static void *mutex_worker(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		rt_mutex_lock(&mutex);
		counter++;
		if (i % 64 == 0)
			sched_yield();
		rt_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *rw_worker(void *arg)
{
	long torn = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if ((i + (long)arg) % 4 == 0) {
			rt_write_lock(&rwlock);
			counter++;
			if (i % 128 == 0)
				sched_yield();
			twin++;
			rt_write_unlock(&rwlock);
		} else {
			rt_read_lock(&rwlock);
			torn += counter != twin;
			rt_read_unlock(&rwlock);
		}
	}
	return (void *)torn;
}

static long run(void *(*fn)(void *))
{
	pthread_t t[THREADS];
	long sum = 0;

	counter = twin = 0;
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, fn, (void *)i);
	for (int i = 0; i < THREADS; i++) {
		void *r;

		pthread_join(t[i], &r);
		sum += (long)r;
	}
	return sum;
}

TEST(mutex_excludes)
{
	run(mutex_worker);
	CHECK_EQ(counter, THREADS * ROUNDS);
	CHECK(!rt_mutex_held(&mutex));
}

TEST(rwlock_excludes_and_loses_no_wakeup)
{
	CHECK_EQ(run(rw_worker), 0);
	CHECK_EQ(counter, THREADS * ROUNDS / 4);
}

static bool panics(void (*fn)(void))
{
	jmp_buf here;

	panic_to = &here;
	if (setjmp(here)) {
		panic_to = NULL;
		held.count = 0;
		return true;
	}
	fn();
	panic_to = NULL;
	held.count = 0;
	return false;
}

static struct rt_mutex a, b;

static void wrong_order(void)
{
	rt_mutex_lock(&b);
	rt_mutex_lock(&a);
}

static void same_rank(void)
{
	rt_mutex_lock(&a);
	rt_mutex_lock(&b);
}

static void nested(void)
{
	rt_mutex_lock(&a);
	rt_mutex_lock_nested(&b);
	rt_mutex_unlock(&a);
	rt_mutex_unlock(&b);
}

static void twice(void)
{
	rt_mutex_lock(&a);
	rt_mutex_lock_nested(&a);
}

static void not_held(void)
{
	rt_mutex_unlock(&a);
}

TEST(ranks_are_checked)
{
	rt_mutex_init(&a, 1);
	rt_mutex_init(&b, 2);
	CHECK(panics(wrong_order));
	rt_mutex_init(&a, 2);
	rt_mutex_init(&b, 2);
	CHECK(panics(same_rank));
	rt_mutex_init(&a, 2);
	CHECK(!panics(nested));
	CHECK(panics(twice));
	rt_mutex_init(&a, 2);
	CHECK(panics(not_held));
}
