/* SPDX-License-Identifier: MIT */
/*
 * Small programs for the self-tests, in machine code.
 */
#pragma once

/* 1: syscall; jmp 1b */
#define TEST_CODE_SYSCALL_LOOP	{ 0x0f, 0x05, 0xeb, 0xfc }

/* movq $1, (%rdi); syscall */
#define TEST_CODE_STORE_TO_RDI	{ 0x48, 0xc7, 0x07, 0x01, 0x00, 0x00, 0x00, 0x0f, 0x05 }

/* ud2; nop; nop */
#define TEST_CODE_UNDEFINED	{ 0x0f, 0x0b, 0x90, 0x90 }
#define TEST_CODE_NOP_OFFSET	2
#define TEST_VECTOR_UNDEFINED	6
#define TEST_VECTOR_STEP	1
#define TEST_FLAG_STEP		0x100

/* 1: jmp 1b */
#define TEST_CODE_ENDLESS	{ 0xeb, 0xfe }

/* movq %rax, %xmm7; syscall; movq %xmm7, %rdi; syscall */
#define TEST_CODE_FPU_LOAD_CALL_STORE \
	{ 0x66, 0x48, 0x0f, 0x6e, 0xf8, 0x0f, 0x05, 0x66, 0x48, 0x0f, 0x7e, 0xff, 0x0f, 0x05 }
#define TEST_CODE_FPU_STORE_OFFSET 7
#define TEST_XSAVE_REGISTER	(160 + 7 * 16)	/* xmm7 */
