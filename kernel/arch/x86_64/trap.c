/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts after the stubs, and the way back to ring 3.
 *
 * From ring 3, an exception belongs to a program inside user_run() (cpu->frame is
 * set: it is settled, or reported in the frame by returning from user_run()), or
 * to a component (settled, or the end of its process).  In the kernel only page
 * faults of the user copies are expected; they are settled or end the copy
 * (exception table); anything else is a panic.
 */
#include "x86.h"

#include "abi/calls.h"
#include "abi/status.h"
#include "arch/cpu.h"
#include "arch/user.h"
#include "base/string.h"
#include "kernel/calls.h"
#include "kernel/fault.h"
#include "kernel/kcalls.h"
#include "kernel/kmem.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/sched.h"

/* -- the IDT ------------------------------------------------------------------ */

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, zero;
};

static struct gate idt[256];
extern char x86_vector_stubs[];

static void set_gate(unsigned int vector, unsigned int ist, unsigned int dpl)
{
	uint64_t addr = (uint64_t)(uintptr_t)x86_vector_stubs + 16 * vector;

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)addr, .selector = SEL_KERNEL_CS, .ist = (uint8_t)ist,
		.type = (uint8_t)(0x8e | dpl << 5), .offset_middle = (uint16_t)(addr >> 16),
		.offset_high = (uint32_t)(addr >> 32),
	};
}

void x86_idt_init(void)
{
	for (unsigned int v = 0; v < ARRAY_SIZE(idt); v++)
		set_gate(v, 0, 0);
	set_gate(VECTOR_NMI, 1, 0);
	set_gate(VECTOR_DF, 2, 0);
	set_gate(VECTOR_MC, 3, 0);
	set_gate(VECTOR_DB, 4, 0);
	set_gate(VECTOR_BP, 0, 3);
	set_gate(4, 0, 3);		/* INTO */
}

void x86_idt_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} PACKED p = { .limit = sizeof(idt) - 1, .base = (uintptr_t)idt };

	asm volatile("lidt %0" : : "m"(p));
}

/* -- the way back to ring 3 ------------------------------------------------------- */

/* Stop the program and return from user_run(); interrupts disabled. */
static NORETURN void leave_program(const struct arch_regs *regs, enum k_user_reason reason)
{
	struct k_user_frame *frame = this_cpu()->arch.frame;

	/* r15 to rdi have the same order in both. */
	memcpy(frame, regs, offsetof(struct arch_regs, vector));
	frame->orig_rax = UINT64_MAX;
	frame->rip = regs->rip;
	frame->cs = SEL_USER_CS;
	frame->rflags = regs->rflags;
	frame->rsp = regs->rsp;
	frame->ss = SEL_USER_DS;
	frame->reason = reason;
	x86_user_leave(K_OK);
}

static NORETURN void end_killed_thread(void)
{
	arch_irq_enable();
	thread_exit();
}

static __attribute__((noinline)) void exit_to_user_slowly(const struct arch_regs *regs, struct thread *self)
{

	for (;;) {
		uint32_t pending = atomic_load_explicit(&self->pending, memory_order_relaxed);

		if (unlikely(pending & THREAD_KILLED))
			end_killed_thread();
		/* Whoever enters ring 3 takes the FPU: if it is ours still, nobody did meanwhile. */
		if (unlikely(self->report_moves) && this_cpu()->arch.fpu_owner != self)
			pending |= THREAD_MOVED;
		if (unlikely((pending & (THREAD_KICKED | THREAD_MOVED)) && this_cpu()->arch.frame)) {
			atomic_fetch_and_explicit(&self->pending, ~(THREAD_KICKED | THREAD_MOVED),
						  memory_order_relaxed);
			leave_program(regs, K_USER_KICKED);
		}
		if (likely(arch_percpu_read32(offsetof(struct cpu, preempt_count))))
			break;
		sched_preempt_irq();
	}
	if (unlikely(this_cpu()->arch.fpu_owner != self))
		x86_fpu_load();
}

/* Everything that has to be looked at before ring 3; interrupts disabled, and stay so. */
static inline void exit_to_user(const struct arch_regs *regs)
{
	struct thread *self = current_thread();

	if (unlikely(atomic_load_explicit(&self->pending, memory_order_relaxed) ||
		     !arch_percpu_read32(offsetof(struct cpu, preempt_count)) ||
		     this_cpu()->arch.fpu_owner != self))
		exit_to_user_slowly(regs, self);
}

/* user_run() found something pending; interrupts disabled. */
k_status_t x86_run_pending(struct k_user_frame *frame);
k_status_t x86_run_pending(struct k_user_frame *frame)
{
	uint32_t old = atomic_fetch_and_explicit(&current_thread()->pending,
						 ~(THREAD_KICKED | THREAD_MOVED),
						 memory_order_relaxed);

	if (old & THREAD_KILLED)
		end_killed_thread();
	frame->orig_rax = UINT64_MAX;
	frame->reason = K_USER_KICKED;
	return K_OK;
}

