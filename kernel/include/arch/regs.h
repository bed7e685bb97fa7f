/* SPDX-License-Identifier: MIT */
/*
 * What an interrupted program's registers were (struct arch_regs), for whoever reports them.
 */
#pragma once

struct arch_regs;
struct fault_report;

/* Fill the registers of @report (kernel/process.h), in the order of struct k_process_info. */
void arch_regs_report(const struct arch_regs *regs, struct fault_report *report);
