/* SPDX-License-Identifier: MIT */
/*
 * Programs: user_run() from a kernel thread, as a personality in the kernel does.
 */
#include "kernel/selftest.h"

#include "abi/status.h"
#include "arch/thread.h"
#include "arch/ucopy.h"
#include "arch/user.h"
#include "arch_test.h"
#include "base/string.h"
#include "kernel/log.h"
#include "kernel/object.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/time.h"

#define CODE	0x10000ull
#define DATA	0x20000ull
#define STACK	(DATA + 0x1000)

static struct k_user_frame frame;	/* one program at a time */

/* The calling thread gets a space with @code at CODE, and a page of data. */
static struct space *program_begin(const void *code, size_t length)
{
	struct k_map map = { .addr = CODE, .length = K_PAGE_SIZE, .flags = K_MAP_FIXED,
			     .prot = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC,
			     .max_prot = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC };
	struct space *space;

	if (!check(space_create(NULL, K_SPACE_PROGRAM, 0, &space) == K_OK))
		return NULL;
	check(space_map(space, &map, NULL, NULL) == K_OK);
	map.addr = DATA;
	check(space_map(space, &map, NULL, NULL) == K_OK);
	current_thread()->space = space;
	thread_set_run_space(space, false);
	check(arch_copy_to_user(CODE, code, length) == 0);
	frame = (struct k_user_frame){ .rip = CODE, .rsp = STACK, .rflags = 0x202 };
	return space;
}

static void program_end(struct space *space)
{
	thread_set_run_space(NULL, false);
	current_thread()->space = NULL;
	object_put(&space->object);
}

/* Run @fn in a thread that may run programs. */
static struct thread *runner_done;

static void runner(uint64_t fn)
{
	((void (*)(void))(uintptr_t)fn)();
	WRITE_ONCE(runner_done, NULL);
}

static void run_program_test(void (*fn)(void))
{
	struct thread_params params = { .name = "runner", .fn = runner,
					.arg = (uint64_t)(uintptr_t)fn, .runs_programs = true };
	struct thread *t;

	if (!check(thread_create(&params, &t) == K_OK))
		return;
	WRITE_ONCE(runner_done, t);
	thread_start(t);
	while (READ_ONCE(runner_done))
		sched_sleep_until(time_now_ns() + NS_PER_MS);
	thread_put(t);
}

static void registers_travel(void)
{
	static const uint8_t code[] = TEST_CODE_SYSCALL_LOOP;
	struct space *space = program_begin(code, sizeof(code));

	if (!space)
		return;
	frame.rax = 39;
	frame.rdi = 1;
	frame.rbx = 2;
	frame.r15 = 3;
	frame.r8 = 4;
	frame.rbp = 5;
	frame.fs_base = 0x123000;
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_SYSCALL && frame.orig_rax == 39 && frame.rip == CODE + 2);
	check(frame.rdi == 1 && frame.rbx == 2 && frame.r15 == 3 && frame.r8 == 4 && frame.rbp == 5);
	check(frame.rsp == STACK && frame.rcx == frame.rip);
	/* Both ways out: SYSRET and IRET. */
	frame.rax = 40;
	frame.flags = K_FRAME_SYSCALL_REGS;
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_SYSCALL && frame.orig_rax == 40 && frame.rip == CODE + 2);
	frame.gs_base = K_PROGRAM_MAX;
	check(user_run(&frame) == K_ERR_BAD_ARGUMENT);
	frame.gs_base = 0;
	frame.rip = 0x800000000000;
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_EXCEPTION && frame.vector == 13);
	program_end(space);
}

SELFTEST(programs_call_with_their_registers)
{
	run_program_test(registers_travel);
}

static void faults_return(void)
{
	static const uint8_t code[] = TEST_CODE_STORE_TO_RDI;
	struct space *space = program_begin(code, sizeof(code));

	if (!space)
		return;
	frame.rdi = DATA + 16;
	check(user_run(&frame) == K_OK);	/* settled by the kernel: demand zero */
	check(frame.reason == K_USER_SYSCALL);
	frame.rip = CODE;
	frame.rdi = 0x700000;
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_FAULT && frame.fault.addr == 0x700000);
	check(frame.fault.status == K_ERR_NOT_FOUND && frame.fault.access == K_PROT_WRITE);
	check(frame.rip == CODE && frame.orig_rax == UINT64_MAX);
	frame.rdi = ARCH_DIRECT_MAP;		/* the kernel's */
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_FAULT && frame.fault.status == K_ERR_NOT_FOUND);
	frame.rdi = 0x8000000000000000;		/* nobody's */
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_EXCEPTION && frame.vector == 13);
	program_end(space);
}

SELFTEST(program_faults_are_settled_or_reported)
{
	run_program_test(faults_return);
}

