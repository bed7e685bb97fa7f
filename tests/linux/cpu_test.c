/* SPDX-License-Identifier: MIT */
/* What a program sees of the processor: exceptions as signals, registers, floating point state. */

#include "harness.h"

#include <asm/prctl.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

static sigjmp_buf after;
static volatile int got_signal, got_code, steps;
static void *volatile got_addr;
static volatile unsigned long got_rip;

static void catch(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	got_signal = signal;
	got_code = info->si_code;
	got_addr = info->si_addr;
	got_rip = (unsigned long)uc->uc_mcontext.gregs[REG_RIP];
	siglongjmp(after, 1);
}

static void on(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction act = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	CHECK_OK(sigaction(signal, &act, NULL));
}

/* Run the statement; it must end by an exception. */
#define RAISES(signal, code, statement) do {	\
	on(signal, catch);			\
	got_signal = 0;				\
	if (sigsetjmp(after, 1) == 0) {		\
		statement;			\
	}					\
	CHECK_EQ(got_signal, signal);		\
	CHECK_EQ(got_code, code);		\
} while (0)

extern char here[];

TEST(division_by_zero_is_sigfpe)
{
	RAISES(SIGFPE, FPE_INTDIV, asm volatile(".globl here\nhere: divl %0"
						: : "r"(0), "a"(1), "d"(0)));
	CHECK(got_addr == here);
	CHECK(got_rip == (unsigned long)here);
}

TEST(undefined_instruction_is_sigill)
{
	RAISES(SIGILL, ILL_ILLOPN, asm volatile("ud2"));
	CHECK_EQ((unsigned long)got_addr, got_rip);
}

TEST(privileged_instruction_is_sigsegv)
{
	RAISES(SIGSEGV, SI_KERNEL, asm volatile("hlt"));
	CHECK(got_addr == NULL);
	RAISES(SIGSEGV, SI_KERNEL, asm volatile("cli"));
	RAISES(SIGSEGV, SI_KERNEL, asm volatile("movq %%cr3, %%rax" : : : "rax"));
	RAISES(SIGSEGV, SI_KERNEL, asm volatile("wrmsr" : : "c"(0), "a"(0), "d"(0)));
	RAISES(SIGSEGV, SI_KERNEL, asm volatile("inb $0x60, %%al" : : : "rax"));
	RAISES(SIGSEGV, SI_KERNEL, asm volatile("int $0x21"));
}

TEST(unmapped_address_is_maperr)
{
	RAISES(SIGSEGV, SEGV_MAPERR, *(volatile char *)16 = 1);
	CHECK(got_addr == (void *)16);
	RAISES(SIGSEGV, SEGV_MAPERR, (void)*(volatile char *)0x7fffffffe000);
	CHECK(got_addr == (void *)0x7fffffffe000);
}

TEST(kernel_address_is_maperr)
{
	RAISES(SIGSEGV, SEGV_MAPERR, (void)*(volatile char *)0xffffffff80200000);
	CHECK(got_addr == (void *)0xffffffff80200000);
	RAISES(SIGSEGV, SEGV_MAPERR, *(volatile char *)0xffff800000000000 = 1);
}

TEST(forbidden_access_is_accerr)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	RAISES(SIGSEGV, SEGV_ACCERR, *(volatile char *)page = 1);
	CHECK(got_addr == page);
	RAISES(SIGSEGV, SEGV_ACCERR, ((void (*)(void))(uintptr_t)page)());
	CHECK(got_addr == page && got_rip == (unsigned long)page);
	CHECK_OK(mprotect(page, 4096, PROT_NONE));
	RAISES(SIGSEGV, SEGV_ACCERR, (void)*(volatile char *)page);
}

TEST(impossible_address_is_sigsegv_of_the_kernel)
{
	RAISES(SIGSEGV, SI_KERNEL, (void)*(volatile char *)0x8000000000000000);
	CHECK(got_addr == NULL);
}

TEST(jump_to_an_impossible_address_is_sigsegv)
{
	on(SIGSEGV, catch);
	got_signal = 0;
	if (sigsetjmp(after, 1) == 0)
		((void (*)(void))0x8000000000000000)();
	CHECK_EQ(got_signal, SIGSEGV);
}

TEST(breakpoint_is_sigtrap_behind_the_instruction)
{
	RAISES(SIGTRAP, SI_KERNEL, asm volatile(".globl there\nint3\nthere: nop"));
	extern char there[];
	CHECK_EQ(got_rip, (unsigned long)there);
}

