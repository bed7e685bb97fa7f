/* SPDX-License-Identifier: MIT */
/* Restartable sequences: rseq(2). */

#include "harness.h"

#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define SIG 0x53053053u

/* The area that these tests register, each thread its own. */
static __thread struct rseq area __attribute__((aligned(32)));

static long rseq(void *at, unsigned int length, int flags, unsigned int sig)
{
	return syscall(SYS_rseq, at, length, flags, sig);
}

/* The C library has registered one: take it back. */
static void free_rseq(void)
{
	void *libc = (char *)__builtin_thread_pointer() + __rseq_offset;

	if (__rseq_size)
		rseq(libc, 32, RSEQ_FLAG_UNREGISTER, SIG);
}

static void use_area(void)
{
	free_rseq();
	area.cpu_id = (unsigned int)RSEQ_CPU_ID_UNINITIALIZED;
	CHECK_OK(rseq(&area, 32, 0, SIG));
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
}

static int cpu_now(void)
{
	unsigned int cpu = 0;

	CHECK_OK(syscall(SYS_getcpu, &cpu, NULL, NULL));
	return (int)cpu;
}

TEST(rseq_checks_its_arguments)
{
	free_rseq();
	CHECK_ERRNO(rseq((char *)&area + 8, 32, 0, SIG), EINVAL);
	CHECK_ERRNO(rseq(&area, 31, 0, SIG), EINVAL);
	CHECK_ERRNO(rseq(&area, 32, 2, SIG), EINVAL);
	CHECK_ERRNO(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIG), EINVAL);
	CHECK_ERRNO(rseq((void *)-32L, 32, 0, SIG), EFAULT);
	CHECK_OK(rseq(&area, 32, 0, SIG));
	CHECK_ERRNO(rseq(&area, 32, 0, SIG), EBUSY);
	CHECK_ERRNO(rseq(&area, 32, 0, SIG + 1), EPERM);
	CHECK_ERRNO(rseq((char *)&area + 32, 32, 0, SIG), EINVAL);
	CHECK_ERRNO(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIG + 1), EPERM);
	CHECK_ERRNO(rseq((char *)&area + 32, 32, RSEQ_FLAG_UNREGISTER, SIG), EINVAL);
	CHECK_OK(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIG));
	CHECK_EQ((int)area.cpu_id, RSEQ_CPU_ID_UNINITIALIZED);
	CHECK_EQ(area.cpu_id_start, 0);
}

TEST(the_c_library_registers_its_threads)
{
	struct rseq *libc = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	if (!__rseq_size)
		SKIP("the C library does not use it");
	pin(0);
	CHECK_EQ(libc->cpu_id, 0);
	CHECK_EQ(sched_getcpu(), 0);
}

TEST(area_follows_the_cpu)
{
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);

	use_area();
	for (int i = 0; i < 20; i++) {
		pin(i % cpus);
		CHECK_EQ(cpu_now(), i % cpus);
		CHECK_EQ(area.cpu_id, i % cpus);
		CHECK_EQ(area.cpu_id_start, i % cpus);
	}
}

TEST(child_of_fork_keeps_the_area)
{
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);

	use_area();
	IN_CHILD(({
		pin(cpus - 1);
		CHECK_EQ(area.cpu_id, cpus - 1);
		CHECK_ERRNO(rseq(&area, 32, 0, SIG), EBUSY);
		CHECK_OK(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIG));
	}));
	CHECK_OK(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIG));
}

static void *thread_of_its_own(void *arg)
{
	free_rseq();
	CHECK_OK(rseq(&area, 32, 0, SIG));
	return NULL;
}

TEST(threads_have_areas_of_their_own)
{
	pthread_t t;

	use_area();
	CHECK_EQ(pthread_create(&t, NULL, thread_of_its_own, NULL), 0);
	pthread_join(t, NULL);
	CHECK_OK(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIG));
}

/* -- critical sections -------------------------------------------------------------------- */

/*
 * Stay in a critical section until it is aborted, for @spins turns at most; true if it was.
 * *started becomes 1 in there.
 */
static bool spin_in_section(unsigned long spins, volatile int *started)
{
	unsigned char aborted = 0;

	__asm__ volatile(
		".pushsection .data.rel.local, \"aw\"\n"
		".balign 32\n"
		"9:	.long 0, 0\n"
		"	.quad 1f, 2f - 1f, 4f\n"
		".popsection\n"
		"	leaq	9b(%%rip), %%rax\n"
		"	movq	%%rax, %[cs]\n"
		"1:	movl	$1, %[started]\n"
		"3:	decq	%[spins]\n"
		"	jnz	3b\n"
		"2:	jmp	5f\n"
		"	.byte	0x0f, 0xb9, 0x3d\n"	/* ud1, so that nothing runs into it */
		"	.long	0x53053053\n"
		"4:	movb	$1, %[aborted]\n"
		"5:\n"
		: [cs] "=m"(area.rseq_cs), [started] "=m"(*started), [spins] "+r"(spins),
		  [aborted] "+m"(aborted)
		:
		: "rax", "memory", "cc");
	return aborted;
}

#define LONG (1ul << 62)

static volatile int signalled;
static volatile unsigned long section_in_handler;

static void note_signal(int signo)
{
	signalled++;
	section_in_handler = area.rseq_cs;
}