static void exceptions_return(void)
{
	static const uint8_t code[] = TEST_CODE_UNDEFINED;
	struct space *space = program_begin(code, sizeof(code));

	if (!space)
		return;
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_EXCEPTION && frame.vector == TEST_VECTOR_UNDEFINED);
	check(frame.rip == CODE);
	/* A single step: the exception comes after one instruction. */
	frame.rip = CODE + TEST_CODE_NOP_OFFSET;
	frame.rflags |= TEST_FLAG_STEP;
	frame.flags = K_FRAME_SYSCALL_REGS;
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_EXCEPTION && frame.vector == TEST_VECTOR_STEP);
	check(frame.rip == CODE + TEST_CODE_NOP_OFFSET + 1);
	program_end(space);
}

SELFTEST(program_exceptions_are_reported)
{
	run_program_test(exceptions_return);
}

static struct ktimer kick_timer;
static struct thread *kicked;

static void kick_it(struct ktimer *t)
{
	thread_kick(kicked);
}

static void endless_loop(void)
{
	static const uint8_t code[] = TEST_CODE_ENDLESS;
	struct space *space = program_begin(code, sizeof(code));

	if (!space)
		return;
	kicked = current_thread();
	ktimer_init(&kick_timer, kick_it);
	ktimer_set(&kick_timer, time_now_ns() + 2 * NS_PER_MS, 0);
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_KICKED && frame.rip == CODE);
	thread_kick(kicked);			/* sticky */
	check(user_run(&frame) == K_OK);
	check(frame.reason == K_USER_KICKED);
	program_end(space);
}

SELFTEST(kicks_end_programs)
{
	run_program_test(endless_loop);
}

static void fpu_survives(void)
{
	static const uint8_t code[] = TEST_CODE_FPU_LOAD_CALL_STORE;
	struct space *space = program_begin(code, sizeof(code));
	static uint8_t image[8192];
	uint64_t length = sizeof(image), value = 0x1122334455667788, seen = 0;

	if (!space)
		return;
	frame.rax = value;
	check(user_run(&frame) == K_OK);	/* the register is loaded */
	check(frame.reason == K_USER_SYSCALL);
	for (unsigned int i = 0; i < 5; i++)
		sched_sleep_until(time_now_ns() + NS_PER_MS);
	check(user_run(&frame) == K_OK);	/* and moved back to rax */
	check(frame.reason == K_USER_SYSCALL && frame.rdi == value);
	check(arch_thread_xsave_read(current_thread(), image, &length) == K_OK);
	memcpy(&seen, image + TEST_XSAVE_REGISTER, sizeof(seen));
	check(seen == value);
	seen = ~value;
	memcpy(image + TEST_XSAVE_REGISTER, &seen, sizeof(seen));
	check(arch_thread_xsave_write(current_thread(), image, length) == K_OK);
	frame.rip = CODE + TEST_CODE_FPU_STORE_OFFSET;
	check(user_run(&frame) == K_OK);
	check(frame.rdi == ~value);
	image[520] = 1;				/* the header's reserved part */
	check(arch_thread_xsave_write(current_thread(), image, length) == K_ERR_BAD_ARGUMENT);
	program_end(space);
}

SELFTEST(programs_keep_their_fpu_state)
{
	run_program_test(fpu_survives);
}

/* -- how long the paths are ------------------------------------------------------- */

#define ROUNDS 1000

static void null_call_length(void)
{
	static const uint8_t code[] = TEST_CODE_SYSCALL_LOOP;
	struct space *space = program_begin(code, sizeof(code));
	uint64_t start;

	if (!space)
		return;
	frame.flags = K_FRAME_SYSCALL_REGS;
	for (unsigned int i = 0; i < 10; i++)
		check(user_run(&frame) == K_OK);
	start = arch_cycles();
	for (unsigned int i = 0; i < ROUNDS; i++)
		(void)!user_run(&frame);
	log_line(LOG_NOTICE, "user_run round trip: %llu cycles",
		 (unsigned long long)((arch_cycles() - start) / ROUNDS));
	program_end(space);
}

static struct thread *partner;

static void partner_loop(uint64_t main_thread)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		sched_prepare(0);
		sched_wake_sync((struct thread *)(uintptr_t)main_thread);
		(void)!sched_block(K_DEADLINE_NEVER);
	}
	sched_wake((struct thread *)(uintptr_t)main_thread);
}

static void switch_length(void)
{
	struct thread_params params = { .name = "partner", .fn = partner_loop,
					.arg = (uint64_t)(uintptr_t)current_thread() };
	struct k_sched here = { .sched_class = K_SCHED_FAIR, .weight = 1024,
				.affinity = BIT(cpu_id()) };
	uint64_t start;

	check(sched_set(current_thread(), &here) == K_OK);
	if (!check(thread_create(&params, &partner) == K_OK))
		return;
	check(sched_set(partner, &here) == K_OK);
	sched_prepare(0);
	thread_start(partner);
	(void)!sched_block(K_DEADLINE_NEVER);
	start = arch_cycles();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		sched_prepare(0);
		sched_wake_sync(partner);
		(void)!sched_block(K_DEADLINE_NEVER);
	}
	log_line(LOG_NOTICE, "wake, block and switch: %llu cycles",
		 (unsigned long long)((arch_cycles() - start) / (2 * ROUNDS)));
	sched_wake(partner);
	thread_put(partner);
}

SELFTEST(lengths_of_paths)
{
	run_program_test(null_call_length);
	run_program_test(switch_length);
}