static void count_steps(int signal, siginfo_t *info, void *context)
{
	steps++;
	got_code = info->si_code;
}

TEST(trap_flag_steps_one_instruction_at_a_time)
{
	on(SIGTRAP, count_steps);
	steps = 0;
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq\n"
		     "nop; nop; nop\n"
		     "pushfq; andq $~0x100, (%%rsp); popfq"
		     : : : "memory", "cc");
	/* After each of: nop nop nop pushf and popf */
	CHECK(steps >= 5 && steps <= 6);
	CHECK_EQ(got_code, TRAP_TRACE);
}

TEST(steps_go_over_system_calls)
{
	long pid;

	on(SIGTRAP, count_steps);
	steps = 0;
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq\n"
		     "syscall\n"
		     "pushfq; andq $~0x100, (%%rsp); popfq"
		     : "=a"(pid) : "0"((long)SYS_getpid) : "rcx", "r11", "memory", "cc");
	CHECK_EQ(pid, getpid());
	CHECK(steps >= 2 && steps <= 5);
}

/* Under QEMU's emulation, which leaves some things out. */
static bool is_emulated(void)
{
	uint32_t a = 1, b, c = 0, d;

	asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c >> 31))
		return false;
	a = 0x40000000;
	c = 0;
	asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return !memcmp(&b, "TCGT", 4);
}

TEST(simd_division_by_zero_is_sigfpe_when_unmasked)
{
	uint32_t mxcsr = 0x1f80 & ~0x200u;
	volatile float zero = 0;

	if (is_emulated())
		SKIP("QEMU's emulation does not raise SIMD exceptions");

	RAISES(SIGFPE, FPE_FLTDIV, {
		asm volatile("ldmxcsr %0" : : "m"(mxcsr));
		asm volatile("movss %0, %%xmm0; movl $0x3f800000, %%eax; movd %%eax, %%xmm1;"
			     "divss %%xmm0, %%xmm1" : : "m"(zero) : "xmm0", "xmm1", "eax");
	});
}

TEST(x87_division_by_zero_is_sigfpe_when_unmasked)
{
	uint16_t control = 0x37f & ~4;

	RAISES(SIGFPE, FPE_FLTDIV, {
		asm volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(control));
	});
}

asm(".text\n"
    "call_and_look:\n"
    "	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
    "	pushq %rdi\n"
    "	movq $11, %rbx; movq $12, %rdx; movq $13, %rsi; movq $14, %rdi; movq $15, %r8\n"
    "	movq $16, %r9; movq $17, %r10; movq $18, %r12; movq $19, %r13; movq $20, %r14\n"
    "	movq $21, %r15; movq $22, %rbp\n"
    "	stc\n"
    "	movl $39, %eax\n"
    "	syscall\n"
    "call_returned:\n"
    "	pushfq\n"
    "	movq 8(%rsp), %rax\n"
    "	movq %rbx, (%rax); movq %rdx, 8(%rax); movq %rsi, 16(%rax); movq %rdi, 24(%rax)\n"
    "	movq %r8, 32(%rax); movq %r9, 40(%rax); movq %r10, 48(%rax); movq %r12, 56(%rax)\n"
    "	movq %r13, 64(%rax); movq %r14, 72(%rax); movq %r15, 80(%rax); movq %rbp, 88(%rax)\n"
    "	movq %rcx, 96(%rax); movq %r11, 104(%rax)\n"
    "	popq %rdx\n"
    "	movq %rdx, 112(%rax)\n"
    "	popq %rdi\n"
    "	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
    "	ret\n");

void call_and_look(uint64_t seen[15]);
extern char call_returned[];

TEST(registers_survive_a_call)
{
	uint64_t seen[15];

	call_and_look(seen);
	for (int i = 0; i < 12; i++)
		CHECK_EQ(seen[i], 11 + i);
	CHECK_EQ(seen[12], (unsigned long)call_returned);
	CHECK_EQ(seen[13] & 1, 1);	/* r11: the flags, carry set */
	CHECK_EQ(seen[14] & 1, 1);
}

TEST(unknown_call_is_enosys)
{
	CHECK_ERRNO(syscall(100000), ENOSYS);
	CHECK_ERRNO(syscall(-1), ENOSYS);
	/* Only the lower half counts. */
	CHECK_EQ(syscall(SYS_getpid | 1L << 32), getpid());
}