TEST(signal_aborts_a_section)
{
	struct itimerval it = { .it_value = { .tv_usec = 30000 } };
	volatile int started = 0;

	use_area();
	signal(SIGALRM, note_signal);
	setitimer(ITIMER_REAL, &it, NULL);
	while (!signalled)		/* preemption aborts it, too */
		CHECK(spin_in_section(LONG, &started));
	CHECK_EQ(started, 1);
	CHECK_EQ(section_in_handler, 0);
	CHECK_EQ(area.rseq_cs, 0);
}

TEST(section_that_is_over_is_not_aborted)
{
	volatile int started = 0;

	use_area();
	signal(SIGUSR1, note_signal);
	CHECK(!spin_in_section(1, &started) || true);
	spin_in_section(1, &started);
	raise(SIGUSR1);
	CHECK_EQ(signalled, 1);
	CHECK_EQ(area.rseq_cs, 0);
}

static volatile int spinning, stop;

static void *spin_along(void *arg)
{
	pin(0);
	spinning = 1;
	while (!stop)
		;
	return NULL;
}

TEST(preemption_aborts_a_section)
{
	volatile int started = 0;
	pthread_t t;

	pin(0);
	use_area();
	CHECK_EQ(pthread_create(&t, NULL, spin_along, NULL), 0);
	while (!spinning)
		sched_yield();
	CHECK(spin_in_section(LONG, &started));
	CHECK_EQ(area.rseq_cs, 0);
	stop = 1;
	pthread_join(t, NULL);
}

/* What sections are for: counters of CPUs, without locked instructions. */
#define THREADS	4
#define ROUNDS	200000
static struct { long n; char pad[56]; } counters[64] __attribute__((aligned(64)));

static void count_on_this_cpu(void)
{
	for (;;) {
		unsigned int cpu = *(volatile unsigned int *)&area.cpu_id_start;
		unsigned char aborted = 0;

		__asm__ volatile(
			".pushsection .data.rel.local, \"aw\"\n"
			".balign 32\n"
			"9:	.long 0, 0\n"
			"	.quad 1f, 2f - 1f, 4f\n"
			".popsection\n"
			"	leaq	9b(%%rip), %%rax\n"
			"	movq	%%rax, %[cs]\n"
			"1:	cmpl	%[cpu], %[now]\n"
			"	jnz	4f\n"
			"	movq	%[counter], %%rax\n"
			"	incq	%%rax\n"
			"	movq	%%rax, %[counter]\n"
			"2:	jmp	5f\n"
			"	.byte	0x0f, 0xb9, 0x3d\n"
			"	.long	0x53053053\n"
			"4:	movb	$1, %[aborted]\n"
			"5:\n"
			: [cs] "=m"(area.rseq_cs), [counter] "+m"(counters[cpu].n),
			  [aborted] "+m"(aborted)
			: [cpu] "r"(cpu), [now] "m"(area.cpu_id)
			: "rax", "memory", "cc");
		if (!aborted)
			return;
	}
}

static void *count_along(void *arg)
{
	use_area();
	for (int i = 0; i < ROUNDS; i++)
		count_on_this_cpu();
	free_rseq();
	CHECK_OK(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIG));
	return NULL;
}

TEST(counters_of_cpus_lose_nothing)
{
	pthread_t t[THREADS];
	long sum = 0;

	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, count_along, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 64; i++)
		sum += counters[i].n;
	CHECK_EQ(sum, (long)THREADS * ROUNDS);
}

/* -- what cannot be done ends the program ---------------------------------------------------- */

static int signal_of(void (*fn)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		fn();
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void lose_the_area(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	free_rseq();
	CHECK_OK(rseq(page, 32, 0, SIG));
	CHECK_OK(munmap(page, 4096));
	signal(SIGUSR1, note_signal);
	raise(SIGUSR1);
}

static struct rseq_cs wrong __attribute__((aligned(32)));

static void wrong_section(void)
{
	use_area();
	signal(SIGUSR1, note_signal);
	area.rseq_cs = (uintptr_t)&wrong;
	raise(SIGUSR1);
}

static void wrong_version(void)
{
	wrong = (struct rseq_cs){ .version = 1, .start_ip = 0x1000, .post_commit_offset = 1, .abort_ip = 0x2000 };
	wrong_section();
}

/* The abort handler is not marked as one. */
static void wrong_signature(void)
{
	wrong = (struct rseq_cs){ .start_ip = 0x1000, .post_commit_offset = 1,
				  .abort_ip = (uintptr_t)wrong_version };
	wrong_section();
}

static void handler_within(void)
{
	wrong = (struct rseq_cs){ .start_ip = 0x1000, .post_commit_offset = 0x2000, .abort_ip = 0x2000 };
	wrong_section();
}

static void no_section(void)
{
	use_area();
	signal(SIGUSR1, note_signal);
	area.rseq_cs = 0x10;
	raise(SIGUSR1);
}

TEST(what_cannot_be_kept_ends_the_program)
{
	CHECK_EQ(signal_of(lose_the_area), SIGSEGV);
	CHECK_EQ(signal_of(wrong_version), SIGSEGV);
	CHECK_EQ(signal_of(wrong_signature), SIGSEGV);
	CHECK_EQ(signal_of(handler_within), SIGSEGV);
	CHECK_EQ(signal_of(no_section), SIGSEGV);
}
