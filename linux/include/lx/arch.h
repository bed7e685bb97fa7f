/* SPDX-License-Identifier: MIT */
/*
 * What depends on the processor of the programs: where a system call's number,
 * arguments and result are in the frame.
 */
#pragma once

#include "abi/types.h"

#if defined(__x86_64__)

#define LX_ARG0(f)	((f)->rdi)
#define LX_ARG1(f)	((f)->rsi)
#define LX_ARG2(f)	((f)->rdx)
#define LX_ARG3(f)	((f)->r10)
#define LX_ARG4(f)	((f)->r8)
#define LX_ARG5(f)	((f)->r9)

#define LX_SYSCALL_NR(f)	((f)->orig_rax)
/* As an index: Linux looks at the lower half of the register. */
#define LX_SYSCALL_INDEX(f)	((uint32_t)(f)->orig_rax)
#define LX_RESULT(f)		((f)->rax)
#define LX_PC(f)		((f)->rip)
#define LX_SP(f)		((f)->rsp)
#define LX_SYSCALL_INSN		2	/* bytes of SYSCALL: what a restart goes back */

#define LX_AUDIT_ARCH		0xc000003eu	/* AUDIT_ARCH_X86_64 */
#define LX_MACHINE		"x86_64"

#else
#error "no such architecture yet"
#endif
