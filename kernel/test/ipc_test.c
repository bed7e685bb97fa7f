/* SPDX-License-Identifier: MIT */
/*
 * Objects, bells, words, channels and calls on the real scheduler: what the host tests
 * cannot show, and what they cost.
 *
 * A test runs as the only thread of a process inside the kernel, with the k_* functions
 * as direct calls; afterwards the process is dead and nothing may be left of it.  What has to
 * happen is waited for without a deadline: the machine may not be let run for any time.
 */
#include "kernel/selftest.h"

#include "abi/calls.h"
#include "base/string.h"
#include "base/util.h"
#include "kernel/bell.h"
#include "kernel/calls.h"
#include "kernel/group.h"
#include "kernel/handle.h"
#include "kernel/leak.h"
#include "kernel/log.h"
#include "kernel/process.h"
#include "kernel/random.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/time.h"

#define ROUNDS 20000u

/* Run @fn as a process, and wait for its end. */
static void run_process(void (*fn)(uint64_t), bool in_kernel)
{
	struct process_start start = { .first = true };
	struct thread_params params = { .name = "test", .fn = fn };
	struct process *process;
	struct bell *dead;
	uint64_t bits;

	if (!check(bell_create(NULL, &dead) == K_OK))
		return;
	if (check(process_create(root_group, "test", in_kernel, &process) == K_OK)) {
		check(process_watch(process, dead, 1) == K_OK);
		check(process_start_thread(process, &params, &start) == K_OK);
		check(bell_wait(dead, 1, K_DEADLINE_NEVER, false, &bits) == K_OK);
		object_put(&process->object);
	}
	object_put(&dead->object);
}

static void run_without_leak(void (*fn)(uint64_t), bool in_kernel)
{
	struct k_object_counts before, after;

	run_process(fn, in_kernel);		/* what is cached at the first use is cached now */
	thread_drain_stacks();
	leak_count(&before);
	run_process(fn, in_kernel);
	/*
	 * The dead thread is dropped by the scheduler a moment after it told its watchers, and
	 * others give back what it held.  How long that takes on a busy machine is not the question.
	 */
	for (unsigned int i = 0; i < 5000; i++) {
		sched_sleep_until(time_now_ns() + 2 * NS_PER_MS);
		thread_drain_stacks();
		leak_count(&after);
		if (!leak_compare(&before, &after, false))
			break;
	}
	check(leak_compare(&before, &after, true) == 0);
}

static k_handle_t start_thread(void (*fn)(uint64_t), uint64_t arg)
{
	struct k_thread_start start = { .entry = (uint64_t)(uintptr_t)fn, .arg = arg,
					.name = "other" };
	k_handle_t thread = 0;

	check(k_thread_create(0, &start, &thread) == K_OK);
	return thread;
}

static void report(const char *what, uint64_t start_ns, uint64_t rounds)
{
	log_line(LOG_INFO, "selftest: %s: %llu ns", what,
		 (unsigned long long)((time_now_ns() - start_ns) / rounds));
}

/* -- waiting words ---------------------------------------------------------------------------- */

static _Atomic(uint32_t) turn;

static void take_turns(uint32_t mine)
{
	uint64_t woken;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		while (atomic_load(&turn) != mine)
			(void)!k_wait(0, (uint64_t)(uintptr_t)&turn, !mine, K_WAIT_ANY_BITS,
				      K_DEADLINE_NEVER, 0);
		atomic_store(&turn, !mine);
		(void)!k_wake(0, (uint64_t)(uintptr_t)&turn, 1, K_WAIT_ANY_BITS, 0, &woken);
	}
}

static void second_player(uint64_t arg)
{
	take_turns(1);
}

static void words_main(uint64_t arg)
{
	uint64_t start;

	atomic_store(&turn, 0);
	(void)!k_handle_close(start_thread(second_player, 0));
	start = time_now_ns();
	take_turns(0);
	report("waiting words, there and back", start, ROUNDS);
	check(k_wait(0, (uint64_t)(uintptr_t)&turn, 5, 1, 0, 0) == K_ERR_CHANGED);
}

SELFTEST(waiting_words_take_turns)
{
	run_without_leak(words_main, true);
}

/* -- bells and timers --------------------------------------------------------------------------- */

static void bell_echo(uint64_t arg)
{
	k_handle_t there = (k_handle_t)arg, back = (k_handle_t)(arg >> 32);
	uint64_t bits;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (!check(k_bell_wait(there, ~0ull, K_DEADLINE_NEVER, 0, &bits) == K_OK))
			return;
		(void)!k_bell_ring(back, bits);
	}
}

