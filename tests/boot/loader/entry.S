/* SPDX-License-Identifier: MIT */
/*
 * From PVH's 32-bit entry to C in long mode, and from there to the kernel.
 *
 * At `start`: ebx is the address of the PVH start information, paging is off,
 * segments are flat.  The first 4 GiB are mapped at their own addresses by 2 MiB
 * pages before C runs, as the 64-bit Linux boot protocol wants them for the kernel.
 */

	.section .note.pvh, "a", @note
	.balign	4
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start

	.section .text, "ax"
	.code32
	.globl	start
start:
	cld
	movl	%ebx, %ebp

	/* Four page directories, one pointer table, one root. */
	movl	$directories, %edi
	movl	$0x83, %eax		/* present, writable, 2 MiB */
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$pointers, %edi
	movl	$directories + 3, %eax
	movl	$4, %ecx
2:	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	loop	2b
	movl	$pointers + 3, root

	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$root, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER: long mode */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$0x10, $long_mode

	.code64
long_mode:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	leaq	stack_end(%rip), %rsp
	movl	%ebp, %edi
	call	load
	ud2

/* void enter(uint64_t entry, void *boot_params): as the protocol says, rsi and nothing else. */
	.globl	enter
enter:
	movq	%rdi, %rax
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	cli
	jmp	*%rax

	.section .rodata
	.balign	8
gdt:	.quad	0, 0
	.quad	0x00af9b000000ffff	/* 0x10: 64-bit code */
	.quad	0x00cf93000000ffff	/* 0x18: data */
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.quad	gdt

	.section .bss
	.balign	4096
root:		.skip	4096
pointers:	.skip	4096
directories:	.skip	4 * 4096
stack:		.skip	16384
stack_end:

	.section .note.GNU-stack, "", @progbits
