/* SPDX-License-Identifier: MIT */
/*
 * Ways into the kernel and out of it.
 *
 * Ring 3 runs two kinds of code.  While a program runs inside user_run(),
 * cpu->frame points to where its registers go, and cpu->tss.rsp[0] to the stack
 * of the user_run() call; its system call returns from that call.  Otherwise
 * ring 3 is a component's own code, cpu->frame is 0, tss.rsp[0] the top of the
 * thread's stack, and a system call is a kernel call.
 *
 * The GS base is the kernel's exactly while in the kernel.  Entries that can hit
 * the few instructions where that is not so (NMI, machine check, debug and
 * double fault) have stacks of their own (IST) and look at the MSR.
 *
 * An entry through the IDT builds a struct arch_regs:
 *
 *	rsp ->	r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi
 *		vector error
 *		rip cs rflags rsp ss			(by the processor)
 */
#include "asm_offsets.h"

	.text

/* A no-operation that becomes clac where the processor has SMAP (cpu.c patches the sites). */
.macro CLAC
661:	.byte 0x0f, 0x1f, 0x00
	.pushsection .smap_sites, "a"
	.quad 661b
	.quad 0xca
	.popsection
.endm

.macro PUSH_REGS
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm
.macro POP_REGS
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
.endm

/* Add the cycles since the thread's stamp to a counter and stamp anew.
 * In: thread in \thread (not rax, rdx).  Destroys rax, rdx and \tmp. */
.macro ACCOUNT thread, counter, tmp
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, \tmp
	subq	THREAD_STAMP(\thread), %rax
	movq	\tmp, THREAD_STAMP(\thread)
	addq	%rax, \counter(\thread)
.endm

/*
 * k_status_t user_run(struct k_user_frame *frame)
 *
 * rdi: frame.  It may be shared with a process: each field is read once, and whatever
 * is read may have any value.  Returns by x86_user_leave or the system call entry, with the
 * callee-saved registers that are on the stack here:
 *	rsp ->	r15 r14 r13 r12 rbx rbp return-address
 */
	.globl	user_run
	.type	user_run, @function
user_run:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%gs:CPU_CURRENT, %rsi
	cli
	cmpl	$0, THREAD_PENDING(%rsi)
	jne	.Lrun_pending
	movq	FRAME_FS_BASE(%rdi), %rcx
	cmpq	%rcx, THREAD_FS_BASE(%rsi)
	jne	.Lrun_bases
	movq	FRAME_GS_BASE(%rdi), %rcx
	cmpq	%rcx, THREAD_GS_BASE(%rsi)
	jne	.Lrun_bases
.Lrun_bases_loaded:
	cmpq	%rsi, %gs:CPU_FPU_OWNER
	jne	.Lrun_fpu
.Lrun_fpu_loaded:
	movq	FRAME_RIP(%rdi), %rcx
	movq	%rcx, %rax
	shrq	$47, %rax
	jnz	.Lrun_bad_rip
	movq	%rsp, %gs:CPU_RSP0
	movq	%rdi, %gs:CPU_FRAME
	ACCOUNT	%rsi, THREAD_SYSTEM_CYCLES, %r8

	movq	FRAME_RFLAGS(%rdi), %r11
	andl	$RFLAGS_USER, %r11d
	orl	$RFLAGS_FIXED, %r11d
	movq	FRAME_R15(%rdi), %r15
	movq	FRAME_R14(%rdi), %r14
	movq	FRAME_R13(%rdi), %r13
	movq	FRAME_R12(%rdi), %r12
	movq	FRAME_RBP(%rdi), %rbp
	movq	FRAME_RBX(%rdi), %rbx
	movq	FRAME_R10(%rdi), %r10
	movq	FRAME_R9(%rdi), %r9
	movq	FRAME_R8(%rdi), %r8
	movq	FRAME_RDX(%rdi), %rdx
	movq	FRAME_RSI(%rdi), %rsi
	testl	$FRAME_FLAG_SYSCALL_REGS, FRAME_FLAGS(%rdi)
	jz	.Lrun_iret
	testl	$(RFLAGS_TF | RFLAGS_RF), %r11d
	jnz	.Lrun_iret
	movq	FRAME_RAX(%rdi), %rax
	movq	FRAME_RSP(%rdi), %rsp
	movq	FRAME_RDI(%rdi), %rdi
	swapgs
	sysretq

