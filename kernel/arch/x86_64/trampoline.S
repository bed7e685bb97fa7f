/* SPDX-License-Identifier: MIT */
/*
 * Where another processor starts: real mode, at a page below 1 MiB that this code
 * was copied to (cs = page << 8).  Position independent within the page.  Behind the
 * code lies struct trampoline_data (smp.c):
 *
 *	root (4 bytes), pad, entry (8), stacks (8 for each CPU number), APIC numbers (4 each)
 */
#define DATA(x)		(x86_trampoline_end - x86_trampoline + (x))

	.section .rodata
	.globl	x86_trampoline, x86_trampoline_end
	.code16
x86_trampoline:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	xorl	%ebx, %ebx
	movw	%ax, %bx
	shll	$4, %ebx			/* ebx: linear address of this page */
	leal	(gdt - x86_trampoline)(%ebx), %eax
	movl	%eax, (gdt_pointer + 2 - x86_trampoline)
	leal	(protected - x86_trampoline)(%ebx), %eax
	movl	%eax, (far_pointer - x86_trampoline)
	lgdtl	(gdt_pointer - x86_trampoline)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	*(far_pointer - x86_trampoline)

	.code32
protected:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movl	DATA(0)(%ebx), %eax
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
	leal	(long_mode - x86_trampoline)(%ebx), %eax
	movl	%eax, (far_pointer - x86_trampoline)(%ebx)
	movw	$0x18, (far_pointer + 4 - x86_trampoline)(%ebx)
	ljmp	*(far_pointer - x86_trampoline)(%ebx)

	.code64
long_mode:
	movl	%ebx, %r8d
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movl	%ebx, %edi			/* APIC number */
	leaq	(x86_trampoline_end - x86_trampoline)(%r8), %rsi
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
	.long	0
far_pointer:
	.long	0
	.word	8
	.balign	8
x86_trampoline_end:

	.section .note.GNU-stack, "", @progbits
