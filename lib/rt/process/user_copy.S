/* SPDX-License-Identifier: MIT */
/*
 * The only instructions of a personality process that touch program memory.
 *
 * No routine uses the stack; rcx always holds the number of bytes that are
 * still to be done.  A fault that the kernel cannot settle continues
 *
 *   in the words part (rt_uc_words .. rt_uc_bytes) of copy and clear at the bytes part,
 *	which goes on one by one to the exact byte,
 *   in the bytes part, and in string, at rt_uc_short, which returns rcx,
 *   in the single accesses (rt_uc_single ..) at rt_uc_fail, which returns -1.
 *
 * copy: rdi to, rsi from, rdx count.  clear: rdi to, rsi 0, rdx count.
 */
	.macro function name
	.globl	\name
	.hidden	\name
	.type	\name, @function
\name:
	.endm

	.section .text.rt_user, "ax", @progbits

	.globl	rt_uc_copy_words, rt_uc_copy_bytes, rt_uc_clear_words, rt_uc_clear_bytes
	.globl	rt_uc_string_bytes, rt_uc_single, rt_uc_end, rt_uc_short, rt_uc_fail
	.hidden	rt_uc_copy_words, rt_uc_copy_bytes, rt_uc_clear_words, rt_uc_clear_bytes
	.hidden	rt_uc_string_bytes, rt_uc_single, rt_uc_end, rt_uc_short, rt_uc_fail

function rt_uc_copy
	movq	%rdx, %rcx
rt_uc_copy_words:
	cmpq	$32, %rcx
	jb	2f
1:	movq	(%rsi), %rax
	movq	8(%rsi), %rdx
	movq	16(%rsi), %r8
	movq	24(%rsi), %r9
	movq	%rax, (%rdi)
	movq	%rdx, 8(%rdi)
	movq	%r8, 16(%rdi)
	movq	%r9, 24(%rdi)
	addq	$32, %rsi
	addq	$32, %rdi
	subq	$32, %rcx
	cmpq	$32, %rcx
	jae	1b
2:	cmpq	$8, %rcx
	jb	3f
	movq	(%rsi), %rax
	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	subq	$8, %rcx
	jmp	2b
3:	cmpq	$4, %rcx		/* words that other CPUs read at once are one store */
	jb	rt_uc_copy_bytes
	movl	(%rsi), %eax
	movl	%eax, (%rdi)
	addq	$4, %rsi
	addq	$4, %rdi
	subq	$4, %rcx
rt_uc_copy_bytes:
	testq	%rcx, %rcx
	jz	rt_uc_short
1:	movb	(%rsi), %al
	movb	%al, (%rdi)
	incq	%rsi
	incq	%rdi
	decq	%rcx
	jnz	1b
	jmp	rt_uc_short

function rt_uc_clear
	movq	%rdx, %rcx
rt_uc_clear_words:
	cmpq	$8, %rcx
	jb	rt_uc_clear_bytes
	movq	$0, (%rdi)
	addq	$8, %rdi
	subq	$8, %rcx
	jmp	rt_uc_clear_words
rt_uc_clear_bytes:
	testq	%rcx, %rcx
	jz	rt_uc_short
1:	movb	$0, (%rdi)
	incq	%rdi
	decq	%rcx
	jnz	1b
	jmp	rt_uc_short

/*
 * String of at most rdx bytes, from rsi to rdi, up to and with its NUL.  An aligned
 * word lies in one page, so where its load faults, its first byte would too.
 */
function rt_uc_string
	movq	%rdx, %rcx
rt_uc_string_bytes:
	testq	%rcx, %rcx
	jz	rt_uc_short
	testb	$7, %sil
	jnz	2f
	cmpq	$8, %rcx
	jb	2f
	movabsq	$0x0101010101010101, %r8
	movabsq	$0x8080808080808080, %r9
1:	movq	(%rsi), %rax
	movq	%rax, %rdx
	movq	%rax, %r10
	subq	%r8, %rdx
	notq	%r10
	andq	%r10, %rdx
	testq	%r9, %rdx		/* some byte is zero */
	jnz	2f
	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	subq	$8, %rcx
	cmpq	$8, %rcx
	jae	1b
	jmp	rt_uc_string_bytes
2:	movb	(%rsi), %al
	movb	%al, (%rdi)
	decq	%rcx
	testb	%al, %al
	jz	rt_uc_short
	incq	%rsi
	incq	%rdi
	testb	$7, %sil
	jz	rt_uc_string_bytes
	testq	%rcx, %rcx
	jnz	2b
	jmp	rt_uc_short

/* Single accesses: 0, or -1 after a fault. */
rt_uc_single:
/* rdi: program address, esi expected, edx desired, rcx: where to put what was there */
function rt_uc_cmpxchg_u32
	movl	%esi, %eax
	lock cmpxchgl %edx, (%rdi)
	movl	%eax, (%rcx)
	xorl	%eax, %eax
	ret
rt_uc_end:

rt_uc_short:
	movq	%rcx, %rax
	ret
rt_uc_fail:
	movq	$-1, %rax
	ret

	.section .note.GNU-stack, "", @progbits