.Lrun_iret:
	pushq	$SEL_USER_DS
	pushq	FRAME_RSP(%rdi)
	pushq	%r11
	pushq	$SEL_USER_CS
	pushq	%rcx
	movq	FRAME_R11(%rdi), %r11
	movq	FRAME_RCX(%rdi), %rcx
	movq	FRAME_RAX(%rdi), %rax
	movq	FRAME_RDI(%rdi), %rdi
	swapgs
	iretq

.Lrun_fpu:
	pushq	%rdi
	call	x86_fpu_load
	popq	%rdi
	movq	%gs:CPU_CURRENT, %rsi
	jmp	.Lrun_fpu_loaded
.Lrun_bases:
	pushq	%rdi
	call	x86_load_bases		/* 0, or BAD_ARGUMENT */
	popq	%rdi
	movq	%gs:CPU_CURRENT, %rsi
	testl	%eax, %eax
	jz	.Lrun_bases_loaded
	jmp	.Lrun_return
.Lrun_bad_rip:
	pushq	%rdi
	call	x86_run_bad_rip
	popq	%rdi
	jmp	.Lrun_return
.Lrun_pending:
	pushq	%rdi
	call	x86_run_pending		/* does not return if the thread is killed */
	popq	%rdi
.Lrun_return:
	sti
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	user_run, . - user_run

/* void x86_user_leave(k_status_t status): interrupts disabled; abandons the stack below
 * the user_run() call. */
	.globl	x86_user_leave
x86_user_leave:
	movl	%edi, %eax
	movq	%gs:CPU_RSP0, %rsp
	jmp	.Lrun_return

/*
 * SYSCALL.  rcx: next instruction, r11: rflags, rax: number; stack and GS are
 * still the user's.  SFMASK has cleared IF, DF, TF, AC and NT.
 */
	.globl	x86_syscall_entry
	.balign	64
x86_syscall_entry:
	swapgs
	movq	%rsp, %gs:CPU_SCRATCH
	movq	%gs:CPU_FRAME, %rsp
	testq	%rsp, %rsp
	jz	.Lkernel_call
	movq	%r15, FRAME_R15(%rsp)
	movq	%r14, FRAME_R14(%rsp)
	movq	%r13, FRAME_R13(%rsp)
	movq	%r12, FRAME_R12(%rsp)
	movq	%rbp, FRAME_RBP(%rsp)
	movq	%rbx, FRAME_RBX(%rsp)
	movq	%r11, FRAME_R11(%rsp)
	movq	%r10, FRAME_R10(%rsp)
	movq	%r9, FRAME_R9(%rsp)
	movq	%r8, FRAME_R8(%rsp)
	movq	%rax, FRAME_RAX(%rsp)
	movq	%rcx, FRAME_RCX(%rsp)
	movq	%rdx, FRAME_RDX(%rsp)
	movq	%rsi, FRAME_RSI(%rsp)
	movq	%rdi, FRAME_RDI(%rsp)
	movq	%rax, FRAME_ORIG_RAX(%rsp)
	movq	%rcx, FRAME_RIP(%rsp)
	movq	%r11, FRAME_RFLAGS(%rsp)
	movq	%gs:CPU_SCRATCH, %rcx
	movq	%rcx, FRAME_RSP(%rsp)
	movl	$USER_SYSCALL, FRAME_REASON(%rsp)
	movq	%gs:CPU_CURRENT, %rsi
	movq	%gs:CPU_RSP0, %rsp
	ACCOUNT	%rsi, THREAD_USER_CYCLES, %r8
	xorl	%eax, %eax
	jmp	.Lrun_return

.Lkernel_call:
	movq	%gs:CPU_RSP0, %rsp
	pushq	$SEL_USER_DS
	pushq	%gs:CPU_SCRATCH
	pushq	%r11
	pushq	$SEL_USER_CS
	pushq	%rcx
	pushq	$0
	pushq	$-1
	PUSH_REGS
	movq	%gs:CPU_CURRENT, %rsi
	ACCOUNT	%rsi, THREAD_USER_CYCLES, %r8
	sti
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	call	x86_kernel_call		/* returns with interrupts disabled, ready to leave */
	movq	%gs:CPU_CURRENT, %rsi
	ACCOUNT	%rsi, THREAD_SYSTEM_CYCLES, %r8
	POP_REGS
	/* rip rflags rsp are at 16, 32, 40 */
	movq	16(%rsp), %rcx
	movq	32(%rsp), %r11
	movq	40(%rsp), %rsp
	swapgs
	sysretq

