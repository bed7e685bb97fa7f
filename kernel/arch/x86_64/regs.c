/* SPDX-License-Identifier: MIT */
#include "arch/regs.h"

#include "arch/thread.h"
#include "base/string.h"
#include "kernel/process.h"

void arch_regs_report(const struct arch_regs *r, struct fault_report *report)
{
	const uint64_t regs[16] = {
		r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->rsp,
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
	};

	memcpy(report->regs, regs, sizeof(regs));
	report->rip = r->rip;
	report->rsp = r->rsp;
}