/* -- floating point state ------------------------------------------------------------- */

static void set_xmm(uint64_t v)
{
	asm volatile("movq %0, %%xmm3; movq %0, %%xmm15; punpcklqdq %%xmm15, %%xmm15"
		     : : "r"(v) : "xmm3", "xmm15");
}

static uint32_t get_mxcsr(void)
{
	uint32_t v;

	asm volatile("stmxcsr %0" : "=m"(v));
	return v;
}

static volatile uint32_t handler_mxcsr;

static void spoil_fpu(int signal, siginfo_t *info, void *context)
{
	handler_mxcsr = get_mxcsr();
	set_xmm(0xbadbadbadull);
	asm volatile("fninit; fldpi");
}

TEST(handlers_do_not_disturb_floating_point)
{
	uint32_t mxcsr = 0x1f80 | 0x6000;	/* round towards zero */
	pid_t self = getpid();
	uint64_t x;

	on(SIGUSR1, spoil_fpu);
	asm volatile("ldmxcsr %0" : : "m"(mxcsr));
	asm volatile("movq %2, %%xmm3\n\tsyscall\n\tmovq %%xmm3, %0"
		     : "=r"(x) : "a"((long)SYS_kill), "r"(0x123456789abcdefull), "D"((long)self),
		       "S"((long)SIGUSR1) : "rcx", "r11", "xmm3", "memory");
	CHECK_EQ(x, 0x123456789abcdefull);
	CHECK_EQ(get_mxcsr(), mxcsr);
	CHECK_EQ(handler_mxcsr, 0x1f80);	/* the handler's own starts clean */
}

TEST(denormals_are_zero_survives_a_handler)
{
	uint32_t mxcsr = 0x1f80 | 0x8040;	/* as -ffast-math sets it */

	on(SIGUSR1, spoil_fpu);
	asm volatile("ldmxcsr %0" : : "m"(mxcsr));
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(get_mxcsr(), mxcsr);
}

static void change_saved_xmm(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	uc->uc_mcontext.fpregs->_xmm[3].element[0] = 0x55667788;
	uc->uc_mcontext.fpregs->_xmm[3].element[1] = 0x11223344;
}

TEST(handlers_can_change_the_saved_registers)
{
	uint64_t x;

	on(SIGUSR1, change_saved_xmm);
	asm volatile("movq %2, %%xmm3\n\tsyscall\n\tmovq %%xmm3, %0"
		     : "=r"(x) : "a"((long)SYS_kill), "r"(1ull), "D"((long)getpid()),
		       "S"((long)SIGUSR1) : "rcx", "r11", "xmm3", "memory");
	CHECK_EQ(x, 0x1122334455667788ull);
}

TEST_SECONDS(floating_point_survives_other_processes, 60)
{
	enum { PROCESSES = 4, ROUNDS = 300 };

	for (int p = 1; p <= PROCESSES; p++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child)
			continue;
		for (uint64_t i = 0; i < ROUNDS; i++) {
			uint64_t want = (uint64_t)p << 32 | i, a, b;

			/* Nothing between that the compiler could use the registers for. */
			asm volatile("movq %2, %%xmm3; movq %2, %%xmm14\n\t"
				     "movl $24, %%eax; syscall\n\t"	/* sched_yield */
				     "movl $24, %%eax; syscall\n\t"
				     "movq %%xmm3, %0; movq %%xmm14, %1"
				     : "=&r"(a), "=&r"(b) : "r"(want)
				     : "rax", "rcx", "r11", "xmm3", "xmm14", "memory");
			if (a != want || b != want)
				_exit(1);
		}
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status;

		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
}

TEST(fork_copies_floating_point)
{
	uint32_t mxcsr = 0x1f80 | 0x2000;
	pid_t child;
	uint64_t x;

	asm volatile("ldmxcsr %0" : : "m"(mxcsr));
	asm volatile("movq %2, %%xmm3\n\tsyscall\n\tmovq %%xmm3, %1"
		     : "=a"(child), "=r"(x) : "r"(0xfeedull), "0"((long)SYS_fork)
		     : "rcx", "r11", "xmm3", "memory");
	if (child == 0)
		_exit(x == 0xfeed && get_mxcsr() == mxcsr ? 0 : 1);
	CHECK_EQ(x, 0xfeed);
	harness_reap(child, __FILE_NAME__, __LINE__);
}

