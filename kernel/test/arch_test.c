/* SPDX-License-Identifier: MIT */
/*
 * What every architecture promises: user copies that survive faults, the state of
 * programs, per-CPU data.
 */
#include "kernel/selftest.h"

#include "arch/cpu.h"
#include "arch/ucopy.h"
#include "base/string.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/sched.h"

SELFTEST(user_copies_stop_at_unmapped_memory)
{
	char buffer[200] = "unchanged";
	size_t done;
	uint32_t word;

	check(arch_copy_from_user(buffer, 0x10000, sizeof(buffer)) == sizeof(buffer));
	check(!strcmp(buffer, "unchanged"));
	check(arch_copy_to_user(0x10000, buffer, sizeof(buffer)) == sizeof(buffer));
	check(arch_clear_user(0x10000, 100) == 100);
	check(arch_strncpy_from_user(buffer, 0x10000, sizeof(buffer), &done) == -1);
	check(done == 0);
	check(!arch_load_user_u32(0x10000, &word));
	check(!arch_cmpxchg_user_u32(0x10000, 0, 1, &word));
}

SELFTEST(user_copies_refuse_addresses_that_do_not_exist)
{
	char buffer[64];

	check(arch_copy_from_user(buffer, 0x8000000000000000, sizeof(buffer)) == sizeof(buffer));
}

SELFTEST(symbols_have_names)
{
	uint64_t offset;
	const char *name = symbol_lookup((uint64_t)(uintptr_t)panic + 4, &offset);

	check(name && !strcmp(name, "panic") && offset == 4);
	check(!symbol_lookup(0x1234, &offset));
}

SELFTEST(preemption_count_is_balanced)
{
	check(preempt_count() == 0);
	preempt_disable();
	check(preempt_count() == 1);
	preempt_enable();
	check(preempt_count() == 0);
	check(arch_irq_enabled());
	check(!in_interrupt());
}
