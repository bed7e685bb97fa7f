/* SPDX-License-Identifier: MIT */
/*
 * From the boot code to the portable kernel: the order in which a PC comes up.
 */
#include "x86.h"

#include "boot.h"

#include "arch/console.h"
#include "arch/cpu.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/page.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/time.h"

struct boot_info boot_info;
extern const char boot_bundle_start[], boot_bundle_end[];	/* the section .bundle */

static struct thread boot_thread;		/* becomes the idle thread of CPU 0 */
char boot_stack[KSTACK_SIZE] __attribute__((aligned(KSTACK_SIZE)));
static uint8_t boot_ist_stacks[4 * K_PAGE_SIZE] __attribute__((aligned(4096)));

/* Enough for locks, logs and panics. */
static void setup_boot_cpu(void)
{
	struct cpu *cpu = &x86_boot_cpu;

	strlcpy(boot_thread.name, "idle", sizeof(boot_thread.name));
	boot_thread.arch.stack = boot_stack;
	boot_thread.arch.stamp = arch_cycles();
	cpu->idle = cpu->current = &boot_thread;
	cpu->arch.ist_stacks = boot_ist_stacks;
	x86_idt_init();
	x86_cpu_setup(cpu);
	cpu->online = 1;
}

/* No function below has an array on its stack, so a changed guard is not noticed. */
static void setup_stack_guard(void)
{
	extern uintptr_t __stack_chk_guard;
	uint64_t random;

	if (arch_random(&random))
		__stack_chk_guard ^= random & ~0xffull;
	else
		__stack_chk_guard ^= arch_cycles() << 8;
}

NORETURN void x86_start(enum boot_protocol protocol, uint64_t info);
void x86_start(enum boot_protocol protocol, uint64_t info)
{
	struct boot_memory memory = { .base = (const uint8_t *)ARCH_DIRECT_MAP };
	const char *problem;

	arch_console_init();
	setup_boot_cpu();
	x86_cpu_detect();
	x86_cpu_setup(&x86_boot_cpu);	/* once more, now that the features are known */
	setup_stack_guard();
	problem = boot_info_read(&boot_info, &memory, protocol, info);
	if (problem)
		panic("boot: %s", problem);
	boot_info.bundle = &boot_bundle_start[0];
	boot_info.bundle_length = (uint64_t)(boot_bundle_end - boot_bundle_start);
	panic_configure(boot_info.command_line);
	x86_patch_smap();
	x86_mmu_init(&boot_info);
	mm_init(&boot_info);

	x86_acpi_init(&boot_info);
	if (!boot_info.cpu_count)
		x86_mptable_init(&boot_info);
	x86_power_init();
	x86_apic_init(&boot_info);
	x86_irq_init(&boot_info);
	x86_clock_init();
	boot_info.has_uart = arch_console_ports();
	x86_probe_buses(&boot_info);
	x86_cpu_report_flaws();
	sched_init_thread(&boot_thread);
	sched_init_cpu(&x86_boot_cpu);
	kernel_main(&boot_info);
	sched_idle_loop();
}