/* The program would start where no program can be: as if it had jumped there. */
k_status_t x86_run_bad_rip(struct k_user_frame *frame);
k_status_t x86_run_bad_rip(struct k_user_frame *frame)
{
	frame->orig_rax = UINT64_MAX;
	frame->reason = K_USER_EXCEPTION;
	frame->vector = VECTOR_GP;
	frame->error_code = 0;
	return K_OK;
}

/* -- system calls of components ------------------------------------------------------ */

static __attribute__((noinline)) void dispatch(struct arch_regs *regs)
{
	uint64_t args[6] = { regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9 };

	regs->rax = (uint64_t)(int64_t)kcall_dispatch(regs->rax, args);
}

void x86_kernel_call(struct arch_regs *regs);
void x86_kernel_call(struct arch_regs *regs)
{
	/* The first is the call that every system call of every program comes by. */
	if (likely(regs->rax == K_CALL_USER_RUN)) {
		process_count_call(current_thread()->process, K_CALL_USER_RUN);
		regs->rax = (uint64_t)(int64_t)kcall_user_run(current_thread(), regs->rdi);
	} else {
		dispatch(regs);
	}
	arch_irq_disable();
	exit_to_user(regs);
}

/* The program runs on the root that the personality is absent from. */
k_status_t user_run_in_process(struct k_user_frame *frame)
{
	struct thread *self = current_thread();
	k_status_t status;
	struct cpu *cpu;

	arch_irq_disable();
	/* Before switching roots, which costs more than all the rest. */
	if (unlikely(atomic_load_explicit(&self->pending, memory_order_relaxed))) {
		status = x86_run_pending(frame);
		arch_irq_enable();
		return status;
	}
	thread_set_unified(false);
	status = user_run(frame);
	arch_irq_disable();
	thread_set_unified(true);
	cpu = this_cpu();
	cpu->arch.frame = NULL;
	cpu->arch.tss.rsp[0] = (uint64_t)(uintptr_t)self->arch.stack + KSTACK_SIZE;
	arch_irq_enable();
	return status;
}

/* -- interrupts ---------------------------------------------------------------------- */

static void interrupt(uint32_t vector)
{
	arch_percpu_add32(offsetof(struct cpu, preempt_count), PREEMPT_IRQ);
	this_cpu()->interrupts++;
	x86_irq_vector(vector);
	arch_percpu_add32(offsetof(struct cpu, preempt_count), -PREEMPT_IRQ);
}

/* -- exceptions of ring 3 -------------------------------------------------------------- */

static uint32_t fault_access(uint64_t error)
{
	return error & 0x10 ? K_PROT_EXEC : error & 2 ? K_PROT_WRITE : K_PROT_READ;
}

/* A component did what the processor refused. */
static NORETURN void end_component(const struct arch_regs *regs, uint32_t vector, uint64_t addr)
{
	const struct fault_report report = {
		.vector = vector, .error = regs->error, .address = addr, .rip = regs->rip,
		.rsp = regs->rsp,
		.regs = { regs->rax, regs->rbx, regs->rcx, regs->rdx, regs->rsi, regs->rdi,
			  regs->rbp, regs->rsp, regs->r8, regs->r9, regs->r10, regs->r11,
			  regs->r12, regs->r13, regs->r14, regs->r15 },
	};

	process_fault(current_thread(), &report);
	thread_exit();
}

static void program_fault(const struct arch_regs *regs, struct k_user_frame *frame, uint64_t addr)
{
	uint32_t access = fault_access(regs->error);
	struct k_fault fault = { .addr = addr, .access = access, .status = K_ERR_NOT_FOUND };

	if (addr < K_PROGRAM_MAX && current_thread()->space &&
	    fault_handle(current_thread()->space, addr, access, &fault) == K_OK)
		return;
	arch_irq_disable();
	frame->vector = VECTOR_PF;
	frame->error_code = regs->error;
	frame->fault = fault;
	leave_program(regs, K_USER_FAULT);
}

static void component_fault(struct arch_regs *regs, uint64_t addr)
{
	struct thread *self = current_thread();
	/* A personality in a process sees its program's space in the lower half. */
	bool in_program = self->run_unified && addr < K_PROGRAM_MAX;
	struct space *space = in_program ? self->space : self->own_space;
	k_status_t st = K_ERR_NOT_FOUND;

	if (space)
		st = fault_handle(space, addr, fault_access(regs->error), NULL);
	if (st == K_OK)
		return;
	if (in_program && process_find_fixup(regs->rip, &regs->rip))
		return;
	if (st == K_ERR_NO_MEMORY)
		log_line(LOG_ERR, "%s: no memory for a page that it needs", self->process->name);
	end_component(regs, VECTOR_PF, addr);
}

/* @frame: of the program that runs, or NULL.  Interrupts enabled: the thread may move to
 * another CPU at any moment, so the frame was looked up before. */
