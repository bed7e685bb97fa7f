/* SPDX-License-Identifier: MIT */
/*
 * Offsets that assembly uses; offsets.c asserts that they are right.
 */
#pragma once

/* struct cpu */
#define CPU_CURRENT		8
#define CPU_SCRATCH		24
#define CPU_FRAME		32
#define CPU_FPU_OWNER		40
#define CPU_RSP0		64

/* struct thread */
#define THREAD_RSP		0
#define THREAD_FS_BASE		8
#define THREAD_GS_BASE		16
#define THREAD_STAMP		40
#define THREAD_USER_CYCLES	48
#define THREAD_SYSTEM_CYCLES	56

#define THREAD_PENDING		136

/* struct k_user_frame */
#define FRAME_R15		0
#define FRAME_R14		8
#define FRAME_R13		16
#define FRAME_R12		24
#define FRAME_RBP		32
#define FRAME_RBX		40
#define FRAME_R11		48
#define FRAME_R10		56
#define FRAME_R9		64
#define FRAME_R8		72
#define FRAME_RAX		80
#define FRAME_RCX		88
#define FRAME_RDX		96
#define FRAME_RSI		104
#define FRAME_RDI		112
#define FRAME_ORIG_RAX		120
#define FRAME_RIP		128
#define FRAME_CS		136
#define FRAME_RFLAGS		144
#define FRAME_RSP		152
#define FRAME_SS		160
#define FRAME_FS_BASE		168
#define FRAME_GS_BASE		176
#define FRAME_REASON		184
#define FRAME_FLAGS		232

/* struct arch_regs */
#define REGS_VECTOR		120
#define REGS_RIP		136
#define REGS_CS			144
#define REGS_RSP		160

#define SEL_KERNEL_CS		0x10
#define SEL_KERNEL_DS		0x18
#define SEL_USER_CS32		0x23
#define SEL_USER_DS		0x2b
#define SEL_USER_CS		0x33
#define SEL_TSS			0x40

#define RFLAGS_TF		0x100
#define RFLAGS_IF		0x200
#define RFLAGS_DF		0x400
#define RFLAGS_RF		0x10000
#define RFLAGS_AC		0x40000
/* CF PF AF ZF SF TF DF OF NT? no; RF AC ID: what a program may choose. */
#define RFLAGS_USER		0x250dd5
#define RFLAGS_FIXED		0x202		/* IF and the bit that is always one */

#define USER_SYSCALL		1		/* K_USER_SYSCALL */
#define FRAME_FLAG_SYSCALL_REGS	1		/* K_FRAME_SYSCALL_REGS */

#define TRAMPOLINE_ADDRESS	0x8000		/* conventional memory that the allocator leaves alone */