static void bells_main(uint64_t arg)
{
	k_handle_t there, back, timer;
	uint64_t bits, start, deadline;

	check(k_bell_create(&there) == K_OK);
	check(k_bell_create(&back) == K_OK);
	start_thread(bell_echo, there | (uint64_t)back << 32);
	start = time_now_ns();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t sent = 1ull << (i % 64);

		(void)!k_bell_ring(there, sent);
		if (!check(k_bell_wait(back, ~0ull, K_DEADLINE_NEVER, 0, &bits) == K_OK) ||
		    !check(bits == sent))
			return;
	}
	report("bells, there and back", start, ROUNDS);
	start = time_now_ns();
	for (unsigned int i = 0; i < ROUNDS; i++)
		(void)!k_bell_ring(there, 1);
	report("ringing a bell", start, ROUNDS);

	check(k_timer_create(back, 2, &timer) == K_OK);
	deadline = time_now_ns() + 5 * NS_PER_MS;
	check(k_timer_set(timer, deadline, 0) == K_OK);
	check(k_bell_wait(back, 2, K_DEADLINE_NEVER, 0, &bits) == K_OK);
	check(time_now_ns() >= deadline);
	check(k_bell_wait(back, 2, time_now_ns() + NS_PER_MS, 0, &bits) == K_ERR_TIMED_OUT);
	check(k_timer_set(timer, time_now_ns() + NS_PER_SEC, 0) == K_OK);	/* armed as it dies */
}

SELFTEST(bells_and_timers)
{
	run_without_leak(bells_main, true);
}

/* -- channels -------------------------------------------------------------------------------------- */

static void serve(uint64_t arg)
{
	k_handle_t channel = (k_handle_t)arg;
	uint64_t number;
	k_handle_t given;
	k_status_t st;

	for (;;) {
		struct k_message m = { .data = (uint64_t)(uintptr_t)&number, .length = 8,
				       .handles = (uint64_t)(uintptr_t)&given, .handle_count = 1 };

		st = k_channel_recv(channel, &m, K_DEADLINE_NEVER);
		if (st == K_ERR_CLOSED)
			break;
		if (!check(st == K_OK) || !check(m.txid))
			break;
		number++;
		(void)!k_channel_send(channel, &m);	/* the handle, if any, goes back too */
	}
	(void)!k_handle_close(channel);
}

static void channels_main(uint64_t arg)
{
	k_handle_t mine, theirs, bell, back = 0;
	uint64_t number = 0, start;
	struct k_message reply = { .data = (uint64_t)(uintptr_t)&number, .length = 8,
				   .handles = (uint64_t)(uintptr_t)&back, .handle_count = 1 };
	struct k_message request = reply;
	struct k_handle_info info;

	check(k_channel_create(&mine, &theirs) == K_OK);
	check(k_bell_create(&bell) == K_OK);
	start_thread(serve, theirs);
	request.handle_count = 0;
	start = time_now_ns();
	for (uint64_t i = 0; i < ROUNDS; i++) {
		reply.length = 8;
		reply.handle_count = 1;
		if (!check(k_channel_call(mine, &request, &reply, K_DEADLINE_NEVER) == K_OK) ||
		    !check(number == i + 1))
			return;
	}
	report("channel call", start, ROUNDS);

	request.handles = (uint64_t)(uintptr_t)&bell;
	request.handle_count = 1;
	reply.handle_count = 1;
	check(k_channel_call(mine, &request, &reply, K_DEADLINE_NEVER) == K_OK);
	check(reply.handle_count == 1 && back != 0);
	check(k_handle_info(bell, &info) == K_ERR_BAD_HANDLE);
	check(k_handle_info(back, &info) == K_OK && info.type == K_TYPE_BELL);
	request.handles = (uint64_t)(uintptr_t)&mine;
	check(k_channel_send(mine, &request) == K_ERR_BAD_ARGUMENT);	/* through itself */
	check(k_handle_info(mine, &info) == K_OK);
	check(k_handle_close(mine) == K_OK);
}

SELFTEST(channels_call_and_carry_handles)
{
	run_without_leak(channels_main, true);
}

/* -- hostile calls --------------------------------------------------------------------------------- */

#define USER_AREA	0x100000ull
#define USER_SIZE	0x10000ull
#define CALLS		2000u

static uint64_t pick(uint64_t below)
{
	uint64_t v;

	random_fill(&v, sizeof(v));
	return v % below;
}

/* Calls that end the test, the machine or its sense of time, or run programs. */
static bool is_spared(uint64_t number)
{
	switch (number) {
	case K_CALL_PROCESS_EXIT: case K_CALL_THREAD_EXIT: case K_CALL_POWER:
	case K_CALL_CLOCK_ADJUST: case K_CALL_PERSONALITY_START:
	case K_CALL_USER_RUN: case K_CALL_LOG_WRITE: case K_CALL_DEVICE_CREATE:
		return true;
	default:
		return false;
	}
}

