/* SPDX-License-Identifier: MIT */
/* Fences for others: membarrier(2). */

#include "harness.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

static long membarrier(int cmd, unsigned int flags)
{
	return syscall(SYS_membarrier, cmd, flags, 0);
}

TEST(commands_are_known)
{
	long all = membarrier(MEMBARRIER_CMD_QUERY, 0);

	CHECK(all > 0);
	CHECK(all & MEMBARRIER_CMD_GLOBAL);
	CHECK(all & MEMBARRIER_CMD_GLOBAL_EXPEDITED);
	CHECK(all & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	CHECK(all & MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
	CHECK_ERRNO(membarrier(1 << 30, 0), EINVAL);
	CHECK_ERRNO(membarrier(MEMBARRIER_CMD_QUERY, 8), EINVAL);
	CHECK_ERRNO(membarrier(MEMBARRIER_CMD_GLOBAL, 1), EINVAL);
}

TEST(private_commands_need_registration)
{
	CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0), EPERM);
	CHECK_OK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0));
	CHECK_OK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
	CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0), EPERM);
	CHECK_OK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0));
	CHECK_OK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0));
	CHECK_OK(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0));
	CHECK_OK(membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0));
	CHECK_OK(membarrier(MEMBARRIER_CMD_GLOBAL, 0));
}

TEST(restartable_sequences_have_a_command)
{
	if (!(membarrier(MEMBARRIER_CMD_QUERY, 0) & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ))
		SKIP("this kernel has no rseq");
	CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0), EPERM);
	CHECK_OK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0));
	CHECK_OK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0));
	CHECK_OK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU));
}

/*
 * The reader has no fence: it writes x, then reads y.  The writer writes y, then reads x after
 * a barrier.  At least one of them sees the other.
 */
static struct { volatile int v; char pad[60]; } x, y, seen_y, turn, done;
#define ROUNDS 300

static void *reader(void *arg)
{
	for (int i = 1; i <= ROUNDS; i++) {
		while (turn.v != i)
			sched_yield();
		x.v = i;
		__asm__ volatile("" ::: "memory");
		seen_y.v = y.v;
		__asm__ volatile("" ::: "memory");
		done.v = i;
	}
	return NULL;
}

TEST(one_of_two_sees_the_other)
{
	pthread_t t;

	CHECK_OK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0));
	CHECK_EQ(pthread_create(&t, NULL, reader, NULL), 0);
	for (int i = 1; i <= ROUNDS; i++) {
		int seen_x;

		turn.v = i;
		y.v = i;
		CHECK_OK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
		seen_x = x.v;
		while (done.v != i)
			sched_yield();
		CHECK(seen_x == i || seen_y.v == i);
	}
	pthread_join(t, NULL);
}
