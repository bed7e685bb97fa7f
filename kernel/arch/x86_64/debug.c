/* SPDX-License-Identifier: MIT */
/*
 * Hardware breakpoints of programs: DR0 to DR3 and DR7 per thread (K_STATE_DEBUG).
 *
 * They are loaded when a thread that has some is switched to, and switched off with
 * it.  Between, they also watch what the kernel and a personality in a process do
 * with the program's memory: such hits are passed over (trap.c), as ptrace(2) is about
 * the program's own accesses.  Addresses are in the program's half and I/O breakpoints
 * and general detection are refused, so that nothing else can be watched.
 * Intel SDM volume 3, 18.2.
 */
#include "x86.h"

#include "abi/status.h"
#include "arch/cpu.h"
#include "arch/thread.h"
#include "kernel/thread.h"

#define DR7_FIXED	0x400u
#define DR7_LOCAL(i)	(1u << 2 * (i))
#define DR7_LOCAL_ALL	0x55u
#define DR7_TYPE(i, dr7) ((dr7) >> (16 + 4 * (i)) & 3)
#define DR7_LENGTH(i, dr7) ((dr7) >> (18 + 4 * (i)) & 3)

enum { ON_EXECUTION, ON_WRITE, ON_IO, ON_ACCESS };

static void write_dr7(uint64_t v)
{
	asm volatile("movq %0, %%dr7" : : "r"(v) : "memory");
}

static void load(struct cpu *cpu, const struct k_debug_state *s)
{
	write_dr7(DR7_FIXED);		/* none while the addresses change */
	cpu->arch.debug_loaded = s->dr7 != 0;
	if (!s->dr7)
		return;
	asm volatile("movq %0, %%dr0" : : "r"(s->dr[0]));
	asm volatile("movq %0, %%dr1" : : "r"(s->dr[1]));
	asm volatile("movq %0, %%dr2" : : "r"(s->dr[2]));
	asm volatile("movq %0, %%dr3" : : "r"(s->dr[3]));
	write_dr7(s->dr7 | DR7_FIXED);
}

void x86_debug_switch(struct cpu *cpu, const struct thread *next)
{
	load(cpu, &next->arch.debug);
}

static bool is_valid(const struct k_debug_state *s)
{
	static const uint8_t lengths[4] = { 1, 2, 8, 4 };

	if (s->dr7 & ~(uint64_t)(DR7_LOCAL_ALL | 0xffff0000u))
		return false;
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t type = DR7_TYPE(i, s->dr7), n = lengths[DR7_LENGTH(i, s->dr7)];

		if (!(s->dr7 & DR7_LOCAL(i)))
			continue;
		if (type == ON_IO || (type == ON_EXECUTION && n != 1))
			return false;
		if (s->dr[i] % n || s->dr[i] > K_PROGRAM_MAX - n)
			return false;
	}
	return true;
}

k_status_t arch_thread_debug_write(struct thread *t, const struct k_debug_state *state)
{
	struct k_debug_state fresh = *state;
	arch_irqflags_t flags;

	if (!is_valid(&fresh))
		return K_ERR_BAD_ARGUMENT;
	if (!(fresh.dr7 & DR7_LOCAL_ALL))
		fresh.dr7 = 0;
	for (unsigned int i = 0; i < 4; i++)
		if (!(fresh.dr7 & DR7_LOCAL(i)))
			fresh.dr[i] = 0;
	flags = arch_irq_save();
	t->arch.debug = fresh;
	if (t == current_thread())
		load(this_cpu(), &fresh);
	arch_irq_restore(flags);
	return K_OK;
}

/* Whether one of the breakpoints that DR6 names is on execution: a fault, and the
 * instruction would meet it again. */
bool x86_debug_is_fault(const struct thread *t, uint64_t dr6)
{
	for (unsigned int i = 0; i < 4; i++)
		if ((dr6 & 1u << i) && (t->arch.debug.dr7 & DR7_LOCAL(i)) &&
		    DR7_TYPE(i, t->arch.debug.dr7) == ON_EXECUTION)
			return true;
	return false;
}