/* A number of some kind that calls take: handle, address, size, flags, time. */
static uint64_t hostile_value(void)
{
	static const uint64_t edges[] = {
		0, 1, 4095, 4096, 4097, K_PROGRAM_MAX - 1, K_PROGRAM_MAX, K_PERSONALITY_BASE,
		0xffff800000000000ull, 0xffffffff80000000ull, UINT32_MAX, INT64_MAX, UINT64_MAX - 8,
		1ull << 47, K_RIGHTS_SAME,
	};
	uint64_t v;

	switch (pick(6)) {
	case 0: return pick(40);				/* handles, counts, flags */
	case 1: return USER_AREA + pick(USER_SIZE / 8) * 8;
	case 2: return edges[pick(ARRAY_SIZE(edges))];
	case 3: return pick(64) * K_PAGE_SIZE;
	case 4: return 1ull << pick(64);
	default:
		random_fill(&v, sizeof(v));
		return v;
	}
}

static bool refresh_area(void)
{
	uint64_t words[32];

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = hostile_value();
	return call_copy_out(USER_AREA + pick(USER_SIZE - sizeof(words)), words, sizeof(words),
			     K_OK) == K_OK;
}

/* Blocking calls get a deadline in the past or near. */
static void tame(uint64_t number, uint64_t a[6])
{
	uint64_t soon = pick(2) ? 0 : time_now_ns() + 10 * NS_PER_US;

	if (number == K_CALL_CHANNEL_RECV || number == K_CALL_BELL_WAIT)
		a[2] = soon;
	if (number == K_CALL_CHANNEL_CALL)
		a[3] = soon;
	if (number == K_CALL_WAIT)
		a[4] = soon;
	if (number == K_CALL_RANDOM || number == K_CALL_SPACE_READ ||
	    number == K_CALL_SPACE_ADVISE || number == K_CALL_SPACE_MAP)
		a[1] = a[1] < (1 << 20) ? a[1] : pick(1 << 20);
}

static void give(struct object *object, uint32_t rights)
{
	k_handle_t handle;

	object_get(object);
	if (!check(handle_create(current_thread()->process, object, rights, &handle) == K_OK))
		object_put(object);
}

static bool prepare(void)
{
	static const struct k_group_limits limits = { .memory_bytes = 16 << 20, .threads = 8,
						      .handles = 400 };
	struct thread *self = current_thread();
	struct group *group;
	uint64_t args[6] = { 0, USER_AREA };
	struct k_map map = { .addr = USER_AREA, .length = USER_SIZE, .prot = 3, .max_prot = 3,
			     .flags = K_MAP_FIXED };

	if (!check(group_create(root_group, &limits, &group) == K_OK))
		return false;
	give(&group->object, 0);
	object_put(&group->object);
	give(&self->process->object, 0);
	give(&self->process->space->object, 0);
	give(&self->object, 0);
	give(&log_object, 0);
	if (!check(k_space_map(0, &map) == K_OK))
		return false;
	/* Two of everything that can be made out of nothing. */
	for (unsigned int i = 0; i < 2; i++) {
		args[0] = USER_AREA;
		check(kcall_dispatch(K_CALL_BELL_CREATE, args) == K_OK);
		check(kcall_dispatch(K_CALL_CHANNEL_CREATE, args) == K_OK);
		args[0] = 1;		/* the group */
		args[1] = 3 * K_PAGE_SIZE;
		args[2] = 0;
		args[3] = USER_AREA;
		check(kcall_dispatch(K_CALL_MEMORY_CREATE, args) == K_OK);
		args[1] = K_SPACE_PROGRAM;
		args[2] = USER_AREA;
		check(kcall_dispatch(K_CALL_SPACE_CREATE, args) == K_OK);
		args[1] = USER_AREA;
	}
	return true;
}

/* Kernel code in a process that has a space, as if each call had come from ring 3. */
static void hostile_main(uint64_t arg)
{
	uint64_t done[2] = { 0 };

	if (!prepare())
		return;
	for (unsigned int i = 0; i < CALLS && !thread_is_killed(); i++) {
		uint64_t number = pick(K_CALL_COUNT + 1), args[6];

		if (is_spared(number))
			continue;
		if (!refresh_area()) {		/* it unmapped its own memory */
			struct k_map map = { .addr = USER_AREA, .length = USER_SIZE, .prot = 3,
					     .max_prot = 3, .flags = K_MAP_FIXED };

			if (k_space_map(0, &map) != K_OK)
				break;
		}
		for (unsigned int j = 0; j < 6; j++)
			args[j] = hostile_value();
		/* Without good arguments here and there nothing gets past the first check. */
		if (pick(3))
			args[0] = 1 + pick(20);
		if (pick(2))
			args[1 + pick(5)] = USER_AREA + pick(USER_SIZE / 8) * 8;
		tame(number, args);
		done[kcall_dispatch(number, args) == K_OK]++;
	}
	log_line(LOG_DEBUG, "selftest: %llu hostile calls refused, %llu done",
		 (unsigned long long)done[0], (unsigned long long)done[1]);
}

SELFTEST(hostile_calls_are_survived_and_leave_nothing)
{
	for (unsigned int round = 0; round < 3; round++)
		run_process(hostile_main, false);
	run_without_leak(hostile_main, false);
}
