/* SPDX-License-Identifier: MIT */
/*
 * Copies that survive faults on the program's side (arch/ucopy.h).  Every
 * instruction that touches it has an entry in the exception table and lands
 * where the number of bytes left is returned.  Eight words at a time: under
 * emulation that beats the string instructions, elsewhere it is close to them.
 */
	.text

#define XSAVE_HEADER 512		/* XSTATE_BV, XCOMP_BV, six words that must be zero */

.macro SMAP_SITE byte
661:	.byte 0x0f, 0x1f, 0x00
	.pushsection .smap_sites, "a"
	.quad 661b
	.quad \byte
	.popsection
.endm
.macro CLAC
	SMAP_SITE 0xca
.endm
.macro STAC
	SMAP_SITE 0xcb
.endm
/* The instruction that follows may fault; go on at \to then. */
.macro FIXUP to
	.pushsection .fixups, "a"
	.quad 662f
	.quad \to
	.popsection
662:
.endm

/*
 * size_t copy(rdi: dst, rsi: src, rdx: n).  A fault in the big loop goes on byte by
 * byte from the start of the group of eight words, so that exactly what is
 * accessible is copied.  An aligned object of 1, 2, 4 or 8 bytes is one access:
 * other processors see it whole.
 */
.macro COPY name, load, store
	.globl	\name
	.type	\name, @function
\name:
	STAC
	movq	%rdx, %rcx
	shrq	$6, %rcx
	jz	2f
	.balign	16
1:
	.set	i, 0
	.rept	4
	.if \load
	FIXUP	3f
	.endif
	movq	i(%rsi), %rax
	.if \load
	FIXUP	3f
	.endif
	movq	(i + 8)(%rsi), %r8
	.if \store
	FIXUP	3f
	.endif
	movq	%rax, i(%rdi)
	.if \store
	FIXUP	3f
	.endif
	movq	%r8, (i + 8)(%rdi)
	.set	i, i + 16
	.endr
	addq	$64, %rsi
	addq	$64, %rdi
	subq	$64, %rdx
	decq	%rcx
	jnz	1b
2:	/* fewer than 64 left */
	movl	%edx, %ecx
	shrl	$3, %ecx
	jz	6f
4:
	.if \load
	FIXUP	3f
	.endif
	movq	(%rsi), %rax
	.if \store
	FIXUP	3f
	.endif
	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	subq	$8, %rdx
	decl	%ecx
	jnz	4b
6:	/* fewer than eight: aligned words of 4 and 2 bytes go in one access, too */
	.irp	part, 4, 2, 1
	testb	$\part, %dl
	jz	7f
	.if \load
	FIXUP	3f
	.endif
	.if \part == 4
	movl	(%rsi), %eax
	.elseif \part == 2
	movw	(%rsi), %ax
	.else
	movb	(%rsi), %al
	.endif
	.if \store
	FIXUP	3f
	.endif
	.if \part == 4
	movl	%eax, (%rdi)
	.elseif \part == 2
	movw	%ax, (%rdi)
	.else
	movb	%al, (%rdi)
	.endif
	.if \part != 1
	addq	$\part, %rsi
	addq	$\part, %rdi
	.endif
	subq	$\part, %rdx
7:
	.endr
	CLAC
	movq	%rdx, %rax
	ret

3:	/* something faulted: byte by byte, to the exact end of what is accessible */
	testq	%rdx, %rdx
	jz	9f
8:
	.if \load
	FIXUP	9f
	.endif
	movb	(%rsi), %al
	.if \store
	FIXUP	9f
	.endif
	movb	%al, (%rdi)
	incq	%rsi
	incq	%rdi
	decq	%rdx
	jnz	8b
9:
	CLAC
	movq	%rdx, %rax
	ret
	.size	\name, . - \name
.endm

	COPY	arch_copy_from_user, 1, 0
	COPY	arch_copy_to_user, 0, 1

/* size_t arch_clear_user(rdi: dst, rsi: n) */
	.globl	arch_clear_user
	.type	arch_clear_user, @function
arch_clear_user:
	STAC
	xorl	%eax, %eax
	movq	%rsi, %rcx
	shrq	$6, %rcx
	jz	2f
1:
	.set	i, 0
	.rept	8
	FIXUP	2f
	movq	%rax, i(%rdi)
	.set	i, i + 8
	.endr
	addq	$64, %rdi
	subq	$64, %rsi
	decq	%rcx
	jnz	1b
2:	testq	%rsi, %rsi
	jz	4f
3:	FIXUP	4f
	movb	%al, (%rdi)
	incq	%rdi
	decq	%rsi
	jnz	3b