static void *thread_mxcsr(void *arg)
{
	*(uint32_t *)arg = get_mxcsr();
	return NULL;
}

TEST(threads_start_with_the_state_of_their_creator)
{
	uint32_t mxcsr = 0x1f80 | 0x4000, seen = 0;
	pthread_t thread;

	asm volatile("ldmxcsr %0" : : "m"(mxcsr));
	CHECK_EQ(pthread_create(&thread, NULL, thread_mxcsr, &seen), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(seen, mxcsr);
}

TEST(avx_registers_survive)
{
	uint8_t in[32], out[32];

	if (!__builtin_cpu_supports("avx"))
		SKIP("no AVX");
	for (int i = 0; i < 32; i++)
		in[i] = (uint8_t)(i * 7 + 1);
	for (int round = 0; round < 20; round++) {
		asm volatile("vmovdqu (%0), %%ymm7\n\t"
			     "movl $24, %%eax; syscall\n\t"
			     "vmovdqu %%ymm7, (%1)"
			     : : "r"(in), "r"(out) : "rax", "rcx", "r11", "memory");
		CHECK(!memcmp(in, out, 32));
	}
}

/* -- segments, stacks -------------------------------------------------------------------- */

TEST(arch_prctl_sets_the_gs_base)
{
	static uint64_t place = 0x77;
	uint64_t base = 0, v;

	CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, &place));
	asm volatile("movq %%gs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0x77);
	sched_yield();
	asm volatile("movq %%gs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0x77);
	CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
	CHECK_EQ(base, (uint64_t)&place);
	CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_SET_GS, 1ull << 63), EPERM);
	CHECK_ERRNO(syscall(SYS_arch_prctl, 0x7777, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_GET_FS, 8), EFAULT);
}

static void nothing(int signal, siginfo_t *info, void *context)
{
	volatile char much[512];

	memset((char *)much, 0xee, sizeof(much));
}

TEST(signals_respect_the_red_zone)
{
	uint64_t kept;

	on(SIGUSR1, nothing);
	asm volatile("movq $0x5a5a, -128(%%rsp)\n\t"
		     "syscall\n\t"
		     "movq -128(%%rsp), %0"
		     : "=r"(kept) : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
		     : "rcx", "r11", "memory");
	CHECK_EQ(kept, 0x5a5a);
}

static volatile uint64_t handler_flags, handler_sp;

static void look_at_flags(int signal, siginfo_t *info, void *context)
{
	uint64_t flags;

	asm volatile("pushfq; popq %0" : "=r"(flags));
	handler_flags = flags;
	handler_sp = (uint64_t)__builtin_frame_address(0);
}

TEST(handlers_start_with_clean_flags_and_an_aligned_stack)
{
	on(SIGUSR1, look_at_flags);
	asm volatile("std\n\tsyscall\n\tcld"
		     : : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
		     : "rcx", "r11", "memory", "cc");
	CHECK_EQ(handler_flags & 0x500, 0);	/* direction and trap */
	CHECK_EQ(handler_sp & 15, 0);
}

TEST(flags_come_back_from_a_handler)
{
	uint64_t flags;

	on(SIGUSR1, look_at_flags);
	asm volatile("std\n\tsyscall\n\tpushfq\n\tpopq %0\n\tcld"
		     : "=r"(flags) : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
		     : "rcx", "r11", "memory", "cc");
	CHECK_EQ(flags & 0x400, 0x400);
}

TEST(getcpu_names_an_existing_cpu)
{
	unsigned int cpu = ~0u, node = ~0u;

	CHECK_OK(syscall(SYS_getcpu, &cpu, &node, NULL));
	CHECK(cpu < (unsigned int)sysconf(_SC_NPROCESSORS_CONF));
	CHECK_EQ(node, 0);
	CHECK(sched_getcpu() >= 0);
}

TEST(deep_recursion_ends_in_sigsegv_on_the_other_stack)
{
	static char other[65536];
	stack_t stack = { .ss_sp = other, .ss_size = sizeof(other) };
	struct sigaction act = { .sa_sigaction = catch, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	CHECK_OK(sigaltstack(&stack, NULL));
	CHECK_OK(sigaction(SIGSEGV, &act, NULL));
	got_signal = 0;
	if (sigsetjmp(after, 1) == 0)
		asm volatile("1: pushq $0; jmp 1b" : : : "memory");
	CHECK_EQ(got_signal, SIGSEGV);
	CHECK_EQ(got_code, SEGV_MAPERR);
}
