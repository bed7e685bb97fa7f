/* SPDX-License-Identifier: MIT */
/*
 * Where the other processors start: real mode, at TRAMPOLINE_ADDRESS, where this code
 * was copied to.  All run it at the same time, so it writes nothing.  Behind the
 * code lies struct trampoline_data (smp.c):
 *
 *	root (4 bytes), pad, entry (8), stacks (8 for each CPU number), APIC numbers (4 each)
 */
#include "asm_offsets.h"

#define AT(label)	(TRAMPOLINE_ADDRESS + (label) - x86_trampoline)

	.section .rodata
	.globl	x86_trampoline, x86_trampoline_end
	.code16
x86_trampoline:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	(gdt_pointer - x86_trampoline)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$8, $AT(protected)

	.code32
protected:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movl	AT(x86_trampoline_end), %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x900, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$0x9fffffff, %eax		/* caches on */
	orl	$0x80010001, %eax
	movl	%eax, %cr0
	ljmp	$0x18, $AT(long_mode)

	.code64
long_mode:
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movl	%ebx, %edi			/* APIC number */
	movl	$AT(x86_trampoline_end), %esi
	xorl	%ecx, %ecx
1:	incl	%ecx
	cmpl	$64, %ecx
	je	2f
	cmpl	%edi, (16 + 8 * 64)(%rsi,%rcx,4)
	jne	1b
	movq	16(%rsi,%rcx,8), %rsp
	testq	%rsp, %rsp
	jz	2f
	movl	%ecx, %edi			/* CPU number */
	xorl	%ebp, %ebp
	pushq	%rbp
	movq	8(%rsi), %rax
	pushq	%rbp
	jmp	*%rax
2:	hlt
	jmp	2b

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00af9b000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	AT(gdt)
	.balign	8
x86_trampoline_end:

	.section .note.GNU-stack, "", @progbits