4:	CLAC
	movq	%rsi, %rax
	ret
	.size	arch_clear_user, . - arch_clear_user

/* long arch_strncpy_from_user(rdi: dst, rsi: src, rdx: n, rcx: *done) */
	.globl	arch_strncpy_from_user
	.type	arch_strncpy_from_user, @function
arch_strncpy_from_user:
	STAC
	xorl	%r8d, %r8d
1:	cmpq	%rdx, %r8
	je	2f			/* n bytes without a NUL: the answer is n */
	FIXUP	3f
	movb	(%rsi,%r8), %al
	movb	%al, (%rdi,%r8)
	testb	%al, %al
	jz	2f
	incq	%r8
	jmp	1b
2:	CLAC
	movq	%r8, (%rcx)
	movq	%r8, %rax
	ret
3:	CLAC
	movq	%r8, (%rcx)
	movq	$-1, %rax
	ret
	.size	arch_strncpy_from_user, . - arch_strncpy_from_user

/* bool arch_load_user_u32(rdi: addr, rsi: *value) */
	.globl	arch_load_user_u32
	.type	arch_load_user_u32, @function
arch_load_user_u32:
	STAC
	FIXUP	1f
	movl	(%rdi), %eax
	CLAC
	movl	%eax, (%rsi)
	movl	$1, %eax
	ret
1:	CLAC
	xorl	%eax, %eax
	ret
	.size	arch_load_user_u32, . - arch_load_user_u32

/* bool arch_cmpxchg_user_u32(rdi: addr, esi: expected, edx: desired, rcx: *seen) */
	.globl	arch_cmpxchg_user_u32
	.type	arch_cmpxchg_user_u32, @function
arch_cmpxchg_user_u32:
	STAC
	movl	%esi, %eax
	FIXUP	1f
	lock cmpxchgl %edx, (%rdi)
	CLAC
	movl	%eax, (%rcx)
	movl	$1, %eax
	ret
1:	CLAC
	xorl	%eax, %eax
	ret
	.size	arch_cmpxchg_user_u32, . - arch_cmpxchg_user_u32

/* bool x86_xsave_user(rdi: addr): interrupts disabled, so that the registers stay the caller's */
	.globl	x86_xsave_user
	.type	x86_xsave_user, @function
x86_xsave_user:
	STAC
	xorl	%eax, %eax
	.set	i, 0
	.rept	8
	FIXUP	1f
	movq	%rax, (XSAVE_HEADER + i)(%rdi)
	.set	i, i + 8
	.endr
	movl	$-1, %eax
	movl	%eax, %edx
	FIXUP	1f
	xsave64	(%rdi)
	FIXUP	1f
	orl	$3, XSAVE_HEADER(%rdi)
	CLAC
	movl	$1, %eax
	ret
1:	CLAC
	xorl	%eax, %eax
	ret
	.size	x86_xsave_user, . - x86_xsave_user

/* bool x86_xrstor_user(rdi: addr): the same; false: the registers hold anything */
	.globl	x86_xrstor_user
	.type	x86_xrstor_user, @function
x86_xrstor_user:
	STAC
	movl	$-1, %eax
	movl	%eax, %edx
	FIXUP	1f
	xrstor64 (%rdi)
	CLAC
	movl	$1, %eax
	ret
1:	CLAC
	xorl	%eax, %eax
	ret
	.size	x86_xrstor_user, . - x86_xrstor_user

/* void arch_clear_page(rdi: page), void arch_copy_page(rdi: dst, rsi: src) */
	.globl	arch_clear_page
	.type	arch_clear_page, @function
arch_clear_page:
	xorl	%eax, %eax
	movl	$64, %ecx
1:
	.set	i, 0
	.rept	8
	movq	%rax, i(%rdi)
	.set	i, i + 8
	.endr
	addq	$64, %rdi
	decl	%ecx
	jnz	1b
	ret
	.size	arch_clear_page, . - arch_clear_page

	.globl	arch_copy_page
	.type	arch_copy_page, @function
arch_copy_page:
	movl	$64, %ecx
1:
	.set	i, 0
	.rept	4
	movq	i(%rsi), %rax
	movq	(i + 8)(%rsi), %rdx
	movq	%rax, i(%rdi)
	movq	%rdx, (i + 8)(%rdi)
	.set	i, i + 16
	.endr
	addq	$64, %rsi
	addq	$64, %rdi
	decl	%ecx
	jnz	1b
	ret
	.size	arch_copy_page, . - arch_copy_page

	.section .note.GNU-stack, "", @progbits
