/* SPDX-License-Identifier: MIT */
/*
 * panic(): print what is known and end (kernel/panic.h).
 *
 * Runs with interrupts disabled and the other CPUs stopped, takes no locks and
 * allocates nothing.  A panic within a panic says so and ends at once.
 */
#include "kernel/panic.h"

#include "arch/console.h"
#include "arch/cpu.h"
#include "arch/panic.h"
#include "arch/power.h"
#include "base/format.h"
#include "base/parse.h"
#include "base/string.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"
#include "kernel/time.h"

#define PANIC_STATUS 0x31	/* of isa-debug-exit: QEMU exits with 0x31 << 1 | 1 = 99 */

static _Atomic(uint32_t) panicking;	/* 1 + CPU number of the first */
static int reboot_after_s;		/* panic=; 0: do not reboot */

/* The value of the word "@key..." in @command_line, or NULL; it ends at a space. */
static const char *find_word(const char *command_line, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = command_line; *p; p++) {
		if ((p == command_line || p[-1] == ' ') && !strncmp(p, key, n))
			return p + n;
	}
	return NULL;
}

void panic_configure(const char *command_line)
{
	const char *v = find_word(command_line, "panic=");
	bool negative = v && *v == '-';
	int n = 0;

	if (!v)
		return;
	for (v += negative; *v >= '0' && *v <= '9' && n < 100000; v++)
		n = n * 10 + (*v - '0');
	reboot_after_s = negative ? -n : n;
}

static void panic_write(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void panic_write(const char *fmt, ...)
{
	char line[256];
	va_list args;

	va_start(args, fmt);
	log_panic_write(line, (size_t)vscnprintf(line, sizeof(line), fmt, args));
	va_end(args);
}

void panic_write_address(uint64_t addr)
{
	uint64_t offset;
	const char *name = symbol_lookup(addr, &offset);

	if (name)
		panic_write("  %016llx %s+0x%llx\n", (unsigned long long)addr, name,
			    (unsigned long long)offset);
	else
		panic_write("  %016llx\n", (unsigned long long)addr);
}

void panic_write_register(const char *name, uint64_t value, bool last)
{
	panic_write("%4s %016llx%s", name, (unsigned long long)value, last ? "\n" : "");
}

static NORETURN void panic_end(void)
{
	if (reboot_after_s) {
		if (reboot_after_s > 0)
			time_delay_ns((uint64_t)reboot_after_s * NS_PER_SEC);
		arch_reboot();
	}
	arch_power_exit(PANIC_STATUS);
	arch_halt();
}

static NORETURN void panic_common(const struct arch_regs *regs, const char *fmt, va_list args)
{
	struct thread *self = current_thread();
	char reason[256];
	uint32_t nobody = 0;

	arch_irq_disable();
	vscnprintf(reason, sizeof(reason), fmt, args);
	if (!atomic_compare_exchange_strong(&panicking, &nobody, cpu_id() + 1)) {
		if (nobody != cpu_id() + 1)
			arch_cpu_halt();	/* another CPU was first: its panic stops us */
		panic_write("panic within panic: %s\n", reason);
		panic_end();
	}
	arch_stop_others();
	log_panic_begin();
	panic_write("Kernel panic - %s\n", reason);
	panic_write("CPU %u, thread %s\n", cpu_id(), self ? self->name : "none");
	if (regs)
		arch_panic_registers(regs);
	panic_write("Backtrace:\n");
	arch_panic_backtrace(regs);
	panic_write("---[ end of panic ]---\n");
	panic_end();
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	panic_common(NULL, fmt, args);
}

void panic_regs(const struct arch_regs *regs, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	panic_common(regs, fmt, args);
}

uintptr_t __stack_chk_guard = 0x9b7f3c5ad2e10800;	/* another at boot, if the CPU has randomness */

NORETURN void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
	panic("stack protector: a function wrote past its array");
}
