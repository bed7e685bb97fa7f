/* SPDX-License-Identifier: MIT */
/*
 * The compiler's word on asm_offsets.h; no code.
 */
#include "asm_offsets.h"

#include <stddef.h>

#include "kernel/percpu.h"
#include "kernel/thread.h"

#define CHECK(constant, type, member) \
	_Static_assert((constant) == offsetof(type, member), #constant " is wrong")

CHECK(CPU_CURRENT, struct cpu, current);
CHECK(CPU_SCRATCH, struct cpu, arch.scratch);
CHECK(CPU_FRAME, struct cpu, arch.frame);
CHECK(CPU_FPU_OWNER, struct cpu, arch.fpu_owner);
CHECK(CPU_RSP0, struct cpu, arch.tss.rsp);
CHECK(THREAD_RSP, struct thread, arch.rsp);
CHECK(THREAD_FS_BASE, struct thread, arch.fs_base);
CHECK(THREAD_GS_BASE, struct thread, arch.gs_base);
CHECK(THREAD_STAMP, struct thread, arch.stamp);
CHECK(THREAD_USER_CYCLES, struct thread, arch.user_cycles);
CHECK(THREAD_SYSTEM_CYCLES, struct thread, arch.system_cycles);
CHECK(THREAD_PENDING, struct thread, pending);
CHECK(FRAME_R15, struct k_user_frame, r15);
CHECK(FRAME_RBX, struct k_user_frame, rbx);
CHECK(FRAME_R8, struct k_user_frame, r8);
CHECK(FRAME_RAX, struct k_user_frame, rax);
CHECK(FRAME_RDI, struct k_user_frame, rdi);
CHECK(FRAME_ORIG_RAX, struct k_user_frame, orig_rax);
CHECK(FRAME_RIP, struct k_user_frame, rip);
CHECK(FRAME_CS, struct k_user_frame, cs);
CHECK(FRAME_RFLAGS, struct k_user_frame, rflags);
CHECK(FRAME_RSP, struct k_user_frame, rsp);
CHECK(FRAME_SS, struct k_user_frame, ss);
CHECK(FRAME_FS_BASE, struct k_user_frame, fs_base);
CHECK(FRAME_GS_BASE, struct k_user_frame, gs_base);
CHECK(FRAME_REASON, struct k_user_frame, reason);
CHECK(FRAME_FLAGS, struct k_user_frame, flags);
CHECK(REGS_VECTOR, struct arch_regs, vector);
CHECK(REGS_RIP, struct arch_regs, rip);
CHECK(REGS_CS, struct arch_regs, cs);
CHECK(REGS_RSP, struct arch_regs, rsp);
_Static_assert(USER_SYSCALL == K_USER_SYSCALL, "");
_Static_assert(FRAME_FLAG_SYSCALL_REGS == K_FRAME_SYSCALL_REGS, "");