static void exception_user(struct arch_regs *regs, struct k_user_frame *frame, uint32_t vector,
			   uint64_t addr)
{
	if (vector == VECTOR_MC || vector == VECTOR_DF)
		panic_regs(regs, "exception %u", vector);
	if (vector == VECTOR_PF) {
		if (frame)
			program_fault(regs, frame, addr);
		else
			component_fault(regs, addr);
		return;
	}
	if (!frame) {
		/* The personality touched what its program watches: none of its business. */
		if (vector == VECTOR_DB && current_thread()->run_unified)
			return;
		if (vector == VECTOR_GP && current_thread()->run_unified &&
		    process_find_fixup(regs->rip, &regs->rip))
			return;
		end_component(regs, vector, addr);
	}
	arch_irq_disable();
	if (vector == VECTOR_DB && x86_debug_is_fault(current_thread(), addr))
		regs->rflags |= RFLAGS_RF;
	frame->vector = vector;
	frame->error_code = vector == VECTOR_DB ? addr : regs->error;
	leave_program(regs, K_USER_EXCEPTION);
}

/* From ring 3, interrupts disabled; returns likewise, ready to go back. */
void x86_trap_user(struct arch_regs *regs);
void x86_trap_user(struct arch_regs *regs)
{
	struct k_user_frame *frame = this_cpu()->arch.frame;
	uint32_t vector = regs->vector & 0xff;
	uint64_t addr = 0;

	if (vector >= 32) {
		interrupt(vector);
	} else if (vector == VECTOR_NMI) {
		x86_nmi(regs);
	} else {
		if (vector == VECTOR_PF)
			addr = x86_read_cr2();
		if (vector == VECTOR_DB) {
			addr = x86_read_dr6();
			x86_write_dr6(0);
		}
		arch_irq_enable();
		exception_user(regs, frame, vector, addr);
		arch_irq_disable();
	}
	exit_to_user(regs);
}

/* -- in the kernel ------------------------------------------------------------------------ */

/* The exception table: instruction that may fault, where to go on. */
struct fixup {
	uint64_t rip, landing;
};

extern const struct fixup x86_fixups[], x86_fixups_end[];

static const struct fixup *find_fixup(uint64_t rip)
{
	for (const struct fixup *f = x86_fixups; f < x86_fixups_end; f++) {
		if (f->rip == rip)
			return f;
	}
	return NULL;
}

static bool kernel_page_fault(struct arch_regs *regs, uint64_t addr)
{
	const struct fixup *fixup = find_fixup(regs->rip);
	bool settled = false;

	if (!fixup)
		return false;
	/* With a spinlock held the copy ends here, and its caller tries again without. */
	if ((regs->rflags & RFLAGS_IF) && preempt_count() == 0) {
		arch_irq_enable();
		settled = fault_handle_kernel(addr, fault_access(regs->error));
		arch_irq_disable();
	}
	if (!settled)
		regs->rip = fixup->landing;
	return true;
}

void x86_trap_kernel(struct arch_regs *regs);
void x86_trap_kernel(struct arch_regs *regs)
{
	uint32_t vector = regs->vector & 0xff;
	uint64_t addr;

	if (likely(vector >= 32)) {
		interrupt(vector);
		if (regs->rflags & RFLAGS_IF)
			sched_preempt_irq();
		return;
	}
	addr = x86_read_cr2();
	if (vector == VECTOR_PF) {
		if (kernel_page_fault(regs, addr))
			return;
		panic_regs(regs, "kernel page fault at %016llx, error %llx",
			   (unsigned long long)addr, (unsigned long long)regs->error);
	}
	if (vector == VECTOR_GP) {
		/* A user copy at a non-canonical address. */
		const struct fixup *fixup = find_fixup(regs->rip);

		if (fixup) {
			regs->rip = fixup->landing;
			return;
		}
	}
	panic_regs(regs, "kernel exception %u, error %llx", vector,
		   (unsigned long long)regs->error);
}

void x86_nmi(const struct arch_regs *regs)
{
	if (x86_stop_requested())
		arch_cpu_halt();
	log_line(LOG_WARNING, "NMI without a known reason at %016llx",
		 (unsigned long long)regs->rip);
}

/* On a stack of its own, interrupts disabled; the state of locks is unknown. */
void x86_trap_ist(struct arch_regs *regs);
void x86_trap_ist(struct arch_regs *regs)
{
	uint32_t vector = regs->vector & 0xff;

	switch (vector) {
	case VECTOR_NMI:
		if (x86_stop_requested())
			arch_cpu_halt();
		return;		/* nothing may be logged: the log's lock may be held here */
	case VECTOR_DB:
		/*
		 * A single step that began in ring 3: the program's flag, not the kernel's.
		 * Or an access of the kernel's to what the program watches.
		 */
		x86_write_dr6(0);
		regs->rflags &= ~(uint64_t)RFLAGS_TF;
		return;
	case VECTOR_DF:
		if (kstack_is_guard(x86_read_cr2()))
			panic_regs(regs, "kernel stack overflow");
		panic_regs(regs, "double fault");
	default:
		panic_regs(regs, "machine check");
	}
}
