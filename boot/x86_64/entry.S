/* SPDX-License-Identifier: MIT */
/*
 * Where a loader enters the kernel.
 *
 *   boot_pvh	PVH: 32-bit protected mode without paging, ebx: struct hvm_start_info
 *   boot_linux	64-bit Linux protocol: long mode on the loader's identity map,
 *		rsi: struct boot_params.  The ELF entry.
 *
 * Both load page tables that map the first GiB three times: where it is, at the
 * direct map, and at the kernel image's address, all writable and executable;
 * arch/x86_64/mmu.c replaces them soon.  Then fits.c looks whether the image is whole,
 * and x86_start(protocol, info) goes on, on the boot stack.  This file is linked at its
 * physical address.
 */
	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 4, 18			/* name and descriptor size, PHYS32_ENTRY */
	.asciz	"Xen"
	.long	boot_pvh

	.section .boot.text, "ax", @progbits
	.code32
	.globl	boot_pvh
boot_pvh:
	cli
	cld
	movl	$boot_pml4, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x20, %eax			/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x900, %eax			/* LME, NXE */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80010001, %eax		/* PG, WP, PE */
	movl	%eax, %cr0
	lgdt	boot_gdt_pointer
	movl	%ebx, %esi
	movl	$0, %edi			/* protocol 0: PVH */
	ljmp	$8, $boot_long

	.code64
	.globl	boot_linux
boot_linux:
	cli
	cld
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x800, %eax			/* NXE */
	wrmsr
	leaq	boot_pml4(%rip), %rax
	movq	%rax, %cr3
	movl	$1, %edi			/* protocol 1: Linux */
	lgdt	boot_gdt_pointer(%rip)
boot_long:
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movq	$boot_first_stack_top, %rsp	/* the image's data may not be there */
	movl	%edi, %ebx
	movq	%rsi, %rbp
	call	boot_check_image
	movl	%ebx, %edi
	movq	%rbp, %rsi
	movq	$boot_stack_top, %rsp
	xorl	%ebp, %ebp
	pushq	%rbp
	movq	$x86_start, %rax
	pushq	%rbp				/* a return address of 0 ends backtraces */
	jmp	*%rax

	.section .boot.data, "aw", @progbits
	.balign	8
boot_gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
boot_gdt_pointer:
	.word	. - boot_gdt - 1
	.quad	boot_gdt

	.balign	16
	.fill	2048, 1, 0
boot_first_stack_top:

	.balign	4096
	.globl	boot_pml4
boot_pml4:
	.quad	boot_pdpt_low + 3
	.fill	255, 8, 0
	.quad	boot_pdpt_low + 3
	.fill	254, 8, 0
	.quad	boot_pdpt_high + 3
boot_pdpt_low:
	.quad	boot_pd + 3
	.fill	511, 8, 0
boot_pdpt_high:
	.fill	510, 8, 0
	.quad	boot_pd + 3
	.quad	0
boot_pd:
	.set	page, 0
	.rept	512
	.quad	page + 0x83
	.set	page, page + 0x200000
	.endr

	.section .note.GNU-stack, "", @progbits