/*
 * The IDT's stubs: 16 bytes each, by vector.  Vectors with an error code of the
 * processor's: 8, 10-14, 17, 21, 29, 30.
 */
	.globl	x86_vector_stubs
	.balign	16
x86_vector_stubs:
.set vector, 0
.rept 256
	.balign	16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq	$0
	.endif
	.if vector < 128
	pushq	$vector
	.else
	pushq	$(vector - 256)		/* a byte; x86_trap() takes the low 8 bits */
	.endif
	.if vector == 1 || vector == 2 || vector == 8 || vector == 18
	jmp	x86_entry_ist
	.else
	jmp	x86_entry
	.endif
.set vector, vector + 1
.endr

	.balign	64
x86_entry:
	cld
	CLAC
	testb	$3, 24(%rsp)
	jz	.Lfrom_kernel
	swapgs
.Lfrom_user:
	PUSH_REGS
	movq	%gs:CPU_CURRENT, %rsi
	ACCOUNT	%rsi, THREAD_USER_CYCLES, %r8
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	call	x86_trap_user		/* returns with interrupts disabled, ready to leave */
x86_leave_regs:
	movq	%gs:CPU_CURRENT, %rsi
	ACCOUNT	%rsi, THREAD_SYSTEM_CYCLES, %r8
	POP_REGS
	addq	$16, %rsp
	swapgs
	iretq

.Lfrom_kernel:
	PUSH_REGS
	movq	%rsp, %rdi
	call	x86_trap_kernel
	POP_REGS
	addq	$16, %rsp
	iretq

/* void x86_enter_regs(struct arch_regs *regs): the top of the stack; interrupts disabled. */
	.globl	x86_enter_regs
x86_enter_regs:
	movq	%rdi, %rsp
	jmp	x86_leave_regs

/*
 * On an IST stack.  From ring 3: go over to the thread's stack and on as usual.
 * From the kernel: find out whose GS it is; rbx remembers to swap back.
 */
x86_entry_ist:
	cld
	CLAC
	testb	$3, 24(%rsp)
	jz	.List_kernel
	swapgs
	movq	%rax, %gs:CPU_SCRATCH		/* free: it is only used inside the kernel */
	movq	%gs:CPU_RSP0, %rax
	andq	$-16, %rax
	.set	i, 0
	.rept	7				/* ss rsp rflags cs rip error vector */
	pushq	(48 - 8 * i)(%rsp)
	popq	(-8 * (i + 1))(%rax)
	.set	i, i + 1
	.endr
	leaq	-56(%rax), %rsp
	movq	%gs:CPU_SCRATCH, %rax
	jmp	.Lfrom_user
.List_kernel:
	PUSH_REGS
	xorl	%ebx, %ebx
	movl	$0xc0000101, %ecx
	rdmsr
	testl	%edx, %edx
	js	1f			/* a kernel address: ours already */
	swapgs
	incl	%ebx
1:	movq	%rsp, %rdi
	call	x86_trap_ist
	testl	%ebx, %ebx
	jz	2f
	swapgs
2:	POP_REGS
	addq	$16, %rsp
	iretq

/*
 * struct thread *x86_switch_stacks(struct thread *prev, struct thread *next)
 * A stack at rest:  rsp -> r15 r14 r13 r12 rbx rbp return-address
 */
	.globl	x86_switch_stacks
	.type	x86_switch_stacks, @function
x86_switch_stacks:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, THREAD_RSP(%rdi)
	movq	THREAD_RSP(%rsi), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	movq	%rdi, %rax
	ret
	.size	x86_switch_stacks, . - x86_switch_stacks

/* First time of a thread: rax: previous thread, r12: function, r13: its argument. */
	.globl	x86_thread_start
x86_thread_start:
	movq	%rax, %rdi
	call	sched_finish_switch
	sti
	movq	%r13, %rdi
	call	*%r12
	call	thread_exit
	ud2

	.section .note.GNU-stack, "", @progbits
