/* SPDX-License-Identifier: MIT */
/*
 * Where a process begins.  edi: bootstrap handle; rsp: a stack of any size.
 *
 * init gives the first thread its block (rt/layout.h) at once; the kernel, which
 * starts init itself, gives just a stack.  So: if rsp does not lie in block 0, the
 * stack becomes the block in rt_first_block, whose guard page rt_begin unmaps.
 */
	.text
	.globl	_start
	.hidden	_start
	.type	_start, @function
_start:
	leaq	_start(%rip), %rax		/* base of the process: image address, 1 GiB down */
	andq	$-0x40000000, %rax
	leaq	0x01000000(%rax), %rax		/* RT_STACKS */
	movq	%rsp, %rcx
	subq	%rax, %rcx
	xorl	%esi, %esi
	cmpq	$0x8000, %rcx			/* RT_BLOCK; rsp == end of block cannot be */
	jb	1f
	leaq	rt_first_block+0x7000(%rip), %rsp	/* RT_FRAME */
	leaq	rt_first_block(%rip), %rsi
1:
	andq	$-16, %rsp
	xorl	%ebp, %ebp
	call	rt_begin
	ud2
	.size	_start, . - _start

	.section .bss.rt_first_block, "aw", @nobits
	.balign	0x8000
	.hidden	rt_first_block
rt_first_block:
	.zero	0x8000

	.section .note.GNU-stack, "", @progbits
