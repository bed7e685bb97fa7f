/* SPDX-License-Identifier: MIT */
/*
 * Registers and backtraces for panic(), by frame pointers.
 */
#include "arch/panic.h"

#include "x86.h"

#include "kernel/kmem.h"

#define DEPTH_MAX 32u

static bool is_kernel_stack(uint64_t addr)
{
	extern char boot_stack[], boot_stack_top[];
	struct thread *self = current_thread();
	uint64_t stack = self ? (uint64_t)(uintptr_t)self->arch.stack : 0;
	uint64_t ist = (uint64_t)(uintptr_t)this_cpu()->arch.ist_stacks;

	if (addr & 7)
		return false;
	return (stack && addr >= stack && addr <= stack + KSTACK_SIZE - 16) ||
	       (ist && addr >= ist && addr <= ist + 4 * K_PAGE_SIZE - 16) ||
	       (addr >= (uint64_t)(uintptr_t)boot_stack &&
		addr <= (uint64_t)(uintptr_t)boot_stack_top - 16);
}

void arch_panic_registers(const struct arch_regs *r)
{
	const struct { const char *name; uint64_t value; } list[] = {
		{ "rax", r->rax }, { "rbx", r->rbx }, { "rcx", r->rcx }, { "rdx", r->rdx },
		{ "rsi", r->rsi }, { "rdi", r->rdi }, { "rbp", r->rbp }, { "rsp", r->rsp },
		{ "r8", r->r8 }, { "r9", r->r9 }, { "r10", r->r10 }, { "r11", r->r11 },
		{ "r12", r->r12 }, { "r13", r->r13 }, { "r14", r->r14 }, { "r15", r->r15 },
		{ "rip", r->rip }, { "rfl", r->rflags }, { "cr2", x86_read_cr2() },
		{ "cr3", x86_read_cr3() },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		panic_write_register(list[i].name, list[i].value, i % 4 == 3);
}

void arch_panic_backtrace(const struct arch_regs *regs)
{
	uint64_t rbp = regs ? regs->rbp : (uint64_t)(uintptr_t)__builtin_frame_address(0);

	if (regs)
		panic_write_address(regs->rip);
	for (unsigned int i = 0; i < DEPTH_MAX && is_kernel_stack(rbp); i++) {
		const uint64_t *frame = (const uint64_t *)(uintptr_t)rbp;

		if (!frame[1])
			break;
		panic_write_address(frame[1]);
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
}
