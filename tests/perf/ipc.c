/* SPDX-License-Identifier: MIT */
/* Processes and threads that wake each other. */

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bench.h"

#define RING_MAX	8
#define WORK_BYTES	(16 << 10)

/*
 * A ring of processes that pass a byte on: process i reads from link i and writes
 * to link i + 1.  Process 0 is us.
 */
static int ring_in[RING_MAX], ring_out[RING_MAX];
static int ring_size;
static pid_t ring_pids[RING_MAX];
static bool ring_works;
static volatile char ring_memory[WORK_BYTES];

/* Touch some memory, so that a switch has the cost of caches too. */
static void ring_work(void)
{
	if (!ring_works)
		return;
	for (int i = 0; i < WORK_BYTES; i += 64)
		ring_memory[i]++;
}

static void ring_member(int i)
{
	char byte;

	while (read(ring_in[i], &byte, 1) == 1) {
		ring_work();
		if (write(ring_out[(i + 1) % ring_size], &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static void ring_start(int size, bool sockets)
{
	ring_size = size;
	for (int i = 0; i < size; i++) {
		int ends[2];

		MUST((sockets ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
		ring_in[i] = ends[0];
		ring_out[i] = ends[1];
	}
	for (int i = 1; i < size; i++) {
		ring_pids[i] = fork();
		MUST(ring_pids[i] >= 0);
		if (ring_pids[i] == 0)
			ring_member(i);
	}
}

static void ring_run(uint64_t count)
{
	char byte = 'x';

	while (count--) {
		ring_work();
		MUST(write(ring_out[1], &byte, 1) == 1);
		MUST(read(ring_in[0], &byte, 1) == 1);
	}
}

/* A count of single hand-overs, where ring_run counts rounds. */
static void ring_run_steps(uint64_t count)
{
	ring_run(count / (uint64_t)ring_size + 1);
}

static void ring_finish(void)
{
	for (int i = 1; i < ring_size; i++) {
		kill(ring_pids[i], SIGKILL);
		waitpid(ring_pids[i], NULL, 0);
	}
}

static void pipe_start(void)	{ ring_start(2, false); }
static void unix_start(void)	{ ring_start(2, true); }
static void ring2_start(void)	{ ring_start(2, false); }

static void ring8_start(void)
{
	ring_works = true;
	ring_start(8, false);
}

/* Two threads, each waiting for the other's turn. */
static uint32_t turn;

static void turn_wait(uint32_t mine)
{
	uint32_t now;

	while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != mine && now != 2)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
}

static void turn_give(uint32_t to)
{
	__atomic_store_n(&turn, to, __ATOMIC_RELEASE);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *turn_other(void *arg)
{
	for (;;) {
		turn_wait(1);
		if (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) == 2)
			return arg;
		turn_give(0);
	}
}

static void threads_start(void)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, turn_other, NULL) == 0);
	pthread_detach(thread);
}

static void threads_run(uint64_t count)
{
	for (uint64_t i = 0; i < count / 2 + 1; i++) {
		turn_give(1);
		turn_wait(0);
	}
}

ROW(pipe_round, .name = "pipe", .unit = "byte there and back through pipes", .run = ring_run,
    .prepare = pipe_start, .finish = ring_finish, .fixed_count = 500)
ROW(unix_round, .name = "unix", .unit = "byte there and back through AF_UNIX sockets",
    .run = ring_run, .prepare = unix_start, .finish = ring_finish, .fixed_count = 500)
ROW(switch2, .name = "switch-2", .unit = "hand-over between 2 processes", .run = ring_run_steps,
    .prepare = ring2_start, .finish = ring_finish, .fixed_count = 1000)
ROW(switch8, .name = "switch-8", .unit = "hand-over among 8 processes, 16 KiB each",
    .run = ring_run_steps, .prepare = ring8_start, .finish = ring_finish, .fixed_count = 1000)
ROW(switch_thread, .name = "switch-thread", .unit = "hand-over between 2 threads by futex",
    .run = threads_run, .prepare = threads_start, .fixed_count = 1000)
