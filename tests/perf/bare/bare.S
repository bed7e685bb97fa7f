/* SPDX-License-Identifier: MIT */
/*
 * The least that QEMU can boot: a PVH program that prints one line on the serial
 * port.  Its time from the start of QEMU is what any kernel pays before its first
 * instruction, and what the boot rows subtract.
 *
 * PVH enters in 32-bit mode with paging off and flat segments.
 */

	.section .note.pvh, "a", @note
	.balign	4
	.long	4			/* length of the name */
	.long	4			/* length of the value */
	.long	18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start

	.section .text, "ax"
	.code32
	.globl	start
start:
	movl	$line, %esi
	movl	$line_end - line, %ecx
	movw	$0x3f8, %dx
	cld
	rep outsb
	movb	$0, %al			/* isa-debug-exit: QEMU ends with status 1 */
	movw	$0xf4, %dx
	outb	%al, %dx
1:	hlt
	jmp	1b

line:	.ascii	"perf: bare program runs\n"
line_end:

	.section .note.GNU-stack, "", @progbits
