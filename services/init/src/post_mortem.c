/* SPDX-License-Identifier: MIT */
#include "base/format.h"
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"

static void log_registers(const struct k_process_info *i)
{
	static const char *const names[16] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

	for (int r = 0; r < 16; r += 4)
		rt_log(RT_LOG_ERR, "  %-3s %016lx  %-3s %016lx  %-3s %016lx  %-3s %016lx", names[r],
		       i->fault_regs[r], names[r + 1], i->fault_regs[r + 1], names[r + 2],
		       i->fault_regs[r + 2], names[r + 3], i->fault_regs[r + 3]);
}

static void log_trace(const struct k_process_info *i)
{
	char line[400];
	int n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(i->fault_trace) && i->fault_trace[k]; k++)
		n += scnprintf(line + n, sizeof(line) - (size_t)n, " %lx", i->fault_trace[k]);
	if (n)
		rt_log(RT_LOG_ERR, "  called from%s", line);
}

void post_mortem(const char *name, k_handle_t process)
{
	struct k_process_info i;

	if (k_process_info(process, &i) != K_OK)
		return;
	if (!(i.exit_status & K_EXIT_FAULT) || (i.exit_status & K_EXIT_KILLED)) {
		rt_log(RT_LOG_WARNING, "%s %s, status %u, after %lu ms of CPU", name,
		       i.exit_status & K_EXIT_KILLED ? "was killed" : "ended",
		       i.exit_status & 0xffff, i.cpu_ns / 1000000);
		return;
	}
	rt_log(RT_LOG_ERR, "%s died: exception %lu, error %lx, at %lx, address %lx", name,
	       i.fault_vector, i.fault_error, i.fault_rip, i.fault_address);
	log_registers(&i);
	log_trace(&i);
}
