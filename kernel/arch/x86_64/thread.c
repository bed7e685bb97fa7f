/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 part of threads: first context, switch, components in ring 3.
 */
#include "x86.h"

#include "abi/status.h"
#include "arch/cpu.h"
#include "arch/thread.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/panic.h"
#include "kernel/time.h"

/* What x86_switch_stacks() pops, and x86_thread_start finds. */
struct first_context {
	uint64_t r15, r14;
	uint64_t arg;			/* r13 */
	uint64_t fn;			/* r12 */
	uint64_t rbx, rbp;
	uint64_t start;			/* return address */
	uint64_t end_of_stack;		/* 0: ends backtraces */
};

/* A component's first registers lie at the top of its stack; it enters ring 3 with them. */
static void component_start(uint64_t regs)
{
	arch_irq_disable();
	if (this_cpu()->arch.fpu_owner != current_thread())
		x86_fpu_load();
	x86_enter_regs((struct arch_regs *)(uintptr_t)regs);
}

k_status_t arch_thread_init(struct thread *t, const struct thread_params *params)
{
	uint8_t *top = (uint8_t *)t->arch.stack + KSTACK_SIZE;
	struct arch_regs *regs = (struct arch_regs *)top - 1;
	struct first_context *first;
	k_status_t status;

	t->arch.rsp0 = (uint64_t)(uintptr_t)top;
	t->arch.fpu_cpu = UINT32_MAX;
	if (params->user_entry || params->runs_programs) {
		status = x86_fpu_alloc(t, params->inherit_fpu);
		if (status != K_OK)
			return status;
	}

	first = (struct first_context *)((uint8_t *)regs - 16) - 1;
	*first = (struct first_context){ .start = (uint64_t)(uintptr_t)x86_thread_start };
	if (params->user_entry) {
		*regs = (struct arch_regs){
			.rdi = params->arg, .rip = params->user_entry, .cs = SEL_USER_CS,
			/* As if called: the return address' place is misaligned by 8. */
			.rsp = (params->user_stack & ~15ull) - 8, .ss = SEL_USER_DS,
			.rflags = RFLAGS_FIXED,
		};
		first->fn = (uint64_t)(uintptr_t)component_start;
		first->arg = (uint64_t)(uintptr_t)regs;
	} else {
		first->fn = (uint64_t)(uintptr_t)params->fn;
		first->arg = params->arg;
	}
	t->arch.rsp = (uint64_t)(uintptr_t)first;
	return K_OK;
}

void arch_thread_free(struct thread *t)
{
	x86_fpu_free(t);
}

/* The bases stay as they are while threads run that never enter ring 3. */
static void load_bases(struct cpu *cpu, const struct thread *t)
{
	if (t->arch.fs_base != cpu->arch.fs_loaded) {
		x86_wrmsr(MSR_FS_BASE, t->arch.fs_base);
		cpu->arch.fs_loaded = t->arch.fs_base;
	}
	if (t->arch.gs_base != cpu->arch.gs_loaded) {
		x86_wrmsr(MSR_KERNEL_GS_BASE, t->arch.gs_base);
		cpu->arch.gs_loaded = t->arch.gs_base;
	}
}

struct thread *arch_context_switch(struct thread *prev, struct thread *next)
{
	struct cpu *cpu = this_cpu();
	uint64_t now = arch_cycles();

	x86_fpu_switch_out(cpu, prev);
	prev->arch.system_cycles += now - prev->arch.stamp;
	next->arch.stamp = now;
	if (prev != cpu->idle) {
		cpu->arch.system_cycles += prev->arch.system_cycles - prev->arch.system_seen;
		prev->arch.system_seen = prev->arch.system_cycles;
	}
	prev->arch.frame = cpu->arch.frame;
	prev->arch.rsp0 = cpu->arch.tss.rsp[0];
	cpu->arch.frame = next->arch.frame;
	cpu->arch.tss.rsp[0] = next->arch.rsp0;
	if (next->arch.xsave)
		load_bases(cpu, next);
	if (unlikely(cpu->arch.debug_loaded || next->arch.debug.dr7))
		x86_debug_switch(cpu, next);
	return x86_switch_stacks(prev, next);
}

size_t arch_stack_left(void)
{
	return (size_t)((uint8_t *)__builtin_frame_address(0) -
			(uint8_t *)current_thread()->arch.stack);
}

uint64_t arch_thread_system_ns(struct thread *t)
{
	uint64_t cycles = READ_ONCE(t->arch.system_cycles);

	if (t == current_thread())
		cycles += arch_cycles() - t->arch.stamp;
	return time_cycles_to_ns(cycles);
}

uint64_t arch_cpu_system_ns(const struct cpu *cpu)
{
	return time_cycles_to_ns(READ_ONCE(cpu->arch.system_cycles));
}

/* Called with interrupts disabled by user_run(). */
k_status_t x86_load_bases(const struct k_user_frame *frame);
k_status_t x86_load_bases(const struct k_user_frame *frame)
{
	struct thread *self = current_thread();
	/* Once: others may have the frame before them. */
	uint64_t fs_base = READ_ONCE(frame->fs_base), gs_base = READ_ONCE(frame->gs_base);

	if (fs_base >= K_PROGRAM_MAX || gs_base >= K_PROGRAM_MAX)
		return K_ERR_BAD_ARGUMENT;
	self->arch.fs_base = fs_base;
	self->arch.gs_base = gs_base;
	load_bases(this_cpu(), self);
	return K_OK;
}
